//! The sum of two gradients of one tensor.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::linear::add;
use super::real::{PIECE, Real, for_real, numbers, tensor_like};

/// `a + b`, without candle's pool of threads where the numbers are f32 or f64.
pub(crate) fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match a.dtype() {
        _ if a.shape() != b.shape() || a.dtype() != b.dtype() => a + b,
        candle_core::DType::F32 | candle_core::DType::F64 => for_real!(a.dtype(), "sum", fused::<T>(a, b)),
        _ => a + b,
    }
}

fn fused<T: Real>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    numbers!(a_numbers: T = a);
    numbers!(b_numbers: T = b);
    let mut total = a_numbers.to_vec();
    total
        .par_chunks_mut(PIECE)
        .zip(b_numbers.par_chunks(PIECE))
        .for_each(|(total, b)| add(total, b));
    tensor_like(total, a)
}
