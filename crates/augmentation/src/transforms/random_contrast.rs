//! Contrast.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

/// Stretches the values of each channel away from their mean, or towards it. Keras: `RandomContrast`.
///
/// $$ y = \operatorname{clip}\bigl(\mu_c + k (x - \mu_c)\bigr), \quad k \sim U(1 - a, 1 + b) $$ with `factor` `[a, b]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomContrast {
    /// `[a, b]` in [0, 1]; one number `f` means `[0, f]`, which only strengthens the contrast.
    pub factor: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomContrast {
    fn default() -> Self {
        Self {
            factor: Factor::Single(0.2),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one change of contrast is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContrastParameters {
    /// What the distance from the mean is multiplied by.
    pub contrast_factor: f32,
}

impl Transformation for RandomContrast {
    const CLASS: &'static str = "RandomContrast";
    const NAME: &'static str = "contrast";
    const ABOUT: &'static str = "stretches the values away from the mean of their channel";
    const ARGUMENTS: &'static [&'static str] = &["factor", "value_range"];
    const REQUIRED: usize = 1;
    type Parameters = ContrastParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> ContrastParameters {
        // The pair is not a range: its first number says how far below 1, its second how far above.
        let (below, above) = match self.factor {
            Factor::Single(f) => (0.0, f),
            Factor::Pair([a, b]) => (a, b),
        };
        ContrastParameters {
            contrast_factor: draws.uniform_in(1.0 - below, 1.0 + above) as f32,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &ContrastParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &ContrastParameters,
    ) -> Option<Result<()>> {
        let units = P::units(self.value_range, pixels.range)?;
        let means = P::means(pixels.data, pixels.shape.channels);
        P::stretch(pixels.data, &means, parameters.contrast_factor, units);
        Some(Ok(()))
    }
}
