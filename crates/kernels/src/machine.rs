//! What the machine offers to the operations of this crate: for a program that tells its user what to expect.

use std::hint::black_box;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::error::Result;
use crate::{Activation, cpu, linear};

/// How often something is measured; the best time counts, because whatever disturbs makes it longer.
const TIMES: usize = 5;

/// The processor's instructions that the operations of this crate use here, the widest last; empty where they are written for any processor.
///
/// ```
/// for name in kernels::machine::instructions() {
///     assert!(["AVX2 with FMA", "AVX-512", "AMX on bfloat16"].contains(&name));
/// }
/// ```
pub fn instructions() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            found.push("AVX2 with FMA");
        }
        if is_x86_feature_detected!("avx512f") {
            found.push("AVX-512");
        }
    }
    if cpu::has_tiles() {
        found.push("AMX on bfloat16");
    }
    found
}

/// Operations a second of [`linear`] in `f32` with all threads: a product of two matrices of 1024 x 1024, each multiply-add counted as two.
/// Takes some 50 ms.
///
/// # Errors
/// If there is no memory for 12 MiB.
pub fn operations_per_second() -> Result<f64> {
    const SIDE: usize = 1024;
    let ones = Tensor::ones((SIDE, SIDE), DType::F32, &Device::Cpu)?;
    let mut best = f64::INFINITY;
    for _ in 0..TIMES {
        let start = Instant::now();
        black_box(linear(&ones, &ones, None, Activation::Linear)?);
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(2.0 * (SIDE as f64).powi(3) / best)
}

/// Bytes a second, read and written together, while all threads copy 128 MiB: what operations that compute little are bound by. Takes some
/// 100 ms.
pub fn bytes_per_second() -> f64 {
    const COUNT: usize = 32 << 20;
    let from = vec![1f32; COUNT];
    let mut to = vec![0f32; COUNT];
    let part = COUNT.div_ceil(rayon::current_num_threads());
    let mut best = f64::INFINITY;
    for _ in 0..TIMES {
        let start = Instant::now();
        to.par_chunks_mut(part)
            .zip(from.par_chunks(part))
            .for_each(|(to, from)| to.copy_from_slice(black_box(from)));
        black_box(&to);
        best = best.min(start.elapsed().as_secs_f64());
    }
    (2 * COUNT * size_of::<f32>()) as f64 / best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_a_computer() {
        for rate in [operations_per_second().unwrap(), bytes_per_second()] {
            assert!((1e6..1e16).contains(&rate), "{rate}");
        }
    }
}
