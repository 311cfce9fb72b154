//! Rows that fill few vectors, 16 of them at a time: lane $i$ of a vector holds a number of row $i$.
//!
//! A vector of one row of ten classes would hold six numbers of nothing, and its sum would be the work of many instructions. Here each row
//! is added up by itself, from its first number to its last, so that its result does not depend on the rows beside it. The functions are
//! inlined, as those of [`super::rows`].

use std::mem::MaybeUninit;

use super::elementary::Rounding;
use super::real::Real;
use super::rows::{LANES, lowest};

/// Numbers of the longest row that is handled here.
const WIDEST: usize = 64;

/// Whether rows of so many numbers are for this module.
pub(super) fn are_for(width: usize) -> bool {
    width <= WIDEST
}

/// A number of each of 16 rows.
pub(super) type Column<T> = [T; LANES];

/// Numbers of 16 rows.
pub(super) struct Columns<T> {
    numbers: [Column<T>; WIDEST],
    width: usize,
}

impl<T: Real> Columns<T> {
    /// Zeros for rows of `width` numbers, for which [`are_for`] holds.
    #[inline(always)]
    pub(super) fn new(width: usize) -> Self {
        Self {
            numbers: [[T::zero(); LANES]; WIDEST],
            width,
        }
    }

    /// Takes at most 16 rows; the lanes of missing ones keep what they have.
    #[inline(always)]
    pub(super) fn load(&mut self, rows: &[T]) {
        for (lane, row) in rows.chunks_exact(self.width).take(LANES).enumerate() {
            for (column, number) in self.numbers.iter_mut().zip(row) {
                column[lane] = *number;
            }
        }
    }

    /// Writes the rows that there is room for.
    #[inline(always)]
    pub(super) fn store(&self, rows: &mut [MaybeUninit<T>]) {
        for (lane, row) in rows.chunks_exact_mut(self.width).take(LANES).enumerate() {
            for (column, number) in self.numbers.iter().zip(row) {
                number.write(column[lane]);
            }
        }
    }

    #[inline(always)]
    pub(super) fn all(&self) -> &[Column<T>] {
        &self.numbers[..self.width]
    }

    #[inline(always)]
    pub(super) fn all_mut(&mut self) -> &mut [Column<T>] {
        &mut self.numbers[..self.width]
    }

    /// The largest number of each row that is none of NaN.
    #[inline(always)]
    fn largest(&self) -> Column<T> {
        let mut largest = [lowest::<T>(); LANES];
        for column in self.all() {
            for lane in 0..LANES {
                largest[lane] = column[lane].larger(largest[lane]);
            }
        }
        largest
    }

    /// Multiplies the numbers of each row by a factor.
    #[inline(always)]
    pub(super) fn scale(&mut self, factors: Column<T>) {
        for column in self.all_mut() {
            for lane in 0..LANES {
                column[lane] *= factors[lane];
            }
        }
    }

    /// Replaces the numbers by `exp(x - largest)`; returns their sums.
    #[inline(always)]
    pub(super) fn exponentials<M: Rounding>(&mut self) -> Column<T> {
        let largest = self.largest();
        let mut sums = [T::zero(); LANES];
        for column in self.all_mut() {
            let mut numbers = *column;
            for lane in 0..LANES {
                numbers[lane] = (numbers[lane] - largest[lane]).exp_of_negative::<M>();
                sums[lane] += numbers[lane];
            }
            *column = numbers;
        }
        sums
    }

    /// The largest number of each row and the logarithm of `sum(exp(x - largest))`.
    #[inline(always)]
    pub(super) fn largest_and_log_sum<M: Rounding>(&self) -> (Column<T>, Column<T>) {
        let largest = self.largest();
        let mut sums = [T::zero(); LANES];
        for column in self.all() {
            for lane in 0..LANES {
                sums[lane] += (column[lane] - largest[lane]).exp_of_negative::<M>();
            }
        }
        for sum in &mut sums {
            *sum = sum.ln_from_1::<M>();
        }
        (largest, sums)
    }

    /// The sum of a term of each row's numbers and those of the row of another block.
    #[inline(always)]
    pub(super) fn sum(&self, others: &Self, term: impl Fn(T, T) -> T) -> Column<T> {
        let mut sums = [T::zero(); LANES];
        for (column, other) in self.all().iter().zip(others.all()) {
            for lane in 0..LANES {
                sums[lane] += term(column[lane], other[lane]);
            }
        }
        sums
    }

    /// Replaces each number by what a function makes of its lane, of it and of the number of another block.
    #[inline(always)]
    pub(super) fn combine(&mut self, others: &Self, function: impl Fn(usize, T, T) -> T) {
        for (column, other) in self.numbers[..self.width].iter_mut().zip(others.all()) {
            let mut numbers = *column;
            for lane in 0..LANES {
                numbers[lane] = function(lane, numbers[lane], other[lane]);
            }
            *column = numbers;
        }
    }
}

/// Blocks that a function below computes in; to clear new ones for every 16 rows takes as long as the softmax of the rows.
pub(super) type Blocks<T> = [Columns<T>; 2];

