//! The same gradients by programs that share no derivative.

use anyhow::{Result, bail};
use backprop::Matrix;
use backprop::by_hand::Network;
use backprop::check::{self, EXACT, FiveWays, five_ways};
use backprop::symbol::exercise::{Derivations, Letters};
use backprop::symbol::{Expr, Index};
use kernels::random::Stream;
use report::format::{count, scientific};
use report::{Align, Answer, Table};
use serde_json::json;

use super::sample::{Example, numbers};
use crate::context::Context;

/// The worst error of a method, over all entries of `∂L/∂A` and `∂L/∂B`.
struct Worst {
    method: &'static str,
    how: &'static str,
    tolerance: f64,
    /// On the example.
    one: f64,
    /// On the random networks.
    many: f64,
}

/// Shows the table of checks and returns the worst error of the methods that are exact up to rounding. Fails where one
/// disagrees.
pub(super) fn show(context: &Context, answer: &mut Answer, example: &Example, derived: &Derivations) -> Result<f64> {
    let trials = context.pick(100, 25);
    let mut table = errors(&checked(example)?);
    let mut symbols = Worst {
        method: "expressions",
        how: "the derived lines (b) and (d) with numbers put in for the letters",
        tolerance: EXACT,
        one: literal(example, derived)?,
        many: 0.0,
    };
    let mut largest = [0; 3];
    for trial in 0..trials {
        let example = random(context.seed, trial)?;
        let (a, b) = (example.network.a(), example.network.b());
        for (largest, size) in largest.iter_mut().zip([a.columns(), a.rows(), b.rows()]) {
            *largest = size.max(*largest);
        }
        for (worst, row) in table.iter_mut().zip(errors(&checked(&example)?)) {
            worst.many = worst.many.max(row.one);
        }
        symbols.many = symbols.many.max(literal(&example, derived)?);
    }
    if symbols.one.max(symbols.many) > symbols.tolerance {
        bail!(
            "the derived expressions and the formulas of the program differ by {:.1e}, more than rounding explains ({:e})",
            symbols.one.max(symbols.many),
            symbols.tolerance
        );
    }
    table.insert(1, symbols);
    let exact = table
        .iter()
        .filter(|row| row.tolerance <= EXACT)
        .map(|row| row.one.max(row.many))
        .fold(0.0, f64::max);
    present(answer, &table, trials, largest, exact);
    Ok(exact)
}

fn present(answer: &mut Answer, table: &[Worst], trials: u64, largest: [usize; 3], exact: f64) {
    answer.heading("Checked by programs that share no derivative");
    let [inputs, hidden, classes] = largest;
    answer.text(format!(
        "The gradients of the derived formulas, computed once more in {} other ways: on the sample above, and on {} random \
         networks of up to {inputs} inputs, {hidden} hidden neurons and {classes} classes. Every third target \
         is one-hot, the others are shares that add up to 1.",
        table.len() - 1,
        count(trials as usize)
    ));
    let mut shown = Table::new("Largest relative difference to the derived formulas, over all weights of A and B");
    shown
        .header([
            "method",
            "how it works",
            "one sample",
            "random networks",
            "allowed",
            "agrees",
        ])
        .align([
            Align::Left,
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Left,
        ]);
    for (place, row) in table.iter().enumerate() {
        let (one, many, allowed, agrees) = if place == 0 {
            ("–".into(), "–".into(), "–".into(), "reference")
        } else {
            (
                scientific(row.one, 1),
                scientific(row.many, 1),
                scientific(row.tolerance, 0),
                "yes",
            )
        };
        shown.row([
            row.method.to_string(),
            row.how.to_string(),
            one,
            many,
            allowed,
            agrees.to_string(),
        ]);
    }
    shown.note(
        "Relative to the terms that the formula adds up: where those cancel, every method loses the same digits. Finite \
         differences are no exact method; their own error is what is seen.",
    );
    answer.table(shown);
    answer.result(format!(
        "All of them agree. The exact methods differ by {} at most, the rounding of numbers of 53 bits. A single difference \
         above what is allowed would have made this exercise fail.",
        scientific(exact, 1)
    ));
    answer.number(
        "checks",
        table
            .iter()
            .map(|row| {
                json!({"method": row.method, "one_sample": row.one, "random_networks": row.many, "allowed": row.tolerance})
            })
            .collect::<Vec<_>>(),
    );
    answer.number("checked_networks", trials);
}

