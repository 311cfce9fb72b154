//! Whole training steps (forward, loss and backward at batch 128, no optimizer): here, recorded on a tape, and with candle's own operations.

use std::hint::black_box;

use candle_core::{Device, Tensor, Var};
use criterion::Criterion;
use kernels::tape::{self, Gradients};
use kernels::{Activation, Conv2dOptions, Pool2dOptions, conv2d_max_pool2d, linear, sparse_categorical_crossentropy};

use crate::work::{BATCH, var};

/// The gradients of a loss.
fn step(loss: impl FnOnce() -> Tensor) -> Gradients {
    let (loss, tape) = tape::record(loss);
    let seed = loss.ones_like().unwrap();
    tape.backward([(&loss, seed)]).unwrap()
}

pub(crate) fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("training step");
    let labels = Tensor::from_vec((0..BATCH as u32).map(|i| i % 10).collect(), BATCH, &Device::Cpu).unwrap();
    let pool = Pool2dOptions::default();

    let x = var(&[BATCH, 784]).as_tensor().detach();
    let w: Vec<Var> = [[784, 512], [512, 512], [512, 10]]
        .iter()
        .map(|dims| var(dims))
        .collect();
    let b: Vec<Var> = [512, 512, 10].iter().map(|units| var(&[*units])).collect();
    group.bench_function("mlp 784-512-512-10/kernels", |bench| {
        bench.iter(|| {
            black_box(step(|| {
                let y = linear(&x, &w[0], Some(&b[0]), Activation::Relu).unwrap();
                let y = linear(&y, &w[1], Some(&b[1]), Activation::Relu).unwrap();
                let y = linear(&y, &w[2], Some(&b[2]), Activation::Linear).unwrap();
                sparse_categorical_crossentropy(&y, &labels).unwrap()
            }))
        });
    });
    let candle_linear = |x: &Tensor, w: &Tensor, b: &Tensor| x.matmul(w).unwrap().broadcast_add(b).unwrap();
    group.bench_function("mlp 784-512-512-10/candle", |bench| {
        bench.iter(|| {
            let y = candle_linear(&x, &w[0], &b[0]).relu().unwrap();
            let y = candle_linear(&y, &w[1], &b[1]).relu().unwrap();
            let y = candle_linear(&y, &w[2], &b[2]);
            black_box(candle_nn::loss::cross_entropy(&y, &labels).unwrap().backward().unwrap())
        });
    });

    let image = var(&[BATCH, 28, 28, 1]).as_tensor().detach();
    let (k1, k2) = (var(&[3, 3, 1, 32]), var(&[3, 3, 32, 64]));
    let (b1, b2, b3, b4) = (var(&[32]), var(&[64]), var(&[128]), var(&[10]));
    let (w3, w4) = (var(&[1600, 128]), var(&[128, 10]));
    let relu = Conv2dOptions {
        activation: Activation::Relu,
        ..Default::default()
    };
    group.bench_function("cnn conv32-pool-conv64-pool-128-10/kernels", |bench| {
        bench.iter(|| {
            black_box(step(|| {
                let y = conv2d_max_pool2d(&image, &k1, Some(&b1), &relu, &pool).unwrap();
                let y = conv2d_max_pool2d(&y, &k2, Some(&b2), &relu, &pool).unwrap();
                let y = tape::reshape(&y, (BATCH, 1600)).unwrap();
                let y = linear(&y, &w3, Some(&b3), Activation::Relu).unwrap();
                let y = linear(&y, &w4, Some(&b4), Activation::Linear).unwrap();
                sparse_categorical_crossentropy(&y, &labels).unwrap()
            }))
        });
    });
    let oihw = |k: &Var| {
        Var::from_tensor(
            &k.as_tensor()
                .detach()
                .permute((3, 2, 0, 1))
                .unwrap()
                .contiguous()
                .unwrap(),
        )
        .unwrap()
    };
    let (c1, c2, nchw) = (oihw(&k1), oihw(&k2), image.reshape((BATCH, 1, 28, 28)).unwrap());
    let candle_conv = |x: &Tensor, k: &Tensor, b: &Tensor| {
        let bias = b.reshape((1, b.elem_count(), 1, 1)).unwrap();
        x.conv2d(k, 0, 1, 1, 1)
            .unwrap()
            .broadcast_add(&bias)
            .unwrap()
            .relu()
            .unwrap()
            .max_pool2d(2)
            .unwrap()
    };
    group.bench_function("cnn conv32-pool-conv64-pool-128-10/candle", |bench| {
        bench.iter(|| {
            let y = candle_conv(&candle_conv(&nchw, &c1, &b1), &c2, &b2);
            let y = candle_linear(&y.flatten_from(1).unwrap(), &w3, &b3).relu().unwrap();
            let y = candle_linear(&y, &w4, &b4);
            black_box(candle_nn::loss::cross_entropy(&y, &labels).unwrap().backward().unwrap())
        });
    });
}
