//! Policies that were found by search.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::policy::PolicyOperation::{
    self, AutoContrast, Brightness, Color, Contrast, Equalize, Invert, Posterize, Rotate, Sharpness, ShearX, ShearY,
    Solarize, TranslateX, TranslateY,
};
use super::policy::{PolicyParameters, PolicySettings, PolicyStep};
use super::trivial_augment::check_fill;
use crate::error::Result;
use crate::geometry::Interpolation;
use crate::image::{Image, ImageShape};
use crate::range::ValueRange;
use crate::transform::Transformation;

/// The data set that a policy was found on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoAugmentPolicy {
    /// Photos of a thousand kinds of things.
    #[default]
    ImageNet,
    /// Small photos of ten kinds of things.
    Cifar10,
    /// House numbers.
    Svhn,
}

/// Applies one of 25 pairs of operations of a policy, each operation with its own probability and magnitude.
///
/// Not a Keras class; torchvision's `AutoAugment` has the same policies and magnitudes.
/// Cubuk et al., "AutoAugment: Learning Augmentation Strategies from Data", 2018.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoAugment {
    /// `imagenet`, `cifar10` or `svhn`.
    pub policy: AutoAugmentPolicy,
    /// Between the pixels.
    pub interpolation: Interpolation,
    /// The value that moves in at the border.
    pub fill_value: f32,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for AutoAugment {
    fn default() -> Self {
        Self {
            policy: AutoAugmentPolicy::ImageNet,
            interpolation: Interpolation::Nearest,
            fill_value: 0.0,
            value_range: ValueRange::BYTES,
        }
    }
}

/// An operation, its probability in tenths, and its magnitude, 0 to 9 of a scale of its own.
type Step = (PolicyOperation, u8, u8);

#[rustfmt::skip]
const IMAGENET: [[Step; 2]; 25] = [
    [(Posterize, 4, 8), (Rotate, 6, 9)],
    [(Solarize, 6, 5), (AutoContrast, 6, 0)],
    [(Equalize, 8, 0), (Equalize, 6, 0)],
    [(Posterize, 6, 7), (Posterize, 6, 6)],
    [(Equalize, 4, 0), (Solarize, 2, 4)],
    [(Equalize, 4, 0), (Rotate, 8, 8)],
    [(Solarize, 6, 3), (Equalize, 6, 0)],
    [(Posterize, 8, 5), (Equalize, 10, 0)],
    [(Rotate, 2, 3), (Solarize, 6, 8)],
    [(Equalize, 6, 0), (Posterize, 4, 6)],
    [(Rotate, 8, 8), (Color, 4, 0)],
    [(Rotate, 4, 9), (Equalize, 6, 0)],
    [(Equalize, 0, 0), (Equalize, 8, 0)],
    [(Invert, 6, 0), (Equalize, 10, 0)],
    [(Color, 6, 4), (Contrast, 10, 8)],
    [(Rotate, 8, 8), (Color, 10, 2)],
    [(Color, 8, 8), (Solarize, 8, 7)],
    [(Sharpness, 4, 7), (Invert, 6, 0)],
    [(ShearX, 6, 5), (Equalize, 10, 0)],
    [(Color, 4, 0), (Equalize, 6, 0)],
    [(Equalize, 4, 0), (Solarize, 2, 4)],
    [(Solarize, 6, 5), (AutoContrast, 6, 0)],
    [(Invert, 6, 0), (Equalize, 10, 0)],
    [(Color, 6, 4), (Contrast, 10, 8)],
    [(Equalize, 8, 0), (Equalize, 6, 0)],
];

#[rustfmt::skip]
const CIFAR10: [[Step; 2]; 25] = [
    [(Invert, 1, 0), (Contrast, 2, 6)],
    [(Rotate, 7, 2), (TranslateX, 3, 9)],
    [(Sharpness, 8, 1), (Sharpness, 9, 3)],
    [(ShearY, 5, 8), (TranslateY, 7, 9)],
    [(AutoContrast, 5, 0), (Equalize, 9, 0)],
    [(ShearY, 2, 7), (Posterize, 3, 7)],
    [(Color, 4, 3), (Brightness, 6, 7)],
    [(Sharpness, 3, 9), (Brightness, 7, 9)],
    [(Equalize, 6, 0), (Equalize, 5, 0)],
    [(Contrast, 6, 7), (Sharpness, 6, 5)],
    [(Color, 7, 7), (TranslateX, 5, 8)],
    [(Equalize, 3, 0), (AutoContrast, 4, 0)],
    [(TranslateY, 4, 3), (Sharpness, 2, 6)],
    [(Brightness, 9, 6), (Color, 2, 8)],
    [(Solarize, 5, 2), (Invert, 0, 0)],
    [(Equalize, 2, 0), (AutoContrast, 6, 0)],
    [(Equalize, 2, 0), (Equalize, 6, 0)],
    [(Color, 9, 9), (Equalize, 6, 0)],
    [(AutoContrast, 8, 0), (Solarize, 2, 8)],
    [(Brightness, 1, 3), (Color, 7, 0)],
    [(Solarize, 4, 5), (AutoContrast, 9, 0)],
    [(TranslateY, 9, 9), (TranslateY, 7, 9)],
    [(AutoContrast, 9, 0), (Solarize, 8, 3)],
    [(Equalize, 8, 0), (Invert, 1, 0)],
    [(TranslateY, 7, 9), (AutoContrast, 9, 0)],
];

