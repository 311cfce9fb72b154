//! Rows of numbers: the largest, exponentials and sums, 16 numbers at a time.
//!
//! A sum is added up in 16 partial sums, lane by lane, that are then added pairwise: an order that vectors of any size can keep, so that the
//! bits are the same on every processor. The functions are inlined; [`vectorized`] around the loop over rows makes vectors of
//! them.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::real::{PIECE, Real, numbers, vectorized};

const LANES: usize = 16;

fn lowest<T: Real>() -> T {
    T::from_f64(f64::NEG_INFINITY)
}

/// Calls a function with 16 numbers at a time, the last ones filled up.
#[inline(always)]
fn groups<T: Real>(row: &[T], filling: T, mut see: impl FnMut(&[T; LANES])) {
    let (groups, rest) = row.as_chunks::<LANES>();
    for group in groups {
        see(group);
    }
    if !rest.is_empty() {
        let mut last = [filling; LANES];
        last[..rest.len()].copy_from_slice(rest);
        see(&last);
    }
}

/// One number of 16, pairwise.
#[inline(always)]
fn folded<T: Copy>(mut lanes: [T; LANES], pair: impl Fn(T, T) -> T) -> T {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = pair(lanes[lane], lanes[lane + half]);
        }
    }
    lanes[0]
}

/// The largest number that is none of NaN; minus infinity where there is none.
#[inline(always)]
fn largest<T: Real>(row: &[T]) -> T {
    let mut largest = [lowest::<T>(); LANES];
    groups(
        row,
        lowest(),
        #[inline(always)]
        |group| {
            for lane in 0..LANES {
                largest[lane] = group[lane].larger(largest[lane]);
            }
        },
    );
    folded(largest, T::larger)
}

/// The largest number of a row and `sum(exp(x - largest))`.
#[inline(always)]
pub(super) fn largest_and_sum<T: Real>(row: &[T]) -> (T, T) {
    let largest = largest(row);
    let mut sums = [T::zero(); LANES];
    // The exponential of minus infinity adds nothing.
    groups(
        row,
        lowest(),
        #[inline(always)]
        |group| {
            for lane in 0..LANES {
                sums[lane] += (group[lane] - largest).exp();
            }
        },
    );
    (largest, folded(sums, |a, b| a + b))
}

/// The largest absolute value of a tensor of `f32`; NaN where a number is not finite.
pub(crate) fn largest_size(tensor: &Tensor) -> Result<f64> {
    numbers!(numbers: f32 = tensor);
    let of_piece = |piece: &[f32]| {
        vectorized(
            #[inline(always)]
            || {
                let (mut largest, mut nothing) = ([0f32; LANES], [0f32; LANES]);
                groups(
                    piece,
                    0.0,
                    #[inline(always)]
                    |group| {
                        for lane in 0..LANES {
                            largest[lane] = group[lane].abs().larger(largest[lane]);
                            // NaN once a number was not finite.
                            nothing[lane] += group[lane] * 0.0;
                        }
                    },
                );
                folded(largest, f32::larger) + folded(nothing, |a, b| a + b)
            },
        )
    };
    let sizes: Vec<f32> = numbers.par_chunks(PIECE).map(of_piece).collect();
    let all: f32 = sizes.iter().map(|size| size * 0.0).sum();
    Ok(f64::from(sizes.into_iter().fold(0.0, f32::max) + all))
}

/// `exp(x - largest)` of 16 numbers, which are added to the sums.
#[inline(always)]
fn exponentials<T: Real>(group: &[T; LANES], largest: T, sums: &mut [T; LANES]) -> [T; LANES] {
    let mut numbers = *group;
    for lane in 0..LANES {
        numbers[lane] = (numbers[lane] - largest).exp();
        sums[lane] += numbers[lane];
    }
    numbers
}

#[inline(always)]
pub(super) fn softmax_row<T: Real>(row: &mut [T]) {
    let largest = largest(row);
    let mut sums = [T::zero(); LANES];
    let (groups, rest) = row.as_chunks_mut::<LANES>();
    for group in groups {
        *group = exponentials(group, largest, &mut sums);
    }
    if !rest.is_empty() {
        let mut last = [lowest::<T>(); LANES];
        last[..rest.len()].copy_from_slice(rest);
        rest.copy_from_slice(&exponentials(&last, largest, &mut sums)[..rest.len()]);
    }
    let share = T::one() / folded(sums, |a, b| a + b);
    row.iter_mut().for_each(|x| *x *= share);
}

#[inline(always)]
pub(super) fn log_softmax_row<T: Real>(row: &mut [T]) {
    let (largest, sum) = largest_and_sum(row);
    let log_sum = sum.ln();
    row.iter_mut().for_each(|x| *x = *x - largest - log_sum);
}

