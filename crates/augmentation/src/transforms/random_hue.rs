//! Hue.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::color::{hsv_to_rgb, map_rgb, need_rgb, rgb_to_hsv};
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

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
        need_rgb(Self::CLASS, image)?;
        let range = self.value_range;
        map_rgb(image, |rgb| {
            let [hue, saturation, value] = rgb_to_hsv(rgb.map(|v| (v - range.low) / range.width()));
            let mut hue = hue + parameters.factor;
            if hue > 1.0 {
                hue -= 1.0;
            }
            if hue < 0.0 {
                hue += 1.0;
            }
            hsv_to_rgb([hue, saturation, value]).map(|v| v.clamp(0.0, 1.0) * range.width() + range.low)
        });
        Ok(())
    }
}
