//! Multiplication with a mask that is kept for the gradient.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::tape::apply1;

use super::real::{PIECE, Real, for_real, numbers, slice, tensor_like, vectorized};

struct Op {
    mask: Vec<u8>,
    scale: f64,
}

/// `x * mask * scale`, for a mask of zeros and ones.
pub(crate) fn dropout(x: &Tensor, mask: Vec<u8>, scale: f64) -> Result<Tensor> {
    apply1(&x.contiguous()?, Op { mask, scale })
}

fn masked<T: Real>(op: &Op, x: &[T]) -> Vec<T> {
    let scale = T::from_f64(op.scale);
    let mut y = x.to_vec();
    y.par_chunks_mut(PIECE)
        .zip(op.mask.par_chunks(PIECE))
        .for_each(|(y, mask)| {
            vectorized(
                #[inline(always)]
                || {
                    for (y, keep) in y.iter_mut().zip(mask) {
                        // Not a multiplication with 0, so that a number that goes is +0 even if it was infinite.
                        *y = if *keep == 0 { T::zero() } else { *y * scale };
                    }
                },
            );
        });
    y
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
