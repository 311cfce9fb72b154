//! The command line: what can be typed.

mod image_size;
mod models;
mod report;
mod sweep;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use self::image_size::ImageSize;
pub(crate) use self::models::{ConvertArgs, EvaluateArgs, GradcheckArgs, InspectArgs, Mean, PrecisionArg, PredictArgs};
pub(crate) use self::report::{DiffArgs, ReportArgs, ReportCommand};
pub(crate) use self::sweep::{ALL, MergeArgs, SweepArgs, SweepCommand, SweepRunArgs};

/// Neural networks on candle: count them, train them, compare optimizers, augment their data, save them, derive their
/// gradients.
#[derive(Parser)]
#[command(
    name = "lab",
    version,
    arg_required_else_help = true,
    propagate_version = true,
    after_help = "Examples:\n  \
        lab summary lenet5                                  # count a network\n  \
        lab train --data digits --output digits.safetensors # train one and save it\n  \
        lab convert digits.safetensors digits.keras         # hand it to Keras\n\n\
        lab COMMAND --help shows the options of a command, with examples."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Answer an exercise of the sheet, or all of them
    #[command(after_help = "Examples:\n  \
        lab exercise all --report target/report\n  \
        lab exercise 3 --data cats-dogs --data-dir path/to/cats-dogs\n  \
        lab exercise 5 --data mnist --seed 7 --quick")]
    Exercise(ExerciseArgs),
    /// Print a network's layers, shapes and parameters, as Keras does
    #[command(after_help = "Examples:\n  \
        lab summary cats_vs_dogs --line-length 80 --show-trainable\n  \
        lab summary mnist_cnn --explain\n  \
        lab summary path/to/model.json --expand-nested")]
    Summary(SummaryArgs),
    /// List, download or check data sets
    #[command(
        subcommand,
        after_help = "Examples:\n  \
        lab data list\n  \
        lab data fetch fashion-mnist\n  \
        lab data verify mnist --data-dir path/to/mnist"
    )]
    Data(DataCommand),
    /// Train a network and save it
    #[command(after_help = "Examples:\n  \
        lab train --data digits --model digits_cnn --epochs 20 --output digits.safetensors\n  \
        lab train --data mnist --data-dir path/to/mnist --optimizer adamw --augment 'rotate(0.05) | translate(0.1, 0.1)'\n  \
        lab train --data path/to/photos --image-size 64x64 --output photos.safetensors    # one sub-folder a class\n  \
        lab train --data digits --schedule cosine:1 --ema 0.99 --early-stopping 10 --epochs 100 --csv digits.csv\n  \
        lab train --resume digits.safetensors --epochs 40\n  \
        lab train --data digits --checkpoints digits --keep 2 --save-every 20    # goes on with: lab train --resume digits")]
    Train(Box<TrainArgs>),
    /// Compare optimizers on several tasks: the same grid of learning rates for each, over seeds
    #[command(
        after_help = "Every run is a file in the folder of --out, named by what was run. A sweep that was interrupted goes on where it \
        was; the folder then holds index.html with all figures, results.json and results.md.\n\nExamples:\n  \
        lab sweep --tasks digits_cnn --out digits\n  \
        lab sweep --optimizers adam,lion,sgd_momentum --learning-rates 1e-4:1:5 --seeds 3\n  \
        lab sweep --model path/to/model.json --data mnist --data-dir path/to/mnist --epochs 3 --images 12000\n  \
        lab sweep --data path/to/photos --image-size 32x32 --seeds 2\n  \
        lab sweep --tasks all --data-dir path/to/data --shard 1/2 --out one\n  \
        lab sweep merge one two --out all    # after 2/2 on another machine"
    )]
    Sweep(Box<SweepArgs>),
    /// Compare the reports of two runs, or show one as a page that follows its runs
    #[command(after_help = "Examples:\n  \
        lab report diff before/exercise-3.json after/exercise-3.json\n  \
        lab report --serve --report target/report\n  \
        lab report --serve 8020 --csv run.csv    # while lab train --csv run.csv runs")]
    Report(ReportArgs),
    /// Show what an augmentation pipeline makes of pictures, on a contact sheet
    #[command(after_help = "Examples:\n  \
        lab augment photo.jpg --pipeline 'flip(horizontal) | rotate(0.05) | contrast(0.2) @ 0.5' --output sheet.png\n  \
        lab augment a.png b.png --pipeline rand_augment --seed 7 --record what.json\n  \
        lab augment c.png d.png --replay what.json --output same.png\n  \
        lab augment --list --output transformations.png")]
    Augment(AugmentArgs),
    /// Measure a saved network on a test set
    #[command(after_help = "Examples:\n  \
        lab evaluate digits.safetensors --data digits\n  \
        lab evaluate digits.safetensors --data digits --tta 16 --augment 'rotate(0.04) | translate(0.05, 0.05)'\n  \
        lab evaluate photos.safetensors --data path/to/photos    # resized as in the training\n  \
        lab evaluate cats.safetensors --data cats-dogs --data-dir path/to/cats-dogs --json")]
    Evaluate(EvaluateArgs),
    /// Compute a network's outputs for inputs of a file
    #[command(after_help = "Examples:\n  \
        lab predict digits.safetensors --inputs images.safetensors --outputs logits.safetensors\n  \
        lab predict photos.safetensors --inputs large.safetensors --outputs logits.safetensors --image-size 64x64\n  \
        lab predict weights.weights.h5 --config model.json --inputs x.safetensors --outputs y.safetensors")]
    Predict(PredictArgs),
    /// Write a model file in another format or number format
    #[command(after_help = "Examples:\n  \
        lab convert digits.safetensors digits.keras\n  \
        lab convert digits.keras digits.safetensors --precision f16\n  \
        lab convert weights.weights.h5 model.keras --config model.json")]
    Convert(ConvertArgs),
    /// Show what a model file holds, or how it differs from another one
    #[command(after_help = "Examples:\n  \
        lab inspect digits.safetensors\n  \
        lab inspect digits.keras --mapping\n  \
        lab inspect digits.keras --against digits.safetensors --data digits\n  \
        lab inspect digits.h5 --json")]
    Inspect(InspectArgs),
    /// Check the gradients of a network by trying: every weight is moved a little, and the loss is computed again
    #[command(after_help = "Examples:\n  \
        lab gradcheck lenet5\n  \
        lab gradcheck path/to/model.keras --entries 64\n  \
        lab gradcheck path/to/model.json --batch-size 8 --json")]
    Gradcheck(GradcheckArgs),
    /// Print what this machine offers, which data sets are here, and what is missing
    #[command(after_help = "Examples:\n  \
        lab doctor\n  \
        lab doctor --json")]
    Doctor(DoctorArgs),
    /// Print a script that completes lab's commands and options in a shell
    #[command(after_help = "Examples:\n  \
        lab completions bash > ~/.local/share/bash-completion/completions/lab\n  \
        lab completions zsh > ~/.zfunc/_lab")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write a manual page for each command
    #[command(after_help = "Examples:\n  \
        lab man ~/.local/share/man/man1    # then: man lab-train")]
    Man {
        /// The folder for lab.1, lab-train.1, ...; it is made where it is not there
        dir: PathBuf,
    },
}

