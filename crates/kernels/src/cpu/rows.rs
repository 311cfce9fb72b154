//! Rows of numbers: the largest, exponentials and sums, 16 numbers at a time.
//!
//! A sum is added up in 16 partial sums, lane by lane, that are then added pairwise: an order that vectors of any size can keep, so that the
//! bits are the same on every processor with multiply-adds. The functions are inlined; [`Rounding::vectorized`] around the loop over rows
//! makes vectors of them. Rows that fill few vectors are left to [`super::columns`].

use std::mem::MaybeUninit;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::elementary::Rounding;
use super::real::{PIECE, Real, numbers, vectorized};

pub(super) const LANES: usize = 16;

pub(super) fn lowest<T: Real>() -> T {
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

/// The lane-wise larger numbers.
#[inline(always)]
fn largest_of<T: Real>(largest: &mut [T; LANES], group: &[T; LANES]) {
    for lane in 0..LANES {
        largest[lane] = group[lane].larger(largest[lane]);
    }
}

/// The largest number that is none of NaN; minus infinity where there is none.
#[inline(always)]
fn largest<T: Real>(row: &[T]) -> T {
    // Four at a time, because each has to wait for the one before.
    let mut four = [[lowest::<T>(); LANES]; 4];
    let (wide, rest) = row.as_chunks::<{ 4 * LANES }>();
    for numbers in wide {
        for part in 0..4 {
            for lane in 0..LANES {
                four[part][lane] = numbers[LANES * part + lane].larger(four[part][lane]);
            }
        }
    }
    let [mut found, others @ ..] = four;
    let (groups, rest) = rest.as_chunks::<LANES>();
    for group in groups {
        largest_of(&mut found, group);
    }
    match row.last_chunk() {
        // Some of them have been seen before.
        Some(last) => largest_of(&mut found, last),
        None => {
            for x in rest {
                found[0] = x.larger(found[0]);
            }
        }
    }
    for other in &others {
        largest_of(&mut found, other);
    }
    folded(found, T::larger)
}

/// Replaces 16 numbers by `exp(x - largest)`, and adds those from lane `first` on to the sums.
#[inline(always)]
fn exponentials_of<M: Rounding, T: Real>(group: &mut [T; LANES], largest: T, sums: &mut [T; LANES], first: usize) {
    for lane in 0..LANES {
        group[lane] = (group[lane] - largest).exp_of_negative::<M>();
        sums[lane] += if lane < first { T::zero() } else { group[lane] };
    }
}

/// Asks the processor for the group of the next row.
///
/// A row is gone through twice, the first time as fast as memory allows, the second time from the nearest cache: meanwhile the next row can
/// come. The processor by itself does not look beyond a page.
#[inline(always)]
fn ask_for_next<T>(group: *const T, row: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of every x86-64 processor, and a prefetch of any address touches nothing that a program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(group.wrapping_add(row).cast()) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (group, row);
}

/// As [`ask_for_next`], to write there.
#[inline(always)]
fn ask_for_next_to_write<T>(group: *const T, row: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: see above; a processor that does not know this hint does nothing.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(group.wrapping_add(row).cast()) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (group, row);
}

/// The last 16 numbers of a row that does not consist of whole groups, and the lane from which on they have not been seen. A shorter row is
/// filled up with minus infinity, whose exponential adds nothing.
#[inline(always)]
fn last_group<T: Real>(row: &[T], rest: &[T]) -> ([T; LANES], usize) {
    if let Some(last) = row.last_chunk() {
        return (*last, LANES - rest.len());
    }
    let mut last = [lowest::<T>(); LANES];
    last[..rest.len()].copy_from_slice(rest);
    (last, 0)
}

/// The largest number of a row and `sum(exp(x - largest))`.
#[inline(always)]
pub(super) fn largest_and_sum<M: Rounding, T: Real>(row: &[T]) -> (T, T) {
    let largest = largest(row);
    let mut sums = [T::zero(); LANES];
    let (groups, rest) = row.as_chunks::<LANES>();
    for group in groups {
        ask_for_next(group.as_ptr(), row.len());
        exponentials_of::<M, T>(&mut { *group }, largest, &mut sums, 0);
    }
    if !rest.is_empty() {
        let (mut last, first) = last_group(row, rest);
        exponentials_of::<M, T>(&mut last, largest, &mut sums, first);
    }
    (largest, folded(sums, |a, b| a + b))
}

/// Writes `exp(x - largest)` of the numbers of a row; returns their sum and them.
#[inline(always)]
pub(super) fn exponentials<'a, M: Rounding, T: Real>(row: &[T], to: &'a mut [MaybeUninit<T>]) -> (T, &'a mut [T]) {
    assert_eq!(row.len(), to.len());
    let largest = largest(row);
    let mut sums = [T::zero(); LANES];
    let (groups, rest) = row.as_chunks::<LANES>();
    for (group, to) in groups.iter().zip(to.as_chunks_mut::<LANES>().0) {
        ask_for_next(group.as_ptr(), row.len());
        ask_for_next_to_write(to.as_ptr(), row.len());
        let mut numbers = *group;
        exponentials_of::<M, T>(&mut numbers, largest, &mut sums, 0);
        *to = numbers.map(MaybeUninit::new);
    }
    if !rest.is_empty() {
        let (mut last, first) = last_group(row, rest);
        exponentials_of::<M, T>(&mut last, largest, &mut sums, first);
        match to.last_chunk_mut() {
            Some(to) => *to = last.map(MaybeUninit::new),
            None => {
                for (to, number) in to.iter_mut().zip(last) {
                    to.write(number);
                }
            }
        }
    }
    // SAFETY: whole groups were written, and what is left behind them; `MaybeUninit<T>` lies in memory as `T` does.
    let written = unsafe { &mut *(std::ptr::from_mut(to) as *mut [T]) };
    (folded(sums, |a, b| a + b), written)
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

/// Writes the softmax of a row.
#[inline(always)]
pub(super) fn softmax_row<M: Rounding, T: Real>(x: &[T], y: &mut [MaybeUninit<T>]) {
    let (sum, y) = exponentials::<M, T>(x, y);
    let share = T::one() / sum;
    y.iter_mut().for_each(|y| *y *= share);
}

/// Writes the logarithm of the softmax of a row.
#[inline(always)]
pub(super) fn log_softmax_row<M: Rounding, T: Real>(x: &[T], y: &mut [MaybeUninit<T>]) {
    let (largest, sum) = largest_and_sum::<M, T>(x);
    let log_sum = sum.ln_from_1::<M>();
    for (y, x) in y.iter_mut().zip(x) {
        y.write(*x - largest - log_sum);
    }
}

/// Writes the gradient of the logits, given that of their softmax `y`.
#[inline(always)]
pub(super) fn softmax_gradient<T: Real>(gradient: &[T], y: &[T], to: &mut [MaybeUninit<T>]) {
    let dot = sum(
        gradient,
        y,
        #[inline(always)]
        |g, y| g * y,
    );
    for ((to, g), y) in to.iter_mut().zip(gradient).zip(y) {
        to.write((*g - dot) * *y);
    }
}

/// Writes the gradient of the logits, given that of the logarithm of their softmax, `y`.
#[inline(always)]
pub(super) fn log_softmax_gradient<M: Rounding, T: Real>(gradient: &[T], y: &[T], to: &mut [MaybeUninit<T>]) {
    let sum = sum(
        gradient,
        y,
        #[inline(always)]
        |g, _| g,
    );
    for ((to, g), y) in to.iter_mut().zip(gradient).zip(y) {
        to.write(*g - sum * y.exp::<M>());
    }
}

/// The sum of a term of two rows of the same length.
#[inline(always)]
pub(super) fn sum<T: Real>(a: &[T], b: &[T], term: impl Fn(T, T) -> T) -> T {
    let mut sums = [T::zero(); LANES];
    let (a_groups, a_rest) = a.as_chunks::<LANES>();
    let (b_groups, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_groups.iter().zip(b_groups) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += term(*a, *b);
    }
    folded(sums, |a, b| a + b)
}

/// As [`sum`], added up in f64; only the terms of four lanes are added before.
#[inline(always)]
pub(super) fn sum_in_f64<T: Real>(a: &[T], b: &[T], term: impl Fn(T, T) -> T) -> f64 {
    const TOGETHER: usize = 4 * LANES;
    let mut sums = [0f64; LANES];
    let (a_wide, a_rest) = a.as_chunks::<TOGETHER>();
    let (b_wide, b_rest) = b.as_chunks::<TOGETHER>();
    for (a, b) in a_wide.iter().zip(b_wide) {
        let mut four = [T::zero(); LANES];
        for part in 0..4 {
            for lane in 0..LANES {
                four[lane] += term(a[LANES * part + lane], b[LANES * part + lane]);
            }
        }
        for lane in 0..LANES {
            sums[lane] += four[lane].to_f64();
        }
    }
    let (a_groups, a_rest) = a_rest.as_chunks::<LANES>();
    let (b_groups, b_rest) = b_rest.as_chunks::<LANES>();
    for (a, b) in a_groups.iter().zip(b_groups) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]).to_f64();
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += term(*a, *b).to_f64();
    }
    folded(sums, |a, b| a + b)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::elementary::Once;
    use super::*;

    /// What one of the functions above, which write all of a row, has written.
    fn written<T: Real>(len: usize, write: impl Fn(&mut [MaybeUninit<T>])) -> Vec<T> {
        let mut numbers = Vec::with_capacity(len);
        write(&mut numbers.spare_capacity_mut()[..len]);
        // SAFETY: the capacity is `len` or more, and all was written.
        unsafe { numbers.set_len(len) };
        numbers
    }

    fn numbers(len: usize) -> Vec<f64> {
        (0..len).map(|i| ((i * 37) % 23) as f64 / 3.0 - 4.0).collect()
    }

    /// The formulas as they are written, one number after the other.
    #[test]
    fn rows_of_every_length_are_what_the_formulas_say() {
        for len in 1..150 {
            let (row, other) = (numbers(len), numbers(len + 5)[5..].to_vec());
            let close = |found: f64, expected: f64| {
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{found} instead of {expected} of {len}"
                );
            };
            let plain_largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let plain_sum: f64 = row.iter().map(|x| (x - plain_largest).exp()).sum();
            let (largest, total) = largest_and_sum::<Once, f64>(&row);
            assert_eq!(largest, plain_largest);
            close(total / plain_sum, 1.0);
            let softmax = written(len, |y| softmax_row::<Once, f64>(&row, y));
            let log_softmax = written(len, |y| log_softmax_row::<Once, f64>(&row, y));
            let dot: f64 = other.iter().zip(&softmax).map(|(g, y)| g * y).sum();
            let all: f64 = other.iter().sum();
            let gradient = written(len, |to| softmax_gradient(&other, &softmax, to));
            let log_gradient = written(len, |to| log_softmax_gradient::<Once, f64>(&other, &log_softmax, to));
            for i in 0..len {
                let y = (row[i] - plain_largest).exp() / plain_sum;
                close(softmax[i], y);
                close(log_softmax[i], row[i] - plain_largest - plain_sum.ln());
                close(gradient[i], (other[i] - dot) * y);
                close(log_gradient[i], other[i] - all * y);
            }
            let difference = row.iter().sum::<f64>() - all;
            close(sum(&row, &other, |a, b| a - b), difference);
            close(sum_in_f64(&row, &other, |a, b| a - b), difference);
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
            assert!(largest_and_sum::<Once, f32>(&row).1.is_nan());
            let y = written(len, |y| softmax_row::<Once, f32>(&row, y));
            assert!(y.iter().all(|y| y.is_nan()));
        }
        assert!(largest_and_sum::<Once, f32>(&[f32::NEG_INFINITY; 2]).1.is_nan());
    }
}
