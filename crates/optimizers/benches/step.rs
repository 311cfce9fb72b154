//! One step over parameters of 1e5 to 1e7 elements, in one tensor and in a hundred; throughput counts the bytes that must
//! move: weights read and written, gradients read, state read and written.
//!
//! `cargo bench -p optimizers`; with `-- --quick` for a first look.

use candle_core::{DType, Device, Tensor, Var};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use optimizers::{Optimizer, Parameter};

fn step(criterion: &mut Criterion) {
    // As in `lab`: the calling thread is one of those that compute. The pool exists already where all benches run in one process.
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
    for name in ["sgd", "sgd_momentum", "adam", "adafactor", "lion", "nadam"] {
        let mut group = criterion.benchmark_group(name);
        for (size, tensors, check) in [
            (100_000, 1, true),
            (1_000_000, 1, true),
            (10_000_000, 1, true),
            (10_000_000, 1, false),
            (100_000, 100, true),
            (1_000_000, 100, true),
        ] {
            let rows = if name == "adafactor" { 100 } else { 1 };
            let shape = (rows, size / tensors / rows);
            let parts: Vec<(String, Var, Tensor)> = (0..tensors)
                .map(|index| {
                    let ramp = Tensor::arange(0_f32, (size / tensors) as f32, &Device::Cpu)?;
                    let gradient = (ramp.sin()? * 1e-3)?.reshape(shape)?;
                    Ok((
                        format!("w{index}"),
                        Var::ones(shape, DType::F32, &Device::Cpu)?,
                        gradient,
                    ))
                })
                .collect::<candle_core::Result<_>>()
                .expect("tensors on the CPU");
            let parameters: Vec<Parameter<'_>> = parts
                .iter()
                .map(|(path, var, gradient)| Parameter { path, var, gradient })
                .collect();
            let builder = Optimizer::builder(name).expect("a known name");
            let mut optimizer = builder.check_finite(check).build().expect("defaults");
            optimizer.apply(&parameters).expect("a first step");
            // State is read and written; so are the weights; the gradient is read.
            group.throughput(Throughput::Bytes((2 * optimizer.state_bytes() + 12 * size) as u64));
            let label = format!(
                "{tensors} x {}{}",
                size / tensors,
                if check { "" } else { " unchecked" }
            );
            group.bench_function(BenchmarkId::from_parameter(label), |bencher| {
                bencher.iter(|| optimizer.apply(&parameters).expect("a step"));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    // Short, as the benches of `kernels`, with which `cargo xtask bench kernels` runs them: a machine drifts over minutes, not in one.
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(600));
    targets = step
}
criterion_main!(benches);
