//! Multiplication with a mask that is kept for the gradient.

use std::mem::MaybeUninit;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::place::written;
use super::real::{PIECE, Real, for_real, numbers, slice, tensor_like, vectorized};
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
    if row <= PIECE {
        let of_rows = |start: usize, x: &[T], y: &mut [MaybeUninit<T>]| {
            let bits = op.mask.bits[start / row * words..].chunks(words);
            for ((x, y), bits) in x.chunks(row).zip(y.chunks_mut(row)).zip(bits) {
                select(x, bits, scale, y);
            }
        };
        // SAFETY: each number belongs to a row, all of which `select` writes.
        return unsafe { written(x, PIECE / row * row, of_rows) };
    }
    let mut y = Vec::with_capacity(x.len());
    for (x, bits) in x.chunks(row).zip(op.mask.bits.chunks(words)) {
        // SAFETY: `select` writes all numbers.
        y.extend(unsafe { written(x, PIECE, |start, x, y| select(x, &bits[start / 16..], scale, y)) });
    }
    y
}

/// Writes the numbers that stay, scaled, and zeros for the others; the first bit is for the first number.
///
/// A number that goes is not multiplied by 0, so that it becomes +0 even if it was infinite.
fn select<T: Real>(x: &[T], bits: &[u16], scale: T, y: &mut [MaybeUninit<T>]) {
    assert!(x.len() == y.len() && bits.len() >= x.len().div_ceil(16));
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if let Some(x) = T::as_f32(x)
        && is_x86_feature_detected!("avx512f")
    {
        // SAFETY: the processor was just asked for AVX-512; `y` has room for as many numbers, which are of `f32` as those of `x`.
        return unsafe { avx512::select(x, bits, scale.to_f64() as f32, y.as_mut_ptr().cast()) };
    }
    vectorized(
        #[inline(always)]
        || {
            for ((x, y), bits) in x.chunks(16).zip(y.chunks_mut(16)).zip(bits) {
                for (lane, (x, y)) in x.iter().zip(y).enumerate() {
                    y.write(if bits & (1 << lane) == 0 { T::zero() } else { *x * scale });
                }
            }
        },
    );
}

/// The bits are what a processor with AVX-512 calls a mask; the compiler gathers the numbers of 16 of them instead.
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512 {
    use std::arch::x86_64::*;

    /// # Safety
    /// The processor must have AVX-512 F, and `y` room for as many numbers as `x` has, for which there must be bits.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn select(x: &[f32], bits: &[u16], scale: f32, y: *mut f32) {
        let scale = _mm512_set1_ps(scale);
        let (groups, rest) = x.as_chunks::<16>();
        for (index, (group, kept)) in groups.iter().zip(bits).enumerate() {
            // SAFETY: 16 numbers are read from a group, and written where the caller has room for them.
            unsafe {
                let numbers = _mm512_loadu_ps(group.as_ptr());
                _mm512_storeu_ps(y.add(16 * index), _mm512_maskz_mul_ps(*kept, numbers, scale));
            }
        }
        if let (false, Some(kept)) = (rest.is_empty(), bits.get(groups.len())) {
            let first = (1 << rest.len()) - 1;
            // SAFETY: only the numbers of the mask are read and written, which are those that are left.
            unsafe {
                let numbers = _mm512_maskz_loadu_ps(first, rest.as_ptr());
                let scaled = _mm512_maskz_mul_ps(*kept, numbers, scale);
                _mm512_mask_storeu_ps(y.add(16 * groups.len()), first, scaled);
            }
        }
    }
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
