//! The choice, on the training half alone: repeated stratified cross-validation.
//!
//! Trained on four fifths of the 80 images, nearly every candidate has nearly every held-out image right, which does not
//! tell them apart. So the folds change roles: a network learns from *one* of four folds (10 + 10 images) and is measured
//! on the 60 images of the other three, as they are and "photographed otherwise" (turned, nearer, off the centre,
//! blurred, noisy, partly hidden), which asks for what a test half can ask for: faces that are not like those seen.

use std::path::Path;

use augmentation::{Pipeline, ValueRange};
use datasets::{Silent, Split};
use kernels::random::Stream;
use optimizers_bench::Interval;
use rayon::prelude::*;
use training::{Samples, accuracy};

use crate::Result;
use crate::candidates::{OTHERWISE, all};
use crate::training_run::{Recipe, mirrored_probabilities};

/// Parts of the training half.
const FOLDS: usize = 4;

/// How often each measured image is photographed otherwise.
const COPIES: u64 = 4;

/// The seed of the folds and of the measured images; trainings have those from 0 on.
const SEED: u64 = 6020;

/// Shares of right answers of one network on images that it did not learn from.
struct Measured {
    plain: f64,
    otherwise: f64,
}

/// Prints the accuracy of every candidate whose name contains `only`.
pub(crate) fn cross_validate(data: Option<&Path>, repeats: u64, only: &str) -> Result<()> {
    let half = datasets::load("cats-dogs-original", data, &mut Silent)?.train;
    println!(
        "Trained on one of {FOLDS} stratified folds of the training half, measured on the others, {repeats} repeats:\n\
         mean and 95 % interval over {} networks.\n",
        repeats * FOLDS as u64
    );
    println!("| candidate | held-out images | photographed otherwise | mean of both |\n|---|---|---|---|");
    for recipe in all().into_iter().filter(|recipe| recipe.name.contains(only)) {
        let runs: Vec<(u64, usize)> = (0..repeats)
            .flat_map(|repeat| (0..FOLDS).map(move |fold| (repeat, fold)))
            .collect();
        let measured = runs
            .into_par_iter()
            .map(|(repeat, fold)| measure(&recipe, &half, repeat, fold))
            .collect::<Result<Vec<_>>>()?;
        let column = |figure: fn(&Measured) -> f64| -> Result<String> {
            let values: Vec<f64> = measured.iter().map(|run| 100.0 * figure(run)).collect();
            let interval = Interval::student(&values, 0.95)?;
            Ok(format!("{:.1} ± {:.1} %", interval.mean, interval.margin()))
        };
        println!(
            "| {} | {} | {} | {} |",
            recipe.name,
            column(|run| run.plain)?,
            column(|run| run.otherwise)?,
            column(|run| (run.plain + run.otherwise) / 2.0)?
        );
    }
    Ok(())
}

/// Trains on one fold and measures on the others.
fn measure(recipe: &Recipe, half: &Split, repeat: u64, fold: usize) -> Result<Measured> {
    let seed = repeat * FOLDS as u64 + fold as u64;
    let images = Samples::for_network(half, &recipe.start(seed)?)?;
    let (inside, outside) = folds(&half.labels, repeat, fold);
    let network = recipe.train(&images.select(&inside), seed)?;
    let held_out = images.select(&outside);
    let right =
        |images: &Samples| -> Result<f64> { Ok(accuracy(&mirrored_probabilities(&network, images)?, images.labels())) };
    let pipeline = Pipeline::parse_for(OTHERWISE, ValueRange::UNIT)?;
    let mut otherwise = 0.0;
    for copy in 0..COPIES {
        otherwise += right(&held_out.augmented(&pipeline, SEED, copy)?)?;
    }
    Ok(Measured {
        plain: right(&held_out)?,
        otherwise: otherwise / COPIES as f64,
    })
}

/// The samples of a fold, and all others; each class is dealt out to the folds in an order of its own.
fn folds(labels: &[u32], repeat: u64, fold: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for class in 0..=labels.iter().copied().max().unwrap_or(0) {
        let mut members: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
        let stream = Stream::new(SEED).op("folds").epoch(repeat).sample(u64::from(class));
        stream.draws().shuffle(&mut members);
        for (at, member) in members.into_iter().enumerate() {
            if at % FOLDS == fold {
                inside.push(member);
            } else {
                outside.push(member);
            }
        }
    }
    inside.sort_unstable();
    outside.sort_unstable();
    (inside, outside)
}
