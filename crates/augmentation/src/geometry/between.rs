//! Bilinear means of many pixels at once, of a framed image: bytes in whole numbers, floats as they are.

#![expect(
    clippy::needless_range_loop,
    reason = "one counter for arrays of one length is what becomes vectors"
)]

use super::coordinates::{CHUNK, Places};
use crate::vectors::nearest;

/// Bits of a weight of bytes: with one rounding, each result is within 0.6 of a level of the exact one.
const WEIGHT: u32 = 13;

/// Values from one on; 0 where there are not enough, which a place in a framed image never meets.
#[inline(always)]
fn window<T: Copy + Default, const N: usize>(source: &[T], at: usize) -> [T; N] {
    source
        .get(at..at + N)
        .and_then(|values| values.first_chunk().copied())
        .unwrap_or([T::default(); N])
}

/// Of bytes: `below` is the image from its second row on, and as long as `source`.
#[inline(always)]
pub(crate) fn of_bytes<const C: usize>(source: &[u8], below: &[u8], places: &Places, out: &mut [[u8; C]; CHUNK]) {
    // The four pixels around each place, the channels of one in one number. First they are only gathered, two of a row with one
    // instruction; taking them apart is work for vectors.
    let mut corners = [[0u32; CHUNK]; 4];
    if C == 1 {
        let (mut upper, mut lower) = ([0u32; CHUNK], [0u32; CHUNK]);
        for j in 0..CHUNK {
            let at = places.numbers[j] as usize;
            upper[j] = u32::from_le_bytes(window(source, at));
            lower[j] = u32::from_le_bytes(window(below, at));
        }
        for j in 0..CHUNK {
            corners[0][j] = upper[j];
            corners[1][j] = upper[j] >> 8;
            corners[2][j] = lower[j];
            corners[3][j] = lower[j] >> 8;
        }
    } else {
        let (mut upper, mut lower) = ([0u64; CHUNK], [0u64; CHUNK]);
        for j in 0..CHUNK {
            let at = places.numbers[j] as usize * C;
            upper[j] = u64::from_le_bytes(window(source, at));
            lower[j] = u64::from_le_bytes(window(below, at));
        }
        for j in 0..CHUNK {
            corners[0][j] = upper[j] as u32;
            corners[1][j] = (upper[j] >> (8 * C)) as u32;
            corners[2][j] = lower[j] as u32;
            corners[3][j] = (lower[j] >> (8 * C)) as u32;
        }
    }
    let mut weights = [[0u32; CHUNK]; 4];
    weigh(places, &mut weights);
    let mut levels = [[0u8; CHUNK]; C];
    for (c, levels) in levels.iter_mut().enumerate() {
        let shift = 8 * c as u32;
        for j in 0..CHUNK {
            // Masked weights tell the compiler that products fit 32 bits of two times 16.
            let part = |k: usize| ((corners[k][j] >> shift) & 0xff) * (weights[k][j] & 0x3fff);
            let sum = part(0) + part(1) + part(2) + part(3);
            levels[j] = ((sum + (1 << (WEIGHT - 1))) >> WEIGHT) as u8;
        }
    }
    for (j, pixel) in out.iter_mut().enumerate() {
        for (value, levels) in pixel.iter_mut().zip(&levels) {
            *value = levels[j];
        }
    }
}

/// The weights of the pixel itself, of the right, the lower, and the lower right one.
#[inline(always)]
fn weigh(places: &Places, weights: &mut [[u32; CHUNK]; 4]) {
    const ONE: f32 = (1 << WEIGHT) as f32;
    for j in 0..CHUNK {
        let (dx, dy) = (places.right[j], places.down[j]);
        // Rounding keeps order, so that none of the differences is below 0.
        let both = nearest(dx * dy * ONE);
        let (right, below) = (nearest(dx * ONE) - both, nearest(dy * ONE) - both);
        weights[0][j] = ((1 << WEIGHT) - right - below - both).max(0) as u32;
        weights[1][j] = right as u32;
        weights[2][j] = below as u32;
        weights[3][j] = both as u32;
    }
}

