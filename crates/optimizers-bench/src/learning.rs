//! Training a network as a task: what is learnt from, what choices are made on, what is reported.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use candle_core::{DType, Device};
use models::Network;
use nn_theory::ModelSpec;
use optimizers::OptimizerBuilder;
use sha2::{Digest, Sha256};
use training::{EpochRecord, Loss, Samples, StopReason, Targets, Trainer, evaluate, measure};

use crate::trial::{Outcome, Point, Timing, hexadecimal};
use crate::{Error, Result};

/// Samples that are measured at once.
const MEASURED_AT_ONCE: usize = 256;

/// A network and the samples that it is given.
///
/// With class labels the score is the accuracy, and the loss the cross-entropy on logits. With numbers as targets the score
/// is the coefficient of determination, `R² = 1 - Σ (y - ŷ)² / Σ (y - ȳ)²` (0 where it would be below), and the loss the
/// mean squared error.
#[derive(Clone)]
pub struct Learning {
    /// The network, the same for all optimizers.
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

impl Learning {
    pub(crate) fn has_labels(&self) -> bool {
        matches!(self.train.targets(), Targets::Labels(_))
    }

    pub(crate) fn steps_per_epoch(&self) -> u64 {
        self.train.len().div_ceil(self.batch_size.max(1)) as u64
    }

    /// The score of who has learnt nothing: one class of all, or the mean of the targets.
    pub(crate) fn guess(&self) -> f64 {
        let outputs = self
            .network
            .nodes()
            .last()
            .and_then(|node| node.output_shape.0.last().copied());
        match outputs.flatten() {
            _ if !self.has_labels() => 0.0,
            // One output decides between two classes.
            None | Some(0 | 1) => 0.5,
            Some(classes) => 1.0 / classes as f64,
        }
    }

    /// SHA-256 of everything that a run depends on besides optimizer and seed.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.network.to_keras_json().as_bytes());
        hash.update(format!("|{}|{}|", self.epochs, self.batch_size).as_bytes());
        for samples in [&self.train, &self.validation, &self.test] {
            hash.update(format!("|{:?}|{}|", samples.shape(), samples.len()).as_bytes());
            samples
                .inputs()
                .iter()
                .for_each(|input| hash.update(input.to_le_bytes()));
            match samples.targets() {
                Targets::Labels(labels) => labels.iter().for_each(|label| hash.update(label.to_le_bytes())),
                Targets::Dense { values, shape } => {
                    hash.update(format!("{shape:?}").as_bytes());
                    values.iter().for_each(|value| hash.update(value.to_le_bytes()));
                }
            }
        }
        hexadecimal(&hash.finalize())
    }

    /// About how much work a run is: multiplications of all passes, forward and twice as many backward, and what a step
    /// costs however small the network is.
    pub(crate) fn cost(&self) -> f64 {
        const OF_A_STEP: f64 = 5e5;
        let of_one = self.network.multiply_adds().ok().flatten().unwrap_or(1) as f64;
        let steps = self.steps_per_epoch() as f64 * self.epochs as f64;
        3.0 * of_one * self.train.len() as f64 * self.epochs as f64 + OF_A_STEP * steps
    }

    fn loss(&self) -> Loss {
        if self.has_labels() {
            Loss::SparseCategoricalCrossentropy
        } else {
            Loss::MeanSquaredError
        }
    }

    /// The score that goes with a loss and an accuracy on `samples`.
    fn score(&self, samples: &Samples, loss: f64, accuracy: Option<f64>) -> f64 {
        match samples.targets() {
            Targets::Labels(_) => accuracy.unwrap_or_default(),
            // Predictions worse than the mean would outweigh all others in means over seeds.
            Targets::Dense { values, .. } => (1.0 - loss / variance(values)).max(0.0),
        }
    }

