//! What all benches share: variables, and the two directions of an operation with their counts.

use std::hint::black_box;

use candle_core::{Device, Tensor, Var};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Throughput};
use kernels::random::Stream;
use kernels::tape;

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
    /// Floating point operations, and the bytes that must be read and written for them.
    Product([usize; 2], [usize; 2]),
    /// Bytes.
    Bytes(usize, usize),
}

/// Numbers in the arrays of a product with a bias and an activation.
#[derive(Clone, Copy)]
pub(crate) struct Arrays {
    pub(crate) x: usize,
    pub(crate) kernel: usize,
    pub(crate) y: usize,
}

impl Work {
    /// A product of `operations`: once forward, and once more for the gradient of each factor that has one; that of `x` comes second.
    ///
    /// Backward reads `y` and its gradient (for the derivative of the activation), `x`, and for the gradient of `x` the kernel.
    pub(crate) fn product(operations: usize, factors: usize, arrays: Arrays) -> Self {
        let Arrays { x, kernel, y } = arrays;
        let forward = x + kernel + y;
        let of_x = if factors > 1 { kernel + x } else { 0 };
        let all = forward + 2 * y + x + kernel + of_x;
        Work::Product([operations, (1 + factors) * operations], [SIZE * forward, SIZE * all])
    }

    fn throughput(self) -> [Throughput; 2] {
        match self {
            Work::Product(operations, bytes) => [0, 1].map(|direction| Throughput::ElementsAndBytes {
                elements: operations[direction] as u64,
                bytes: bytes[direction] as u64,
            }),
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
    // Of a tensor that is no scalar, this is the gradient of the sum of its numbers.
    let seed = operation(&plain).ones_like().unwrap();
    let step = || {
        let (y, tape) = tape::record(|| operation(&tracked));
        tape.backward([(&y, seed.clone())]).unwrap()
    };
    let found = step();
    assert!(
        vars.iter().all(|var| found.get(var).is_some()),
        "{name}: a gradient is missing"
    );
    group.throughput(all);
    group.bench_function(format!("{name}/forward+backward"), |bench| {
        bench.iter(|| black_box(step()))
    });
}
