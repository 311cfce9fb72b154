//! The options of a training beyond the first ones: from the command line, into the file, and back when it is resumed.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use datasets::Dataset;
use kernels::MatmulPrecision;
use optimizers::OptimizerBuilder;
use optimizers::schedules::{CosineDecay, PolynomialDecay, Schedule};
use persistence::{Checkpointer, Metadata};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use training::callbacks::{CsvLogger, ModelCheckpoint, Monitor, ReduceLrOnPlateau, TensorBoard};
use training::metrics::{self, Metric};
use training::{Checkpoint, EarlyStopping, Loss, LossFunction, ValidationSplit};

use super::super::files;
use super::resume::Typed;
use crate::cli::{HowArgs, ImageSize, MatmulPrecisionArg, Split};
use crate::nearest;

/// How many of the last checkpoints a folder keeps where nothing is said.
const DEFAULT_KEEP: usize = 3;

/// What a file keeps of the options. Those of the optimizer are part of the optimizer's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    /// What the images are resized to before the network sees them.
    pub(super) image_size: Option<ImageSize>,
    /// The rate that the training began with.
    pub(super) learning_rate: Option<f64>,
    split: Option<Split>,
    validation_freq: Option<usize>,
    class_weight: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<String>,
    label_smoothing: Option<f64>,
    schedule: Option<String>,
    early_stopping: Option<usize>,
    reduce_lr: Option<String>,
    monitor: Option<String>,
    best: Option<PathBuf>,
    pub(super) checkpoints: Option<PathBuf>,
    keep: Option<usize>,
    pub(super) save_every: Option<usize>,
    csv: Option<PathBuf>,
    tensorboard: Option<PathBuf>,
    matmul_precision: Option<MatmulPrecisionArg>,
    #[serde(skip)]
    pub(super) prefetch: Option<usize>,
}

/// The size that the images of a saved training were resized to, if they were.
pub(crate) fn saved_image_size(metadata: &Metadata) -> Option<ImageSize> {
    let options = &metadata.training.as_ref()?.options;
    serde_json::from_value(options.get("image_size")?.clone()).ok()
}

/// The callbacks that the options ask for.
#[derive(Default)]
pub(super) struct Callbacks {
    pub(super) plateau: Option<ReduceLrOnPlateau>,
    pub(super) stopping: Option<EarlyStopping>,
    pub(super) csv: Option<CsvLogger>,
    pub(super) tensorboard: Option<TensorBoard>,
    pub(super) best: Option<ModelCheckpoint>,
}

impl Options {
    /// As they were typed.
    pub(super) fn of(args: &HowArgs) -> Result<Self> {
        let options = Options {
            image_size: None,
            learning_rate: None,
            split: args.split,
            validation_freq: args.validation_freq,
            class_weight: args.class_weight.clone(),
            metrics: args.metrics.clone(),
            label_smoothing: args.label_smoothing,
            schedule: args.schedule.clone(),
            early_stopping: args.early_stopping,
            reduce_lr: args.reduce_lr.clone(),
            monitor: args.monitor.clone(),
            best: args.best.clone(),
            checkpoints: args.checkpoints.clone(),
            keep: args.keep,
            save_every: args.save_every,
            csv: args.csv.clone(),
            tensorboard: args.tensorboard.clone(),
            matmul_precision: args.matmul_precision,
            prefetch: args.prefetch,
        };
        options.metrics()?;
        if let Some(text) = &options.reduce_lr {
            plateau(text)?;
        }
        if let Some(best) = &options.best {
            super::check_output("--best", best)?;
        }
        if let Some(csv) = &options.csv {
            files::check_writable("--csv", csv)?;
        }
        if let Some(folder) = options.tensorboard.as_ref().filter(|folder| folder.is_file()) {
            bail!(
                "--tensorboard {}: this is a file; give the name of a folder",
                folder.display()
            );
        }
        Ok(options)
    }

