//! The tables of a comparison.

use optimizers_bench::{GOOD_SHARE, Measure, Plan, Standing, TaskDescription, TaskResult};
use report::format::{count, number, seconds as in_words};
use report::{Align, Table};

use super::score::{counted, rate, score, tested, with_interval};

const LEFT_THEN_RIGHT: [Align; 7] = [
    Align::Left,
    Align::Right,
    Align::Right,
    Align::Right,
    Align::Right,
    Align::Right,
    Align::Right,
];

/// The standings of a task, best first.
pub(super) fn ranked(task: &TaskResult) -> Vec<&Standing> {
    let mut ranked: Vec<&Standing> = task.standings.iter().collect();
    ranked.sort_by(|a, b| b.test.mean.total_cmp(&a.test.mean));
    ranked
}

pub(super) fn rules(plan: &Plan) -> Table {
    let rates: Vec<String> = plan.learning_rates.iter().map(|&one| rate(one)).collect();
    let mut table = Table::new("Rules that hold for every optimizer");
    table
        .header(["what", "how"])
        .align([Align::Left, Align::Left])
        .row([
            "search space".to_string(),
            format!("one grid for all tasks, declared beforehand: {}", rates.join(", ")),
        ])
        .row([
            "trials".to_string(),
            format!(
                "{} for each optimizer on each task: {} × {}",
                plan.learning_rates.len() * plan.tuning_seeds.len(),
                counted(plan.learning_rates.len(), "rate"),
                counted(plan.tuning_seeds.len(), "seed")
            ),
        ])
        .row([
            "choice",
            "the rate with the best mean score on the *validation* samples; no test sample is seen",
        ])
        .row([
            "report".to_string(),
            format!(
                "the score on the *test* samples over {} other seeds: mean and 95 % bootstrap interval",
                plan.seeds.len()
            ),
        ])
        .row([
            "untuned".to_string(),
            "the same with Keras' default rate, for a reader who tunes nothing".to_string(),
        ])
        .row([
            "target".to_string(),
            format!(
                "the median of where tuned {} ends on the validation samples; who never gets there needs infinitely long",
                plan.reference
            ),
        ]);
    table
}

/// How good: tuned and with the default rate.
pub(super) fn scores(description: &TaskDescription, task: &TaskResult) -> Table {
    let measure = task.measure;
    let mut table = Table::new(format!("{}: how good, best first", description.name));
    table
        .header([
            "optimizer",
            "tuned rate",
            tested(measure).as_str(),
            "default rate",
            "with the default rate",
        ])
        .align(LEFT_THEN_RIGHT.into_iter().take(5));
    for standing in ranked(task) {
        table.row([
            standing.optimizer.clone(),
            rate(standing.learning_rate) + if standing.at_the_edge { " *" } else { "" },
            with_interval(measure, &standing.test),
            rate(standing.default_learning_rate),
            with_interval(measure, &standing.default_test),
        ]);
    }
    let seeds = task.standings.first().map_or(0, |standing| standing.test.values);
    let what = match measure {
        Measure::Accuracy => "share of test samples whose class was found",
        Measure::Determination => "R² on the test samples",
        Measure::Orders => "powers of ten by which the value of the function fell",
    };
    table.note(format!(
        "{}: {}. Mean {what} over {seeds} seeds [95 % bootstrap interval]. *: the smallest or largest rate of the grid; a wider \
         grid may hold a better one.",
        description.name, description.title
    ));
    table
}

/// How fast, and how much luck with the rate it takes.
pub(super) fn speed(plan: &Plan, task: &TaskResult, seconds: &[Option<f64>]) -> Table {
    let mut table = Table::new(format!("{}: how fast, how robust", task.task));
    table
        .header([
            "optimizer",
            "epochs to target",
            "steps",
            "seconds",
            "seeds there",
            "good rates",
            "diverged",
        ])
        .align(LEFT_THEN_RIGHT);
    let time = |standing: &Standing| standing.steps_to_target.unwrap_or(f64::INFINITY);
    let mut rows: Vec<(&Standing, Option<f64>)> = task.standings.iter().zip(seconds.iter().copied()).collect();
    rows.sort_by(|(a, _), (b, _)| time(a).total_cmp(&time(b)));
    for (standing, seconds) in rows {
        // A median of an even number of seeds may lie between two epochs.
        let whole = |value: Option<f64>| {
            value.map_or_else(
                || "∞".to_string(),
                |value| number(value, usize::from(value.fract() != 0.0)),
            )
        };
        table.row([
            standing.optimizer.clone(),
            whole(standing.epochs_to_target),
            whole(standing.steps_to_target),
            seconds.map_or_else(|| "∞".to_string(), in_words),
            format!("{}/{}", standing.reached, plan.seeds.len()),
            format!("{}/{}", standing.good_rates, plan.learning_rates.len()),
            format!("{}/{}", count(standing.diverged), count(standing.runs)),
        ]);
    }
    table.note(format!(
        "Target: {} on the validation samples, the median of tuned {}. Times are medians over the seeds, ∞ where most never got \
         there; seconds on this machine, with other runs beside. Good rates: those of the grid that come {:.0} % of the way from \
         guessing to the optimizer's best. Diverged: runs whose numbers grew beyond all bounds, tuning included; they count as \
         guessing.",
        score(task.measure, task.target),
        plan.reference,
        100.0 * GOOD_SHARE
    ));
    table
}
