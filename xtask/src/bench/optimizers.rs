//! `bench optimizers`: one optimizer step here and in other libraries, in turns.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::steps::{Report, Step};
use super::turns::{Library, TurnsArgs, taken};
use crate::cargo;

/// Options of `bench optimizers`.
#[derive(Args)]
pub(crate) struct OptimizersArgs {
    #[command(flatten)]
    turns: TurnsArgs,
    /// Only these optimizers; also muon and soap, which multiply matrices, and torch_muon, PyTorch's
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME",
        default_value = "sgdm,adam,adamw,rmsprop,adagrad,adadelta,adamax,nadam,lion,adafactor"
    )]
    optimizer: Vec<String>,
    /// Numbers of parameters: powers of ten from 1e5 to 1e8, 262144 (512 x 512) and 401408 (784 x 512), these two with --tensors 1
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
    /// Keep the cases of optimizers.json that are not measured now, so that the whole table can be made in parts
    #[arg(long)]
    add: bool,
}

/// The other libraries and the modes that `peers/optim_step.py` has for them.
const PEERS: [Library; 3] = [
    Library {
        name: "torch",
        environment: "torch",
        modes: &["loop", "foreach", "fused", "compile"],
    },
    Library {
        name: "keras-tf",
        environment: "keras-tf",
        modes: &["jit", "graph"],
    },
    Library {
        name: "keras-jax",
        environment: "keras-jax",
        modes: &["jit"],
    },
];

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask talks to the person who runs it"
)]
pub(crate) fn run(args: &OptimizersArgs) -> Result<ExitCode> {
    let turns = &args.turns;
    let Some(ours) = turns.ours("optimizers", "step_speed")? else {
        return Ok(ExitCode::FAILURE);
    };
    let (others, missing) = turns.others(&PEERS, &args.peer, &args.mode, "optim_step.py", "--framework")?;
    let optimizers = args.optimizer.join(",");
    let mut steps = Vec::new();
    for round in 1..=turns.rounds {
        for size in &args.size {
            for tensors in &args.tensors {
                for competitor in std::iter::once(&ours).chain(&others) {
                    let words = ["--optimizers", &optimizers, "--sizes", size, "--tensors", tensors];
                    let (lines, others) = competitor.take_turn(turns, &words)?;
                    eprintln!(
                        "round {round} of {}: {size} parameters in {tensors} tensors, {}: {} cases{}",
                        turns.rounds,
                        competitor.name,
                        lines.len(),
                        taken(others)
                    );
                    for line in lines {
                        steps.push(Step::new(line, round, others).context("a line lacks a field")?);
                    }
                }
            }
        }
    }
    let folder = cargo::root().join("docs").join("benchmarks");
    let mut report = Report {
        steps,
        missing,
        threads: turns.threads(),
    };
    if args.add {
        report.add_from(&folder)?;
    }
    println!("{}", report.markdown());
    if !turns.dry_run {
        report.write(&folder)?;
        println!("written: {}", folder.join("optimizers.md").display());
    }
    Ok(ExitCode::SUCCESS)
}
