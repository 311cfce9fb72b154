//! Libraries that take turns at small jobs, each a process of its own: what `bench optimizers` and `bench augmentation` share.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use super::Place;
use super::machine::{self, Watch};
use super::programs::{self, OURS};
use crate::cargo;

/// A library that is not installed, and how to install it.
pub(crate) type Missing = (String, String);

/// How the turns are taken.
#[derive(Args)]
pub(super) struct TurnsArgs {
    #[command(flatten)]
    place: Place,
    /// How often every library takes its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) rounds: u16,
    /// Threads of every library [default: all processors]
    #[arg(long)]
    threads: Option<usize>,
    /// Least seconds of each of the five measured blocks
    #[arg(long, default_value_t = 0.2)]
    seconds: f64,
    /// This build of our example instead of a new one with `--release`
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Print only, write no file
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Another library as its script under `peers/` knows it.
pub(super) struct Library {
    pub(super) name: &'static str,
    /// The Python environment that has it.
    pub(super) environment: &'static str,
    pub(super) modes: &'static [&'static str],
}

/// What takes part: a program, and the words that come before the cases.
pub(super) struct Competitor {
    pub(super) name: &'static str,
    program: PathBuf,
    words: Vec<String>,
}

impl TurnsArgs {
    pub(super) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(machine::processors)
    }

    /// The example of this workspace; `None` where it does not compile, which cargo has said then.
    pub(super) fn ours(&self, package: &str, example: &str) -> Result<Option<Competitor>> {
        let program = match &self.program {
            Some(program) => Some(std::path::absolute(program)?),
            None => cargo::build(package, &["--example", example], &["--release"])?,
        };
        Ok(program.map(|program| Competitor {
            name: OURS,
            program,
            words: Vec::new(),
        }))
    }

    /// The other libraries that take part, and those that are not installed; no `modes` means all. The script under `peers/` is told the
    /// library behind `flag`.
    pub(super) fn others(
        &self,
        known: &[Library],
        wanted: &[String],
        modes: &[String],
        script: &str,
        flag: &str,
    ) -> Result<(Vec<Competitor>, Vec<Missing>)> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        let venvs = std::path::absolute(self.place.folder()?)?;
        for name in wanted {
            let Some(library) = known.iter().find(|library| library.name == name) else {
                let names: Vec<&str> = known.iter().map(|library| library.name).collect();
                bail!("there is no library '{name}'; known are {}", names.join(", "));
            };
            let chosen = |mode: &&str| modes.is_empty() || modes.iter().any(|wanted| wanted == mode);
            let chosen: Vec<&str> = library.modes.iter().copied().filter(chosen).collect();
            if chosen.is_empty() {
                continue;
            }
            let python = programs::python(&venvs.join(library.environment));
            if !python.is_file() {
                let why = format!(
                    "not installed ({} is not there): `cargo xtask bench setup --only {}`",
                    python.display(),
                    library.environment
                );
                missing.push((name.clone(), why));
                continue;
            }
            let script = cargo::root().join("peers").join(script).display().to_string();
            let words = [&script, flag, library.name, "--modes", &chosen.join(",")];
            found.push(Competitor {
                name: library.name,
                program: python,
                words: words.map(str::to_string).to_vec(),
            });
        }
        Ok((found, missing))
    }
}

impl Competitor {
    /// One turn: the JSON lines that the program printed, and the share of the processors that others took meanwhile. What it says about
    /// itself on stderr, in lines that begin with its name, is passed on as it comes.
    #[expect(clippy::print_stderr, reason = "xtask talks to the person who runs it")]
    pub(super) fn take_turn(&self, args: &TurnsArgs, cases: &[&str]) -> Result<(Vec<Value>, Option<f64>)> {
        let threads = args.threads().to_string();
        let watch = Watch::start();
        let mut child = Command::new(&self.program)
            .args(&self.words)
            .args(cases)
            .args(["--threads", &threads, "--seconds", &args.seconds.to_string()])
            .env("RAYON_NUM_THREADS", &threads)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", self.program.display()))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut text = String::new();
        let (read, last) = std::thread::scope(|scope| {
            let last = scope.spawn(|| {
                let mut last = None;
                // Bytes that are no text end nothing: only what is said last, and its own progress, are of interest.
                let lines = stderr
                    .into_iter()
                    .flat_map(|stderr| BufReader::new(stderr).split(b'\n'));
                for line in lines.map_while(std::result::Result::ok) {
                    let line = String::from_utf8_lossy(&line).trim_end().to_string();
                    if line.starts_with(self.name) {
                        eprintln!("  {line}");
                    } else if !line.is_empty() {
                        last = Some(line);
                    }
                }
                last
            });
            let read = stdout.map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut text));
            (read, last.join().unwrap_or_default())
        });
        let status = child.wait()?;
        let others = watch.others();
        if !status.success() {
            bail!("{} failed: {}", self.name, last.as_deref().unwrap_or("without a word"));
        }
        read.with_context(|| format!("{}: its output is no text", self.name))?;
        let lines = text.lines().filter(|line| line.starts_with('{'));
        let lines = lines.map(|line| serde_json::from_str(line).context("its output is not one JSON object a line"));
        Ok((lines.collect::<Result<_>>()?, others))
    }
}

/// What a line of progress ends with.
pub(super) fn taken(others: Option<f64>) -> String {
    others.map_or(String::new(), |share| {
        format!(", {:.0} % of the processors taken by others", 100.0 * share)
    })
}
