//! Towards grey.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::arithmetic::{Recolour, for_each, for_each_colour};
use crate::color::{GREY, need_grey_or_rgb};
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

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
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &ColorDegenerationParameters,
    ) -> Option<Result<()>> {
        let channels = pixels.shape.channels;
        if let Err(error) = need_grey_or_rgb(Self::CLASS, channels) {
            return Some(Err(error));
        }
        let (range, factor) = (P::units(self.value_range, pixels.range)?, parameters.factor);
        if channels == 1 {
            for_each(pixels.data, |value| P::from_f32(range.clip(value.to_f32())));
        } else {
            for_each_colour(pixels.data, channels, Degenerated { range, factor });
        }
        Some(Ok(()))
    }
}

/// Colours on the way to their grey.
struct Degenerated {
    range: ValueRange,
    factor: f32,
}

impl Recolour for Degenerated {
    #[inline(always)]
    fn of(&self, [red, green, blue]: [f32; 3]) -> [f32; 3] {
        let grey = red * GREY[0] + green * GREY[1] + blue * GREY[2];
        [
            self.range.clip(red + self.factor * (grey - red)),
            self.range.clip(green + self.factor * (grey - green)),
            self.range.clip(blue + self.factor * (grey - blue)),
        ]
    }
}
