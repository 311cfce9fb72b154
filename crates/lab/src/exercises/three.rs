//! Exercise 3: ten optimizers on one network.

use anyhow::Result;
use candle_core::{DType, Device};
use datasets::Dataset;
use models::{Network, zoo};
use nn_theory::SummaryOptions;
use optimizers::OptimizerInfo;
use optimizers_bench::{Comparison, Outcome, Standing, Study, Task, log_grid};
use report::format::{count, number, percent_plus_minus, significant};
use report::plot::{BarChart, LineChart};
use report::{Align, Answer, Block, Table};
use serde_json::json;
use training::Samples;

use super::data::{describe, subset};
use crate::context::Context;

/// What the sheet asks for: plain and with momentum, RMSprop, the Adam family, the Ada family.
const OPTIMIZERS: [&str; 10] = [
    "sgd",
    "sgd_momentum",
    "rmsprop",
    "adam",
    "adamw",
    "adamax",
    "nadam",
    "adagrad",
    "adadelta",
    "adafactor",
];

/// The optimizer whose tuned runs set the target that the others are timed to.
const REFERENCE: &str = "sgd_momentum";

pub(super) fn answer(context: &Context, answer: &mut Answer) -> Result<()> {
    let dataset = context.dataset_or("digits")?;
    answer.text(
        "The question: which of the framework's optimizers trains a network best, how good does the network get, and how \
         fast? All of them start from the same weights and see the same batches; only the update rule differs.",
    );
    describe(&dataset, answer);
    let task = task(context, &dataset)?;
    let study = study(context);
    protocol(answer, &task, &study);
    rules(answer);

    let runs = OPTIMIZERS.len() * (study.learning_rates.len() * study.tuning_seeds.len() + 2 * study.seeds.len());
    let bar = context.progress.bar("comparing optimizers", runs as u64);
    let comparison = study.compare(&task, context.interrupt(), &|done, _| bar.set_position(done as u64));
    bar.finish_and_clear();
    results(answer, &comparison?);
    Ok(())
}

/// The network and the budget for a data set: the lecture's network for two classes, a small CNN for small images, a
/// dense network for larger ones, so that hundreds of trainings take minutes.
fn task(context: &Context, dataset: &Dataset) -> Result<Task> {
    let [height, width, channels] = dataset.shape().map(|size| size as u64);
    let classes = dataset.classes.len();
    let (network, epochs, batch_size, most) = if classes == 2 {
        let network = zoo::lecture_network("cats_vs_dogs", height * width * channels)?;
        (network, context.pick(130, 20), 8, usize::MAX)
    } else if height * width <= 256 {
        (
            zoo::small_cnn("small_cnn", [height, width, channels], classes)?,
            context.pick(12, 4),
            32,
            usize::MAX,
        )
    } else {
        (
            zoo::mlp("mlp", height * width * channels, &[64], classes)?,
            context.pick(10, 3),
            32,
            context.pick(6000, 1500),
        )
    };
    let shapes = Network::new(network.clone(), context.seed, &Device::Cpu, DType::F32)?;
    let all = Samples::for_network(&subset(&dataset.train, most, context.seed), &shapes)?;
    let (train, validation) = all.split(0.2, context.seed)?;
    let test = Samples::for_network(&subset(&dataset.test, most, context.seed), &shapes)?;
    Ok(Task {
        network,
        train,
        validation,
        test,
        epochs,
        batch_size,
    })
}

