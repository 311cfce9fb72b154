//! Mean 0, variance 1.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::{NoParameters, PerChannel};
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::transform::Transformation;

/// $ y = (x - \mu) / \max(\sigma, 10^{-7}) $ with given mean and variance. Keras: `Normalization` with `axis=-1` or `None`.
///
/// [`Normalization::adapted_to`] computes them from images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Normalization {
    /// Mean, of all values or of each channel.
    pub mean: PerChannel,
    /// Variance, of all values or of each channel.
    pub variance: PerChannel,
    /// Undo it instead: $ y = \mu + x \max(\sigma, 10^{-7}) $.
    pub invert: bool,
}

impl Default for Normalization {
    fn default() -> Self {
        Self {
            mean: PerChannel::All(0.0),
            variance: PerChannel::All(1.0),
            invert: false,
        }
    }
}

impl Normalization {
    /// Mean and (biased) variance of each channel over all of these images, as `Normalization.adapt()` of Keras.
    ///
    /// # Errors
    /// Where there are no images, or they differ in their number of channels, or hold values that are not finite.
    pub fn adapted_to<'a>(images: impl IntoIterator<Item = &'a Image>) -> Result<Self> {
        let mut sums: Vec<(f64, f64)> = Vec::new();
        let mut pixels = 0usize;
        for image in images {
            image.check()?;
            if pixels == 0 {
                sums = vec![(0.0, 0.0); image.channels];
            } else if sums.len() != image.channels {
                let expected = "the same number of channels in all images";
                return Err(Error::Channels {
                    transformation: Self::CLASS,
                    expected,
                    found: image.channels,
                });
            }
            pixels += image.height * image.width;
            for pixel in image.data.chunks_exact(image.channels) {
                for ((sum, squares), &value) in sums.iter_mut().zip(pixel) {
                    *sum += f64::from(value);
                    *squares += f64::from(value) * f64::from(value);
                }
            }
        }
        if pixels == 0 {
            return Err(Error::EmptyImage {
                height: 0,
                width: 0,
                channels: 0,
            });
        }
        let n = pixels as f64;
        let mean: Vec<f64> = sums.iter().map(|(sum, _)| sum / n).collect();
        let variance = sums
            .iter()
            .zip(&mean)
            .map(|((_, squares), m)| (squares / n - m * m).max(0.0))
            .collect();
        Ok(Self {
            mean: PerChannel::Each(mean),
            variance: PerChannel::Each(variance),
            invert: false,
        })
    }
}

impl Transformation for Normalization {
    const CLASS: &'static str = "Normalization";
    const NAME: &'static str = "normalize";
    const ABOUT: &'static str = "subtracts a mean and divides by a standard deviation";
    const ARGUMENTS: &'static [&'static str] = &["mean", "variance", "invert"];
    const REQUIRED: usize = 2;
    type Parameters = NoParameters;

    fn check(&self) -> Result<()> {
        self.mean.check(Self::CLASS, "mean", f64::MIN)?;
        self.variance.check(Self::CLASS, "variance", 0.0)
    }

    fn draw(&self, _draws: &mut Draws, _shape: ImageShape) -> NoParameters {
        NoParameters {}
    }

    fn apply(&self, image: &mut Image, _parameters: &NoParameters) -> Result<()> {
        self.mean.check_channels(Self::CLASS, image)?;
        self.variance.check_channels(Self::CLASS, image)?;
        let per_channel: Vec<(f32, f32)> = (0..image.channels)
            .map(|c| (self.mean.of(c) as f32, (self.variance.of(c) as f32).sqrt().max(1e-7)))
            .collect();
        for pixel in image.data.chunks_exact_mut(image.channels) {
            for (value, (mean, deviation)) in pixel.iter_mut().zip(&per_channel) {
                *value = if self.invert {
                    mean + *value * deviation
                } else {
                    (*value - mean) / deviation
                };
            }
        }
        Ok(())
    }
}
