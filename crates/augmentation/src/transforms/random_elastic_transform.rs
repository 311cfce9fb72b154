//! Elastic deformation.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::{convolve_zero_padded, gaussian};
use crate::error::Result;
use crate::geometry::{FillMode, Interpolation};
use crate::image::{Image, ImageShape};
use crate::noise::Noise;
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Deforms an image as if it were printed on rubber. Keras: `RandomElasticTransform`.
///
/// $$ y(i, j) = x(i + d_{ij},\; j + d_{ij}), \quad d = \alpha \sigma\, (n * g_\sigma), \quad
///    \alpha = 0.1 f \max(h, w),\; \sigma = 0.05 f \min(h, w) $$
/// with standard normal noise `n` and a strength `f` from `scale`. Keras draws both displacements from the same seed, so
/// that they are equal and everything moves along the diagonal; without smoothing where `sigma` is below 1.
/// Simard, Steinkraus, Platt, "Best Practices for Convolutional Neural Networks", 2003.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomElasticTransform {
    /// The probability, in [0, 1], itself drawn from this range; one number `f` means `[0, f]`, on average `f / 2`.
    pub factor: Factor,
    /// The range of the strength, in [0, 1]; one number means `[0, f]`.
    pub scale: Factor,
    /// Between the pixels.
    pub interpolation: Interpolation,
    /// What moves in at the border.
    pub fill_mode: FillMode,
    /// The value of fill mode `constant`.
    pub fill_value: f32,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomElasticTransform {
    fn default() -> Self {
        Self {
            factor: Factor::Single(1.0),
            scale: Factor::Single(1.0),
            interpolation: Interpolation::Bilinear,
            fill_mode: FillMode::Reflect,
            fill_value: 0.0,
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one deformation is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElasticParameters {
    /// Whether anything happens.
    pub apply_transform: bool,
    /// The strength, in [0, 1].
    pub distortion_factor: f32,
    /// Standard normal numbers, one a pixel.
    pub noise: Noise,
}

impl Transformation for RandomElasticTransform {
    const CLASS: &'static str = "RandomElasticTransform";
    const NAME: &'static str = "elastic";
    const ABOUT: &'static str = "deforms as if printed on rubber, with a probability";
    const ARGUMENTS: &'static [&'static str] = &[
        "factor",
        "scale",
        "interpolation",
        "fill_mode",
        "fill_value",
        "value_range",
    ];
    const REQUIRED: usize = 0;
    type Parameters = ElasticParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", 0.0, 1.0)?;
        self.scale.check(Self::CLASS, "scale", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> ElasticParameters {
        let (low, high) = self.factor.bounds(0.0);
        let probability = draws.uniform_in(low, high);
        let apply_transform = draws.bernoulli(probability);
        let (low, high) = self.scale.bounds(0.0);
        let distortion_factor = draws.uniform_in(low, high) as f32;
        ElasticParameters {
            apply_transform,
            distortion_factor,
            noise: Noise::draw(draws),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &ElasticParameters) -> Result<()> {
        if parameters.apply_transform {
            let (height, width, channels) = (image.height, image.width, image.channels);
            let alpha = height.max(width) as f32 * (0.1 * parameters.distortion_factor);
            let sigma = height.min(width) as f32 * (0.05 * parameters.distortion_factor);
            let mut noise = parameters.noise.normal(Self::CLASS, height * width)?;
            noise.iter_mut().for_each(|n| *n *= sigma);
            let field = smoothed(
                Image {
                    height,
                    width,
                    channels: 1,
                    data: noise,
                },
                sigma,
            );
            let mut out = vec![0f32; image.data.len()];
            let reader = Reader { image, rule: self };
            for ((i, pixel), d) in out.chunks_exact_mut(channels).enumerate().zip(field) {
                reader.read((i / width) as f32 + alpha * d, (i % width) as f32 + alpha * d, pixel);
            }
            image.data = out;
        }
        for value in &mut image.data {
            *value = self.value_range.clip(*value);
        }
        Ok(())
    }
}

/// The noise, blurred along both axes where `sigma` is at least 1.
fn smoothed(noise: Image, sigma: f32) -> Vec<f32> {
    if sigma < 1.0 {
        return noise.data;
    }
    let size = (6 * sigma as usize) | 1;
    let kernel = gaussian(size, sigma);
    let rows = convolve_zero_padded(&noise, &kernel, size, 1);
    convolve_zero_padded(&Image { data: rows, ..noise }, &kernel, 1, size)
}

/// Keras' `map_coordinates`, which differs from the affine layers: it folds the index of each neighbour instead of the
/// coordinate, and `nearest` rounds half to even.
struct Reader<'a> {
    image: &'a Image,
    rule: &'a RandomElasticTransform,
}

impl Reader<'_> {
    fn read(&self, y: f32, x: f32, out: &mut [f32]) {
        out.fill(0.0);
        match self.rule.interpolation {
            Interpolation::Nearest => self.add(y.round_ties_even() as i64, x.round_ties_even() as i64, 1.0, out),
            Interpolation::Bilinear => {
                let (top, left) = (y.floor(), x.floor());
                let (dy, dx) = (y - top, x - left);
                let (top, left) = (top as i64, left as i64);
                self.add(top, left, (1.0 - dy) * (1.0 - dx), out);
                self.add(top, left + 1, (1.0 - dy) * dx, out);
                self.add(top + 1, left, dy * (1.0 - dx), out);
                self.add(top + 1, left + 1, dy * dx, out);
            }
        }
    }

    fn add(&self, y: i64, x: i64, weight: f32, out: &mut [f32]) {
        let mode = self.rule.fill_mode;
        match (fold(y, self.image.height, mode), fold(x, self.image.width, mode)) {
            (Some(y), Some(x)) => {
                for (value, input) in out.iter_mut().zip(self.image.pixel(y, x)) {
                    *value += weight * input;
                }
            }
            _ => out.iter_mut().for_each(|value| *value += weight * self.rule.fill_value),
        }
    }
}

/// The index inside of the image, `None` outside of it; `reflect` repeats the border pixel only on the far side.
fn fold(index: i64, n: usize, mode: FillMode) -> Option<usize> {
    let size = n as i64;
    let folded = match mode {
        FillMode::Constant if (0..size).contains(&index) => index,
        FillMode::Constant => return None,
        FillMode::Nearest => index.clamp(0, size - 1),
        FillMode::Wrap => index.rem_euclid(size),
        FillMode::Reflect => {
            let i = index.saturating_abs() % (2 * size);
            if i < size { i } else { 2 * size - i - 1 }
        }
    };
    Some(folded as usize)
}
