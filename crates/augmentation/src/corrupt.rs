//! Corruptions for robustness studies: the same image, damaged in five strengths.
//!
//! In the manner of CIFAR-10-C (Hendrycks, Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
//! Perturbations", 2019): a network that was trained on clean images is tested on damaged ones, and its accuracy is read
//! against the severity. Unlike an augmentation, the strength is fixed by the severity; only what remains (direction of a
//! turn, the noise itself) is drawn. Shifts and blurs scale with the smaller side of the image, so that severity 3
//! means about the same to a digit of 8x8 and to a photo.
//!
//! ```
//! use augmentation::corrupt::{self, Corruption};
//! use augmentation::{Image, Pipeline, ValueRange};
//!
//! let clean = Image::new(8, 8, 1, (0..64).map(|v| v as f32 / 63.0).collect())?;
//! for corruption in corrupt::ALL {
//!     for severity in 1..=5 {
//!         let mut image = clean.clone();
//!         corruption.apply(&mut image, severity, ValueRange::UNIT, kernels::random::Stream::new(1).sample(0))?;
//!         assert_ne!(image, clean, "{corruption} {severity}");
//!     }
//! }
//! # Ok::<(), augmentation::Error>(())
//! ```

use kernels::random::{Draws, Stream};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::geometry::{FillMode, Interpolation, Matrix, Warp};
use crate::image::{Image, ImageShape};
use crate::range::ValueRange;
use crate::transform::Transformation;
use crate::transforms::{
    ContrastParameters, RandomContrast, RandomRotation, RotationParameters, convolve_edge_padded, gaussian,
};

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Corruption {
    /// Turned by 6, 12, 20, 30 or 45 degrees, left or right; the border pixels are repeated outwards.
    Rotation,
    /// Shifted by 3, 6, 10, 14 or 20 % of the smaller side (at least a quarter of a pixel) in a random direction.
    Shift,
    /// Normal noise of standard deviation 4, 8, 12, 18 or 26 % of the value range.
    GaussianNoise,
    /// Gaussian blur with a standard deviation of 1.5, 2.5, 3.5, 5 or 7 % of the smaller side (at least 0.3 pixels).
    Blur,
    /// Contrast lowered to 75, 50, 40, 30 or 15 % around the mean of each channel.
    Contrast,
}

/// All corruptions.
pub const ALL: [Corruption; 5] = [
    Corruption::Rotation,
    Corruption::Shift,
    Corruption::GaussianNoise,
    Corruption::Blur,
    Corruption::Contrast,
];