/// Writes the softmaxes of at most 16 rows.
#[inline(always)]
pub(super) fn softmax<M: Rounding, T: Real>([columns, _]: &mut Blocks<T>, x: &[T], y: &mut [MaybeUninit<T>]) {
    columns.load(x);
    let sums = columns.exponentials::<M>();
    columns.scale(sums.map(|sum| T::one() / sum));
    columns.store(y);
}

/// Writes the logarithms of the softmaxes of at most 16 rows.
#[inline(always)]
pub(super) fn log_softmax<M: Rounding, T: Real>([columns, _]: &mut Blocks<T>, x: &[T], y: &mut [MaybeUninit<T>]) {
    columns.load(x);
    let (largest, log_sums) = columns.largest_and_log_sum::<M>();
    for column in columns.all_mut() {
        for lane in 0..LANES {
            column[lane] = column[lane] - largest[lane] - log_sums[lane];
        }
    }
    columns.store(y);
}

/// Writes the gradients of the logits, given those of their softmaxes `y`.
#[inline(always)]
pub(super) fn softmax_gradient<T: Real>(
    [columns, values]: &mut Blocks<T>,
    gradient: &[T],
    y: &[T],
    to: &mut [MaybeUninit<T>],
) {
    columns.load(gradient);
    values.load(y);
    let dots = columns.sum(
        values,
        #[inline(always)]
        |g, y| g * y,
    );
    columns.combine(
        values,
        #[inline(always)]
        |lane, g, y| (g - dots[lane]) * y,
    );
    columns.store(to);
}

/// Writes the gradients of the logits, given those of the logarithms of their softmaxes, `y`.
#[inline(always)]
pub(super) fn log_softmax_gradient<M: Rounding, T: Real>(
    [columns, values]: &mut Blocks<T>,
    gradient: &[T],
    y: &[T],
    to: &mut [MaybeUninit<T>],
) {
    columns.load(gradient);
    values.load(y);
    let sums = columns.sum(
        values,
        #[inline(always)]
        |g, _| g,
    );
    columns.combine(
        values,
        #[inline(always)]
        |lane, g, y| g - sums[lane] * y.exp::<M>(),
    );
    columns.store(to);
}

#[cfg(test)]
mod tests {
    use super::super::elementary::Once;
    use super::super::place::Place;
    use super::super::rows;
    use super::*;

    fn numbers(len: usize) -> Vec<f64> {
        (0..len).map(|i| ((i * 37) % 23) as f64 / 3.0 - 4.0).collect()
    }

    fn blocks(width: usize) -> Blocks<f64> {
        [Columns::new(width), Columns::new(width)]
    }

    type Write<'a> = &'a dyn Fn(&[f64], &[f64], &mut [MaybeUninit<f64>]);

    /// What a function of some numbers of `g` and `x`, which writes all values, makes of `len` of them at a time.
    fn values(g: &[f64], x: &[f64], len: usize, write: Write<'_>) -> Vec<f64> {
        let mut values = g.to_vec();
        let of_part =
            |before: usize, g: &[f64], to: &mut [MaybeUninit<f64>]| write(g, &x[before..before + g.len()], to);
        // SAFETY: each function of this module and of `rows` writes all values.
        unsafe { Place::Same(&mut values).in_rows(len, of_part) };
        values
    }

    /// What rows by themselves give, for every number of rows around 16 and of several widths.
    #[test]
    fn rows_beside_each_other_are_what_each_is_alone() {
        for (width, count) in [(1, 5), (2, 16), (3, 17), (10, 31), (10, 33), (17, 20), (64, 18)] {
            let (x, g) = (numbers(width * count), numbers(width * count + 7)[7..].to_vec());
            let check = |what: &str, all: Write<'_>, one: Write<'_>| {
                let (found, expected) = (values(&g, &x, LANES * width, all), values(&g, &x, width, one));
                for (found, expected) in found.iter().zip(&expected) {
                    assert!(
                        (found - expected).abs() < 1e-12,
                        "{what} of {count}x{width}: {found} instead of {expected}"
                    );
                }
            };
            check(
                "softmax",
                &|g, _, to| softmax::<Once, _>(&mut blocks(width), g, to),
                &|g, _, to| {
                    rows::softmax_row::<Once, _>(g, to);
                },
            );
            check(
                "log softmax",
                &|g, _, to| log_softmax::<Once, _>(&mut blocks(width), g, to),
                &|g, _, to| {
                    rows::log_softmax_row::<Once, _>(g, to);
                },
            );
            check(
                "gradient",
                &|g, y, to| softmax_gradient(&mut blocks(width), g, y, to),
                &|g, y, to| {
                    rows::softmax_gradient(g, y, to);
                },
            );
            check(
                "log gradient",
                &|g, y, to| log_softmax_gradient::<Once, _>(&mut blocks(width), g, y, to),
                &|g, y, to| rows::log_softmax_gradient::<Once, _>(g, y, to),
            );
        }
    }

    #[test]
    fn what_is_no_number_stays_in_its_row() {
        let mut rows = vec![1f64; 40];
        rows[13] = f64::NAN;
        let y = values(&rows, &rows, 40, &|x, _, to| softmax::<Once, _>(&mut blocks(10), x, to));
        assert!(y[10..20].iter().all(|y| y.is_nan()));
        assert!(y[..10].iter().chain(&y[20..]).all(|y| *y == 0.1));
    }
}
