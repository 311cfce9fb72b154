//! Loops that are compiled for several instruction sets, of which the widest that the processor has is run.
//!
//! The loops are plain Rust over slices and short arrays, which the compiler turns into vector instructions; every value is computed
//! from its own place only, without fused operations, so that the bits are the same on every processor.

use pulp::{Arch, Simd, WithSimd};

/// A piece of work, with what it needs.
///
/// A type and no closure: one that only borrows would be called through a function of the standard library, which is not compiled
/// for the instruction set that was chosen. For the same reason `run`, and what it calls, must be `#[inline(always)]`.
pub(crate) trait Work {
    type Output;

    fn run(self) -> Self::Output;
}

/// Does the work with the widest vectors of this processor.
#[inline]
pub(crate) fn widest<W: Work>(work: W) -> W::Output {
    Arch::new().dispatch(Dispatched(work))
}

struct Dispatched<W>(W);

impl<W: Work> WithSimd for Dispatched<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> W::Output {
        self.0.run()
    }
}

/// Numbers up to here have a [`nearest`] integer; beyond, the sum below has no bits left for it.
pub(crate) const LARGEST: f32 = 4_194_304.0;

/// The nearest integer, of two equally near ones the even one, of a number of at most [`LARGEST`], also below 0.
///
/// `as i32` saturates, which the compiler does for one number after the other. Adding a number whose last bit counts ones leaves the
/// integer in the last bits of the sum.
#[inline(always)]
pub(crate) fn nearest(number: f32) -> i32 {
    const COUNTS_ONES: f32 = 12_582_912.0;
    (number + COUNTS_ONES).to_bits() as i32 - COUNTS_ONES.to_bits() as i32
}

/// The largest integer that is not above a number of at most [`LARGEST`].
#[inline(always)]
pub(crate) fn floor(number: f32) -> i32 {
    let near = nearest(number);
    near - i32::from(near as f32 > number)
}

/// The nearest integer, half-way away from zero, as `f32::round`.
#[inline(always)]
pub(crate) fn rounded(number: f32) -> i32 {
    let near = nearest(number);
    let rest = number - near as f32;
    near + i32::from(rest == 0.5 && number > 0.0) - i32::from(rest == -0.5 && number < 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_those_of_the_standard_library() {
        let mut numbers: Vec<f32> = (-2000..2000).map(|i| i as f32 * 0.125).collect();
        numbers.extend([
            0.49999997,
            0.99999994,
            -0.49999997,
            -1e-30,
            1e-30,
            2.4999998,
            20000.5,
            0.0,
            -0.0,
        ]);
        numbers.extend([LARGEST, -LARGEST, LARGEST - 0.5, 1.0 - LARGEST]);
        for number in numbers {
            assert_eq!(floor(number), number.floor() as i32, "{number}");
            assert_eq!(rounded(number), number.round() as i32, "{number}");
            assert_eq!(nearest(number), number.round_ties_even() as i32, "{number}");
        }
    }
}