impl std::fmt::Display for Corruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Corruption {
    /// `rotation`, `shift`, `gaussian_noise`, `blur` or `contrast`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rotation => "rotation",
            Self::Shift => "shift",
            Self::GaussianNoise => "gaussian_noise",
            Self::Blur => "blur",
            Self::Contrast => "contrast",
        }
    }

    /// The strength of a severity, in the units of [`unit`](Self::unit), for an image of this shape.
    ///
    /// # Errors
    /// [`Error::Severity`] outside of 1..=5.
    pub fn strength(self, severity: u8, shape: ImageShape) -> Result<f64> {
        let side = shape.height.min(shape.width) as f64;
        let pick = |values: [f64; 5]| {
            severity
                .checked_sub(1)
                .and_then(|i| values.get(usize::from(i)).copied())
                .ok_or(Error::Severity { found: severity })
        };
        match self {
            Self::Rotation => pick([6.0, 12.0, 20.0, 30.0, 45.0]),
            Self::Shift => Ok((pick([0.03, 0.06, 0.10, 0.14, 0.20])? * side).max(0.25)),
            Self::GaussianNoise => pick([0.04, 0.08, 0.12, 0.18, 0.26]),
            Self::Blur => Ok((pick([0.015, 0.025, 0.035, 0.05, 0.07])? * side).max(0.3 + 0.05 * f64::from(severity))),
            Self::Contrast => pick([0.75, 0.5, 0.4, 0.3, 0.15]),
        }
    }

    /// What [`strength`](Self::strength) is measured in.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Rotation => "degrees",
            Self::Shift | Self::Blur => "pixels",
            Self::GaussianNoise => "parts of the value range",
            Self::Contrast => "of the contrast left",
        }
    }

    /// Damages an image; what is random comes from the stream, keyed further by the name of the corruption.
    ///
    /// The same stream draws the same direction and the same noise at every severity, so that severities differ in
    /// nothing but their strength.
    ///
    /// # Errors
    /// Where the severity does not exist, or the image is empty or has values that are not finite.
    pub fn apply(self, image: &mut Image, severity: u8, value_range: ValueRange, stream: Stream) -> Result<()> {
        image.check()?;
        value_range.check("Corruption")?;
        let strength = self.strength(severity, image.shape())?;
        let mut draws = stream.op("corruption").op(self.name()).draws();
        match self {
            Self::Rotation => rotate(image, strength, &mut draws),
            Self::Shift => shift(image, strength, &mut draws),
            Self::GaussianNoise => {
                let scale = strength as f32 * value_range.width();
                let mut noise = vec![0f32; image.data.len()];
                draws.fill_normal(&mut noise, 0.0, scale);
                for (value, noise) in image.data.iter_mut().zip(noise) {
                    *value = value_range.clip(*value + noise);
                }
            }
            Self::Blur => blur(image, strength as f32),
            Self::Contrast => {
                let parameters = ContrastParameters {
                    contrast_factor: strength as f32,
                };
                RandomContrast {
                    value_range,
                    ..Default::default()
                }
                .apply(image, &parameters)?;
            }
        }
        Ok(())
    }

    /// Damages a batch of images of one shape `(height, width, channels)` in place, on all threads; `samples` are their
    /// indices in the data set, so that an image is damaged in the same way in any batch.
    ///
    /// # Errors
    /// As [`Corruption::apply`], for the first image that fails.
    pub fn apply_batch(
        self,
        images: &mut [f32],
        shape: (usize, usize, usize),
        samples: &[u64],
        severity: u8,
        value_range: ValueRange,
        seed: u64,
    ) -> Result<()> {
        let ImageShape {
            height,
            width,
            channels,
        } = shape.into();
        let size = ImageShape::from(shape).values()?;
        if !images.len().is_multiple_of(size) {
            return Err(Error::WrongLength {
                height,
                width,
                channels,
                found: images.len(),
            });
        }
        let count = images.len() / size;
        if samples.len() != count {
            return Err(Error::Samples {
                samples: samples.len(),
                images: count,
            });
        }
        let damage = |(pixels, &sample): (&mut [f32], &u64)| {
            let mut image = Image {
                height,
                width,
                channels,
                data: pixels.to_vec(),
            };
            self.apply(&mut image, severity, value_range, Stream::new(seed).sample(sample))?;
            pixels.copy_from_slice(&image.data);
            Ok(())
        };
        let outcomes: Vec<Result<()>> = images.par_chunks_exact_mut(size).zip(samples).map(damage).collect();
        outcomes.into_iter().collect()
    }
}

fn rotate(image: &mut Image, degrees: f64, draws: &mut Draws) {
    let angle = if draws.bernoulli(0.5) { degrees } else { -degrees };
    let rotation = RandomRotation {
        fill_mode: FillMode::Nearest,
        ..Default::default()
    };
    if let Some(warp) = rotation.warp(&RotationParameters { angle }, image.shape()) {
        warp.apply(image);
    }
}

fn shift(image: &mut Image, pixels: f64, draws: &mut Draws) {
    let (sin, cos) = draws.uniform_in(0.0, std::f64::consts::TAU).sin_cos();
    let matrix = Matrix::affine([1.0, 0.0, -pixels * cos], [0.0, 1.0, -pixels * sin]);
    Warp::new(matrix, Interpolation::Bilinear, FillMode::Nearest, 0.0).apply(image);
}

/// Gaussian blur, the border pixels repeated outwards so that the image does not darken there.
fn blur(image: &mut Image, sigma: f32) {
    // Three standard deviations to either side hold 99.7 % of the weight.
    let size = 2 * ((3.0 * sigma).ceil() as usize) + 1;
    let kernel = gaussian(size, sigma);
    image.data = convolve_edge_padded(image, &kernel);
}
