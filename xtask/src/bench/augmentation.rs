//! `bench augmentation`: every transformation here and in other libraries, in turns.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::images::{Case, Missing, Report};
use super::machine::Watch;
use super::{Place, machine, programs};
use crate::cargo;

/// Options of `bench augmentation`.
#[derive(Args)]
pub(crate) struct AugmentationArgs {
    #[command(flatten)]
    place: Place,
    /// How often every library takes its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Threads of every library [default: all processors]
    #[arg(long)]
    threads: Option<usize>,
    /// Only these operations
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME",
        default_value = "flip,invert,crop,rotate,translate,zoom,contrast,brightness,huesat,blur,erasing,mixup,cutmix,randaugment,pipeline"
    )]
    op: Vec<String>,
    /// Height, width and channels of the images
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "HxWxC",
        default_value = "28x28x1,32x32x3,224x224x3"
    )]
    shape: Vec<String>,
    /// Number formats: uint8, float32
    #[arg(long, value_delimiter = ',', value_name = "NAME", default_value = "uint8,float32")]
    dtype: Vec<String>,
    /// Only these libraries (this workspace always takes part)
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME",
        default_value = "torchvision,kornia,albumentations,keras"
    )]
    peer: Vec<String>,
    /// Only these modes of the other libraries: per-image, procs, batch, tfdata, call [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    mode: Vec<String>,
    /// Least seconds of each of the five measured blocks
    #[arg(long, default_value_t = 0.2)]
    seconds: f64,
    /// This build of the example `augment_speed` instead of a new one with `--release`
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Print only, write no file
    #[arg(long)]
    dry_run: bool,
}

/// The other libraries, the environments that have them, and the modes that `peers/augment.py` has for them.
const PEERS: [(&str, &str, &[&str]); 4] = [
    ("torchvision", "torch", &["per-image", "procs", "batch"]),
    ("kornia", "torch", &["batch"]),
    ("albumentations", "albumentations", &["per-image", "procs"]),
    ("keras", "keras-tf", &["tfdata", "call"]),
];

/// What takes part: a program, and the words that come before the cases.
struct Competitor {
    name: String,
    program: PathBuf,
    words: Vec<String>,
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask talks to the person who runs it"
)]
pub(crate) fn run(args: &AugmentationArgs) -> Result<ExitCode> {
    let ours = match &args.program {
        Some(program) => std::path::absolute(program)?,
        None => match cargo::build("augmentation", &["--example", "augment_speed"], &["--release"])? {
            Some(program) => program,
            None => return Ok(ExitCode::FAILURE),
        },
    };
    let threads = args.threads.unwrap_or_else(machine::processors);
    let (competitors, missing) = competitors(args, ours)?;
    let mut cases = Vec::new();
    for round in 1..=args.rounds {
        for shape in &args.shape {
            for competitor in &competitors {
                let watch = Watch::start();
                let found = competitor.measure(args, shape, threads, round)?;
                let taken = watch.others().map_or(String::new(), |share| {
                    format!(", {:.0} % of the processors taken by others", 100.0 * share)
                });
                eprintln!(
                    "round {round} of {}: {shape}, {}: {} cases{taken}",
                    args.rounds,
                    competitor.name,
                    found.len()
                );
                cases.extend(found);
            }
        }
    }
    let report = Report {
        cases,
        missing,
        rounds: args.rounds,
        threads,
    };
    let page = report.markdown();
    println!("{page}");
    if !args.dry_run {
        let path = cargo::root().join("docs").join("benchmarks").join("augmentation.md");
        fs::write(&path, page).with_context(|| format!("{} cannot be written", path.display()))?;
        println!("written: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Who takes part, and who is not installed.
fn competitors(args: &AugmentationArgs, ours: PathBuf) -> Result<(Vec<Competitor>, Vec<Missing>)> {
    let mut found = vec![Competitor {
        name: super::images::OURS.to_string(),
        program: ours,
        words: Vec::new(),
    }];
    let mut missing = Vec::new();
    let venvs = std::path::absolute(args.place.folder()?)?;
    for name in &args.peer {
        let Some((name, environment, modes)) = PEERS.iter().find(|(known, ..)| known == name) else {
            bail!("there is no library '{name}'; known are torchvision, kornia, albumentations, keras");
        };
        let wanted: Vec<&str> = modes
            .iter()
            .copied()
            .filter(|mode| args.mode.is_empty() || args.mode.iter().any(|wanted| wanted == mode))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let python = programs::python(&venvs.join(environment));
        if !python.is_file() {
            let why = format!(
                "not installed ({} is not there): `cargo xtask bench setup --only {environment}`",
                python.display()
            );
            missing.push(((*name).to_string(), why));
            continue;
        }
        let script = cargo::root().join("peers").join("augment.py");
        found.push(Competitor {
            name: (*name).to_string(),
            program: python,
            words: vec![
                script.display().to_string(),
                "--lib".to_string(),
                (*name).to_string(),
                "--modes".to_string(),
                wanted.join(","),
            ],
        });
    }
    Ok((found, missing))
}

impl Competitor {
    /// One turn: all operations at one size, in a process of its own.
    fn measure(&self, args: &AugmentationArgs, shape: &str, threads: usize, round: u16) -> Result<Vec<Case>> {
        let output = Command::new(&self.program)
            .args(&self.words)
            .args(["--ops", &args.op.join(","), "--shapes", shape])
            .args(["--dtypes", &args.dtype.join(",")])
            .args([
                "--threads",
                &threads.to_string(),
                "--seconds",
                &args.seconds.to_string(),
            ])
            .output()
            .with_context(|| format!("{} could not be started", self.program.display()))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().rev().find(|line| !line.trim().is_empty());
            bail!("{} failed: {}", self.name, last.unwrap_or("without a word"));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().filter(|line| line.starts_with('{'));
        let cases = lines.map(|line| {
            let line = serde_json::from_str(line).context("its output is not one JSON object a line")?;
            Case::new(&self.name, &line, round).context("a line lacks a field")
        });
        cases.collect()
    }
}