fn study(context: &Context) -> Study {
    // Seeds that rates are chosen with are not those that are reported.
    let seeds = |from: u64, count: u64| (from..from + count).map(|i| context.seed.wrapping_add(i)).collect();
    Study {
        optimizers: OPTIMIZERS.map(str::to_string).to_vec(),
        learning_rates: context.pick(log_grid(1e-4, 10.0, 6), log_grid(1e-3, 1e-1, 3)),
        tuning_seeds: seeds(0, context.pick(2, 1)),
        seeds: seeds(100, context.pick(5, 3)),
        reference: REFERENCE.to_string(),
        workers: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn protocol(answer: &mut Answer, task: &Task, study: &Study) {
    answer.heading("The comparison");
    if let Ok(summary) = task.network.summary(&SummaryOptions {
        line_length: Some(80),
        ..Default::default()
    }) {
        answer.details("The network", [Block::code(summary)]);
    }
    let rates: Vec<String> = study.learning_rates.iter().map(|&rate| significant(rate, 2)).collect();
    answer.table(
        Table::new("Rules that hold for every optimizer")
            .header(["what", "how"])
            .align([Align::Left, Align::Left])
            .row([
                "samples".to_string(),
                format!(
                    "{} to learn from, {} to choose on, {} to report on",
                    count(task.train.len()),
                    count(task.validation.len()),
                    count(task.test.len())
                ),
            ])
            .row([
                "budget".to_string(),
                format!("{} epochs of batches of {}", task.epochs, task.batch_size),
            ])
            .row([
                "learning rate".to_string(),
                format!(
                    "the best of {} on the validation samples, with {} seed(s) of its own",
                    rates.join(", "),
                    study.tuning_seeds.len()
                ),
            ])
            .row([
                "also".to_string(),
                "Keras' default learning rate, for a reader who tunes nothing".to_string(),
            ])
            .row([
                "report".to_string(),
                format!(
                    "accuracy on the test samples over {} other seeds: mean and 95 % interval (Student)",
                    study.seeds.len()
                ),
            ]),
    );
    answer
        .setting("optimizers", study.optimizers.clone())
        .setting("learning_rates", study.learning_rates.clone())
        .setting("seeds", study.seeds.clone())
        .setting("epochs", task.epochs)
        .setting("batch_size", task.batch_size);
}

/// What each optimizer does differently, from the catalogue of the crate.
fn rules(answer: &mut Answer) {
    answer.heading("What each of them changes");
    answer.text(
        "$g$ is the gradient of the loss at the weights $w$, $\\eta$ the learning rate, $t$ the number of the step. \
         All operations go number by number.",
    );
    let known: Vec<&OptimizerInfo> = OPTIMIZERS.iter().filter_map(|name| info(name)).collect();
    for info in known {
        answer.subheading(
            info.keras_class.to_string()
                + if info.name == "sgd_momentum" {
                    " with momentum"
                } else {
                    ""
                },
        );
        answer.formula(info.formula_latex, info.formula_unicode);
        answer.text(format!("{} ({})", info.what_changes, info.paper));
    }
}

fn info(name: &str) -> Option<&'static OptimizerInfo> {
    optimizers::catalogue().iter().find(|info| info.name == name)
}

fn results(answer: &mut Answer, comparison: &Comparison) {
    let target = comparison.target;
    answer.heading("The result");
    let mut table = Table::new("Optimizers, best first");
    table
        .header([
            "optimizer",
            "tuned rate",
            "test accuracy",
            "epochs to target",
            "default rate",
            "its accuracy",
            "diverged",
        ])
        .align([
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
        ]);
    let ranked = ranking(comparison);
    for standing in &ranked {
        let seeds = standing.tuned.len();
        table.row([
            standing.optimizer.clone(),
            format!(
                "{}{}",
                significant(standing.learning_rate, 2),
                if standing.at_the_edge { " *" } else { "" }
            ),
            percent_plus_minus(standing.accuracy.mean, standing.accuracy.margin(), 1),
            match standing.epochs_to_target {
                Some(epochs) => format!("{} ({}/{seeds})", number(epochs, 0), standing.reached),
                None => format!("– ({}/{seeds})", standing.reached),
            },
            significant(standing.default_learning_rate, 2),
            percent_plus_minus(standing.default_accuracy.mean, standing.default_accuracy.margin(), 1),
            standing.diverged.to_string(),
        ]);
    }
    table.note(format!(
        "Target: {} of the validation samples right, the median of {REFERENCE} at the end. Epochs to it: the median over \
         the seeds, a dash where most seeds never got there, and how many got there. *: the smallest or largest rate of the grid, a wider one may find a \
         better one. «diverged»: trainings whose loss stopped being a number; they count as guessing.",
        report::format::percent(target, 1)
    ));
    answer.table(table);
    accuracy_chart(answer, &ranked);
    curves(
        answer,
        comparison,
        "SGD and RMSprop",
        &["sgd", "sgd_momentum", "rmsprop"],
    );
    curves(
        answer,
        comparison,
        "The Adam family",
        &["adam", "adamw", "adamax", "nadam"],
    );
    curves(
        answer,
        comparison,
        "The Ada family",
        &["adagrad", "adadelta", "adafactor"],
    );
    sensitivity(answer, comparison);
    verdict(answer, comparison, &ranked);
    numbers(answer, comparison);
}

fn ranking(comparison: &Comparison) -> Vec<&Standing> {
    let mut ranked: Vec<&Standing> = comparison.standings.iter().collect();
    ranked.sort_by(|a, b| b.accuracy.mean.total_cmp(&a.accuracy.mean));
    ranked
}

fn accuracy_chart(answer: &mut Answer, ranked: &[&Standing]) {
    let mut chart = BarChart::new("Test accuracy of the optimizers");
    chart.description("Mean over the seeds with its 95 % interval, for the tuned and for the default learning rate.");
    chart.value_axis("test accuracy").percent().decimals(1);
    chart.categories(ranked.iter().map(|standing| &standing.optimizer));
    let bars = |interval: fn(&Standing) -> &optimizers_bench::Interval| {
        ranked
            .iter()
            .map(move |standing| {
                let i = interval(standing);
                (i.mean, i.lower, i.upper)
            })
            .collect::<Vec<_>>()
    };
    chart.series_with_errors("tuned", bars(|standing| &standing.accuracy));
    chart.series_with_errors("default", bars(|standing| &standing.default_accuracy));
    answer.figure(chart.figure(
        "Accuracy on the test samples; the whiskers are the 95 % interval of the mean over the seeds. \
         Where whiskers overlap widely, these runs do not tell the optimizers apart.",
    ));
}

/// Learning curves of the tuned runs: the mean over the seeds, and from the worst seed to the best.
fn curves(answer: &mut Answer, comparison: &Comparison, title: &str, names: &[&str]) {
    let mut chart = LineChart::new(format!("{title}: learning curves"));
    chart.description("Accuracy on the validation samples after each epoch; band from the worst seed to the best.");
    chart.x_axis("epoch").y_axis("validation accuracy");
    for standing in comparison
        .standings
        .iter()
        .filter(|standing| names.contains(&standing.optimizer.as_str()))
    {
        chart.band(
            format!("{} ({})", standing.optimizer, significant(standing.learning_rate, 2)),
            band(&standing.tuned),
        );
    }
    chart.level("target", comparison.target);
    answer.figure(chart.figure(format!(
        "{title}, each with its tuned learning rate (in brackets): mean over the seeds, the band goes from the worst seed to the best."
    )));
}

/// (epoch, mean, lowest, highest) of the validation accuracy over runs; an epoch that a run never reached is left out.
fn band(runs: &[Outcome]) -> Vec<(f64, f64, f64, f64)> {
    let epochs = runs.iter().map(|run| run.epochs.len()).min().unwrap_or(0);
    (0..epochs)
        .map(|i| {
            let values: Vec<f64> = runs.iter().filter_map(|run| run.epochs[i].val_accuracy).collect();
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
            let low = values.iter().copied().fold(mean, f64::min);
            let high = values.iter().copied().fold(mean, f64::max);
            ((i + 1) as f64, mean, low, high)
        })
        .collect()
}

fn sensitivity(answer: &mut Answer, comparison: &Comparison) {
    let mut chart = LineChart::new("How much the learning rate matters");
    chart.description("Validation accuracy at the end of training for each learning rate of the grid.");
    chart.x_axis("learning rate").y_axis("validation accuracy").log_x();
    for standing in &comparison.standings {
        chart.series(&standing.optimizer, standing.sensitivity.iter().copied());
    }
    answer.figure(chart.figure(
        "Validation accuracy after the last epoch against the learning rate (the runs that the rate was chosen from). \
         A flat top means that the rate need not be tuned.",
    ));
}

fn verdict(answer: &mut Answer, comparison: &Comparison, ranked: &[&Standing]) {
    let (Some(best), Some(worst)) = (ranked.first(), ranked.last()) else {
        return;
    };
    let close: Vec<&str> = ranked
        .iter()
        .filter(|standing| standing.accuracy.upper >= best.accuracy.lower)
        .map(|standing| standing.optimizer.as_str())
        .collect();
    let fastest = ranked
        .iter()
        .filter_map(|standing| {
            standing
                .epochs_to_target
                .map(|epochs| (epochs, standing.optimizer.as_str()))
        })
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let gap = |standing: &&&Standing| standing.accuracy.mean - standing.default_accuracy.mean;
    let most_tuned = ranked.iter().max_by(|a, b| gap(a).total_cmp(&gap(b)));
    let mut text = format!(
        "{} has the best mean, {}; the intervals of {} of {} optimizers reach into its own, so these runs do not separate them: {}. \
         The last is {} with {}.",
        best.optimizer,
        percent_plus_minus(best.accuracy.mean, best.accuracy.margin(), 1),
        close.len(),
        ranked.len(),
        close.join(", "),
        worst.optimizer,
        percent_plus_minus(worst.accuracy.mean, worst.accuracy.margin(), 1)
    );
    if let Some((epochs, name)) = fastest {
        text += &format!(
            " The first to reach the target is {name}, after {} epochs (median).",
            number(epochs, 0)
        );
    }
    if let Some(standing) = most_tuned {
        text += &format!(
            " Tuning matters most for {}: {} with Keras' default rate of {}, {} with {}.",
            standing.optimizer,
            report::format::percent(standing.default_accuracy.mean, 1),
            significant(standing.default_learning_rate, 2),
            report::format::percent(standing.accuracy.mean, 1),
            significant(standing.learning_rate, 2)
        );
    }
    answer.result(text);
    answer.headline(format!(
        "{} is first with {} test accuracy, {} of {} optimizers cannot be told from it ({} trainings)",
        best.optimizer,
        percent_plus_minus(best.accuracy.mean, best.accuracy.margin(), 1),
        close.len().saturating_sub(1),
        ranked.len() - 1,
        comparison.runs
    ));
}

fn numbers(answer: &mut Answer, comparison: &Comparison) {
    answer
        .number("target", comparison.target)
        .number("runs", comparison.runs);
    for standing in &comparison.standings {
        answer.number(
            standing.optimizer.as_str(),
            json!({
                "learning_rate": standing.learning_rate,
                "accuracy": standing.accuracy,
                "default_learning_rate": standing.default_learning_rate,
                "default_accuracy": standing.default_accuracy,
                "epochs_to_target": standing.epochs_to_target,
                "reached": standing.reached,
                "diverged": standing.diverged,
                "sensitivity": standing.sensitivity,
                "curves": standing.tuned.iter().map(|run| &run.epochs).collect::<Vec<_>>(),
            }),
        );
    }
}
