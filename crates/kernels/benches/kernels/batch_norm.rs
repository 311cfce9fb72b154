//! Batch normalization: the statistics need a reading of their own, so forward reads twice and writes once, and backward reads
//! input and gradient twice and writes once. In inference one reading is enough.

use criterion::Criterion;
use kernels::batch_norm;

use crate::work::{BATCH, SIZE, Work, both, var};

pub(crate) fn normalizations(c: &mut Criterion) {
    let mut group = c.benchmark_group("batch_norm");
    for (image, channels) in [(28, 32), (14, 64)] {
        let numbers = BATCH * image * image * channels;
        let vars = [
            var(&[BATCH, image, image, channels]),
            var(&[channels]),
            var(&[channels]),
        ];
        let mean = var(&[channels]).as_tensor().detach();
        let variance = mean.ones_like().unwrap();
        for (mode, training) in [("training", true), ("inference", false)] {
            let name = format!("{image}x{image}x{channels} {mode}");
            let work = if training {
                Work::Bytes(3 * SIZE * numbers, (3 + 5) * SIZE * numbers)
            } else {
                // backward reads input (for gamma) and gradient, and writes one
                Work::Bytes(2 * SIZE * numbers, (2 + 3) * SIZE * numbers)
            };
            both(&mut group, &name, work, &[], &vars, |t| {
                let normalized = batch_norm(&t[0], Some(&t[1]), Some(&t[2]), &mean, &variance, 0.99, 1e-3, training);
                normalized.unwrap().output
            });
        }
    }
}
