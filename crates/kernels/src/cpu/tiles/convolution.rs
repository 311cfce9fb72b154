//! Convolutions at stride 1 on tiles of bfloat16: the rows of the left factor are read where they lie in the (split) image.
//!
//! Output positions are numbered along the lines of the padded image, those that hang over its right edge included: 16 neighbours are 16
//! rows of a left tile, one pixel apart, and the 32 terms of a row are neighbouring numbers of a run of taps. The sums of the positions that
//! hang over are thrown away.

use std::cell::RefCell;

use super::amx::{DEPTH, EDGE, Strips, Tile, Tiles, is_available, multiply};
use super::split::{Planes, Side, pack, split_plane};
use super::with_parts;
use crate::cpu::matmul::View;
use crate::cpu::real::Real;
use crate::precision::MatmulPrecision;

const TILE: usize = size_of::<Tile>();

/// Where the numbers of an image lie that a convolution reads, and what of it is wanted.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Lines<'a> {
    /// Where the runs of taps start, in numbers from a position's own, and how many numbers each has.
    pub(in crate::cpu) starts: &'a [usize],
    pub(in crate::cpu) length: usize,
    pub(in crate::cpu) channels: usize,
    /// Positions in a line of the padded image.
    pub(in crate::cpu) width: usize,
    /// Output positions in a line, and lines of them.
    pub(in crate::cpu) columns: usize,
    pub(in crate::cpu) rows: usize,
}

impl Lines<'_> {
    /// Positions from the first output to the last, in pairs of strips.
    fn positions(&self) -> usize {
        ((self.rows - 1) * self.width + self.columns).next_multiple_of(2 * EDGE)
    }

    /// The part of the positions that is wanted.
    pub(super) fn share(&self) -> f64 {
        (self.rows * self.columns) as f64 / self.positions() as f64
    }
}

/// Work of the tiles that is not thrown away, at least, for each product of parts: three parts are six products, which is about half as
/// fast as they could be with one.
pub(super) const LEAST_USE: [f64; 3] = [0.06, 0.2, 0.4];

/// A kernel as the right factor of the products.
pub(in crate::cpu) struct Convolution {
    tiles: Vec<Tile>,
    parts: usize,
    /// Tiles of a strip of 16 columns.
    strip: usize,
    columns: usize,
}

impl Convolution {
    /// `kernel` has `columns` columns and `lines.length` rows for each run of taps. `None` where multiply-adds of `f32` serve better.
    pub(in crate::cpu) fn new<T: Real>(
        precision: MatmulPrecision,
        kernel: &[T],
        columns: usize,
        lines: Lines<'_>,
    ) -> Option<Self> {
        let parts = Self::parts(precision, lines)?;
        let kernel = T::as_f32(kernel)?;
        Some(with_parts!(parts, packed_kernel(kernel, columns, lines.length)))
    }

    /// Into how many parts factors are split, where tiles serve.
    fn parts(precision: MatmulPrecision, lines: Lines<'_>) -> Option<usize> {
        let parts = precision.parts().filter(|_| is_available())?;
        // A row of less than 16 columns fills neither a tile nor a vector.
        let used = lines.length as f64 / lines.length.next_multiple_of(DEPTH) as f64;
        let share = used * lines.share();
        (share >= LEAST_USE[parts - 1]).then_some(parts)
    }

    /// How many multiply-adds of vectors take the time of an image, where tiles serve: a product of tiles takes that of 32.
    pub(in crate::cpu) fn work<T: Real>(precision: MatmulPrecision, columns: usize, lines: Lines<'_>) -> Option<usize> {
        let parts = Self::parts(precision, lines).filter(|_| T::as_f32(&[]).is_some())?;
        let blocks = lines.starts.len() * lines.length.div_ceil(DEPTH);
        let tiles = lines.positions() / EDGE * columns.div_ceil(EDGE) * blocks;
        Some(32 * tiles * parts * (parts + 1) / 2)
    }

    fn strips(&self) -> usize {
        self.columns.div_ceil(EDGE)
    }

    /// Writes `lines.rows` lines of outputs. `image` is padded and has lines of `lines.width` pixels, from the first that is needed on.
    ///
    /// # Panics
    /// If `y` has another length.
    pub(in crate::cpu) fn apply<T: Real>(&self, image: &[T], lines: Lines<'_>, y: &mut [T]) {
        if let (Some(image), Some(y)) = (T::as_f32(image), T::as_f32_mut(y)) {
            SCRATCH.with_borrow_mut(|scratch| with_parts!(self.parts, convolve(self, image, lines, y, scratch)));
        }
    }
}

