//! One random transformation of random strength.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::policy::{PolicyOperation, PolicyParameters, PolicySettings, PolicyStep};
use crate::error::{Error, Result};
use crate::geometry::Interpolation;
use crate::image::{Image, ImageShape};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Applies one operation, each of fourteen equally likely, with a magnitude that is uniform over its whole range.
///
/// The operations are identity, shear and translation along x and y, rotation, brightness, color, contrast, sharpness,
/// posterize, solarize, auto-contrast and equalize, with the wide ranges of the paper: shears and blends up to 0.99,
/// turns up to 135°. Not a Keras class; torchvision calls it `TrivialAugmentWide`.
/// Müller, Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", 2021.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrivialAugment {
    /// Magnitudes that an operation has, 2 to 1000.
    pub num_magnitude_bins: usize,
    /// The most pixels of a translation, 0 to 1000; the paper's 32 empty a small image.
    pub translation: f64,
    /// Between the pixels.
    pub interpolation: Interpolation,
    /// The value that moves in at the border.
    pub fill_value: f32,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for TrivialAugment {
    fn default() -> Self {
        Self {
            num_magnitude_bins: 31,
            translation: 32.0,
            interpolation: Interpolation::Nearest,
            fill_value: 0.0,
            value_range: ValueRange::BYTES,
        }
    }
}

const OPERATIONS: [PolicyOperation; 14] = [
    PolicyOperation::Identity,
    PolicyOperation::ShearX,
    PolicyOperation::ShearY,
    PolicyOperation::TranslateX,
    PolicyOperation::TranslateY,
    PolicyOperation::Rotate,
    PolicyOperation::Brightness,
    PolicyOperation::Color,
    PolicyOperation::Contrast,
    PolicyOperation::Sharpness,
    PolicyOperation::Posterize,
    PolicyOperation::Solarize,
    PolicyOperation::AutoContrast,
    PolicyOperation::Equalize,
];

impl TrivialAugment {
    /// The magnitude of a part of the range, 0 to 1, and whether it may be negative too.
    fn magnitude(&self, operation: PolicyOperation, part: f64) -> (f64, bool) {
        match operation {
            PolicyOperation::Identity
            | PolicyOperation::AutoContrast
            | PolicyOperation::Equalize
            | PolicyOperation::Invert => (0.0, false),
            PolicyOperation::TranslateX | PolicyOperation::TranslateY => (self.translation * part, true),
            PolicyOperation::Rotate => (135.0 * part, true),
            PolicyOperation::Posterize => (8.0 - (6.0 * part).round_ties_even(), false),
            PolicyOperation::Solarize => (255.0 * (1.0 - part), false),
            _ => (0.99 * part, true),
        }
    }

    fn settings(&self) -> PolicySettings {
        PolicySettings {
            transformation: Self::CLASS,
            interpolation: self.interpolation,
            fill_value: self.fill_value,
            value_range: self.value_range,
        }
    }
}

impl Transformation for TrivialAugment {
    const CLASS: &'static str = "TrivialAugment";
    const NAME: &'static str = "trivial_augment";
    const ABOUT: &'static str = "one of fourteen operations with a random magnitude";
    const ARGUMENTS: &'static [&'static str] = &[
        "num_magnitude_bins",
        "translation",
        "interpolation",
        "fill_value",
        "value_range",
    ];
    const REQUIRED: usize = 0;
    type Parameters = PolicyParameters;

    fn check(&self) -> Result<()> {
        if !(2..=1000).contains(&self.num_magnitude_bins) {
            return Err(Error::Argument {
                transformation: Self::CLASS,
                argument: "num_magnitude_bins",
                found: self.num_magnitude_bins.to_string(),
                expected: "a whole number between 2 and 1000".into(),
            });
        }
        Factor::Single(self.translation).check(Self::CLASS, "translation", 0.0, 1000.0)?;
        check_fill(Self::CLASS, self.fill_value)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> PolicyParameters {
        let operation = OPERATIONS[draws.below(OPERATIONS.len())];
        let part = draws.below(self.num_magnitude_bins) as f64 / (self.num_magnitude_bins - 1).max(1) as f64;
        let (magnitude, signed) = self.magnitude(operation, part);
        let negative = draws.bernoulli(0.5) && signed;
        let magnitude = if negative { -magnitude } else { magnitude } as f32;
        PolicyParameters {
            steps: vec![PolicyStep { operation, magnitude }],
        }
    }

    fn apply(&self, image: &mut Image, parameters: &PolicyParameters) -> Result<()> {
        self.settings().apply(image, parameters)
    }
}

/// Refuses a fill that is no number.
pub(super) fn check_fill(transformation: &'static str, fill_value: f32) -> Result<()> {
    if fill_value.is_finite() {
        return Ok(());
    }
    Err(Error::Argument {
        transformation,
        argument: "fill_value",
        found: fill_value.to_string(),
        expected: "a finite number".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_span_the_ranges_of_the_paper() {
        let trivial = TrivialAugment::default();
        let ends = |operation| [0.0, 1.0].map(|part| trivial.magnitude(operation, part).0);
        assert_eq!(ends(PolicyOperation::Rotate), [0.0, 135.0]);
        assert_eq!(ends(PolicyOperation::TranslateX), [0.0, 32.0]);
        assert_eq!(ends(PolicyOperation::Posterize), [8.0, 2.0]);
        assert_eq!(ends(PolicyOperation::Solarize), [255.0, 0.0]);
        assert_eq!(ends(PolicyOperation::ShearY), [0.0, 0.99]);
    }
}
