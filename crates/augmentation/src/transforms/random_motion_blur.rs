//! Motion blur.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};
use crate::vectors::{Work, widest};

/// The longest path, in pixels.
const LONGEST: f64 = 255.0;

/// Smears an image along a straight path, as a camera does that moves while the shutter is open.
///
/// $$ y(p) = \frac1n \sum_{k=1}^{n} x\bigl(p + t_k\, (\cos\alpha, \sin\alpha)\bigr), \quad
///    t_k \in [-\tfrac{l}{2}, \tfrac{l}{2}],\; \alpha \sim U(0, 180°) $$
/// read bilinearly, the border pixels repeated outwards. Not a Keras class; albumentations calls it `MotionBlur`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomMotionBlur {
    /// Length of the path in parts of the smaller side, in [0, 1]; one number `l` means `[0, l]`.
    pub length: Factor,
}

impl Default for RandomMotionBlur {
    fn default() -> Self {
        Self {
            length: Factor::Single(0.2),
        }
    }
}

/// What one blur is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MotionBlurParameters {
    /// Length of the path in pixels, at most 255.
    pub length: f32,
    /// Its direction in degrees.
    pub angle: f32,
}

impl Transformation for RandomMotionBlur {
    const CLASS: &'static str = "RandomMotionBlur";
    const NAME: &'static str = "motion_blur";
    const ABOUT: &'static str = "smears along a straight path";
    const ARGUMENTS: &'static [&'static str] = &["length"];
    const REQUIRED: usize = 0;
    type Parameters = MotionBlurParameters;

    fn check(&self) -> Result<()> {
        self.length.check(Self::CLASS, "length", 0.0, 1.0)
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> MotionBlurParameters {
        let (low, high) = self.length.bounds(0.0);
        let side = shape.height.min(shape.width) as f64;
        MotionBlurParameters {
            length: (draws.uniform_in(low, high) * side).min(LONGEST) as f32,
            angle: draws.uniform_in(0.0, 180.0) as f32,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &MotionBlurParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &MotionBlurParameters,
    ) -> Option<Result<()>> {
        if !(0.0..=LONGEST).contains(&f64::from(parameters.length)) || !parameters.angle.is_finite() {
            return Some(Err(Error::Parameters {
                transformation: Self::CLASS,
                reason: format!("a path of {} pixels at {} degrees", parameters.length, parameters.angle),
            }));
        }
        let ImageShape { width, channels, .. } = pixels.shape;
        let taps = taps(parameters.length, parameters.angle);
        let reach = taps
            .iter()
            .map(|((_, dx), _)| dx.unsigned_abs() as usize)
            .max()
            .unwrap_or(0);
        // Rows of values with their ends repeated, and behind them room for the last block.
        let wide = (width + 2 * reach) * channels + BLOCK;
        let mut framed = vec![0f32; pixels.shape.height * wide];
        widest(Smeared {
            data: pixels.data,
            shape: pixels.shape,
            range: pixels.range,
            framed: &mut framed,
            wide,
            reach,
            taps: &taps,
        });
        Some(Ok(()))
    }
}

/// Values that are summed at once.
const BLOCK: usize = 64;

struct Smeared<'a, P> {
    data: &'a mut [P],
    shape: ImageShape,
    range: ValueRange,
    framed: &'a mut [f32],
    /// Values of a framed row, and pixels of the frame on its left.
    wide: usize,
    reach: usize,
    taps: &'a [((i32, i32), f32)],
}

impl<P: Pixel> Work for Smeared<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (height, channels) = (self.shape.height, self.shape.channels);
        let (row, left) = (self.shape.width * channels, self.reach * channels);
        for (framed, line) in self.framed.chunks_exact_mut(self.wide).zip(self.data.chunks_exact(row)) {
            for (value, pixel) in framed[left..].iter_mut().zip(line) {
                *value = P::from_units(pixel.to_f32(), self.range);
            }
            for at in (0..left).rev() {
                framed[at] = framed[at + channels];
            }
            for at in left + row..self.wide {
                framed[at] = framed[at - channels];
            }
        }
        for (y, row) in self.data.chunks_exact_mut(row).enumerate() {
            for (i, out) in row.chunks_mut(BLOCK).enumerate() {
                let mut sums = [0f32; BLOCK];
                for ((dy, dx), weight) in self.taps {
                    let line = clamped(y, *dy, height) * self.wide;
                    let at = line + self.reach.saturating_add_signed(*dx as isize) * channels + i * BLOCK;
                    let Some(from) = self.framed[at..].first_chunk::<BLOCK>() else {
                        continue;
                    };
                    for (sum, value) in sums.iter_mut().zip(from) {
                        *sum += weight * value;
                    }
                }
                let mut block = [P::default(); BLOCK];
                for (pixel, sum) in block.iter_mut().zip(sums) {
                    *pixel = P::from_f32(P::in_units(sum, self.range));
                }
                out.copy_from_slice(&block[..out.len()]);
            }
        }
    }
}

/// The pixel `d` further, or the border pixel.
fn clamped(i: usize, d: i32, size: usize) -> usize {
    i.saturating_add_signed(d as isize).min(size - 1)
}

/// The pixels that the path touches around 0, with their weights: two samples a pixel, each spread over four pixels.
fn taps(length: f32, angle: f32) -> Vec<((i32, i32), f32)> {
    let samples = 2 * length.ceil() as usize + 1;
    let (sin, cos) = angle.to_radians().sin_cos();
    let mut taps: Vec<((i32, i32), f32)> = Vec::new();
    for k in 0..samples {
        let t = length * (k as f32 / (samples - 1).max(1) as f32 - 0.5);
        let (y, x) = (-t * sin, t * cos);
        let (top, left) = (y.floor(), x.floor());
        let (fy, fx) = (y - top, x - left);
        for (i, weight) in [(1.0 - fy) * (1.0 - fx), (1.0 - fy) * fx, fy * (1.0 - fx), fy * fx]
            .into_iter()
            .enumerate()
        {
            let place = (top as i32 + i as i32 / 2, left as i32 + i as i32 % 2);
            let weight = weight / samples as f32;
            match taps.iter_mut().find(|(known, _)| *known == place) {
                Some((_, sum)) => *sum += weight,
                None if weight > 0.0 => taps.push((place, weight)),
                None => {}
            }
        }
    }
    taps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_becomes_a_line_of_the_same_light() {
        let mut image = Image::new(9, 9, 1, vec![0.0; 81]).unwrap();
        image.data[4 * 9 + 4] = 10.0;
        let parameters = MotionBlurParameters {
            length: 4.0,
            angle: 0.0,
        };
        RandomMotionBlur::default().apply(&mut image, &parameters).unwrap();
        assert!((image.data.iter().sum::<f32>() - 10.0).abs() < 1e-4);
        let lit: Vec<usize> = (0..81).filter(|&i| image.data[i] > 1e-4).collect();
        assert_eq!(lit, [38, 39, 40, 41, 42], "the middle row, two pixels to either side");
    }

    #[test]
    fn weights_sum_to_one() {
        for (length, angle) in [(0.0, 10.0), (0.4, 90.0), (7.3, 33.0), (20.0, 135.0)] {
            let sum: f32 = taps(length, angle).iter().map(|(_, weight)| weight).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{length} {angle}: {sum}");
        }
    }
}
