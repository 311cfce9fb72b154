//! What can go wrong while optimizers are compared.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was wrong, in which run, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A study that compares nothing.
    #[error("the study has no {what}; give it at least one")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// A learning rate outside of its range.
    #[error("the learning rate {found} of the grid is not a positive finite number")]
    LearningRate {
        /// What was given.
        found: f64,
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
    /// The study was stopped from outside.
    #[error("the study was interrupted after {done} of {runs} runs")]
    Interrupted {
        /// Runs that were finished.
        done: usize,
        /// Runs of the study.
        runs: usize,
    },
    /// A run failed for another reason than divergence.
    #[error("{optimizer} with learning rate {learning_rate} and seed {seed}: {source}")]
    Run {
        /// Name of the optimizer.
        optimizer: String,
        /// Learning rate of the run.
        learning_rate: f64,
        /// Seed of the run.
        seed: u64,
        /// What training says.
        source: training::Error,
    },
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
