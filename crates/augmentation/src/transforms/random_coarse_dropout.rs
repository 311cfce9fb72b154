//! Many patches erased.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::PerChannel;
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

/// The most holes of an image.
const MOST: f64 = 1000.0;

/// Fills a random number of rectangles with a value; with one hole of half the sides it is Cutout.
///
/// Not a Keras class; albumentations calls it `CoarseDropout`.
/// DeVries, Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomCoarseDropout {
    /// The number of holes, 0 to 1000; one number `n` means 1 to `n`.
    pub holes: Factor,
    /// The sides of a hole in parts of height and width, in [0, 1]; one number `s` means `[0, s]`.
    pub size: Factor,
    /// What a hole is filled with: one value, or one a channel.
    pub fill_value: PerChannel,
    /// The values that pixels may have; the fill is clipped to it.
    pub value_range: ValueRange,
}

impl Default for RandomCoarseDropout {
    fn default() -> Self {
        Self {
            holes: Factor::Single(8.0),
            size: Factor::Pair([0.05, 0.2]),
            fill_value: PerChannel::All(0.0),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one application is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoarseDropoutParameters {
    /// `[x0, x1, y0, y1]` in pixels: columns `x0 <= x < x1` and rows `y0 <= y < y1` are filled.
    pub holes: Vec<[usize; 4]>,
}

impl Transformation for RandomCoarseDropout {
    const CLASS: &'static str = "RandomCoarseDropout";
    const NAME: &'static str = "coarse_dropout";
    const ABOUT: &'static str = "fills several rectangles with a value";
    const ARGUMENTS: &'static [&'static str] = &["holes", "size", "fill_value", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = CoarseDropoutParameters;

    fn check(&self) -> Result<()> {
        self.holes.check(Self::CLASS, "holes", 0.0, MOST)?;
        self.size.check(Self::CLASS, "size", 0.0, 1.0)?;
        self.fill_value.check(Self::CLASS, "fill_value", f64::MIN)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> CoarseDropoutParameters {
        let (low, high) = match self.holes {
            Factor::Single(most) => (most.min(1.0), most),
            Factor::Pair(_) => self.holes.bounds(0.0),
        };
        let (low, high) = (low.round() as usize, high.round() as usize);
        let count = low + draws.below(high - low + 1);
        let (smallest, largest) = self.size.bounds(0.0);
        let mut side = |n: usize| {
            let length = (draws.uniform_in(smallest, largest) * n as f64).round() as usize;
            let start = draws.below(n - length.min(n) + 1);
            (start, (start + length).min(n))
        };
        let mut hole = || {
            let ((x0, x1), (y0, y1)) = (side(shape.width), side(shape.height));
            [x0, x1, y0, y1]
        };
        CoarseDropoutParameters {
            holes: (0..count).map(|_| hole()).collect(),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &CoarseDropoutParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &CoarseDropoutParameters,
    ) -> Option<Result<()>> {
        let ImageShape {
            height,
            width,
            channels,
        } = pixels.shape;
        if let Err(error) = self.fill_value.check_channels(Self::CLASS, channels) {
            return Some(Err(error));
        }
        let unit = |c: usize| P::in_units(self.value_range.clip(self.fill_value.of(c) as f32), pixels.range);
        let fill: Vec<P> = (0..channels).map(|c| P::from_f32(unit(c))).collect();
        for &[x0, x1, y0, y1] in &parameters.holes {
            if x0 > x1 || y0 > y1 || x1 > width || y1 > height {
                return Some(Err(Error::Parameters {
                    transformation: Self::CLASS,
                    reason: format!(
                        "a hole of columns {x0} to {x1} and rows {y0} to {y1} in {}",
                        pixels.shape
                    ),
                }));
            }
            for row in pixels.data.chunks_exact_mut(width * channels).take(y1).skip(y0) {
                for pixel in row[x0 * channels..x1 * channels].chunks_exact_mut(channels) {
                    pixel.copy_from_slice(&fill);
                }
            }
        }
        Some(Ok(()))
    }
}
