//! Matrix products on slices, cut into blocks whose size never depends on the number of threads.

use rayon::prelude::*;

use super::real::Real;
use super::tiles;
use crate::precision::MatmulPrecision;

/// A matrix inside a slice: number `(i, j)` is at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(super) struct View<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Real> View<'a, T> {
    /// A matrix whose rows lie one behind the other.
    pub(super) fn rows(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns, 1)
    }

    /// # Panics
    /// If the last number of the matrix lies outside of the slice.
    pub(super) fn strided(data: &'a [T], rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> Self {
        assert!(rows == 0 || columns == 0 || (rows - 1) * row_stride + (columns - 1) * column_stride < data.len());
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride,
        }
    }

    pub(super) fn data(&self) -> &'a [T] {
        self.data
    }

    pub(super) fn rows_count(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The same places in other numbers.
    pub(super) fn of<U: Real>(self, data: &[U]) -> View<'_, U> {
        View::strided(data, self.rows, self.columns, self.row_stride, self.column_stride)
    }

    /// From a row to the next, and from a column to the next.
    pub(super) fn strides(&self) -> (usize, usize) {
        (self.row_stride, self.column_stride)
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn part(self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Self {
        let start = rows.start * self.row_stride + columns.start * self.column_stride;
        Self::strided(
            &self.data[start..],
            rows.len(),
            columns.len(),
            self.row_stride,
            self.column_stride,
        )
    }
}

/// `out = a b`, or `out += a b`, on this thread; `out` has its rows `row_stride` apart.
///
/// # Panics
/// If the shapes do not fit or `out` is too short.
pub(super) fn product<T: Real>(a: View<'_, T>, b: View<'_, T>, out: &mut [T], row_stride: usize, accumulate: bool) {
    let (m, n) = (a.rows, b.columns);
    assert!(a.columns == b.rows && row_stride >= n);
    assert!(m == 0 || n == 0 || (m - 1) * row_stride + n <= out.len());
    // SAFETY: `out` holds every row of the product, checked above, and nobody else writes it, as it is borrowed mutably.
    unsafe { product_into(a, b, out.as_mut_ptr(), row_stride, accumulate) }
}

/// # Safety
/// `out` must be valid for writing `b.columns` numbers at each multiple of `row_stride` below `a.rows * row_stride`, and
/// initialized there when accumulating; no other thread may touch these numbers meanwhile.
unsafe fn product_into<T: Real>(a: View<'_, T>, b: View<'_, T>, out: *mut T, row_stride: usize, accumulate: bool) {
    debug_assert_eq!(a.columns, b.rows);
    // SAFETY: a `View` lies inside its slice (asserted when it was made, and strides are not negative), the caller vouches for
    // `out`, and `T` is f32 or f64, which `gemm` supports.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            row_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// The start of a matrix that several threads write, each its own block.
pub(super) struct Shared<T>(*mut T);

// SAFETY: the pointer is only used to reach blocks that do not overlap, one thread a block.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(super) fn new(start: *mut T) -> Self {
        Self(start)
    }

    /// # Safety
    /// `offset` must lie inside the matrix.
    pub(super) unsafe fn at(&self, offset: usize) -> *mut T {
        // SAFETY: as the caller promises.
        unsafe { self.0.add(offset) }
    }

    /// # Safety
    /// `offset..offset + len` must lie inside the matrix and belong to the calling thread alone.
    #[allow(clippy::mut_from_ref, reason = "the caller vouches that no other reference overlaps")]
    pub(super) unsafe fn piece(&self, offset: usize, len: usize) -> &mut [T] {
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(offset), len) }
    }
}

/// Products below this many multiplications are not worth a second thread.
const SMALL: usize = 1 << 16;

/// Rows and columns of a block: a function of the product's shape alone.
///
/// Blocks of at most 128 rows keep the left factor's part in the L2 cache; an even number of blocks of columns occupies two
/// processors evenly; 16 numbers are one AVX-512 register.
fn block(m: usize, n: usize, k: usize) -> (usize, usize) {
    if m * n * k <= SMALL {
        return (m, n);
    }
    let divide = |size: usize, target: usize, step: usize| {
        let mut pieces = size.div_ceil(target);
        if pieces > 1 {
            pieces += pieces % 2;
        }
        size.div_ceil(pieces).next_multiple_of(step)
    };
    let (rows, columns) = (divide(m, 128, 8), divide(n, 192, 16));
    if rows >= m && columns >= n {
        // Work for two, along the longer side.
        return if m >= n {
            (m.div_ceil(2).next_multiple_of(8), n)
        } else {
            (m, n.div_ceil(2).next_multiple_of(16))
        };
    }
    (rows, columns)
}

/// `a b` in parallel. `finish(column, row_part)` gets every piece of a row once, just after it was computed.
pub(super) fn parallel_product<T: Real>(
    precision: MatmulPrecision,
    a: View<'_, T>,
    b: View<'_, T>,
    finish: impl Fn(usize, &mut [T]) + Sync,
) -> Vec<T> {
    if let Some(product) = tiles::parallel_product(precision, a, b, &finish) {
        return product;
    }
    let (m, n) = (a.rows, b.columns);
    assert_eq!(a.columns, b.rows);
    let (a_numbers, b_numbers) = (T::rounded(a.data, precision), T::rounded(b.data, precision));
    let (a, b) = (a.of(&a_numbers), b.of(&b_numbers));
    if m * n * a.columns == 0 {
        return vec![T::zero(); m * n];
    }
    let mut out = Vec::with_capacity(m * n);
    let (block_rows, block_columns) = block(m, n, a.columns);
    let (row_blocks, column_blocks) = (m.div_ceil(block_rows), n.div_ceil(block_columns));
    let shared = Shared(out.as_mut_ptr());
    let compute = |index: usize| {
        let (i, j) = (
            index / column_blocks * block_rows,
            index % column_blocks * block_columns,
        );
        let (rows, columns) = (i..(i + block_rows).min(m), j..(j + block_columns).min(n));
        let (a, b) = (a.part(rows.clone(), 0..a.columns), b.part(0..b.rows, columns.clone()));
        // SAFETY: block `index` of the grid is inside the m x n matrix and is computed by this call only.
        unsafe { product_into(a, b, shared.at(i * n + j), n, false) };
        for row in rows {
            // SAFETY: this part of the row belongs to the same block; the product has been written.
            finish(columns.start, unsafe {
                shared.piece(row * n + columns.start, columns.len())
            });
        }
    };
    if row_blocks * column_blocks == 1 {
        compute(0);
    } else {
        (0..row_blocks * column_blocks)
            .into_par_iter()
            .with_max_len(1)
            .for_each(compute);
    }
    // SAFETY: the blocks of the grid cover the matrix, and the product of each was written.
    unsafe { out.set_len(m * n) };
    out
}
