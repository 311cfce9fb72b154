//! A tile of a matrix product whose left factor is read where it lies in an image.
//!
//! The left factor of a convolution, the matrix of patches, is never made: its row for an output position is a few runs of neighbouring
//! numbers of the (padded) image, one run for each row of the kernel. The tile's sums stay in registers for all of them.
//!
//! The right factor is packed in panels, [`Panels`]: two vectors of columns beside each other, row after row.

use super::simd::Simd;

/// Where the numbers of the left factor lie: those of a row are in runs of `length` numbers that begin at `starts` behind the row's own
/// place and lie `step` apart.
#[derive(Clone, Copy)]
pub(super) struct Left<'a, T> {
    data: &'a [T],
    starts: &'a [usize],
    length: usize,
    step: usize,
    /// From a row's place to one behind the last number that is read.
    reach: usize,
}

impl<'a, T> Left<'a, T> {
    pub(super) fn new(data: &'a [T], starts: &'a [usize], length: usize, step: usize) -> Self {
        let reach = match starts.iter().max() {
            Some(last) if length > 0 => last + (length - 1) * step + 1,
            _ => 0,
        };
        Self {
            data,
            starts,
            length,
            step,
            reach,
        }
    }

    fn depth(&self) -> usize {
        self.starts.len() * self.length
    }
}

/// Whether each row begins one number behind the one before.
pub(super) fn are_neighbours(rows: &[usize]) -> bool {
    rows.iter().zip(rows.iter().skip(1)).all(|(row, next)| row + 1 == *next)
}

/// How a matrix of `columns` columns is packed: panels of [`Panels::width`] columns, each with its rows one behind the other, the last
/// one filled up with zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panels {
    pub(super) columns: usize,
    /// Vectors in a row of a panel: 1 or 2.
    vectors: usize,
    lanes: usize,
}

impl Panels {
    pub(super) fn new<S: Simd>(columns: usize) -> Self {
        Self {
            columns,
            vectors: if columns <= S::LANES { 1 } else { 2 },
            lanes: S::LANES,
        }
    }

    pub(super) fn width(&self) -> usize {
        self.vectors * self.lanes
    }

    pub(super) fn count(&self) -> usize {
        self.columns.div_ceil(self.width())
    }

    /// Numbers that `rows` packed rows take.
    pub(super) fn len(&self, rows: usize) -> usize {
        self.count() * self.width() * rows
    }

    /// Columns of the matrix in a panel.
    pub(super) fn valid(&self, panel: usize) -> usize {
        (self.columns - panel * self.width()).min(self.width())
    }

    /// Packs row `row` (of `rows`) of the matrix; columns that are no part of the matrix are not written.
    #[inline(always)]
    pub(super) fn put<T: Copy>(&self, row: usize, rows: usize, numbers: &[T], packed: &mut [T]) {
        let width = self.width();
        for (panel, part) in numbers.chunks(width).enumerate() {
            packed[(panel * rows + row) * width..][..part.len()].copy_from_slice(part);
        }
    }
}

impl Panels {
    /// Packs a whole matrix, row by row; as [`Panels::put`].
    pub(super) fn put_all<S: Simd>(&self, matrix: &[S::Scalar], rows: usize, packed: &mut [S::Scalar]) {
        if !S::MASKED || self.columns > S::LANES {
            for (row, numbers) in matrix.chunks_exact(self.columns).enumerate() {
                self.put(row, rows, numbers, packed);
            }
            return;
        }
        assert!(S::detected());
        for (numbers, packed) in matrix.chunks_exact(self.columns).zip(packed.chunks_exact_mut(S::LANES)) {
            // SAFETY: the processor has the instructions; a row and a vector of the panel are read and written.
            unsafe {
                S::call(
                    #[inline(always)]
                    || S::store(packed.as_mut_ptr(), S::load_first(numbers.as_ptr(), self.columns)),
                );
            }
        }
    }
}

/// One panel of a packed matrix, and how many of its columns count.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a, T> {
    pub(super) panels: Panels,
    pub(super) numbers: &'a [T],
    pub(super) columns: usize,
}