    /// Those of a file; what is typed again must be the same, but files and folders may be others.
    pub(super) fn resumed(args: &HowArgs, stored: &Value, beside: &Typed<'_>) -> Result<Self> {
        let mut options: Options = match stored {
            Value::Null => Options::default(),
            stored => serde_json::from_value(stored.clone())
                .with_context(|| format!("{}: its options of the training", beside.file.display()))?,
        };
        let typed = Options::of(args)?;
        // Typing a default is no contradiction.
        beside.check("--split", typed.split, options.own_split())?;
        beside.check("--validation-freq", typed.validation_freq, options.validation_freq())?;
        let metrics = |names: &[String]| (!names.is_empty()).then(|| names.join(","));
        beside.check_option("--metrics", &metrics(&typed.metrics), &metrics(&options.metrics))?;
        beside.check_option("--class-weight", &typed.class_weight, &options.class_weight)?;
        beside.check_option("--label-smoothing", &typed.label_smoothing, &options.label_smoothing)?;
        beside.check_option("--schedule", &typed.schedule, &options.schedule)?;
        beside.check_option("--early-stopping", &typed.early_stopping, &options.early_stopping)?;
        beside.check_option("--reduce-lr", &typed.reduce_lr, &options.reduce_lr)?;
        beside.check_option("--monitor", &typed.monitor, &options.monitor)?;
        let highest = MatmulPrecisionArg::Highest;
        beside.check(
            "--matmul-precision",
            typed.matmul_precision,
            options.matmul_precision.unwrap_or(highest),
        )?;
        options.best = typed.best.or(options.best);
        options.csv = typed.csv.or(options.csv);
        options.tensorboard = typed.tensorboard.or(options.tensorboard);
        options.checkpoints = typed.checkpoints.or(options.checkpoints);
        options.keep = typed.keep.or(options.keep);
        options.save_every = typed.save_every.or(options.save_every);
        options.prefetch = typed.prefetch;
        Ok(options)
    }

    pub(super) fn to_json(&self) -> Value {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(self) else {
            return Value::Null;
        };
        fields.retain(|_, value| !value.is_null());
        Value::Object(fields)
    }

    fn own_split(&self) -> Split {
        self.split.unwrap_or(Split::Random)
    }

    pub(super) fn validation_split(&self, fraction: f64) -> ValidationSplit {
        match self.own_split() {
            Split::Random => ValidationSplit::random(fraction),
            Split::Last => ValidationSplit::last(fraction),
            Split::EveryEpoch => ValidationSplit::every_epoch(fraction),
        }
    }

    pub(super) fn matmul_precision(&self) -> MatmulPrecision {
        match self.matmul_precision {
            None | Some(MatmulPrecisionArg::Highest) => MatmulPrecision::Highest,
            Some(MatmulPrecisionArg::Fma) => MatmulPrecision::Fma,
            Some(MatmulPrecisionArg::High) => MatmulPrecision::High,
            Some(MatmulPrecisionArg::Medium) => MatmulPrecision::Medium,
        }
    }

    pub(super) fn validation_freq(&self) -> usize {
        self.validation_freq.unwrap_or(1)
    }

    pub(super) fn loss(&self) -> Loss {
        match self.label_smoothing {
            None => Loss::default(),
            Some(label_smoothing) => Loss::from(LossFunction::CategoricalCrossentropy {
                from_logits: true,
                label_smoothing,
                axis: -1,
            }),
        }
    }

    pub(super) fn metrics(&self) -> Result<Vec<Box<dyn Metric>>> {
        let made = self.metrics.iter().map(|name| metrics::by_name(name));
        made.collect::<training::Result<_>>().context("--metrics")
    }

