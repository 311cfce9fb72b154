//! Motion blur.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::range::Factor;
use crate::transform::Transformation;

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
        if !(0.0..=LONGEST).contains(&f64::from(parameters.length)) || !parameters.angle.is_finite() {
            return Err(Error::Parameters {
                transformation: Self::CLASS,
                reason: format!("a path of {} pixels at {} degrees", parameters.length, parameters.angle),
            });
        }
        let (height, width, channels) = (image.height, image.width, image.channels);
        let row = width * channels;
        let mut out = vec![0f32; image.data.len()];
        for ((dy, dx), weight) in taps(parameters.length, parameters.angle) {
            for (y, out) in out.chunks_exact_mut(row).enumerate() {
                let from = &image.data[clamped(y, dy, height) * row..][..row];
                for (x, out) in out.chunks_exact_mut(channels).enumerate() {
                    let from = &from[clamped(x, dx, width) * channels..][..channels];
                    out.iter_mut().zip(from).for_each(|(sum, value)| *sum += weight * value);
                }
            }
        }
        image.data = out;
        Ok(())
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
