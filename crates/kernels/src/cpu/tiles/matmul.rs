//! Matrix products of `f32` on tiles of bfloat16, in parallel.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::amx::{DEPTH, EDGE, Strips, Tile, Tiles, is_available, multiply};
use super::split::{Side, pack};
use crate::cpu::matmul::{Shared, View};
use crate::cpu::real::Real;
use crate::precision::MatmulPrecision;

/// Products of fewer multiplications are left to multiply-adds.
pub(super) const SMALL: usize = 1 << 18;
/// Blocks of 32 terms that are packed together: 512 terms in three parts, whose tiles are 192 KiB for the columns of a task and 768 KiB for
/// its rows at most. From the L2 cache tiles are loaded as fast as they are multiplied, and the sums are loaded and stored once a chunk.
pub(super) const fn chunk(parts: usize) -> usize {
    48 / parts
}
/// Columns of a task: its part of the right factor, for a chunk of terms, is packed once for all rows.
const COLUMNS: usize = 64;
/// Rows of a task at most.
const ROWS: usize = 256;

/// `a b`, where the numbers are `f32`, the processor has tiles, and the product is worth it: with a dozen rows of anything, splitting the
/// factors costs more than it brings. `finish(column, row_part)` gets every piece of a row once, just after it was computed.
pub(in crate::cpu) fn parallel_product<T: Real>(
    precision: MatmulPrecision,
    a: View<'_, T>,
    b: View<'_, T>,
    finish: &(impl Fn(usize, &mut [T]) + Sync),
) -> Option<Vec<T>> {
    let parts = parts(precision, a, b)?;
    let (a, b) = (a.of(T::as_f32(a.data())?), b.of(T::as_f32(b.data())?));
    let finish = |column: usize, row: &mut [f32]| {
        if let Some(row) = T::of_f32_mut(row) {
            finish(column, row);
        }
    };
    T::from_f32(match parts {
        1 => with_parts::<1>(a, b, finish),
        2 => with_parts::<2>(a, b, finish),
        _ => with_parts::<3>(a, b, finish),
    })
}

/// Into how many parts the factors of a product are split that tiles serve.
fn parts<T: Real>(precision: MatmulPrecision, a: View<'_, T>, b: View<'_, T>) -> Option<usize> {
    let (m, n, k) = (a.rows_count(), b.columns(), a.columns());
    let has_unit_stride = |matrix: View<'_, T>| matrix.strides().0 == 1 || matrix.strides().1 == 1;
    let serves = m.min(n) >= EDGE && k >= EDGE && m * n * k >= SMALL && has_unit_stride(a) && has_unit_stride(b);
    precision.parts().filter(|_| serves && is_available())
}

/// The tiles of both factors, in memory that serves one product after the other.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    left: Vec<Tile>,
    right: Vec<Tile>,
}

/// `out = a b`, where [`parallel_product`] would be computed on tiles; `false`, and nothing written, where it would not.
///
/// # Panics
/// If `out` has another length.
pub(in crate::cpu) fn product_into(
    precision: MatmulPrecision,
    a: View<'_, f32>,
    b: View<'_, f32>,
    out: &mut [f32],
    memory: &mut Memory,
) -> bool {
    let parts = parts(precision, a, b);
    match parts {
        None => {}
        Some(1) => into_slice::<1>(a, b, out, memory),
        Some(2) => into_slice::<2>(a, b, out, memory),
        Some(_) => into_slice::<3>(a, b, out, memory),
    }
    parts.is_some()
}

/// Both factors are packed once. [`with_parts`] packs the right one again for each block of rows, which saves its memory, but takes longer
/// than the products where there are several.
fn into_slice<const PARTS: usize>(a: View<'_, f32>, b: View<'_, f32>, out: &mut [f32], memory: &mut Memory) {
    let (m, n, k) = (a.rows_count(), b.columns(), a.columns());
    assert!(k == b.rows_count() && m * n * k > 0 && out.len() == m * n);
    let Memory { left, right } = memory;
    rayon::join(
        || pack_all::<PARTS>(a, Side::Left, left),
        || pack_all::<PARTS>(b, Side::Right, right),
    );
    let (left, right) = (&*left, &*right);
    let blocks = k.div_ceil(DEPTH);
    let strip = blocks * PARTS;
    let shared = Shared::new(out.as_mut_ptr());
    let packed = |tiles: &[Tile], from: usize, range: &std::ops::Range<usize>| Packed {
        first: tiles[from / EDGE * strip + range.start * PARTS..].as_ptr().cast(),
        strip,
    };
    for_each_block(m, n, |block| {
        let tiles = Tiles::configure();
        let mut edge = [0.0f32; 4 * EDGE * EDGE];
        for range in chunks(blocks, PARTS) {
            let left = packed(left, block.rows.start, &range);
            let right = packed(right, block.columns.start, &range);
            // SAFETY: all strips of both factors were packed; the block lies inside the m x n numbers of `out`, and no other call writes it.
            unsafe { block.add::<PARTS>(&tiles, left, right, range, &mut edge, &shared) }
        }
    });
}

