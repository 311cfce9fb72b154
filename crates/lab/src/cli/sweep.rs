//! What can be typed after `lab sweep`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use optimizers::Optimizer;
use optimizers_bench::{Shard, known_task, parse_grid};

use super::{ImageSize, at_least_one, share};

/// Compares optimizers, or merges what several machines have run.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SweepArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SweepCommand>,
    #[command(flatten)]
    pub(crate) run: SweepRunArgs,
}

#[derive(Subcommand)]
pub(crate) enum SweepCommand {
    /// Bring the records of several folders together and show the results
    #[command(after_help = "Examples:\n  \
        lab sweep merge one two --out all     # copies into `all`, leaves `one` and `two` as they are\n  \
        lab sweep merge one two three         # brings the records of `two` and `three` into `one`\n  \
        lab sweep merge one --json            # reads a folder again, without running anything")]
    Merge(MergeArgs),
}

/// What is compared on what, and which part of it here.
#[derive(Args)]
#[command(group = ArgGroup::new("own").args(["model", "data"]).multiple(true))]
pub(crate) struct SweepRunArgs {
    /// Names of optimizers divided by commas, or 'all' [default: those of exercise 3]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = optimizer)]
    pub(crate) optimizers: Vec<String>,
    /// Tasks divided by commas: quadratic, quadratic_rotated, rosenbrock, regression, digits_cnn, cats_dogs, mnist_mlp, mnist_cnn,
    /// or 'all' [default: those that need no download; none of them with --model or --data]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = task)]
    pub(crate) tasks: Vec<String>,
    /// A network of your own as a task: a built-in name, a Keras JSON configuration, or a model file, of which the description
    /// counts: every run draws new weights [default with --data: the one that lab train takes for these images]
    #[arg(long, value_name = "MODEL", help_heading = OWN)]
    pub(crate) model: Option<String>,
    /// The data that it learns: digits, mnist, fashion-mnist, cifar10, cats-dogs, cats-dogs-original, or a folder with one
    /// sub-folder of images a class [default with --model: digits]
    #[arg(long, value_name = "NAME|DIR", help_heading = OWN)]
    pub(crate) data: Option<String>,
    /// Resize its images to this height and width, bilinearly, such as 32x32 [default: the size of the images]
    #[arg(long, value_name = "HEIGHTxWIDTH", requires = "own", help_heading = OWN)]
    pub(crate) image_size: Option<ImageSize>,
    /// Passes over the images that are learnt from in each run [default: 10, with --quick 2]
    #[arg(long, value_name = "N", requires = "own", value_parser = at_least_one, help_heading = OWN)]
    pub(crate) epochs: Option<usize>,
    /// Images of one step [default: 32]
    #[arg(long, value_name = "N", requires = "own", value_parser = at_least_one, help_heading = OWN)]
    pub(crate) batch_size: Option<usize>,
    /// The share of the training images that rates are chosen on; no choice sees a test image [default: 0.2]
    #[arg(long, value_name = "SHARE", requires = "own", value_parser = share, help_heading = OWN)]
    pub(crate) validation_split: Option<f64>,
    /// Use at most so many training images, and as many test images, drawn once for all runs [default: all, with --quick 1200]
    #[arg(long, value_name = "N", requires = "own", value_parser = at_least_one, help_heading = OWN)]
    pub(crate) images: Option<usize>,
    /// Learning rates that every optimizer may choose from: LOW:HIGH:COUNT, evenly spaced on a logarithmic axis, or rates divided by
    /// commas
    #[arg(long, value_name = "GRID", default_value = "1e-4:10:7", value_parser = grid)]
    pub(crate) learning_rates: Grid,
    /// Seeds that each rate of the grid is tried with
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = seeds)]
    pub(crate) seeds: u64,
    /// Other seeds that the chosen and the default rate are measured with, at least 2
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = reported_seeds)]
    pub(crate) reported_seeds: u64,
    /// The first of the seeds
    #[arg(long, value_name = "SEED", default_value_t = super::DEFAULT_SEED)]
    pub(crate) seed: u64,
    /// The optimizer whose tuned runs set the targets [default: sgd_momentum, where it takes part, else the first]
    #[arg(long, value_name = "NAME", value_parser = optimizer)]
    pub(crate) reference: Option<String>,
    /// Run only part i of n (1/2 here, 2/2 on another machine); `lab sweep merge` brings them together
    #[arg(long, value_name = "i/n", default_value = "1/1", value_parser = shard)]
    pub(crate) shard: Shard,
    /// Runs at the same time, on one thread each [default: one a core]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) workers: Option<usize>,
    /// The folder of the records; what is there already is not run again
    #[arg(long, value_name = "DIR", default_value = "sweep")]
    pub(crate) out: PathBuf,
    /// The folder that holds the files of the data sets, or their sub-folders (default: the cache folder, where they are
    /// downloaded to)
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Small budgets: fewer epochs and steps a run
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print the results as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The heading of the options that belong to `--model` and `--data`.
const OWN: &str = "A network and data of your own";

/// Which folders are merged, and where to.
#[derive(Args)]
pub(crate) struct MergeArgs {
    /// Folders that `lab sweep --out` wrote
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    /// Where all records are brought together [default: the first folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the results as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// All that is in a catalogue.
pub(crate) const ALL: &str = "all";

/// A grid of learning rates; clap would take a bare `Vec` for an option that may be repeated.
#[derive(Clone, Debug)]
pub(crate) struct Grid(pub(crate) Vec<f64>);

fn optimizer(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name == ALL {
        return Ok(ALL.to_string());
    }
    let optimizer = Optimizer::by_name(name).map_err(|error| error.to_string())?;
    Ok(optimizer.name().to_string())
}

fn task(text: &str) -> Result<String, String> {
    if text.trim() == ALL {
        return Ok(ALL.to_string());
    }
    let known = known_task(text).map_err(|error| error.to_string())?;
    Ok(known.name.to_string())
}

fn grid(text: &str) -> Result<Grid, String> {
    parse_grid(text).map(Grid).map_err(|error| error.to_string())
}

fn shard(text: &str) -> Result<Shard, String> {
    text.parse().map_err(|error: optimizers_bench::Error| error.to_string())
}

/// More seeds would meet those that are reported.
const MOST_SEEDS: u64 = crate::comparison::FIRST_REPORTED;

fn seeds(text: &str) -> Result<u64, String> {
    between(text, 1)
}

fn reported_seeds(text: &str) -> Result<u64, String> {
    between(text, 2)
}

fn between(text: &str, least: u64) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if (least..=MOST_SEEDS).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from {least} to {MOST_SEEDS}")),
    }
}
