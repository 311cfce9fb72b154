//! The right factor of a convolution as a product: the kernel, packed for the vectors of the processor or for its tiles.

use super::real::Real;
use super::simd::{MAX_ROWS, Simd};
use super::tile::{Left, Panel, Panels, are_neighbours, tile};
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
    pub(super) fn new<S: Simd<Scalar = T>>(matrix: &[T], columns: usize) -> Self {
        let panels = Panels::new::<S>(columns);
        let rows = matrix.len() / columns;
        let mut buffer = Vec::new();
        let packed = aligned(&mut buffer, panels.len(rows));
        for (row, numbers) in matrix.chunks_exact(columns).enumerate() {
            panels.put(row, rows, numbers, packed);
        }
        Self { buffer, rows, panels }
    }

    pub(super) fn panels(&self) -> Panels {
        self.panels
    }

    pub(super) fn numbers(&self) -> &[T] {
        let skip = self.buffer.as_ptr().align_offset(64).min(64 / size_of::<T>());
        &self.buffer[skip..][..self.panels.len(self.rows)]
    }

    /// `out = left right`: the rows of the left factor are positions, `places.width` in a line.
    pub(super) fn products<S: Simd<Scalar = T>>(
        &self,
        data: &[T],
        starts: &[usize],
        length: usize,
        places: Places,
        out: &mut [T],
    ) {
        let panels = self.panels;
        let columns = panels.columns;
        let count = out.len() / columns;
        let height = count.div_ceil(count.div_ceil(S::ROWS).max(1));
        let panel_len = panels.width() * starts.len() * length;
        let left = Left::new(data, starts, length, 1);
        for (panel, numbers) in self.numbers().chunks_exact(panel_len).enumerate() {
            let right = Panel {
                panels,
                numbers,
                columns: panels.valid(panel),
            };
            let mut position = places.start();
            for out in out.chunks_mut(height * columns) {
                let mut rows = [0; MAX_ROWS];
                let rows = &mut rows[..out.len() / columns];
                rows.iter_mut().for_each(|row| *row = position.next());
                let to = &mut out[panel * panels.width()..];
                if are_neighbours(rows) {
                    tile::<S, true>(left, rows, right, to, columns, false);
                } else {
                    tile::<S, false>(left, rows, right, to, columns, false);
                }
            }
        }
    }
}

/// Where the positions of an output lie in an image.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// Positions in a line.
    pub(super) width: usize,
    /// The first position, and the steps from a line to the next and from a position to the next, in numbers.
    pub(super) first: usize,
    pub(super) line: usize,
    pub(super) step: usize,
}

impl Places {
    fn start(self) -> Position {
        Position {
            places: self,
            line: self.first,
            column: 0,
        }
    }
}

struct Position {
    places: Places,
    line: usize,
    column: usize,
}

impl Position {
    /// The place of this position; the next one follows.
    fn next(&mut self) -> usize {
        let place = self.line + self.column * self.places.step;
        self.column += 1;
        if self.column == self.places.width {
            self.column = 0;
            self.line += self.places.line;
        }
        place
    }
}