/// `out (+)= left * panel`: at most [`Simd::ROWS`] rows, `columns` columns, rows of the result `stride` apart.
///
/// Row `r` of the left factor has the place `row_places[r]`. With `NEIGHBOURS` the places are beside each other, which saves registers.
///
/// # Panics
/// If a factor or the result is shorter than what is read or written.
#[inline]
pub(super) fn tile<S: Simd, const NEIGHBOURS: bool>(
    left: Left<'_, S::Scalar>,
    row_places: &[usize],
    panel: Panel<'_, S::Scalar>,
    out: &mut [S::Scalar],
    stride: usize,
    accumulate: bool,
) {
    let Panel {
        panels,
        numbers: panel,
        columns,
    } = panel;
    let rows = row_places.len();
    assert!(rows > 0 && rows <= S::ROWS && columns > 0 && columns <= panels.width() && S::detected());
    assert!(row_places.iter().all(|place| place + left.reach <= left.data.len()));
    assert!(!NEIGHBOURS || are_neighbours(row_places));
    assert!(panel.len() >= left.depth() * panels.width());
    assert!(out.len() >= (rows - 1) * stride + columns);
    macro_rules! by_rows {
        ($($rows:literal)*) => {
            match (rows, panels.vectors) {
                $(
                    // SAFETY: the instructions were detected and everything that is read or written lies inside its slice, all of
                    // which was just asserted; the numbers of rows and vectors are those of the arms.
                    ($rows, 1) => unsafe { sums::<S, $rows, 1, NEIGHBOURS>(left, row_places, panel, out, stride, columns, accumulate) },
                    // SAFETY: as above.
                    ($rows, 2) => unsafe { sums::<S, $rows, 2, NEIGHBOURS>(left, row_places, panel, out, stride, columns, accumulate) },
                )*
                _ => unreachable!("asserted above"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// Runs a block for each row and vector of the sums, with their numbers as constants: with an index that the compiler cannot tell before it
/// has unrolled the loop around it, the sums would be written to memory in every step, at a third of the speed.
macro_rules! each {
    ($row:ident, $vector:ident => $body:expr) => {
        each!(@rows $row, $vector, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    (@rows $row:ident, $vector:ident, $body:expr, $($number:literal)*) => {
        $(if $number < ROWS {
            #[allow(non_upper_case_globals, reason = "they stand for the variables of a loop")]
            const $row: usize = $number;
            each!(@vectors $vector, $body, 0 1);
        })*
    };
    (@vectors $vector:ident, $body:expr, $($number:literal)*) => {
        $(if $number < VECTORS {
            #[allow(non_upper_case_globals, reason = "they stand for the variables of a loop")]
            const $vector: usize = $number;
            $body
        })*
    };
}

/// [`tile`] for known numbers of rows and vectors.
///
/// # Safety
/// What [`tile`] asserts.
#[inline(never)]
unsafe fn sums<S: Simd, const ROWS: usize, const VECTORS: usize, const NEIGHBOURS: bool>(
    left: Left<'_, S::Scalar>,
    row_places: &[usize],
    panel: &[S::Scalar],
    out: &mut [S::Scalar],
    stride: usize,
    columns: usize,
    accumulate: bool,
) {
    // SAFETY: `tile` asserted that the processor has the instructions, that the offsets of all rows, runs and steps lie in the left
    // factor, that the panel has a row for each of them, and that the result has these rows and columns.
    unsafe {
        S::call(
            #[inline(always)]
            || {
                let mut sum = [[S::zero(); VECTORS]; ROWS];
                let mut row = [0; ROWS];
                row.copy_from_slice(row_places.get_unchecked(..ROWS));
                let data = left.data.as_ptr();
                let mut right = panel.as_ptr();
                for start in left.starts {
                    let mut at = data.wrapping_add(*start);
                    if NEIGHBOURS {
                        at = at.wrapping_add(row[0]);
                    }
                    for _ in 0..left.length {
                        let b: [S::Vector; VECTORS] = std::array::from_fn(|v| S::load(right.add(v * S::LANES)));
                        each!(r, v => sum[r][v] =
                            S::mul_add(S::splat(at.add(if NEIGHBOURS { r } else { row[r] })), b[v], sum[r][v]));
                        // The last step may lead past the data, so it is not an `add`.
                        at = at.wrapping_add(left.step);
                        right = right.wrapping_add(VECTORS * S::LANES);
                    }
                }
                let to = out.as_mut_ptr();
                let whole = columns == VECTORS * S::LANES;
                if whole && accumulate {
                    each!(r, v => {
                        let to = to.add(r * stride + v * S::LANES);
                        S::store(to, S::add(sum[r][v], S::load(to)));
                    });
                } else if whole {
                    each!(r, v => S::store(to.add(r * stride + v * S::LANES), sum[r][v]));
                } else {
                    let count = |v: usize| columns.saturating_sub(v * S::LANES).min(S::LANES);
                    each!(r, v => {
                        let (to, count) = (to.wrapping_add(r * stride + v * S::LANES), count(v));
                        let before = if accumulate { S::load_first(to, count) } else { S::zero() };
                        S::store_first(to, S::add(sum[r][v], before), count);
                    });
                }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::WithDType;

    use crate::cpu::simd::{Plain, Vectors};

    /// A tile against the sums written out, on the vectors that this processor has.
    #[track_caller]
    fn check<S: Simd>(rows: usize, columns: usize, neighbours: bool, accumulate: bool) {
        if !S::detected() {
            return;
        }
        let number = |i: usize| S::Scalar::from_f64(((i * 37) % 17) as f64 - 8.0);
        let rows = rows.min(S::ROWS);
        let panels = Panels::new::<S>(columns);
        let starts = [3, 40, 90];
        let places: Vec<usize> = (0..rows).map(|r| if neighbours { 5 + r } else { r * 7 }).collect();
        let (length, step) = if neighbours { (4, 9) } else { (11, 1) };
        let data: Vec<S::Scalar> = (0..400).map(number).collect();
        let depth = starts.len() * length;
        let right: Vec<S::Scalar> = (0..depth * columns).map(|i| number(i + 5)).collect();
        let mut packed = vec![S::Scalar::from_f64(0.0); panels.len(depth)];
        for (row, numbers) in right.chunks(columns).enumerate() {
            panels.put(row, depth, numbers, &mut packed);
        }
        let mut out: Vec<S::Scalar> = (0..rows * columns).map(|i| number(i + 3)).collect();
        let before = out.clone();
        let left = Left::new(&data, &starts, length, step);
        for panel in 0..panels.count() {
            let right = Panel {
                panels,
                numbers: &packed[panel * depth * panels.width()..],
                columns: panels.valid(panel),
            };
            let to = &mut out[panel * panels.width()..];
            if neighbours {
                tile::<S, true>(left, &places, right, to, columns, accumulate);
            } else {
                tile::<S, false>(left, &places, right, to, columns, accumulate);
            }
        }
        for r in 0..rows {
            for c in 0..columns {
                let mut sum = if accumulate {
                    before[r * columns + c].to_f64()
                } else {
                    0.0
                };
                for (run, start) in starts.iter().enumerate() {
                    for k in 0..length {
                        sum += data[start + places[r] + k * step].to_f64()
                            * right[(run * length + k) * columns + c].to_f64();
                    }
                }
                assert_eq!(
                    out[r * columns + c].to_f64(),
                    sum,
                    "row {r}, column {c} of {rows} x {columns}"
                );
            }
        }
    }

    #[test]
    fn tiles_are_products() {
        // Miri takes minutes for all of them: there whole and cut tiles of one panel and of several.
        let (rows, columns): (&[usize], &[usize]) = if cfg!(miri) {
            (&[3, 14], &[5, 33])
        } else {
            (&[1, 3, 6, 13, 14], &[1, 5, 8, 16, 17, 32, 33, 70])
        };
        for &rows in rows {
            for &columns in columns {
                for (neighbours, accumulate) in [(false, false), (false, true), (true, false), (true, true)] {
                    check::<<f32 as Vectors>::Widest>(rows, columns, neighbours, accumulate);
                    check::<<f32 as Vectors>::Wide>(rows, columns, neighbours, accumulate);
                    check::<Plain<f32>>(rows, columns, neighbours, accumulate);
                    check::<<f64 as Vectors>::Widest>(rows, columns, neighbours, accumulate);
                    check::<<f64 as Vectors>::Wide>(rows, columns, neighbours, accumulate);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "left.reach")]
    fn what_lies_outside_is_not_read() {
        let left = Left::new(&[1.0f32; 10], &[0], 6, 1);
        let panels = Panels::new::<Plain<f32>>(4);
        let panel = Panel {
            panels,
            numbers: &[0.0; 24],
            columns: 4,
        };
        tile::<Plain<f32>, false>(left, &[0, 5], panel, &mut [0.0; 8], 4, false);
    }
}
