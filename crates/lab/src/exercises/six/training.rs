//! The network with nothing but the derived formulas, on real images.

use anyhow::{Context as _, Result, bail};
use backprop::autograd::{SideBySide, side_by_side};
use backprop::by_hand::{Epoch, Forward, Network, Samples, TrainOptions};
use backprop::check::EXACT;
use datasets::{Dataset, Split};
use kernels::random::Stream;
use optimizers_bench::Interval;
use report::format::{count, number, percent, percent_plus_minus, scientific, significant};
use report::inline::escape;
use report::{Align, Answer, Table};
use serde_json::json;

use super::super::data::{subset, two_classes};
use super::pictures;
use crate::context::Context;

/// The lecture's network: so many neurons between the pixels and the classes.
const HIDDEN: usize = 2;
const CLASSES: usize = 2;
const BATCH: usize = 8;
/// With the ½ of the loss this is the lecture's 0.01.
const LEARNING_RATE: f64 = 0.02;
/// The lecture's epochs.
const EPOCHS: usize = 130;
/// Images to learn from and to test on, at most; the embedded digits and the cats and dogs have fewer.
const IMAGES: [usize; 2] = [400, 2000];
/// Pixels that a training may read, all epochs together, in the full and in the quick version: larger images get fewer
/// epochs, so that it stays a matter of seconds.
const PIXELS: [usize; 2] = [60_000_000, 12_000_000];
/// How far two losses may be apart. Rounding grows along a training, a wrong derivative shows at once and much larger.
const DRIFT: f64 = 1e-6;
/// The lecture's share of right test images, of one training of its network with biases.
const LECTURE_ACCURACY: f64 = 0.8375;

/// Images as rows of numbers in 0..=1, with their classes.
pub(super) struct Part {
    inputs: Vec<f64>,
    labels: Vec<usize>,
}

impl Part {
    /// At most `most` of them, drawn so that images in the order of their classes do no harm.
    fn new(split: &Split, most: usize, seed: u64) -> Self {
        let split = subset(split, most, seed);
        Part {
            inputs: split.images.to_f32().into_iter().map(f64::from).collect(),
            labels: split.labels.iter().map(|&label| label as usize).collect(),
        }
    }

    fn samples(&self) -> Samples<'_> {
        Samples {
            inputs: &self.inputs,
            labels: &self.labels,
        }
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    /// Each image's pixels.
    pub(super) fn images(&self) -> impl Iterator<Item = &[f64]> {
        self.inputs.chunks(self.inputs.len() / self.len().max(1))
    }

    /// Each image's class.
    pub(super) fn labels(&self) -> &[usize] {
        &self.labels
    }
}

/// One training.
struct Run {
    seed: u64,
    history: Vec<Epoch>,
    network: Network,
    train: Epoch,
    test: Epoch,
}

