//! Matrix products of `f32` on tiles of bfloat16 whose rows are handed over as soon as they are there.
//!
//! [`super::matmul`] cuts a product into blocks of few columns, so that their part of the right factor is packed once for all rows. Here
//! the right factor is packed as a whole before, and a block has all columns: its numbers are neighbours, so that what reads them, and
//! what lies beside them in other arrays, goes through memory in order. Each number is the same sum in the same order, so the bits are the
//! same.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::amx::{DEPTH, EDGE, Tile, Tiles, is_available};
use super::matmul::{Block, Packed, SMALL, chunks, pack_all};
use super::split::{Side, pack};
use super::with_parts;
use crate::cpu::matmul::{Shared, View};
use crate::cpu::real::Real;
use crate::precision::MatmulPrecision;

/// Rows of a piece: two strips, whose tiles stay in the L1 cache for all columns.
pub(crate) const ROWS_OF_PIECE: usize = 2 * EDGE;
/// Bytes of the packed right factor at most: every piece reads all of it, from the L2 cache.
const LARGEST: usize = 1 << 20;

/// Whether a product of these sizes (rows, terms, columns) is computed on tiles, and better in pieces than as a whole.
pub(in crate::cpu) fn gives_pieces<T: Real>(precision: MatmulPrecision, (m, k, n): (usize, usize, usize)) -> bool {
    let Some(parts) = precision.parts() else { return false };
    let serves = m.min(n) >= EDGE && k >= EDGE && m * n * k >= SMALL;
    let packed = n.div_ceil(EDGE) * k.div_ceil(DEPTH) * parts * size_of::<Tile>();
    serves && m >= 8 * ROWS_OF_PIECE && packed <= LARGEST && T::as_f32(&[]).is_some() && is_available()
}

/// Computes `a b`, whose sizes [`gives_pieces`] has approved, in pieces of [`ROWS_OF_PIECE`] rows: `prepare` gets the number of a piece
/// before it is computed, `take` its numbers afterwards.
///
/// # Panics
/// If the shapes do not fit, a factor has no stride of 1, or there are no tiles.
pub(in crate::cpu) fn product_in_pieces(
    precision: MatmulPrecision,
    a: View<'_, f32>,
    b: View<'_, f32>,
    prepare: &(dyn Fn(usize) + Sync),
    take: &(dyn Fn(usize, &[f32]) + Sync),
) {
    with_parts!(precision.parts().unwrap_or(3), pieces(a, b, prepare, take));
}

fn pieces<const PARTS: usize>(
    a: View<'_, f32>,
    b: View<'_, f32>,
    prepare: &(dyn Fn(usize) + Sync),
    take: &(dyn Fn(usize, &[f32]) + Sync),
) {
    let (m, n, k) = (a.rows_count(), b.columns(), a.columns());
    assert!(k == b.rows_count() && m * n * k > 0 && is_available());
    let blocks = k.div_ceil(DEPTH);
    let strip = blocks * PARTS;
    let mut right = Vec::new();
    pack_all::<PARTS>(b, Side::Right, &mut right);
    (0..m.div_ceil(ROWS_OF_PIECE))
        .into_par_iter()
        .with_max_len(1)
        .for_each_init(
            || {
                let left: Vec<MaybeUninit<Tile>> = vec![MaybeUninit::uninit(); 2 * strip];
                // Room, not numbers: a piece writes all of its own, and clearing it for each would be a pass more.
                let out: Vec<f32> = Vec::with_capacity(ROWS_OF_PIECE * n);
                (left, out, vec![0.0f32; 4 * EDGE * EDGE])
            },
            |(left, out, edge), piece| {
                let first = piece * ROWS_OF_PIECE;
                let rows = first..(first + ROWS_OF_PIECE).min(m);
                prepare(piece);
                let strips = rows.len().div_ceil(EDGE);
                for (index, tiles) in left.chunks_exact_mut(strip).take(strips).enumerate() {
                    pack::<PARTS>(a, Side::Left, first / EDGE + index, 0..blocks, tiles);
                }
                let block = Block {
                    rows: 0..rows.len(),
                    columns: 0..n,
                    width: n,
                };
                let tiles = Tiles::configure();
                let shared = Shared::new(out.as_mut_ptr());
                for range in chunks(blocks, PARTS) {
                    let from = range.start * PARTS;
                    let left = Packed {
                        first: left[from..].as_ptr(),
                        strip,
                    };
                    let right = Packed {
                        first: right[from..].as_ptr().cast(),
                        strip,
                    };
                    // SAFETY: all strips of both factors were packed, and `out`, which is this thread's, holds the block.
                    unsafe { block.add::<PARTS>(&tiles, left, right, range.clone(), edge, &shared) }
                }
                drop(tiles);
                // SAFETY: there is room for the rows of a piece, and the first range of blocks, which there is, wrote all of them.
                unsafe { out.set_len(rows.len() * n) };
                take(piece, out);
            },
        );
}
