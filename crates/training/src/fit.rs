//! The loop: epochs of steps, and what happens between them.

mod saving;
mod steps;

use std::sync::atomic::Ordering;
use std::time::Instant;

use indexmap::IndexMap;
use models::Network;
use optimizers::Optimizer;

use self::saving::Keys;
use crate::batches::{Inputs, Source};
use crate::callbacks::{Control, EpochBegin, EpochEnd, Moment, TrainBegin, TrainEnd};
use crate::evaluate::{Along, Measured, measure_at};
use crate::validation::Parts;
use crate::{EpochRecord, Held, History, Position, Result, Samples, StopReason, Trainer};

/// A training in progress.
pub(crate) struct Fit<'f, 'a> {
    options: Trainer<'a>,
    network: &'f mut Network,
    optimizer: &'f mut Optimizer,
    samples: &'f Samples,
    /// Weights of samples and classes together.
    weights: Option<Vec<f32>>,
    history: History,
    inputs: Inputs,
}

/// How the steps of an epoch ended.
enum Ended {
    Complete,
    Interrupted,
    NonFiniteLoss,
}

impl<'f, 'a> Fit<'f, 'a> {
    pub(crate) fn new(
        mut options: Trainer<'a>,
        network: &'f mut Network,
        optimizer: &'f mut Optimizer,
        samples: &'f Samples,
    ) -> Result<Self> {
        Ok(Fit {
            weights: options.sample_weights(samples)?,
            history: std::mem::take(&mut options.history),
            options,
            network,
            optimizer,
            samples,
            inputs: Inputs::default(),
        })
    }

    pub(crate) fn run(mut self) -> Result<History> {
        if self.history.epochs.len() >= self.options.epochs {
            // Nothing is left to do, and nothing is touched.
            return Ok(self.history);
        }
        let samples = self.samples;
        let source = Source {
            samples,
            augment: self.options.augment,
            seed: self.options.seed,
            batch_size: self.options.batch_size,
            outputs: self.network.output_shape().last().copied().unwrap_or(1),
            weights: self.weights.clone(),
            prefetch: self
                .options
                .prefetch
                .unwrap_or(if self.options.augment.is_some() { 2 } else { 0 }),
        };
        let mut parts = self.parts(self.history.epochs.len())?;
        self.begin()?;
        for epoch in self.history.epochs.len()..self.options.epochs {
            if self.options.validation_split.is_some_and(|split| split.is_fresh()) {
                parts = self.parts(epoch)?;
            }
            let mut position = match self.history.position.take() {
                Some(position) => position,
                None => {
                    if self.is_interrupted() {
                        self.history.stopped = StopReason::Interrupted;
                        break;
                    }
                    self.begin_epoch(epoch)?;
                    Position::default()
                }
            };
            match self.steps(&source, epoch, parts.as_ref(), &mut position)? {
                Ended::Complete => {}
                Ended::Interrupted => {
                    self.history.position = Some(position);
                    self.history.stopped = StopReason::Interrupted;
                    break;
                }
                Ended::NonFiniteLoss => {
                    self.history.stopped = StopReason::NonFiniteLoss;
                    break;
                }
            }
            if self.end_epoch(epoch, parts.as_ref(), &position)? == Control::Stop {
                self.history.stopped = StopReason::Callback;
                break;
            }
        }
        self.end()?;
        Ok(self.history)
    }