/// The five ways, or an error that names the one that disagrees.
fn checked(example: &Example) -> Result<FiveWays> {
    let (a, b) = (example.network.a(), example.network.b());
    let found = five_ways(a, b, &example.x, &example.y)?;
    if let Some(row) = found.rows.iter().find(|row| !row.agrees) {
        bail!(
            "the gradients by {} differ from the derived formulas by {:.1e} (allowed: {:e}) on a network of {} inputs, {} hidden \
             neurons and {} classes",
            row.method,
            row.worst_a.max(row.worst_b),
            row.tolerance,
            a.columns(),
            a.rows(),
            b.rows()
        );
    }
    if !found.agrees {
        bail!("the five ways to the gradient do not agree");
    }
    Ok(found)
}

fn errors(found: &FiveWays) -> Vec<Worst> {
    let worst = |row: &check::Row| Worst {
        method: row.method,
        how: row.how,
        tolerance: row.tolerance,
        one: row.worst_a.max(row.worst_b),
        many: 0.0,
    };
    found.rows.iter().map(worst).collect()
}

/// The worst relative error of the derived expressions with numbers put in.
fn literal(example: &Example, derived: &Derivations) -> Result<f64> {
    let letters = Letters::default();
    let network = &example.network;
    let at = numbers(example, &network.forward(&example.x)?);
    let evaluated = |expression: &Expr, weights: &Matrix, row: Index, column: Index| -> Result<Matrix> {
        let mut found = weights.clone();
        for (n, entry) in found.data_mut().iter_mut().enumerate() {
            let (i, j) = (n / weights.columns(), n % weights.columns());
            *entry = expression.evaluate(&at.clone().at(&row, i).at(&column, j))?;
        }
        Ok(found)
    };
    let (classes, hidden, inputs) = (&letters.classes, &letters.hidden, &letters.inputs);
    let a = evaluated(&derived.d.result, network.a(), hidden.index("i"), inputs.index("j"))?;
    let b = evaluated(
        &derived.b_weights.result,
        network.b(),
        classes.index("i"),
        hidden.index("j"),
    )?;
    let (worst_a, worst_b) = check::errors(network, &example.x, &example.y, &a, &b)?;
    Ok(worst_a.max(worst_b))
}

/// A network of random size, weights, input and target; the target adds up to 1, as (b) assumes.
fn random(seed: u64, trial: u64) -> Result<Example> {
    let mut draws = Stream::new(seed).op("random networks").sample(trial).draws();
    let (inputs, hidden, classes) = (1 + draws.below(20), 1 + draws.below(8), 2 + draws.below(9));
    let x = (0..inputs).map(|_| draws.normal()).collect();
    let y = if trial.is_multiple_of(3) {
        let label = draws.below(classes);
        (0..classes).map(|class| f64::from(u8::from(class == label))).collect()
    } else {
        let shares: Vec<f64> = (0..classes).map(|_| draws.uniform()).collect();
        let sum: f64 = shares.iter().sum();
        shares.into_iter().map(|share| share / sum).collect()
    };
    let mut matrix = |rows: usize, columns: usize| -> Result<Matrix> {
        Ok(Matrix::new(
            rows,
            columns,
            (0..rows * columns).map(|_| draws.normal()).collect(),
        )?)
    };
    let (a, b) = (matrix(hidden, inputs)?, matrix(classes, hidden)?);
    Ok(Example {
        network: Network::new(a, b)?,
        x,
        y,
    })
}
