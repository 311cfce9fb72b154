//! What JPEG does to an image.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::color::need_grey_or_rgb;
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;
use crate::vectors::{Work, floor, rounded, widest};

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
        widest(Damaged {
            image,
            quality,
            range: self.value_range,
        });
        Ok(())
    }
}

struct Damaged<'a> {
    image: &'a mut Image,
    quality: u8,
    range: ValueRange,
}

impl Work for Damaged<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (range, cosines) = (self.range, cosines());
        let (height, width, channels) = (self.image.height, self.image.width, self.image.channels);
        let mut levels = self.image.data.clone();
        for level in &mut levels {
            *level = level_of(range.to_bytes(*level));
        }
        let plane = |data: Vec<f32>| Plane { height, width, data };
        let luminance = table(&LUMINANCE, self.quality);
        if channels < 3 {
            let mut grey = plane(levels);
            grey.data.iter_mut().for_each(|level| *level -= 128.0);
            grey.compress(&luminance, &cosines);
            for (value, level) in self.image.data.iter_mut().zip(grey.data) {
                *value = range.unscale_bytes(level_of(level + 128.0));
            }
            return;
        }
        let mut planes = [(); 3].map(|()| plane(vec![0f32; height * width]));
        match channels {
            3 => part::<3>(&levels, &mut planes),
            _ => part::<4>(&levels, &mut planes),
        }
        let chrominance = table(&CHROMINANCE, self.quality);
        planes[0].compress(&luminance, &cosines);
        for plane in &mut planes[1..] {
            let mut half = plane.halved();
            half.compress(&chrominance, &cosines);
            half.doubled(plane);
        }
        match channels {
            3 => join::<3>(&planes, &mut self.image.data, range),
            _ => join::<4>(&planes, &mut self.image.data, range),
        }
    }
}

/// The nearest level.
#[inline(always)]
#[expect(clippy::manual_clamp, reason = "`clamp` keeps NaN, which has no level")]
fn level_of(value: f32) -> f32 {
    rounded(value.max(0.0).min(255.0)) as f32
}

/// Colours as luminance, without its middle, and two chrominances, in whole numbers.
#[inline(always)]
fn part<const C: usize>(levels: &[f32], planes: &mut [Plane; 3]) {
    let [first, second, third] = planes;
    let pixels = levels.as_chunks::<C>().0;
    let (luminance, blue, red) = (&mut first.data[..], &mut second.data[..], &mut third.data[..]);
    for (((pixel, luminance), blue), red) in pixels.iter().zip(luminance).zip(blue).zip(red) {
        let (r, g, b) = (pixel[0], pixel[1], pixel[2]);
        *luminance = rounded(0.299 * r + 0.587 * g + 0.114 * b) as f32 - 128.0;
        *blue = rounded(-0.168_736 * r - 0.331_264 * g + 0.5 * b) as f32;
        *red = rounded(0.5 * r - 0.418_688 * g - 0.081_312 * b) as f32;
    }
}

