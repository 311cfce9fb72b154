//! Other networks of the family: deeper, with biases, other activations and losses.

use anyhow::{Result, bail};
use backprop::mlp::check::compare;
use backprop::mlp::{Activation, Architecture, Loss, Mlp, derive};
use kernels::random::{Draws, Stream};
use report::format::{count, scientific};
use report::{Align, Answer, Block, Table};
use serde_json::json;

use super::derivation::{chain, factors, lines};
use crate::context::Context;

/// Sizes of a random network go to this, and its depth to the second.
const SIZES: usize = 6;
const DEPTHS: usize = 5;

pub(super) fn show(context: &Context, answer: &mut Answer) -> Result<()> {
    answer.heading("Deeper chains, other activations, other losses");
    let architecture = Architecture {
        activations: vec![Activation::Relu, Activation::Sigmoid, Activation::Linear],
        biases: vec![true, true, true],
        loss: Loss::TwoClasses,
    };
    let derived = derive(&architecture)?;
    answer.text(
        "Nothing above needed tanh, softmax or two layers. A chain of three layers with biases, $v = \\mathrm{relu}(A x + a)$, $w = \\sigma(B v \
         + b)$, $z = C w + c$, and the second form of the loss for each output, $-\\frac{1}{2} (y \\log p + (1 - y) \\log(1 - p))$ with $p = \
         \\sigma(z)$: again the denominators cancel, and the error of the outputs is the same.",
    );
    chain(answer, &derived.sums);
    for layer in derived.layers.iter().rev() {
        if let Some(handed_back) = &layer.handed_back {
            chain(answer, handed_back);
        }
    }
    let first = &derived.layers[0].weight;
    answer.text(format!(
        "And all the way from the loss to a weight of the first layer, with everything in between worked out, in {} lines:",
        count(first.steps.len())
    ));
    answer.formula(
        format!("{} = {}", first.start.to_latex(), first.result.to_latex()),
        format!("{} = {}", first.start, first.result),
    );
    answer.details("Every line of it", [Block::formula(first.to_latex(), lines(first))]);
    factors(answer, "The factors of the last link", first);
    family(context, answer)
}

/// The worst errors of random networks of the family.
fn family(context: &Context, answer: &mut Answer) -> Result<()> {
    let trials = context.pick(100, 20);
    let mut worst: Vec<(&'static str, f64, f64)> = Vec::new();
    let (mut entries, mut kinks) = (0, 0);
    for trial in 0..trials {
        context.check_interrupt()?;
        let (network, x, y) = random(context.seed, trial)?;
        let table = compare(&network, &derive(&network.architecture())?, &x, &y)?;
        entries += network.parameters().len();
        for (place, way) in table.ways.iter().enumerate() {
            if !way.agrees {
                bail!(
                    "the gradients by {} of random network {trial} differ by {:.1e} (allowed: {:e}): {:?}",
                    way.method,
                    way.worst,
                    way.tolerance,
                    network.architecture()
                );
            }
            kinks += way.kinks;
            match worst.get_mut(place) {
                Some((_, error, _)) => *error = error.max(way.worst),
                None => worst.push((way.method, way.worst, way.tolerance)),
            }
        }
    }
    let mut table = Table::new(format!(
        "{} random networks: depth 1 to {DEPTHS}, sizes 1 to {SIZES}, four activations, four losses, with and without biases",
        count(trials as usize)
    ));
    table
        .header(["method", "largest relative difference", "allowed"])
        .align([Align::Left, Align::Right, Align::Right]);
    for (method, error, tolerance) in &worst {
        table.row([(*method).to_string(), scientific(*error, 1), scientific(*tolerance, 0)]);
    }
    table.note(format!(
        "{} derivatives in all, each compared with the recursion of the program, relative to the largest derivative of its matrix; \
         for finite differences the error that the method estimates of itself is allowed besides. {} entries lie on a kink of ReLU, where \
         there is nothing to compare.",
        count(entries),
        count(kinks)
    ));
    answer.table(table);
    answer.number(
        "family",
        json!({"networks": trials, "derivatives": entries, "kinks": kinks,
            "worst": worst.iter().map(|(method, error, _)| json!({"method": method, "error": error})).collect::<Vec<_>>()}),
    );
    Ok(())
}

fn random(seed: u64, trial: u64) -> Result<(Mlp, Vec<f64>, Vec<f64>)> {
    let mut draws = Stream::new(seed).op("family").sample(trial).draws();
    let depth = 1 + draws.below(DEPTHS);
    let sizes: Vec<usize> = (0..=depth).map(|_| 1 + draws.below(SIZES)).collect();
    let loss = Loss::ALL[draws.below(Loss::ALL.len())];
    let mut activations: Vec<Activation> = (0..depth).map(|_| Activation::ALL[draws.below(4)]).collect();
    if loss.has_activation() {
        activations[depth - 1] = Activation::Linear;
    }
    let biases: Vec<bool> = (0..depth).map(|_| draws.bernoulli(0.5)).collect();
    let network = Mlp::glorot(&sizes, &activations, &biases, loss, || draws.uniform())?;
    let list = |count: usize, draw: &mut dyn FnMut() -> f64| (0..count).map(|_| draw()).collect::<Vec<f64>>();
    let x = list(sizes[0], &mut || draws.normal());
    let y = target(sizes[depth], &mut draws);
    Ok((network, x, y))
}

/// One-hot half of the time.
fn target(outputs: usize, draws: &mut Draws) -> Vec<f64> {
    if draws.bernoulli(0.5) {
        let right = draws.below(outputs);
        (0..outputs)
            .map(|output| f64::from(u8::from(output == right)))
            .collect()
    } else {
        (0..outputs).map(|_| draws.uniform()).collect()
    }
}
