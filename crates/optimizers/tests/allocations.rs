//! A step after the first allocates nothing. One test in a program of its own: the counter sees all threads.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor, Var};
use optimizers::{Optimizer, OptimizerBuilder, Parameter};

#[global_allocator]
static ALLOCATOR: kernels::memory::Counting = kernels::memory::Counting::new();

/// Large and small, of every rank; together they are shared by the threads.
const SHAPES: [&[usize]; 7] = [&[300, 401], &[401], &[], &[3, 3, 8, 16], &[70_001], &[50, 40], &[1]];

fn parts() -> Vec<(String, Var, Tensor)> {
    let one = |(index, shape): (usize, &&[usize])| {
        let count = shape.iter().product::<usize>();
        let values = |scale: f32| (0..count).map(|i| (i % 17) as f32 * scale - 0.3).collect::<Vec<_>>();
        let tensor = |scale| Tensor::from_vec(values(scale), *shape, &Device::Cpu).unwrap();
        (
            format!("layer{index}/kernel"),
            Var::from_tensor(&tensor(0.1)).unwrap(),
            tensor(0.01),
        )
    };
    SHAPES.iter().enumerate().map(one).collect()
}

/// Allocations of ten steps after the first two; two, because only every second one updates when gradients are accumulated.
fn allocations(builder: OptimizerBuilder) -> usize {
    let parts = parts();
    let parameters: Vec<Parameter<'_>> = parts
        .iter()
        .map(|(path, var, gradient)| Parameter { path, var, gradient })
        .collect();
    let mut optimizer = builder.build().unwrap();
    optimizer.apply(&parameters).unwrap();
    optimizer.apply(&parameters).unwrap();
    let before = ALLOCATOR.allocations();
    for _ in 0..10 {
        optimizer.apply(&parameters).unwrap();
    }
    ALLOCATOR.allocations() - before
}

#[test]
fn no_step_after_the_first_allocates() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.install(|| {
        take_from_each_other();
        let wrong = allocations_of_a_tensor();
        assert!(wrong > 0, "the counter counts nothing");
        assert_eq!(allocations_with_a_tape(), 0, "with the gradients of a backward pass");
        // These update a tensor as a whole, by candle's operations, each of which makes a new tensor.
        let by_tensors = ["muon", "soap", "torch_adafactor", "torch_muon"];
        let in_place = optimizers::catalogue().iter();
        for info in in_place.filter(|info| !by_tensors.contains(&info.name)) {
            let builder = || Optimizer::builder(info.name).unwrap();
            let cases = [
                ("by default", builder()),
                ("with clipnorm", builder().clipnorm(0.1)),
                (
                    "with decay",
                    builder().weight_decay(0.1).exclude_from_weight_decay(["layer1"]),
                ),
                ("with global_clipnorm, ema", builder().global_clipnorm(0.1).ema(0.9, 3)),
                ("accumulated", builder().gradient_accumulation_steps(2).clipnorm(0.1)),
            ];
            for (what, builder) in cases {
                assert_eq!(allocations(builder), 0, "{} {what}", info.name);
            }
        }
    });
}

/// The same with the gradients as candle's `backward` returns them.
fn allocations_with_a_tape() -> usize {
    let var = Var::new(&[3.0_f32, -1.0], &Device::Cpu).unwrap();
    let gradients = var.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let mut optimizer = Optimizer::by_name("adam").unwrap();
    optimizer.apply_gradients(&[("w", &var)], &gradients).unwrap();
    let before = ALLOCATOR.allocations();
    optimizer.apply_gradients(&[("w", &var)], &gradients).unwrap();
    ALLOCATOR.allocations() - before
}

/// Lets each of two threads take work from the other. A thread of rayon that does so for the first time allocates its part of the
/// bookkeeping, whatever the work is.
fn take_from_each_other() {
    let (there, back) = (AtomicBool::new(false), AtomicBool::new(false));
    rayon::join(
        || {
            while !there.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            while !back.load(Ordering::Acquire) {
                rayon::yield_now();
            }
        },
        || {
            there.store(true, Ordering::Release);
            rayon::join(
                || {
                    while !back.load(Ordering::Acquire) {
                        std::hint::spin_loop();
                    }
                },
                || back.store(true, Ordering::Release),
            );
        },
    );
}

fn allocations_of_a_tensor() -> usize {
    let before = ALLOCATOR.allocations();
    let _tensor = Tensor::new(1.0_f32, &Device::Cpu).unwrap();
    ALLOCATOR.allocations() - before
}
