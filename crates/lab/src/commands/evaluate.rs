//! `lab evaluate`: how good a saved network is on the test images of a data set.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use augmentation::Pipeline;
use datasets::Dataset;
use models::Network;
use report::format::{count, number, percent};
use report::inline::escape;
use report::plot::ConfusionMatrix;
use report::{Align, Table};
use serde_json::{Value, json};
use training::{Averaged, Evaluation, Loss, Samples, predict_averaged_watched};

use super::train::{pipeline, saved_image_size};
use crate::cli::{DEFAULT_SEED, EvaluateArgs, Mean};
use crate::context::{Context, listen_for_interrupt, terminal};
use crate::progress::Measuring;

/// Samples of one step where nothing is learnt.
const INFERENCE_BATCH: usize = 256;

/// The matrix is drawn up to this many classes; beyond, it has more cells than anyone reads.
const MAX_CLASSES_SHOWN: usize = 20;

pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    let mut context = Context::at(&args.place)?;
    super::files::check_model_file(&args.model)?;
    let saved =
        persistence::load(&args.model, &context.device).map_err(|error| super::model::explained(error, &args.model))?;
    let trained_on = saved.metadata.training.as_ref().and_then(|state| state.data.clone());
    let trained_with = saved.metadata.training.as_ref().and_then(|state| state.augment.clone());
    context.data = context.data.or(trained_on);
    context.image_size = context.image_size.or_else(|| saved_image_size(&saved.metadata));
    if context.data.is_none() {
        bail!(
            "{} does not say which data it was trained on; name the data to measure it on with --data",
            args.model.display()
        );
    }
    listen_for_interrupt()?;
    let dataset = context.dataset_or("digits")?;
    check_classes(Some(&args.model), &saved.metadata.classes, &dataset)?;
    let network = saved.network;
    let samples = Samples::for_network(&dataset.test, &network)?;
    let bar = context.progress.measuring(samples.len());
    let measured = measure(&network, &samples, &bar)?;
    let views = match args.tta {
        Some(count) => Some(views(args, count, trained_with.as_deref(), (&network, &samples), &bar)?),
        None => None,
    };
    drop(bar);
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut record = record(&args.model, network.name(), &dataset, &measured);
        if let Some(views) = views {
            record["tta"] = views.record();
        }
        writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
    } else {
        write!(out, "{}", in_words(network.name(), &dataset, &measured))?;
        if let Some(views) = views {
            writeln!(out, "{}", views.in_words(samples.len()))?;
        }
    }
    Ok(())
}

/// The figures of a network on samples; the bar shows how far that is.
pub(super) fn measure(network: &Network, samples: &Samples, bar: &Measuring) -> Result<Evaluation> {
    let told = &mut |pass| bar.told(pass);
    training::evaluate_watched(network, samples, Loss::default(), INFERENCE_BATCH, told).map_err(stopped)
}

/// Says what Ctrl-C ended.
fn stopped(error: training::Error) -> anyhow::Error {
    match error {
        training::Error::Stopped { samples, of_samples } => anyhow!(
            "interrupted after {} of {} images were measured",
            count(samples),
            count(of_samples)
        ),
        error => error.into(),
    }
}

/// What the mean of several augmented views of each image comes to.
struct Views {
    count: usize,
    pipeline: Pipeline,
    mean: Averaged,
    seed: u64,
    measured: Evaluation,
}

fn views(
    args: &EvaluateArgs,
    count: usize,
    trained_with: Option<&str>,
    (network, samples): (&Network, &Samples),
    bar: &Measuring,
) -> Result<Views> {
    let Some(text) = args.augment.as_deref().or(trained_with) else {
        bail!(
            "--tta: {} was not trained with augmentation; say with --augment how the views shall differ, such as --augment \
             'flip(horizontal)'",
            args.model.display()
        );
    };
    // Views of an image are of this image alone.
    let alone = pipeline(text)?.map(|pipeline| pipeline.without_mixing());
    let Some(pipeline) = alone.filter(|pipeline| !pipeline.is_empty()) else {
        bail!("--augment '{text}' changes nothing; views must differ");
    };
    let mean = match args.mean {
        Some(Mean::Logits) => Averaged::Logits,
        Some(Mean::Probabilities) | None => Averaged::Probabilities,
    };
    let seed = args.seed.unwrap_or(DEFAULT_SEED);
    let (asked, told) = ((count, mean), &mut |pass| bar.told(pass));
    let rows = predict_averaged_watched(network, samples, &pipeline, asked, seed, INFERENCE_BATCH, told);
    let rows = rows.map_err(stopped)?;
    Ok(Views {
        count,
        pipeline,
        mean,
        seed,
        measured: Evaluation::of_probabilities(&rows, samples.labels()),
    })
}

