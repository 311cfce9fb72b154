//! A few random transformations out of many.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::keras_policy::{apply, apply_to_pixels, check_batch, layers};
use crate::error::Result;
use crate::geometry::Interpolation;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Parameters, Transform, Transformation};

/// Applies `num_ops` of eleven transformations, each drawn anew and with a strength up to `factor`. Keras: `RandAugment`.
///
/// The eleven: shear, translation, rotation, brightness, color degeneration, contrast, sharpness, posterization,
/// solarization, auto-contrast and equalization. Keras chooses once for a whole batch; here each image has its own draws.
/// Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", 2019.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandAugment {
    /// The values that pixels may have.
    pub value_range: ValueRange,
    /// Transformations an image, 0 to 100.
    pub num_ops: usize,
    /// The range of the strength, in [0, 1]; one number `f` means `[0, f]`.
    pub factor: Factor,
    /// Between the pixels, of those that move them.
    pub interpolation: Interpolation,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self {
            value_range: ValueRange::BYTES,
            num_ops: 2,
            factor: Factor::Single(0.5),
            interpolation: Interpolation::Bilinear,
        }
    }
}

/// What one application is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandAugmentParameters {
    /// The chosen transformations in their order, each with its own parameters.
    pub transforms: Vec<Parameters>,
}

impl RandAugment {
    fn layers(&self) -> Vec<Transform> {
        layers(self.factor, self.value_range, self.interpolation, true)
    }

    /// Applies to a batch what was drawn for each of its images.
    ///
    /// Where all of them are equalized in the same place they share one histogram, as in Keras.
    ///
    /// # Errors
    /// Where the numbers of images and parameters differ, and as [`Transformation::apply`].
    pub fn apply_batch(&self, images: &mut [Image], parameters: &[RandAugmentParameters]) -> Result<()> {
        check_batch(Self::CLASS, images.len(), parameters.len())?;
        let steps: Vec<&[Parameters]> = parameters.iter().map(|p| p.transforms.as_slice()).collect();
        apply(Self::CLASS, &self.layers(), images, &steps)
    }
}

impl Transformation for RandAugment {
    const CLASS: &'static str = "RandAugment";
    const NAME: &'static str = "rand_augment";
    const ABOUT: &'static str = "a few of eleven transformations, drawn for each image";
    const ARGUMENTS: &'static [&'static str] = &["num_ops", "factor", "interpolation", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = RandAugmentParameters;

    fn check(&self) -> Result<()> {
        Factor::Single(self.num_ops as f64).check(Self::CLASS, "num_ops", 0.0, 100.0)?;
        self.factor.check(Self::CLASS, "factor", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> RandAugmentParameters {
        let layers = self.layers();
        let transforms = (0..self.num_ops)
            .map(|_| layers[draws.below(layers.len())].draw(draws, shape))
            .collect();
        RandAugmentParameters { transforms }
    }

    fn apply(&self, image: &mut Image, parameters: &RandAugmentParameters) -> Result<()> {
        self.apply_batch(std::slice::from_mut(image), std::slice::from_ref(parameters))
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &RandAugmentParameters,
    ) -> Option<Result<()>> {
        Some(apply_to_pixels(
            Self::CLASS,
            &self.layers(),
            pixels,
            &parameters.transforms,
        ))
    }
}
