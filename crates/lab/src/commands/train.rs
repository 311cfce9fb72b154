//! `lab train`: data, network and optimizer in, a saved network and its figures out.

mod options;
mod resume;
mod served;
mod watch;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use augmentation::{Pipeline, ValueRange};
use datasets::Dataset;
use models::{Network, zoo};
use nn_theory::{Activation, Layer, ModelSpec};
use optimizers::{Optimizer, OptimizerBuilder};
use persistence::{Checkpointer, Metadata, Preprocessing, TrainingState};
use report::format::{count, number, percent, significant};
use serde_json::{Value, json};
use training::{Checkpoint, EarlyStopping, Evaluation, History, Samples, StopReason, Trainer};

use self::options::Options;
pub(super) use self::options::saved_image_size;
use self::resume::Beginning;
use self::served::Served;
use self::watch::Watch;
use super::{files, model};
use crate::cli::{DEFAULT_SEED, TrainArgs};
use crate::context::{Context, listen_for_interrupt};
use crate::live;

/// What a training that says nothing else learns from.
pub(super) const DEFAULT_DATA: &str = "digits";
const DEFAULT_OPTIMIZER: &str = "adam";
const DEFAULT_BATCH_SIZE: usize = 32;
const DEFAULT_VALIDATION_SPLIT: f64 = 0.1;

/// How a training is done, from its beginning to its end.
struct Settings {
    data: String,
    seed: u64,
    epochs: usize,
    batch_size: usize,
    validation_split: f64,
    augment: Option<Pipeline>,
    output: Option<PathBuf>,
    serve: Option<u16>,
    options: Options,
    /// Whether the training is watched in the terminal.
    live: bool,
}