/// How many lines a task has: all of them in tasks of nearly the same size, whole pairs of strips.
fn share(lines: usize, most: usize) -> usize {
    lines.div_ceil(lines.div_ceil(most)).next_multiple_of(2 * EDGE)
}

fn with_parts<const PARTS: usize>(
    a: View<'_, f32>,
    b: View<'_, f32>,
    finish: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let (m, n, k) = (a.rows_count(), b.columns(), a.columns());
    assert!(k == b.rows_count() && m * n * k > 0);
    let mut left = Vec::new();
    pack_all::<PARTS>(a, Side::Left, &mut left);
    let strip = k.div_ceil(DEPTH) * PARTS;
    let mut out: Vec<f32> = Vec::with_capacity(m * n);
    let shared = Shared::new(out.as_mut_ptr());
    for_each_block(m, n, |block| {
        let (i, j) = (block.rows.start, block.columns.start);
        // SAFETY: the block lies inside the m x n matrix, and no other call computes it.
        unsafe { block.compute::<PARTS>(&left[i / EDGE * strip..], b, &shared) };
        for row in block.rows.clone() {
            // SAFETY: this part of the row belongs to this block, which has been written.
            finish(j, unsafe { shared.piece(row * n + j, block.columns.len()) });
        }
    });
    // SAFETY: the blocks cover the matrix, and each was computed.
    unsafe { out.set_len(m * n) };
    out
}

/// Calls a function with every block of a product, side by side: they cover it and do not overlap.
fn for_each_block(m: usize, n: usize, function: impl Fn(Block) + Sync) {
    let (rows, columns) = (share(m, ROWS), share(n, COLUMNS));
    let across = n.div_ceil(columns);
    (0..m.div_ceil(rows) * across)
        .into_par_iter()
        .with_max_len(1)
        .for_each(|task| {
            let (i, j) = (task / across * rows, task % across * columns);
            function(Block {
                rows: i..(i + rows).min(m),
                columns: j..(j + columns).min(n),
                width: n,
            });
        });
}

/// Strips that are packed together where their lines are neighbours: half a kilobyte of each row, which may be alone in its page.
const GROUP: usize = 8;

/// Fills a vector with all tiles of a factor, strip after strip.
pub(super) fn pack_all<const PARTS: usize>(matrix: View<'_, f32>, side: Side, tiles: &mut Vec<Tile>) {
    let (along_rows, along_columns) = matrix.strides();
    let (terms, lines, term_stride) = match side {
        Side::Left => (matrix.columns(), matrix.rows_count(), along_columns),
        Side::Right => (matrix.rows_count(), matrix.columns(), along_rows),
    };
    let blocks = terms.div_ceil(DEPTH);
    let strip_tiles = blocks * PARTS;
    let len = lines.div_ceil(EDGE) * strip_tiles;
    let (group, least) = if term_stride == 1 { (1, 2) } else { (GROUP, 1) };
    tiles.clear();
    tiles.reserve(len);
    tiles.spare_capacity_mut()[..len]
        .par_chunks_mut(group * strip_tiles)
        .with_min_len(least)
        .enumerate()
        .for_each(|(index, tiles)| {
            for block in 0..blocks {
                for (strip, tiles) in tiles.chunks_exact_mut(strip_tiles).enumerate() {
                    let tiles = &mut tiles[block * PARTS..][..PARTS];
                    pack::<PARTS>(matrix, side, index * group + strip, block..block + 1, tiles);
                }
            }
        });
    // SAFETY: `pack` writes every tile that it gets, and these were all tiles.
    unsafe { tiles.set_len(len) };
}

/// A part of the result.
pub(super) struct Block {
    pub(super) rows: std::ops::Range<usize>,
    pub(super) columns: std::ops::Range<usize>,
    /// Columns of the whole result.
    pub(super) width: usize,
}

