//! Motion blur.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::Factor;
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
        let taps = taps(parameters.length, parameters.angle);
        let shape = pixels.shape;
        // The weights sum to one, so that levels are weighed like the values that they stand for.
        match P::bytes(pixels.data) {
            Some(bytes) if taps.len() <= FEW => smear::<u8, true>(bytes, shape, &taps),
            Some(bytes) => smear::<u8, false>(bytes, shape, &taps),
            None => {
                let floats = P::floats(pixels.data)?;
                smear::<f32, false>(floats, shape, &taps);
            }
        }
        Some(Ok(()))
    }
}

/// Taps of bytes whose rounding errors, all on one side, stay below a quarter of a level.
const FEW: usize = 32;

/// A pixel next to the one that is computed, rows down and columns to the right, and its weight.
type Tap = ((i32, i32), f32);

/// How values are weighed: as floats, or (`WHOLE`) bytes in whole numbers of 16 bits.
trait Weighed<const WHOLE: bool>: Pixel {
    type Wide: Copy + Default;
    type Share: Copy;

    fn share(weight: f32) -> Self::Share;
    fn wide(self) -> Self::Wide;
    /// What a sum of so many taps begins with.
    fn first(taps: usize) -> Self::Wide;
    fn plus_share(sum: Self::Wide, weight: Self::Share, value: Self::Wide) -> Self::Wide;
    fn narrow(sum: Self::Wide) -> Self;
}

impl<P: Pixel> Weighed<false> for P {
    type Wide = f32;
    type Share = f32;

    #[inline(always)]
    fn share(weight: f32) -> f32 {
        weight
    }

    #[inline(always)]
    fn wide(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn first(_taps: usize) -> f32 {
        0.0
    }

    #[inline(always)]
    fn plus_share(sum: f32, weight: f32, value: f32) -> f32 {
        sum + weight * value
    }

    #[inline(always)]
    fn narrow(sum: f32) -> P {
        P::from_f32(sum)
    }
}

impl Weighed<true> for u8 {
    /// A level times 2^7.
    type Wide = i16;
    /// A weight times 2^15, so that the upper half of a product is a level times 2^6.
    type Share = i16;

    #[inline(always)]
    fn share(weight: f32) -> i16 {
        (weight * 32768.0).round().min(32767.0) as i16
    }

    #[inline(always)]
    fn wide(self) -> i16 {
        i16::from(self) << 7
    }

    #[inline(always)]
    fn first(taps: usize) -> i16 {
        // Half a level, for rounding, and half a step for each product that will lose as much in the mean.
        32 + (taps / 2) as i16
    }

    #[inline(always)]
    fn plus_share(sum: i16, weight: i16, value: i16) -> i16 {
        // None is below 0. What is loaded would be extended to 32 bits at once, and so would be the product, which takes ten times as
        // long; what was computed is not.
        let value = value & i16::MAX;
        sum.wrapping_add(((i32::from(weight) * i32::from(value)) >> 16) as i16)
    }

    #[inline(always)]
    fn narrow(sum: i16) -> u8 {
        (sum >> 6).clamp(0, 255) as u8
    }
}

fn smear<P: Weighed<WHOLE>, const WHOLE: bool>(data: &mut [P], shape: ImageShape, taps: &[Tap]) {
    match shape.width * shape.channels {
        0..=32 => in_blocks::<P, WHOLE, 32>(data, shape, taps),
        33..=64 => in_blocks::<P, WHOLE, 64>(data, shape, taps),
        _ => in_blocks::<P, WHOLE, 128>(data, shape, taps),
    }
}

/// Smears with so many values of a row at once.
fn in_blocks<P: Weighed<WHOLE>, const WHOLE: bool, const BLOCK: usize>(
    data: &mut [P],
    shape: ImageShape,
    taps: &[Tap],
) {
    let reach = taps.iter().map(|((_, dx), _)| dx.unsigned_abs() as usize).max();
    let reach = reach.unwrap_or(0);
    // Rows of values with their ends repeated, and behind them room for the last block.
    let wide = (shape.width + 2 * reach) * shape.channels + BLOCK;
    let mut framed = vec![P::Wide::default(); shape.height * wide];
    let column = |dx: i32| reach.saturating_add_signed(dx as isize) * shape.channels;
    let taps: Vec<_> = taps
        .iter()
        .map(|((dy, dx), weight)| (*dy, column(*dx), P::share(*weight)))
        .collect();
    widest(Smeared::<P, WHOLE, BLOCK> {
        data,
        shape,
        framed: &mut framed,
        wide,
        left: reach * shape.channels,
        taps: &taps,
    });
}

struct Smeared<'a, P: Weighed<WHOLE>, const WHOLE: bool, const BLOCK: usize> {
    data: &'a mut [P],
    shape: ImageShape,
    framed: &'a mut [P::Wide],
    /// Values of a framed row, and of the frame on its left.
    wide: usize,
    left: usize,
    /// Rows down, where in a framed row the first value is, and the weight.
    taps: &'a [(i32, usize, P::Share)],
}

