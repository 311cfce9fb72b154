//! Activations by themselves: one reading and one writing forward; backward, output and gradient are read and one is written.

use criterion::Criterion;
use kernels::{Activation, activation};

use crate::work::{BATCH, SIZE, Work, both, var};

pub(crate) fn activations(c: &mut Criterion) {
    let mut group = c.benchmark_group("activation");
    let dims = [BATCH, 28, 28, 32];
    let numbers: usize = dims.iter().product();
    let vars = [var(&dims)];
    let work = |numbers: usize| Work::Bytes(2 * SIZE * numbers, (2 + 3) * SIZE * numbers);
    for function in [
        Activation::Relu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Silu,
        Activation::Gelu,
    ] {
        let name = format!("{} of 28x28x32", function.name());
        both(&mut group, &name, work(numbers), &[], &vars, |t| {
            activation(&t[0], function).unwrap()
        });
    }
    for (rows, classes) in [(BATCH, 10), (4096, 1000)] {
        let vars = [var(&[rows, classes])];
        let name = format!("softmax of {rows}x{classes}");
        both(&mut group, &name, work(rows * classes), &[], &vars, |t| {
            activation(&t[0], Activation::Softmax).unwrap()
        });
    }
}
