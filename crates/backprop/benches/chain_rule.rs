//! What the derivation costs, and the tape next to candle's autograd on matrices of MNIST's size.
//!
//! `cargo bench -p backprop`; `docs/exercises/6.md` has the figures.

use backprop::autograd::CandleNetwork;
use backprop::by_hand::Network;
use backprop::mlp::{Activation, Architecture, Loss, derive};
use backprop::symbol::exercise::derivations;
use backprop::tape::Tape;
use backprop::{Matrix, Result};
use candle_core::{Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};

fn derivation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("derivation");
    group.bench_function("exercise 6, all parts", |bencher| {
        bencher.iter(|| derivations().expect("it ends"))
    });
    for loss in [Loss::CrossEntropy, Loss::TwoClasses] {
        let architecture = Architecture {
            activations: vec![
                Activation::Tanh,
                Activation::Sigmoid,
                Activation::Relu,
                Activation::Tanh,
                Activation::Linear,
            ],
            biases: vec![true; 5],
            loss,
        };
        group.bench_function(format!("five layers, {}", loss.name()), |bencher| {
            bencher.iter(|| derive(&architecture).expect("it ends"));
        });
    }
    group.finish();
}

/// Numbers of [0, 1): multiples of the golden section.
fn numbers() -> impl FnMut() -> f64 {
    let mut n = 0.0_f64;
    move || {
        n += 0.618_033_988_749_894_9;
        n.fract()
    }
}

const INPUTS: usize = 784;
const HIDDEN: usize = 128;
const CLASSES: usize = 10;
const BATCH: usize = 64;

fn by_tape(network: &Network, x: &Matrix, y: &Matrix) -> Result<f64> {
    let mut tape = Tape::new();
    let (a, b) = (tape.leaf(network.a().clone()), tape.leaf(network.b().clone()));
    let (x, y) = (tape.constant(x.clone()), tape.constant(y.clone()));
    let u = tape.matmul(a, x)?;
    let v = tape.tanh(u);
    let z = tape.matmul(b, v)?;
    let log_p = tape.log_softmax(z);
    let terms = tape.multiply(y, log_p)?;
    let sum = tape.sum(terms);
    let loss = tape.scale(sum, -0.5 / BATCH as f64);
    let gradients = tape.backward(loss)?;
    Ok(gradients.of(a).at(0, 0) + gradients.of(b).at(0, 0))
}

fn step(criterion: &mut Criterion) {
    let mut uniform = numbers();
    let network = Network::glorot(INPUTS, HIDDEN, CLASSES, &mut uniform).expect("a network");
    // One sample a row for candle, one a column for the tape, as each writes the product.
    let rows: Vec<f64> = (0..BATCH * INPUTS).map(|_| uniform()).collect();
    let mut one_hot = vec![0.0; BATCH * CLASSES];
    for sample in 0..BATCH {
        one_hot[sample * CLASSES + sample % CLASSES] = 1.0;
    }
    let x = Matrix::new(BATCH, INPUTS, rows.clone()).expect("a shape").transposed();
    let y = Matrix::new(BATCH, CLASSES, one_hot.clone())
        .expect("a shape")
        .transposed();
    let tensor =
        |numbers: Vec<f64>, columns| Tensor::from_vec(numbers, (BATCH, columns), &Device::Cpu).expect("a tensor");
    let (x_rows, y_rows) = (tensor(rows, INPUTS), tensor(one_hot, CLASSES));
    let candle = CandleNetwork::new(&network).expect("a network");
    let by_candle = || -> candle_core::Result<f64> {
        let store = candle.loss(&x_rows, &y_rows)?.backward()?;
        let first = |var: &candle_core::Var| {
            store
                .get(var.as_tensor())
                .expect("a gradient")
                .flatten_all()?
                .get(0)?
                .to_scalar::<f64>()
        };
        Ok(first(candle.a())? + first(candle.b())?)
    };
    let (ours, theirs) = (
        by_tape(&network, &x, &y).expect("gradients"),
        by_candle().expect("gradients"),
    );
    assert!((ours - theirs).abs() < 1e-12, "{ours} {theirs}");
    let mut group = criterion.benchmark_group("784-128-10, batch 64, f64, loss and all gradients");
    group.bench_function("tape", |bencher| bencher.iter(|| by_tape(&network, &x, &y)));
    group.bench_function("candle", |bencher| bencher.iter(by_candle));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).measurement_time(std::time::Duration::from_secs(3));
    targets = derivation, step
}
criterion_main!(benches);
