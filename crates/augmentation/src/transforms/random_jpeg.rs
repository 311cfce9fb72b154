//! What JPEG does to an image.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::color::need_grey_or_rgb;
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Side of a block.
const N: usize = 8;

/// Quantization of luminance at quality 50 (ITU-T T.81, table K.1).
#[rustfmt::skip]
const LUMINANCE: [u16; N * N] = [
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// Quantization of chrominance at quality 50 (ITU-T T.81, table K.2).
#[rustfmt::skip]
const CHROMINANCE: [u16; N * N] = [
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
];

/// Compresses an image as JPEG and opens it again: blocks, rings and blurred colours.
///
/// Only the steps that lose something are done: values are rounded to 256 levels, colours become luminance and
/// chrominance, of which the second is halved in both directions (4:2:0), and the coefficients of the cosine transform of
/// each block of 8 x 8 are rounded to multiples of the standard's tables, scaled by the quality as libjpeg does. Not a
/// Keras class; torchvision calls it `JPEG`, albumentations `ImageCompression`. An alpha channel stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomJpeg {
    /// Quality from 1 (worst) to 100: one number for all images, or a pair to draw between.
    pub quality: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomJpeg {
    fn default() -> Self {
        Self {
            quality: Factor::Pair([20.0, 90.0]),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one compression is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JpegParameters {
    /// 1 to 100.
    pub quality: u8,
}

impl Transformation for RandomJpeg {
    const CLASS: &'static str = "RandomJpeg";
    const NAME: &'static str = "jpeg";
    const ABOUT: &'static str = "compresses as JPEG: blocks, rings and blurred colours";
    const ARGUMENTS: &'static [&'static str] = &["quality", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = JpegParameters;

    fn check(&self) -> Result<()> {
        self.quality.check(Self::CLASS, "quality", 1.0, 100.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> JpegParameters {
        let (low, high) = match self.quality {
            Factor::Single(quality) => (quality, quality),
            Factor::Pair(_) => self.quality.bounds(1.0),
        };
        let (low, high) = (low.round() as usize, high.round() as usize);
        JpegParameters {
            quality: (low + draws.below(high - low + 1)) as u8,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &JpegParameters) -> Result<()> {
        need_grey_or_rgb(Self::CLASS, image.channels)?;
        let quality = parameters.quality;
        if !(1..=100).contains(&quality) {
            return Err(Error::Parameters {
                transformation: Self::CLASS,
                reason: format!("quality {quality} is not between 1 and 100"),
            });
        }
        let range = self.value_range;
        let levels: Vec<f32> = image
            .data
            .iter()
            .map(|&v| range.to_bytes(v).round().clamp(0.0, 255.0))
            .collect();
        let (height, width, channels) = (image.height, image.width, image.channels);
        let plane = |data: Vec<f32>| Plane { height, width, data };
        let cosines = cosines();
        let luminance = table(&LUMINANCE, quality);
        if channels < 3 {
            let mut grey = plane(levels.iter().map(|v| v - 128.0).collect());
            grey.compress(&luminance, &cosines);
            for (value, level) in image.data.iter_mut().zip(grey.data) {
                *value = range.unscale_bytes((level + 128.0).round().clamp(0.0, 255.0));
            }
            return Ok(());
        }
        let mut planes = [(); 3].map(|()| plane(Vec::with_capacity(height * width)));
        for pixel in levels.chunks_exact(channels) {
            let (r, g, b) = (pixel[0], pixel[1], pixel[2]);
            planes[0].data.push((0.299 * r + 0.587 * g + 0.114 * b).round() - 128.0);
            planes[1].data.push((-0.168_736 * r - 0.331_264 * g + 0.5 * b).round());
            planes[2].data.push((0.5 * r - 0.418_688 * g - 0.081_312 * b).round());
        }
        let chrominance = table(&CHROMINANCE, quality);
        planes[0].compress(&luminance, &cosines);
        for plane in &mut planes[1..] {
            let mut half = plane.halved();
            half.compress(&chrominance, &cosines);
            *plane = half.doubled(height, width);
        }
        for (i, pixel) in image.data.chunks_exact_mut(channels).enumerate() {
            let (y, cb, cr) = (planes[0].data[i] + 128.0, planes[1].data[i], planes[2].data[i]);
            let rgb = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
            for (value, level) in pixel.iter_mut().zip(rgb) {
                *value = range.unscale_bytes(level.round().clamp(0.0, 255.0));
            }
        }
        Ok(())
    }
}

/// The steps of a table at a quality, as libjpeg scales it.
fn table(at_50: &[u16; N * N], quality: u8) -> [f32; N * N] {
    let quality = u32::from(quality);
    let percent = if quality < 50 {
        5000 / quality
    } else {
        200 - 2 * quality
    };
    at_50.map(|step| ((u32::from(step) * percent + 50) / 100).clamp(1, 255) as f32)
}

/// The orthonormal cosine transform: row `k` weighs the values of frequency `k`.
fn cosines() -> [[f32; N]; N] {
    std::array::from_fn(|k| {
        let scale = if k == 0 {
            (1.0 / N as f64).sqrt()
        } else {
            (2.0 / N as f64).sqrt()
        };
        std::array::from_fn(|i| {
            let angle = std::f64::consts::PI * (i as f64 + 0.5) * k as f64 / N as f64;
            (scale * angle.cos()) as f32
        })
    })
}

/// One channel.
struct Plane {
    height: usize,
    width: usize,
    data: Vec<f32>,
}

impl Plane {
    /// Rounds the coefficients of each block; blocks over the border repeat its pixels.
    fn compress(&mut self, steps: &[f32; N * N], cosines: &[[f32; N]; N]) {
        for top in (0..self.height).step_by(N) {
            for left in (0..self.width).step_by(N) {
                let block: [[f32; N]; N] = std::array::from_fn(|y| {
                    let row = (top + y).min(self.height - 1) * self.width;
                    std::array::from_fn(|x| self.data[row + (left + x).min(self.width - 1)])
                });
                let mut coefficients = product(cosines, &transposed(&product(cosines, &transposed(&block))));
                for (value, step) in coefficients.iter_mut().flatten().zip(steps) {
                    *value = (*value / step).round() * step;
                }
                // Back: the transpose of an orthonormal matrix is its inverse.
                let back = transposed(cosines);
                let block = product(&back, &transposed(&product(&back, &transposed(&coefficients))));
                for (y, row) in block.iter().enumerate().take(self.height - top) {
                    for (x, value) in row.iter().enumerate().take(self.width - left) {
                        self.data[(top + y) * self.width + left + x] = value.round().clamp(-128.0, 127.0);
                    }
                }
            }
        }
    }

    /// Half the size, rounded up: means of 2 x 2, which are rounded down and up in turns, as in libjpeg; and so many columns more that
    /// blocks are whole. Those repeat the last pixel, not the last mean.
    fn halved(&self) -> Self {
        let (height, width) = (self.height.div_ceil(2), self.width.div_ceil(2).next_multiple_of(N));
        let at = |y: usize, x: usize| self.data[y.min(self.height - 1) * self.width + x.min(self.width - 1)];
        let mean = |i: usize| {
            let (y, x) = (2 * (i / width), 2 * (i % width));
            let sum = at(y, x) + at(y, x + 1) + at(y + 1, x) + at(y + 1, x + 1);
            let bias = if (i % width).is_multiple_of(2) { 1.0 } else { 2.0 };
            ((sum + bias) / 4.0).floor()
        };
        let data = (0..height * width).map(mean).collect();
        Self { height, width, data }
    }

    /// Twice the size: each value read between its neighbours with weights of 3/4 and 1/4, as libjpeg's fancy upsampling, which rounds
    /// in turns, too.
    fn doubled(&self, height: usize, width: usize) -> Self {
        let near = |i: usize, n: usize| {
            let (own, odd) = (i / 2, i % 2);
            let other = if odd == 1 {
                (own + 1).min(n - 1)
            } else {
                own.saturating_sub(1)
            };
            (own, other)
        };
        let columns = width.div_ceil(2);
        let value = |i: usize| {
            let ((y, other_y), (x, other_x)) = (near(i / width, self.height), near(i % width, columns));
            let column = |x: usize| 3.0 * self.data[y * self.width + x] + self.data[other_y * self.width + x];
            let bias = if (i % width).is_multiple_of(2) { 8.0 } else { 7.0 };
            ((3.0 * column(x) + column(other_x) + bias) / 16.0).floor()
        };
        let data = (0..height * width).map(value).collect();
        Self { height, width, data }
    }
}

fn product(a: &[[f32; N]; N], b: &[[f32; N]; N]) -> [[f32; N]; N] {
    let mut out = [[0.0; N]; N];
    for (row, weights) in out.iter_mut().zip(a) {
        for (weight, other) in weights.iter().zip(b) {
            for (value, x) in row.iter_mut().zip(other) {
                *value += weight * x;
            }
        }
    }
    out
}

fn transposed(a: &[[f32; N]; N]) -> [[f32; N]; N] {
    std::array::from_fn(|i| std::array::from_fn(|j| a[j][i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_quality_changes_next_to_nothing_and_the_worst_leaves_blocks() {
        let wave = |i: usize| 128.0 + 90.0 * ((i % 24) as f32 * 0.31).sin() * ((i / 24) as f32 * 0.23).cos();
        let original = Image::new(20, 24, 1, (0..480).map(wave).collect()).unwrap();
        let damage = |quality: u8| {
            let mut image = original.clone();
            RandomJpeg::default()
                .apply(&mut image, &JpegParameters { quality })
                .unwrap();
            let sum: f32 = image.data.iter().zip(&original.data).map(|(a, b)| (a - b).abs()).sum();
            sum / 480.0
        };
        assert!(damage(100) < 0.7, "{}", damage(100));
        assert!(
            damage(1) > damage(20) && damage(20) > damage(90),
            "{} {} {}",
            damage(1),
            damage(20),
            damage(90)
        );
    }

    #[test]
    fn tables_are_scaled_as_libjpeg_scales_them() {
        assert_eq!(table(&LUMINANCE, 50)[..3], [16.0, 11.0, 10.0]);
        assert_eq!(table(&LUMINANCE, 75)[..3], [8.0, 6.0, 5.0]);
        assert_eq!(table(&LUMINANCE, 10)[..3], [80.0, 55.0, 50.0]);
        assert_eq!(table(&LUMINANCE, 100), [1.0; 64]);
    }
}
