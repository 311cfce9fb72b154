//! Accuracy on clean and on damaged test images.

use anyhow::Result;
use augmentation::corrupt::{self, Corruption};
use report::format::count;
use report::plot::LineChart;
use report::{Align, Answer, Table};

use super::effect::{Effect, over_seeds};
use super::recipe::Recipe;
use super::sheets::name;
use super::trial::{Amount, Outcome, Pairs, Plan, SEVERITIES, SHOWN};

/// A test set, or the mean over some, and how augmentation in training changes the accuracy on it.
pub(super) struct Row {
    pub(super) label: String,
    pub(super) effect: Effect,
}

/// The clean test set, each damage at the severity that is shown, and the means over all severities.
pub(super) fn rows(plan: &Plan, recipe: &Recipe, pairs: &Pairs) -> Result<Vec<Row>> {
    let mut rows = vec![Row {
        label: "clean".to_string(),
        effect: Effect::of_training(pairs, |outcome| outcome.test)?,
    }];
    for corruption in corrupt::ALL {
        let wanted = |kind, severity| kind == corruption && severity == SHOWN;
        rows.push(Row {
            label: name(corruption),
            effect: Effect::of_training(pairs, |outcome| mean_where(plan, outcome, wanted))?,
        });
    }
    for (label, covered) in [("kinds of the pipeline", true), ("other kinds", false)] {
        rows.push(Row {
            label: format!("{label}, all severities"),
            effect: Effect::of_training(pairs, |outcome| {
                mean_where(plan, outcome, |kind, _| recipe.covers(kind) == covered)
            })?,
        });
    }
    Ok(rows)
}

/// The mean accuracy over some of the damaged test sets.
pub(super) fn mean_where(plan: &Plan, outcome: &Outcome, wanted: impl Fn(Corruption, u8) -> bool) -> f64 {
    let of_set = plan.damaged.iter().zip(&outcome.damaged);
    let values: Vec<f64> = of_set
        .filter(|(set, _)| wanted(set.corruption, set.severity))
        .map(|(_, &accuracy)| accuracy)
        .collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

pub(super) fn accuracies(answer: &mut Answer, amount: &Amount, rows: &[Row]) {
    let mut table = Table::new(format!(
        "Test accuracy after learning from {} images, severity {SHOWN}",
        count(amount.train.len())
    ));
    table
        .header(["test images", "without", "with", "difference (points)", "with is"])
        .align([Align::Left, Align::Right, Align::Right, Align::Right, Align::Left]);
    for row in rows {
        let mut cells = vec![row.label.clone()];
        cells.extend(row.effect.cells());
        table.row(cells);
    }
    table.note(
        "Differences are means over the seeds of (with − without). «cannot be told»: the interval of the difference holds 0. \
         The intervals speak of other seeds, not of other test images.",
    );
    answer.table(table);
}

pub(super) fn robustness(answer: &mut Answer, plan: &Plan, outcomes: &[Pairs]) -> Result<()> {
    for corruption in corrupt::ALL {
        let mut chart = LineChart::new(format!("Accuracy under {}", name(corruption)));
        chart.description("Test accuracy against the severity of the damage; severity 0 is the clean test set.");
        chart.x_axis("severity (0 is clean)").y_axis("test accuracy");
        for (amount, pairs) in plan.amounts.iter().zip(outcomes) {
            for (word, with) in [("without", false), ("with", true)] {
                let mut line = Vec::new();
                for severity in std::iter::once(0).chain(SEVERITIES) {
                    let place = plan.place(corruption, severity);
                    let figure = |outcome: &Outcome| place.map_or(outcome.test, |place| outcome.damaged[place]);
                    let interval = over_seeds(pairs, with, figure)?;
                    let (low, high) = (interval.lower.max(0.0), interval.upper.min(1.0));
                    line.push((f64::from(severity), interval.mean, low, high));
                }
                chart.band(format!("{word}, {} images", count(amount.train.len())), line);
            }
        }
        answer.figure(chart.figure(format!(
            "Test images damaged by {}: mean over the seeds with its 95 % interval, cut off at 0 and 1.",
            name(corruption)
        )));
    }
    Ok(())
}