impl Views {
    fn record(&self) -> Value {
        json!({
            "views": self.count,
            "pipeline": self.pipeline.to_string(),
            "mean": self.mean,
            "seed": self.seed,
            "loss": self.measured.loss,
            "accuracy": self.measured.accuracy,
            "confusion": self.measured.confusion,
        })
    }

    fn in_words(&self, samples: usize) -> String {
        let mean = match self.mean {
            Averaged::Probabilities => "probabilities",
            Averaged::Logits => "logits",
        };
        format!(
            "With the mean of the {mean} of {} views ({}): accuracy {} ({} of {}), loss {}",
            self.count,
            self.pipeline,
            percent(self.measured.accuracy, 2),
            count((self.measured.accuracy * samples as f64).round() as usize),
            count(samples),
            number(self.measured.loss, 4)
        )
    }
}

/// Refuses data whose classes are not those that the network was trained for, in their order.
pub(super) fn check_classes(file: Option<&Path>, saved: &[String], dataset: &Dataset) -> Result<()> {
    if saved.is_empty() || saved == dataset.classes {
        return Ok(());
    }
    let file = file.map_or_else(|| "the file".to_string(), |file| file.display().to_string());
    bail!(
        "{file} was trained for the classes {}, the data set {} has the classes {}; use the data that it was trained for",
        listed(saved),
        dataset.name,
        listed(&dataset.classes)
    )
}

/// The first names of a list.
fn listed(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(12).map(|name| format!("'{name}'")).collect();
    let more = names.len().saturating_sub(first.len());
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", first.join(", "))
}

fn record(file: &Path, network: &str, dataset: &Dataset, measured: &Evaluation) -> Value {
    let names = names(dataset, measured);
    let per_class: Vec<Value> = names
        .iter()
        .zip(measured.per_class())
        .map(|(name, figures)| {
            let mut entry = json!(figures);
            entry["class"] = json!(name);
            entry
        })
        .collect();
    json!({
        "file": file,
        "model": network,
        "data": dataset.name,
        "samples": measured.predictions.len(),
        "loss": measured.loss,
        "accuracy": measured.accuracy,
        "classes": names,
        "confusion": measured.confusion,
        "per_class": per_class,
    })
}

fn in_words(network: &str, dataset: &Dataset, measured: &Evaluation) -> String {
    let (width, color) = terminal();
    let names = names(dataset, measured);
    let samples = measured.predictions.len();
    let mut text = format!(
        "{network} on the test images of {}: accuracy {} ({} of {}), loss {}\n\n",
        dataset.name,
        percent(measured.accuracy, 2),
        count((measured.accuracy * samples as f64).round() as usize),
        count(samples),
        number(measured.loss, 4)
    );
    if names.len() <= MAX_CLASSES_SHOWN {
        let matrix = ConfusionMatrix::new("Confusion matrix", names.iter(), measured.confusion.clone());
        text += &format!("{}\n\n", matrix.to_terminal(width));
    }
    let mut table = Table::new("Per class");
    table
        .header(["class", "images", "predicted", "precision", "recall", "F1"])
        .align([Align::Left].into_iter().chain([Align::Right; 5]));
    for (name, figures) in names.iter().zip(measured.per_class()) {
        let share = |share: Option<f64>| share.map_or_else(|| "–".to_string(), |share| percent(share, 1));
        table.row([
            escape(name),
            nn_theory::with_separators(figures.support),
            nn_theory::with_separators(figures.predicted),
            share(figures.precision),
            share(figures.recall),
            share(figures.f1),
        ]);
    }
    table.note("Precision: share of the images taken for the class that are of it. Recall: share of its images that were recognised.");
    text + &report::terminal::table(&table, width, color) + "\n"
}

/// A name for every output: those of the data set, and numbers where the network has more outputs.
fn names(dataset: &Dataset, measured: &Evaluation) -> Vec<String> {
    (0..measured.confusion.len())
        .map(|class| dataset.classes.get(class).cloned().unwrap_or_else(|| class.to_string()))
        .collect()
}
