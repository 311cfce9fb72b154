//! The whole study: each step of the pipeline alone, and training sets from a tenth to all of the images.

use anyhow::Result;
use augmentation::Pipeline;
use augmentation::corrupt::Corruption;
use report::format::{count, number, percent};
use report::plot::LineChart;
use report::{Align, Answer, Table};
use serde_json::{Value, json};

use super::damage::mean_where;
use super::effect::{Effect, over_seeds, plus_minus};
use super::fitting::gap;
use super::recipe::Recipe;
use super::trial::{Amount, Job, Outcome, Pairs, Plan};
use crate::context::Context;

/// Parts of the training images, besides all of them.
const SHARES: [f64; 4] = [0.1, 0.2, 0.4, 0.7];

pub(super) fn tell(
    answer: &mut Answer,
    context: &Context,
    plan: &Plan,
    recipe: &Recipe,
    outcomes: &[Pairs],
) -> Result<()> {
    let (Some(all), Some(pairs)) = (plan.amounts.first(), outcomes.first()) else {
        return Ok(());
    };
    if !context.full {
        answer.note(
            "Each step alone, and training sets of a tenth to all of the images, take several times as long: `lab exercise 5 \
             --full` adds them.",
        );
        return Ok(());
    }
    singles(answer, context, plan, recipe, all, pairs)?;
    sizes(answer, context, plan, all, pairs)
}

/// A name, and the accuracy of a network on a kind of test sets.
type Figure<'a> = (&'static str, Box<dyn Fn(&Outcome) -> f64 + 'a>);

/// What a row of the table says of a network.
fn figures<'a>(plan: &'a Plan, recipe: &'a Recipe) -> [Figure<'a>; 3] {
    let of = move |covered: bool| {
        move |outcome: &Outcome| mean_where(plan, outcome, |kind: Corruption, _| recipe.covers(kind) == covered)
    };
    [
        ("clean", Box::new(|outcome: &Outcome| outcome.test)),
        ("kinds of the pipeline", Box::new(of(true))),
        ("other kinds", Box::new(of(false))),
    ]
}

