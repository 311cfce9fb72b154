//! Losses: the logits are read forward; backward they are read again and their gradient is written.

use candle_core::{Device, Tensor};
use criterion::Criterion;
use kernels::{binary_crossentropy, categorical_crossentropy, mean_squared_error, sparse_categorical_crossentropy};

use crate::work::{BATCH, SIZE, Work, both, var};

pub(crate) fn losses(c: &mut Criterion) {
    let mut group = c.benchmark_group("loss");
    for (rows, classes) in [(BATCH, 10), (4096, 1000)] {
        let numbers = rows * classes;
        let logits = [var(&[rows, classes])];
        let labels: Vec<u32> = (0..rows as u32).map(|row| row % classes as u32).collect();
        let labels = Tensor::from_vec(labels, rows, &Device::Cpu).unwrap();
        let targets = (var(&[rows, classes]).as_tensor().detach().abs().unwrap() / classes as f64).unwrap();
        let name = |kind: &str| format!("{kind} of {rows}x{classes}");
        let sparse = Work::Bytes(SIZE * numbers, 3 * SIZE * numbers);
        both(
            &mut group,
            &name("sparse_categorical_crossentropy"),
            sparse,
            &[],
            &logits,
            |t| sparse_categorical_crossentropy(&t[0], &labels).unwrap(),
        );
        // These read the targets as well.
        let dense = Work::Bytes(2 * SIZE * numbers, 5 * SIZE * numbers);
        both(
            &mut group,
            &name("categorical_crossentropy"),
            dense,
            &[],
            &logits,
            |t| categorical_crossentropy(&t[0], &targets).unwrap(),
        );
        both(&mut group, &name("binary_crossentropy"), dense, &[], &logits, |t| {
            binary_crossentropy(&t[0], &targets).unwrap()
        });
        both(&mut group, &name("mean_squared_error"), dense, &[], &logits, |t| {
            mean_squared_error(&t[0], &targets).unwrap()
        });
    }
}
