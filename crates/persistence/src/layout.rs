//! Numbers in another order: transposed, or gathered along strides; and sums of two biases.

use rayon::prelude::*;
use safetensors::Dtype;

use crate::pieces::PIECE;

/// Bytes of one number; `None` for formats of less than a byte.
pub(crate) fn item_bytes(dtype: Dtype) -> Option<usize> {
    let bits = dtype.bitsize();
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// Whether the numbers of this shape can be counted in any order of its axes, also where one of them is 0.
pub(crate) fn is_countable(shape: &[usize]) -> bool {
    let sizes = shape.iter().filter(|&&size| size > 0);
    // No number has more than 16 bytes.
    let count = sizes
        .into_iter()
        .try_fold(16usize, |count, &size| count.checked_mul(size));
    count.is_some_and(|count| isize::try_from(count).is_ok())
}

/// Strides, in numbers, of a row-major tensor.
pub(crate) fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
    }
    strides
}

/// The numbers of `item` bytes at `offset + Σ index · stride`, row-major.
///
/// The caller has checked that every one of them lies in `source`.
pub(crate) fn gathered(source: &[u8], item: usize, offset: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let bands = Band::all(item, offset, shape, strides);
    let mut bytes = vec![0; bands.iter().map(|band| band.len() * item).sum()];
    let mut places = Vec::with_capacity(bands.len());
    let mut rest = bytes.as_mut_slice();
    for band in &bands {
        let (place, behind) = rest.split_at_mut(band.len() * item);
        places.push((band, place));
        rest = behind;
    }
    // A band is made where it stays in the cache and copied then, which takes half the time of writing all over a large block.
    let make = |made: &mut Vec<u8>, (band, place): (&Band<'_>, &mut [u8])| {
        made.resize(place.len(), 0);
        band.fill(source, item, made);
        place.copy_from_slice(made);
    };
    if places.len() > 1 {
        places.into_par_iter().for_each_init(Vec::new, make);
    } else {
        places
            .into_iter()
            .for_each(|(band, place)| band.fill(source, item, place));
    }
    bytes
}

/// Some of the numbers along strides, those that lie behind each other in a row-major tensor, few enough for a cache.
pub(crate) struct Band<'a> {
    offset: usize,
    shape: Vec<usize>,
    strides: &'a [usize],
}

impl<'a> Band<'a> {
    /// A tensor cut into bands, in order.
    pub(crate) fn all(item: usize, offset: usize, shape: &[usize], strides: &'a [usize]) -> Vec<Self> {
        let mut bands = Vec::new();
        // A size of 0 first: the others may be of any size beside it.
        if !shape.contains(&0) {
            Self::cut((PIECE / item.max(1)).max(1), offset, shape, strides, &mut bands);
        }
        bands
    }

    fn cut(most: usize, offset: usize, shape: &[usize], strides: &'a [usize], bands: &mut Vec<Self>) {
        let row: usize = shape.iter().skip(1).product();
        match *shape {
            [size, ..] if row > most => {
                for index in 0..size {
                    Self::cut(most, offset + index * strides[0], &shape[1..], &strides[1..], bands);
                }
            }
            [size, ..] if row * size > most => {
                // Whole squares, as long as there is room for one.
                let rows = most / row;
                let rows = if rows > SQUARE { rows / SQUARE * SQUARE } else { rows };
                for start in (0..size).step_by(rows) {
                    let mut shape = shape.to_vec();
                    shape[0] = rows.min(size - start);
                    bands.push(Band {
                        offset: offset + start * strides[0],
                        shape,
                        strides,
                    });
                }
            }
            _ => bands.push(Band {
                offset,
                shape: shape.to_vec(),
                strides,
            }),
        }
    }

    /// How many numbers there are.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Puts the numbers into bytes of their size.
    pub(crate) fn fill(&self, source: &[u8], item: usize, bytes: &mut [u8]) {
        let (shape, strides) = (&self.shape, self.strides);
        let last = shape.len().saturating_sub(1);
        let near = (0..last).find(|&axis| strides[axis] == 1 && shape[axis] > 1);
        if let Some(near) = near.filter(|_| strides[last] != 1 && shape[last] > 1) {
            match item {
                1 => return self.tiled::<1>(source, near, bytes),
                2 => return self.tiled::<2>(source, near, bytes),
                4 => return self.tiled::<4>(source, near, bytes),
                8 => return self.tiled::<8>(source, near, bytes),
                _ => {}
            }
        }
        self.in_rows(source, item, bytes);
    }