fn singles(
    answer: &mut Answer,
    context: &Context,
    plan: &Plan,
    recipe: &Recipe,
    all: &Amount,
    pairs: &Pairs,
) -> Result<()> {
    answer.heading("Each step alone");
    answer.text(
        "Which step of the pipeline does what? Networks from the same starts learn from all images with one step of the \
         pipeline only. Differences are taken seed by seed to the networks without augmentation.",
    );
    let steps = recipe.singles()?;
    let jobs: Vec<Job<'_>> = steps
        .iter()
        .flat_map(|(_, pipeline)| plan.seeds.iter().map(|&seed| Job::new(all, seed, Some(pipeline))))
        .collect();
    let mut trained = plan.train_all(context, "each step alone", &jobs)?.into_iter();
    let mut rows: Vec<(String, Vec<Outcome>)> = Vec::new();
    for (name, _) in &steps {
        rows.push((name.clone(), trained.by_ref().take(plan.seeds.len()).collect()));
    }
    let mut table = Table::new(format!(
        "Accuracy after learning from {} images with one step only",
        count(all.train.len())
    ));
    table
        .header([
            "augmentation",
            "clean",
            "difference (points)",
            "kinds of the pipeline",
            "difference (points)",
            "other kinds",
            "difference (points)",
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
    let kinds = figures(plan, recipe);
    let mut none = vec!["none".to_string()];
    for (_, figure) in &kinds {
        none.push(plus_minus(&over_seeds(pairs, false, |outcome| figure(outcome))?));
        none.push(String::new());
    }
    table.row(none);
    let mut record = serde_json::Map::new();
    let whole: Vec<(String, Vec<&Outcome>)> = rows
        .iter()
        .map(|(name, runs)| (format!("`{name}`"), runs.iter().collect()))
        .chain([(
            "the whole pipeline".to_string(),
            pairs.iter().map(|pair| &pair.1).collect(),
        )])
        .collect();
    for (name, runs) in &whole {
        let mut cells = vec![name.clone()];
        let mut of_row = serde_json::Map::new();
        for (kind, figure) in &kinds {
            let both: Vec<(f64, f64)> = pairs
                .iter()
                .zip(runs)
                .map(|(pair, run)| (figure(&pair.0), figure(run)))
                .collect();
            let effect = Effect::of(&both, |pair| pair.0, |pair| pair.1)?;
            let [_, after, difference, _] = effect.cells();
            cells.extend([after, difference]);
            of_row.insert((*kind).to_string(), effect.json());
        }
        table.row(cells);
        record.insert(name.trim_matches('`').to_string(), Value::Object(of_row));
    }
    table.note("The kinds of damage are those of the table above, the mean over all severities.");
    answer.table(table);
    answer.number("each_step_alone", Value::Object(record));
    Ok(())
}

fn sizes(answer: &mut Answer, context: &Context, plan: &Plan, all: &Amount, pairs: &Pairs) -> Result<()> {
    answer.heading("From a tenth to all of the images");
    answer.text(
        "Is augmentation as good as more images? Networks learn from a part of the images, drawn at random, for about as many \
         steps, with and without the pipeline.",
    );
    let mut amounts = Vec::new();
    for share in SHARES {
        let (_, part) = all.train.split(share, plan.seed)?;
        let epochs = all.epochs * all.train.len() / part.len().max(1);
        amounts.push(Amount { train: part, epochs });
    }
    let jobs: Vec<Job<'_>> = amounts
        .iter()
        .flat_map(|amount| {
            plan.seeds.iter().flat_map(move |&seed| {
                [None, Some(&plan.pipeline)].map(|pipeline: Option<&Pipeline>| Job::new(amount, seed, pipeline))
            })
        })
        .collect();
    let mut trained = plan.train_all(context, "parts of the images", &jobs)?.into_iter();
    let mut points: Vec<(usize, Pairs)> = Vec::new();
    for amount in &amounts {
        let of_amount = (0..plan.seeds.len()).map_while(|_| Some((trained.next()?, trained.next()?)));
        points.push((amount.train.len(), of_amount.collect()));
    }
    let measured: Vec<(usize, &Pairs)> = points
        .iter()
        .map(|(images, pairs)| (*images, pairs))
        .chain([(all.train.len(), pairs)])
        .collect();
    let mut chart = LineChart::new("Test accuracy by the number of training images");
    chart.description(
        "Accuracy on clean test images against the number of training images, with and without augmentation.",
    );
    chart.x_axis("training images").y_axis("test accuracy");
    let mut table = Table::new("Accuracy on clean test images, and what is lost from training to test images");
    table
        .header([
            "images",
            "share",
            "without",
            "with",
            "difference (points)",
            "gap without",
            "gap with",
        ])
        .align([Align::Right; 7]);
    let mut lines = [Vec::new(), Vec::new()];
    let mut record = Vec::new();
    for (images, pairs) in &measured {
        let effect = Effect::of_training(pairs, |outcome| outcome.test)?;
        let gaps = Effect::of_training(pairs, gap)?;
        for (line, interval) in lines.iter_mut().zip([&effect.before, &effect.after]) {
            line.push((
                *images as f64,
                interval.mean,
                interval.lower.max(0.0),
                interval.upper.min(1.0),
            ));
        }
        let [without, with, difference, _] = effect.cells();
        let points = |mean: f64| number(mean * 100.0, 1);
        table.row([
            count(*images),
            percent(*images as f64 / all.train.len() as f64, 0),
            without,
            with,
            difference,
            points(gaps.before.mean),
            points(gaps.after.mean),
        ]);
        record.push(json!({ "images": images, "clean": effect.json(), "gap": gaps.json() }));
    }
    for (word, line) in ["without", "with"].into_iter().zip(lines) {
        chart.band(word, line);
    }
    table.note("Gap: accuracy on the unchanged training images minus that on the test images, in percentage points.");
    answer.table(table);
    answer.figure(chart.figure("Mean over the seeds with its 95 % interval, cut off at 0 and 1."));
    answer.number("by_training_images", Value::Array(record));
    Ok(())
}
