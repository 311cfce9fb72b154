//! Draws of a stream 16 blocks at a time, where each is only compared with a number.
//!
//! A stream is ChaCha with 8 rounds in counter mode: 16 blocks of 16 draws do not depend on each other, so that lane $i$ of a vector can
//! compute block $i$. The draws are those of [`crate::random::Draws`], one after the other.
//!
//! Source: D. J. Bernstein, *ChaCha, a variant of Salsa20*, 2008; `rand_chacha` has the 64-bit counter in words 12 and 13.

use super::real::vectorized;

/// Blocks that are computed together, and draws in a block.
const LANES: usize = 16;
/// Draws that are made together: what begins at a multiple of it can be drawn on its own.
pub(crate) const AT_ONCE: usize = LANES * LANES;

type Word = [u32; LANES];

/// The words that a block begins with: "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "lane by lane through several words")]
fn quarter_round(words: &mut [Word; LANES], a: usize, b: usize, c: usize, d: usize) {
    for (to, from, turned, places) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        for lane in 0..LANES {
            words[to][lane] = words[to][lane].wrapping_add(words[from][lane]);
            words[turned][lane] = (words[turned][lane] ^ words[to][lane]).rotate_left(places);
        }
    }
}

/// Blocks `first` to `first + 15` of the key: word by word, block by block.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "lane by lane through all words")]
fn blocks(key: &[u32; 8], first: u64) -> [Word; LANES] {
    let mut start = [[0; LANES]; LANES];
    for lane in 0..LANES {
        let counter = first.wrapping_add(lane as u64);
        for word in 0..4 {
            start[word][lane] = CONSTANTS[word];
        }
        for word in 0..8 {
            start[4 + word][lane] = key[word];
        }
        start[12][lane] = counter as u32;
        start[13][lane] = (counter >> 32) as u32;
    }
    let mut words = start;
    for _ in 0..4 {
        for column in 0..4 {
            quarter_round(&mut words, column, 4 + column, 8 + column, 12 + column);
        }
        for column in 0..4 {
            let diagonal = |row: usize| 4 * row + (column + row) % 4;
            quarter_round(&mut words, column, diagonal(1), diagonal(2), diagonal(3));
        }
    }
    for (word, start) in words.iter_mut().zip(&start) {
        for lane in 0..LANES {
            word[lane] = word[lane].wrapping_add(start[lane]);
        }
    }
    words
}

/// Which draws of the stream with this key are at least `threshold`: bit $j$ of number $i$ says it of draw $16 i + j$ behind the first,
/// whose place must be a multiple of [`AT_ONCE`].
pub(crate) fn at_least(key: &[u32; 8], place: usize, threshold: u32, bits: &mut [u16]) {
    debug_assert!(place.is_multiple_of(AT_ONCE));
    vectorized(
        #[inline(always)]
        || {
            for (group, bits) in bits.chunks_mut(LANES).enumerate() {
                let words = blocks(key, (place / LANES + group * LANES) as u64);
                let mut found = [0; LANES];
                for (draw, word) in words.iter().enumerate() {
                    for lane in 0..LANES {
                        found[lane] |= u32::from(word[lane] >= threshold) << draw;
                    }
                }
                for (bits, found) in bits.iter_mut().zip(found) {
                    *bits = found as u16;
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use rand::RngCore;

    use super::*;
    use crate::random::Stream;

    #[test]
    fn the_draws_are_those_of_the_stream() {
        for (seed, threshold) in [(1, 0), (2, 1 << 31), (3, 858_993_459), (4, u32::MAX)] {
            let stream = Stream::new(seed).op("dropout").sample(seed);
            let mut bits = vec![0; 70];
            at_least(&stream.key(), 0, threshold, &mut bits);
            let mut draws = stream.draws();
            for draw in 0..16 * bits.len() {
                let expected = draws.next_u32() >= threshold;
                assert_eq!(bits[draw / 16] >> (draw % 16) & 1 == 1, expected, "draw {draw}");
            }
            let mut later = vec![0; 22];
            at_least(&stream.key(), 3 * AT_ONCE, threshold, &mut later);
            assert_eq!(later, bits[48..]);
        }
    }

    #[test]
    fn counters_pass_32_bits() {
        let key = Stream::new(7).key();
        let (low, high) = (
            blocks(&key, u64::from(u32::MAX) - 3),
            blocks(&key, u64::from(u32::MAX) + 1),
        );
        for (low, high) in low.iter().zip(&high) {
            assert_eq!(low[4..], high[..12]);
        }
    }
}