/// Of floats.
#[inline(always)]
pub(crate) fn of_floats<const C: usize>(source: &[f32], below: &[f32], places: &Places, out: &mut [[f32; C]; CHUNK]) {
    if C == 1 {
        // Two neighbours with one instruction each, taken apart by vectors.
        let (mut upper, mut lower) = ([0u64; CHUNK], [0u64; CHUNK]);
        for j in 0..CHUNK {
            let at = places.numbers[j] as usize;
            upper[j] = two(source, at);
            lower[j] = two(below, at);
        }
        for j in 0..CHUNK {
            let [left, right] = apart(upper[j]);
            let [low_left, low_right] = apart(lower[j]);
            out[j][0] = mean([left, right, low_left, low_right], places.right[j], places.down[j]);
        }
        return;
    }
    // The channels of a pixel in the lanes of one register; the fourth lane of three is the next pixel's.
    for j in 0..CHUNK {
        let at = places.numbers[j] as usize * C;
        let (upper, lower): ([f32; 8], [f32; 8]) = (window(source, at), window(below, at));
        let (dx, dy) = (places.right[j], places.down[j]);
        let mut lanes = [0f32; 4];
        for c in 0..4 {
            lanes[c] = mean([upper[c], upper[C + c], lower[c], lower[C + c]], dx, dy);
        }
        out[j].copy_from_slice(&lanes[..C]);
    }
}

/// Of floats whose places follow each other in a row, all but a few, so that nothing has to be gathered; the same bits. `count` pixels are
/// needed. Says whether it was so; if not, nothing has happened.
#[inline(always)]
pub(crate) fn of_floats_in_a_row<const C: usize>(
    source: &[f32],
    below: &[f32],
    places: &Places,
    count: usize,
    out: &mut [[f32; C]; CHUNK],
) -> bool {
    let Some((first, strangers)) = places.counted(count) else {
        return false;
    };
    let first = first as usize;
    let (Some(left), Some(right)) = (pixels::<C>(source, first), pixels::<C>(source, first + 1)) else {
        return false;
    };
    let (Some(low_left), Some(low_right)) = (pixels::<C>(below, first), pixels::<C>(below, first + 1)) else {
        return false;
    };
    // All of them lie between the same rows.
    let dy = places.down[0];
    let mut across = [[0f32; C]; CHUNK];
    for j in 0..CHUNK {
        across[j] = [places.right[j]; C];
    }
    let (left, right, low_left, low_right) = (flat(left), flat(right), flat(low_left), flat(low_right));
    let (across, out_flat) = (flat(&across), &mut out.as_flattened_mut()[..CHUNK * C]);
    for i in 0..CHUNK * C {
        out_flat[i] = mean([left[i], right[i], low_left[i], low_right[i]], across[i], dy);
    }
    for j in each(strangers) {
        let at = places.numbers[j] as usize * C;
        for c in 0..C {
            let of = |values: &[f32], at: usize| values.get(at + c).copied().unwrap_or_default();
            let around = [of(source, at), of(source, at + C), of(below, at), of(below, at + C)];
            out[j][c] = mean(around, places.right[j], dy);
        }
    }
    true
}

/// The places of the ones of a number.
#[inline(always)]
fn each(mut ones: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = ones.trailing_zeros();
        ones &= ones.wrapping_sub(1);
        (place < u32::BITS).then_some(place as usize)
    })
}

/// Pixels from one on, where there are enough.
#[inline(always)]
fn pixels<const C: usize>(values: &[f32], first: usize) -> Option<&[[f32; C]; CHUNK]> {
    values.get(first * C..)?.as_chunks().0.first_chunk()
}

#[inline(always)]
fn flat<const C: usize>(pixels: &[[f32; C]; CHUNK]) -> &[f32] {
    &pixels.as_flattened()[..CHUNK * C]
}

#[inline(always)]
fn mean([left, right, low_left, low_right]: [f32; 4], dx: f32, dy: f32) -> f32 {
    let above = (1.0 - dx) * left + dx * right;
    let below = (1.0 - dx) * low_left + dx * low_right;
    (1.0 - dy) * above + dy * below
}

/// The bits of two neighbours.
#[inline(always)]
fn two(source: &[f32], at: usize) -> u64 {
    let [left, right] = window(source, at);
    u64::from(left.to_bits()) | u64::from(right.to_bits()) << 32
}

#[inline(always)]
fn apart(bits: u64) -> [f32; 2] {
    [f32::from_bits(bits as u32), f32::from_bits((bits >> 32) as u32)]
}