impl Block {
    /// # Safety
    /// The result behind `shared` must hold this block, and no other thread may touch it meanwhile.
    unsafe fn compute<const PARTS: usize>(&self, left: &[Tile], b: View<'_, f32>, shared: &Shared<f32>) {
        let tiles = Tiles::configure();
        let blocks = b.rows_count().div_ceil(DEPTH);
        let column_strips = self.columns.len().div_ceil(EDGE);
        let mut right: Vec<MaybeUninit<Tile>> =
            vec![MaybeUninit::uninit(); column_strips * chunk(PARTS).min(blocks) * PARTS];
        let mut edge = vec![0.0f32; 4 * EDGE * EDGE];
        for range in chunks(blocks, PARTS) {
            let strip_tiles = range.len() * PARTS;
            for (strip, tiles) in right.chunks_exact_mut(strip_tiles).take(column_strips).enumerate() {
                pack::<PARTS>(b, Side::Right, self.columns.start / EDGE + strip, range.clone(), tiles);
            }
            let right = Packed {
                first: right.as_ptr(),
                strip: strip_tiles,
            };
            let left = Packed {
                first: left[range.start * PARTS..].as_ptr().cast(),
                strip: blocks * PARTS,
            };
            // SAFETY: the strips were packed, and the caller vouches for the result.
            unsafe { self.add::<PARTS>(&tiles, left, right, range, &mut edge, shared) }
        }
    }

    /// Adds the products of one range of blocks of terms; the first one replaces what was there.
    ///
    /// # Safety
    /// The tiles of these blocks must be there for every strip of the block's rows and columns; as for [`Block::compute`].
    pub(super) unsafe fn add<const PARTS: usize>(
        &self,
        tiles: &Tiles,
        left: Packed,
        right: Packed,
        range: std::ops::Range<usize>,
        edge: &mut [f32],
        shared: &Shared<f32>,
    ) {
        const TILE: usize = size_of::<Tile>();
        let (row_strips, column_strips) = (self.rows.len().div_ceil(EDGE), self.columns.len().div_ceil(EDGE));
        let offsets: [usize; chunk(1)] = std::array::from_fn(|block| block * PARTS * TILE);
        let offsets = &offsets[..range.len()];
        let strips = |packed: Packed, strip: usize| {
            let first: *const u8 = packed.first.wrapping_add(strip * packed.strip).cast();
            Strips {
                first,
                second: first.wrapping_add(packed.strip * TILE),
                row: 64,
                part: TILE,
                offsets,
            }
        };
        for column in (0..column_strips).step_by(2) {
            let right = strips(right, column);
            for row in (0..row_strips).step_by(2) {
                let left = strips(left, row);
                let (i, j) = (self.rows.start + row * EDGE, self.columns.start + column * EDGE);
                let (rows, columns) = ((self.rows.end - i).min(2 * EDGE), (self.columns.end - j).min(2 * EDGE));
                // SAFETY: the strips are there, a second one only where there is one; whole tiles go where they belong, of
                // others the numbers are copied there, all inside this block.
                unsafe {
                    let to = shared.at(i * self.width + j);
                    let (twice_rows, twice_columns) = (rows > EDGE, columns > EDGE);
                    let whole = rows % EDGE == 0 && columns % EDGE == 0;
                    let accumulate = range.start > 0;
                    let (out, stride) = if whole {
                        (to, self.width)
                    } else {
                        if accumulate {
                            copy(to, self.width, edge.as_mut_ptr(), 2 * EDGE, rows, columns);
                        }
                        (edge.as_mut_ptr(), 2 * EDGE)
                    };
                    match (twice_rows, twice_columns) {
                        (true, true) => multiply::<PARTS, 2, 2>(tiles, left, right, out, stride, accumulate),
                        (true, false) => multiply::<PARTS, 2, 1>(tiles, left, right, out, stride, accumulate),
                        (false, true) => multiply::<PARTS, 1, 2>(tiles, left, right, out, stride, accumulate),
                        (false, false) => multiply::<PARTS, 1, 1>(tiles, left, right, out, stride, accumulate),
                    }
                    if !whole {
                        copy(edge.as_ptr(), 2 * EDGE, to, self.width, rows, columns);
                    }
                }
            }
        }
    }
}

/// The blocks of terms whose tiles are packed together.
pub(super) fn chunks(blocks: usize, parts: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let step = chunk(parts);
    (0..blocks)
        .step_by(step)
        .map(move |from| from..(from + step).min(blocks))
}

/// The tiles of a factor for a range of blocks of terms.
#[derive(Clone, Copy)]
pub(super) struct Packed {
    /// Those of the first strip, block after block, part after part.
    pub(super) first: *const MaybeUninit<Tile>,
    /// Tiles from a strip to the next.
    pub(super) strip: usize,
}

/// # Safety
/// Both must hold `rows` rows of `columns` numbers, their strides apart, that do not overlap.
unsafe fn copy(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize, rows: usize, columns: usize) {
    for row in 0..rows {
        // SAFETY: as the caller promises.
        unsafe { std::ptr::copy_nonoverlapping(from.add(row * from_stride), to.add(row * to_stride), columns) }
    }
}
