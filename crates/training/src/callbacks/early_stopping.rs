//! Ending a training that does not get better.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{Callback, Control, EpochEnd, Monitor, TrainBegin, TrainEnd};
use crate::{CallbackState, Error, Result, StopReason};

/// Ends training when a quantity has not improved for `patience` epochs (`keras.callbacks.EarlyStopping`).
///
/// ```
/// use training::callbacks::{EarlyStopping, Monitor};
///
/// let mut stopping = EarlyStopping::new(5).monitor(Monitor::new("val_accuracy"));
/// stopping.baseline = Some(0.5);
/// ```
#[derive(Debug, Default)]
pub struct EarlyStopping {
    /// What is watched; by default the validation loss, where there is none the training loss.
    pub monitor: Monitor,
    /// Epochs in a row without improvement after which training ends; 0 is as good as 1, as in Keras.
    pub patience: usize,
    /// Improvements smaller than this do not count.
    pub min_delta: f64,
    /// A value that must be beaten within `patience` epochs.
    pub baseline: Option<f64>,
    /// Epochs at the beginning that are not looked at.
    pub start_from_epoch: usize,
    /// Whether the weights of the best epoch come back at the end.
    pub restore_best_weights: bool,
    memory: Memory,
    weights: Vec<(String, Tensor)>,
}

/// What is carried from epoch to epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    best: Option<f64>,
    best_epoch: Option<usize>,
    wait: usize,
}

impl EarlyStopping {
    /// Stops after `patience` epochs without improvement, and brings the best weights back.
    pub fn new(patience: usize) -> Self {
        EarlyStopping {
            patience,
            restore_best_weights: true,
            ..EarlyStopping::default()
        }
    }

    /// Watches another figure.
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.monitor = monitor;
        self
    }

    /// The best epoch so far, counted from 1.
    pub fn best_epoch(&self) -> Option<usize> {
        self.memory.best_epoch
    }

    /// The best value so far.
    pub fn best(&self) -> Option<f64> {
        self.memory.best
    }

    fn remember(&mut self, epoch: &EpochEnd<'_>) -> Result<()> {
        self.memory.best_epoch = Some(epoch.record.epoch);
        if self.restore_best_weights {
            self.weights = epoch.network.snapshot()?;
        }
        Ok(())
    }
}

impl Callback for EarlyStopping {
    fn key(&self) -> Option<&'static str> {
        Some("early_stopping")
    }

    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState {
            values: serde_json::to_value(self.memory).unwrap_or_default(),
            tensors: self.weights.clone(),
            ..CallbackState::default()
        })
    }

    fn load_state(&mut self, state: &CallbackState) -> Result<()> {
        self.memory = serde_json::from_value(state.values.clone()).map_err(|error| Error::CallbackState {
            callback: "early_stopping",
            reason: error.to_string(),
        })?;
        self.weights = if self.restore_best_weights {
            state.tensors.clone()
        } else {
            Vec::new()
        };
        Ok(())
    }

    fn on_train_begin(&mut self, begin: &TrainBegin<'_>) -> Result<()> {
        self.memory = Memory::default();
        self.weights.clear();
        self.monitor.begin(begin.validation)
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> Result<Control> {
        if epoch.record.epoch <= self.start_from_epoch {
            return Ok(Control::Continue);
        }
        let Some(value) = self.monitor.value(epoch.record)? else {
            return Ok(Control::Continue);
        };
        self.monitor.min_delta = self.min_delta;
        // Where nothing was ever an improvement, the first weights are the best.
        if self.restore_best_weights && self.weights.is_empty() {
            self.remember(epoch)?;
        }
        self.memory.wait += 1;
        if self.monitor.improves(value, self.memory.best)? {
            self.memory.best = Some(value);
            self.remember(epoch)?;
            let beaten = match self.baseline {
                None => true,
                baseline => self.monitor.improves(value, baseline)?,
            };
            if beaten {
                self.memory.wait = 0;
            }
            return Ok(Control::Continue);
        }
        Ok(if self.memory.wait >= self.patience && epoch.record.epoch > 1 {
            Control::Stop
        } else {
            Control::Continue
        })
    }

    fn on_train_end(&mut self, end: &mut TrainEnd<'_>) -> Result<bool> {
        if end.history.stopped == StopReason::Interrupted {
            return Ok(false);
        }
        // After the best epoch nothing has to be brought back.
        let last = end.history.last().map(|record| record.epoch);
        let holds_them = last == self.memory.best_epoch && end.history.stopped != StopReason::NonFiniteLoss;
        if self.weights.is_empty() || holds_them {
            return Ok(false);
        }
        for (path, value) in &self.weights {
            end.network.set_weight(path, value)?;
        }
        Ok(true)
    }
}