    /// One training with `optimizer` from the weights of `seed`.
    pub(crate) fn attempt(
        &self,
        optimizer: OptimizerBuilder,
        seed: u64,
        interrupt: &AtomicBool,
    ) -> Result<(Outcome, Timing), Failure> {
        let started = Instant::now();
        let mut network = Network::new(self.network.clone(), seed, &Device::Cpu, DType::F32)
            .map_err(|error| Failure::Other(training::Error::from(error)))?;
        let weights = network.weights();
        let mut optimizer = optimizer
            .build_for(weights.map(|weight| (weight.path.as_str(), weight.var.dims())))
            .map_err(|error| Failure::Other(error.into()))?;
        let mut curve = Curve::default();
        let trained = Trainer::new()
            .epochs(self.epochs)
            .batch_size(self.batch_size)
            .seed(seed)
            .loss(self.loss())
            .validation_data(&self.validation)
            .interrupt(interrupt)
            .callback(&mut curve)
            .fit(&mut network, &mut optimizer, &self.train);
        let records = match trained {
            Ok(history) if history.stopped == StopReason::Interrupted => return Err(Failure::Interrupted),
            Ok(history) => Some(history.epochs),
            Err(error) if is_divergence(&error) => None,
            Err(error) => return Err(Failure::Other(error)),
        };
        let last = records.as_ref().and_then(|records| records.last());
        // The last step of all may lead beyond what is finite, and no later step notices.
        let validation_loss = last.and_then(|record| record.val_loss).filter(|loss| loss.is_finite());
        let curve_of = |records: &[EpochRecord]| -> Vec<Point> {
            let per_epoch = self.steps_per_epoch();
            let finite = records
                .iter()
                .take_while(|record| record.val_loss.is_some_and(f64::is_finite));
            finite
                .map(|record| Point {
                    step: record.epoch as u64 * per_epoch,
                    loss: Some(record.loss).filter(|loss| loss.is_finite()),
                    score: self.score(
                        &self.validation,
                        record.val_loss.unwrap_or_default(),
                        record.val_accuracy,
                    ),
                })
                .collect()
        };
        let points = curve_of(&curve.records);
        let mut test = None;
        if validation_loss.is_some() {
            test = Some(self.test_score(&network).map_err(Failure::Other)?).filter(|score| score.is_finite());
        }
        let outcome = match (validation_loss, test, points.last()) {
            (Some(loss), Some(test), Some(end)) => Outcome {
                validation: end.score,
                validation_loss: Some(loss),
                test,
                diverged: false,
                curve: points,
            },
            _ => Outcome {
                validation: self.guess(),
                validation_loss: None,
                test: self.guess(),
                diverged: true,
                curve: points,
            },
        };
        let timing = Timing {
            points: curve.seconds[..outcome.curve.len()].to_vec(),
            seconds: started.elapsed().as_secs_f64(),
        };
        Ok((outcome, timing))
    }

    fn test_score(&self, network: &Network) -> training::Result<f64> {
        let loss = self.loss();
        if self.has_labels() {
            return Ok(evaluate(network, &self.test, loss, MEASURED_AT_ONCE)?.accuracy);
        }
        let figures = measure(network, &self.test, loss, &mut [], MEASURED_AT_ONCE)?;
        let loss = figures.get("loss").copied().unwrap_or(f64::NAN);
        Ok(self.score(&self.test, loss, None))
    }
}

/// Mean squared distance of numbers from their mean.
fn variance(values: &[f32]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    values
        .iter()
        .map(|value| (f64::from(*value) - mean).powi(2))
        .sum::<f64>()
        / count
}

/// Whether a training ended because its numbers grew beyond all bounds: an outcome, not a failure.
fn is_divergence(error: &training::Error) -> bool {
    matches!(
        error,
        training::Error::NonFiniteLoss { .. } | training::Error::Optimizer(optimizers::Error::NonFiniteGradient { .. })
    )
}

/// Why a run has no outcome.
pub(crate) enum Failure {
    Interrupted,
    Other(training::Error),
}

impl Failure {
    /// The error of a study.
    pub(crate) fn of(self, failed: impl FnOnce(training::Error) -> Error) -> Error {
        match self {
            Failure::Interrupted => Error::Interrupted { done: 0, runs: 1 },
            Failure::Other(error) => failed(error),
        }
    }
}

/// Keeps the records of a training that may fail, and when they came.
#[derive(Default)]
struct Curve {
    records: Vec<EpochRecord>,
    seconds: Vec<f64>,
    began: Option<Instant>,
}

impl training::Callback for Curve {
    fn on_train_begin(&mut self, _: &training::callbacks::TrainBegin<'_>) -> training::Result<()> {
        self.began = Some(Instant::now());
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &mut training::EpochEnd<'_>) -> training::Result<training::Control> {
        self.records.push(epoch.record.clone());
        self.seconds
            .push(self.began.map_or(0.0, |began| began.elapsed().as_secs_f64()));
        Ok(training::Control::Continue)
    }
}
