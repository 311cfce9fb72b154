//! Layers that disturb values while training and pass them through otherwise.

use super::{LayerSpec, single};
use crate::{Shape, error::Problem};

layer! {
    /// Sets a fraction of the values to 0 while training and scales the others by `1 / (1 - rate)`
    /// (`keras.layers.Dropout`).
    Dropout(
        /// Fraction of the values that is dropped, in `[0, 1]`.
        rate: f64
    ) {
        /// Seed of the draws.
        seed: Option<i64> = None,
        /// Shape of the mask; a free dimension follows the input.
        noise_shape: Option<Vec<Option<usize>>> = None,
    }
}

/// Checks a fraction.
pub(crate) fn fraction(key: &str, rate: f64) -> Result<(), Problem> {
    if (0.0..=1.0).contains(&rate) {
        Ok(())
    } else {
        Err(Problem::key(key, format!("must be in [0, 1], found {rate}")))
    }
}

impl LayerSpec for Dropout {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        fraction("rate", self.rate)?;
        Ok(vec![single(inputs)?.clone()])
    }
}

macro_rules! disturbances {
    ($($doc:literal $name:ident($field:ident) $max:expr;)*) => {$(
        layer! {
            #[doc = $doc]
            $name(
                /// Strength of the disturbance.
                $field: f64
            ) {
                /// Seed of the draws.
                seed: Option<i64> = None,
            }
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                if !(0.0..=$max).contains(&self.$field) {
                    let problem = format!("must be in [0, {}], found {}", $max, self.$field);
                    return Err(Problem::key(stringify!($field), problem));
                }
                Ok(vec![single(inputs)?.clone()])
            }
        }
    )*};
}

disturbances! {
    "Adds normal noise while training (`keras.layers.GaussianNoise`)." GaussianNoise(stddev) f64::MAX;
    "Multiplies by normal noise while training (`keras.layers.GaussianDropout`)." GaussianDropout(rate) 1.0;
    "Dropout that keeps mean and variance for SELU (`keras.layers.AlphaDropout`)." AlphaDropout(rate) 1.0;
    "Drops whole channels of a sequence (`keras.layers.SpatialDropout1D`)." SpatialDropout1D(rate) 1.0;
    "Drops whole channels of an image (`keras.layers.SpatialDropout2D`)." SpatialDropout2D(rate) 1.0;
    "Drops whole channels of a volume (`keras.layers.SpatialDropout3D`)." SpatialDropout3D(rate) 1.0;
}

macro_rules! pass_through {
    ($($doc:literal $name:ident;)*) => {$(
        layer! {
            #[doc = $doc]
            $name() {}
        }

        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                Ok(vec![single(inputs)?.clone()])
            }
        }
    )*};
}

pass_through! {
    "Its input, unchanged (`keras.layers.Identity`)." Identity;
    "Its input; the loss grows with the size of its values (`keras.layers.ActivityRegularization`)." ActivityRegularization;
    "Its input; steps that equal the mask value are left out by the layers behind (`keras.layers.Masking`)." Masking;
    "`scale · x + offset` (`keras.layers.Rescaling`)." Rescaling;
    "Random mirror images while training (`keras.layers.RandomFlip`)." RandomFlip;
    "Random rotations while training (`keras.layers.RandomRotation`)." RandomRotation;
    "Random zooms while training (`keras.layers.RandomZoom`)." RandomZoom;
    "Random shifts while training (`keras.layers.RandomTranslation`)." RandomTranslation;
    "Random shears while training (`keras.layers.RandomShear`)." RandomShear;
    "Random perspectives while training (`keras.layers.RandomPerspective`)." RandomPerspective;
    "Random brightness while training (`keras.layers.RandomBrightness`)." RandomBrightness;
    "Random contrast while training (`keras.layers.RandomContrast`)." RandomContrast;
    "Random hue while training (`keras.layers.RandomHue`)." RandomHue;
    "Random saturation while training (`keras.layers.RandomSaturation`)." RandomSaturation;
    "Random sharpness while training (`keras.layers.RandomSharpness`)." RandomSharpness;
    "Random colours while training (`keras.layers.RandomColorJitter`)." RandomColorJitter;
    "Random loss of colour while training (`keras.layers.RandomColorDegeneration`)." RandomColorDegeneration;
    "Random grey images while training (`keras.layers.RandomGrayscale`)." RandomGrayscale;
    "Random negatives while training (`keras.layers.RandomInvert`)." RandomInvert;
    "Random loss of bits while training (`keras.layers.RandomPosterization`)." RandomPosterization;
    "Random blur while training (`keras.layers.RandomGaussianBlur`)." RandomGaussianBlur;
    "Random holes while training (`keras.layers.RandomErasing`)." RandomErasing;
    "Random elastic transforms while training (`keras.layers.RandomElasticTransform`)." RandomElasticTransform;
    "Inverts values above a threshold (`keras.layers.Solarization`)." Solarization;
    "Stretches the contrast of each channel (`keras.layers.AutoContrast`)." AutoContrast;
    "Equalizes the histogram of each channel (`keras.layers.Equalization`)." Equalization;
    "Equalizes the histogram of each tile of an image (`keras.layers.ContrastLimitedAdaptiveHistogramEqualization`)." ContrastLimitedAdaptiveHistogramEqualization;
    "Random patches of other images while training (`keras.layers.CutMix`; Yun et al., 2019)." CutMix;
    "Mixtures of two images while training (`keras.layers.MixUp`; Zhang et al., 2018)." MixUp;
    "Bounding boxes cut or filled up to a number; the image passes (`keras.layers.MaxNumBoundingBoxes`)." MaxNumBoundingBoxes;
    "Random augmentations while training (`keras.layers.RandAugment`)." RandAugment;
    "Mixed chains of augmentations while training (`keras.layers.AugMix`)." AugMix;
}
