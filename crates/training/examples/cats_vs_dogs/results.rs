//! The results: the one place that looks at the test half.

use std::path::Path;

use datasets::{Dataset, Silent};
use optimizers_bench::Interval;
use rayon::prelude::*;
use training::{Samples, accuracy};

use crate::Result;
use crate::candidates::{CHOSEN, FIRST_CNN, FIRST_NETWORK};
use crate::training_run::{Recipe, mean, mirrored_probabilities, probabilities};

/// The answers of networks that differ in their seed.
struct Answers {
    /// Probabilities of each network for each test image.
    tables: Vec<Vec<Vec<f64>>>,
    labels: Vec<u32>,
}

impl Answers {
    /// Trains a network a seed on the training half and asks each for the test half.
    fn of(recipe: &Recipe, data: &Dataset, seeds: u64, mirror: bool) -> Result<Self> {
        let start = recipe.start(0)?;
        let train = Samples::for_network(&data.train, &start)?;
        let test = Samples::for_network(&data.test, &start)?;
        let ask = |seed| {
            let network = recipe.train(&train, seed)?;
            eprintln!("{}: seed {seed} is trained", recipe.name);
            if mirror {
                mirrored_probabilities(&network, &test)
            } else {
                probabilities(&network, &test)
            }
        };
        Ok(Answers {
            tables: (0..seeds).into_par_iter().map(ask).collect::<Result<_>>()?,
            labels: test.labels().to_vec(),
        })
    }

    /// Mean accuracy of a single network, with the lowest and the highest.
    fn single(&self) -> Result<String> {
        let percent: Vec<f64> = self
            .tables
            .iter()
            .map(|table| 100.0 * accuracy(table, &self.labels))
            .collect();
        let interval = Interval::student(&percent, 0.95)?;
        let (low, high) = percent
            .iter()
            .fold((f64::INFINITY, 0.0f64), |(low, high), &v| (low.min(v), high.max(v)));
        Ok(format!(
            "{:.2} ± {:.2} % | {low:.2} % .. {high:.2} %",
            interval.mean,
            interval.margin()
        ))
    }

    /// Accuracy of the mean of all networks' probabilities, and which images it has wrong.
    fn together(&self) -> String {
        let table = mean(&self.tables);
        let images = self.labels.len();
        let right = (accuracy(&table, &self.labels) * images as f64).round() as usize;
        let wrong: Vec<String> = (0..images)
            .filter(|&i| accuracy(&table[i..=i], &self.labels[i..=i]) < 1.0)
            .map(|i| i.to_string())
            .collect();
        let (low, high) = wilson(right, images);
        format!(
            "{right} of {images} = {:.2} % (95 % interval for images as these: {:.1} % .. {:.1} %); wrong: test images [{}]",
            100.0 * right as f64 / images as f64,
            100.0 * low,
            100.0 * high,
            wrong.join(", ")
        )
    }
}

/// Wilson's 95 % interval of a share: how far `right` of `of` may lie from the truth for want of images
/// (Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927).
fn wilson(right: usize, of: usize) -> (f64, f64) {
    const Z: f64 = 1.959_964;
    let (n, share) = (of as f64, right as f64 / of as f64);
    let middle = share + Z * Z / (2.0 * n);
    let margin = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    ((middle - margin) / scale, (middle + margin) / scale)
}

/// Prints the accuracies on the test half.
pub(crate) fn table(data: Option<&Path>, seeds: u64) -> Result<()> {
    let wavelets = datasets::load("cats-dogs", data, &mut Silent)?;
    let originals = datasets::load("cats-dogs-original", data, &mut Silent)?;
    let first = Answers::of(&FIRST_NETWORK, &wavelets, seeds, false)?;
    let cnn = Answers::of(&FIRST_CNN, &wavelets, seeds, false)?;
    let chosen = Answers::of(&CHOSEN, &originals, seeds, true)?;
    println!("| network | images | lecture | mean of {seeds} seeds, 95 % interval | lowest .. highest |");
    println!("|---|---|---|---|---|");
    println!(
        "| {} | wavelets, 32 x 32 | 83.75 % (Keras), 82.5 % (PyTorch) | {} |",
        FIRST_NETWORK.name,
        first.single()?
    );
    println!(
        "| {} | wavelets, 32 x 32 | 82.5 % | {} |",
        FIRST_CNN.name,
        cnn.single()?
    );
    println!(
        "| `cats_vs_dogs_originals`, from scratch | originals, 64 x 64 | 91.25 % (EfficientNet-B0, pretrained) | {} |",
        chosen.single()?
    );
    println!("\nAll {seeds} networks together (mean of their probabilities):\n");
    for (name, answers) in [
        (FIRST_NETWORK.name, &first),
        (FIRST_CNN.name, &cnn),
        ("`cats_vs_dogs_originals`", &chosen),
    ] {
        println!("* {name}: {}", answers.together());
    }
    Ok(())
}