    /// Refuses a monitored figure that no epoch will have.
    pub(super) fn check_monitor(&self, validates: bool) -> Result<()> {
        let Some(monitor) = &self.monitor else { return Ok(()) };
        let made = self.metrics()?;
        let own = ["loss", "accuracy"]
            .into_iter()
            .chain(made.iter().map(|metric| metric.name()));
        let mut figures: Vec<String> = own.map(str::to_string).collect();
        if validates {
            let of_validation: Vec<String> = figures.iter().map(|name| format!("val_{name}")).collect();
            figures.extend(of_validation);
        }
        figures.push("learning_rate".to_string());
        if figures.contains(monitor) {
            return Ok(());
        }
        bail!(
            "--monitor: no epoch has the figure '{monitor}'; the figures are {}{}{}",
            figures.join(", "),
            if validates {
                ""
            } else {
                " (those of validation need --validation-split above 0)"
            },
            nearest::hint(monitor, figures.iter().map(String::as_str))
        )
    }

    /// The weight of each class.
    pub(super) fn class_weight(&self, dataset: &Dataset) -> Result<Vec<(u32, f32)>> {
        let Some(text) = &self.class_weight else {
            return Ok(Vec::new());
        };
        let labels = 0..dataset.classes.len() as u32;
        if text == "balanced" {
            // As scikit-learn: samples / (classes · samples of the class).
            let all = &dataset.train.labels;
            let balanced = labels.filter_map(|label| {
                let own = all.iter().filter(|&&other| other == label).count();
                let share = all.len() as f64 / (dataset.classes.len() * own.max(1)) as f64;
                (own > 0).then_some((label, share as f32))
            });
            return Ok(balanced.collect());
        }
        let wanted = "expected 'balanced', or classes with numbers such as 'cat=2,dog=1'";
        text.split(',')
            .map(|part| {
                let (name, weight) = part
                    .split_once('=')
                    .ok_or_else(|| anyhow!("--class-weight: '{part}' has no '='; {wanted}"))?;
                let name = name.trim();
                let label = dataset.classes.iter().position(|class| class == name);
                let label = label.map(|label| label as u32).or_else(|| name.parse().ok());
                let label = label.filter(|label| labels.contains(label)).ok_or_else(|| {
                    anyhow!(
                        "--class-weight: there is no class '{name}'; the classes are {}{}",
                        dataset.classes.join(", "),
                        nearest::hint(name, dataset.classes.iter().map(String::as_str))
                    )
                })?;
                let weight = weight.trim();
                let number: f32 = weight
                    .parse()
                    .map_err(|_| anyhow!("--class-weight: '{weight}' is no number; {wanted}"))?;
                if number.is_nan() || number.is_infinite() || number < 0.0 {
                    bail!("--class-weight: the weight of '{name}' is {weight}; give a number of at least 0, such as 2");
                }
                Ok((label, number))
            })
            .collect()
    }

    fn monitor(&self) -> Monitor {
        self.monitor.as_ref().map_or_else(Monitor::default, Monitor::new)
    }

    /// The folder of checkpoints is made, before anything is computed for it.
    pub(super) fn make_folder(&self) -> Result<Option<Checkpointer>> {
        let Some(folder) = &self.checkpoints else {
            return Ok(None);
        };
        if folder.is_file() {
            bail!(
                "--checkpoints {}: this is a file; give the name of a folder",
                folder.display()
            );
        }
        let checkpointer = Checkpointer::new(folder).context("--checkpoints")?;
        files::check_folder("--checkpoints", folder, folder)?;
        Ok(Some(checkpointer.keep_last(self.keep.unwrap_or(DEFAULT_KEEP))))
    }

    /// What writes into the folder.
    pub(super) fn checkpoint(&self, folder: Checkpointer, metadata: Metadata) -> Checkpoint {
        Checkpoint::in_folder(folder, self.monitor(), metadata).every_steps(self.save_every.unwrap_or(0))
    }

