//! Grey.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::arithmetic::{Recolour, for_each_colour};
use crate::color::{GREY, need_grey_or_rgb};
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::Factor;
use crate::transform::{Transformation, on_image};

/// Replaces the colours of RGB images by grey with a probability. Keras: `RandomGrayscale`.
///
/// $$ y = 0.2989 R + 0.5870 G + 0.1140 B $$ in all three channels. A grey image stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomGrayscale {
    /// The probability, in [0, 1].
    pub factor: f64,
}

impl Default for RandomGrayscale {
    fn default() -> Self {
        Self { factor: 0.5 }
    }
}

/// What one application is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrayscaleParameters {
    /// Whether the image turns grey.
    pub should_apply: bool,
}

impl Transformation for RandomGrayscale {
    const CLASS: &'static str = "RandomGrayscale";
    const NAME: &'static str = "grayscale";
    const ABOUT: &'static str = "replaces colours by grey with a probability (RGB)";
    const ARGUMENTS: &'static [&'static str] = &["factor"];
    const REQUIRED: usize = 0;
    type Parameters = GrayscaleParameters;

    fn check(&self) -> Result<()> {
        Factor::Single(self.factor).check(Self::CLASS, "factor", 0.0, 1.0)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> GrayscaleParameters {
        GrayscaleParameters {
            should_apply: draws.bernoulli(self.factor),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &GrayscaleParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &GrayscaleParameters,
    ) -> Option<Result<()>> {
        let channels = pixels.shape.channels;
        if let Err(error) = need_grey_or_rgb(Self::CLASS, channels) {
            return Some(Err(error));
        }
        if !parameters.should_apply || channels < 3 {
            return Some(Ok(()));
        }
        // The weights do not quite sum to 1, so that levels are weighed like values only where both begin with 0.
        if P::LEVELS && pixels.range.low != 0.0 {
            return None;
        }
        for_each_colour(pixels.data, channels, Greyed);
        Some(Ok(()))
    }
}

struct Greyed;

impl Recolour for Greyed {
    #[inline(always)]
    fn of(&self, [red, green, blue]: [f32; 3]) -> [f32; 3] {
        [red * GREY[0] + green * GREY[1] + blue * GREY[2]; 3]
    }
}