fn packed_kernel<const PARTS: usize>(kernel: &[f32], columns: usize, length: usize) -> Convolution {
    let runs = kernel.len() / (columns * length);
    let blocks = length.div_ceil(DEPTH);
    let strip = runs * blocks * PARTS;
    let len = columns.div_ceil(EDGE) * strip;
    let mut tiles: Vec<Tile> = Vec::with_capacity(len);
    let parts = tiles.spare_capacity_mut()[..len].chunks_exact_mut(blocks * PARTS);
    for (index, tiles) in parts.enumerate() {
        let run = View::rows(
            &kernel[index % runs * length * columns..][..length * columns],
            length,
            columns,
        );
        pack::<PARTS>(run, Side::Right, index / runs, 0..blocks, tiles);
    }
    // SAFETY: `pack` writes every tile that it gets, and these were all tiles.
    unsafe { tiles.set_len(len) };
    Convolution {
        tiles,
        parts: PARTS,
        strip,
        columns,
    }
}

thread_local! {
    /// Memory that serves one image after the other.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    planes: Planes,
    sums: Vec<f32>,
}

fn convolve<const PARTS: usize>(
    kernel: &Convolution,
    image: &[f32],
    lines: Lines<'_>,
    y: &mut [f32],
    scratch: &mut Scratch,
) {
    let (positions, blocks, stride) = (lines.positions(), lines.length.div_ceil(DEPTH), kernel.strips() * EDGE);
    assert!(lines.channels > 0 && y.len() == lines.rows * lines.columns * kernel.columns);
    let last_start = lines.starts.iter().copied().max().unwrap_or(0);
    let reach = (positions - 1) * lines.channels + last_start + blocks * DEPTH;
    let distance = reach.max(image.len()).next_multiple_of(DEPTH);
    let planes = scratch.planes.of(PARTS * distance);
    split_plane::<PARTS>(image, planes, distance);
    for plane in planes.chunks_exact_mut(distance) {
        plane[image.len()..].fill(0);
    }
    scratch.sums.resize(positions * stride, 0.0);

    let left_offsets: Vec<usize> = lines
        .starts
        .iter()
        .flat_map(|start| (0..blocks).map(move |block| (start + block * DEPTH) * size_of::<u16>()))
        .collect();
    let right_offsets: Vec<usize> = (0..left_offsets.len()).map(|block| block * PARTS * TILE).collect();
    assert!(kernel.strip == left_offsets.len() * PARTS);
    let pixel = lines.channels * size_of::<u16>();
    let tiles = Tiles::configure();
    for strip in (0..kernel.strips()).step_by(2) {
        let first: *const u8 = kernel.tiles[strip * kernel.strip..].as_ptr().cast();
        let right = Strips {
            first,
            second: first.wrapping_add(kernel.strip * TILE),
            row: 2 * DEPTH,
            part: TILE,
            offsets: &right_offsets,
        };
        for position in (0..positions).step_by(2 * EDGE) {
            let first = planes.as_ptr().cast::<u8>().wrapping_add(position * pixel);
            let left = Strips {
                first,
                second: first.wrapping_add(EDGE * pixel),
                row: pixel,
                part: distance * size_of::<u16>(),
                offsets: &left_offsets,
            };
            let out = scratch.sums[position * stride + strip * EDGE..].as_mut_ptr();
            // SAFETY: the last number that a left tile reads is at `reach - 1` of a plane; the kernel has a tile for every offset (just
            // asserted), a second strip is read only where there is one; 32 positions of `stride` sums are in the vector, of which 16
            // or 32 neighbours are written.
            unsafe {
                if strip + 1 < kernel.strips() {
                    multiply::<PARTS, 2, 2>(&tiles, left, right, out, stride, false);
                } else {
                    multiply::<PARTS, 2, 1>(&tiles, left, right, out, stride, false);
                }
            }
        }
    }
    for (row, y) in y.chunks_exact_mut(lines.columns * kernel.columns).enumerate() {
        take_columns(&scratch.sums[row * lines.width * stride..], stride, kernel.columns, y);
    }
}

/// The first `columns` numbers of each row of a matrix of `stride` columns, as many rows as `to` has.
fn take_columns(from: &[f32], stride: usize, columns: usize, to: &mut [f32]) {
    if columns == stride {
        return to.copy_from_slice(&from[..to.len()]);
    }
    for (to, from) in to.chunks_exact_mut(columns).zip(from.chunks_exact(stride)) {
        let (groups, rest) = to.split_at_mut(columns / EDGE * EDGE);
        groups.copy_from_slice(&from[..groups.len()]);
        let last: &[f32; EDGE] = from[groups.len()..].first_chunk().unwrap_or(&[0.0; EDGE]);
        // A loop of a known length, of which the rest is left out, instead of a call for a few numbers.
        for (index, number) in last.iter().enumerate() {
            if let Some(to) = rest.get_mut(index) {
                *to = *number;
            }
        }
    }
}
