//! What can go wrong while optimizers are compared.

use std::path::PathBuf;

use crate::grid::GRID_FORM;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was wrong, in which run or file, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A study that compares nothing.
    #[error("the study has no {what}; give it at least one")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// A study that names the same thing twice.
    #[error("the {what} {name} is there twice; name each once")]
    Twice {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A learning rate outside of its range.
    #[error("the learning rate {found} of the grid is not a positive finite number")]
    LearningRate {
        /// What was given.
        found: f64,
    },
    /// A text that is no grid of learning rates.
    #[error("'{text}' is no grid of learning rates: {problem}; expected {GRID_FORM}")]
    Grid {
        /// What was given.
        text: String,
        /// Why not.
        problem: String,
    },
    /// A text that names no part of a sweep.
    #[error("'{text}' is no shard; expected i/n with i from 1 to n, such as 1/3, 2/3, 3/3 on three machines")]
    Shard {
        /// What was given.
        text: String,
    },
    /// No task has this name.
    #[error("there is no task '{name}'{hint}; known are: {known}")]
    UnknownTask {
        /// What was asked for.
        name: String,
        /// The nearest name, as a question.
        hint: String,
        /// All names.
        known: String,
    },
    /// The optimizer that sets the target is not in the study.
    #[error("the reference '{found}' is not among the optimizers of the study; use one of: {known}")]
    Reference {
        /// What was given.
        found: String,
        /// The optimizers of the study.
        known: String,
    },
    /// A seed would decide on a learning rate and then measure it.
    #[error("the seed {seed} is used for tuning and for measuring; give the study other seeds for one of them")]
    SeedReused {
        /// The seed.
        seed: u64,
    },
    /// Too few values for a statistic.
    #[error("an interval needs at least two values, found {found}; run the study with more seeds")]
    TooFew {
        /// How many there are.
        found: usize,
    },
    /// Something that the plan does not have, or that is not as it was when the plan was made.
    #[error("the {what} '{name}' is not the one of the plan; make a new plan for it")]
    NotPlanned {
        /// A task or an optimizer.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The study was stopped from outside.
    #[error("the study was interrupted after {done} of {runs} runs")]
    Interrupted {
        /// Runs that were finished.
        done: usize,
        /// Runs of the study.
        runs: usize,
    },
    /// Results were asked for before all runs were there.
    #[error("runs are missing: only {cells} of {of} pairs of a task and an optimizer are complete")]
    Incomplete {
        /// Complete cells.
        cells: usize,
        /// Cells of the plan.
        of: usize,
    },
    /// A run failed for another reason than divergence.
    #[error("{task}, {optimizer} with learning rate {learning_rate} and seed {seed}: {source}")]
    Run {
        /// Name of the task.
        task: String,
        /// Name of the optimizer.
        optimizer: String,
        /// Learning rate of the run.
        learning_rate: f64,
        /// Seed of the run.
        seed: u64,
        /// What training says.
        source: Box<training::Error>,
    },
    /// A run ended in a bug of this program.
    #[error(
        "{task}, {optimizer} with learning rate {learning_rate} and seed {seed}: a bug in this program stopped the run; \
         please report it, and leave this optimizer out until it is mended"
    )]
    Panicked {
        /// Name of the task.
        task: String,
        /// Name of the optimizer.
        optimizer: String,
        /// Learning rate of the run.
        learning_rate: f64,
        /// Seed of the run.
        seed: u64,
    },
    /// A folder that is not one of records.
    #[error("the folder {}: {problem}; {advice}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: &'static str,
    },
    /// Files of a sweep that are not what was written.
    #[error(
        "{}; remove what is damaged and run the sweep again, which repeats those runs only",
        list(records)
    )]
    Damaged {
        /// The files, each with what is wrong.
        records: Vec<(PathBuf, String)>,
    },
    /// Folders that hold different studies.
    #[error(
        "the folders hold different studies: {what} is {one} in one and {two} in another; merge records of one study"
    )]
    PlansDiffer {
        /// What is different.
        what: String,
        /// In the first folder.
        one: String,
        /// In another.
        two: String,
    },
    /// Two records of one run that say different things.
    #[error(
        "{} and {} are records of the same run with different outcomes; processors with other vector instructions round \
         differently: keep the records of one of them", one.display(), two.display()
    )]
    RecordsDiffer {
        /// One of them.
        one: PathBuf,
        /// The other.
        two: PathBuf,
    },
    /// A file or folder that cannot be read.
    #[error("cannot read {}: {source}; check that it is there and yours to read", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    Write(#[from] report::Error),
    /// A value that JSON cannot hold.
    #[error("a record cannot be written as JSON: {0}")]
    Json(String),
    /// The threads of the study could not be started.
    #[error("the threads of the study could not be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The network cannot be built.
    #[error(transparent)]
    Model(#[from] models::Error),
    /// An optimizer cannot be built.
    #[error(transparent)]
    Optimizer(#[from] optimizers::Error),
    /// The samples do not fit the network.
    #[error(transparent)]
    Training(#[from] training::Error),
}

/// The first damaged files with what is wrong with them, and how many more there are.
fn list(records: &[(PathBuf, String)]) -> String {
    const SHOWN: usize = 5;
    let shown = records.iter().take(SHOWN);
    let mut text: Vec<String> = shown
        .map(|(path, problem)| format!("{} is damaged: {problem}", path.display()))
        .collect();
    if records.len() > SHOWN {
        text.push(format!("and {} more", records.len() - SHOWN));
    }
    text.join("; ")
}
