//! Matrices of `f32` as tiles of bfloat16: each number is split into parts, $a = a_1 + a_2 + a_3$, each the rest of the ones before it
//! rounded to the nearest bfloat16.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::amx::{DEPTH, EDGE, Tile, is_available};
use crate::cpu::matmul::View;

/// Which factor a matrix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Strips of 16 rows; a row of a tile has 32 neighbours of a row of the matrix.
    Left,
    /// Strips of 16 columns; a row of a tile has the 16 pairs of two neighbouring rows of the matrix.
    Right,
}

/// Splits 32 numbers of two vectors. Of each part, the numbers of the first vector are in the lower half of the result and those of the
/// second one in the upper half; or, if `PAIRED`, each number of the first vector is followed by that of the second one.
///
/// The nearest number of bfloat16 is found by adding half of its last place to the bits as if they were a whole number (halves go away from
/// zero), because the instruction that rounds leaves numbers of 16 bits, and to widen them again for the rest takes longer than all the
/// rest. What is left after two parts has no more than 8 bits and is cut off without a loss, and so is a NaN, which survives in the last
/// part; the last of fewer parts is rounded by the instruction (halves to even), as it is where there are no tiles.
///
/// # Safety
/// The processor must have the features.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn parts<const PARTS: usize, const PAIRED: bool>(mut first: __m512, mut second: __m512) -> [__m512i; PARTS] {
    const HALF: i32 = 1 << 15;
    let upper = _mm512_set1_epi32(i32::MIN >> 15);
    let mut found = [_mm512_setzero_si512(); PARTS];
    for (index, part) in found.iter_mut().enumerate() {
        if index + 1 == PARTS && PARTS < 3 {
            let rounded = narrowed(first, second);
            *part = if PAIRED { interleaved(rounded) } else { rounded };
            continue;
        }
        let bits = (_mm512_castps_si512(first), _mm512_castps_si512(second));
        let (near, nearer) = if index + 1 == PARTS {
            (bits.0, _mm512_and_si512(bits.1, upper))
        } else {
            let round = |bits| _mm512_and_si512(_mm512_add_epi32(bits, _mm512_set1_epi32(HALF)), upper);
            (round(bits.0), round(bits.1))
        };
        *part = if PAIRED {
            _mm512_or_si512(_mm512_srli_epi32::<16>(near), nearer)
        } else {
            // They are numbers of bfloat16 already, so that nothing is rounded here.
            narrowed(_mm512_castsi512_ps(near), _mm512_castsi512_ps(nearer))
        };
        first = _mm512_sub_ps(first, _mm512_castsi512_ps(near));
        second = _mm512_sub_ps(second, _mm512_castsi512_ps(nearer));
    }
    found
}

/// The numbers of two vectors, rounded to bfloat16: those of the first one in the lower half.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn narrowed(first: __m512, second: __m512) -> __m512i {
    // SAFETY: both are 64 bytes without meaning of their own.
    unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(second, first)) }
}

/// `a0 b0 a1 b1 ...` of a vector with `a0 a1 ...` in its lower and `b0 b1 ...` in its upper half.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interleaved(halves: __m512i) -> __m512i {
    const PLACES: [u16; 32] = {
        let mut places = [0; 32];
        let mut i = 0;
        while i < 16 {
            places[2 * i] = i as u16;
            places[2 * i + 1] = 16 + i as u16;
            i += 1;
        }
        places
    };
    // SAFETY: the array has 64 bytes.
    let places = unsafe { _mm512_loadu_si512(PLACES.as_ptr().cast()) };
    _mm512_permutexvar_epi16(places, halves)
}