/// Turns the gradient of a softmax `y` into that of its logits.
#[inline(always)]
pub(super) fn softmax_gradient<T: Real>(gradient: &mut [T], y: &[T]) {
    let dot = sum(gradient, y, T::zero(), |g, y| g * y);
    for (g, y) in gradient.iter_mut().zip(y) {
        *g = (*g - dot) * *y;
    }
}

/// Turns the gradient of a logarithmic softmax `y` into that of its logits.
#[inline(always)]
pub(super) fn log_softmax_gradient<T: Real>(gradient: &mut [T], y: &[T]) {
    let sum = sum(gradient, y, T::zero(), |g, _| g);
    let (groups, rest) = gradient.as_chunks_mut::<LANES>();
    let (y_groups, y_rest) = y.as_chunks::<LANES>();
    for (group, y) in groups.iter_mut().zip(y_groups) {
        let (mut numbers, y) = (*group, *y);
        for lane in 0..LANES {
            numbers[lane] -= sum * y[lane].exp();
        }
        *group = numbers;
    }
    for (g, y) in rest.iter_mut().zip(y_rest) {
        *g -= sum * y.exp();
    }
}

/// The sum of a term of two rows of the same length.
#[inline(always)]
pub(super) fn sum<T: Real, U: Copy + std::ops::Add<Output = U>>(
    a: &[T],
    b: &[T],
    zero: U,
    term: impl Fn(T, T) -> U,
) -> U {
    let mut sums = [zero; LANES];
    let (a_groups, a_rest) = a.as_chunks::<LANES>();
    let (b_groups, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_groups.iter().zip(b_groups) {
        for lane in 0..LANES {
            sums[lane] = sums[lane] + term(a[lane], b[lane]);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum = *sum + term(*a, *b);
    }
    folded(sums, |a, b| a + b)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn numbers(len: usize) -> Vec<f64> {
        (0..len).map(|i| ((i * 37) % 23) as f64 / 3.0 - 4.0).collect()
    }

    /// The formulas as they are written, one number after the other.
    #[test]
    fn rows_of_every_length_are_what_the_formulas_say() {
        for len in 1..70 {
            let (row, other) = (numbers(len), numbers(len + 5)[5..].to_vec());
            let close = |found: f64, expected: f64| {
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{found} instead of {expected} of {len}"
                );
            };
            let plain_largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let plain_sum: f64 = row.iter().map(|x| (x - plain_largest).exp()).sum();
            let (largest, total) = largest_and_sum(&row);
            assert_eq!(largest, plain_largest);
            close(total / plain_sum, 1.0);
            let (mut softmax, mut log_softmax) = (row.clone(), row.clone());
            softmax_row(&mut softmax);
            log_softmax_row(&mut log_softmax);
            let dot: f64 = other.iter().zip(&softmax).map(|(g, y)| g * y).sum();
            let all: f64 = other.iter().sum();
            let (mut gradient, mut log_gradient) = (other.clone(), other.clone());
            softmax_gradient(&mut gradient, &softmax);
            log_softmax_gradient(&mut log_gradient, &log_softmax);
            for i in 0..len {
                let y = (row[i] - plain_largest).exp() / plain_sum;
                close(softmax[i], y);
                close(log_softmax[i], row[i] - plain_largest - plain_sum.ln());
                close(gradient[i], (other[i] - dot) * y);
                close(log_gradient[i], other[i] - all * y);
            }
            close(sum(&row, &other, 0.0, |a, b| a - b), row.iter().sum::<f64>() - all);
        }
    }

    #[test]
    fn the_largest_size_is_found_or_what_is_not_finite() {
        let mut numbers: Vec<f32> = (0..40_000).map(|i| (i % 100) as f32 - 60.0).collect();
        let size = |numbers: &[f32]| largest_size(&Tensor::new(numbers, &Device::Cpu).unwrap()).unwrap();
        assert_eq!(size(&numbers), 60.0);
        for place in [0, 17_000, 39_999] {
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let before = std::mem::replace(&mut numbers[place], odd);
                assert!(size(&numbers).is_nan(), "{odd} at {place}");
                numbers[place] = before;
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for (place, len) in [(0, 3), (20, 40), (39, 40)] {
            let mut row = vec![1f32; len];
            row[place] = f32::NAN;
            assert!(largest_and_sum(&row).1.is_nan());
            softmax_row(&mut row);
            assert!(row.iter().all(|y| y.is_nan()));
        }
        assert!(largest_and_sum(&[f32::NEG_INFINITY; 2]).1.is_nan());
    }
}
