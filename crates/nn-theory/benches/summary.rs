//! How long reading a Keras configuration and printing its summary take, by the number of layers: the time a layer must not
//! grow with the model.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nn_theory::{Activation, Add, BatchNormalization, Conv2D, Dense, ModelSpec, Padding, SummaryOptions};
use std::hint::black_box;

/// A stack of dense layers as Keras writes it.
fn stack(layers: usize) -> String {
    let dense = |stack: nn_theory::Sequential, _| stack.layer(Dense::new(64).activation(Activation::Relu));
    let model = (0..layers)
        .fold(ModelSpec::sequential("stack").input([64]), dense)
        .build();
    model.unwrap().to_keras_json()
}

/// Residual blocks of a convolution, a normalization and a sum, with the column "Connected to".
fn residual(layers: usize) -> String {
    let mut graph = ModelSpec::functional("residual");
    let input = graph.input([32, 32, 16]).unwrap();
    let mut x = input;
    for _ in 0..layers.div_ceil(3) {
        let y = graph.layer(Conv2D::new(16, [3, 3]).padding(Padding::Same), x).unwrap();
        let y = graph.layer(BatchNormalization::new(), y).unwrap();
        x = graph.layer(Add::new(), [x, y]).unwrap();
    }
    graph.build(input, x).unwrap().to_keras_json()
}

fn summary(criterion: &mut Criterion) {
    for (name, write) in [("stack", stack as fn(usize) -> String), ("residual", residual)] {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        for layers in [10, 100, 1_000, 10_000] {
            let text = write(layers);
            group.throughput(Throughput::Elements(layers as u64));
            group.bench_with_input(BenchmarkId::new("read and print", layers), &text, |bencher, text| {
                bencher.iter(|| {
                    let model = ModelSpec::from_keras_json(black_box(text)).unwrap();
                    model.summary(&SummaryOptions::lecture()).unwrap()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, summary);
criterion_main!(benches);
