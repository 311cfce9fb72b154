//! Dense layers: `2 batch inputs units` operations forward, as many for each gradient.

use criterion::Criterion;
use kernels::{Activation, linear};

use crate::work::{Arrays, BATCH, Work, both, var};

pub(crate) fn linears(c: &mut Criterion) {
    let mut group = c.benchmark_group("linear");
    for (inputs, units, first) in [
        (784, 512, true),
        (512, 512, false),
        (512, 10, false),
        (3136, 128, false),
        (2048, 2048, false),
    ] {
        let x = var(&[BATCH, inputs]);
        let weights = [var(&[inputs, units]), var(&[units])];
        let operations = 2 * BATCH * inputs * units;
        let arrays = Arrays {
            x: BATCH * inputs,
            kernel: inputs * units,
            y: BATCH * units,
        };
        let work = |factors| Work::product(operations, factors, arrays);
        let layer = |t: &[candle_core::Tensor]| linear(&t[0], &t[1], Some(&t[2]), Activation::Relu).unwrap();
        let name = format!("{inputs}x{units} relu");
        if first {
            let fixed = [x.as_tensor().detach()];
            both(&mut group, &name, work(1), &fixed, &weights, layer);
        } else {
            let vars: Vec<_> = [x].into_iter().chain(weights).collect();
            both(&mut group, &name, work(2), &[], &vars, layer);
        }
    }
}
