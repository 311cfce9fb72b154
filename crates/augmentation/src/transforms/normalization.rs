//! Mean 0, variance 1.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::{NoParameters, PerChannel};
use crate::arithmetic::for_each_value;
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::transform::Transformation;

/// $ y = (x - \mu) / \max(\sigma, 10^{-7}) $ with given mean and variance. Keras: `Normalization`.
///
/// [`Normalization::adapted_to`] computes them from images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Normalization {
    /// Mean: one for all values, or one for each place along `axis`, row by row.
    pub mean: PerChannel,
    /// Variance, likewise.
    pub variance: PerChannel,
    /// Along which axes the numbers differ where there are several: 1 rows, 2 columns, 3 channels, in this order.
    pub axis: Vec<usize>,
    /// Undo it instead: $ y = \mu + x \max(\sigma, 10^{-7}) $.
    pub invert: bool,
}

impl Default for Normalization {
    fn default() -> Self {
        Self {
            mean: PerChannel::All(0.0),
            variance: PerChannel::All(1.0),
            axis: vec![3],
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
            axis: vec![3],
            invert: false,
        })
    }

    /// Normalizes an image of this shape.
    fn normalize(&self, data: &mut [f32], shape: ImageShape) -> Result<()> {
        let ImageShape {
            height,
            width,
            channels,
        } = shape;
        let sizes = [height, width, channels];
        let places: usize = self.axis.iter().map(|axis| sizes[axis - 1]).product();
        for numbers in [&self.mean, &self.variance] {
            match numbers {
                PerChannel::Each(numbers) if numbers.len() != places && self.axis == [3] => {
                    return Err(Error::Channels {
                        transformation: Self::CLASS,
                        expected: "as many channels as its arguments have numbers",
                        found: channels,
                    });
                }
                PerChannel::Each(numbers) if numbers.len() != places => {
                    return Err(Error::Parameters {
                        transformation: Self::CLASS,
                        reason: format!(
                            "{} numbers for {places} places along the axes {:?} of {}",
                            numbers.len(),
                            self.axis,
                            shape
                        ),
                    });
                }
                _ => {}
            }
        }
        let of_place = |place: usize| {
            let number = |numbers: &PerChannel| numbers.of(place) as f32;
            (number(&self.mean), number(&self.variance).sqrt().max(1e-7))
        };
        let numbers: Vec<(f32, f32)> = (0..places).map(of_place).collect();
        let normal = |value: f32, (mean, deviation): (f32, f32)| {
            if self.invert {
                mean + value * deviation
            } else {
                (value - mean) / deviation
            }
        };
        if self.axis == [3] {
            for_each_value(data, &numbers, normal);
            return Ok(());
        }
        for (i, value) in data.iter_mut().enumerate() {
            let at = [i / channels / width, i / channels % width, i % channels];
            let place = self
                .axis
                .iter()
                .fold(0, |place, axis| place * sizes[axis - 1] + at[axis - 1]);
            *value = normal(*value, numbers[place]);
        }
        Ok(())
    }
}

impl Transformation for Normalization {
    const CLASS: &'static str = "Normalization";
    const NAME: &'static str = "normalize";
    const ABOUT: &'static str = "subtracts a mean and divides by a standard deviation";
    const ARGUMENTS: &'static [&'static str] = &["mean", "variance", "invert", "axis"];
    const REQUIRED: usize = 2;
    type Parameters = NoParameters;
    const KEEPS_RANGE: bool = false;

    fn check(&self) -> Result<()> {
        let ascending = self.axis.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || self.axis.is_empty() || self.axis.iter().any(|axis| !(1..=3).contains(axis)) {
            return Err(Error::Argument {
                transformation: Self::CLASS,
                argument: "axis",
                found: format!("{:?}", self.axis),
                expected: "some of 1 (rows), 2 (columns), 3 (channels), in this order".into(),
            });
        }
        self.mean.check(Self::CLASS, "mean", f64::MIN)?;
        self.variance.check(Self::CLASS, "variance", 0.0)
    }

    fn draw(&self, _draws: &mut Draws, _shape: ImageShape) -> NoParameters {
        NoParameters {}
    }

    fn apply(&self, image: &mut Image, _parameters: &NoParameters) -> Result<()> {
        let shape = image.shape();
        self.normalize(&mut image.data, shape)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        _parameters: &NoParameters,
    ) -> Option<Result<()>> {
        let shape = pixels.shape;
        Some(self.normalize(P::floats(pixels.data)?, shape))
    }
}