/// Rows and columns of 16 x 16 numbers of 32 bits exchanged.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(rows: &[__m512i; 16]) -> [__m512i; 16] {
    let zero = _mm512_setzero_si512();
    let (mut a, mut b) = ([zero; 16], [zero; 16]);
    for i in 0..8 {
        a[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    for i in 0..4 {
        for half in 0..2 {
            let (x, y) = (a[4 * i + half], a[4 * i + 2 + half]);
            b[4 * i + 2 * half] = _mm512_unpacklo_epi64(x, y);
            b[4 * i + 2 * half + 1] = _mm512_unpackhi_epi64(x, y);
        }
    }
    // Now b[4 i + c] has, in lane l, column 4 l + c of rows 4 i to 4 i + 3.
    for c in 0..4 {
        let low = _mm512_shuffle_i32x4::<0x88>(b[c], b[4 + c]);
        let high = _mm512_shuffle_i32x4::<0xdd>(b[c], b[4 + c]);
        let low2 = _mm512_shuffle_i32x4::<0x88>(b[8 + c], b[12 + c]);
        let high2 = _mm512_shuffle_i32x4::<0xdd>(b[8 + c], b[12 + c]);
        a[c] = _mm512_shuffle_i32x4::<0x88>(low, low2);
        a[8 + c] = _mm512_shuffle_i32x4::<0xdd>(low, low2);
        a[4 + c] = _mm512_shuffle_i32x4::<0x88>(high, high2);
        a[12 + c] = _mm512_shuffle_i32x4::<0xdd>(high, high2);
    }
    a
}

/// Numbers of bfloat16 that are kept from one image to the next.
#[derive(Default)]
pub(super) struct Planes(Vec<Line>);

/// 32 numbers, aligned as the processor likes to read them.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u16; DEPTH]);

impl Planes {
    /// `len` numbers (a multiple of 32): zeros or what was there before.
    pub(super) fn of(&mut self, len: usize) -> &mut [u16] {
        let lines = len / DEPTH;
        if self.0.len() < lines {
            self.0.resize(lines, Line([0; DEPTH]));
        }
        // SAFETY: a line is 32 numbers of 16 bits without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), lines * DEPTH) }
    }
}

/// Where 16 rows of 64 bytes of each part go.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    start: *mut u8,
    /// Bytes from a row to the next, and from a part to the next.
    row: usize,
    part: usize,
}

impl Rows {
    /// Rows of several matrices of bfloat16, one a part.
    ///
    /// # Safety
    /// 16 rows of 64 bytes must be writable at each part.
    pub(super) unsafe fn new(start: *mut u8, row: usize, part: usize) -> Self {
        Self { start, row, part }
    }

    /// # Safety
    /// As for [`Rows::new`].
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store(self, part: usize, row: usize, numbers: __m512i) {
        // SAFETY: as the caller promises.
        unsafe { _mm512_storeu_si512(self.start.add(part * self.part + row * self.row).cast(), numbers) }
    }

    fn of(tiles: &mut [MaybeUninit<Tile>]) -> Self {
        Self {
            start: tiles.as_mut_ptr().cast(),
            row: 2 * DEPTH,
            part: size_of::<Tile>(),
        }
    }
}

/// Writes the tiles of strip `strip`, of the blocks of 32 terms that are named: block after block, part after part.
///
/// # Panics
/// If `tiles` has another length, the matrix has no stride of 1, or there are no tiles on this processor.
pub(super) fn pack<const PARTS: usize>(
    matrix: View<'_, f32>,
    side: Side,
    strip: usize,
    blocks: std::ops::Range<usize>,
    tiles: &mut [MaybeUninit<Tile>],
) {
    assert!(is_available() && tiles.len() == blocks.len() * PARTS);
    for (block, tiles) in blocks.zip(tiles.chunks_exact_mut(PARTS)) {
        // SAFETY: there is a tile for each part, and the processor has the instructions.
        unsafe { pack_block::<PARTS>(matrix, side, strip, block, Rows::of(tiles)) }
    }
}