pub(super) fn show(context: &Context, answer: &mut Answer) -> Result<Interval> {
    answer.heading("Trained with nothing but these formulas");
    let dataset = two_classes(context, answer)?;
    let train = Part::new(&dataset.train, IMAGES[0], context.seed);
    let test = Part::new(&dataset.test, IMAGES[1], context.seed);
    if train.len() == 0 || test.len() == 0 {
        bail!(
            "{} has no images of these classes to train on or to test on",
            dataset.name
        );
    }
    let pixels = dataset.train.images.image_len();
    let options = TrainOptions {
        learning_rate: LEARNING_RATE,
        epochs: epochs(context, pixels * train.len()),
        batch_size: BATCH,
    };
    protocol(answer, &train, &test, pixels, options);

    let seeds = context.pick(10, 4);
    let bar = context.progress.bar("training by hand", seeds);
    let mut runs = Vec::new();
    for n in 0..seeds {
        context.check_interrupt()?;
        runs.push(run(context.seed.wrapping_add(n), &train, &test, pixels, options)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let first = runs.first().context("there is no seed")?;
    let compared = compare(first.seed, &train, pixels, options.epochs.min(context.pick(30, 4)))?;
    context.check_interrupt()?;

    twice(answer, &compared, &runs, &train)?;
    let accuracy = results(answer, &runs, test.len())?;
    if dataset.name == "cats-dogs" {
        lecture(answer, &runs, &accuracy, &train, &test, options);
    }
    look_inside(answer, first, &dataset, &train, &test)?;
    numbers(answer, &runs, &accuracy, &compared);
    Ok(accuracy)
}

/// How often a training goes through images of so many pixels in all.
fn epochs(context: &Context, pixels: usize) -> usize {
    let [full, quick] = PIXELS;
    let affordable = context.pick(full, quick) / pixels.max(1);
    context.pick(EPOCHS, 40).min(affordable.max(1))
}

/// Every training draws its weights and its order of images from its own seed.
fn start(seed: u64, pixels: usize) -> Result<Network> {
    let mut draws = Stream::new(seed).op("weights").draws();
    Ok(Network::glorot(pixels, HIDDEN, CLASSES, || draws.uniform())?)
}

fn order(seed: u64, epoch: usize, images: usize) -> Vec<usize> {
    Stream::new(seed)
        .op("shuffle")
        .epoch(epoch as u64)
        .draws()
        .permutation(images)
}

fn run(seed: u64, train: &Part, test: &Part, pixels: usize, options: TrainOptions) -> Result<Run> {
    let mut network = start(seed, pixels)?;
    let history = network.train(train.samples(), options, |epoch| order(seed, epoch, train.len()))?;
    Ok(Run {
        seed,
        history,
        train: network.evaluate(train.samples())?,
        test: network.evaluate(test.samples())?,
        network,
    })
}

/// The first epochs once more, with candle's autograd beside the derived formulas.
fn compare(seed: u64, train: &Part, pixels: usize, epochs: usize) -> Result<SideBySide> {
    let steps = train.len().div_ceil(BATCH);
    let mut images = Vec::new();
    let compared = side_by_side(
        &start(seed, pixels)?,
        train.samples(),
        epochs * steps,
        LEARNING_RATE,
        |step| {
            if step % steps == 0 {
                images = order(seed, step / steps, train.len());
            }
            images.chunks(BATCH).nth(step % steps).unwrap_or_default().to_vec()
        },
    )?;
    let worst = compared.worst_loss_difference.max(compared.worst_gradient_difference);
    if worst > DRIFT {
        bail!(
            "candle's autograd and the derived formulas train differently: losses differ by {:.1e}, gradients by {:.1e} (allowed: {DRIFT:e})",
            compared.worst_loss_difference,
            compared.worst_gradient_difference
        );
    }
    Ok(compared)
}

fn protocol(answer: &mut Answer, train: &Part, test: &Part, pixels: usize, options: TrainOptions) {
    answer.text(format!(
        "The network has {} pixels, scaled to 0..1, as inputs, {HIDDEN} hidden neurons and {CLASSES} classes: {} weights, no \
         biases. They start as Glorot proposes and follow plain gradient descent on {} images, {BATCH} a step, {} times \
         through all of them, with the learning rate {} ({} of the usual cross-entropy without the ½). No framework \
         takes part: forward pass, gradients and steps are the formulas above. {} other images are for the test.",
        count(pixels),
        count(HIDDEN * (pixels + CLASSES)),
        count(train.len()),
        options.epochs,
        significant(options.learning_rate, 1),
        significant(options.learning_rate / 2.0, 1),
        count(test.len()),
    ));
    answer
        .setting("hidden", HIDDEN)
        .setting("epochs", options.epochs)
        .setting("batch_size", options.batch_size)
        .setting("learning_rate", options.learning_rate)
        .setting("images", train.len())
        .setting("test_images", test.len());
}

/// By hand and by candle: the same training twice.
fn twice(answer: &mut Answer, compared: &SideBySide, runs: &[Run], train: &Part) -> Result<()> {
    let steps = train.len().div_ceil(BATCH);
    answer.text(format!(
        "The same start, the same batches, once with the derived formulas and once with candle's autograd: over {} steps \
         the losses differ by {} at most, the gradients by {} of their largest entry. That is rounding{}.",
        count(compared.losses_by_hand.len()),
        scientific(compared.worst_loss_difference, 1),
        scientific(compared.worst_gradient_difference, 1),
        if compared.worst_gradient_difference > EXACT {
            ", which the training amplifies"
        } else {
            ""
        }
    ));
    let candle: Vec<f64> = compared
        .losses_autograd
        .chunks(steps)
        .map(|losses| epoch_mean(losses, train.len()))
        .collect();
    let histories: Vec<&[Epoch]> = runs.iter().map(|run| run.history.as_slice()).collect();
    answer.figure(pictures::learning_curves(&histories, &candle));
    Ok(())
}

/// The mean loss of an epoch from the losses of its steps; the last batch may be smaller.
fn epoch_mean(losses: &[f64], images: usize) -> f64 {
    let sum: f64 = losses
        .iter()
        .enumerate()
        .map(|(step, loss)| loss * BATCH.min(images - step * BATCH) as f64)
        .sum();
    sum / images as f64
}

fn results(answer: &mut Answer, runs: &[Run], test: usize) -> Result<Interval> {
    let of = |part: fn(&Run) -> f64| runs.iter().map(part).collect::<Vec<f64>>();
    let accuracy = Interval::student(&of(|run| run.test.accuracy), 0.95)?;
    let trained = Interval::student(&of(|run| run.train.accuracy), 0.95)?;
    let mut table = Table::new("Every training");
    table
        .header([
            "seed",
            "loss at the end",
            "training images right",
            "test loss",
            "test images right",
        ])
        .align([Align::Right; 5]);
    for run in runs {
        table.row([
            run.seed.to_string(),
            number(run.train.loss, 4),
            percent(run.train.accuracy, 1),
            number(run.test.loss, 4),
            percent(run.test.accuracy, 2),
        ]);
    }
    table.row([
        "mean".to_string(),
        String::new(),
        percent_plus_minus(trained.mean, trained.margin(), 1),
        String::new(),
        percent_plus_minus(accuracy.mean, accuracy.margin(), 1),
    ]);
    table.note("± is half of the 95 % interval of the mean over the seeds (Student).");
    answer.table(table);
    let gap = trained.mean - accuracy.mean;
    let verdict = if gap > trained.margin() + accuracy.margin() {
        format!(
            "It knows the images that it has seen better than others, by {} points: it overfits.",
            number(100.0 * gap, 1)
        )
    } else {
        "It does about as well on images that it has not seen.".to_string()
    };
    let grain = if accuracy.margin() == 0.0 {
        format!(
            " The interval has no width because every seed gives the same share; it speaks about seeds, not about images: \
             of these there are {}, and one is worth {} points.",
            count(test),
            number(100.0 / test as f64, 1)
        )
    } else {
        String::new()
    };
    answer.result(format!(
        "The network trained by hand is right on {} of the test images (mean of {} seeds), and on {} of the images it \
         learned from. {verdict}{grain}",
        percent_plus_minus(accuracy.mean, accuracy.margin(), 1),
        runs.len(),
        percent_plus_minus(trained.mean, trained.margin(), 1),
    ));
    Ok(accuracy)
}

/// What the lecture did with these images, and what is different here.
fn lecture(answer: &mut Answer, runs: &[Run], accuracy: &Interval, train: &Part, test: &Part, options: TrainOptions) {
    let pixels = runs.first().map_or(0, |run| run.network.a().columns());
    let same = |value: String| [value.clone(), value];
    let mut table = Table::new("The lecture's network and this one");
    table.header(["", "lecture", "here"]).align([Align::Left; 3]);
    let rows = [
        (
            "network",
            same(format!("{pixels} inputs, {HIDDEN} hidden (tanh), {CLASSES} classes")),
        ),
        ("biases", ["yes".into(), "no, as the exercise has it".into()]),
        (
            "weights",
            [
                count(HIDDEN * (pixels + CLASSES) + HIDDEN + CLASSES),
                count(HIDDEN * (pixels + CLASSES)),
            ],
        ),
        (
            "loss and learning rate",
            [
                format!("cross-entropy, {}", significant(options.learning_rate / 2.0, 1)),
                format!("half of it, {}: the same steps", significant(options.learning_rate, 1)),
            ],
        ),
        (
            "images to learn from",
            [
                format!("{} (a tenth kept for validation)", train.len() - train.len() / 10),
                train.len().to_string(),
            ],
        ),
        (
            "batch size, epochs",
            [format!("{BATCH}, {EPOCHS}"), format!("{BATCH}, {}", options.epochs)],
        ),
        ("trainings", ["1".into(), runs.len().to_string()]),
        (
            "test images right",
            [
                percent(LECTURE_ACCURACY, 2),
                percent_plus_minus(accuracy.mean, accuracy.margin(), 2),
            ],
        ),
    ];
    for (what, [lecture, here]) in rows {
        table.row([what.to_string(), lecture, here]);
    }
    answer.table(table);
    let shares = || runs.iter().map(|run| run.test.accuracy);
    let (low, high) = (
        shares().fold(f64::INFINITY, f64::min),
        shares().fold(f64::NEG_INFINITY, f64::max),
    );
    let place = if LECTURE_ACCURACY > accuracy.upper {
        "above the interval of our mean"
    } else if LECTURE_ACCURACY < accuracy.lower {
        "below the interval of our mean"
    } else {
        "within the interval of our mean"
    };
    answer.text(format!(
        "The lecture's single training is {place}; ours reach from {} to {}. With {} test images one image is worth {} \
         points, so a difference of a few images between two single trainings says little about biases.",
        percent(low, 2),
        percent(high, 2),
        count(test.len()),
        number(100.0 / test.len() as f64, 2)
    ));
}

/// What the network of the first seed has learned.
fn look_inside(answer: &mut Answer, first: &Run, dataset: &Dataset, train: &Part, test: &Part) -> Result<()> {
    answer.subheading(format!("What it has learned (seed {})", first.seed));
    let names: Vec<String> = dataset.classes.iter().map(|name| escape(name)).collect();
    let outputs = test
        .images()
        .map(|image| first.network.forward(image))
        .collect::<backprop::Result<Vec<Forward>>>()?;
    let mut confusion = vec![vec![0; CLASSES]; CLASSES];
    for (output, &label) in outputs.iter().zip(test.labels()) {
        confusion[label][output.class()] += 1;
    }
    answer.number("confusion", confusion.clone());
    answer.figure(pictures::confusion(&names, confusion));
    answer.figure(pictures::weights(&first.network, &names, train, &dataset.train.images));
    answer.figure(pictures::hidden_values(&first.network, &names, &outputs, test.labels()));
    Ok(())
}

fn numbers(answer: &mut Answer, runs: &[Run], accuracy: &Interval, compared: &SideBySide) {
    answer.number("test_accuracy", json!(accuracy));
    answer.number(
        "trainings",
        runs.iter()
            .map(|run| json!({"seed": run.seed, "train": run.train, "test": run.test, "history": run.history}))
            .collect::<Vec<_>>(),
    );
    answer.number(
        "by_hand_and_autograd",
        json!({
            "steps": compared.losses_by_hand.len(),
            "worst_loss_difference": compared.worst_loss_difference,
            "worst_gradient_difference": compared.worst_gradient_difference,
            "last_loss_by_hand": compared.losses_by_hand.last(),
            "last_loss_autograd": compared.losses_autograd.last(),
        }),
    );
}
