//! What the trainings came to: the parts of the answer in order, and words that follow the numbers.

use std::cmp::Ordering;

use anyhow::Result;
use report::Answer;
use report::format::count;
use serde_json::{Value, json};
use training::EpochRecord;

use super::damage::{self, Row};
use super::effect::{Effect, points};
use super::fitting::{self, gap};
use super::inference;
use super::recipe::Recipe;
use super::study;
use super::trial::{Outcome, Pairs, Plan};
use crate::context::Context;

pub(super) fn tell(
    answer: &mut Answer,
    context: &Context,
    plan: &Plan,
    recipe: &Recipe,
    classes: &[String],
    outcomes: &[Pairs],
) -> Result<()> {
    answer.heading("The result: clean and damaged test images");
    let mut studies = Vec::new();
    for (amount, pairs) in plan.amounts.iter().zip(outcomes) {
        let rows = damage::rows(plan, recipe, pairs)?;
        damage::accuracies(answer, amount, &rows);
        studies.push(rows);
    }
    damage::robustness(answer, plan, outcomes)?;
    fitting::overfitting(answer, plan, outcomes)?;
    if let (Some(pairs), Some(amount)) = (outcomes.first(), plan.amounts.first()) {
        inference::inference(answer, plan, amount, pairs)?;
        inference::mistakes(answer, plan, classes, pairs)?;
    }
    study::tell(answer, context, plan, recipe, outcomes)?;
    verdict(answer, plan, &studies);
    numbers(answer, plan, outcomes)
}

fn verdict(answer: &mut Answer, plan: &Plan, studies: &[Vec<Row>]) {
    answer.heading("What follows");
    let mut sentences = Vec::new();
    for (amount, rows) in plan.amounts.iter().zip(studies) {
        let parts: Vec<String> = [
            ("better", Ordering::Greater),
            ("worse", Ordering::Less),
            ("no difference that can be told", Ordering::Equal),
        ]
        .into_iter()
        .filter_map(|(word, side)| {
            let matching = rows.iter().filter(|row| row.effect.gain.side_of(0.0) == side);
            let labels: Vec<&str> = matching.map(|row| row.label.as_str()).collect();
            (!labels.is_empty()).then(|| format!("*{word}* on: {}", labels.join("; ")))
        })
        .collect();
        sentences.push(format!(
            "Learning from {} images, with augmentation is {}.",
            count(amount.train.len()),
            parts.join(". And ")
        ));
    }
    if let [all, few] = studies
        && let (Some(all), Some(few)) = (all.first(), few.first())
    {
        let (more, less) = (&all.effect.gain, &few.effect.gain);
        sentences.push(
            match (less.lower > more.upper, less.upper < more.lower) {
                (true, _) => {
                    "On the clean test images augmentation gives more with few training images than with many."
                }
                (_, true) => {
                    "On the clean test images augmentation gives less with few training images than with many."
                }
                _ => {
                    "Whether augmentation gives more on the clean test images with few training images than with many, \
                     these runs do not tell: the intervals overlap."
                }
            }
            .to_string(),
        );
    }
    answer.list(sentences);
    let Some([clean, .., covered, other]) = studies.first().map(Vec::as_slice) else {
        return;
    };
    let said = |row: &Row| format!("{} points ({})", points(&row.effect.gain), row.effect.word());
    answer.result(format!(
        "Test accuracy with augmentation minus without: {} on clean images, {} on images with damage of the kinds that the \
         pipeline shows, {} on images with other damage. {}",
        said(clean),
        said(covered),
        said(other),
        match (covered.effect.gain.side_of(0.0), other.effect.gain.side_of(0.0)) {
            (Ordering::Greater, Ordering::Greater) => "The robustness carries over to what was not trained.",
            (Ordering::Greater, _) => "The network becomes robust against what it is shown, and not against the rest.",
            (_, Ordering::Greater) => "The gain lies, of all places, where the pipeline shows nothing.",
            _ => "These runs show no gain in robustness.",
        }
    ));
    answer.headline(format!(
        "Points gained by augmentation: clean {}, damage of its kinds {}, other damage {} ({} seeds)",
        points(&clean.effect.gain),
        points(&covered.effect.gain),
        points(&other.effect.gain),
        plan.seeds.len()
    ));
}

fn numbers(answer: &mut Answer, plan: &Plan, outcomes: &[Pairs]) -> Result<()> {
    for (amount, pairs) in plan.amounts.iter().zip(outcomes) {
        let mut damaged = serde_json::Map::new();
        for (place, set) in plan.damaged.iter().enumerate() {
            damaged.insert(
                format!("{}_{}", set.corruption, set.severity),
                Effect::of_training(pairs, |outcome| outcome.damaged[place])?.json(),
            );
        }
        let curves = |with: bool| -> Vec<Value> {
            let runs = pairs.iter().map(|pair| if with { &pair.1 } else { &pair.0 });
            let of_epochs = |run: &Outcome, figure: fn(&EpochRecord) -> Option<f64>| -> Vec<Option<f64>> {
                run.epochs.iter().map(figure).collect()
            };
            runs.map(|run| {
                json!({
                    "test_accuracy": run.test,
                    "train_accuracy": run.train,
                    "val_accuracy": of_epochs(run, |record| record.val_accuracy),
                    "val_loss": of_epochs(run, |record| record.val_loss),
                })
            })
            .collect()
        };
        answer.number(
            format!("learned_from_{}", amount.train.len()),
            json!({
                "images": amount.train.len(),
                "epochs": amount.epochs,
                "clean": Effect::of_training(pairs, |outcome| outcome.test)?.json(),
                "gap": Effect::of_training(pairs, gap)?.json(),
                "damaged": damaged,
                "without": curves(false),
                "with": curves(true),
            }),
        );
    }
    Ok(())
}
