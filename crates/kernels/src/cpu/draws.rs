//! Draws of a stream 16 blocks at a time, where each is only compared with a number.
//!
//! A stream is ChaCha with 8 rounds in counter mode: 16 blocks of 16 draws do not depend on each other, so that lane $i$ of a vector can
//! compute block $i$. The draws are those of [`crate::random::Draws`], one after the other.
//!
//! Source: D. J. Bernstein, *ChaCha, a variant of Salsa20*, 2008; `rand_chacha` has the 64-bit counter in words 12 and 13.

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
    let of_blocks = fastest();
    for (group, bits) in bits.chunks_mut(LANES).enumerate() {
        let found = of_blocks(key, (place / LANES + group * LANES) as u64, threshold);
        bits.copy_from_slice(&found[..bits.len()]);
    }
}

/// Which draws of 16 blocks are at least a number: bit by bit those of a block, block by block.
type OfBlocks = fn(key: &[u32; 8], first: u64, threshold: u32) -> [u16; LANES];

/// The function for the widest vectors that the processor has.
fn fastest() -> OfBlocks {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor was just asked for AVX-512.
            return |key, first, threshold| unsafe { avx512::of_blocks(key, first, threshold) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor was just asked for AVX2.
            return |key, first, threshold| unsafe { avx2::of_blocks(key, first, threshold) };
        }
    }
    plain
}

fn plain(key: &[u32; 8], first: u64, threshold: u32) -> [u16; LANES] {
    let mut found = [0; LANES];
    for (draw, word) in blocks(key, first).iter().enumerate() {
        for lane in 0..LANES {
            found[lane] |= u16::from(word[lane] >= threshold) << draw;
        }
    }
    found
}

/// Rounds of ChaCha on vectors of words in registers. The compiler makes gathers of the arrays above, three times slower.
///
/// `rotated!(word, places)` is a rotation to the left.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! rounds {
    ($words:ident, $add:ident, $xor:ident, $rotated:ident) => {{
        macro_rules! quarter_round {
            ($a:literal $b:literal $c:literal $d:literal) => {
                $words[$a] = $add($words[$a], $words[$b]);
                $words[$d] = $rotated!($xor($words[$d], $words[$a]), 16);
                $words[$c] = $add($words[$c], $words[$d]);
                $words[$b] = $rotated!($xor($words[$b], $words[$c]), 12);
                $words[$a] = $add($words[$a], $words[$b]);
                $words[$d] = $rotated!($xor($words[$d], $words[$a]), 8);
                $words[$c] = $add($words[$c], $words[$d]);
                $words[$b] = $rotated!($xor($words[$b], $words[$c]), 7);
            };
        }
        for _ in 0..4 {
            quarter_round!(0 4 8 12);
            quarter_round!(1 5 9 13);
            quarter_round!(2 6 10 14);
            quarter_round!(3 7 11 15);
            quarter_round!(0 5 10 15);
            quarter_round!(1 6 11 12);
            quarter_round!(2 7 8 13);
            quarter_round!(3 4 9 14);
        }
    }};
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{CONSTANTS, LANES};

    macro_rules! rotated {
        ($word:expr, $places:literal) => {
            _mm512_rol_epi32::<$places>($word)
        };
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn of_blocks(key: &[u32; 8], first: u64, threshold: u32) -> [u16; LANES] {
        let splat = |word: u32| _mm512_set1_epi32(word as i32);
        let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let low = _mm512_add_epi32(splat(first as u32), lanes);
        // Where the low half of the counter has begun again.
        let passed = _mm512_cmplt_epu32_mask(low, lanes);
        let high = splat((first >> 32) as u32);
        let high = _mm512_mask_add_epi32(high, passed, high, splat(1));
        let mut start = [_mm512_setzero_si512(); LANES];
        for (word, number) in start.iter_mut().zip(CONSTANTS.iter().chain(key)) {
            *word = splat(*number);
        }
        (start[12], start[13]) = (low, high);
        let mut words = start;
        rounds!(words, _mm512_add_epi32, _mm512_xor_si512, rotated);
        let mut found = _mm512_setzero_si512();
        for draw in 0..LANES {
            let kept = _mm512_cmpge_epu32_mask(_mm512_add_epi32(words[draw], start[draw]), splat(threshold));
            found = _mm512_mask_or_epi32(found, kept, found, splat(1 << draw));
        }
        // SAFETY: both types are 32 bytes of numbers, for which all bits are allowed.
        unsafe { std::mem::transmute::<__m256i, [u16; LANES]>(_mm512_cvtepi32_epi16(found)) }
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{CONSTANTS, LANES};

    macro_rules! rotated {
        ($word:expr, $places:literal) => {{
            let word = $word;
            _mm256_or_si256(
                _mm256_slli_epi32::<$places>(word),
                _mm256_srli_epi32::<{ 32 - $places }>(word),
            )
        }};
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn of_blocks(key: &[u32; 8], first: u64, threshold: u32) -> [u16; LANES] {
        let mut found = [0; LANES];
        for (half, found) in found.chunks_exact_mut(LANES / 2).enumerate() {
            let of_half = half_of_blocks(key, first.wrapping_add((half * LANES / 2) as u64), threshold);
            for (found, of_half) in found.iter_mut().zip(of_half) {
                *found = of_half as u16;
            }
        }
        found
    }

    #[target_feature(enable = "avx2")]
    fn half_of_blocks(key: &[u32; 8], first: u64, threshold: u32) -> [u32; LANES / 2] {
        let splat = |word: u32| _mm256_set1_epi32(word as i32);
        let counter = |lane: u64| first.wrapping_add(lane);
        let each = |number: &dyn Fn(u64) -> i32| {
            let [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7].map(number);
            _mm256_setr_epi32(a, b, c, d, e, f, g, h)
        };
        let mut start = [_mm256_setzero_si256(); LANES];
        for (word, number) in start.iter_mut().zip(CONSTANTS.iter().chain(key)) {
            *word = splat(*number);
        }
        start[12] = each(&|lane| counter(lane) as i32);
        start[13] = each(&|lane| (counter(lane) >> 32) as i32);
        let mut words = start;
        rounds!(words, _mm256_add_epi32, _mm256_xor_si256, rotated);
        let mut found = _mm256_setzero_si256();
        for draw in 0..LANES {
            let word = _mm256_add_epi32(words[draw], start[draw]);
            let kept = _mm256_cmpeq_epi32(_mm256_max_epu32(word, splat(threshold)), word);
            found = _mm256_or_si256(found, _mm256_and_si256(kept, splat(1 << draw)));
        }
        // SAFETY: both types are 32 bytes of numbers, for which all bits are allowed.
        unsafe { std::mem::transmute::<__m256i, [u32; LANES / 2]>(found) }
    }
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
    fn vectors_of_every_size_find_the_same() {
        let key = Stream::new(7).key();
        for first in [0, 5, u64::from(u32::MAX) - 3, u64::MAX - 2] {
            let expected = plain(&key, first, 1 << 30);
            assert_eq!(fastest()(&key, first, 1 << 30), expected, "{first}");
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the processor was just asked for AVX2.
                assert_eq!(unsafe { avx2::of_blocks(&key, first, 1 << 30) }, expected, "{first}");
            }
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
