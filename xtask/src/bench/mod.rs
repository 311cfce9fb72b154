//! `cargo xtask bench`: how fast, next to what.
//!
//! * `bench kernels`: every operation of `kernels` and `optimizers` as a share of what this machine can do at most.
//! * `bench peers`: the same nets trained here and by other libraries, side by side.
//! * `bench optimizers`: one step of every optimizer here and in other libraries, side by side.
//! * `bench persistence`: models saved and loaded here and by other libraries.
//! * `bench augmentation`: every transformation of images here and in other libraries, side by side.
//! * `bench setup`: installs those libraries.
//! * without a word: criterion's benches as `cargo bench` runs them.

mod augmentation;
mod cases;
mod images;
mod kernels;
mod machine;
mod measured;
mod optimizers;
mod peers;
mod persistence;
mod programs;
mod results;
mod setup;
mod steps;
mod turns;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{cargo, docs};

/// Options of `bench`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// Only this crate (can be given several times)
    #[arg(short, long = "package", value_name = "CRATE")]
    packages: Vec<String>,
    /// Handed on to criterion, as after `cargo bench --`
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Subcommand)]
enum What {
    /// Measure every operation as a share of the processor's and the memory's peak, and write docs/benchmarks/kernels.md
    Kernels {
        /// Only benches whose name contains this; the page is not written then
        filter: Option<String>,
    },
    /// Train the same nets here and in other libraries, in turns, and write docs/benchmarks/training.md
    Peers(peers::PeersArgs),
    /// Time one step of every optimizer here and in other libraries, in turns, and write docs/benchmarks/optimizers.md
    Optimizers(optimizers::OptimizersArgs),
    /// Save and load models here and in other libraries, and write docs/benchmarks/persistence.md
    Persistence(persistence::PersistenceArgs),
    /// Augment the same images here and in other libraries, in turns, and write docs/benchmarks/augmentation.md
    Augmentation(augmentation::AugmentationArgs),
    /// Install the other libraries: one Python environment each, and the program of peers/burn
    Setup {
        #[command(flatten)]
        place: Place,
        /// Only these: torch, keras-tf, keras-jax, albumentations, burn
        #[arg(long, value_delimiter = ',', value_name = "NAME")]
        only: Vec<String>,
    },
}

/// Where the Python environments of the other libraries are.
#[derive(Args)]
struct Place {
    /// Folder with one Python environment a library: torch, keras-tf, keras-jax, albumentations [default: the environment variable
    /// CANDLE_LAB_PEERS, else target/peers/venvs]
    #[arg(long, value_name = "DIR")]
    venvs: Option<PathBuf>,
}

impl Place {
    fn folder(&self) -> Result<PathBuf> {
        match self
            .venvs
            .clone()
            .or_else(|| env::var_os("CANDLE_LAB_PEERS").map(PathBuf::from))
        {
            Some(folder) => Ok(folder),
            None => Ok(cargo::target_folder()?.join("peers").join("venvs")),
        }
    }
}

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let code = measure(args)?;
    // A page that was just measured, or measured for the first time, is in the list of all.
    docs::list_benchmarks()?;
    Ok(code)
}

fn measure(args: &BenchArgs) -> Result<ExitCode> {
    match &args.what {
        None => cargo::run("bench", &cargo::selection(&args.packages), &args.rest),
        Some(What::Kernels { filter }) => kernels::run(filter.as_deref()),
        Some(What::Peers(options)) => peers::run(options),
        Some(What::Optimizers(options)) => optimizers::run(options),
        Some(What::Persistence(options)) => persistence::run(options),
        Some(What::Augmentation(options)) => augmentation::run(options),
        Some(What::Setup { place, only }) => setup::run(&place.folder()?, only),
    }
}
