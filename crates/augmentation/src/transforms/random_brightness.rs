//! Brightness.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

/// Adds the same random number to every value and clips. Keras: `RandomBrightness`.
///
/// $$ y = \operatorname{clip}(x + \delta), \quad \delta \sim (high - low)\,U(\text{factor}) $$
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomBrightness {
    /// Parts of the value range, in [-1, 1]; one number `f` means `[-f, f]`.
    pub factor: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomBrightness {
    fn default() -> Self {
        Self {
            factor: Factor::Single(0.2),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one change of brightness is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrightnessParameters {
    /// What is added to every value.
    pub rgb_delta: f32,
}

impl Transformation for RandomBrightness {
    const CLASS: &'static str = "RandomBrightness";
    const NAME: &'static str = "brightness";
    const ABOUT: &'static str = "makes an image lighter or darker";
    const ARGUMENTS: &'static [&'static str] = &["factor", "value_range"];
    const REQUIRED: usize = 1;
    type Parameters = BrightnessParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", -1.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> BrightnessParameters {
        let (low, high) = self.factor.bounds(-1.0);
        BrightnessParameters {
            rgb_delta: draws.uniform_in(low, high) as f32 * self.value_range.width(),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &BrightnessParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &BrightnessParameters,
    ) -> Option<Result<()>> {
        let units = P::units(self.value_range, pixels.range)?;
        let delta = parameters.rgb_delta * (units.width() / self.value_range.width());
        P::add(pixels.data, delta, units);
        Some(Ok(()))
    }
}
