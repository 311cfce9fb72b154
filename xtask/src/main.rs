//! The project's own commands: `cargo xtask all` answers the whole exercise sheet, the others do its housework.
//!
//! **For** what has to be done around the crates: building `lab` and letting it answer, tests, benches, documentation, the
//! rules of the house. **Not for** answering anything itself: what an exercise does is written in `lab`, and this program
//! only starts `cargo` and `lab` as processes and hands on their exit codes, so that it builds in seconds.
//!
//! ```console
//! $ cargo xtask all --quick
//! $ cargo xtask exercise 3 --data mnist
//! $ cargo xtask test -p kernels
//! ```

mod api;
mod bench;
mod browser;
mod cargo;
mod docs;
mod examples;
mod features;
mod page;
mod python;
mod tidy;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer exercises 1 to 6 and write target/report/index.html
    All(ExerciseArgs),
    /// Answer one exercise (1 to 6)
    Exercise {
        /// Which exercise
        #[arg(value_parser = clap::value_parser!(u8).range(1..=6))]
        number: u8,
        #[command(flatten)]
        args: ExerciseArgs,
    },
    /// Run the tests: of the whole workspace, or of some crates
    Test {
        /// Only this crate (can be given several times)
        #[arg(short, long = "package", value_name = "CRATE")]
        packages: Vec<String>,
        /// Also ask the programs that own the file formats: Keras, PyTorch, h5py, safetensors, onnxruntime. Without a value they
        /// are installed into target/python (requirements.txt); with one, or several divided like PATH, these interpreters are
        /// asked for what they have. The tests find them as CANDLE_LAB_PYTHON
        #[arg(long, value_name = "PATHS", num_args = 0..=1)]
        python: Option<Option<OsString>>,
        /// Handed on to the test programs, as after `cargo test --`
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Run benches: kernels against the processor's peak, training against other libraries, or criterion's as they are
    Bench(bench::BenchArgs),
    /// Write the numbers of a run into the pages of docs/, or check them; build the book, or the documentation of the crates
    Docs(docs::DocsArgs),
    /// Run the examples of all crates, or of some
    Examples {
        /// Only of this crate (can be given several times)
        #[arg(short, long = "package", value_name = "CRATE")]
        packages: Vec<String>,
    },
    /// Ask cargo semver-checks and cargo public-api about the interfaces of the libraries, where these are installed
    Api(api::ApiArgs),
    /// Check what the compiler does not: the arrows between crates, `unsafe` only in kernels, the size of files
    Tidy,
    /// Check the page and the JSON records of `all`: complete, self-contained, well-formed
    CheckPage {
        /// Folder of the report
        #[arg(default_value = "target/report")]
        folder: PathBuf,
    },
    /// Use the page of `all` in Chromium: tabs, tables, figures, light and dark, paper, accessibility, valid HTML; and the page of
    /// `lab train --serve` while it trains. Pictures go to FOLDER/browser. Skipped, with a line that says so, where node, npm or a browser is missing
    Browser {
        /// Folder of the report
        #[arg(default_value = "target/report")]
        folder: PathBuf,
    },
}

/// Options of `all` and `exercise`; they mean what they mean for `lab exercise`.
#[derive(Args)]
struct ExerciseArgs {
    /// A small version of every exercise: fewer seeds and epochs
    #[arg(long)]
    quick: bool,
    /// digits, mnist, fashion-mnist, cifar10, cats-dogs, or a folder of images
    #[arg(long)]
    data: Option<String>,
    /// The folder that holds the files of the data set
    #[arg(long)]
    data_dir: Option<String>,
    /// cpu, cuda, cuda:N or metal
    #[arg(long)]
    device: Option<String>,
    /// The seed of every random draw
    #[arg(long)]
    seed: Option<u64>,
    /// Where the page and the JSON records go [default: target/report, of one exercise target/report/exercise-N]
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Cargo features for another device: cuda, cudnn, metal, mkl, accelerate
    #[arg(long, value_name = "FEATURES")]
    features: Option<String>,
    /// Compile with full optimisation (slower to build, faster to train)
    #[arg(long)]
    release: bool,
}

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::All(args) => exercise("all", Path::new("target/report"), &args),
        Command::Exercise { number, args } => {
            // A folder of its own: the page of all six stays as it is.
            exercise(
                &number.to_string(),
                &Path::new("target/report").join(format!("exercise-{number}")),
                &args,
            )
        }
        Command::Test { packages, python, rest } => {
            let python = python.map(|named| python::interpreters(named.as_deref())).transpose()?;
            let environment = python.as_deref().map(|python| ("CANDLE_LAB_PYTHON", python));
            cargo::run_with("test", &cargo::selection(&packages), &rest, environment)
        }
        Command::Bench(args) => bench::run(&args),
        Command::Docs(args) => docs::run(&args),
        Command::Examples { packages } => examples::run(&packages),
        Command::Api(options) => api::check(&options),
        Command::Tidy => tidy::check(),
        Command::CheckPage { folder } => page::check(&folder),
        Command::Browser { folder } => browser::check(&folder),
    }
}

/// Builds `lab` and lets it answer; the page goes to `folder` in the workspace where no other is given.
fn exercise(which: &str, folder: &Path, args: &ExerciseArgs) -> Result<ExitCode> {
    let mut options = Vec::new();
    if let Some(features) = &args.features {
        options.extend(["--features", features.as_str()]);
    }
    if args.release {
        options.push("--release");
    }
    let Some(program) = cargo::build("lab", &["--bin", "lab"], &options)? else {
        return Ok(ExitCode::FAILURE);
    };
    let report = args.report.clone().unwrap_or_else(|| cargo::in_root(folder));
    let mut words: Vec<OsString> = vec!["exercise".into(), which.into(), "--report".into(), report.into()];
    let options = [
        ("--data", &args.data),
        ("--data-dir", &args.data_dir),
        ("--device", &args.device),
    ];
    for (flag, value) in options {
        if let Some(value) = value {
            words.extend([flag.into(), value.into()]);
        }
    }
    if let Some(seed) = args.seed {
        words.extend(["--seed".into(), seed.to_string().into()]);
    }
    if args.quick {
        words.push("--quick".into());
    }
    cargo::process(&program, &words)
}
