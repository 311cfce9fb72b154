//! Gradients by central differences, in f64.

use candle_core::{Device, Tensor, Var};
use kernels::random::Stream;

/// An argument of an operation: its shape and its numbers.
#[derive(Clone, Debug)]
pub(crate) struct Argument {
    pub(crate) dims: Vec<usize>,
    pub(crate) numbers: Vec<f64>,
}

/// Normally distributed numbers.
pub(crate) fn normal(seed: u64, dims: &[usize]) -> Argument {
    let mut draws = Stream::new(seed).op("test").draws();
    let numbers = (0..dims.iter().product()).map(|_| draws.normal()).collect();
    Argument {
        dims: dims.to_vec(),
        numbers,
    }
}

/// Numbers that differ by at least 0.01 from each other and from 0, in random order, so that no maximum changes hands within a step.
pub(crate) fn distinct(seed: u64, dims: &[usize]) -> Argument {
    let len: usize = dims.iter().product();
    let order = Stream::new(seed).op("test").draws().permutation(len);
    let numbers = order
        .into_iter()
        .map(|i| (i as f64 - len as f64 / 2.0 + 0.25) * 0.02)
        .collect();
    Argument {
        dims: dims.to_vec(),
        numbers,
    }
}

fn tensor(argument: &Argument) -> Tensor {
    Tensor::from_vec(argument.numbers.clone(), argument.dims.as_slice(), &Device::Cpu).unwrap()
}

/// `sum(output * upstream)` for a fixed random `upstream`, so that every output counts differently.
pub(crate) fn objective(output: &Tensor) -> Tensor {
    let upstream = tensor(&normal(99, output.dims()));
    (output * upstream).unwrap().sum_all().unwrap()
}

/// The gradients of `objective(operation(arguments))` by `backward()`.
pub(crate) fn gradients(arguments: &[Argument], operation: &dyn Fn(&[Tensor]) -> Tensor) -> Vec<Vec<f64>> {
    let vars: Vec<Var> = arguments
        .iter()
        .map(|argument| Var::from_tensor(&tensor(argument)).unwrap())
        .collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let store = objective(&operation(&tensors)).backward().unwrap();
    vars.iter()
        .map(|var| {
            store
                .get(var)
                .expect("a gradient got lost")
                .flatten_all()
                .unwrap()
                .to_vec1::<f64>()
                .unwrap()
        })
        .collect()
}

/// The same by central differences, for at most 48 numbers of each argument; the places and the derivatives.
pub(crate) fn differences(arguments: &[Argument], operation: &dyn Fn(&[Tensor]) -> Tensor) -> Vec<Vec<(usize, f64)>> {
    const STEP: f64 = 1e-5;
    let value = |arguments: &[Argument]| -> f64 {
        let tensors: Vec<Tensor> = arguments.iter().map(tensor).collect();
        objective(&operation(&tensors)).to_scalar().unwrap()
    };
    (0..arguments.len())
        .map(|which| {
            let len = arguments[which].numbers.len();
            (0..len)
                .step_by(len.div_ceil(48).max(1))
                .map(|place| {
                    let mut moved = arguments.to_vec();
                    moved[which].numbers[place] += STEP;
                    let above = value(&moved);
                    moved[which].numbers[place] -= 2.0 * STEP;
                    (place, (above - value(&moved)) / (2.0 * STEP))
                })
                .collect()
        })
        .collect()
}

/// Panics unless `backward()` and central differences agree to 1e-6 of the largest derivative (at least 1).
#[track_caller]
pub(crate) fn check(arguments: &[Argument], operation: impl Fn(&[Tensor]) -> Tensor) {
    let computed = gradients(arguments, &operation);
    for (which, expected) in differences(arguments, &operation).into_iter().enumerate() {
        let scale = expected.iter().fold(1.0f64, |scale, (_, d)| scale.max(d.abs()));
        for (place, expected) in expected {
            let found = computed[which][place];
            assert!(
                (found - expected).abs() <= 1e-6 * scale,
                "argument {which} {:?}, number {place}: gradient {found}, by differences {expected}",
                arguments[which].dims
            );
        }
    }
}