/// What to print of the machine.
#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// The folder that holds the data sets (default: the cache folder)
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to answer and on which data.
#[derive(Args, Clone)]
pub(crate) struct ExerciseArgs {
    /// 1 to 6, or all
    #[arg(value_parser = ["1", "2", "3", "4", "5", "6", "all"])]
    pub(crate) which: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// A small version: fewer seeds and epochs
    #[arg(long)]
    pub(crate) quick: bool,
    /// Everything, however long it takes: in exercise 5 also each step of the augmentation alone, and training sets of a tenth to
    /// all of the images
    #[arg(long, conflicts_with = "quick")]
    pub(crate) full: bool,
    /// Also write the page index.html and one JSON record an exercise into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Print the JSON records to stdout instead of the answers
    #[arg(long)]
    pub(crate) json: bool,
}

/// The seed where none is given.
pub(crate) const DEFAULT_SEED: u64 = 6020;

/// Where data come from, where tensors live, which seed.
#[derive(Args, Clone)]
pub(crate) struct DataArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The seed of every random draw [default: 6020]
    #[arg(long, allow_negative_numbers = true, value_parser = whole)]
    pub(crate) seed: Option<u64>,
}

/// Where data come from and where tensors live.
#[derive(Args, Clone)]
pub(crate) struct PlaceArgs {
    /// digits, mnist, fashion-mnist, cifar10, cats-dogs, cats-dogs-original, or a folder with one sub-folder of images a class
    #[arg(long, value_name = "NAME|DIR")]
    pub(crate) data: Option<String>,
    /// The folder that holds the files of the data set (default: the cache folder, where they are downloaded to)
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) size: SizeArgs,
    /// cpu, cuda, cuda:N or metal
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
}

