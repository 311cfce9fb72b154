//! `bench optimizers`: one optimizer step here and in other libraries, in turns.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use super::machine::Watch;
use super::steps::{Missing, OURS, Report, Step};
use super::{Place, machine, programs};
use crate::cargo;

/// Options of `bench optimizers`.
#[derive(Args)]
pub(crate) struct OptimizersArgs {
    #[command(flatten)]
    place: Place,
    /// How often every library takes its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Threads of every library [default: all processors]
    #[arg(long)]
    threads: Option<usize>,
    /// Only these optimizers
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME",
        default_value = "sgdm,adam,adamw,rmsprop,adagrad,adadelta,adamax,nadam,lion,adafactor"
    )]
    optimizer: Vec<String>,
    /// Numbers of parameters: powers of ten from 1e5 to 1e8
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "1e5,1e6,1e7,1e8")]
    size: Vec<String>,
    /// Numbers of tensors that they are spread over
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "1,100")]
    tensors: Vec<String>,
    /// Only these libraries (this workspace always takes part)
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME",
        default_value = "torch,keras-tf,keras-jax"
    )]
    peer: Vec<String>,
    /// Only these modes of the other libraries: loop, foreach, fused, compile; jit, graph [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    mode: Vec<String>,
    /// Least seconds of each of the five measured blocks of steps
    #[arg(long, default_value_t = 0.2)]
    seconds: f64,
    /// This build of the example `step_speed` instead of a new one with `--release`
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Keep the cases of optimizers.json that are not measured now, so that the whole table can be made in parts
    #[arg(long)]
    add: bool,
    /// Print only, write no file
    #[arg(long)]
    dry_run: bool,
}

/// The other libraries and the modes that `peers/optim_step.py` has for them.
const PEERS: [(&str, &[&str]); 3] = [
    ("torch", &["loop", "foreach", "fused", "compile"]),
    ("keras-tf", &["jit", "graph"]),
    ("keras-jax", &["jit"]),
];

/// What takes part: a program, and the words that come before the cases.
struct Competitor {
    name: &'static str,
    program: PathBuf,
    words: Vec<String>,
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask talks to the person who runs it"
)]
pub(crate) fn run(args: &OptimizersArgs) -> Result<ExitCode> {
    let ours = match &args.program {
        Some(program) => std::path::absolute(program)?,
        None => match cargo::build("optimizers", &["--example", "step_speed"], &["--release"])? {
            Some(program) => program,
            None => return Ok(ExitCode::FAILURE),
        },
    };
    let threads = args.threads.unwrap_or_else(machine::processors);
    let (competitors, missing) = competitors(args, ours)?;
    let mut steps = Vec::new();
    for round in 1..=args.rounds {
        for size in &args.size {
            for tensors in &args.tensors {
                for competitor in &competitors {
                    let (found, others) = competitor.measure(args, size, tensors, threads, round)?;
                    let taken = others.map_or(String::new(), |share| {
                        format!(", {:.0} % of the processors taken by others", 100.0 * share)
                    });
                    eprintln!(
                        "round {round} of {}: {size} parameters in {tensors} tensors, {}: {} cases{taken}",
                        args.rounds,
                        competitor.name,
                        found.len()
                    );
                    steps.extend(found);
                }
            }
        }
    }
    let folder = cargo::root().join("docs").join("benchmarks");
    let mut report = Report {
        steps,
        missing,
        threads,
    };
    if args.add {
        report.add_from(&folder)?;
    }
    println!("{}", report.markdown());
    if !args.dry_run {
        report.write(&folder)?;
        println!("written: {}", folder.join("optimizers.md").display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Who takes part, and who is not installed.
fn competitors(args: &OptimizersArgs, ours: PathBuf) -> Result<(Vec<Competitor>, Vec<Missing>)> {
    let mut found = vec![Competitor {
        name: OURS,
        program: ours,
        words: Vec::new(),
    }];
    let mut missing = Vec::new();
    let venvs = std::path::absolute(args.place.folder()?)?;
    for name in &args.peer {
        let Some((name, modes)) = PEERS.iter().find(|(known, _)| known == name) else {
            bail!("there is no library '{name}'; known are torch, keras-tf, keras-jax");
        };
        let wanted: Vec<&str> = modes
            .iter()
            .copied()
            .filter(|mode| args.mode.is_empty() || args.mode.iter().any(|wanted| wanted == mode))
            .collect();
        let python = programs::python(&venvs.join(name));
        if wanted.is_empty() {
            continue;
        }
        if !python.is_file() {
            let why = format!(
                "not installed ({} is not there): `cargo xtask bench setup --only {name}`",
                python.display()
            );
            missing.push(((*name).to_string(), why));
            continue;
        }
        let script = cargo::root().join("peers").join("optim_step.py");
        found.push(Competitor {
            name,
            program: python,
            words: vec![
                script.display().to_string(),
                "--framework".to_string(),
                (*name).to_string(),
                "--modes".to_string(),
                wanted.join(","),
            ],
        });
    }
    Ok((found, missing))
}

impl Competitor {
    /// One turn: all optimizers at one size, in a process of its own.
    fn measure(
        &self,
        args: &OptimizersArgs,
        size: &str,
        tensors: &str,
        threads: usize,
        round: u16,
    ) -> Result<(Vec<Step>, Option<f64>)> {
        let watch = Watch::start();
        let output = Command::new(&self.program)
            .args(&self.words)
            .args(["--optimizers", &args.optimizer.join(",")])
            .args(["--sizes", size, "--tensors", tensors])
            .args([
                "--threads",
                &threads.to_string(),
                "--seconds",
                &args.seconds.to_string(),
            ])
            .env("RAYON_NUM_THREADS", threads.to_string())
            .output()
            .with_context(|| format!("{} could not be started", self.program.display()))?;
        let others = watch.others();
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().rev().find(|line| !line.trim().is_empty());
            bail!("{} failed: {}", self.name, last.unwrap_or("without a word"));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().filter(|line| line.starts_with('{'));
        let steps = lines.map(|line| {
            let line: Value = serde_json::from_str(line).context("its output is not one JSON object a line")?;
            Step::new(line, round, others).context("a line lacks a field")
        });
        Ok((steps.collect::<Result<_>>()?, others))
    }
}
