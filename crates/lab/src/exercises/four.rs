//! Exercise 4: is a network that was saved and loaded the same network?

mod contents;
mod formats;
mod precision;
mod resume;

use anyhow::{Context as _, Result, ensure};
use candle_core::{DType, Device};
use datasets::Dataset;
use models::{Network, zoo};
use nn_theory::ModelSpec;
use optimizers::Optimizer;
use persistence::{Contents, Difference, Metadata, Precision, Preprocessing, weight_differences};
use report::format::{bytes, count, percent, significant};
use report::{Align, Answer, Table};
use serde_json::{Value, json};
use training::{OnEpochEnd, Samples, Trainer, predict};

use super::data::{describe, subset};
use crate::context::Context;

/// Samples of one inference step.
const BATCH: usize = 256;

/// Test images on which number formats and trainings are compared.
const SAMPLE: usize = 2_000;

/// A network, its data and how long it is trained.
struct Task {
    spec: ModelSpec,
    train: Samples,
    test: Samples,
    /// The first test images, for what need not be measured on all of them.
    sample: Samples,
    classes: Vec<String>,
    /// Epochs before the interruption, and in all.
    interrupted_after: usize,
    epochs: usize,
    batch_size: usize,
}

pub(super) fn answer(context: &Context, answer: &mut Answer) -> Result<()> {
    let dataset = context.dataset_or("digits")?;
    answer.text(
        "The question: a trained network is saved, and loaded again. Does it still give the same answers? The test is the \
         strictest there is: every weight and every output, compared bit by bit.",
    );
    describe(&dataset, answer);
    let task = task(context, &dataset)?;
    let folder =
        tempfile::tempdir().context("no folder for temporary files; set TMPDIR to one that can be written to")?;

    let bar = context.progress.bar("training", resume::epochs(&task) as u64);
    let mut network = task.fresh(context.seed, &context.device)?;
    let history = task.fit(context, &mut network, &mut adam()?, &mut OnEpochEnd(|_: &_| bar.inc(1)))?;
    let resumed = resume::run(context, &task, folder.path(), &bar);
    bar.finish_and_clear();
    let resumed = resumed?;

    let measured = Measured::new(&network, &task.test)?;
    answer.text(format!(
        "The network *{}* with {} parameters was trained for {} epochs with Adam and is right on {} of the {} test images.",
        task.spec.name(),
        report::format::integer(i128::from(task.spec.counts().total)),
        history.epochs.len(),
        percent(measured.accuracy, 2),
        count(task.test.len())
    ));
    let saved = Saved {
        path: folder.path().join("model.safetensors"),
        network: &network,
        measured: &measured,
        metadata: Metadata {
            classes: task.classes.clone(),
            preprocessing: Some(Preprocessing::unit(dataset.shape())),
            ..Metadata::default()
        },
    };
    let restored = round_trip(context, answer, &task, &saved)?;
    contents::describe(answer, &saved, resumed.checkpoint_bytes())?;
    let half = precision::compare(context, answer, &task, &saved)?;
    formats::compare(context, answer, &task, &saved)?;
    let exact = resume::describe(context, answer, &task, &network, &history, &resumed)?;
    contents::damage(answer, &saved)?;
    verdict(answer, &task, &restored, &half, exact);
    Ok(())
}

/// The lecture's network where there are two classes, else a small convolutional network.
fn task(context: &Context, dataset: &Dataset) -> Result<Task> {
    let [height, width, channels] = dataset.shape().map(|size| size as u64);
    let (spec, (interrupted_after, epochs), batch_size, most) = if dataset.classes.len() == 2 {
        let spec = zoo::lecture_network("cats_vs_dogs", height * width * channels)?;
        (spec, context.pick((40, 60), (4, 6)), 8, usize::MAX)
    } else {
        let spec = zoo::small_cnn("small_cnn", [height, width, channels], dataset.classes.len())?;
        // A step takes as long as the images have pixels; larger ones get fewer steps.
        if height * width * channels <= 256 {
            (spec, context.pick((12, 18), (3, 5)), 32, context.pick(2_000, 400))
        } else {
            (spec, context.pick((4, 6), (1, 2)), 32, context.pick(1_000, 200))
        }
    };
    let shapes = Network::new(spec.clone(), context.seed, &Device::Cpu, DType::F32)?;
    let test = subset(&dataset.test, context.pick(usize::MAX, 500), context.seed);
    Ok(Task {
        train: Samples::for_network(&subset(&dataset.train, most, context.seed), &shapes)?,
        sample: Samples::for_network(&test.first(SAMPLE), &shapes)?,
        test: Samples::for_network(&test, &shapes)?,
        spec,
        classes: dataset.classes.clone(),
        interrupted_after,
        epochs,
        batch_size,
    })
}

