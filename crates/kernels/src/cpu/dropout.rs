//! Multiplication with a mask that is kept for the gradient.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::real::{PIECE, Real, filled, for_real, numbers, slice, tensor_like, vectorized};
use crate::tape::apply1;

/// Which numbers of a tensor stay: bit $j$ of number $i$ of a row is for its number $16 i + j$, and each row begins a new number.
pub(crate) struct Mask {
    bits: Vec<u16>,
    /// Numbers of a row of the tensor.
    row: usize,
}

impl Mask {
    /// Numbers that the bits of a row take.
    pub(crate) fn words(row: usize) -> usize {
        row.div_ceil(16)
    }

    /// # Panics
    /// If the bits are not those of whole rows.
    pub(crate) fn new(bits: Vec<u16>, row: usize) -> Self {
        assert!(bits.len().is_multiple_of(Self::words(row)));
        Self { bits, row }
    }

    /// 1 where a number stays, 0 where it goes, for every number.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let rows = self.bits.chunks_exact(Self::words(self.row));
        rows.flat_map(|bits| (0..self.row).map(|at| (bits[at / 16] >> (at % 16) & 1) as u8))
            .collect()
    }
}

struct Op {
    mask: Mask,
    scale: f64,
}

/// `x * scale` where the mask says so, 0 elsewhere.
pub(crate) fn dropout(x: &Tensor, mask: Mask, scale: f64) -> Result<Tensor> {
    apply1(&x.contiguous()?, Op { mask, scale })
}

fn masked<T: Real>(op: &Op, x: &[T]) -> Vec<T> {
    let (row, words) = (op.mask.row, Mask::words(op.mask.row));
    let scale = T::from_f64(op.scale);
    // Whole rows, or pieces of one that begin with a number of bits of their own.
    let piece = if row <= PIECE { PIECE / row * row } else { PIECE };
    let pieces_of_row = row.div_ceil(piece);
    if pieces_of_row == 1 {
        return filled(x.len(), piece, |index, y| {
            let rows = y.chunks_mut(row).zip(x[index * piece..].chunks(row));
            let bits = op.mask.bits[index * (piece / row) * words..].chunks(words);
            for ((y, x), bits) in rows.zip(bits) {
                select(x, bits, scale, y);
            }
        });
    }
    let mut y = Vec::with_capacity(x.len());
    for (x, bits) in x.chunks(row).zip(op.mask.bits.chunks(words)) {
        y.extend(filled(row, piece, |index, y| {
            select(&x[index * piece..][..y.len()], &bits[index * (piece / 16)..], scale, y);
        }));
    }
    y
}

fn select<T: Real>(x: &[T], bits: &[u16], scale: T, y: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            // Not a multiplication with 0, so that a number that goes is +0 even if it was infinite.
            let kept = |x: T, bits: u16, lane: usize| if bits & (1 << lane) == 0 { T::zero() } else { x * scale };
            let (y_groups, y_rest) = y.as_chunks_mut::<16>();
            let (x_groups, x_rest) = x.as_chunks::<16>();
            for ((y, x), bits) in y_groups.iter_mut().zip(x_groups).zip(bits) {
                let (mut numbers, bits) = (*x, *bits);
                for (lane, number) in numbers.iter_mut().enumerate() {
                    *number = kept(*number, bits, lane);
                }
                *y = numbers;
            }
            for (lane, (y, x)) in y_rest.iter_mut().zip(x_rest).enumerate() {
                *y = kept(*x, bits[bits.len() - 1], lane);
            }
        },
    );
}

fn forward<T: Real>(op: &Op, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    Ok(T::to_cpu_storage_owned(masked(op, slice::<T>(storage, layout)?)))
}

fn backward<T: Real>(op: &Op, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    numbers!(gradient_numbers: T = gradient);
    tensor_like(masked(op, gradient_numbers), x)
}

impl CustomOp1 for Op {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = for_real!(storage.dtype(), "dropout", forward::<T>(self, storage, layout))?;
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        for_real!(x.dtype(), "dropout", backward::<T>(self, x, gradient)).map(Some)
    }
}
