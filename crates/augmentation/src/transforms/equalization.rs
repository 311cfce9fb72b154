//! Histogram equalization.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::NoParameters;
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Spreads the values of each channel so that their distribution becomes as even as it can. Keras: `Equalization`.
///
/// $$ y = \operatorname{round}\Bigl(255\,\frac{C(b(x)) - C_{min}}{n - C_{min}}\Bigr) $$ with the cumulated histogram
/// `C` and the bin `b(x)`. Keras takes one histogram over a whole batch, so that an image changes with its company;
/// a pipeline takes that of the image itself. [`Equalization::apply_batch`] does it Keras' way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Equalization {
    /// The values that pixels may have.
    pub value_range: ValueRange,
    /// Bins of the histogram, 2 to 65,536.
    pub bins: usize,
}

impl Default for Equalization {
    fn default() -> Self {
        Self {
            value_range: ValueRange::BYTES,
            bins: 256,
        }
    }
}

impl Equalization {
    /// Equalizes images with one histogram a channel over all of them.
    ///
    /// # Errors
    /// Where the images differ in their number of channels.
    pub fn apply_batch(&self, images: &mut [Image]) -> Result<()> {
        self.check()?;
        let Some(first) = images.first() else { return Ok(()) };
        let channels = first.channels;
        if let Some(other) = images.iter().find(|image| image.channels != channels) {
            let expected = "the same number of channels in all images";
            return Err(Error::Channels {
                transformation: Self::CLASS,
                expected,
                found: other.channels,
            });
        }
        for channel in 0..channels {
            let mut histogram = vec![0u64; self.bins];
            for image in images.iter() {
                for &value in image.data.iter().skip(channel).step_by(channels) {
                    histogram[self.bin(value)] += 1;
                }
            }
            let Some(table) = lookup_table(&histogram) else {
                continue;
            };
            for image in images.iter_mut() {
                for value in image.data.iter_mut().skip(channel).step_by(channels) {
                    *value = self.value_range.unscale_bytes(table[self.bin(*value)]);
                }
            }
        }
        Ok(())
    }

    /// Truncated, with the last bin at 255.
    fn bin(&self, value: f32) -> usize {
        let level = self.value_range.to_bytes(value);
        // `as usize` is 0 for negative numbers and NaN.
        ((level * (self.bins - 1) as f32 / 255.0) as usize).min(self.bins - 1)
    }
}

/// Levels of a byte.
const LEVELS: usize = 256;

/// What each bin becomes; `None` where all values lie in one bin.
fn lookup_table(histogram: &[u64]) -> Option<Vec<f32>> {
    let lowest = histogram.iter().copied().find(|&n| n > 0)?;
    let total: u64 = histogram.iter().sum();
    if total == lowest {
        return None;
    }
    let mut cumulated = 0;
    let table = histogram.iter().map(|&n| {
        cumulated += n;
        let part = cumulated.saturating_sub(lowest) as f64 * 255.0 / (total - lowest) as f64;
        part.round_ties_even().clamp(0.0, 255.0) as f32
    });
    Some(table.collect())
}

impl Transformation for Equalization {
    const CLASS: &'static str = "Equalization";
    const NAME: &'static str = "equalize";
    const ABOUT: &'static str = "spreads the values of each channel evenly";
    const ARGUMENTS: &'static [&'static str] = &["value_range", "bins"];
    const REQUIRED: usize = 0;
    type Parameters = NoParameters;

    fn check(&self) -> Result<()> {
        Factor::Single(self.bins as f64).check(Self::CLASS, "bins", 2.0, 65536.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, _draws: &mut Draws, _shape: ImageShape) -> NoParameters {
        NoParameters {}
    }

    fn apply(&self, image: &mut Image, _parameters: &NoParameters) -> Result<()> {
        self.apply_batch(std::slice::from_mut(image))
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        _parameters: &NoParameters,
    ) -> Option<Result<()>> {
        P::units(self.value_range, pixels.range)?;
        let channels = pixels.shape.channels;
        let bytes = P::bytes(pixels.data).filter(|_| self.bins == LEVELS)?;
        let mut histograms = vec![[0u64; LEVELS]; channels];
        for pixel in bytes.chunks_exact(channels) {
            for (histogram, &value) in histograms.iter_mut().zip(pixel) {
                histogram[usize::from(value)] += 1;
            }
        }
        let table = |histogram: &[u64; LEVELS]| -> [u8; LEVELS] {
            let table = lookup_table(histogram);
            std::array::from_fn(|level| table.as_ref().map_or(level as u8, |table| table[level] as u8))
        };
        let tables: Vec<[u8; LEVELS]> = histograms.iter().map(table).collect();
        for pixel in bytes.chunks_exact_mut(channels) {
            for (value, table) in pixel.iter_mut().zip(&tables) {
                *value = table[usize::from(*value)];
            }
        }
        Some(Ok(()))
    }
}