/// Writes one tile of each part to the rows given.
///
/// # Safety
/// [`is_available`] must have said so, and the rows must be as [`Rows::new`] demands.
///
/// # Panics
/// If the matrix has no such tile, or no stride of 1.
pub(super) unsafe fn pack_block<const PARTS: usize>(
    matrix: View<'_, f32>,
    side: Side,
    strip: usize,
    block: usize,
    to: Rows,
) {
    // `lines` are rows of the left factor and columns of the right one.
    let (rows, columns) = matrix.strides();
    let (terms, lines, line_stride, term_stride) = match side {
        Side::Left => (matrix.columns(), matrix.rows_count(), rows, columns),
        Side::Right => (matrix.rows_count(), matrix.columns(), columns, rows),
    };
    assert!(strip * EDGE < lines && block * DEPTH < terms);
    assert!(line_stride == 1 || term_stride == 1);
    let source = Source {
        // A `View` lies inside its slice, so this is a number of it.
        data: &matrix.data()[strip * EDGE * line_stride + block * DEPTH * term_stride..],
        lines: (lines - strip * EDGE).min(EDGE),
        terms: (terms - block * DEPTH).min(DEPTH),
        stride: if term_stride == 1 { line_stride } else { term_stride },
    };
    // SAFETY: the caller vouches for the instructions and the rows.
    unsafe {
        if term_stride == 1 {
            match side {
                Side::Left => pack_rows::<PARTS, false>(source, to),
                Side::Right => pack_rows::<PARTS, true>(source, to),
            }
        } else {
            match side {
                Side::Left => pack_pairs::<PARTS, true>(source, to),
                Side::Right => pack_pairs::<PARTS, false>(source, to),
            }
        }
    }
}

/// A piece of a matrix of at most 16 lines with at most 32 terms.
struct Source<'a> {
    data: &'a [f32],
    lines: usize,
    terms: usize,
    /// From a line to the next where terms are neighbours, from a term to the next where lines are.
    stride: usize,
}

/// Asks for the line of a number of the next block, which is often none that the processor expects: rows lie kilobytes apart.
#[inline]
#[target_feature(enable = "sse")]
fn fetch(number: *const f32) {
    _mm_prefetch::<_MM_HINT_T0>(number.cast());
}

/// The lowest `count` lanes.
fn mask(count: usize) -> u16 {
    if count >= 16 { u16::MAX } else { (1 << count) - 1 }
}

/// Tiles of lines whose terms are neighbours: line by line for the left factor; exchanged they are pairs of terms, as the right one has.
///
/// # Safety
/// As [`pack_block`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn pack_rows<const PARTS: usize, const EXCHANGED: bool>(source: Source<'_>, to: Rows) {
    let (low, high) = (mask(source.terms), mask(source.terms.saturating_sub(16)));
    let mut rows = [[_mm512_setzero_si512(); EDGE]; PARTS];
    let start = source.data.as_ptr();
    assert!(source.lines == 0 || (source.lines - 1) * source.stride + source.terms <= source.data.len());
    #[allow(
        clippy::needless_range_loop,
        reason = "a row is written only where all are exchanged afterwards"
    )]
    for line in 0..source.lines {
        let numbers = start.wrapping_add(line * source.stride);
        fetch(numbers.wrapping_add(DEPTH));
        fetch(numbers.wrapping_add(DEPTH + EDGE));
        // SAFETY: the lines' terms lie in the slice, as was asserted; lanes beyond them are masked out and not read.
        let found = unsafe {
            parts::<PARTS, false>(
                _mm512_maskz_loadu_ps(low, numbers),
                _mm512_maskz_loadu_ps(high, numbers.wrapping_add(16)),
            )
        };
        for (part, found) in found.into_iter().enumerate() {
            if EXCHANGED {
                rows[part][line] = found;
            } else {
                // SAFETY: the caller vouches for the rows.
                unsafe { to.store(part, line, found) }
            }
        }
    }
    // SAFETY: as above.
    unsafe { finish::<PARTS, EXCHANGED>(&rows, source.lines, to) }
}

