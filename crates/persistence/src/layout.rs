//! Numbers in another order: transposed, or gathered along strides; and sums of two biases.

use safetensors::Dtype;

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
    // A size of 0 first: the others may be of any size beside it.
    if shape.contains(&0) {
        return Vec::new();
    }
    let last = shape.len().saturating_sub(1);
    let near = (0..last).find(|&axis| strides[axis] == 1 && shape[axis] > 1);
    if let Some(near) = near.filter(|_| strides[last] != 1 && shape[last] > 1) {
        match item {
            1 => return tiled::<1>(source, offset, shape, strides, near),
            2 => return tiled::<2>(source, offset, shape, strides, near),
            4 => return tiled::<4>(source, offset, shape, strides, near),
            8 => return tiled::<8>(source, offset, shape, strides, near),
            _ => {}
        }
    }
    in_rows(source, item, offset, shape, strides)
}

/// The same row by row of the answer.
fn in_rows(source: &[u8], item: usize, offset: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let mut bytes = Vec::with_capacity(count * item);
    let (inner, inner_stride) = match (shape.last(), strides.last()) {
        (Some(&size), Some(&stride)) => (size, stride),
        _ => (1, 1),
    };
    let outer = shape.len().saturating_sub(1);
    let mut index = vec![0usize; outer];
    let mut start = offset;
    loop {
        if inner_stride == 1 {
            bytes.extend_from_slice(&source[start * item..(start + inner) * item]);
        } else {
            for step in 0..inner {
                let at = (start + step * inner_stride) * item;
                bytes.extend_from_slice(&source[at..at + item]);
            }
        }
        let mut axis = outer;
        loop {
            if axis == 0 {
                return bytes;
            }
            axis -= 1;
            index[axis] += 1;
            start += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            start -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
}

/// The same where the numbers along axis `near` lie beside each other in `source`, and those along the last axis do not: a square of both
/// axes stays in the cache while it is turned.
fn tiled<const N: usize>(source: &[u8], offset: usize, shape: &[usize], strides: &[usize], near: usize) -> Vec<u8> {
    const SIDE: usize = 32;
    let last = shape.len() - 1;
    let own = row_major(shape);
    let mut bytes = vec![0; shape.iter().product::<usize>() * N];
    let (from, into) = (source.as_chunks::<N>().0, bytes.as_chunks_mut::<N>().0);
    let outer: Vec<usize> = (0..last).filter(|&axis| axis != near).collect();
    let mut index = vec![0; outer.len()];
    let (mut start, mut place) = (offset, 0);
    loop {
        for rows in (0..shape[near]).step_by(SIDE) {
            for columns in (0..shape[last]).step_by(SIDE) {
                let end = shape[last].min(columns + SIDE);
                for row in rows..shape[near].min(rows + SIDE) {
                    let line = place + row * own[near];
                    for (column, number) in (columns..end).zip(&mut into[line + columns..line + end]) {
                        *number = from[start + row + column * strides[last]];
                    }
                }
            }
        }
        let mut axis = outer.len();
        loop {
            if axis == 0 {
                return bytes;
            }
            axis -= 1;
            let at = outer[axis];
            index[axis] += 1;
            (start, place) = (start + strides[at], place + own[at]);
            if index[axis] < shape[at] {
                break;
            }
            (start, place) = (start - strides[at] * shape[at], place - own[at] * shape[at]);
            index[axis] = 0;
        }
    }
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
                let rows = in_rows(&numbers, item, 3, &shape, &strides);
                assert!(
                    gathered(&numbers, item, 3, &shape, &strides) == rows,
                    "{shape:?} {strides:?} {item}"
                );
            }
        }
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
