//! The `lab` program: one subcommand a job, one module an exercise.
//!
//! **For** answering the exercise sheet (`lab exercise all`) and for the daily jobs around networks: counting one,
//! training one, looking at data. **Not for** mathematics: what is computed here is computed by the other crates, and
//! a program of your own uses those (`docs/crates.md` says where to start with each).
//!
//! ```console
//! $ lab exercise all --report target/report
//! $ lab summary cats_vs_dogs --line-length 80 --expand-nested --show-trainable
//! $ lab train --data digits --epochs 5 --output digits.safetensors
//! ```
//!
//! Results go to stdout, progress and errors to stderr. The exit code is 0, 1 (the job failed) or 2 (bad usage).

mod cli;
mod commands;
mod comparison;
mod context;
mod exercises;
mod live;
mod nearest;
mod progress;
mod serve;

use std::process::ExitCode;

use clap::Parser;

/// Feature maps and gradients of a step are kept for the next one.
#[global_allocator]
static ALLOCATOR: kernels::memory::Recycling = kernels::memory::Recycling::new();

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    compute_here_too();
    match commands::run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            // A reader that went away (`lab … | head`) is no failure to talk about.
            if !is_broken_pipe(&error) {
                if let Some(excerpt) = excerpt(&error) {
                    progress::say(excerpt);
                }
                progress::say(&format!("error: {}", one_line(&error)));
            }
            ExitCode::FAILURE
        }
    }
}

/// Makes this thread one of those that compute: handing each operation of a step over to others, only to wait for them,
/// costs more than many an operation. Where no threads can be started, the first operation says so.
fn compute_here_too() {
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
}

/// An error and its causes as one line; causes that only repeat what was said are left out.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    // An I/O error that nobody said anything about comes from writing to stdout.
    if error.chain().count() == 1 && error.is::<std::io::Error>() {
        line.push_str("the output cannot be written to stdout; free some space or send it elsewhere");
    }
    for cause in error.chain() {
        let text = match cause.downcast_ref() {
            Some(augmentation::Error::Syntax { message, position, .. }) => {
                format!("{message} (character {})", position + 1)
            }
            _ => cause.to_string(),
        };
        if !line.contains(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
    }
    // Whatever a message is made of, it stays one line.
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line of a pipeline with carets below what cannot be read.
fn excerpt(error: &anyhow::Error) -> Option<&str> {
    error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(augmentation::Error::Syntax { excerpt, .. }) => Some(excerpt.as_str()),
        _ => None,
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
