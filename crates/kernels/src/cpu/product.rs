//! A product of two matrices on tiles, written where the caller wants it.

use super::matmul::View;
use super::tiles::{Memory, product_into};
use crate::precision::MatmulPrecision;
use crate::product::Matrix;

pub(crate) fn product_on_tiles(
    precision: MatmulPrecision,
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    memory: &mut Memory,
) -> bool {
    product_into(precision, view(a), view(b), out, memory)
}

fn view(matrix: Matrix<'_>) -> View<'_, f32> {
    let view = View::rows(matrix.numbers, matrix.lines, matrix.length);
    if matrix.is_transposed { view.transposed() } else { view }
}
