//! Blur.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::blur;
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

/// Blurs with a Gaussian kernel with a probability. Keras: `RandomGaussianBlur`.
///
/// $$ y = \operatorname{clip}(x * g), \quad g(i, j) \propto e^{-i^2 / 2\sigma_y^2}\, e^{-j^2 / 2\sigma_x^2} $$
/// with zeros outside of the image. Keras reshapes a kernel of (columns, rows) to (rows, columns), so a kernel that is
/// not square is scrambled; this does the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomGaussianBlur {
    /// The probability, in [0, 1], itself drawn from this range; one number `f` means `[0, f]`, on average `f / 2`.
    pub factor: Factor,
    /// Rows and columns of the kernel, 1 to 255 each, odd.
    pub kernel_size: KernelSize,
    /// The range of both standard deviations in pixels, in [0, 1]; one number `s` means `[0, s]`.
    pub sigma: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

/// One size or a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KernelSize {
    /// A square.
    Square(usize),
    /// `[first, second]`, as Keras takes them.
    Pair([usize; 2]),
}

impl KernelSize {
    fn pair(self) -> [usize; 2] {
        match self {
            Self::Square(n) => [n, n],
            Self::Pair(pair) => pair,
        }
    }
}

impl Default for RandomGaussianBlur {
    fn default() -> Self {
        Self {
            factor: Factor::Single(1.0),
            kernel_size: KernelSize::Square(3),
            sigma: Factor::Single(1.0),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one blur is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlurParameters {
    /// Whether anything happens.
    pub should_apply_blur: bool,
    /// The standard deviations along x and y, in pixels.
    pub blur_factor: [f32; 2],
}

impl Transformation for RandomGaussianBlur {
    const CLASS: &'static str = "RandomGaussianBlur";
    const NAME: &'static str = "blur";
    const ABOUT: &'static str = "blurs with a Gaussian kernel with a probability";
    const ARGUMENTS: &'static [&'static str] = &["factor", "kernel_size", "sigma", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = BlurParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", 0.0, 1.0)?;
        self.sigma.check(Self::CLASS, "sigma", 0.0, 1.0)?;
        let sizes = self.kernel_size.pair();
        if sizes.iter().any(|n| n % 2 == 0 || *n > 255) {
            return Err(Error::Argument {
                transformation: Self::CLASS,
                argument: "kernel_size",
                found: format!("{sizes:?}"),
                expected: "odd numbers between 1 and 255".into(),
            });
        }
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> BlurParameters {
        let (low, high) = self.factor.bounds(0.0);
        let probability = draws.uniform_in(low, high);
        let should_apply_blur = draws.bernoulli(probability);
        let (low, high) = self.sigma.bounds(0.0);
        let blur_factor = [draws.uniform_in(low, high) as f32, draws.uniform_in(low, high) as f32];
        BlurParameters {
            should_apply_blur,
            blur_factor,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &BlurParameters) -> Result<()> {
        if !parameters.should_apply_blur {
            return Ok(());
        }
        let [k0, k1] = self.kernel_size.pair();
        let [sigma_x, sigma_y] = parameters.blur_factor;
        let (along_x, along_y) = (gaussian(k0, sigma_x), gaussian(k1, sigma_y));
        if k0 == k1 && blur::has(k0) {
            return on_image(self, image, parameters);
        }
        if k0 == k1 {
            // A square kernel is a product: one axis after the other reads 2 k pixels instead of k².
            image.data = convolve_zero_padded(image, &along_y, k1, 1);
            image.data = convolve_zero_padded(image, &along_x, 1, k0);
        } else {
            let of_row = |y: &f32| along_x.iter().map(|x| y * x).collect::<Vec<f32>>();
            let kernel: Vec<f32> = along_y.iter().flat_map(of_row).collect();
            image.data = convolve_zero_padded(image, &kernel, k0, k1);
        }
        for value in &mut image.data {
            *value = self.value_range.clip(*value);
        }
        Ok(())
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &BlurParameters,
    ) -> Option<Result<()>> {
        if !parameters.should_apply_blur {
            return Some(Ok(()));
        }
        let [k0, k1] = self.kernel_size.pair();
        let units = P::units(self.value_range, pixels.range)?;
        // Outside of the image is the value 0, which bytes have where their range begins with it.
        if k0 != k1 || !blur::has(k0) || (P::LEVELS && self.value_range.low != 0.0) {
            return None;
        }
        let from_middle = |sigma: f32| gaussian(k0, sigma)[k0 / 2..].to_vec();
        let [right, down] = parameters.blur_factor.map(from_middle);
        blur::separable(pixels.data, pixels.shape, &down, &right, units);
        Some(Ok(()))
    }
}

/// Samples of a Gaussian at whole pixels around 0, summing to 1; a single 1 in the middle for a deviation near 0.
pub(crate) fn gaussian(size: usize, sigma: f32) -> Vec<f32> {
    let middle = (size / 2) as f64;
    let sigma = f64::from(sigma).max(1e-3);
    let values: Vec<f64> = (0..size)
        .map(|i| (-((i as f64 - middle) / sigma).powi(2) / 2.0).exp())
        .collect();
    let sum: f64 = values.iter().sum();
    values.into_iter().map(|v| (v / sum) as f32).collect()
}

/// Every channel convolved (correlated) with a kernel of odd sides, with zeros outside of the image.
pub(crate) fn convolve_zero_padded(image: &Image, kernel: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let (height, width, channels) = (image.height, image.width, image.channels);
    let mut out = vec![0f32; image.data.len()];
    let row_length = width * channels;
    for (y, out_row) in out.chunks_exact_mut(row_length).enumerate() {
        for ky in 0..rows {
            let Some(from_y) = (y + ky).checked_sub(rows / 2).filter(|&i| i < height) else {
                continue;
            };
            let row = &image.data[from_y * row_length..(from_y + 1) * row_length];
            for kx in 0..columns {
                let weight = kernel[ky * columns + kx];
                // Output columns whose input column x + kx - columns / 2 lies inside.
                let first = (columns / 2).saturating_sub(kx);
                let last = (width + columns / 2).saturating_sub(kx).min(width);
                if first >= last {
                    continue;
                }
                let from = (first + kx - columns / 2) * channels;
                let (from, to) = (&row[from..], &mut out_row[first * channels..last * channels]);
                for (value, input) in to.iter_mut().zip(from) {
                    *value += weight * input;
                }
            }
        }
    }
    out
}

/// Every channel convolved with the same symmetric kernel along both axes, the border pixels repeated outwards.
pub(crate) fn convolve_edge_padded(image: &Image, kernel: &[f32]) -> Vec<f32> {
    let (height, width, channels) = (image.height, image.width, image.channels);
    let reach = kernel.len() / 2;
    // The place that tap `k` reads for the place `i` of `n`.
    let tap = |i: usize, k: usize, n: usize| (i + k).saturating_sub(reach).min(n - 1);
    let mut rows = vec![0f32; image.data.len()];
    let row_length = width * channels;
    for (out, row) in rows
        .chunks_exact_mut(row_length)
        .zip(image.data.chunks_exact(row_length))
    {
        for (i, value) in out.iter_mut().enumerate() {
            let read = |(k, weight): (usize, &f32)| weight * row[tap(i / channels, k, width) * channels + i % channels];
            *value = kernel.iter().enumerate().map(read).sum();
        }
    }
    let mut out = vec![0f32; rows.len()];
    for (y, out_row) in out.chunks_exact_mut(row_length).enumerate() {
        for (k, weight) in kernel.iter().enumerate() {
            let row = &rows[tap(y, k, height) * row_length..][..row_length];
            for (value, input) in out_row.iter_mut().zip(row) {
                *value += weight * input;
            }
        }
    }
    out
}
