//! Cats vs. dogs: the lecture's networks over many seeds, and a network for the 64 × 64 originals that is trained from
//! scratch on the lecture's 40 + 40 training images.
//!
//! ```text
//! cargo run --release -p training --example cats_vs_dogs -- --data DIR                     # the table of results
//! cargo run --release -p training --example cats_vs_dogs -- --data DIR --cross-validate    # how the network was chosen
//! ```
//!
//! `--data` is the folder of `catData.mat`, `dogData.mat`, `catData_w.mat` and `dogData_w.mat`, or of a folder that
//! holds it; without it the cache folder is used, and what is missing there is downloaded. `--seeds N` (20) says how many
//! networks of each kind are trained, `--repeats N` (3) how often the cross-validation is repeated, `--only TEXT` that it
//! measures the candidates whose names contain the text.
//!
//! All choices were made with `--cross-validate`, which sees the training half alone. The same options give the same
//! numbers, whatever the number of threads (`RAYON_NUM_THREADS`).

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of an example: its result is what it prints"
)]

mod candidates;
mod choosing;
mod results;
mod training_run;

use std::path::PathBuf;
use std::process::ExitCode;

/// Anything that can go wrong, for the person at the keyboard.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What the command line asks for.
struct Options {
    data: Option<PathBuf>,
    seeds: u64,
    repeats: u64,
    cross_validate: bool,
    only: String,
}

const USAGE: &str = "usage: cats_vs_dogs [--data DIR] [--seeds N] [--cross-validate [--repeats N] [--only TEXT]]";

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> std::result::Result<Self, String> {
        let mut options = Options {
            data: None,
            seeds: 20,
            repeats: 3,
            cross_validate: false,
            only: String::new(),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--data" => options.data = Some(PathBuf::from(value()?)),
                "--seeds" => options.seeds = at_least(2, &word, &value()?)?,
                "--repeats" => options.repeats = at_least(1, &word, &value()?)?,
                "--only" => options.only = value()?,
                "--cross-validate" => options.cross_validate = true,
                _ => return Err(format!("there is no option '{word}'")),
            }
        }
        Ok(options)
    }
}

fn at_least(least: u64, option: &str, text: &str) -> std::result::Result<u64, String> {
    match text.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!(
            "{option} must be a whole number of at least {least}, found '{text}'"
        )),
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let data = options.data.as_deref();
    let done = if options.cross_validate {
        choosing::cross_validate(data, options.repeats, &options.only)
    } else {
        results::table(data, options.seeds)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
