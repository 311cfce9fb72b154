//! The lecture's example first: one neuron a layer, carried by hand.

use anyhow::Result;
use backprop::symbol::one_node::{Line, one_node};
use report::format::number;
use report::{Align, Answer, Table};
use serde_json::json;

use super::derivation::{chain, factors, math};

/// Decimals of what is no fraction.
const DECIMALS: usize = 4;

pub(super) fn show(answer: &mut Answer) -> Result<()> {
    let example = one_node()?;
    answer.heading("First by hand: one neuron a layer");
    answer.text(
        "The lecture's example has no indices, so that the chain rule is a product of numbers: $z = \\tanh(a x)$, $y = b z$, and the loss \
         $L = \\frac{1}{2} (t - y)^2$ against a target $t$ (the lecture's $y_0$).",
    );
    chain(answer, &example.by_b);
    chain(answer, &example.by_a);
    factors(
        answer,
        "The factors of the chain rule, from the loss to the weight",
        &example.by_a,
    );
    answer.text(
        "Now with numbers. With $a = \\frac{1}{4} \\log 3$ and $x = 2$ the hyperbolic tangent is $\\tanh(\\frac{1}{2} \\log 3) = \\frac{3 - 1}{3 + 1} = \
         \\frac{1}{2}$, and everything else is a fraction as well: symbol, number and line of code say the same thing three times.",
    );
    let mut table = Table::new("Forward, then back");
    table
        .header(["quantity", "formula", "exactly", "in f64", "line of code"])
        .align([Align::Left, Align::Left, Align::Right, Align::Right, Align::Left]);
    for line in &example.lines {
        table.row([
            math(&line.quantity),
            line.formula.as_ref().map_or_else(|| "given".to_string(), math),
            line.exact
                .map_or_else(|| "–".to_string(), |exact| exact.to_string().replace('-', "−")),
            number(line.computed, DECIMALS),
            format!("`{}`", line.code),
        ]);
    }
    table.note("The lines are those of the program that computed the numbers beside them (`backprop::symbol::one_node::compute`).");
    answer.table(table);
    answer.text(
        "Read it from below: $\\partial L / \\partial a$ needs $\\partial L / \\partial z$, which needs $\\partial L / \\partial y$. Each is computed \
         once and used by everything before it, and this is all that backpropagation adds to the chain rule.",
    );
    let found =
        |line: &Line| json!({"quantity": line.quantity.to_unicode(), "exact": line.exact, "computed": line.computed});
    answer.number("one_node", example.lines.iter().map(found).collect::<Vec<_>>());
    Ok(())
}
