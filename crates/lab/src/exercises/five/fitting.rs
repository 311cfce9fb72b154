//! Overfitting and generalisation.

use std::cmp::Ordering;

use anyhow::Result;
use report::format::{count, number, percent};
use report::plot::LineChart;
use report::{Align, Answer, Table};

use super::effect::{Effect, mean_curve, over_seeds, plus_minus, points};
use super::trial::{Amount, Outcome, Pairs, Plan};

pub(super) fn overfitting(answer: &mut Answer, plan: &Plan, outcomes: &[Pairs]) -> Result<()> {
    answer.heading("Overfitting and generalisation");
    answer.text(
        "A network overfits where it learns what is true of its training images alone: the accuracy on them goes on rising, \
         that on other images does not, and the loss on other images rises again, because the mistakes are made with more \
         and more confidence. The *gap* is the accuracy on the (unchanged) training images minus that on the test images.",
    );
    let mut table = Table::new("After the last epoch");
    table
        .header([
            "images",
            "augmentation",
            "training accuracy",
            "test accuracy",
            "gap (points)",
            "lowest validation loss",
            "last validation loss",
        ])
        .align([
            Align::Right,
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
        ]);
    let mut words = Vec::new();
    for (amount, pairs) in plan.amounts.iter().zip(outcomes) {
        learning_curves(answer, amount, pairs);
        for (word, with) in [("without", false), ("with", true)] {
            let losses = mean_curve(pairs, with, |outcome, epoch| outcome.epochs[epoch].val_loss);
            let lowest = losses.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
            let gap = over_seeds(pairs, with, gap)?;
            table.row([
                count(amount.train.len()),
                word.to_string(),
                plus_minus(&over_seeds(pairs, with, train_accuracy)?),
                plus_minus(&over_seeds(pairs, with, |outcome| outcome.test)?),
                format!("{} ± {}", number(gap.mean * 100.0, 1), number(gap.margin() * 100.0, 1)),
                lowest.map_or_else(String::new, |(epoch, loss)| {
                    format!("{} (epoch {})", number(loss, 3), number(epoch, 0))
                }),
                losses.last().map_or_else(String::new, |(_, loss)| number(*loss, 3)),
            ]);
        }
        let gaps = Effect::of_training(pairs, gap)?;
        words.push(format!(
            "With {} images the gap is {} points without and {} with augmentation, a difference of {} points: {}.",
            count(amount.train.len()),
            number(gaps.before.mean * 100.0, 1),
            number(gaps.after.mean * 100.0, 1),
            points(&gaps.gain),
            match gaps.gain.side_of(0.0) {
                Ordering::Less => "augmentation narrows it",
                Ordering::Greater => "augmentation widens it",
                Ordering::Equal => "these runs do not tell whether augmentation changes it",
            }
        ));
        let fitted = Effect::of_training(pairs, train_accuracy)?;
        if fitted.gain.side_of(0.0) == Ordering::Less {
            words.push(format!(
                "The price: with augmentation the same network fits its own training images less well ({} instead of {}), as \
                 it has as many weights and steps as the other for more pictures. A larger network or longer training may use \
                 the augmentation better.",
                percent(fitted.after.mean, 1),
                percent(fitted.before.mean, 1)
            ));
        }
    }
    table.note("Losses are those of the mean over the seeds.");
    answer.table(table);
    answer.text(words.join(" "));
    Ok(())
}

/// Accuracy on what was learned from minus accuracy on what was not.
pub(super) fn gap(outcome: &Outcome) -> f64 {
    train_accuracy(outcome) - outcome.test
}

fn train_accuracy(outcome: &Outcome) -> f64 {
    outcome.train.last().copied().unwrap_or_default()
}

fn learning_curves(answer: &mut Answer, amount: &Amount, pairs: &Pairs) {
    let images = count(amount.train.len());
    let mut accuracy = LineChart::new(format!("Learning from {images} images: accuracy"));
    accuracy.description("Accuracy on training and validation images after each epoch, with and without augmentation.");
    accuracy.x_axis("epoch").y_axis("accuracy");
    let mut lowest: f64 = 1.0;
    let mut loss = LineChart::new(format!("Learning from {images} images: validation loss"));
    loss.description("Loss on the validation images after each epoch, with and without augmentation.");
    loss.x_axis("epoch").y_axis("validation loss").log_y();
    for (word, with) in [("without", false), ("with", true)] {
        let train = mean_curve(pairs, with, |outcome, epoch| outcome.train.get(epoch).copied());
        let validation = mean_curve(pairs, with, |outcome, epoch| outcome.epochs[epoch].val_accuracy);
        let settled = train.len() / 8;
        let late = train.iter().skip(settled).chain(validation.iter().skip(settled));
        lowest = late.map(|point| point.1).fold(lowest, f64::min);
        accuracy.series(format!("{word}: training"), train);
        accuracy.series(format!("{word}: validation"), validation);
        let losses = mean_curve(pairs, with, |outcome, epoch| outcome.epochs[epoch].val_loss);
        loss.series(word, losses);
    }
    // The first epochs are left out of the range: what matters happens near 1.
    accuracy.y_range((lowest * 20.0).floor() / 20.0, 1.0);
    answer.figure(accuracy.figure(format!(
        "{images} images: accuracy after each epoch, mean over the seeds. Training accuracy is measured on \
         unchanged training images ({} of them) and without dropout, so that the two kinds of lines can be compared.",
        count(amount.watched())
    )));
    answer.figure(loss.figure(format!(
        "{images} images: loss on the validation images, mean over the seeds. A line that rises again is overfitting."
    )));
}