pub(crate) fn run(args: &TrainArgs) -> Result<ExitCode> {
    listen_for_interrupt()?;
    let mut context = Context::new(&args.data, false)?;
    let (mut settings, beginning) = match &args.resume {
        Some(file) => resume::read(args, file, &context)?,
        None => fresh(args)?,
    };
    // Find out before the work, not after it, that the network cannot be saved.
    if let Some(output) = &settings.output {
        check_output("--output", output)?;
    }
    settings.options.check_monitor(settings.validation_split > 0.0)?;
    let folder = settings.options.make_folder()?;
    context.data = Some(settings.data.clone());
    context.seed = settings.seed;
    context.image_size = settings.options.image_size;
    let dataset = context.dataset_or(DEFAULT_DATA)?;
    let (mut network, mut optimizer, history) = match beginning {
        Beginning::Fresh(builder) => {
            let network = network(args, &context, &dataset)?;
            let optimizer = optimizer(args, *builder, &mut settings, dataset.train.labels.len(), &network)?;
            (network, optimizer, History::default())
        }
        Beginning::Resumed(resumed) => {
            super::evaluate::check_classes(args.resume.as_deref(), &resumed.classes, &dataset)?;
            (resumed.network, resumed.optimizer, resumed.history)
        }
    };
    let test = Samples::for_network(&dataset.test, &network)?;
    context.check_interrupt()?;
    warn_of_softmax(&context, network.spec());
    let history = train(
        &context,
        &settings,
        folder,
        &dataset,
        &mut network,
        &mut optimizer,
        history,
    )?;
    if history.stopped == StopReason::Interrupted {
        return Err(interrupted(args, &settings, &history));
    }
    let measured = measure(&context, &settings, &network, &test)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let record = record(&settings, &network, &optimizer, &history, &measured);
        writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
    } else {
        write!(
            out,
            "{}",
            in_words(args, &settings, &network, &optimizer, &history, &measured)
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The figures on the test images; where Ctrl-C ends that, the training is over and nothing of it is lost.
fn measure(context: &Context, settings: &Settings, network: &Network, test: &Samples) -> Result<Evaluation> {
    let measured = super::evaluate::measure(network, test, &context.progress.measuring(test.len()));
    measured.map_err(|error| match &settings.output {
        Some(output) if Context::is_interrupted() => anyhow!(
            "{error}; {file} holds the trained network, measure it with: lab evaluate {file}",
            file = output.display()
        ),
        _ => error,
    })
}

/// The settings of a training that begins.
fn fresh(args: &TrainArgs) -> Result<(Settings, Beginning)> {
    let mut builder = Optimizer::builder(args.optimizer.as_deref().unwrap_or(DEFAULT_OPTIMIZER))?;
    if let Some(learning_rate) = args.learning_rate {
        builder = builder.learning_rate(learning_rate);
    }
    builder = options::optimizer(builder, &args.how);
    builder.clone().build()?;
    if args.how.keep.is_some() && args.how.checkpoints.is_none() {
        bail!("--keep says how many checkpoints a folder keeps; give --checkpoints DIR, too");
    }
    if args.how.save_every.is_some() && args.output.is_none() && args.how.checkpoints.is_none() {
        bail!("--save-every needs a file to save to; give --output FILE or --checkpoints DIR");
    }
    let mut options = Options::of(&args.how)?;
    options.image_size = args.data.place.size.image_size;
    let settings = Settings {
        data: canonical(args.data.place.data.as_deref().unwrap_or(DEFAULT_DATA)),
        seed: args.data.seed.unwrap_or(DEFAULT_SEED),
        epochs: args.epochs,
        batch_size: args.batch_size.unwrap_or(DEFAULT_BATCH_SIZE),
        validation_split: args.validation_split.unwrap_or(DEFAULT_VALIDATION_SPLIT),
        augment: args.augment.as_deref().map(pipeline).transpose()?.flatten(),
        output: args.output.clone(),
        serve: args.serve,
        options,
        live: is_watched(args),
    };
    Ok((settings, Beginning::Fresh(Box::new(builder))))
}

/// The optimizer, whose schedule follows the number of steps that `samples` make.
fn optimizer(
    args: &TrainArgs,
    builder: OptimizerBuilder,
    settings: &mut Settings,
    samples: usize,
    network: &Network,
) -> Result<Optimizer> {
    let weights = || {
        network
            .weights()
            .map(|weight| (weight.path.as_str(), weight.var.dims()))
    };
    let plain = builder.clone().build_for(weights())?;
    settings.options.learning_rate = Some(plain.learning_rate());
    let Some(text) = &args.how.schedule else {
        return Ok(plain);
    };
    let learnt = samples - (samples as f64 * settings.validation_split) as usize;
    let steps = learnt.div_ceil(settings.batch_size).max(1);
    let schedule = options::schedule(text, plain.learning_rate(), steps, settings.epochs)?;
    Ok(builder.schedule(schedule).build_for(weights())?)
}

/// The catalogue's spelling of a name; anything else as it is.
pub(super) fn canonical(data: &str) -> String {
    datasets::known(data).map_or_else(|_| data.to_string(), |set| set.name.to_string())
}

/// The pipeline of a text, for pixels of `[0, 1]`; none where it does nothing.
pub(super) fn pipeline(text: &str) -> Result<Option<Pipeline>> {
    let pipeline = Pipeline::parse_for(text, ValueRange::UNIT).map_err(|error| anyhow!(error).context("--augment"))?;
    Ok((!pipeline.is_empty()).then_some(pipeline))
}

/// Refuses a file that cannot be written, before anything is computed for it.
fn check_output(option: &str, path: &Path) -> Result<()> {
    let shown = path.display();
    if persistence::Format::from_name(path) != Some(persistence::Format::Safetensors) {
        bail!(
            "{option} {shown}: a training is saved as safetensors; give a name that ends in .safetensors (lab convert writes other \
             formats of it)"
        );
    }
    files::check_writable(option, path)
}

/// The network of `--model`, or one that fits the data.
fn network(args: &TrainArgs, context: &Context, dataset: &Dataset) -> Result<Network> {
    let found = match &args.model {
        Some(word) => model::find(word)?,
        None => fitting(dataset)?.into(),
    };
    found.into_network(context.seed, &context.device)
}

/// The lecture's convolutional network for two classes, Keras' for images of MNIST's size, else two small convolutions.
pub(super) fn fitting(dataset: &Dataset) -> Result<ModelSpec> {
    let image = dataset.shape().map(|size| size as u64);
    let spec = match (image, dataset.classes.len()) {
        (image, 2) => zoo::first_cnn_for("first_cnn", image, 2),
        ([28, 28, 1], 10) => zoo::mnist_cnn(),
        ([8, 8, 1], 10) => zoo::digits_cnn(),
        (image, classes) => zoo::small_cnn("small_cnn", image, classes),
    };
    spec.map_err(|error| {
        anyhow!(error).context(format!(
            "no built-in network fits images of {} × {} × {} in {} classes; describe one with --model",
            image[0],
            image[1],
            image[2],
            dataset.classes.len()
        ))
    })
}

/// The loss takes logits: a network that ends in softmax learns slowly with it, which is easy to miss.
pub(super) fn warn_of_softmax(context: &Context, spec: &ModelSpec) {
    let nodes = spec.nodes();
    let last = spec.outputs().first().and_then(|&output| nodes.get(output));
    let softmax = last.is_some_and(|node| match &node.layer {
        Layer::Softmax(_) => true,
        Layer::Dense(dense) => dense.activation == Activation::Softmax,
        Layer::Activation(layer) => layer.activation == Activation::Softmax,
        _ => false,
    });
    if softmax {
        context.progress.line(
            "note: the network ends in softmax, the loss applies softmax again; it learns better without (activation 'linear')",
        );
    }
}

fn train(
    context: &Context,
    settings: &Settings,
    folder: Option<Checkpointer>,
    dataset: &Dataset,
    network: &mut Network,
    optimizer: &mut Optimizer,
    history: History,
) -> Result<History> {
    let samples = Samples::for_network(&dataset.train, network)?;
    let done = history.epochs.len();
    if history.stopped == StopReason::Callback {
        context.progress.line(&format!(
            "this training ended early, after {}, nothing is left to do; to train its network on, give it as --model",
            epochs(done)
        ));
        return Ok(history);
    }
    if done == settings.epochs {
        context.progress.line(&format!(
            "{} done already, nothing is left to do; give more with --epochs",
            epochs(done)
        ));
    }
    let options = &settings.options;
    let metadata = metadata(settings, dataset);
    let mut callbacks = options.callbacks(&metadata)?;
    let mut kept = folder.map(|folder| options.checkpoint(folder, metadata.clone()));
    let mut checkpoint = settings
        .output
        .as_ref()
        .map(|output| Checkpoint::new(output, metadata).every_steps(options.save_every.unwrap_or(0)));
    let mut served = Served::start(settings, network.name())?;
    if let Some(served) = &served {
        context.progress.line(&format!("curves at {}", served.url()));
    }
    let mut watch = Watch::new(
        &context.progress,
        settings.epochs,
        picture(settings, network, optimizer),
    );
    let mut trainer = Trainer::new()
        .epochs(settings.epochs)
        .batch_size(settings.batch_size)
        .seed(settings.seed)
        .loss(options.loss())
        .metrics(options.metrics()?)
        .class_weight(options.class_weight(dataset)?)
        .validation_freq(options.validation_freq())
        .resume(history)
        .interrupt(context.interrupt());
    if settings.validation_split > 0.0 {
        trainer = trainer.validation_split(options.validation_split(settings.validation_split));
    }
    if let Some(pipeline) = &settings.augment {
        trainer = trainer.augment(pipeline);
    }
    if let Some(batches) = options.prefetch {
        trainer = trainer.prefetch(batches);
    }
    let options::Callbacks {
        plateau,
        stopping,
        csv,
        tensorboard,
        best,
    } = &mut callbacks;
    if let Some(plateau) = plateau {
        trainer = trainer.callback(plateau);
    }
    if let Some(stopping) = stopping {
        trainer = trainer.callback(stopping);
    }
    if let Some(csv) = csv {
        trainer = trainer.callback(csv);
    }
    if let Some(tensorboard) = tensorboard {
        trainer = trainer.callback(tensorboard);
    }
    if let Some(best) = best {
        trainer = trainer.callback(best);
    }
    for checkpoint in [&mut kept, &mut checkpoint].into_iter().flatten() {
        trainer = trainer.callback(checkpoint);
    }
    if let Some(served) = &mut served {
        trainer = trainer.callback(served);
    }
    // After the checkpoint, so that the line of an epoch appears when its file is safe.
    let trainer = trainer.callback(&mut watch);
    let precision = options.matmul_precision();
    let history = precision.scope(|| kernels::threads::awake(|| trainer.fit(network, optimizer, &samples)));
    watch.clear();
    let history = history?;
    if history.stopped == StopReason::Callback {
        let best = callbacks.stopping.as_ref().and_then(EarlyStopping::best_epoch);
        let best = best.map_or_else(String::new, |epoch| format!("; the weights are those of epoch {epoch}"));
        context
            .progress
            .line(&format!("ended early after {}{best}", epochs(history.epochs.len())));
    }
    Ok(history)
}

/// Whether the live view is shown: somebody watches, here and not in a browser, and nobody asked for lines.
fn is_watched(args: &TrainArgs) -> bool {
    !args.plain && !args.json && args.serve.is_none() && live::is_possible()
}

/// What the live view begins with, where one is shown.
fn picture(settings: &Settings, network: &Network, optimizer: &Optimizer) -> Option<live::State> {
    settings.live.then(|| live::State {
        title: format!(
            "{} ({} parameters) on {}, {} with learning rate {}",
            network.name(),
            nn_theory::with_separators(network.spec().counts().total),
            settings.data,
            optimizer.name(),
            significant(optimizer.learning_rate(), 3)
        ),
        saved_in: settings
            .output
            .as_ref()
            .or(settings.options.checkpoints.as_ref())
            .map(|file| file.display().to_string()),
        epochs: settings.epochs,
        ..live::State::default()
    })
}

/// What the file keeps besides weights and optimizer, so that the training can go on from it.
fn metadata(settings: &Settings, dataset: &Dataset) -> Metadata {
    let mut loss = settings.options.loss().config();
    if let Some(entries) = loss.as_object_mut() {
        entries.insert("module".to_string(), json!("keras.losses"));
        entries.insert("registered_name".to_string(), Value::Null);
    }
    Metadata {
        classes: dataset.classes.clone(),
        // `datasets` brings the bytes of pixels to [0, 1].
        preprocessing: Some(Preprocessing::unit(dataset.shape())),
        compile: Some(json!({"loss": loss, "metrics": ["accuracy"]})),
        monitored: None,
        training: Some(TrainingState {
            seed: settings.seed,
            batch_size: settings.batch_size,
            augment: settings.augment.as_ref().map(Pipeline::to_string),
            data: Some(settings.data.clone()),
            validation_split: settings.validation_split,
            history: Value::Null,
            options: settings.options.to_json(),
        }),
    }
}

/// How the interrupted training can go on.
fn interrupted(args: &TrainArgs, settings: &Settings, history: &History) -> anyhow::Error {
    let steps = history.position.as_ref().map_or(0, |position| position.step);
    let after = match steps {
        0 => "before its first step".to_string(),
        1 => "after 1 step".to_string(),
        steps => format!("after {steps} steps"),
    };
    let begun = format!("interrupted in epoch {}, {after}", history.epochs.len() + 1);
    let Some(file) = settings.output.as_ref().or(settings.options.checkpoints.as_ref()) else {
        return anyhow!("{begun}, nothing was saved; give --output FILE or --checkpoints DIR to be able to go on");
    };
    anyhow!(
        "{begun}; {} holds the training as it stands: go on with lab train --resume {} --epochs {}{}",
        file.display(),
        quoted(file),
        settings.epochs,
        data_dir(args)
    )
}

/// Settings, history and figures; everything but `timings` is a function of the seed.
fn record(
    settings: &Settings,
    network: &Network,
    optimizer: &Optimizer,
    history: &History,
    measured: &Evaluation,
) -> Value {
    json!({
        "model": network.name(),
        "parameters": network.spec().counts().total,
        "data": settings.data,
        "seed": settings.seed,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "validation_split": settings.validation_split,
        "augment": settings.augment.as_ref().map(Pipeline::to_string),
        "options": settings.options.to_json(),
        "optimizer": {"class_name": optimizer.class(), "config": optimizer.config()},
        "history": history.epochs,
        "stopped": history.stopped,
        "test": {
            "samples": measured.predictions.len(),
            "loss": measured.loss,
            "accuracy": measured.accuracy,
            "confusion": measured.confusion,
        },
        "output": settings.output,
        "timings": {"seconds": history.seconds},
    })
}

fn in_words(
    args: &TrainArgs,
    settings: &Settings,
    network: &Network,
    optimizer: &Optimizer,
    history: &History,
    measured: &Evaluation,
) -> String {
    let samples = measured.predictions.len();
    let mut text = format!(
        "{} ({} parameters) on {} after {} of {} with learning rate {}, seed {}:\n\
         test accuracy {} ({} of {} images), test loss {}\n",
        network.name(),
        nn_theory::with_separators(network.spec().counts().total),
        settings.data,
        epochs(history.epochs.len()),
        optimizer.name(),
        significant(optimizer.learning_rate(), 3),
        settings.seed,
        percent(measured.accuracy, 2),
        count((measured.accuracy * samples as f64).round() as usize),
        count(samples),
        number(measured.loss, 4)
    );
    if let Some(output) = &settings.output {
        text += &format!(
            "saved in {}; look closer with: lab evaluate {} --data {}{}\n",
            output.display(),
            quoted(output),
            quoted(settings.data.as_ref()),
            data_dir(args)
        );
    }
    if let Some(folder) = &settings.options.checkpoints {
        text += &format!(
            "checkpoints in {}; go on with: lab train --resume {} --epochs N{}\n",
            folder.display(),
            quoted(folder),
            data_dir(args)
        );
    }
    text
}

/// `1 epoch`, `2 epochs`.
fn epochs(number: usize) -> String {
    format!("{number} epoch{}", if number == 1 { "" } else { "s" })
}

/// The option that names the folder of the data again, for a command to be copied.
fn data_dir(args: &TrainArgs) -> String {
    let folder = args.data.place.data_dir.as_deref();
    folder.map_or_else(String::new, |folder| format!(" --data-dir {}", quoted(folder)))
}

/// A path as a shell reads it: in quotes where it has spaces or signs.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/\\.-_:+=@%".contains(letter);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