/// The size of the images that a network sees.
#[derive(Args, Clone, Default)]
pub(crate) struct SizeArgs {
    /// Resize all images to this height and width, bilinearly as image_dataset_from_directory of Keras, such as 64x64; a folder of
    /// pictures of different sizes needs it (default: the size of the images; of a saved network, what it was trained with)
    #[arg(long, value_name = "HEIGHTxWIDTH")]
    pub(crate) image_size: Option<ImageSize>,
}

/// What to print of a network.
#[derive(Args)]
pub(crate) struct SummaryArgs {
    /// A built-in name, a Keras JSON configuration, or a model file
    pub(crate) model: String,
    /// Characters of a line
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) line_length: Option<usize>,
    /// Show the layers of nested models
    #[arg(long)]
    pub(crate) expand_nested: bool,
    /// Show which layers are trained
    #[arg(long)]
    pub(crate) show_trainable: bool,
    /// Retrace every count as a formula
    #[arg(long)]
    pub(crate) explain: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = SummaryStyle::Keras)]
    pub(crate) style: SummaryStyle,
    /// Samples that work and memory of the styles torchinfo and markdown are counted for [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch_size: Option<u64>,
}

/// The forms of a summary.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SummaryStyle {
    /// The table that Keras prints, to the byte
    Keras,
    /// Input, output and kernel sizes, parameters, multiply-adds and memory, as torchinfo prints them
    Torchinfo,
    /// A Markdown table
    Markdown,
    /// The Keras JSON configuration
    Json,
    /// The graph for Graphviz, as Keras' plot_model draws it
    Dot,
    /// The graph as a drawing
    Svg,
}

#[derive(Subcommand)]
pub(crate) enum DataCommand {
    /// List the known data sets
    #[command(after_help = "Examples:\n  \
        lab data list\n  \
        lab data list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Download a data set
    #[command(after_help = "Examples:\n  \
        lab data fetch mnist\n  \
        lab data fetch cats-dogs --data-dir path/to/data")]
    Fetch {
        /// Name of the data set
        name: String,
        /// Where to put it (default: the cache folder)
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the files of a data set against their checksums
    #[command(after_help = "Examples:\n  \
        lab data verify digits\n  \
        lab data verify digits --json\n  \
        lab data verify mnist --data-dir path/to/mnist")]
    Verify {
        /// Name of the data set
        name: String,
        /// Where it is (default: the cache folder)
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// How to train.
///
/// What a resumed training takes from its file is optional here, so that an option that was typed can be told from a
/// default.
#[derive(Args)]
pub(crate) struct TrainArgs {
    /// A built-in name, a Keras JSON configuration, or a model file, whose weights are the start (default: a network that fits
    /// the data)
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Keras' name of the optimizer [default: adam]
    #[arg(long, value_name = "NAME")]
    pub(crate) optimizer: Option<String>,
    /// Its learning rate (default: the optimizer's own)
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = positive)]
    pub(crate) learning_rate: Option<f64>,
    /// Times that every sample is seen, in all
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    pub(crate) epochs: usize,
    /// Samples of one step [default: 32]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) batch_size: Option<usize>,
    /// Share of the training samples that is held out for validation; 0 holds none out [default: 0.1]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = share)]
    pub(crate) validation_split: Option<f64>,
    /// Augmentation pipeline, such as 'flip(horizontal) | rotate(0.1)'; mixup(0.2) or cutmix() at its end blend images and labels
    #[arg(long, value_name = "PIPELINE")]
    pub(crate) augment: Option<String>,
    #[command(flatten)]
    pub(crate) how: HowArgs,
    /// Where the training is saved after every epoch and when it is interrupted, a .safetensors file (default with --resume:
    /// the resumed file, unless it is one of a folder)
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Go on from a file that --output wrote, or from the newest whole one in a folder of --checkpoints, with all its options
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "model")]
    pub(crate) resume: Option<PathBuf>,
    /// Print a line an epoch instead of the live view, which is shown where everything is one terminal and nothing is served
    #[arg(long)]
    pub(crate) plain: bool,
    /// Print settings, history and test figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Show curves that grow while it trains at http://127.0.0.1:PORT/ (default: 8020; 0 takes any port that is free)
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "8020")]
    pub(crate) serve: Option<u16>,
}

