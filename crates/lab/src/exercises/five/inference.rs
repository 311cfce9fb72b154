//! Augmentation at inference, and the mistakes that are left.

use std::cmp::Ordering;

use anyhow::Result;
use augmentation::corrupt::{self, Corruption};
use report::format::{count, percent};
use report::plot::ConfusionMatrix;
use report::{Align, Answer, Table};
use serde_json::{Value, json};

use super::effect::{Effect, over_seeds, plus_minus, points};
use super::sheets::name;
use super::trial::{Amount, Outcome, Pairs, Plan, SHOWN};

pub(super) fn inference(answer: &mut Answer, plan: &Plan, amount: &Amount, pairs: &Pairs) -> Result<()> {
    answer.heading("Augmentation at inference");
    answer.text(format!(
        "The pipeline can also be used when a trained network answers: the image is augmented {n} times, and the mean of the \
         {n} vectors of probabilities decides. The answer no longer hangs on one position of the image, but takes {n} times \
         the time. Here $T_k$ is the k-th draw of the pipeline and $f$ the network:",
        n = plan.copies
    ));
    answer.formula(
        r"\bar p(x) = \frac{1}{n} \sum_{k=1}^{n} \mathrm{softmax}\bigl(f(T_k(x))\bigr)",
        "p̄(x) = 1/n · Σₖ softmax(f(Tₖ(x))),  k = 1 … n",
    );
    let mut table = Table::new(format!(
        "Test accuracy with augmentation at inference ({} images, severity {SHOWN})",
        count(amount.train.len())
    ));
    table
        .header([
            "trained",
            "test images",
            "plain",
            "1 version",
            &format!("mean of {}", plan.copies),
            "difference (points)",
            "the mean is",
        ])
        .align([
            Align::Left,
            Align::Left,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Right,
            Align::Left,
        ]);
    let mut sentences = Vec::new();
    let mut record = serde_json::Map::new();
    for (word, with) in [("without", false), ("with", true)] {
        let runs: Vec<&Outcome> = pairs.iter().map(|pair| if with { &pair.1 } else { &pair.0 }).collect();
        let (mut helps, mut hurts, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (set, _)) in plan.at_inference().into_iter().enumerate() {
            let many = Effect::of(&runs, |run| run.at_inference[i].plain, |run| run.at_inference[i].many)?;
            let one = over_seeds(pairs, with, |run| run.at_inference[i].one)?;
            table.row([
                word,
                set.as_str(),
                &plus_minus(&many.before),
                &plus_minus(&one),
                &plus_minus(&many.after),
                &points(&many.gain),
                many.word(),
            ]);
            record.insert(
                format!("{word}: {set}"),
                json!({ "plain": many.before, "one": one, "many": many.after, "difference": many.gain }),
            );
            match many.gain.side_of(0.0) {
                Ordering::Greater => helps.push(set),
                Ordering::Less => hurts.push(set),
                Ordering::Equal => open.push(set),
            }
        }
        let parts: Vec<String> = [
            ("helps", helps),
            ("hurts", hurts),
            ("makes no difference that can be told", open),
        ]
        .into_iter()
        .filter(|(_, sets)| !sets.is_empty())
        .map(|(effect, sets)| format!("{effect} on {}", sets.join(", ")))
        .collect();
        sentences.push(format!(
            "For the networks that were trained {word} augmentation, the mean of {} versions {}.",
            plan.copies,
            parts.join("; it ")
        ));
    }
    table.note("Differences: mean of the versions minus plain, seed by seed.");
    answer.table(table);
    answer.text(sentences.join(" "));
    logits(answer, plan, pairs)?;
    answer.number("at_inference", Value::Object(record));
    Ok(())
}

/// The mean of the logits next to the mean of the probabilities, where both were measured.
fn logits(answer: &mut Answer, plan: &Plan, pairs: &Pairs) -> Result<()> {
    let mut table = Table::new(format!("What is averaged over {} versions", plan.copies));
    table
        .header([
            "trained",
            "test images",
            "mean of probabilities",
            "mean of logits",
            "difference (points)",
        ])
        .align([Align::Left, Align::Left, Align::Right, Align::Right, Align::Right]);
    let mut measured = false;
    for (word, with) in [("without", false), ("with", true)] {
        let runs: Vec<&Outcome> = pairs.iter().map(|pair| if with { &pair.1 } else { &pair.0 }).collect();
        for (i, (set, _)) in plan.at_inference().into_iter().enumerate() {
            let both: Option<Vec<(f64, f64)>> = runs
                .iter()
                .map(|run| Some((run.at_inference[i].many, run.at_inference[i].of_logits?)))
                .collect();
            let Some(both) = both else { continue };
            measured = true;
            let effect = Effect::of(&both, |pair| pair.0, |pair| pair.1)?;
            let [probabilities, logits, difference, _] = effect.cells();
            table.row([word.to_string(), set, probabilities, logits, difference]);
        }
    }
    if measured {
        answer.table(table);
    }
    Ok(())
}

/// The confusion matrices of one pair, on the damage where augmentation changed most.
pub(super) fn mistakes(answer: &mut Answer, plan: &Plan, classes: &[String], pairs: &Pairs) -> Result<()> {
    let mut most: Option<(f64, Corruption, usize)> = None;
    for corruption in corrupt::ALL {
        let Some(place) = plan.place(corruption, SHOWN) else {
            continue;
        };
        let change = Effect::of_training(pairs, |outcome| outcome.damaged[place])?
            .gain
            .mean
            .abs();
        if most.is_none_or(|(largest, ..)| change > largest) {
            most = Some((change, corruption, place));
        }
    }
    let (Some((_, corruption, place)), Some((without, with)), Some(seed)) = (most, pairs.first(), plan.seeds.first())
    else {
        return Ok(());
    };
    answer.heading("Which classes are mistaken for which");
    for (word, outcome) in [("without", without), ("with", with)] {
        let counts = &outcome.confusion[place];
        let title = format!("Trained {word} augmentation, {} of severity {SHOWN}", name(corruption));
        let matrix = ConfusionMatrix::new(title, classes, counts.iter().map(|row| row.iter().copied()));
        let commonest = commonest_mistake(counts).map_or_else(
            || "There is no mistake.".to_string(),
            |(label, taken, times)| {
                format!(
                    "The commonest mistake: {} taken for {}, {times} times.",
                    classes[label], classes[taken]
                )
            },
        );
        answer.figure(matrix.figure(format!(
            "Seed {seed}, trained {word} augmentation on all images, tested on the damage where the two differ most ({}): {} \
             right. Rows are the true classes. {commonest}",
            name(corruption),
            percent(outcome.damaged[place], 1)
        )));
    }
    Ok(())
}

/// (true class, predicted class, times) of the largest count off the diagonal.
fn commonest_mistake(counts: &[Vec<u64>]) -> Option<(usize, usize, u64)> {
    let cells = counts
        .iter()
        .enumerate()
        .flat_map(|(label, row)| row.iter().enumerate().map(move |(taken, &times)| (label, taken, times)));
    cells
        .filter(|&(label, taken, times)| label != taken && times > 0)
        .max_by_key(|&(label, taken, times)| (times, std::cmp::Reverse((label, taken))))
}