    /// Row by row of the answer.
    fn in_rows(&self, source: &[u8], item: usize, bytes: &mut [u8]) {
        let (shape, strides) = (&self.shape, self.strides);
        let (inner, inner_stride) = match (shape.last(), strides.last()) {
            (Some(&size), Some(&stride)) => (size, stride),
            _ => (1, 1),
        };
        let outer: Vec<usize> = (0..shape.len().saturating_sub(1)).collect();
        let mut rows = bytes.chunks_exact_mut(inner * item);
        self.for_each(&outer, |start, _| {
            let Some(row) = rows.next() else { return };
            if inner_stride == 1 {
                row.copy_from_slice(&source[start * item..(start + inner) * item]);
            } else {
                for (step, number) in row.chunks_exact_mut(item).enumerate() {
                    let at = (start + step * inner_stride) * item;
                    number.copy_from_slice(&source[at..at + item]);
                }
            }
        });
    }

    /// The same where the numbers along axis `near` lie beside each other in `source`, and those along the last axis do not: whole lines
    /// of the cache are read, turned and written.
    fn tiled<const N: usize>(&self, source: &[u8], near: usize, bytes: &mut [u8]) {
        let (shape, strides) = (&self.shape, self.strides);
        let last = shape.len() - 1;
        let own = row_major(shape);
        let (from, into) = (source.as_chunks::<N>().0, bytes.as_chunks_mut::<N>().0);
        let outer: Vec<usize> = (0..last).filter(|&axis| axis != near).collect();
        let (far, wide) = (strides[last], own[near]);
        self.for_each(&outer, |start, place| {
            for rows in (0..shape[near]).step_by(STRIP) {
                let end = shape[near].min(rows + STRIP);
                for column in (0..shape[last]).step_by(SQUARE) {
                    for row in (rows..end).step_by(SQUARE) {
                        let (from, into) = (
                            &from[start + row + column * far..],
                            &mut into[place + row * wide + column..],
                        );
                        let (height, width) = (SQUARE.min(end - row), SQUARE.min(shape[last] - column));
                        if height == SQUARE && width == SQUARE {
                            turned(from, far, into, wide);
                            continue;
                        }
                        for row in 0..height {
                            for column in 0..width {
                                into[row * wide + column] = from[row + column * far];
                            }
                        }
                    }
                }
            }
        });
    }

    /// Each place of some axes, the last one fastest: where it begins in the source, and where among the numbers of the band.
    fn for_each(&self, axes: &[usize], mut visit: impl FnMut(usize, usize)) {
        let own = row_major(&self.shape);
        let mut index = vec![0; axes.len()];
        let (mut start, mut place) = (self.offset, 0);
        loop {
            visit(start, place);
            let mut axis = axes.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                let at = axes[axis];
                index[axis] += 1;
                (start, place) = (start + self.strides[at], place + own[at]);
                if index[axis] < self.shape[at] {
                    break;
                }
                (start, place) = (
                    start - self.strides[at] * self.shape[at],
                    place - own[at] * self.shape[at],
                );
                index[axis] = 0;
            }
        }
    }
}

/// Numbers of a line of the cache, where a number has four bytes.
const SQUARE: usize = 16;

/// Rows that are turned before the next columns are looked at: what is read of a column lies in one page of memory.
const STRIP: usize = 4 * SQUARE;

/// A square whose columns are `far` apart, as rows that are `wide` apart.
#[inline(always)]
fn turned<const N: usize>(from: &[[u8; N]], far: usize, into: &mut [[u8; N]], wide: usize) {
    let mut columns = [[[0; N]; SQUARE]; SQUARE];
    for (index, column) in columns.iter_mut().enumerate() {
        column.copy_from_slice(&from[index * far..index * far + SQUARE]);
    }
    for index in 0..SQUARE {
        let row = &mut into[index * wide..index * wide + SQUARE];
        for (number, column) in row.iter_mut().zip(&columns) {
            *number = column[index];
        }
    }
}

/// Whether numbers of this shape along these strides are all of a block without gaps, each once, in whatever order.
pub(crate) fn is_whole(shape: &[usize], strides: &[usize]) -> bool {
    let mut axes: Vec<(usize, usize)> = strides
        .iter()
        .copied()
        .zip(shape.iter().copied())
        .filter(|axis| axis.1 != 1)
        .collect();
    axes.sort_unstable();
    let mut next = 1usize;
    axes.into_iter().all(|(stride, size)| {
        let follows = stride == next;
        next = next.saturating_mul(size);
        follows
    })
}

/// The numbers with axis `i` of the answer being axis `axes[i]`, and the new shape.
pub(crate) fn permuted(bytes: &[u8], item: usize, shape: &[usize], axes: &[usize]) -> (Vec<u8>, Vec<usize>) {
    let strides = row_major(shape);
    let shape: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let strides: Vec<usize> = axes.iter().map(|&axis| strides[axis]).collect();
    (gathered(bytes, item, 0, &shape, &strides), shape)
}

/// The permutation that undoes `axes`.
pub(crate) fn inverse(axes: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; axes.len()];
    for (to, &from) in axes.iter().enumerate() {
        inverse[from] = to;
    }
    inverse
}

