//! Going on from a file: what it says holds, and an option that says something else is refused.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use augmentation::Pipeline;
use optimizers::{Optimizer, OptimizerBuilder};
use training::Resumed;

use super::options::Options;
use super::{DEFAULT_DATA, Settings, canonical, epochs, pipeline};
use crate::cli::TrainArgs;
use crate::context::Context;

/// What a training starts from.
pub(super) enum Beginning {
    /// What the optimizer is made of; it and the network are made when the data is known.
    Fresh(Box<OptimizerBuilder>),
    /// Network, optimizer and history of a file.
    Resumed(Box<Resumed>),
}

/// Reads the file of `--resume` and checks the options that were typed against it.
pub(super) fn read(args: &TrainArgs, file: &Path, context: &Context) -> Result<(Settings, Beginning)> {
    if !file.is_dir() {
        super::super::files::check_model_file(file)?;
    }
    let resumed = training::resume(file, &context.device)?;
    for skipped in &resumed.skipped {
        context
            .progress
            .line(&format!("note: this checkpoint was gone over: {}", skipped.error));
    }
    let state = &resumed.state;
    let done = resumed.history.epochs.len();
    let begun = done + usize::from(resumed.history.position.is_some());
    if begun > args.epochs {
        bail!(
            "{} has {} already, and --epochs {} is their number in all; give --epochs more than {}",
            file.display(),
            if begun > done {
                format!("begun epoch {begun}")
            } else {
                epochs(done)
            },
            args.epochs,
            begun - 1
        );
    }
    let augment = match &state.augment {
        Some(text) => pipeline(text).with_context(|| format!("{}: its augmentation", file.display()))?,
        None => None,
    };
    let typed = Typed { file };
    typed.check("--seed", args.data.seed, state.seed)?;
    typed.check("--batch-size", args.batch_size, state.batch_size)?;
    typed.check("--validation-split", args.validation_split, state.validation_split)?;
    let mut options = Options::resumed(&args.how, &state.options, &typed)?;
    typed.check_option("--image-size", &args.data.place.size.image_size, &options.image_size)?;
    if file.is_dir() && args.how.checkpoints.is_none() {
        // The folder may have been moved since.
        options.checkpoints = Some(file.to_path_buf());
    }
    let rate = options
        .learning_rate
        .unwrap_or_else(|| resumed.optimizer.learning_rate());
    typed.check("--learning-rate", args.learning_rate, rate)?;
    if begun == done && done < args.epochs && resumed.optimizer.learning_rate() == 0.0 {
        bail!(
            "{}: the learning rate has come down to 0 in {}, so that nothing would change in more; to train its network on, \
             give it as --model {0}",
            file.display(),
            epochs(done)
        );
    }
    // Of several optimizers the last one is that of the name; the others have what it has.
    let own = resumed
        .optimizer
        .parts()
        .next_back()
        .unwrap_or(&resumed.optimizer)
        .options();
    for (option, given, stored) in [
        ("--weight-decay", args.how.weight_decay, own.weight_decay),
        ("--clipnorm", args.how.clipnorm, own.clipnorm),
        ("--global-clipnorm", args.how.global_clipnorm, own.global_clipnorm),
        ("--ema", args.how.ema, own.use_ema.then_some(own.ema_momentum)),
        (
            "--accumulate",
            args.how.accumulate.map(|steps| steps as f64),
            own.gradient_accumulation_steps.map(|steps| steps as f64),
        ),
    ] {
        typed.check_option(option, &given, &stored)?;
    }
    if let Some(name) = &args.optimizer {
        let optimizer = Optimizer::by_name(name)?;
        typed.check("--optimizer", Some(optimizer.name()), resumed.optimizer.name())?;
    }
    if let Some(text) = &args.augment {
        let shown = |pipeline: &Option<Pipeline>| or_none(pipeline.as_ref().map(|pipeline| format!("'{pipeline}'")));
        typed.check("--augment", Some(shown(&pipeline(text)?)), shown(&augment))?;
    }
    let settings = Settings {
        data: data(args, &typed, state.data.as_deref())?,
        seed: state.seed,
        epochs: args.epochs,
        batch_size: state.batch_size,
        validation_split: state.validation_split,
        augment,
        serve: args.serve,
        output: args
            .output
            .clone()
            .or_else(|| own_file(&resumed.path, options.checkpoints.as_deref())),
        options,
        live: super::is_watched(args),
    };
    Ok((settings, Beginning::Resumed(Box::new(resumed))))
}

/// The file itself, which is written again; not one of a folder of checkpoints, whose names number them.
fn own_file(file: &Path, checkpoints: Option<&Path>) -> Option<PathBuf> {
    let folder = |path: &Path| path.canonicalize().ok();
    let own = folder(file).and_then(|file| Some(file.parent()?.to_path_buf()));
    let is_one_of_them = own.is_some() && own == checkpoints.and_then(folder);
    (!is_one_of_them).then(|| file.to_path_buf())
}

/// The data set of the file. A folder may have moved, so another path is taken where both are paths.
fn data(args: &TrainArgs, typed: &Typed<'_>, stored: Option<&str>) -> Result<String> {
    let given = args.data.place.data.as_deref().map(canonical);
    let is_name = |data: &str| datasets::known(data).is_ok();
    match (given, stored) {
        (Some(given), Some(stored)) if is_name(&given) || is_name(stored) => {
            typed.check("--data", Some(given.as_str()), stored)?;
            Ok(given)
        }
        (Some(given), _) => Ok(given),
        (None, stored) => Ok(stored.unwrap_or(DEFAULT_DATA).to_string()),
    }
}

/// The options that were typed beside `--resume FILE`.
pub(super) struct Typed<'a> {
    pub(super) file: &'a Path,
}

impl Typed<'_> {
    /// An option that was typed says what the file says.
    pub(super) fn check<T: PartialEq + Display>(&self, option: &str, given: Option<T>, stored: T) -> Result<()> {
        match given {
            Some(given) if given != stored => bail!(
                "{option} {given} contradicts {}, which was trained with {stored}; a resumed training goes on as it began: \
                 leave {option} out, or begin anew without --resume",
                self.file.display()
            ),
            _ => Ok(()),
        }
    }

    /// The same where a training may have been without it.
    pub(super) fn check_option<T: Display>(&self, option: &str, given: &Option<T>, stored: &Option<T>) -> Result<()> {
        let given = given.as_ref().map(ToString::to_string);
        self.check(option, given, or_none(stored.as_ref()))
    }
}

fn or_none<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_string(), |value| value.to_string())
}
