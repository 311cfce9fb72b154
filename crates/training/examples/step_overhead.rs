//! What a step of the trainer costs beyond forward, loss, backward and update, in microseconds.
//!
//! ```text
//! cargo run --release -p training --example step_overhead
//! ```
//!
//! The same steps on the same batches are run by hand, with batches that were made before, and by the trainer, alternating;
//! the difference of the medians is the trainer's own work: shuffling, gathering, loss and accuracy, callbacks.

#![allow(clippy::print_stdout, reason = "the figures are the purpose")]

use std::time::Instant;

use candle_core::{DType, Device};
use models::{Mode, Network, zoo};
use nn_theory::{Activation, Dense, ModelSpec};
use optimizers::{Optimizer, Parameter};
use training::{Loss, Samples, StepEnd, Trainer};

const REPETITIONS: usize = 9;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mlp = ModelSpec::sequential("mlp")
        .input([784])
        .layer(Dense::new(512).activation(Activation::Relu))
        .layer(Dense::new(512).activation(Activation::Relu))
        .layer(Dense::new(10));
    for (spec, batch, steps) in [
        (zoo::cats_vs_dogs()?, 8, 400),
        (zoo::digits_cnn()?, 32, 60),
        (mlp.build()?, 128, 40),
    ] {
        let network = Network::new(spec.clone(), 1, &Device::Cpu, DType::F32)?;
        let (shape, classes) = (network.input_shape(), network.output_shape()[0]);
        let (count, size) = (batch * steps, shape.iter().product::<usize>());
        let mut draws = kernels::random::Stream::new(1).op("inputs").draws();
        let mut inputs = vec![0.0; count * size];
        draws.fill_uniform(&mut inputs, 0.0, 1.0);
        let labels = (0..count).map(|_| draws.below(classes) as u32).collect();
        let samples = Samples::new(inputs, shape, labels)?;
        let (mut by_hand, mut by_trainer) = (Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            by_hand.push(hand(&spec, &samples, batch)?);
            by_trainer.push(trainer(&spec, &samples, batch)?);
        }
        let (hand, trainer) = (median(by_hand), median(by_trainer));
        println!(
            "{:14} batch {batch:3}: {hand:8.1} µs a step by hand, {trainer:8.1} µs by the trainer, {:+6.1} µs",
            spec.name(),
            trainer - hand
        );
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn fresh(spec: &ModelSpec) -> Outcome<(Network, Optimizer)> {
    let network = Network::new(spec.clone(), 1, &Device::Cpu, DType::F32)?;
    Ok((network, Optimizer::by_name("adamw")?))
}

/// Microseconds a step, without anything around it.
fn hand(spec: &ModelSpec, samples: &Samples, batch: usize) -> Outcome<f64> {
    let (network, mut optimizer) = fresh(spec)?;
    let size = samples.inputs().len() / samples.len();
    let mut batches = Vec::new();
    for (rows, labels) in samples
        .inputs()
        .chunks(size * batch)
        .zip(samples.labels().chunks(batch))
    {
        let shape = [&[labels.len()], samples.shape()].concat();
        let inputs = candle_core::Tensor::from_slice(rows, shape, &Device::Cpu)?;
        batches.push((inputs, candle_core::Tensor::new(labels, &Device::Cpu)?));
    }
    let started = Instant::now();
    for (step, (inputs, labels)) in batches.iter().enumerate() {
        let mode = Mode::Training(kernels::random::Stream::new(1).op("forward").step(step as u64));
        let loss = Loss::default().value(&network.forward(inputs, mode)?, labels, None)?;
        let gradients = loss.backward()?;
        let mut parameters = Vec::new();
        for weight in network.weights().filter(|weight| weight.trainable) {
            parameters.push(Parameter {
                path: &weight.path,
                var: &weight.var,
                gradient: gradients.get(weight.var.as_tensor()).ok_or("a gradient is lost")?,
            });
        }
        optimizer.apply(&parameters)?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / batches.len() as f64)
}

/// Microseconds a step of the trainer.
fn trainer(spec: &ModelSpec, samples: &Samples, batch: usize) -> Outcome<f64> {
    struct Last(StepEnd);
    impl training::Callback for Last {
        fn on_step_end(&mut self, step: &StepEnd) {
            self.0 = *step;
        }
    }
    let (mut network, mut optimizer) = fresh(spec)?;
    let mut last = Last(StepEnd {
        epoch: 0,
        step: 0,
        steps: 0,
        samples: 0,
        of_samples: 0,
        loss: 0.0,
        seconds: 0.0,
    });
    let trainer = Trainer::new().batch_size(batch).callback(&mut last);
    trainer.fit(&mut network, &mut optimizer, samples)?;
    Ok(last.0.seconds * 1e6 / last.0.step as f64)
}
