//! A study: optimizers on one task, tuned with the same budget, compared over seeds.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use candle_core::{DType, Device};
use models::Network;
use nn_theory::ModelSpec;
use optimizers::Optimizer;
use serde::{Deserialize, Serialize};
use training::{EpochRecord, Samples, StopReason, Trainer, evaluate};

use crate::{Error, Result, side_by_side};

/// What every optimizer is asked to do.
pub struct Task {
    /// The network, the same for all.
    pub network: ModelSpec,
    /// What it learns from.
    pub train: Samples,
    /// What learning rates are chosen on.
    pub validation: Samples,
    /// What is reported; no choice depends on it.
    pub test: Samples,
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples of one step.
    pub batch_size: usize,
}

/// One training: an optimizer, a learning rate, a seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Name of the optimizer.
    pub optimizer: String,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Seed of the initial weights and of the order of the samples.
    pub seed: u64,
}

/// What a trial came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was tried.
    pub trial: Trial,
    /// The figures of each epoch; shorter than the task's epochs where training diverged.
    pub epochs: Vec<EpochRecord>,
    /// Share of test samples that were classified right at the end; that of guessing where training diverged.
    pub test_accuracy: f64,
    /// Share of validation samples that were classified right at the end; that of guessing where training diverged.
    pub validation_accuracy: f64,
    /// Loss on the validation samples at the end; `None` where training diverged.
    pub validation_loss: Option<f64>,
    /// Whether the loss stopped being a number.
    pub diverged: bool,
}

impl Outcome {
    /// The first epoch after which the validation accuracy had reached `target`.
    pub fn epochs_to(&self, target: f64) -> Option<usize> {
        let reached = self
            .epochs
            .iter()
            .find(|record| record.val_accuracy.is_some_and(|value| value >= target));
        reached.map(|record| record.epoch)
    }
}

/// Progress of a study: trials that are done, trials in all.
pub type OnTrial<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// Runs trials side by side, one thread each, and returns their outcomes in the order of the trials.
///
/// Each trial is a function of its own seed and runs on its own thread pool of one thread, so the outcomes are the same
/// bits for any number of `workers`.
///
/// # Errors
/// [`Error::Interrupted`] where the flag was set, [`Error::Run`] where training failed for another reason than a loss
/// that is not finite (that is an outcome: the optimizer diverged).
pub fn run(
    task: &Task,
    trials: &[Trial],
    workers: usize,
    interrupt: &AtomicBool,
    on_trial: &OnTrial<'_>,
) -> Result<Vec<Outcome>> {
    let done = AtomicUsize::new(0);
    let count = |finished: usize, runs: usize| {
        // Two threads may report in the other order than they counted.
        done.fetch_max(finished, Ordering::Relaxed);
        on_trial(finished, runs);
    };
    let outcomes = side_by_side(trials.len(), workers, interrupt, &count, |index| {
        attempt(task, &trials[index], interrupt)
    });
    outcomes.map_err(|error| match error {
        // A trial knows that it was interrupted, not how many were finished.
        Error::Interrupted { .. } => Error::Interrupted {
            done: done.load(Ordering::Relaxed),
            runs: trials.len(),
        },
        error => error,
    })
}

fn attempt(task: &Task, trial: &Trial, interrupt: &AtomicBool) -> Result<Outcome> {
    let failed = |source: training::Error| Error::Run {
        optimizer: trial.optimizer.clone(),
        learning_rate: trial.learning_rate,
        seed: trial.seed,
        source,
    };
    let mut network = Network::new(task.network.clone(), trial.seed, &Device::Cpu, DType::F32)?;
    let mut optimizer = Optimizer::builder(&trial.optimizer)?
        .learning_rate(trial.learning_rate)
        .build()?;
    let mut curve = Curve::default();
    let trained = Trainer::new()
        .epochs(task.epochs)
        .batch_size(task.batch_size)
        .seed(trial.seed)
        .validation_data(&task.validation)
        .interrupt(interrupt)
        .callback(&mut curve)
        .fit(&mut network, &mut optimizer, &task.train);
    match trained {
        Ok(history) if history.stopped == StopReason::Interrupted => Err(Error::Interrupted { done: 0, runs: 1 }),
        Ok(history) => {
            let test = evaluate(&network, &task.test, Default::default(), 256).map_err(failed)?;
            let last = history.last();
            let validation_loss = last.and_then(|record| record.val_loss).filter(|loss| loss.is_finite());
            if validation_loss.is_none() {
                // The last step of all led beyond what is finite; no later step could notice.
                return Ok(diverged(trial, history.epochs, &network));
            }
            Ok(Outcome {
                trial: trial.clone(),
                test_accuracy: test.accuracy,
                validation_accuracy: last.and_then(|record| record.val_accuracy).unwrap_or_default(),
                validation_loss,
                epochs: history.epochs,
                diverged: false,
            })
        }
        Err(training::Error::NonFiniteLoss { .. }) => Ok(diverged(trial, curve.0, &network)),
        Err(error) => Err(failed(error)),
    }
}

/// What a network without finite weights is worth: guessing.
fn diverged(trial: &Trial, epochs: Vec<EpochRecord>, network: &Network) -> Outcome {
    let classes = network.output_shape().last().copied().unwrap_or(1).max(1);
    Outcome {
        trial: trial.clone(),
        epochs,
        test_accuracy: 1.0 / classes as f64,
        validation_accuracy: 1.0 / classes as f64,
        validation_loss: None,
        diverged: true,
    }
}

/// Keeps the records of a training that may fail.
#[derive(Default)]
struct Curve(Vec<EpochRecord>);

impl training::Callback for Curve {
    fn on_epoch_end(&mut self, epoch: &mut training::EpochEnd<'_>) -> training::Result<training::Control> {
        self.0.push(epoch.record.clone());
        Ok(training::Control::Continue)
    }
}
