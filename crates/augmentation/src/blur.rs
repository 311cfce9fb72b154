//! Products of two symmetric kernels of a few taps, row by row, with zeros outside of the image.

#![expect(
    clippy::needless_range_loop,
    reason = "one counter for arrays of one length is what becomes vectors"
)]

use crate::image::ImageShape;
use crate::range::ValueRange;
use crate::vectors::{Work, widest};

/// Taps on one side of the middle, at most.
const REACH: usize = 3;

/// Convolves an image with a kernel along its columns and one along its rows, each of `2 REACH + 1` taps or fewer, given from the
/// middle outwards, and clips. Values stay between 0 and the largest one.
pub(crate) fn separable<P: Blurred>(data: &mut [P], shape: ImageShape, down: &[f32], right: &[f32], clip: ValueRange) {
    match right.len().max(down.len()) {
        0..=2 => widest(Separable::<P, 2>::new(data, shape, down, right, clip)),
        3 => widest(Separable::<P, 3>::new(data, shape, down, right, clip)),
        _ => widest(Separable::<P, 4>::new(data, shape, down, right, clip)),
    }
}

/// Whether [`separable`] has a kernel of so many taps.
pub(crate) fn has(taps: usize) -> bool {
    taps <= 2 * REACH + 1
}

fn taps<P: Blurred, const N: usize>(from_middle: &[f32]) -> [P::Weight; N] {
    std::array::from_fn(|k| P::weight(from_middle.get(k).copied().unwrap_or(0.0)))
}

/// How values are weighed: floats as they are; bytes in 16 bits with a sign, first as the level times 2^6, with weights times 2^15; each
/// product keeps its upper half and so one bit less.
pub trait Blurred: Copy + Default {
    type Weight: Copy;
    type Sum: Copy + Default;

    fn weight(weight: f32) -> Self::Weight;
    fn widened(self) -> Self::Sum;
    /// A weight times a value, or the sum of the two values on both sides of the middle.
    fn weighed(weight: Self::Weight, sum: Self::Sum) -> Self::Sum;
    fn plus(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// A value itself.
    fn alone(value: Self::Sum) -> Self::Sum;
    /// The value of a sum, clipped; bytes cannot leave their range.
    fn narrowed(sum: Self::Sum, clip: ValueRange) -> Self;
}

impl Blurred for f32 {
    type Weight = f32;
    type Sum = f32;

    #[inline(always)]
    fn weight(weight: f32) -> f32 {
        weight
    }

    #[inline(always)]
    fn widened(self) -> f32 {
        self
    }

    #[inline(always)]
    fn weighed(weight: f32, sum: f32) -> f32 {
        weight * sum
    }

    #[inline(always)]
    fn plus(a: f32, b: f32) -> f32 {
        a + b
    }

    #[inline(always)]
    fn alone(value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn narrowed(sum: f32, clip: ValueRange) -> f32 {
        clip.clip(sum)
    }
}

impl Blurred for u8 {
    type Weight = i16;
    type Sum = i16;

    #[inline(always)]
    fn weight(weight: f32) -> i16 {
        (weight * 32768.0).round() as i16
    }

    #[inline(always)]
    fn widened(self) -> i16 {
        i16::from(self) << 6
    }

    #[inline(always)]
    fn weighed(weight: i16, sum: i16) -> i16 {
        ((i32::from(weight) * i32::from(sum)) >> 16) as i16
    }

    #[inline(always)]
    fn plus(a: i16, b: i16) -> i16 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn alone(value: i16) -> i16 {
        // None is below 0. What is loaded would be extended to 32 bits at once, and so would be the product, which takes ten times as
        // long; what was computed is not.
        value & i16::MAX
    }