/// How to train, beyond the first things.
#[derive(Args, Clone, Default)]
pub(crate) struct HowArgs {
    /// How the validation samples are chosen: once at random, the last ones (as Keras does), or anew in every epoch [default:
    /// random]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) split: Option<Split>,
    /// Validate after every so many epochs [default: 1]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) validation_freq: Option<usize>,
    /// Multiply the loss of classes: 'balanced', or numbers such as 'cat=2,dog=1' by name or label
    #[arg(long, value_name = "WEIGHTS")]
    pub(crate) class_weight: Option<String>,
    /// Metrics besides loss and accuracy, by the names of Keras and divided by commas, such as top_k_categorical_accuracy
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) metrics: Vec<String>,
    /// Share of each label that is spread over all classes, such as 0.1
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = share)]
    pub(crate) label_smoothing: Option<f64>,
    /// Learning rate over all steps: 'cosine', 'cosine:EPOCHS' with a linear warm-up, 'linear', or a Keras schedule as JSON
    #[arg(long, value_name = "SCHEDULE")]
    pub(crate) schedule: Option<String>,
    /// Decoupled weight decay (default: the optimizer's own)
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub(crate) weight_decay: Option<f64>,
    /// Limit the norm of each weight's gradient
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub(crate) clipnorm: Option<f64>,
    /// Limit the norm of all gradients together
    #[arg(
        long,
        value_name = "NORM",
        allow_negative_numbers = true,
        conflicts_with = "clipnorm"
    )]
    pub(crate) global_clipnorm: Option<f64>,
    /// Average the gradients of so many steps into one update
    #[arg(long, value_name = "STEPS")]
    pub(crate) accumulate: Option<u64>,
    /// Keep a moving average of the weights with this momentum, such as 0.99, and measure and save it
    #[arg(long, value_name = "MOMENTUM", allow_negative_numbers = true)]
    pub(crate) ema: Option<f64>,
    /// End when the monitored figure has not improved for so many epochs, with the weights of the best epoch
    #[arg(long, value_name = "PATIENCE", value_parser = at_least_one)]
    pub(crate) early_stopping: Option<usize>,
    /// Multiply the learning rate by a factor (default 0.1) when the monitored figure has not improved for so many epochs
    #[arg(long, value_name = "PATIENCE[:FACTOR]")]
    pub(crate) reduce_lr: Option<String>,
    /// The figure that --early-stopping, --reduce-lr, --best and --checkpoints look at [default: val_loss]
    #[arg(long, value_name = "FIGURE")]
    pub(crate) monitor: Option<String>,
    /// Also keep the network of the best epoch in this file, for use
    #[arg(long, value_name = "FILE")]
    pub(crate) best: Option<PathBuf>,
    /// A folder that keeps the last checkpoints and the best one by the monitored figure; one is written after every epoch and when the
    /// training is interrupted (default with --resume: the resumed folder)
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoints: Option<PathBuf>,
    /// How many of the last checkpoints are kept besides the best one [default: 3]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) keep: Option<usize>,
    /// Save --output and --checkpoints also after every so many steps
    #[arg(long, value_name = "STEPS", value_parser = at_least_one)]
    pub(crate) save_every: Option<usize>,
    /// Write the figures of every epoch as a line into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write event files for TensorBoard into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) tensorboard: Option<PathBuf>,
    /// How exact products of f32 are, where the processor has tiles of bfloat16: a choice between speed and error [default: highest]
    #[arg(long, value_enum, value_name = "PRECISION")]
    pub(crate) matmul_precision: Option<MatmulPrecisionArg>,
    /// Batches that a thread makes ahead, at most 1024 [default: 2 with augmentation, else 0]
    #[arg(long, value_name = "N", value_parser = batches_ahead)]
    pub(crate) prefetch: Option<usize>,
}

