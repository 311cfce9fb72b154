//! Hue.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::arithmetic::{Recolour, for_each_colour};
use crate::color::{hsv_to_rgb, need_rgb, rgb_to_hsv};
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::levels::turn_hue;
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

/// Turns the hue of RGB images, in either direction. Keras: `RandomHue`.
///
/// $$ H' = (H + \delta) \bmod 1, \quad \delta \sim \pm\tfrac12 U(\text{factor}) $$
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomHue {
    /// Half turns of the colour circle, in [0, 1]; one number `f` means `[0, f]`.
    pub factor: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomHue {
    fn default() -> Self {
        Self {
            factor: Factor::Single(0.1),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one turn of the hue is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HueParameters {
    /// What is added to the hue, in full turns.
    pub factor: f32,
}

impl Transformation for RandomHue {
    const CLASS: &'static str = "RandomHue";
    const NAME: &'static str = "hue";
    const ABOUT: &'static str = "turns the circle of colours (RGB)";
    const ARGUMENTS: &'static [&'static str] = &["factor", "value_range"];
    const REQUIRED: usize = 1;
    type Parameters = HueParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> HueParameters {
        let sign = if draws.bernoulli(0.5) { 0.5 } else { -0.5 };
        let (low, high) = self.factor.bounds(0.0);
        HueParameters {
            factor: (sign * draws.uniform_in(low, high)) as f32,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &HueParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &HueParameters,
    ) -> Option<Result<()>> {
        if let Err(error) = need_rgb(Self::CLASS, pixels.shape.channels) {
            return Some(Err(error));
        }
        let range = P::units(self.value_range, pixels.range)?;
        let (turn, channels) = (parameters.factor, pixels.shape.channels);
        match P::bytes(pixels.data) {
            Some(bytes) => turn_hue(bytes, channels, turn),
            None => for_each_colour(pixels.data, channels, Turned { turn, range }),
        }
        Some(Ok(()))
    }
}

/// Colours of values of a range, with a hue that is turned.
struct Turned {
    turn: f32,
    range: ValueRange,
}

impl Recolour for Turned {
    #[inline(always)]
    fn of(&self, [red, green, blue]: [f32; 3]) -> [f32; 3] {
        let (low, width) = (self.range.low, self.range.width());
        let unit = [(red - low) / width, (green - low) / width, (blue - low) / width];
        let [red, green, blue] = turned(unit, self.turn);
        [red * width + low, green * width + low, blue * width + low]
    }
}

/// A colour in [0, 1] with a hue that is turned.
#[inline(always)]
fn turned(rgb: [f32; 3], turn: f32) -> [f32; 3] {
    let [hue, saturation, value] = rgb_to_hsv(rgb);
    let hue = hue + turn;
    let hue = if hue > 1.0 { hue - 1.0 } else { hue };
    let hue = if hue < 0.0 { hue + 1.0 } else { hue };
    let [red, green, blue] = hsv_to_rgb([hue, saturation, value]);
    [red.clamp(0.0, 1.0), green.clamp(0.0, 1.0), blue.clamp(0.0, 1.0)]
}