/// Writes what is to be exchanged, or zeros to the rows from `written` on.
///
/// # Safety
/// As [`pack_block`].
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn finish<const PARTS: usize, const EXCHANGED: bool>(rows: &[[__m512i; EDGE]; PARTS], written: usize, to: Rows) {
    // By reference throughout: arrays of registers that are handed on by value are copied.
    for (part, rows) in rows.iter().enumerate() {
        if EXCHANGED {
            for (index, row) in transposed(rows).iter().enumerate() {
                // SAFETY: as the caller promises.
                unsafe { to.store(part, index, *row) }
            }
        } else {
            for index in written..EDGE {
                // SAFETY: as the caller promises.
                unsafe { to.store(part, index, _mm512_setzero_si512()) }
            }
        }
    }
}

/// Tiles of terms whose lines are neighbours: pairs of terms for the right factor; exchanged they are lines, as the left one has.
///
/// # Safety
/// As [`pack_block`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn pack_pairs<const PARTS: usize, const EXCHANGED: bool>(source: Source<'_>, to: Rows) {
    let lanes = mask(source.lines);
    let mut rows = [[_mm512_setzero_si512(); EDGE]; PARTS];
    let start = source.data.as_ptr();
    assert!(source.terms == 0 || (source.terms - 1) * source.stride + source.lines <= source.data.len());
    let pairs = source.terms.div_ceil(2);
    #[allow(clippy::needless_range_loop, reason = "as in `pack_rows`")]
    for pair in 0..pairs {
        // SAFETY: the terms' lines lie in the slice, as was asserted; masked lanes are not read.
        let found = unsafe {
            let first = start.wrapping_add(2 * pair * source.stride);
            let second = if 2 * pair + 1 < source.terms { lanes } else { 0 };
            parts::<PARTS, true>(
                _mm512_maskz_loadu_ps(lanes, first),
                _mm512_maskz_loadu_ps(second, first.wrapping_add(source.stride)),
            )
        };
        for (part, found) in found.into_iter().enumerate() {
            if EXCHANGED {
                rows[part][pair] = found;
            } else {
                // SAFETY: the caller vouches for the rows.
                unsafe { to.store(part, pair, found) }
            }
        }
    }
    // SAFETY: as above.
    unsafe { finish::<PARTS, EXCHANGED>(&rows, pairs, to) }
}

/// Splits numbers as they stand: part `p` begins `p * distance` numbers behind the start of `planes`.
///
/// # Panics
/// If `planes` is too short, or there are no tiles on this processor.
pub(super) fn split_plane<const PARTS: usize>(numbers: &[f32], planes: &mut [u16], distance: usize) {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn split<const PARTS: usize>(numbers: &[f32], planes: &mut [u16], distance: usize) {
        for (group, numbers) in numbers.chunks(DEPTH).enumerate() {
            let (low, high) = (mask(numbers.len()), mask(numbers.len().saturating_sub(16)));
            let lanes = if numbers.len() == DEPTH {
                u32::MAX
            } else {
                (1 << numbers.len()) - 1
            };
            // SAFETY: masked lanes are neither read nor written; the others lie in the slices, as was asserted.
            unsafe {
                let found = parts::<PARTS, false>(
                    _mm512_maskz_loadu_ps(low, numbers.as_ptr()),
                    _mm512_maskz_loadu_ps(high, numbers.as_ptr().wrapping_add(16)),
                );
                for (part, found) in found.into_iter().enumerate() {
                    let to = planes.as_mut_ptr().add(part * distance + group * DEPTH);
                    _mm512_mask_storeu_epi16(to.cast(), lanes, found);
                }
            }
        }
    }
    assert!(is_available() && numbers.len() <= distance && planes.len() >= PARTS * distance);
    // SAFETY: the processor has the instructions.
    unsafe { split::<PARTS>(numbers, planes, distance) }
}
