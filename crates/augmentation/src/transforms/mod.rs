//! The transformations, one a file.

mod aug_mix;
mod auto_augment;
mod auto_contrast;
mod center_crop;
mod contrast_limited_adaptive_histogram_equalization;
mod equalization;
mod keras_policy;
mod normalization;
mod policy;
mod rand_augment;
mod random_brightness;
mod random_coarse_dropout;
mod random_color_degeneration;
mod random_color_jitter;
mod random_contrast;
mod random_crop;
mod random_elastic_transform;
mod random_erasing;
mod random_flip;
mod random_fog;
mod random_gaussian_blur;
mod random_gaussian_noise;
mod random_grayscale;
mod random_hue;
mod random_invert;
mod random_jpeg;
mod random_motion_blur;
mod random_pad_and_crop;
mod random_perspective;
mod random_posterization;
mod random_rotation;
mod random_salt_and_pepper;
mod random_saturation;
mod random_shadow;
mod random_sharpness;
mod random_shear;
mod random_shot_noise;
mod random_translation;
mod random_zoom;
mod rescaling;
mod resizing;
mod solarization;
mod trivial_augment;

pub use aug_mix::{AugMix, AugMixParameters};
pub use auto_augment::{AutoAugment, AutoAugmentPolicy};
pub use auto_contrast::AutoContrast;
pub use center_crop::CenterCrop;
pub use contrast_limited_adaptive_histogram_equalization::ContrastLimitedAdaptiveHistogramEqualization;
pub use equalization::Equalization;
pub use normalization::Normalization;
pub use policy::{PolicyOperation, PolicyParameters, PolicyStep};
pub use rand_augment::{RandAugment, RandAugmentParameters};
pub use random_brightness::{BrightnessParameters, RandomBrightness};
pub use random_coarse_dropout::{CoarseDropoutParameters, RandomCoarseDropout};
pub use random_color_degeneration::{ColorDegenerationParameters, RandomColorDegeneration};
pub use random_color_jitter::{ColorJitterParameters, RandomColorJitter};
pub use random_contrast::{ContrastParameters, RandomContrast};
pub use random_crop::{CropParameters, RandomCrop};
pub use random_elastic_transform::{ElasticParameters, RandomElasticTransform};
pub use random_erasing::{ErasingFill, ErasingParameters, RandomErasing};
pub use random_flip::{FlipMode, FlipParameters, RandomFlip};
pub use random_fog::{FogParameters, RandomFog};
pub use random_gaussian_blur::{BlurParameters, KernelSize, RandomGaussianBlur};
pub(crate) use random_gaussian_blur::{convolve_edge_padded, convolve_zero_padded, gaussian};
pub use random_gaussian_noise::{GaussianNoiseParameters, RandomGaussianNoise};
pub use random_grayscale::{GrayscaleParameters, RandomGrayscale};
pub use random_hue::{HueParameters, RandomHue};
pub use random_invert::{InvertParameters, RandomInvert};
pub use random_jpeg::{JpegParameters, RandomJpeg};
pub use random_motion_blur::{MotionBlurParameters, RandomMotionBlur};
pub use random_pad_and_crop::{PadAndCropParameters, RandomPadAndCrop};
pub use random_perspective::{PerspectiveParameters, RandomPerspective};
pub use random_posterization::{PosterizationParameters, RandomPosterization};
pub use random_rotation::{RandomRotation, RotationParameters};
pub use random_salt_and_pepper::{RandomSaltAndPepper, SaltAndPepperParameters};
pub use random_saturation::{RandomSaturation, SaturationParameters};
pub use random_shadow::{RandomShadow, ShadowParameters};
pub use random_sharpness::{RandomSharpness, SharpnessParameters};
pub use random_shear::{RandomShear, ShearParameters};
pub use random_shot_noise::{RandomShotNoise, ShotNoiseParameters};
pub use random_translation::{RandomTranslation, TranslationParameters};
pub use random_zoom::{RandomZoom, ZoomParameters};
pub use rescaling::{PerChannel, Rescaling};
pub use resizing::Resizing;
pub use solarization::{Solarization, SolarizationParameters};
pub use trivial_augment::TrivialAugment;

use serde::{Deserialize, Serialize};

/// The parameters of a transformation that draws nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}
