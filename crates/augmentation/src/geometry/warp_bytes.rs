//! The bilinear warp of bytes in whole numbers: the channels of a pixel side by side in one register.

use super::coordinates::{CHUNK, Coordinates};
use super::warp::{Reader, split};
use crate::pixels::Pixel;

/// Bits of a weight. A byte times a weight fits the lane of a channel: 8 + 13 = 21 bits, of which three fit 64.
const WEIGHT: u32 = 13;

/// Bits of a lane.
const LANE: u32 = 21;

/// One half in each lane, so that the shift rounds.
const HALF: u64 = (1 << (WEIGHT - 1)) | (1 << (WEIGHT - 1 + LANE)) | (1 << (WEIGHT - 1 + 2 * LANE));

/// Warps an image of one or three channels, each result within 0.6 of a level of the exact one.
pub(super) fn warp<P: Pixel, const C: usize>(reader: &Reader<'_, P>, coordinates: &Coordinates, out: &mut [P]) {
    let (width, height) = (reader.shape.width, reader.shape.height);
    let (pixels, _) = reader.source.as_chunks::<C>();
    let wide: Vec<u64> = pixels.iter().map(spread).collect();
    let (out, _) = out.as_chunks_mut::<C>();
    let (last_x, last_y) = ((width - 1) as f32, (height - 1) as f32);
    let (mut xs, mut ys) = ([0f32; CHUNK], [0f32; CHUNK]);
    let (mut dxs, mut dys, mut places) = ([0f32; CHUNK], [0f32; CHUNK], [0u32; CHUNK]);
    let mut weights = [[0i32; CHUNK]; 3];
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        for (i, part) in row.chunks_mut(CHUNK).enumerate() {
            coordinates.chunk(y, i * CHUNK, &mut xs, &mut ys);
            split(&xs, &ys, width, &mut dxs, &mut dys, &mut places);
            weigh(&dxs, &dys, &mut weights);
            for (j, pixel) in part.iter_mut().enumerate() {
                let (x, y) = (xs[j], ys[j]);
                if x >= 0.0 && y >= 0.0 && x < last_x && y < last_y {
                    let at = places[j] as usize;
                    let (upper, lower) = (&wide[at..at + 2], &wide[at + width..at + width + 2]);
                    let [right, below, both] = [weights[0][j], weights[1][j], weights[2][j]];
                    let own = (1 << WEIGHT) - right - below - both;
                    let sum = upper[0] * own as u64
                        + upper[1] * right as u64
                        + lower[0] * below as u64
                        + lower[1] * both as u64;
                    *pixel = gather(sum + HALF);
                } else {
                    reader.read(y, x, pixel);
                }
            }
        }
    }
}

/// The weights of the right, the lower, and the lower right pixel; what is left is that of the pixel itself.
fn weigh(dxs: &[f32; CHUNK], dys: &[f32; CHUNK], weights: &mut [[i32; CHUNK]; 3]) {
    const ONE: f32 = (1 << WEIGHT) as f32;
    let [right, below, both] = weights;
    for j in 0..CHUNK {
        let corner = dxs[j] * dys[j];
        // Rounded down, the three can never be more than all.
        right[j] = ((dxs[j] - corner) * ONE) as i32;
        below[j] = ((dys[j] - corner) * ONE) as i32;
        both[j] = (corner * ONE) as i32;
    }
}

/// The channels of a pixel, each in a lane of its own.
fn spread<P: Pixel, const C: usize>(pixel: &[P; C]) -> u64 {
    let lanes = pixel.iter().enumerate();
    lanes.fold(0, |wide, (c, value)| {
        wide | u64::from(value.level()) << (LANE * c as u32)
    })
}

/// The levels of a sum of bytes times weights.
fn gather<P: Pixel, const C: usize>(sum: u64) -> [P; C] {
    std::array::from_fn(|c| P::from_level((sum >> (WEIGHT + LANE * c as u32)) as u8))
}