/// The way back; a fourth channel stays.
#[inline(always)]
fn join<const C: usize>(planes: &[Plane; 3], values: &mut [f32], range: ValueRange) {
    let [luminance, blue, red] = planes.each_ref().map(|plane| plane.data.as_slice());
    let pixels = values.as_chunks_mut::<C>().0;
    for (((pixel, y), cb), cr) in pixels.iter_mut().zip(luminance).zip(blue).zip(red) {
        let y = y + 128.0;
        let rgb = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
        for c in 0..3 {
            pixel[c] = range.unscale_bytes(level_of(rgb[c]));
        }
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
    #[inline(always)]
    fn compress(&mut self, steps: &[f32; N * N], cosines: &[[f32; N]; N]) {
        // Back: the transpose of an orthonormal matrix is its inverse.
        let back = transposed(cosines);
        for top in (0..self.height).step_by(N) {
            for left in (0..self.width).step_by(N) {
                let mut block = [[0f32; N]; N];
                for (y, to) in block.iter_mut().enumerate() {
                    let row = &self.data[(top + y).min(self.height - 1) * self.width..][..self.width];
                    match row[left..].first_chunk() {
                        Some(whole) => *to = *whole,
                        None => (0..N).for_each(|x| to[x] = row[(left + x).min(self.width - 1)]),
                    }
                }
                let mut coefficients = product(cosines, &transposed(&product(cosines, &transposed(&block))));
                for (row, steps) in coefficients.iter_mut().zip(steps.as_chunks::<N>().0) {
                    for i in 0..N {
                        row[i] = rounded(row[i] / steps[i]) as f32 * steps[i];
                    }
                }
                let mut block = product(&back, &transposed(&product(&back, &transposed(&coefficients))));
                for value in block.as_flattened_mut() {
                    *value = rounded(value.clamp(-128.0, 127.0)) as f32;
                }
                for (y, row) in block.iter().enumerate().take(self.height - top) {
                    let to = &mut self.data[(top + y) * self.width + left..(top + y + 1) * self.width];
                    match to.first_chunk_mut() {
                        Some(whole) => *whole = *row,
                        None => to.copy_from_slice(&row[..to.len()]),
                    }
                }
            }
        }
    }

    /// Half the size, rounded up: means of 2 x 2, which are rounded down and up in turns, as in libjpeg; and so many columns more that
    /// blocks are whole. Those repeat the last pixel, not the last mean.
    #[inline(always)]
    fn halved(&self) -> Self {
        let (height, width) = (self.height.div_ceil(2), self.width.div_ceil(2).next_multiple_of(N));
        let mut data = vec![0f32; height * width];
        for (y, out) in data.chunks_exact_mut(width).enumerate() {
            let row = |y: usize| &self.data[y.min(self.height - 1) * self.width..][..self.width];
            let (upper, lower) = (row(2 * y), row(2 * y + 1));
            let (inside, beyond) = out.split_at_mut(self.width / 2);
            let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
            for (x, (mean, (upper, lower))) in inside.iter_mut().zip(pairs).enumerate() {
                *mean = mean_of(upper[0] + upper[1] + lower[0] + lower[1], x);
            }
            for (i, mean) in beyond.iter_mut().enumerate() {
                let x = self.width / 2 + i;
                let at = |x: usize| x.min(self.width - 1);
                let (left, right) = (at(2 * x), at(2 * x + 1));
                *mean = mean_of(upper[left] + upper[right] + lower[left] + lower[right], x);
            }
        }
        Self { height, width, data }
    }

    /// Twice the size: each value read between its neighbours with weights of 3/4 and 1/4, as libjpeg's fancy upsampling, which rounds
    /// in turns, too.
    #[inline(always)]
    fn doubled(&self, out: &mut Self) {
        let columns = out.width.div_ceil(2);
        // The weighted sums of two rows, with the ends repeated.
        let mut sums = vec![0f32; columns + 2];
        for (y, out) in out.data.chunks_exact_mut(out.width).enumerate() {
            let other = if y % 2 == 1 {
                (y / 2 + 1).min(self.height - 1)
            } else {
                (y / 2).saturating_sub(1)
            };
            let row = |y: usize| &self.data[y * self.width..][..columns];
            for ((sum, own), other) in sums[1..].iter_mut().zip(row(y / 2)).zip(row(other)) {
                *sum = 3.0 * own + other;
            }
            sums[0] = sums[1];
            sums[columns + 1] = sums[columns];
            let left = |x: usize| floor((3.0 * sums[x + 1] + sums[x] + 8.0) / 16.0) as f32;
            let right = |x: usize| floor((3.0 * sums[x + 1] + sums[x + 2] + 7.0) / 16.0) as f32;
            let (pairs, last) = out.as_chunks_mut::<2>();
            for (x, pair) in pairs.iter_mut().enumerate() {
                *pair = [left(x), right(x)];
            }
            last.fill(left(columns - 1));
        }
    }
}

/// A quarter of a sum, rounded down in every second column and up in the others.
#[inline(always)]
fn mean_of(sum: f32, column: usize) -> f32 {
    let bias = if column.is_multiple_of(2) { 1.0 } else { 2.0 };
    floor((sum + bias) / 4.0) as f32
}

#[inline(always)]
fn product(a: &[[f32; N]; N], b: &[[f32; N]; N]) -> [[f32; N]; N] {
    let mut out = [[0.0; N]; N];
    for i in 0..N {
        for k in 0..N {
            for j in 0..N {
                out[i][j] += a[i][k] * b[k][j];
            }
        }
    }
    out
}

#[inline(always)]
fn transposed(a: &[[f32; N]; N]) -> [[f32; N]; N] {
    let mut out = [[0.0; N]; N];
    for i in 0..N {
        for j in 0..N {
            out[i][j] = a[j][i];
        }
    }
    out
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
