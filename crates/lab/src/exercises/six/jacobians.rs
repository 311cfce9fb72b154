//! Jacobians of softmax and tanh, and what becomes of a gradient along a deep chain.

use anyhow::Result;
use backprop::Matrix;
use backprop::jacobian;
use backprop::mlp::{Activation, Layer, Loss, Mlp};
use kernels::random::Stream;
use report::plot::{Heatmap, LineChart};
use report::{Answer, Figure};
use serde_json::json;

use super::sample::Example;
use crate::context::Context;

/// Hidden layers and neurons a layer of the deep chains.
const DEPTH: usize = 20;
const WIDTH: usize = 16;

pub(super) fn show(context: &Context, answer: &mut Answer, example: &Example) -> Result<()> {
    answer.heading("What a layer does to a gradient");
    let forward = example.network.forward(&example.x)?;
    answer.text(
        "On its way back the error is multiplied by one Jacobian after the other: the matrix of how each output changes with each input. That of \
         an elementwise function is a diagonal, because no output knows its neighbour's input. That of softmax is full, and each of its rows \
         adds up to 0: a probability that rises takes from the others.",
    );
    answer.figure(heatmap(
        "Jacobian of softmax on the sample",
        &jacobian::softmax(&forward.p)?,
        ("probability", "logit", "p", "z"),
        "$\\partial p_k / \\partial z_i = p_k (\\delta_{ki} - p_i)$, from the derived line. Positive on the diagonal, negative beside it.",
    ));
    answer.figure(heatmap(
        "Jacobian of tanh on the sample",
        &jacobian::tanh(&forward.v)?,
        ("hidden value", "its sum", "v", "u"),
        "$\\partial v_k / \\partial u_i = \\delta_{ki} (1 - v_i^2)$: nothing beside the diagonal; a saturated neuron lets little through.",
    ));
    answer.subheading("Saturation: a gradient that vanishes");
    let chains = [
        ("relu", Activation::Relu, 2.0_f64.sqrt(), 0.0),
        ("tanh", Activation::Tanh, 1.0, 0.0),
        ("tanh, saturated by biases of 2", Activation::Tanh, 1.0, 2.0),
        ("sigmoid", Activation::Sigmoid, 1.0, 0.0),
    ];
    let mut chart = LineChart::new("The error that arrives in each layer");
    chart.description("Root mean square of the gradient by hidden values, layer by layer, on a logarithmic axis: it vanishes with sigmoid and with saturated tanh.");
    chart
        .x_axis(format!("hidden layer ({DEPTH} is next to the loss)"))
        .y_axis("size of ∂L/∂v")
        .log_y();
    let mut record = Vec::new();
    for (name, activation, factor, bias) in chains {
        let sizes = arriving(context.seed, activation, factor, bias)?;
        let points = sizes.iter().enumerate().filter(|(_, size)| **size > 0.0);
        chart.series(name, points.map(|(layer, size)| ((layer + 1) as f64, *size)));
        record.push(json!({"chain": name, "sizes": sizes}));
    }
    answer.text(format!(
        "Each layer of a chain contributes its weights and its slope. The slope of σ is ¼ at most, so that {DEPTH} layers leave a share of at most \
         $4^{{-{DEPTH}}} \\approx 10^{{{}}}$, their weights aside; that of tanh is 1 at 0 and almost 0 where a neuron is saturated; that of ReLU is 1 \
         wherever the neuron is active. Below: {DEPTH} hidden layers of {WIDTH} neurons with Glorot's start, one sample, and how much of the error \
         arrives in each layer.",
        (0.25_f64.log10() * DEPTH as f64).round()
    ));
    answer.figure(chart.figure(
        "Read from right to left, as the error goes. Where biases hold the neurons of tanh near 1, each layer lets only a part of the error through, and \
         after some layers there is nothing left to learn from; σ does the same without being saturated. Unsaturated tanh and ReLU (with weights \
         larger by √2, He's start) lose little. This is why deep networks have ReLU, good starts, normalisation and shortcuts.",
    ));
    answer.number("vanishing", record);
    Ok(())
}

fn heatmap(title: &str, matrix: &Matrix, names: (&str, &str, &str, &str), caption: &str) -> Figure {
    let (row_title, column_title, row, column) = names;
    let label = |name: &str, n: usize| report::latex::to_unicode(&format!("{name}_{{{}}}", n + 1));
    Heatmap::new(title)
        .axes(row_title, column_title)
        .values((0..matrix.rows()).map(|k| matrix.row(k).to_vec()))
        .row_labels((0..matrix.rows()).map(|k| label(row, k)))
        .column_labels((0..matrix.columns()).map(|i| label(column, i)))
        .show_values(3)
        .figure(caption)
}

/// How much of the error arrives in each hidden layer of a deep chain, for one sample.
fn arriving(seed: u64, activation: Activation, factor: f64, bias: f64) -> Result<Vec<f64>> {
    // The same draws for every chain: only activation, size of the weights and biases differ.
    let mut draws = Stream::new(seed).op("vanishing").draws();
    let sizes = vec![WIDTH; DEPTH + 2];
    let mut activations = vec![activation; DEPTH + 1];
    activations[DEPTH] = Activation::Linear;
    let start = Mlp::glorot(&sizes, &activations, &[false; DEPTH + 1], Loss::CrossEntropy, || {
        draws.uniform()
    })?;
    let larger = start.layers().iter().map(|layer| Layer {
        weights: layer.weights.map(|w| factor * w),
        bias: Some(vec![bias; WIDTH]),
        activation: layer.activation,
    });
    let network = Mlp::new(larger.collect(), Loss::CrossEntropy)?;
    let x: Vec<f64> = (0..WIDTH).map(|_| draws.normal()).collect();
    let mut y = vec![0.0; WIDTH];
    y[0] = 1.0;
    Ok(network.gradients(&x, &y)?.sizes())
}
