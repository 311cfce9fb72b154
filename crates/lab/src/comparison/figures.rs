//! The figures of a task.

use optimizers::{Family, catalogue};
use optimizers_bench::{Interval, Measure, Standing, TaskResult};
use report::Figure;
use report::plot::{BarChart, LineChart};

use super::Study;
use super::score::{rate, tested, validated};
use super::tables::ranked;

/// Lines that can be told apart in one chart.
const LINES: usize = 6;

/// Scores with whiskers, tuned and with the default rate.
pub(super) fn scores(task: &TaskResult) -> Figure {
    let ranked = ranked(task);
    let mut chart = BarChart::new(format!("{}: tuned and with the default rate", task.task));
    chart.description("Mean over the seeds with its 95 % interval, for the tuned and for the default learning rate.");
    chart.value_axis(tested(task.measure));
    match task.measure {
        Measure::Accuracy => chart.percent().decimals(1),
        Measure::Determination => chart.decimals(3),
        Measure::Orders => chart.decimals(1),
    };
    chart.categories(ranked.iter().map(|standing| &standing.optimizer));
    let bars = |interval: fn(&Standing) -> &Interval| {
        let of = |standing: &&Standing| {
            let interval = interval(standing);
            (interval.mean, interval.lower, interval.upper)
        };
        ranked.iter().map(of).collect::<Vec<_>>()
    };
    chart.series_with_errors("tuned", bars(|standing| &standing.test));
    chart.series_with_errors("default", bars(|standing| &standing.default_test));
    chart.figure(
        "Scores on the test samples; the whiskers are the 95 % bootstrap interval of the mean over the seeds. Where whiskers \
         overlap widely, these runs do not tell the optimizers apart.",
    )
}

/// Learning curves of the tuned runs, a chart a family: the mean over the seeds, and from the worst seed to the best.
pub(super) fn curves(study: &Study<'_>, index: usize) -> Vec<Figure> {
    let (description, task) = study.described(index);
    let mut figures = Vec::new();
    for (family, standings) in families(task) {
        for part in standings.chunks(LINES) {
            let title = format!("{}: learning curves of the {family} family", task.task);
            let mut chart = LineChart::new(title);
            chart.description("Score on the validation samples while training; band from the worst seed to the best.");
            chart.y_axis(validated(task.measure));
            let per_step = task.measure == Measure::Orders;
            chart.x_axis(if per_step { "step" } else { "epoch" });
            for standing in part {
                let name = format!("{} ({})", standing.optimizer, rate(standing.learning_rate));
                let at = |step: u64, epoch: u64| if per_step { step as f64 } else { epoch as f64 };
                let band = standing.curve.iter().map(|band| {
                    let x = at(band.step, band.epoch);
                    (x, band.mean, band.lowest, band.highest)
                });
                chart.band(name, band);
            }
            chart.level("target", task.target);
            figures.push(chart.figure(format!(
                "{}: the {family} family, each with its tuned rate (in brackets). Mean over the seeds, the band goes from the \
                 worst seed to the best.",
                description.name
            )));
        }
    }
    figures
}

/// The standings of each family that takes part, in the order of the catalogue.
fn families(task: &TaskResult) -> Vec<(Family, Vec<&Standing>)> {
    let mut families: Vec<(Family, Vec<&Standing>)> = Vec::new();
    for info in catalogue() {
        let Some(standing) = task.standings.iter().find(|standing| standing.optimizer == info.name) else {
            continue;
        };
        match families.iter_mut().find(|(family, _)| *family == info.family) {
            Some((_, standings)) => standings.push(standing),
            None => families.push((info.family, vec![standing])),
        }
    }
    families
}

/// The score against the learning rate.
pub(super) fn sensitivity(task: &TaskResult) -> Figure {
    let mut chart = LineChart::new(format!("{}: how much the learning rate matters", task.task));
    chart.description(
        "Validation score at the end of training for each learning rate of the grid, mean over the tuning seeds.",
    );
    chart.x_axis("learning rate").y_axis(validated(task.measure)).log_x();
    for standing in &task.standings {
        let points = standing.sensitivity.iter().map(|rate| (rate.learning_rate, rate.mean));
        chart.series(&standing.optimizer, points);
    }
    chart.figure(format!(
        "{}: the score on the validation samples at the end against the learning rate (the runs that the rate was chosen \
         from). A wide flat top means that the rate need not be tuned.",
        task.task
    ))
}
