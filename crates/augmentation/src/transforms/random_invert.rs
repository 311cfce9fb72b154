//! Negatives.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

/// Turns an image into its negative with a probability. Keras: `RandomInvert`.
///
/// $$ y = high - x $$ as in Keras, which leaves the low end of the value range out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomInvert {
    /// The probability, in [0, 1], itself drawn from this range; one number `f` means `[0, f]`, on average `f / 2`.
    pub factor: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomInvert {
    fn default() -> Self {
        Self {
            factor: Factor::Single(1.0),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one application is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvertParameters {
    /// Whether the image is inverted.
    pub apply_inversion: bool,
}

impl Transformation for RandomInvert {
    const CLASS: &'static str = "RandomInvert";
    const NAME: &'static str = "invert";
    const ABOUT: &'static str = "turns an image into its negative with a probability";
    const ARGUMENTS: &'static [&'static str] = &["factor", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = InvertParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> InvertParameters {
        let (low, high) = self.factor.bounds(0.0);
        let probability = draws.uniform_in(low, high);
        InvertParameters {
            apply_inversion: draws.bernoulli(probability),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &InvertParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &InvertParameters,
    ) -> Option<Result<()>> {
        P::units(self.value_range, pixels.range)?;
        if parameters.apply_inversion {
            // Bytes exchange their ends where the range begins with 0; Keras subtracts from the highest value whatever the lowest is.
            if !P::LEVELS || self.value_range.low == 0.0 {
                P::invert(pixels.data, self.value_range.high);
            } else {
                pixels.map_values(|value| self.value_range.high - value);
            }
        }
        Some(Ok(()))
    }
}