fn adam() -> Result<Optimizer> {
    Ok(Optimizer::by_name("adam")?)
}

impl Task {
    fn fresh(&self, seed: u64, device: &Device) -> Result<Network> {
        Ok(Network::new(self.spec.clone(), seed, device, DType::F32)?)
    }

    fn trainer<'a>(&self, context: &Context) -> Trainer<'a> {
        Trainer::new()
            .epochs(self.epochs)
            .batch_size(self.batch_size)
            .seed(context.seed)
            .interrupt(context.interrupt())
    }

    fn fit(
        &self,
        context: &Context,
        network: &mut Network,
        optimizer: &mut Optimizer,
        progress: &mut dyn training::Callback,
    ) -> Result<training::History> {
        let history = self
            .trainer(context)
            .callback(progress)
            .fit(network, optimizer, &self.train)?;
        context.check_interrupt()?;
        Ok(history)
    }
}

/// What a network says about images.
struct Measured {
    /// One row of outputs after the other.
    logits: Vec<f64>,
    predictions: Vec<u32>,
    /// Distance from the largest output of each image to the second largest.
    margins: Vec<f64>,
    accuracy: f64,
}

impl Measured {
    fn new(network: &Network, samples: &Samples) -> Result<Self> {
        let rows = predict(network, samples, BATCH)?;
        let mut predictions = Vec::with_capacity(rows.len());
        let mut margins = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            predictions.push(order.first().map_or(0, |&class| class as u32));
            margins.push(match order[..] {
                [first, second, ..] => row[first] - row[second],
                _ => f64::INFINITY,
            });
        }
        Ok(Measured {
            logits: rows.into_iter().flatten().collect(),
            accuracy: share_right(&predictions, samples),
            predictions,
            margins,
        })
    }

    /// The same of the first images only.
    fn first(&self, samples: &Samples) -> Self {
        let images = samples.len().min(self.predictions.len());
        let outputs = self.logits.len() / self.predictions.len().max(1);
        let predictions = self.predictions[..images].to_vec();
        Measured {
            logits: self.logits[..images * outputs].to_vec(),
            margins: self.margins[..images].to_vec(),
            accuracy: share_right(&predictions, samples),
            predictions,
        }
    }
}

/// Share of the samples whose prediction is their label.
fn share_right(predictions: &[u32], samples: &Samples) -> f64 {
    let pairs = predictions.iter().zip(samples.labels());
    let right = pairs.filter(|(prediction, label)| prediction == label).count();
    right as f64 / samples.len().max(1) as f64
}

/// A trained network, how it does, and where it is saved.
struct Saved<'a> {
    path: std::path::PathBuf,
    network: &'a Network,
    measured: &'a Measured,
    metadata: Metadata,
}

impl Saved<'_> {
    fn save(&self, path: &std::path::Path, precision: Precision) -> Result<u64> {
        let contents = Contents {
            network: self.network,
            optimizer: None,
            metadata: &self.metadata,
        };
        Ok(persistence::save(path, &contents, precision)?)
    }
}

/// Another network against the one that was saved.
struct Comparison {
    name: &'static str,
    weights: Difference,
    logits: Difference,
    /// Images whose predicted class is another one.
    other_predictions: usize,
    accuracy: f64,
}

impl Comparison {
    fn new(
        name: &'static str,
        saved: &Network,
        expected: &Measured,
        other: &Network,
        found: &Measured,
    ) -> Result<Self> {
        let pairs = expected.predictions.iter().zip(&found.predictions);
        Ok(Comparison {
            name,
            weights: all_weights(saved, other)?,
            logits: Difference::between(&expected.logits, &found.logits),
            other_predictions: pairs.filter(|(a, b)| a != b).count(),
            accuracy: found.accuracy,
        })
    }

    fn json(&self) -> Value {
        json!({
            "weights": difference(&self.weights),
            "logits": difference(&self.logits),
            "other_predictions": self.other_predictions,
            "accuracy": self.accuracy,
        })
    }
}

fn all_weights(left: &Network, right: &Network) -> Result<Difference> {
    let each = weight_differences(left, right)?;
    Ok(each
        .into_iter()
        .fold(Difference::default(), |all, (_, part)| all.and(part)))
}

fn difference(difference: &Difference) -> Value {
    json!({
        "values": difference.values,
        "equal": difference.equal,
        "largest": difference.largest,
        "mean": difference.mean,
    })
}

fn equal_of(difference: &Difference) -> String {
    format!("{} of {}", count(difference.equal), count(difference.values))
}

