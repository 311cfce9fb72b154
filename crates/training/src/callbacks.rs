//! What may happen between two epochs: watching, stopping, saving.

use models::Network;
use optimizers::Optimizer;

use crate::{EpochRecord, History, Result};

/// What a callback wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// End training after this epoch.
    Stop,
}

/// The state of training after an epoch.
pub struct EpochEnd<'a> {
    /// The record of this epoch (also the last of `history`).
    pub record: &'a EpochRecord,
    /// All records so far.
    pub history: &'a History,
    /// The network after the epoch.
    pub network: &'a mut Network,
    /// The optimizer after the epoch.
    pub optimizer: &'a Optimizer,
}

/// Progress within an epoch, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepEnd {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Steps of this epoch that are done.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Samples of this epoch that were seen.
    pub samples: usize,
    /// Mean loss of this epoch so far.
    pub loss: f64,
}

/// Something that is told how training goes.
pub trait Callback {
    /// After every optimizer step.
    fn on_step_end(&mut self, _step: &StepEnd) {}

    /// After every epoch.
    ///
    /// # Errors
    /// Whatever keeps the callback from its work; training ends with it.
    fn on_epoch_end(&mut self, _epoch: &mut EpochEnd<'_>) -> Result<Control> {
        Ok(Control::Continue)
    }

    /// When training ends, for whatever reason but an error.
    ///
    /// # Errors
    /// Whatever keeps the callback from its work.
    fn on_train_end(&mut self, _network: &mut Network) -> Result<()> {
        Ok(())
    }
}

/// Ends training when a quantity has not improved for `patience` epochs (`keras.callbacks.EarlyStopping`).
///
/// The quantity is the validation loss where there is one, else the training loss.
#[derive(Debug, Default)]
pub struct EarlyStopping {
    /// Epochs in a row without improvement after which training ends; 0 is as good as 1, as in Keras.
    pub patience: usize,
    /// Improvements smaller than this do not count.
    pub min_delta: f64,
    /// Whether the weights of the best epoch come back at the end.
    pub restore_best_weights: bool,
    best: Option<f64>,
    waited: usize,
    weights: Vec<(String, candle_core::Tensor)>,
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
}

impl Callback for EarlyStopping {
    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> Result<Control> {
        let value = epoch.record.val_loss.unwrap_or(epoch.record.loss);
        // A value that is not a number improves nothing and must not become the one to beat.
        if !value.is_nan() && self.best.is_none_or(|best| value < best - self.min_delta) {
            self.best = Some(value);
            self.waited = 0;
            if self.restore_best_weights {
                self.weights = epoch.network.snapshot()?;
            }
            return Ok(Control::Continue);
        }
        self.waited += 1;
        Ok(if self.waited >= self.patience {
            Control::Stop
        } else {
            Control::Continue
        })
    }

    fn on_train_end(&mut self, network: &mut Network) -> Result<()> {
        for (path, value) in self.weights.drain(..) {
            network.set_weight(&path, &value)?;
        }
        Ok(())
    }
}

/// A callback made of one function that is called after every epoch.
pub struct OnEpochEnd<F>(pub F);

impl<F: FnMut(&EpochRecord)> Callback for OnEpochEnd<F> {
    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> Result<Control> {
        (self.0)(epoch.record);
        Ok(Control::Continue)
    }
}
