//! The right factor of a convolution as a product: the kernel, packed for the vectors of the processor or for its tiles.

use super::real::Real;
use super::simd::Simd;
use super::tile::{Left, Panels, tile};
use super::tiles::{Convolution, Lines};
use crate::precision::MatmulPrecision;

/// A packed kernel.
pub(super) enum Factor<T> {
    Panels(Packed<T>),
    Tiles(Convolution),
}

impl<T: Real> Factor<T> {
    /// `kernel` has `columns` columns; `lines` say how tiles would read the image, where they could.
    pub(super) fn new<S: Simd<Scalar = T>>(
        precision: MatmulPrecision,
        kernel: &[T],
        columns: usize,
        lines: Option<Lines<'_>>,
    ) -> Self {
        match lines.and_then(|lines| Convolution::new(precision, kernel, columns, lines)) {
            Some(tiles) => Factor::Tiles(tiles),
            None => Factor::Panels(Packed::new::<S>(&T::rounded(kernel, precision), columns)),
        }
    }
}

/// The numbers of a vector from its first one that is aligned to 64 bytes; the vector is made long enough.
pub(super) fn aligned<T: Real>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    let spare = 64 / size_of::<T>();
    buffer.resize(len + spare, T::zero());
    let skip = buffer.as_ptr().align_offset(64).min(spare);
    &mut buffer[skip..skip + len]
}

/// A matrix in panels.
pub(super) struct Packed<T> {
    /// Packed from its first number on that is aligned.
    buffer: Vec<T>,
    rows: usize,
    panels: Panels,
}

impl<T: Real> Packed<T> {
    fn new<S: Simd<Scalar = T>>(matrix: &[T], columns: usize) -> Self {
        let panels = Panels::new::<S>(columns);
        let rows = matrix.len() / columns;
        let mut buffer = Vec::new();
        let packed = aligned(&mut buffer, panels.len(rows));
        for (row, numbers) in matrix.chunks_exact(columns).enumerate() {
            panels.put(row, rows, numbers, packed);
        }
        Self { buffer, rows, panels }
    }

    fn numbers(&self) -> &[T] {
        let skip = self.buffer.as_ptr().align_offset(64).min(64 / size_of::<T>());
        &self.buffer[skip..][..self.panels.len(self.rows)]
    }

    /// `out = left right`, where row `r` of the left factor starts at `start(r)` and has the runs.
    pub(super) fn products<S: Simd<Scalar = T>>(
        &self,
        data: &[T],
        starts: &[usize],
        length: usize,
        start: impl Fn(usize) -> usize,
        out: &mut [T],
    ) {
        let panels = self.panels;
        let columns = panels.columns;
        let count = out.len() / columns;
        let height = count.div_ceil(count.div_ceil(S::ROWS).max(1));
        let places: Vec<usize> = (0..count).map(start).collect();
        let panel_len = panels.width() * starts.len() * length;
        for (panel, right) in self.numbers().chunks_exact(panel_len).enumerate() {
            for (index, rows) in places.chunks(height).enumerate() {
                let left = Left {
                    data,
                    rows,
                    starts,
                    length,
                    step: 1,
                };
                let to = &mut out[index * height * columns + panel * panels.width()..];
                tile::<S, false>(left, panels, right, to, columns, panels.valid(panel), false);
            }
        }
    }
}
