//! Derivatives by trying: what a step costs, and the mistakes that trying finds.

use anyhow::{Result, bail};
use backprop::Matrix;
use backprop::by_hand::Network;
use backprop::faults;
use backprop::finite_difference::{StepError, central_step, richardson_step, step_errors};
use backprop::gradient_check::{Verdict, WeightCheck};
use report::format::{scientific, significant};
use report::plot::LineChart;
use report::{Align, Answer, Table};
use serde_json::json;

use super::sample::Example;

pub(super) fn show(answer: &mut Answer, example: &Example) -> Result<()> {
    answer.heading("Derivatives by trying");
    let exact = example.network.gradients(&example.x, &example.y)?.a.at(0, 0);
    let a = example.network.a();
    let loss = |weight: f64| -> f64 {
        let mut numbers = a.data().to_vec();
        numbers[0] = weight;
        let moved = Matrix::new(a.rows(), a.columns(), numbers);
        let network = moved.and_then(|a| Network::new(a, example.network.b().clone()));
        network
            .and_then(|network| network.loss(&example.x, &example.y))
            .unwrap_or(f64::NAN)
    };
    let weight = a.at(0, 0);
    let errors = step_errors(loss, weight, exact, -17, -1, 4);
    let best = errors
        .iter()
        .map(|error| error.central_error)
        .fold(f64::INFINITY, f64::min);
    let still = errors.first().filter(|error| error.central == 0.0);
    let still = still.map_or_else(String::new, |error| {
        format!(
            " With $h$ = {} the weight does not move at all.",
            scientific(error.step, 0)
        )
    });
    answer.text(format!(
        "The one check that knows nothing of the rules it checks: move a weight by $h$ to both sides and see what the loss does, $(L(A_{{11}} \
         + h) - L(A_{{11}} - h)) / 2h$. A large $h$ leaves out the bends of the loss (the error goes with $h^2$), a small one loses the digits \
         in which the two losses agree (it goes with $1/h$). In between, near the cube root of the precision of numbers ({}), the relative error comes \
         down to {}; Richardson's extrapolation from two steps removes the first error and comes down to {}, near {}.{still}",
        scientific(central_step(weight), 0),
        scientific(best, 0),
        scientific(errors.iter().map(|error| error.richardson_error).fold(f64::INFINITY, f64::min), 0),
        scientific(richardson_step(weight), 0)
    ));
    let mut table = Table::new("∂L/∂A₁₁ of the sample above, by central differences");
    table
        .header(["h", "difference", "relative error", "with Richardson's extrapolation"])
        .align([Align::Right; 4]);
    let wanted = [-1, -3, -5, -9, -13, -17].map(|power: i32| 10.0_f64.powi(power));
    let row_of = |h: f64| errors.iter().find(|error| (error.step / h - 1.0).abs() < 1e-6);
    for error in wanted.into_iter().filter_map(row_of) {
        table.row([
            scientific(error.step, 0),
            significant(error.central, 10),
            scientific(error.central_error, 1),
            scientific(error.richardson_error, 1),
        ]);
    }
    table.note(format!("The derived formula says {}.", significant(exact, 10)));
    answer.table(table);
    answer.figure(chart(&errors));
    caught(answer)?;
    answer.number("step_errors", json!(errors));
    Ok(())
}

fn chart(errors: &[StepError]) -> report::Figure {
    let mut chart = LineChart::new("What a step costs");
    chart.description(
        "Relative error of two difference methods against the step, both axes logarithmic: each falls, then rises.",
    );
    chart.x_axis("step h").y_axis("relative error").log_x().log_y();
    // A logarithmic axis has no place for an error of exactly 0.
    let points = |of: fn(&StepError) -> f64| {
        let points = errors.iter().map(move |error| (error.step, of(error)));
        points
            .filter(|(_, error)| *error > 0.0 && error.is_finite())
            .collect::<Vec<_>>()
    };
    chart.series("central difference", points(|error| error.central_error));
    chart.series("Richardson's extrapolation", points(|error| error.richardson_error));
    let left = errors.first().map_or(f64::NAN, |error| error.central_error);
    chart.figure(format!(
        "From right to left the error first falls with the square of the step (with its fourth power for Richardson), then rises as digits \
         cancel. At the left end the relative error of the central difference is {}.",
        significant(left, 2)
    ))
}

/// Wrong derivatives, and what the check says.
fn caught(answer: &mut Answer) -> Result<()> {
    answer.subheading("What trying finds");
    answer.text(
        "A wrong gradient stops no training, it only makes it worse, and so nobody looks for it. Two that the check of the library \
         (`backprop::gradient_check`, and `lab gradcheck` for whole models) finds: a slip of the pen, the slope of tanh taken for $1 - v$ \
         instead of $1 - v^2$; and a real one, the max-pooling of candle 0.11, which returns a quarter of the true gradient and is the \
         reason why this workspace has its own.",
    );
    let found = [
        ("1 − v for 1 − v²", faults::slip_of_the_pen()?),
        ("candle's max-pooling", faults::max_pooling()?),
    ];
    let mut table = Table::new("Two wrong derivatives under the check");
    table
        .header([
            "derivative",
            "it says",
            "differences say",
            "ratio",
            "error",
            "allowed",
            "verdict",
        ])
        .align([Align::Left].into_iter().chain([Align::Right; 5]).chain([Align::Left]));
    for (name, check) in &found {
        if check.verdict != Verdict::Wrong {
            bail!("the check did not catch '{name}': {check:?}");
        }
        table.row(row(name, check));
    }
    table.note("The worst entry of each.");
    answer.table(table);
    answer.number(
        "caught",
        json!(found.map(|(name, check)| json!({"what": name, "check": check}))),
    );
    Ok(())
}

fn row(name: &str, check: &WeightCheck) -> [String; 7] {
    [
        name.to_string(),
        significant(check.gradient, 6),
        significant(check.difference, 6),
        significant(check.difference / check.gradient, 4),
        scientific(check.worst_relative_error, 1),
        scientific(check.allowed, 1),
        "wrong".to_string(),
    ]
}
