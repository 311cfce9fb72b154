//! Saturation.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::arithmetic::{Recolour, for_each_colour};
use crate::color::{hsv_to_rgb, need_rgb, rgb_to_hsv};
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::levels::multiply_saturation;
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

/// Multiplies the saturation of RGB images. Keras: `RandomSaturation`.
///
/// $$ S' = \operatorname{clip}\Bigl(S \frac{f}{1 - f + 10^{-7}}\Bigr), \quad f \sim U(\text{factor}) $$
/// so 0.5 changes nothing and 0 gives grey. As in Keras the clip is to the value range of the pixels, so that with
/// `[0, 255]` a saturation above 1, and negative values, are possible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomSaturation {
    /// In [-1, 1]; one number `f` means `[-f, f]`, as in Keras. Give a pair around 0.5.
    pub factor: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomSaturation {
    fn default() -> Self {
        Self {
            factor: Factor::Pair([0.4, 0.6]),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one change of saturation is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaturationParameters {
    /// What the saturation is multiplied by.
    pub factor: f32,
}

impl Transformation for RandomSaturation {
    const CLASS: &'static str = "RandomSaturation";
    const NAME: &'static str = "saturation";
    const ABOUT: &'static str = "makes colours stronger or duller (RGB)";
    const ARGUMENTS: &'static [&'static str] = &["factor", "value_range"];
    const REQUIRED: usize = 1;
    type Parameters = SaturationParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", -1.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> SaturationParameters {
        let (low, high) = self.factor.bounds(-1.0);
        let factor = draws.uniform_in(low, high);
        SaturationParameters {
            factor: (factor / (1.0 - factor + 1e-7)) as f32,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &SaturationParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &SaturationParameters,
    ) -> Option<Result<()>> {
        if let Err(error) = need_rgb(Self::CLASS, pixels.shape.channels) {
            return Some(Err(error));
        }
        // Saturations do not depend on the unit of values that begin with 0; for others bytes have no such way.
        if P::LEVELS && (self.value_range != pixels.range || self.value_range.low != 0.0) {
            return None;
        }
        let (range, factor) = (self.value_range, parameters.factor);
        let channels = pixels.shape.channels;
        match P::bytes(pixels.data) {
            Some(bytes) => multiply_saturation(bytes, channels, factor, range.high),
            None => for_each_colour(pixels.data, channels, Saturated { range, factor }),
        }
        Some(Ok(()))
    }
}

/// Colours with a saturation that is multiplied.
struct Saturated {
    range: ValueRange,
    factor: f32,
}

impl Recolour for Saturated {
    #[inline(always)]
    fn of(&self, rgb: [f32; 3]) -> [f32; 3] {
        let [hue, saturation, value] = rgb_to_hsv(rgb);
        hsv_to_rgb([hue, self.range.clip(saturation * self.factor), value])
    }
}
