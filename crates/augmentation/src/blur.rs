//! Products of two symmetric kernels of a few taps, row by row, with zeros outside of the image.

#![expect(
    clippy::needless_range_loop,
    reason = "one counter for arrays of one length is what becomes vectors"
)]

use crate::image::ImageShape;
use crate::vectors::{Work, widest};

/// Taps on one side of the middle, at most.
const REACH: usize = 3;

/// Convolves an image with a kernel along its columns and one along its rows, each of `2 REACH + 1` taps or fewer, given from the
/// middle outwards. Values stay between 0 and the largest one.
pub(crate) fn separable<P: Blurred>(data: &mut [P], shape: ImageShape, down: &[f32], right: &[f32]) {
    match right.len().max(down.len()) {
        0..=2 => widest(Separable::<P, 2> {
            data,
            shape,
            down: taps::<P, 2>(down),
            right: taps::<P, 2>(right),
        }),
        3 => widest(Separable::<P, 3> {
            data,
            shape,
            down: taps::<P, 3>(down),
            right: taps::<P, 3>(right),
        }),
        _ => widest(Separable::<P, 4> {
            data,
            shape,
            down: taps::<P, 4>(down),
            right: taps::<P, 4>(right),
        }),
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
    fn narrowed(sum: Self::Sum) -> Self;
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
    fn narrowed(sum: f32) -> f32 {
        sum
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
    fn narrowed(sum: i16) -> u8 {
        // Every product lost half a step in the mean; a level has 16 steps in the end.
        ((sum + 8 + 1) >> 4).clamp(0, 255) as u8
    }
}

struct Separable<'a, P: Blurred, const N: usize> {
    data: &'a mut [P],
    shape: ImageShape,
    down: [P::Weight; N],
    right: [P::Weight; N],
}

impl<P: Blurred, const N: usize> Work for Separable<'_, P, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (height, channels) = (self.shape.height, self.shape.channels);
        let row = self.shape.width * channels;
        let (reach, taps) = (N - 1, 2 * N - 1);
        let frame = reach * channels;
        // A row between zeros, and the last rows after the kernel along them; rows outside of the image are zeros, too.
        let mut framed = vec![P::Sum::default(); row + 2 * frame];
        let mut ring = vec![P::Sum::default(); taps * row];
        for y in 0..height + reach {
            let of_ring = &mut ring[y % taps * row..][..row];
            if y < height {
                let line = &self.data[y * row..][..row];
                for (to, from) in framed[frame..][..row].iter_mut().zip(line) {
                    *to = from.widened();
                }
                along::<P, N>(of_ring, &self.right, |k| {
                    (
                        &framed[frame - k * channels..][..row],
                        &framed[frame + k * channels..][..row],
                    )
                });
            } else {
                of_ring.fill(P::Sum::default());
            }
            let Some(out_y) = y.checked_sub(reach) else { continue };
            // Row `out_y + k` of the image is in the ring at its number; what is above of the image has not been written yet.
            let line = |y: usize| &ring[y % taps * row..][..row];
            let out = &mut self.data[out_y * row..][..row];
            across::<P, N>(out, &self.down, |k| (line(out_y + taps - k), line(out_y + k)));
        }
    }
}

/// What lies on both sides of the middle.
type Sides<'a, P> = (&'a [<P as Blurred>::Sum], &'a [<P as Blurred>::Sum]);

/// The weighed sum of one value and its neighbours on both sides.
#[inline(always)]
fn around<P: Blurred, const N: usize>(weights: &[P::Weight; N], sides: &[Sides<'_, P>; N], i: usize) -> P::Sum {
    let mut sum = P::weighed(weights[0], sides[0].0[i]);
    for k in 1..N {
        sum = P::plus(sum, P::weighed(weights[k], P::plus(sides[k].0[i], sides[k].1[i])));
    }
    sum
}

/// Weighs each value and its neighbours: `of` gives those on both sides, so far away.
#[inline(always)]
fn along<'a, P: Blurred + 'a, const N: usize>(
    out: &mut [P::Sum],
    weights: &[P::Weight; N],
    of: impl Fn(usize) -> Sides<'a, P>,
) {
    let sides: [Sides<'a, P>; N] = std::array::from_fn(of);
    let length = out.len();
    let sides = sides.map(|(left, right)| (&left[..length], &right[..length]));
    for i in 0..length {
        out[i] = around::<P, N>(weights, &sides, i);
    }
}

/// The same of rows, back to pixels.
#[inline(always)]
fn across<'a, P: Blurred + 'a, const N: usize>(
    out: &mut [P],
    weights: &[P::Weight; N],
    of: impl Fn(usize) -> Sides<'a, P>,
) {
    let sides: [Sides<'a, P>; N] = std::array::from_fn(of);
    let length = out.len();
    let sides = sides.map(|(above, below)| (&above[..length], &below[..length]));
    for i in 0..length {
        out[i] = P::narrowed(around::<P, N>(weights, &sides, i));
    }
}
