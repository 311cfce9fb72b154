//! Where the arguments of a function are and where its values go.
//!
//! An operation by itself reads one tensor and writes another in a single pass, so that the loads and stores of some numbers happen while
//! others are computed: to copy a piece first and to change it in the cache took up to twice as long. In what another operation has just
//! computed, values replace their arguments.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::real::{Real, pairwise};

pub(super) enum Place<'a, T> {
    /// Each value replaces its argument.
    Same(&'a mut [T]),
    /// Values are written to other memory of the same length, and to all of it.
    Other(&'a [T], &'a mut [MaybeUninit<T>]),
}

impl<T: Real> Place<'_, T> {
    /// Writes `f(x)` of every number. To be called in a loop that is compiled for vectors, as all of these.
    ///
    /// `f` owns what it uses: numbers behind a reference might be among the values, for all that the compiler knows, and then nothing
    /// becomes vectors.
    #[inline(always)]
    pub(super) fn map(self, f: impl Fn(T) -> T + 'static) {
        match self {
            Place::Same(values) => {
                for value in values {
                    *value = f(*value);
                }
            }
            Place::Other(from, to) => {
                for (to, from) in to.iter_mut().zip(from) {
                    to.write(f(*from));
                }
            }
        }
    }

    /// Writes `f(x, y)` of every number and the one of `others` that belongs to it.
    #[inline(always)]
    pub(super) fn map_with(self, others: &[T], f: impl Fn(T, T) -> T + 'static) {
        match self {
            Place::Same(values) => pairwise(
                values,
                others,
                #[inline(always)]
                |value, other| *value = f(*value, *other),
            ),
            Place::Other(from, to) => {
                assert_eq!(from.len(), others.len());
                for ((to, from), other) in to.iter_mut().zip(from).zip(others) {
                    to.write(f(*from, *other));
                }
            }
        }
    }

    /// Calls a function with every `len` numbers, with where their values go and with how many came before.
    ///
    /// # Safety
    /// The function must write all values.
    #[inline(always)]
    pub(super) unsafe fn in_rows(self, len: usize, mut write: impl FnMut(usize, &[T], &mut [MaybeUninit<T>])) {
        match self {
            Place::Same(values) => {
                let mut arguments = Vec::with_capacity(len);
                for (index, values) in values.chunks_mut(len).enumerate() {
                    arguments.clear();
                    arguments.extend_from_slice(values);
                    // SAFETY: `MaybeUninit<T>` lies in memory as `T` does, and the function writes numbers to all of it.
                    let values = unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<T>]) };
                    write(index * len, &arguments, values);
                }
            }
            Place::Other(from, to) => {
                for (index, (from, to)) in from.chunks(len).zip(to.chunks_mut(len)).enumerate() {
                    write(index * len, from, to);
                }
            }
        }
    }
}

/// Values of some numbers, computed in parallel in pieces of `piece` numbers by a function that gets the piece's place in all of them.
///
/// # Safety
/// The function must use one of the methods of [`Place`], which write all values.
pub(super) unsafe fn elsewhere<T: Real>(
    numbers: &[T],
    piece: usize,
    compute: impl Fn(usize, Place<'_, T>) + Sync,
) -> Vec<T> {
    // SAFETY: as the caller promises.
    unsafe { written(numbers, piece, |start, from, to| compute(start, Place::Other(from, to))) }
}

/// As [`elsewhere`], by a function that gets numbers and where their values go.
///
/// # Safety
/// The function must write all values.
pub(super) unsafe fn written<T: Real>(
    numbers: &[T],
    piece: usize,
    write: impl Fn(usize, &[T], &mut [MaybeUninit<T>]) + Sync,
) -> Vec<T> {
    let (len, piece) = (numbers.len(), piece.max(1));
    let mut values: Vec<T> = Vec::with_capacity(len);
    values.spare_capacity_mut()[..len]
        .par_chunks_mut(piece)
        .zip(numbers.par_chunks(piece))
        .enumerate()
        .for_each(|(index, (to, from))| write(index * piece, from, to));
    // SAFETY: the capacity is at least `len`, and the pieces are the first `len` numbers, all of which were written, as the caller promises.
    unsafe { values.set_len(len) };
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every method writes the same in both kinds of places, whatever the number of numbers.
    #[test]
    fn values_are_the_same_wherever_they_go() {
        for len in [0, 1, 15, 16, 17, 64, 100, 257] {
            let x: Vec<f32> = (0..len).map(|i| i as f32 - 3.0).collect();
            let y: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
            let check = |compute: &(dyn Fn(usize, Place<'_, f32>) + Sync), expected: &dyn Fn(usize) -> f32| {
                let mut same = x.clone();
                compute(0, Place::Same(&mut same));
                // SAFETY: each of the functions below is a method of `Place`.
                let other = unsafe { elsewhere(&x, 48, compute) };
                let expected: Vec<f32> = (0..len).map(expected).collect();
                assert_eq!((&same, &other), (&expected, &expected));
            };
            check(&|_, place| place.map(|x| x + 1.0), &|i| x[i] + 1.0);
            check(
                &|before, place| {
                    let len = match &place {
                        Place::Same(values) => values.len(),
                        Place::Other(from, _) => from.len(),
                    };
                    place.map_with(&y[before..before + len], |x, y| x * y);
                },
                &|i| x[i] * y[i],
            );
            check(
                &|start, place| {
                    let write = |before: usize, x: &[f32], y: &mut [MaybeUninit<f32>]| {
                        for (i, (x, y)) in x.iter().zip(y).enumerate() {
                            y.write(x + (start + before + i) as f32);
                        }
                    };
                    // SAFETY: a value is written for each number.
                    unsafe { place.in_rows(12, write) };
                },
                &|i| x[i] + i as f32,
            );
        }
    }
}
