//! Exercise 6: backpropagation with a simple example.

mod checks;
mod deeper;
mod derivation;
mod jacobians;
mod one_node;
mod pictures;
mod sample;
mod training;
mod trying;

use anyhow::Result;
use backprop::symbol::exercise::derivations;
use report::Answer;
use report::format::{percent_plus_minus, significant};

use crate::context::Context;

pub(super) fn answer(context: &Context, answer: &mut Answer) -> Result<()> {
    answer.text(
        "The question: a network with one hidden layer and no biases turns an input $x$ into probabilities $p$ of the \
         classes and is judged by a loss $L$ against a target $y$. How does $L$ change with the probabilities (a), with \
         the logits (b), how do the logits change with the weights $B$ (c), and which factors make up the derivative of \
         $L$ by the weights $A$ (d)?",
    );
    answer.formula(
        r"v = \tanh(A x), \qquad z = B v, \qquad p_i = \frac{e^{z_i}}{\sum_k e^{z_k}}, \qquad L = -\frac{1}{2} \sum_i y_i \log p_i",
        "v = tanh(A x)    z = B v    pᵢ = exp zᵢ / (Σₖ exp zₖ)    L = −½ Σᵢ yᵢ log pᵢ",
    );
    one_node::show(answer)?;
    let derived = derivations()?;
    let example = sample::Example::draw(context.seed)?;
    derivation::show(answer, &derived, &example)?;
    sample::show(answer, &example, &derived)?;
    let worst = checks::show(context, answer, &example, &derived)?;
    deeper::show(context, answer)?;
    trying::show(answer, &example)?;
    jacobians::show(context, answer, &example)?;
    context.check_interrupt()?;
    let accuracy = training::show(context, answer)?;
    answer.headline(format!(
        "{} = {}, exact to {}; trained by hand, {} of the test images are right",
        derived.b.start,
        derived.b_normalised.result,
        significant(worst, 1),
        percent_plus_minus(accuracy.mean, accuracy.margin(), 1)
    ));
    Ok(())
}