    #[inline(always)]
    fn narrowed(sum: i16, _clip: ValueRange) -> u8 {
        // Every product lost half a step in the mean; a level has 16 steps in the end.
        ((sum + 8 + 1) >> 4).clamp(0, 255) as u8
    }
}

struct Separable<'a, P: Blurred, const N: usize> {
    data: &'a mut [P],
    shape: ImageShape,
    down: [P::Weight; N],
    right: [P::Weight; N],
    clip: ValueRange,
}

impl<'a, P: Blurred, const N: usize> Separable<'a, P, N> {
    fn new(data: &'a mut [P], shape: ImageShape, down: &[f32], right: &[f32], clip: ValueRange) -> Self {
        Self {
            data,
            shape,
            down: taps::<P, N>(down),
            right: taps::<P, N>(right),
            clip,
        }
    }
}

/// Values at once. Blocks of a known length need no checks whether rows overlap, and no loop for what remains of a row: rows are
/// as long as so many whole blocks, with zeros behind the image.
const BLOCK: usize = 32;

impl<P: Blurred, const N: usize> Work for Separable<'_, P, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (height, channels) = (self.shape.height, self.shape.channels);
        let row = self.shape.width * channels;
        let padded = row.next_multiple_of(BLOCK);
        let (reach, taps) = (N - 1, 2 * N - 1);
        let frame = reach * channels;
        // A row between zeros, and the last rows after the kernel along them; rows outside of the image are zeros, too.
        let mut framed = vec![P::default(); padded + 2 * frame];
        let mut ring = vec![P::Sum::default(); taps * padded];
        for y in 0..height + reach {
            let of_ring = &mut ring[y % taps * padded..][..padded];
            if y < height {
                framed[frame..][..row].copy_from_slice(&self.data[y * row..][..row]);
                let shifted = |by: usize| blocks(&framed[by..][..padded]);
                let sides: [_; N] =
                    std::array::from_fn(|k| (shifted(frame - k * channels), shifted(frame + k * channels)));
                for (i, block) in of_ring.as_chunks_mut().0.iter_mut().enumerate() {
                    let mut taps = [([P::Sum::default(); BLOCK], [P::Sum::default(); BLOCK]); N];
                    for k in 0..N {
                        taps[k] = (widened(&sides[k].0[i]), widened(&sides[k].1[i]));
                    }
                    *block = weighed::<P, N>(&self.right, &taps);
                }
            } else {
                of_ring.fill(P::Sum::default());
            }
            let Some(out_y) = y.checked_sub(reach) else { continue };
            // Row `out_y + k` of the image is in the ring at its number; what is above of the image has not been written yet.
            let line = |y: usize| blocks(&ring[y % taps * padded..][..padded]);
            let sides: [_; N] = std::array::from_fn(|k| (line(out_y + taps - k), line(out_y + k)));
            let out = &mut self.data[out_y * row..][..row];
            let (whole, rest) = out.as_chunks_mut();
            for (i, block) in whole.iter_mut().enumerate() {
                *block = narrowed::<P, N>(&self.down, &sides, i, self.clip);
            }
            // Apart, or every block would be a copy of some length.
            if !rest.is_empty() {
                let last = narrowed::<P, N>(&self.down, &sides, padded / BLOCK - 1, self.clip);
                rest.copy_from_slice(&last[..rest.len()]);
            }
        }
    }
}

/// The values of block `i` of a row, of those on both sides of it.
#[inline(always)]
fn narrowed<P: Blurred, const N: usize>(
    weights: &[P::Weight; N],
    sides: &[Sides<'_, P::Sum>; N],
    i: usize,
    clip: ValueRange,
) -> [P; BLOCK] {
    let mut taps = [([P::Sum::default(); BLOCK], [P::Sum::default(); BLOCK]); N];
    for k in 0..N {
        taps[k] = (sides[k].0[i], sides[k].1[i]);
    }
    let sums = weighed::<P, N>(weights, &taps);
    let mut block = [P::default(); BLOCK];
    for j in 0..BLOCK {
        block[j] = P::narrowed(sums[j], clip);
    }
    block
}

/// Two blocks.
type Pair<T> = ([T; BLOCK], [T; BLOCK]);

/// The blocks of two rows.
type Sides<'a, T> = (&'a [[T; BLOCK]], &'a [[T; BLOCK]]);

#[inline(always)]
fn blocks<T>(values: &[T]) -> &[[T; BLOCK]] {
    values.as_chunks().0
}

#[inline(always)]
fn widened<P: Blurred>(block: &[P; BLOCK]) -> [P::Sum; BLOCK] {
    let mut wide = [P::Sum::default(); BLOCK];
    for i in 0..BLOCK {
        wide[i] = block[i].widened();
    }
    wide
}

/// The weighed sums of the values of a block and their neighbours: `sides` are those on both sides, so far away. Arrays and no closure,
/// which would be called for each.
#[inline(always)]
fn weighed<P: Blurred, const N: usize>(weights: &[P::Weight; N], sides: &[Pair<P::Sum>; N]) -> [P::Sum; BLOCK] {
    let mut sums = [P::Sum::default(); BLOCK];
    for i in 0..BLOCK {
        sums[i] = P::weighed(weights[0], P::alone(sides[0].0[i]));
    }
    for k in 1..N {
        let (before, after) = &sides[k];
        for i in 0..BLOCK {
            sums[i] = P::plus(sums[i], P::weighed(weights[k], P::plus(before[i], after[i])));
        }
    }
    sums
}
