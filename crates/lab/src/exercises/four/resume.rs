//! Training that is interrupted and goes on from a checkpoint.

use std::path::Path;

use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use models::Network;
use optimizers::Optimizer;
use persistence::{Difference, Metadata, TrainingState};
use report::format::{bytes, count, integer, percent, significant};
use report::plot::LineChart;
use report::{Align, Answer, Table};
use serde_json::json;
use training::{Checkpoint, History, Loss, OnEpochEnd, evaluate, resume};

use super::{BATCH, Task, adam, all_weights, difference, equal_of};
use crate::context::Context;

/// How training went on, with and without the optimizer's state.
pub(super) struct Resumption {
    with_state: (Network, History),
    without_state: (Network, History),
    /// Bytes of weights and of optimizer state in the checkpoint.
    bytes: (u64, u64),
    iterations: u64,
}

impl Resumption {
    pub(super) fn checkpoint_bytes(&self) -> (u64, u64) {
        self.bytes
    }
}

/// Epochs of all trainings together: the whole one, the interrupted one, and two that go on.
pub(super) fn epochs(task: &Task) -> usize {
    task.epochs + task.interrupted_after + 2 * (task.epochs - task.interrupted_after)
}

/// Trains up to the interruption, and goes on from the file: once as it should be done, once with a new optimizer.
pub(super) fn run(context: &Context, task: &Task, folder: &Path, bar: &ProgressBar) -> Result<Resumption> {
    let path = folder.join("checkpoint.safetensors");
    let metadata = Metadata {
        classes: task.classes.clone(),
        training: Some(TrainingState {
            seed: context.seed,
            batch_size: task.batch_size,
            ..TrainingState::default()
        }),
        ..Metadata::default()
    };
    {
        // Everything in this block is gone when it ends, as if the process had been killed.
        let mut network = task.fresh(context.seed, &context.device)?;
        let mut checkpoint = Checkpoint::new(&path, metadata);
        let mut progress = OnEpochEnd(|_: &_| bar.inc(1));
        task.trainer(context)
            .epochs(task.interrupted_after)
            .callback(&mut progress)
            .callback(&mut checkpoint)
            .fit(&mut network, &mut adam()?, &task.train)?;
        context.check_interrupt()?;
    }
    let go_on = |new_optimizer: Option<Optimizer>| -> Result<(Network, History, u64)> {
        let mut stood = resume(&path, &context.device)?;
        let iterations = stood.optimizer.iterations();
        let mut optimizer = new_optimizer.unwrap_or(stood.optimizer);
        let mut progress = OnEpochEnd(|_: &_| bar.inc(1));
        let history = task
            .trainer(context)
            .seed(stood.state.seed)
            .batch_size(stood.state.batch_size)
            .resume(stood.history)
            .callback(&mut progress)
            .fit(&mut stood.network, &mut optimizer, &task.train)?;
        context.check_interrupt()?;
        Ok((stood.network, history, iterations))
    };
    let (network, history, iterations) = go_on(None)?;
    let (other_network, other_history, _) = go_on(Some(adam()?))?;
    let file = persistence::inspect(&path)?;
    let state = file.tensors.iter().filter(|tensor| tensor.is_optimizer_state());
    let state: u64 = state.map(|tensor| tensor.bytes).sum();
    Ok(Resumption {
        with_state: (network, history),
        without_state: (other_network, other_history),
        bytes: (file.tensor_bytes() - state, state),
        iterations,
    })
}

