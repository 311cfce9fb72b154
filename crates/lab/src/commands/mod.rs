//! One module a subcommand.

mod augment;
mod convert;
mod data;
mod doctor;
mod evaluate;
pub(crate) mod files;
mod gradcheck;
mod inspect;
mod manual;
mod model;
mod predict;
mod report;
mod summary;
mod sweep;
mod train;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Command;
use crate::exercises;

/// Does what was asked for.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Exercise(args) => exercises::run(&args),
        Command::Summary(args) => summary::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Data(command) => data::run(&command),
        Command::Train(args) => train::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Convert(args) => convert::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Inspect(args) => inspect::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Gradcheck(args) => gradcheck::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Predict(args) => predict::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Augment(args) => augment::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Evaluate(args) => evaluate::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => doctor::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Completions { shell } => manual::completions(shell).map(|()| ExitCode::SUCCESS),
        Command::Man { dir } => manual::pages(&dir).map(|()| ExitCode::SUCCESS),
    }
}
