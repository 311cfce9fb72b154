//! Passes over working memory: shared by the threads, and compiled for the vectors of the processor.

use pulp::{Arch, Simd, WithSimd};

use crate::fused::{BLOCK, fork};
use crate::number::Real;

/// Replaces every number by a function of it and of the number at its place in `others`; without others, of it and zero.
pub(crate) fn change<T: Real>(numbers: &mut [T], others: &[T], how: impl Fn(T, T) -> T + Copy + Send + Sync) {
    if numbers.len() <= BLOCK {
        return Arch::new().dispatch(Change { numbers, others, how });
    }
    let middle = numbers.len() / 2;
    let (left, right) = numbers.split_at_mut(middle);
    let (first, second) = others.split_at(middle.min(others.len()));
    fork(|| change(left, first, how), || change(right, second, how));
}

/// Not a closure: see `fused.rs`.
struct Change<'a, T, F> {
    numbers: &'a mut [T],
    others: &'a [T],
    how: F,
}

impl<T: Real, F: Fn(T, T) -> T> WithSimd for Change<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { numbers, others, how } = self;
        if others.is_empty() {
            for number in numbers {
                *number = how(*number, T::ZERO);
            }
        } else {
            for (number, &other) in numbers.iter_mut().zip(others) {
                *number = how(*number, other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::change;

    #[test]
    fn every_number_is_changed_once() {
        for count in [0_u32, 1, 100, 100_003] {
            let others: Vec<f64> = (0..count).map(f64::from).collect();
            let mut numbers = vec![2.0; others.len()];
            change(&mut numbers, &others, |x, other| 10.0 * x + other);
            assert!(numbers.iter().zip(&others).all(|(x, other)| *x == 20.0 + other));
            change(&mut numbers, &[], |x, zero| x - 20.0 + zero);
            assert_eq!(numbers, others);
        }
    }
}