    pub(super) fn callbacks(&self, metadata: &Metadata) -> Result<Callbacks> {
        let monitor = || self.monitor();
        Ok(Callbacks {
            plateau: match &self.reduce_lr {
                Some(text) => Some(plateau(text)?.monitor(monitor())),
                None => None,
            },
            stopping: self
                .early_stopping
                .map(|patience| EarlyStopping::new(patience).monitor(monitor())),
            csv: self.csv.as_ref().map(CsvLogger::new),
            tensorboard: self.tensorboard.as_ref().map(TensorBoard::new),
            best: self.best.as_ref().map(|file| {
                let best = ModelCheckpoint::at(file, metadata.clone());
                best.save_best_only(monitor())
            }),
        })
    }
}

/// `PATIENCE` or `PATIENCE:FACTOR`.
fn plateau(text: &str) -> Result<ReduceLrOnPlateau> {
    let (patience, factor) = text.split_once(':').unwrap_or((text, "0.1"));
    let patience = patience.trim().parse().ok().filter(|&patience: &usize| patience > 0);
    let factor = factor.trim().parse().ok().filter(|factor| (0.0..1.0).contains(factor));
    match (patience, factor) {
        (Some(patience), Some(factor)) => Ok(ReduceLrOnPlateau::new(factor, patience)),
        _ => {
            bail!("--reduce-lr {text}: expected a number of epochs, and after a colon a factor below 1, such as 3:0.5")
        }
    }
}

/// The options of the optimizer.
pub(super) fn optimizer(mut builder: OptimizerBuilder, args: &HowArgs) -> OptimizerBuilder {
    if let Some(decay) = args.weight_decay {
        builder = builder.weight_decay(decay);
    }
    if let Some(norm) = args.clipnorm {
        builder = builder.clipnorm(norm);
    }
    if let Some(norm) = args.global_clipnorm {
        builder = builder.global_clipnorm(norm);
    }
    if let Some(steps) = args.accumulate {
        builder = builder.gradient_accumulation_steps(steps);
    }
    if let Some(momentum) = args.ema {
        builder = builder.ema(momentum, None);
    }
    builder
}

/// The schedule of a text, from a rate, over `epochs` epochs of `steps` steps each.
pub(super) fn schedule(text: &str, rate: f64, steps: usize, epochs: usize) -> Result<Schedule> {
    let all = (steps * epochs) as f64;
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    match (name, rest) {
        ("cosine", "") => Ok(CosineDecay {
            initial_learning_rate: rate,
            decay_steps: all,
            ..CosineDecay::default()
        }
        .into()),
        ("cosine", warm_up) => {
            let warm_up: f64 = warm_up
                .parse()
                .ok()
                .filter(|&epochs: &f64| epochs > 0.0)
                .ok_or_else(|| anyhow!("--schedule {text}: '{warm_up}' is no number of epochs; write cosine:1"))?;
            let warm = (warm_up * steps as f64).round().max(1.0);
            if warm >= all {
                bail!("--schedule {text}: the warm-up is not shorter than the training of {epochs} epochs");
            }
            Ok(CosineDecay {
                initial_learning_rate: 0.0,
                decay_steps: all - warm,
                warmup_target: Some(rate),
                warmup_steps: warm,
                ..CosineDecay::default()
            }
            .into())
        }
        ("linear", "") => Ok(PolynomialDecay {
            initial_learning_rate: rate,
            decay_steps: all,
            end_learning_rate: 0.0,
            ..PolynomialDecay::default()
        }
        .into()),
        _ if text.trim_start().starts_with('{') => {
            let value: Value = serde_json::from_str(text).context("--schedule: the JSON cannot be read")?;
            let class = value["class_name"]
                .as_str()
                .ok_or_else(|| anyhow!("--schedule: the JSON has no class_name"))?;
            Schedule::from_config(class, &value["config"]).context("--schedule")
        }
        _ => bail!(
            "--schedule {text}: expected cosine, cosine:EPOCHS, linear, or a Keras schedule as JSON{}",
            nearest::hint(name, ["cosine", "linear"])
        ),
    }
}