impl<P: Weighed<WHOLE>, const WHOLE: bool, const BLOCK: usize> Work for Smeared<'_, P, WHOLE, BLOCK> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (height, channels, left) = (self.shape.height, self.shape.channels, self.left);
        let row = self.shape.width * channels;
        for (framed, line) in self.framed.chunks_exact_mut(self.wide).zip(self.data.chunks_exact(row)) {
            for (value, pixel) in framed[left..].iter_mut().zip(line) {
                *value = pixel.wide();
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
                let mut sums = [P::first(self.taps.len()); BLOCK];
                for (dy, column, weight) in self.taps {
                    let at = clamped(y, *dy, height) * self.wide + column + i * BLOCK;
                    let Some(from) = self.framed[at..].first_chunk::<BLOCK>() else {
                        continue;
                    };
                    for (sum, value) in sums.iter_mut().zip(from) {
                        *sum = P::plus_share(*sum, *weight, *value);
                    }
                }
                let mut block = [P::default(); BLOCK];
                for (pixel, sum) in block.iter_mut().zip(sums) {
                    *pixel = P::narrow(sum);
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
fn taps(length: f32, angle: f32) -> Vec<Tap> {
    let samples = 2 * length.ceil() as usize + 1;
    let (sin, cos) = angle.to_radians().sin_cos();
    let mut taps: Vec<Tap> = Vec::new();
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
    fn bytes_are_smeared_as_floats_are() {
        let mut draws = kernels::random::Stream::new(9).op("smears").draws();
        for (length, angle) in [(0.0, 3.0), (3.0, 0.0), (6.9, 77.0), (19.0, 140.0), (90.0, 33.0)] {
            let shape: ImageShape = (23, 61, 3).into();
            let taps = taps(length, angle);
            for white in [false, true] {
                let lowest = if white { 255 } else { 0 };
                let bytes: Vec<u8> = (0..23 * 61 * 3)
                    .map(|_| (lowest + draws.below(256 - lowest)) as u8)
                    .collect();
                let mut floats: Vec<f32> = bytes.iter().map(|&v| f32::from(v)).collect();
                smear::<f32, false>(&mut floats, shape, &taps);
                let check = |found: Vec<u8>, most: f32| {
                    for (&byte, value) in found.iter().zip(&floats) {
                        assert!(
                            (f32::from(byte) - value).abs() < most,
                            "{length} {angle}: {byte} for {value}"
                        );
                    }
                };
                let mut found = bytes.clone();
                smear::<u8, false>(&mut found, shape, &taps);
                check(found, 0.51);
                if taps.len() <= FEW {
                    let mut found = bytes;
                    smear::<u8, true>(&mut found, shape, &taps);
                    check(found, 0.77);
                }
            }
        }
    }

    #[test]
    fn weights_sum_to_one() {
        for (length, angle) in [(0.0, 10.0), (0.4, 90.0), (7.3, 33.0), (20.0, 135.0)] {
            let sum: f32 = taps(length, angle).iter().map(|(_, weight)| weight).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{length} {angle}: {sum}");
        }
    }
}
