//! Stands in for [`super::tiles`] on processors and systems that have no tiles of bfloat16: it serves nothing.

use super::matmul::View;
use super::real::Real;
use crate::precision::MatmulPrecision;

/// Never.
pub(crate) fn is_available() -> bool {
    false
}

/// Never: there are no tiles.
pub(super) fn parallel_product<T: Real>(
    _precision: MatmulPrecision,
    _a: View<'_, T>,
    _b: View<'_, T>,
    _finish: &(impl Fn(usize, &mut [T]) + Sync),
) -> Option<Vec<T>> {
    None
}

/// There is nothing to keep.
#[derive(Clone, Default)]
pub(crate) struct Memory;

/// Never: there are no tiles.
pub(super) fn product_into(
    _: MatmulPrecision,
    _a: View<'_, f32>,
    _b: View<'_, f32>,
    _out: &mut [f32],
    _: &mut Memory,
) -> bool {
    false
}

/// Rows of a piece of a product, if there were any.
pub(crate) const ROWS_OF_PIECE: usize = 32;

/// Never: there are no tiles.
pub(super) fn gives_pieces<T: Real>(_: MatmulPrecision, _sizes: (usize, usize, usize)) -> bool {
    false
}

/// Nothing.
pub(super) fn product_in_pieces(
    _: MatmulPrecision,
    _a: View<'_, f32>,
    _b: View<'_, f32>,
    _prepare: &(dyn Fn(usize) + Sync),
    _take: &(dyn Fn(usize, &[f32]) + Sync),
) {
}

/// What [`super::tiles`] reads of an image.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "read where there are tiles")]
pub(super) struct Lines<'a> {
    pub(super) starts: &'a [usize],
    pub(super) length: usize,
    pub(super) channels: usize,
    pub(super) width: usize,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// There is none.
pub(super) enum Convolution {}

impl Convolution {
    pub(super) fn new<T: Real>(_: MatmulPrecision, _kernel: &[T], _columns: usize, _: Lines<'_>) -> Option<Self> {
        None
    }

    pub(super) fn work<T: Real>(_: MatmulPrecision, _columns: usize, _: Lines<'_>) -> Option<usize> {
        None
    }

    pub(super) fn apply<T: Real>(&self, _image: &[T], _: Lines<'_>, _y: &mut [T]) {
        match *self {}
    }
}

/// There is none.
pub(super) enum KernelGradient {}

impl KernelGradient {
    pub(super) fn new<T: Real>(_: MatmulPrecision, _: Lines<'_>, _taps: Vec<usize>, _filters: usize) -> Option<Self> {
        None
    }

    pub(super) fn add<T: Real>(&mut self, _image: &[T], _dz: &[T], _dw: &mut [T]) {
        match *self {}
    }
}
