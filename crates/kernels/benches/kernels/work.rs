//! What all benches share: variables, and the two directions of an operation with their counts.

use std::hint::black_box;

use candle_core::{Device, Tensor, Var};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Throughput};
use kernels::random::Stream;

pub(crate) const BATCH: usize = 128;

/// Bytes of a number.
pub(crate) const SIZE: usize = size_of::<f32>();

/// A variable of small random numbers.
pub(crate) fn var(dims: &[usize]) -> Var {
    let mut numbers = vec![0f32; dims.iter().product()];
    Stream::new(dims.len() as u64)
        .draws()
        .fill_normal(&mut numbers, 0.0, 0.05);
    Var::from_tensor(&Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()).unwrap()
}

/// What an operation does in one call: forward, and forward with backward.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Floating point operations.
    Operations(usize, usize),
    /// Bytes.
    Bytes(usize, usize),
}

impl Work {
    /// A product of `operations`: once forward, and once more for the gradient of each factor that has one.
    pub(crate) fn product(operations: usize, factors: usize) -> Self {
        Work::Operations(operations, (1 + factors) * operations)
    }

    fn throughput(self) -> [Throughput; 2] {
        match self {
            Work::Operations(forward, all) => [forward, all].map(|count| Throughput::Elements(count as u64)),
            Work::Bytes(forward, all) => [forward, all].map(|count| Throughput::Bytes(count as u64)),
        }
    }
}

/// Measures an operation forward, as in inference, and forward and backward. `fixed` arguments come first and have no gradient.
pub(crate) fn both(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    work: Work,
    fixed: &[Tensor],
    vars: &[Var],
    operation: impl Fn(&[Tensor]) -> Tensor,
) {
    let arguments = |tracked: bool| -> Vec<Tensor> {
        let variables = vars.iter().map(|var| match tracked {
            true => var.as_tensor().clone(),
            false => var.as_tensor().detach(),
        });
        fixed.iter().cloned().chain(variables).collect()
    };
    let (plain, tracked) = (arguments(false), arguments(true));
    let [forward, all] = work.throughput();
    group.throughput(forward);
    group.bench_function(format!("{name}/forward"), |bench| bench.iter(|| operation(&plain)));
    group.throughput(all);
    group.bench_function(format!("{name}/forward+backward"), |bench| {
        // Of a tensor that is no scalar, this is the gradient of the sum of its numbers.
        bench.iter(|| black_box(operation(&tracked).backward().unwrap()))
    });
}