/// Compares both with the training that was never interrupted; whether the resumed one is the same to the bit.
pub(super) fn describe(
    context: &Context,
    answer: &mut Answer,
    task: &Task,
    network: &Network,
    history: &History,
    resumed: &Resumption,
) -> Result<bool> {
    answer.heading("Going on with the training");
    answer.text(format!(
        "Whoever wants to train on needs more than the weights. Adam keeps two running means for each weight, of the gradient and of \
         its square, and the number of steps done. To see what they are worth, the same training is run three times to epoch {}: \
         without a break; interrupted after epoch {} (step {}), everything thrown away, and resumed from the checkpoint file; and \
         resumed from the weights of that file with a new Adam.",
        task.epochs, task.interrupted_after, resumed.iterations
    ));
    let mut table = Table::new("Against the training without a break");
    table
        .header([
            "training",
            "epochs with equal loss",
            "equal weights",
            "largest difference",
            "last loss",
            "test accuracy",
        ])
        .align([
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
        ]);
    let variants = [
        ("without a break", network, history),
        ("resumed", &resumed.with_state.0, &resumed.with_state.1),
        (
            "resumed, new optimizer",
            &resumed.without_state.0,
            &resumed.without_state.1,
        ),
    ];
    let mut weights = Vec::new();
    let mut losses = Vec::new();
    for (name, other, record) in variants {
        let compared = all_weights(network, other)?;
        let equal = Difference::between(&losses_of(history), &losses_of(record));
        let accuracy = evaluate(other, &task.sample, Loss::default(), BATCH)?.accuracy;
        table.row([
            name.to_string(),
            equal_of(&equal),
            count(compared.equal),
            significant(compared.largest, 3),
            record.last().map_or_else(String::new, |last| significant(last.loss, 6)),
            percent(accuracy, 2),
        ]);
        answer.number(
            name.replace([' ', ','], "_"),
            json!({ "weights": difference(&compared), "losses": losses_of(record), "accuracy": accuracy }),
        );
        weights.push(compared);
        losses.push(equal);
    }
    table.note(format!(
        "«Equal» is to the bit; the network has {} weights. Accuracy on {} test images.",
        integer(i128::from(task.spec.counts().total)),
        count(task.sample.len())
    ));
    answer.table(table);
    let mut chart = LineChart::new("Loss of the three trainings");
    chart.description("Mean loss on the training images in each epoch from the break on.");
    chart.x_axis("epoch").y_axis("training loss");
    for (name, _, record) in variants {
        let curve = record.curve(|epoch| (epoch.epoch >= task.interrupted_after).then_some(epoch.loss));
        chart.series(name, curve);
    }
    answer.figure(chart.figure(format!(
        "Mean loss in each epoch from the last one before the break, epoch {}, which all three share. Where two curves are equal \
         to the bit, only the one drawn last is seen.",
        task.interrupted_after
    )));
    let exact = weights[1].is_none() && losses[1].is_none();
    ensure!(
        exact || !context.device.is_cpu(),
        "training that was resumed differs from training without a break: {} weights are equal, the largest difference is {:e}",
        equal_of(&weights[1]),
        weights[1].largest
    );
    let first = if exact {
        format!(
            "Resumed from the checkpoint, {} weights and the loss of all {} epochs are the same to the bit, as if nothing had happened: \
             the order of the images and the draws of dropout are functions of seed and epoch, so they come back by themselves.",
            equal_of(&weights[1]),
            history.epochs.len()
        )
    } else {
        format!(
            "Resumed from the checkpoint, {} weights are the same to the bit; this device does not add up in the same order every time.",
            equal_of(&weights[1])
        )
    };
    let second = if weights[2].is_none() {
        "With a new optimizer the weights are the same, too: its state did not matter here.".to_string()
    } else {
        let change = |history: &History| {
            history
                .epochs
                .get(task.interrupted_after)
                .map_or(f64::NAN, |epoch| epoch.loss)
        };
        let (before, after) = (change(history), change(&resumed.without_state.1));
        format!(
            "With a new optimizer it is another training: {} weights are equal at the end, the largest difference is {}. In its first \
             epoch after the break the mean loss is {} instead of {} ({}): the means start at 0 again, and Adam's first steps are \
             almost as long as its learning rate in every coordinate, however small the gradient.",
            equal_of(&weights[2]),
            significant(weights[2].largest, 3),
            significant(after, 4),
            significant(before, 4),
            if after > before { "higher" } else { "not higher" }
        )
    };
    answer.text(format!("{first} {second}"));
    answer.text(format!(
        "The price of the state is space: {} of optimizer state beside {} of weights, {} times as much.",
        bytes(resumed.bytes.1),
        bytes(resumed.bytes.0),
        significant(resumed.bytes.1 as f64 / resumed.bytes.0.max(1) as f64, 3)
    ));
    answer
        .number("checkpoint_weight_bytes", resumed.bytes.0)
        .number("checkpoint_state_bytes", resumed.bytes.1)
        .number("interrupted_at_step", resumed.iterations);
    Ok(exact)
}

fn losses_of(history: &History) -> Vec<f64> {
    history.epochs.iter().map(|epoch| epoch.loss).collect()
}
