//! Products of matrices from slice to slice: what an optimizer multiplies many times a step, without a tensor for each result.

use std::fmt;

use crate::cpu;
use crate::precision::MatmulPrecision;

/// A matrix of `f32` inside a slice, whose rows lie one behind the other, or the transposed of it.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(crate) numbers: &'a [f32],
    /// Rows, or columns of the transposed matrix.
    pub(crate) lines: usize,
    pub(crate) length: usize,
    pub(crate) is_transposed: bool,
}

impl<'a> Matrix<'a> {
    /// The matrix of `rows` rows and `columns` columns at the beginning of a slice.
    ///
    /// # Panics
    /// If the slice has fewer numbers.
    pub fn new(numbers: &'a [f32], rows: usize, columns: usize) -> Self {
        Self {
            numbers: &numbers[..rows * columns],
            lines: rows,
            length: columns,
            is_transposed: false,
        }
    }

    /// The matrix whose columns are the rows of this one.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            is_transposed: !self.is_transposed,
            ..self
        }
    }

    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        if self.is_transposed {
            (self.length, self.lines)
        } else {
            (self.lines, self.length)
        }
    }
}

/// Memory of [`product_on_tiles`], kept from product to product: once it has grown to the largest one, nothing is allocated any more.
#[derive(Clone, Default)]
pub struct TileMemory(cpu::TileMemory);

impl fmt::Debug for TileMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TileMemory").finish_non_exhaustive()
    }
}

/// Writes the product `a b`, row by row, where the processor multiplies tiles of bfloat16 (AMX) and the product is large enough for them.
/// Elsewhere it returns `false` and writes nothing: the caller has its own way, with multiply-adds.
///
/// The precision is a choice, as for the operations on tensors: [`MatmulPrecision::Fma`] is never computed on tiles. The numbers are the same
/// whatever the number of threads.
///
/// # Panics
/// If the columns of `a` are not as many as the rows of `b`, or `out` has another length than the product.
///
/// ```
/// use kernels::{MatmulPrecision, Matrix, TileMemory, product_on_tiles};
///
/// let (a, b) = (vec![1.0f32; 64 * 80], vec![0.5f32; 80 * 96]);
/// let (a, b) = (Matrix::new(&a, 64, 80), Matrix::new(&b, 96, 80).transposed());
/// let mut product = vec![0.0f32; 64 * 96];
/// let mut memory = TileMemory::default();
/// if product_on_tiles(MatmulPrecision::Highest, a, b, &mut product, &mut memory) {
///     assert_eq!(product, [40.0; 64 * 96]);
/// }
/// ```
pub fn product_on_tiles(
    precision: MatmulPrecision,
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    memory: &mut TileMemory,
) -> bool {
    let ((rows, inner), (terms, columns)) = (a.shape(), b.shape());
    assert!(inner == terms, "{inner} columns times {terms} rows");
    assert!(out.len() == rows * columns, "{rows} x {columns} into {}", out.len());
    cpu::product_on_tiles(precision, a, b, out, &mut memory.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All choices, shapes with and without rests, all orders of the factors.
    #[test]
    fn products_are_sums_of_products_with_the_precision_that_was_chosen() {
        let numbers: Vec<f32> = (0..40_000).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect();
        let mut memory = TileMemory::default();
        for (rows, inner, columns) in [(64, 64, 64), (100, 100, 100), (33, 470, 17), (16, 90, 301)] {
            let matrix = |from: usize, rows: usize, columns: usize, turned: bool| match turned {
                true => Matrix::new(&numbers[from..], columns, rows).transposed(),
                false => Matrix::new(&numbers[from..], rows, columns),
            };
            for (left, right) in [(false, false), (true, false), (false, true), (true, true)] {
                let (a, b) = (matrix(0, rows, inner, left), matrix(501, inner, columns, right));
                let at = |matrix: Matrix<'_>, row: usize, column: usize| {
                    let (line, place) = if matrix.is_transposed {
                        (column, row)
                    } else {
                        (row, column)
                    };
                    f64::from(matrix.numbers[line * matrix.length + place])
                };
                for (precision, error) in [
                    (MatmulPrecision::Highest, 2f64.powi(-21)),
                    (MatmulPrecision::High, 2f64.powi(-15)),
                    (MatmulPrecision::Medium, 2f64.powi(-7)),
                ] {
                    let mut product = vec![f32::NAN; rows * columns];
                    let served = product_on_tiles(precision, a, b, &mut product, &mut memory);
                    assert_eq!(served, cpu::has_tiles(), "{rows} x {inner} x {columns}");
                    if !served {
                        assert!(product.iter().all(|number| number.is_nan()));
                        continue;
                    }
                    for row in 0..rows {
                        for column in 0..columns {
                            let terms = (0..inner).map(|k| at(a, row, k) * at(b, k, column));
                            let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
                            let found = f64::from(product[row * columns + column]);
                            assert!((found - sum).abs() <= error * size, "({row}, {column}): {found} {sum}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn small_products_and_those_of_multiply_adds_are_left_to_the_caller() {
        let numbers = vec![1.0; 10_000];
        let (small, large) = (Matrix::new(&numbers, 8, 8), Matrix::new(&numbers, 100, 100));
        let (mut out, mut memory) = (vec![0.0; 10_000], TileMemory::default());
        assert!(!product_on_tiles(
            MatmulPrecision::Highest,
            small,
            small,
            &mut out[..64],
            &mut memory
        ));
        assert!(!product_on_tiles(
            MatmulPrecision::Fma,
            large,
            large,
            &mut out,
            &mut memory
        ));
        assert!(out.iter().all(|number| *number == 0.0));
    }
}