/// Saves, loads, compares; fails where a single bit differs.
fn round_trip(context: &Context, answer: &mut Answer, task: &Task, saved: &Saved<'_>) -> Result<Comparison> {
    let size = saved.save(&saved.path, Precision::F32)?;
    let other_seed = context.seed.wrapping_add(1);
    let fresh = task.fresh(other_seed, &context.device)?;
    let loaded = persistence::load(&saved.path, &context.device)?;
    let compare = |name, other: &Network| {
        let found = Measured::new(other, &task.test)?;
        Comparison::new(name, saved.network, saved.measured, other, &found)
    };
    let fresh = compare("new, other seed", &fresh)?;
    let restored = compare("loaded", &loaded.network)?;

    answer.heading("Saved, loaded, compared");
    answer.text(format!(
        "The network goes into one file of {}. For the comparison, a second network of the same description is made from seed \
         {other_seed}: it shows what two networks look like that have nothing to do with each other but their shapes. Then the file \
         is loaded, as a new process would do it: all that is known of the network is what the file says.",
        bytes(size)
    ));
    let mut table = Table::new("Against the network that was saved");
    table.header(["", fresh.name, restored.name]);
    table.align([Align::Left, Align::Right, Align::Right]);
    let mut row = |what: &str, cell: &dyn Fn(&Comparison) -> String| {
        table.row([what.to_string(), cell(&fresh), cell(&restored)]);
    };
    row("weights with the same bits", &|c| equal_of(&c.weights));
    row("largest difference of a weight", &|c| significant(c.weights.largest, 3));
    row("outputs with the same bits", &|c| equal_of(&c.logits));
    row("largest difference of an output", &|c| significant(c.logits.largest, 3));
    row("images that get another class", &|c| {
        format!("{} of {}", count(c.other_predictions), count(task.test.len()))
    });
    row("accuracy on the test images", &|c| percent(c.accuracy, 2));
    table.note(format!(
        "The saved network itself has an accuracy of {}. Outputs are logits, {} of them for each test image.",
        percent(saved.measured.accuracy, 2),
        task.classes.len()
    ));
    answer.table(table);
    ensure!(
        restored.weights.is_none() && restored.logits.is_none() && restored.other_predictions == 0,
        "the loaded network is another one: {} weights and {} outputs have the same bits, the largest difference is {:e}",
        equal_of(&restored.weights),
        equal_of(&restored.logits),
        restored.logits.largest.max(restored.weights.largest)
    );
    ensure!(
        loaded.metadata == saved.metadata
            && loaded.network.spec().to_keras_json() == saved.network.spec().to_keras_json(),
        "the loaded network has another description or other classes than the saved one"
    );
    answer.formula(
        r"\max_{i,c} \left| z_{ic}^{\text{saved}} - z_{ic}^{\text{loaded}} \right| = 0",
        "max |z(saved) − z(loaded)| = 0   over all test images and classes",
    );
    answer.text(
        "It has to be so, and for two reasons. The file holds the 4 bytes of each `float32` as they are; nothing is rounded or \
         printed as a decimal number on the way. And inference is a function of weights and inputs: dropout passes everything \
         on, and the sums within a layer are added up in the same order every time. A program \
         that adds in another order (another device, another library) may give other last digits from the same file.",
    );
    answer
        .number("file_bytes", size)
        .number("fresh", fresh.json())
        .number("loaded", restored.json())
        .number("accuracy", saved.measured.accuracy)
        .setting("epochs", task.epochs)
        .setting("batch_size", task.batch_size)
        .setting("train_samples", task.train.len())
        .setting("test_samples", task.test.len());
    Ok(restored)
}

fn verdict(answer: &mut Answer, task: &Task, restored: &Comparison, half: &[precision::Row], resumed_exactly: bool) {
    let mut text = format!(
        "No, inference is not any different: {} weights and {} outputs have the same bits before and after, the largest difference \
         is {}, and all {} test images get the same class.",
        equal_of(&restored.weights),
        equal_of(&restored.logits),
        significant(restored.logits.largest, 3),
        count(task.test.len())
    );
    let mut headline = format!("loaded = saved to the bit ({} outputs)", count(restored.logits.equal));
    if let Some(f16) = half.iter().find(|row| row.precision == Precision::F16) {
        text += &format!(
            " In {} the file has {} of the size; the outputs move by at most {}, and {} of {} images get another class.",
            f16.precision,
            percent(f16.size_ratio, 0),
            significant(f16.comparison.logits.largest, 2),
            f16.comparison.other_predictions,
            count(task.sample.len())
        );
        headline += &format!(
            "; {}: outputs move ≤ {}, {} of {} classes differ",
            f16.precision,
            significant(f16.comparison.logits.largest, 2),
            f16.comparison.other_predictions,
            count(task.sample.len())
        );
    }
    text += if resumed_exactly {
        " Training that goes on from a checkpoint ends with the same bits as training without a break."
    } else {
        " Training that goes on from a checkpoint does not end with the same bits as training without a break."
    };
    answer.result(text);
    answer.headline(headline);
}