    fn is_interrupted(&self) -> bool {
        self.options.interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// The samples on both sides of the validation split, where there is one.
    fn parts(&self, epoch: usize) -> Result<Option<Parts>> {
        match (self.options.validation, self.options.validation_split) {
            (None, Some(split)) => Ok(Some(split.parts(self.samples.len(), self.options.seed, epoch)?)),
            _ => Ok(None),
        }
    }

    fn begin(&mut self) -> Result<()> {
        let saved = std::mem::take(&mut self.history.callbacks);
        let begin = TrainBegin {
            history: &self.history,
            epochs: self.options.epochs,
            validation: self.options.validation.is_some() || self.options.validation_split.is_some(),
            network: self.network,
        };
        let mut keys = Keys::default();
        for callback in &mut self.options.callbacks {
            callback.on_train_begin(&begin)?;
            let Some(key) = callback.key().map(|key| keys.next(key)) else {
                continue;
            };
            if let Some(state) = saved.iter().find(|state| state.key == key) {
                callback.load_state(state)?;
            }
        }
        self.history.stopped = StopReason::Finished;
        if self.history.held == Held::Averages {
            self.exchange_averages()?;
        }
        self.history.held = Held::Last;
        Ok(())
    }

    fn begin_epoch(&mut self, epoch: usize) -> Result<()> {
        let mut begin = EpochBegin {
            epoch: epoch + 1,
            optimizer: self.optimizer,
        };
        let callbacks = &mut self.options.callbacks;
        callbacks
            .iter_mut()
            .try_for_each(|callback| callback.on_epoch_begin(&mut begin))?;
        let metrics = self
            .options
            .metrics
            .iter_mut()
            .chain(&mut self.options.weighted_metrics);
        metrics.for_each(|metric| metric.reset());
        Ok(())
    }

    fn end_epoch(&mut self, epoch: usize, parts: Option<&Parts>, position: &Position) -> Result<Control> {
        let started = Instant::now();
        let metrics = self.options.metrics.iter().chain(&self.options.weighted_metrics);
        let mut metrics: IndexMap<String, f64> = metrics
            .map(|metric| (metric.name().to_string(), metric.result()))
            .collect();
        // Where there are averages, they are what is measured, seen by callbacks and saved.
        self.exchange_averages()?;
        self.history.held = self.held();
        let measured = match (epoch + 1).is_multiple_of(self.options.validation_freq) {
            true => self.validate(parts)?,
            false => None,
        };
        let seen = position.samples as f64;
        let named = measured.iter().flat_map(|measured| &measured.metrics);
        metrics.extend(named.map(|(name, value)| (format!("val_{name}"), *value)));
        let record = EpochRecord {
            epoch: epoch + 1,
            loss: position.loss_sum / seen,
            accuracy: if self.samples.labels().is_empty() {
                f64::NAN
            } else {
                position.right as f64 / seen
            },
            val_loss: measured.as_ref().map(|measured| measured.loss),
            val_accuracy: measured.as_ref().and_then(|measured| measured.accuracy),
            learning_rate: self.optimizer.learning_rate(),
            metrics,
        };
        self.history.epochs.push(record.clone());
        self.history
            .seconds
            .push(position.seconds + started.elapsed().as_secs_f64());
        let mut end = EpochEnd {
            record: &record,
            history: &self.history,
            network: self.network,
            optimizer: self.optimizer,
        };
        let mut control = Control::Continue;
        for callback in &mut self.options.callbacks {
            if callback.on_epoch_end(&mut end)? == Control::Stop {
                control = Control::Stop;
            }
        }
        if control == Control::Stop {
            // The file of this moment says so, too: what goes on from it knows that it was to end here.
            self.history.stopped = StopReason::Callback;
        }
        self.save(Moment::Epoch)?;
        self.exchange_averages()?;
        self.history.held = Held::Last;
        Ok(control)
    }

    /// Measures the network on the validation samples, where there are some.
    fn validate(&mut self, parts: Option<&Parts>) -> Result<Option<Measured>> {
        let all: Vec<usize>;
        let (samples, indices) = match (self.options.validation, parts) {
            (Some(samples), _) => {
                all = (0..samples.len()).collect();
                (samples, &all)
            }
            (None, Some(parts)) => (self.samples, &parts.validation),
            (None, None) => return Ok(None),
        };
        let metrics = [
            self.options.metrics.as_mut_slice(),
            self.options.weighted_metrics.as_mut_slice(),
        ];
        let batch_size = self.options.validation_batch_size;
        measure_at(
            self.network,
            samples,
            indices,
            self.options.loss,
            metrics,
            batch_size,
            Along::default(),
        )
        .map(Some)
    }

    fn end(&mut self) -> Result<()> {
        if self.history.stopped == StopReason::Interrupted {
            self.save(Moment::Interrupted)?;
        } else if self.optimizer.iterations() > 0 {
            self.exchange_averages()?;
            self.history.held = self.held();
        }
        self.remember_callbacks()?;
        let mut end = TrainEnd {
            history: &self.history,
            network: self.network,
        };
        let mut restored = false;
        for callback in &mut self.options.callbacks {
            restored |= callback.on_train_end(&mut end)?;
        }
        if restored {
            self.history.held = Held::Restored;
            self.save(Moment::End)?;
        }
        Ok(())
    }
}
