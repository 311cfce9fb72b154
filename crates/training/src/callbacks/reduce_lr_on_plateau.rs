//! A smaller learning rate when training does not get better.

use serde::{Deserialize, Serialize};

use super::{Callback, Control, EpochEnd, Monitor, TrainBegin};
use crate::{CallbackState, Error, Result};

/// Multiplies the learning rate by `factor` when a quantity has not improved for `patience` epochs
/// (`keras.callbacks.ReduceLROnPlateau`).
///
/// A schedule of the optimizer is replaced by the constant rate. What is reduced stays reduced in a resumed training,
/// because the rate is part of the optimizer's configuration.
///
/// ```
/// use training::callbacks::ReduceLrOnPlateau;
///
/// let mut plateau = ReduceLrOnPlateau::new(0.5, 3);
/// plateau.min_lr = 1e-5;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceLrOnPlateau {
    /// What is watched; by default the validation loss, where there is none the training loss.
    pub monitor: Monitor,
    /// What the learning rate is multiplied by; at least 0 and below 1.
    pub factor: f64,
    /// Epochs in a row without improvement after which the rate is reduced.
    pub patience: usize,
    /// Improvements smaller than this do not count.
    pub min_delta: f64,
    /// Epochs after a reduction that are not counted.
    pub cooldown: usize,
    /// The rate is not reduced below this.
    pub min_lr: f64,
    memory: Memory,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    best: Option<f64>,
    wait: usize,
    cooldown: usize,
}

impl ReduceLrOnPlateau {
    /// With Keras' defaults for the rest: `min_delta` 1e-4, no cooldown, no smallest rate.
    pub fn new(factor: f64, patience: usize) -> Self {
        ReduceLrOnPlateau {
            monitor: Monitor::default(),
            factor,
            patience,
            min_delta: 1e-4,
            cooldown: 0,
            min_lr: 0.0,
            memory: Memory::default(),
        }
    }

    /// Watches another figure.
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.monitor = monitor;
        self
    }
}

impl Callback for ReduceLrOnPlateau {
    fn key(&self) -> Option<&'static str> {
        Some("reduce_lr_on_plateau")
    }

    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState {
            values: serde_json::to_value(self.memory).unwrap_or_default(),
            ..CallbackState::default()
        })
    }

    fn load_state(&mut self, state: &CallbackState) -> Result<()> {
        self.memory = serde_json::from_value(state.values.clone()).map_err(|error| Error::CallbackState {
            callback: "reduce_lr_on_plateau",
            reason: error.to_string(),
        })?;
        Ok(())
    }

    fn on_train_begin(&mut self, begin: &TrainBegin<'_>) -> Result<()> {
        if !(0.0..1.0).contains(&self.factor) {
            return Err(Error::Option {
                option: "factor",
                expected: "at least 0 and below 1",
                found: self.factor.to_string(),
            });
        }
        self.memory = Memory::default();
        self.monitor.begin(begin.validation)
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> Result<Control> {
        let Some(value) = self.monitor.value(epoch.record)? else {
            return Ok(Control::Continue);
        };
        self.monitor.min_delta = self.min_delta;
        if self.memory.cooldown > 0 {
            self.memory.cooldown -= 1;
            self.memory.wait = 0;
        }
        if self.monitor.improves(value, self.memory.best)? {
            self.memory.best = Some(value);
            self.memory.wait = 0;
        } else if self.memory.cooldown == 0 {
            self.memory.wait += 1;
            let rate = epoch.optimizer.learning_rate();
            if self.memory.wait >= self.patience && rate > self.min_lr {
                epoch
                    .optimizer
                    .set_learning_rate((rate * self.factor).max(self.min_lr))?;
                self.memory.cooldown = self.cooldown;
                self.memory.wait = 0;
            }
        }
        Ok(Control::Continue)
    }
}