#[rustfmt::skip]
const SVHN: [[Step; 2]; 25] = [
    [(ShearX, 9, 4), (Invert, 2, 0)],
    [(ShearY, 9, 8), (Invert, 7, 0)],
    [(Equalize, 6, 0), (Solarize, 6, 6)],
    [(Invert, 9, 0), (Equalize, 6, 0)],
    [(Equalize, 6, 0), (Rotate, 9, 3)],
    [(ShearX, 9, 4), (AutoContrast, 8, 0)],
    [(ShearY, 9, 8), (Invert, 4, 0)],
    [(ShearY, 9, 5), (Solarize, 2, 6)],
    [(Invert, 9, 0), (AutoContrast, 8, 0)],
    [(Equalize, 6, 0), (Rotate, 9, 3)],
    [(ShearX, 9, 4), (Solarize, 3, 3)],
    [(ShearY, 8, 8), (Invert, 7, 0)],
    [(Equalize, 9, 0), (TranslateY, 6, 6)],
    [(Invert, 9, 0), (Equalize, 6, 0)],
    [(Contrast, 3, 3), (Rotate, 8, 4)],
    [(Invert, 8, 0), (TranslateY, 0, 2)],
    [(ShearY, 7, 6), (Solarize, 4, 8)],
    [(Invert, 6, 0), (Rotate, 8, 4)],
    [(ShearY, 3, 7), (TranslateX, 9, 3)],
    [(ShearX, 1, 6), (Invert, 6, 0)],
    [(Solarize, 7, 2), (TranslateY, 6, 7)],
    [(ShearY, 8, 4), (Invert, 8, 0)],
    [(ShearX, 7, 9), (TranslateY, 8, 3)],
    [(ShearY, 8, 5), (AutoContrast, 7, 0)],
    [(ShearX, 7, 2), (Invert, 1, 0)],
];

/// The magnitude of a number 0 to 9 for an image of this shape, and whether it may be negative too.
fn magnitude(operation: PolicyOperation, number: u8, shape: ImageShape) -> (f64, bool) {
    let part = f64::from(number) / 9.0;
    // The search was done on images of 331 pixels a side, moved by up to 150.
    let pixels = |side: usize| 150.0 / 331.0 * side as f64 * part;
    match operation {
        PolicyOperation::Identity | AutoContrast | Equalize | Invert => (0.0, false),
        ShearX | ShearY => (0.3 * part, true),
        TranslateX => (pixels(shape.width), true),
        TranslateY => (pixels(shape.height), true),
        Rotate => (30.0 * part, true),
        Brightness | Color | Contrast | Sharpness => (0.9 * part, true),
        Posterize => (8.0 - (4.0 * part).round_ties_even(), false),
        Solarize => (255.0 * (1.0 - part), false),
    }
}

impl AutoAugment {
    fn pairs(&self) -> &'static [[Step; 2]; 25] {
        match self.policy {
            AutoAugmentPolicy::ImageNet => &IMAGENET,
            AutoAugmentPolicy::Cifar10 => &CIFAR10,
            AutoAugmentPolicy::Svhn => &SVHN,
        }
    }
}

impl Transformation for AutoAugment {
    const CLASS: &'static str = "AutoAugment";
    const NAME: &'static str = "auto_augment";
    const ABOUT: &'static str = "a pair of operations of a policy that was found by search";
    const ARGUMENTS: &'static [&'static str] = &["policy", "interpolation", "fill_value", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = PolicyParameters;

    fn check(&self) -> Result<()> {
        check_fill(Self::CLASS, self.fill_value)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> PolicyParameters {
        let pairs = self.pairs();
        let mut steps = Vec::with_capacity(2);
        for &(operation, tenths, number) in &pairs[draws.below(pairs.len())] {
            let (magnitude, signed) = magnitude(operation, number, shape);
            // Both are always drawn, so that one operation never shifts the draws of the other.
            let (happens, negative) = (draws.bernoulli(f64::from(tenths) / 10.0), draws.bernoulli(0.5));
            let magnitude = if negative && signed { -magnitude } else { magnitude } as f32;
            if happens {
                steps.push(PolicyStep { operation, magnitude });
            }
        }
        PolicyParameters { steps }
    }

    fn apply(&self, image: &mut Image, parameters: &PolicyParameters) -> Result<()> {
        let settings = PolicySettings {
            transformation: Self::CLASS,
            interpolation: self.interpolation,
            fill_value: self.fill_value,
            value_range: self.value_range,
        };
        settings.apply(image, parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_policy_become_magnitudes() {
        let shape = (331, 662, 3).into();
        for (operation, number, expected) in [
            (ShearX, 9, 0.3),
            (TranslateX, 9, 300.0),
            (TranslateY, 3, 50.0),
            (Rotate, 6, 20.0),
            (Posterize, 8, 4.0),
            (Posterize, 5, 6.0),
            (Solarize, 3, 170.0),
            (Color, 2, 0.2),
            (Invert, 9, 0.0),
        ] {
            let (found, _) = magnitude(operation, number, shape);
            assert!((found - expected).abs() < 1e-9, "{operation:?} {number}: {found}");
        }
    }
}