/// The sum of two biases; where one is all zeros it is the other one to the bit, also where that holds -0.
pub(crate) fn sum(a: Vec<u8>, b: Vec<u8>, dtype: Dtype) -> Vec<u8> {
    fn add<const N: usize>(a: &[u8], b: &[u8], add: impl Fn([u8; N], [u8; N]) -> [u8; N]) -> Vec<u8> {
        let pairs = a.as_chunks::<N>().0.iter().zip(b.as_chunks::<N>().0);
        pairs.flat_map(|(&a, &b)| add(a, b)).collect()
    }
    if b.iter().all(|&byte| byte == 0) {
        return a;
    }
    if a.iter().all(|&byte| byte == 0) {
        return b;
    }
    match dtype {
        Dtype::F64 => add(&a, &b, |a, b| {
            (f64::from_le_bytes(a) + f64::from_le_bytes(b)).to_le_bytes()
        }),
        Dtype::F16 => add(&a, &b, |a, b| {
            (half::f16::from_le_bytes(a) + half::f16::from_le_bytes(b)).to_le_bytes()
        }),
        Dtype::BF16 => add(&a, &b, |a, b| {
            (half::bf16::from_le_bytes(a) + half::bf16::from_le_bytes(b)).to_le_bytes()
        }),
        _ => add(&a, &b, |a, b| {
            (f32::from_le_bytes(a) + f32::from_le_bytes(b)).to_le_bytes()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_and_its_inverse_change_nothing() {
        let numbers: Vec<u8> = (0..24u32).flat_map(u32::to_le_bytes).collect();
        let (turned, shape) = permuted(&numbers, 4, &[2, 3, 4], &[2, 0, 1]);
        assert_eq!(shape, [4, 2, 3]);
        // The number at [k, i, j] is the one that was at [i, j, k].
        assert_eq!(turned[..8], [0, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(
            permuted(&turned, 4, &shape, &inverse(&[2, 0, 1])),
            (numbers, vec![2, 3, 4])
        );
    }

    #[test]
    fn tiles_and_rows_give_the_same_numbers() {
        let numbers: Vec<u8> = (0..40_000u32).flat_map(u32::to_le_bytes).collect();
        for (shape, strides) in [
            (vec![70, 65], vec![1, 70]),
            (vec![33, 3, 5], vec![1, 330, 33]),
            (vec![3, 40, 2, 50], vec![4000, 1, 2000, 40]),
            (vec![2, 31], vec![1, 0]),
            (vec![4, 5, 6], vec![1, 1, 7]),
        ] {
            for item in [1, 2, 4, 8] {
                let (offset, shape) = (3, shape.clone());
                let whole = Band {
                    offset,
                    shape,
                    strides: &strides,
                };
                let mut rows = vec![0; whole.len() * item];
                whole.in_rows(&numbers, item, &mut rows);
                let found = gathered(&numbers, item, offset, &whole.shape, &strides);
                assert!(found == rows, "{:?} {strides:?} {item}", whole.shape);
            }
        }
    }

    #[test]
    fn bands_follow_each_other() {
        for (shape, strides) in [
            (vec![1000, 700], vec![1, 1000]),
            (vec![2, 3, 300_000], vec![3, 1, 6]),
            (vec![3, 700_001], vec![1, 3]),
            (vec![700_001, 3], vec![1, 700_001]),
        ] {
            let count: usize = shape.iter().product();
            let numbers: Vec<u8> = (0..count as u32).flat_map(u32::to_le_bytes).collect();
            let whole = Band {
                offset: 0,
                shape: shape.clone(),
                strides: &strides,
            };
            let mut rows = vec![0; count * 4];
            whole.in_rows(&numbers, 4, &mut rows);
            let bands = Band::all(4, 0, &shape, &strides);
            assert!(
                bands.len() > 1 && bands.iter().all(|band| band.len() * 4 <= PIECE),
                "{shape:?}"
            );
            assert!(gathered(&numbers, 4, 0, &shape, &strides) == rows, "{shape:?}");
        }
    }

    #[test]
    fn a_whole_block_has_no_gaps_and_no_repetitions() {
        assert!(
            is_whole(&[3, 4], &[4, 1])
                && is_whole(&[4, 3], &[1, 4])
                && is_whole(&[1, 5], &[9, 1])
                && is_whole(&[], &[])
        );
        assert!(
            !is_whole(&[3, 4], &[5, 1])
                && !is_whole(&[3, 4], &[0, 1])
                && !is_whole(&[3, 4], &[1, 1])
                && !is_whole(&[3], &[2])
        );
    }

    #[test]
    fn sizes_beside_a_zero_are_counted_too() {
        assert!(is_countable(&[0, 3]));
        assert!(!is_countable(&[0, usize::MAX, 2]));
        assert!(!is_countable(&[1 << 40, 1 << 40]));
    }

    #[test]
    fn tensors_without_numbers_have_no_bytes() {
        assert_eq!(gathered(&[], 4, 0, &[0, 3], &[3, 1]), Vec::<u8>::new());
        assert_eq!(gathered(&[7, 0], 2, 0, &[], &[]), [7, 0]);
    }
}
