//! What optimizers are compared on.

use std::sync::atomic::AtomicBool;

use optimizers::Optimizer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::landscape::Landscape;
use crate::learning::Learning;
use crate::trial::{Outcome, Timing, Trial, hexadecimal};
use crate::{Error, Result};

/// What a score counts; larger is better in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of samples whose class was found.
    Accuracy,
    /// Coefficient of determination, `1 - Σ (y - ŷ)² / Σ (y - ȳ)²`.
    Determination,
    /// Powers of ten by which the value of a function fell.
    Orders,
}

impl Measure {
    /// Its name, as a table's heading or an axis says it.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Accuracy => "accuracy",
            Measure::Determination => "R²",
            Measure::Orders => "orders of magnitude",
        }
    }
}

/// What is known of a task without its data; part of every plan, so that records can be read where the data are not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDescription {
    /// A short name, as it is typed.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What its scores count.
    pub measure: Measure,
    /// The score of who has learnt nothing.
    pub guess: f64,
    /// Measurements of a run, one an epoch.
    pub epochs: u64,
    /// Steps between two measurements.
    pub steps_per_epoch: u64,
    /// About how much work a run is, in multiplications.
    pub cost: f64,
    /// SHA-256 of everything that a run depends on besides optimizer and seed.
    pub fingerprint: String,
}

/// The two sorts of task.
#[derive(Clone)]
enum Problem {
    Learning(Box<Learning>),
    Landscape(Landscape),
}

/// Something that every optimizer is asked to do.
#[derive(Clone)]
pub struct Task {
    description: TaskDescription,
    problem: Problem,
}

impl Task {
    /// A network to train.
    ///
    /// # Errors
    /// [`Error::Empty`] without epochs or samples, or with batches of none.
    pub fn learning(name: impl Into<String>, title: impl Into<String>, learning: Learning) -> Result<Self> {
        let parts = [
            ("epoch", learning.epochs == 0),
            ("sample in a batch", learning.batch_size == 0),
            ("sample to learn from", learning.train.is_empty()),
            ("sample to choose on", learning.validation.is_empty()),
            ("sample to report on", learning.test.is_empty()),
        ];
        if let Some((what, _)) = parts.into_iter().find(|(_, empty)| *empty) {
            return Err(Error::Empty { what });
        }
        let description = TaskDescription {
            name: name.into(),
            title: title.into(),
            measure: if learning.has_labels() {
                Measure::Accuracy
            } else {
                Measure::Determination
            },
            guess: learning.guess(),
            epochs: learning.epochs as u64,
            steps_per_epoch: learning.steps_per_epoch(),
            cost: learning.cost(),
            fingerprint: learning.fingerprint(),
        };
        Ok(Task {
            description,
            problem: Problem::Learning(Box::new(learning)),
        })
    }

    /// A function to walk down on.
    ///
    /// # Errors
    /// [`Error::Empty`] without steps, or with no steps between two measurements.
    pub fn landscape(name: impl Into<String>, title: impl Into<String>, landscape: Landscape) -> Result<Self> {
        if landscape.steps == 0 || landscape.every == 0 {
            return Err(Error::Empty { what: "step" });
        }
        let text = serde_json::to_string(&landscape).unwrap_or_default();
        let description = TaskDescription {
            name: name.into(),
            title: title.into(),
            measure: Measure::Orders,
            guess: 0.0,
            epochs: landscape.steps.div_ceil(landscape.every),
            steps_per_epoch: landscape.every,
            // A step is some microseconds of bookkeeping, whatever the function.
            cost: landscape.steps as f64 * 5e4,
            fingerprint: hexadecimal(&Sha256::digest(text.as_bytes())),
        };
        Ok(Task {
            description,
            problem: Problem::Landscape(landscape),
        })
    }

    /// What is known of it without its data.
    pub fn description(&self) -> &TaskDescription {
        &self.description
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// Whether this is a network to train.
    pub fn as_learning(&self) -> Option<&Learning> {
        match &self.problem {
            Problem::Learning(learning) => Some(learning),
            Problem::Landscape(_) => None,
        }
    }

    /// One run, on the current thread pool.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the flag was set, [`Error::Run`] where the run failed for another reason than that its
    /// numbers grew beyond all bounds (that is an outcome: the optimizer diverged).
    pub fn attempt(&self, trial: &Trial, interrupt: &AtomicBool) -> Result<(Outcome, Timing)> {
        let failed = |source: training::Error| Error::Run {
            task: trial.task.clone(),
            optimizer: trial.optimizer.clone(),
            learning_rate: trial.learning_rate,
            seed: trial.seed,
            source: Box::new(source),
        };
        let optimizer = Optimizer::builder(&trial.optimizer)?.learning_rate(trial.learning_rate);
        match &self.problem {
            Problem::Learning(learning) => learning
                .attempt(optimizer, trial.seed, interrupt)
                .map_err(|failure| failure.of(failed)),
            Problem::Landscape(landscape) => {
                landscape
                    .attempt(optimizer, trial.seed, interrupt)
                    .map_err(|error| match error {
                        Error::Training(source) => failed(source),
                        Error::Optimizer(source) => failed(source.into()),
                        error => error,
                    })
            }
        }
    }
}