/// `kernels::MatmulPrecision` on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MatmulPrecisionArg {
    /// That of f32, by the fastest way
    Highest,
    /// That of f32, with multiply-adds of f32 only
    Fma,
    /// Twice the digits of bfloat16: an error of 2^-16
    High,
    /// Factors rounded to bfloat16: an error of 2^-8
    Medium,
}

impl std::fmt::Display for MatmulPrecisionArg {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            MatmulPrecisionArg::Highest => "highest",
            MatmulPrecisionArg::Fma => "fma",
            MatmulPrecisionArg::High => "high",
            MatmulPrecisionArg::Medium => "medium",
        })
    }
}

/// How validation samples are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Split {
    /// Once, at random
    Random,
    /// The last samples of the data set, as validation_split of Keras
    Last,
    /// At random, anew in every epoch
    EveryEpoch,
}

impl std::fmt::Display for Split {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Split::Random => "random",
            Split::Last => "last",
            Split::EveryEpoch => "every-epoch",
        })
    }
}

/// What to show.
#[derive(Args)]
pub(crate) struct AugmentArgs {
    /// PNG or JPEG files
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// The steps, such as 'flip(horizontal) | rotate(0.1) | contrast(0.2) @ 0.5', or a pipeline as JSON; pixels are 0 to 255
    #[arg(long, value_name = "PIPELINE", conflicts_with_all = ["list", "replay"])]
    pub(crate) pipeline: Option<String>,
    /// The seed of every random draw [default: 6020]
    #[arg(long, allow_negative_numbers = true, value_parser = whole)]
    pub(crate) seed: Option<u64>,
    /// Variants of each picture, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = variants)]
    pub(crate) variants: usize,
    /// The contact sheet, a PNG file (default: sheet.png; with --list none)
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write what was done to each picture as JSON into this file
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    pub(crate) record: Option<PathBuf>,
    /// Do again what --record wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "seed"])]
    pub(crate) replay: Option<PathBuf>,
    /// Interpolate in every step, instead of once for affine steps in a row
    #[arg(long, conflicts_with_all = ["list", "replay"])]
    pub(crate) no_merge: bool,
    /// List all transformations; with --output also a picture of each
    #[arg(long)]
    pub(crate) list: bool,
    /// Print what was done, or the list, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn variants(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=64).contains(&number) => Ok(number),
        _ => Err("expected a whole number from 1 to 64".to_string()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a whole number, at least 1".to_string()),
    }
}

/// Batches ahead, of which each takes memory.
fn batches_ahead(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number <= 1024 => Ok(number),
        _ => Err("expected a whole number from 0 to 1024, such as 2".to_string()),
    }
}

/// A seed.
fn whole(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected a whole number, such as 7".to_string())
}

/// A number above 0.
fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected a number above 0, such as 0.001".to_string()),
    }
}

/// A number of `[0, 1)`.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to below 1, such as 0.1".to_string()),
    }
}

/// Ends the program as every other usage error does, with exit code 2: options of this subcommand exclude each other.
pub(crate) fn conflicting_options(subcommand: &str, message: &str) -> ! {
    let mut command = Cli::command();
    command.build();
    let error = match command.find_subcommand_mut(subcommand) {
        Some(found) => found.error(clap::error::ErrorKind::ArgumentConflict, message),
        None => command.error(clap::error::ErrorKind::ArgumentConflict, message),
    };
    error.exit()
}
