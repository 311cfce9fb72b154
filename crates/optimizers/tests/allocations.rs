//! A step after the first allocates nothing. One test in a program of its own: the counter sees all threads.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor, Var};
use optimizers::{Group, Optimizer, OptimizerBuilder, Parameter};

#[global_allocator]
static ALLOCATOR: kernels::memory::Counting = kernels::memory::Counting::new();

/// Large and small, of every rank; together they are shared by the threads.
const SHAPES: [&[usize]; 7] = [&[200, 201], &[201], &[], &[3, 3, 8, 16], &[40_001], &[50, 40], &[1]];

/// The same for what multiplies matrices.
const SHORT_SHAPES: [&[usize]; 7] = [&[40, 31], &[31], &[], &[3, 3, 8, 16], &[70_001], &[50, 40], &[1]];

fn parts(shapes: &[&[usize]]) -> Vec<(String, Var, Tensor)> {
    let one = |(index, shape): (usize, &&[usize])| {
        let count = shape.iter().product::<usize>();
        let values = |scale: f32| (0..count).map(|i| (i % 17) as f32 * scale - 0.3).collect::<Vec<_>>();
        let tensor = |scale| Tensor::from_vec(values(scale), *shape, &Device::Cpu).unwrap();
        (
            format!("layer{index}/{}", if shape.len() == 1 { "bias" } else { "kernel" }),
            Var::from_tensor(&tensor(0.1)).unwrap(),
            tensor(0.01),
        )
    };
    shapes.iter().enumerate().map(one).collect()
}

/// Allocations of ten steps after the first two; two, because only every second one updates when gradients are accumulated.
fn allocations(builder: OptimizerBuilder, shapes: &[&[usize]]) -> usize {
    let parts = parts(shapes);
    let parameters: Vec<Parameter<'_>> = parts
        .iter()
        .map(|(path, var, gradient)| Parameter { path, var, gradient })
        .collect();
    let weights = parts.iter().map(|(path, var, _)| (path.as_str(), var.dims()));
    let mut optimizer = builder.build_for(weights).unwrap();
    optimizer.apply(&parameters).unwrap();
    optimizer.apply(&parameters).unwrap();
    let mut of_ten_steps = || {
        let before = ALLOCATOR.allocations();
        for _ in 0..10 {
            optimizer.apply(&parameters).unwrap();
        }
        ALLOCATOR.allocations() - before
    };
    // After a minute the program around the test says that it takes long, and allocates for that, once; a step would do so again.
    match of_ten_steps() {
        0 => 0,
        _ => of_ten_steps(),
    }
}

#[test]
fn no_step_after_the_first_allocates() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.install(|| {
        take_from_each_other();
        let wrong = allocations_of_a_tensor();
        assert!(wrong > 0, "the counter counts nothing");
        assert_eq!(allocations_with_a_tape(), 0, "with the gradients of a backward pass");
        for info in optimizers::catalogue() {
            let multiplies = ["muon", "soap", "torch_muon"].contains(&info.name);
            let shapes = if multiplies { &SHORT_SHAPES } else { &SHAPES };
            let builder = || Optimizer::builder(info.name).unwrap();
            let cases = [
                ("by default", builder()),
                ("with clipnorm", builder().clipnorm(0.1)),
                (
                    "with decay",
                    builder().weight_decay(0.1).exclude_from_weight_decay(["bias"]),
                ),
                ("with clipvalue, ema", builder().clipvalue(0.1).ema(0.9, 3)),
                ("accumulated", builder().gradient_accumulation_steps(2).clipnorm(0.1)),
                (
                    "in groups",
                    builder()
                        .group(Group::matching("layer1/.*").learning_rate_factor(0.1))
                        .group(Group::matching("layer2/.*").frozen()),
                ),
            ];
            for (what, builder) in cases {
                assert_eq!(allocations(builder, shapes), 0, "{} {what}", info.name);
            }
            // A network's vectors go to another optimizer for PyTorch's Muon, and the norm of all gradients would be that of one's own.
            if info.name != "torch_muon" {
                let clipped = builder().global_clipnorm(0.1);
                assert_eq!(allocations(clipped, shapes), 0, "{} with global_clipnorm", info.name);
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
