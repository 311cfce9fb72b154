//! What can be typed after `lab report`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Where `--serve` listens when no port is given.
const PORT: &str = "8020";

/// What to do with reports.
#[derive(Args)]
#[command(arg_required_else_help = true, args_conflicts_with_subcommands = true)]
pub(crate) struct ReportArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ReportCommand>,
    /// Show the page at http://127.0.0.1:PORT/ (default: 8020; 0 takes any that is free) and load it again whenever a run has
    /// written it, until Ctrl-C
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = PORT, required = true)]
    pub(crate) serve: Option<u16>,
    /// The folder of the report
    #[arg(long, value_name = "DIR", default_value = "target/report")]
    pub(crate) report: PathBuf,
    /// Instead, the curves of a file that lab train --csv writes, which grow while it trains
    #[arg(long, value_name = "FILE", conflicts_with = "report")]
    pub(crate) csv: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum ReportCommand {
    /// Compare two runs: what changed in answers, numbers, tables and figures
    #[command(
        after_help = "Exit codes: 0 nothing changed, 1 something did, 2 the records cannot be compared.\n\nExamples:\n  \
        lab report diff before/exercise-3.json after/exercise-3.json\n  \
        lab report diff before after --relative 0.01    # all records of two folders\n  \
        lab report diff a.json b.json --json"
    )]
    Diff(DiffArgs),
}

/// What to compare.
#[derive(Args)]
pub(crate) struct DiffArgs {
    /// A record (a JSON file that a run wrote), or a folder of them
    #[arg(value_name = "A")]
    pub(crate) before: PathBuf,
    /// The record, or the folder, of the other run
    #[arg(value_name = "B")]
    pub(crate) after: PathBuf,
    /// Numbers are the same where they differ by at most this share of the larger one
    #[arg(long, value_name = "SHARE", default_value_t = 1e-6, value_parser = not_negative, allow_negative_numbers = true)]
    pub(crate) relative: f64,
    /// Numbers are the same where they differ by at most this, whatever their size
    #[arg(long, value_name = "SIZE", default_value_t = 1e-9, value_parser = not_negative, allow_negative_numbers = true)]
    pub(crate) absolute: f64,
    /// Also compare how long things took
    #[arg(long)]
    pub(crate) timings: bool,
    /// Changes of each record that are listed, the first ones; 0 lists all
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub(crate) limit: usize,
    /// As JSON, all of them
    #[arg(long)]
    pub(crate) json: bool,
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected a number, at least 0".to_string()),
    }
}
