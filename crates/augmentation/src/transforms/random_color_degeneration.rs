//! Towards grey.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::color::{grey, need_grey_or_rgb};
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Moves the colours of RGB images towards grey, or away from it. Keras: `RandomColorDegeneration`.
///
/// $$ y = \operatorname{clip}\bigl(x + f (g - x)\bigr), \quad g = 0.2989 R + 0.5870 G + 0.1140 B,\; f \sim U(\text{factor}) $$
/// A grey image stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomColorDegeneration {
    /// In [-1, 1]; one number `f` means `[-f, f]`.
    pub factor: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomColorDegeneration {
    fn default() -> Self {
        Self {
            factor: Factor::Single(0.5),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one degeneration is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorDegenerationParameters {
    /// 0 changes nothing, 1 gives grey.
    pub factor: f32,
}

impl Transformation for RandomColorDegeneration {
    const CLASS: &'static str = "RandomColorDegeneration";
    const NAME: &'static str = "color_degeneration";
    const ABOUT: &'static str = "moves colours towards grey or away from it (RGB)";
    const ARGUMENTS: &'static [&'static str] = &["factor", "value_range"];
    const REQUIRED: usize = 1;
    type Parameters = ColorDegenerationParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", -1.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> ColorDegenerationParameters {
        let (low, high) = self.factor.bounds(-1.0);
        ColorDegenerationParameters {
            factor: draws.uniform_in(low, high) as f32,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &ColorDegenerationParameters) -> Result<()> {
        need_grey_or_rgb(Self::CLASS, image)?;
        for pixel in image.data.chunks_exact_mut(image.channels) {
            let grey = if pixel.len() == 1 { pixel[0] } else { grey(pixel) };
            // Three colours; an alpha channel stays.
            for value in pixel.iter_mut().take(3) {
                *value = self.value_range.clip(*value + parameters.factor * (grey - *value));
            }
        }
        Ok(())
    }
}
