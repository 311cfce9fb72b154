//! What may happen around epochs and steps: watching, stopping, saving, changing the learning rate.
//!
//! A callback that remembers something from epoch to epoch gives it a [`Callback::key`], and its state goes into every
//! checkpoint: a training that is resumed with the same callbacks goes on as if it had never stopped.

use models::Network;
use optimizers::Optimizer;

use crate::{CallbackState, EpochRecord, History, Result};

mod csv_logger;
mod early_stopping;
mod learning_rate_scheduler;
mod model_checkpoint;
mod monitor;
mod observer;
mod reduce_lr_on_plateau;
mod tensorboard;
mod terminate_on_nan;

pub use csv_logger::CsvLogger;
pub use early_stopping::EarlyStopping;
pub use learning_rate_scheduler::LearningRateScheduler;
pub use model_checkpoint::ModelCheckpoint;
pub use monitor::{Direction, Monitor};
pub use observer::{Observer, OnEpochEnd};
pub use reduce_lr_on_plateau::ReduceLrOnPlateau;
pub use tensorboard::TensorBoard;
pub use terminate_on_nan::TerminateOnNan;

/// What a callback wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// End training after this epoch.
    Stop,
}

/// The state of training before its first step.
pub struct TrainBegin<'a> {
    /// Records of the epochs that are done; empty where training is not resumed.
    pub history: &'a History,
    /// Epochs in all.
    pub epochs: usize,
    /// Whether there are validation samples.
    pub validation: bool,
    /// The network.
    pub network: &'a Network,
}

/// The state of training before an epoch.
pub struct EpochBegin<'a> {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// The optimizer; its learning rate may be changed.
    pub optimizer: &'a mut Optimizer,
}

/// The state of training after an epoch.
pub struct EpochEnd<'a> {
    /// The record of this epoch (also the last of `history`).
    pub record: &'a EpochRecord,
    /// All records so far.
    pub history: &'a History,
    /// The network after the epoch; where the optimizer keeps moving averages, with these as weights.
    pub network: &'a mut Network,
    /// The optimizer after the epoch; its learning rate may be changed.
    pub optimizer: &'a mut Optimizer,
}

/// The state of training at its end.
pub struct TrainEnd<'a> {
    /// All records, and why training ended.
    pub history: &'a History,
    /// The network. Where training was interrupted it must stay as it is, or it does not go on to the same bits.
    pub network: &'a mut Network,
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
    /// Samples of an epoch.
    pub of_samples: usize,
    /// Mean loss of this epoch so far.
    pub loss: f64,
    /// Wall-clock seconds of this epoch so far.
    pub seconds: f64,
}

impl StepEnd {
    /// Samples a second in this epoch so far; 0 before any time has passed.
    pub fn samples_per_second(&self) -> f64 {
        if self.seconds > 0.0 {
            self.samples as f64 / self.seconds
        } else {
            0.0
        }
    }

    /// Seconds until the end of the epoch's steps, at the pace so far.
    ///
    /// ```
    /// use training::StepEnd;
    ///
    /// let step = StepEnd { epoch: 1, step: 2, steps: 8, samples: 64, of_samples: 256, loss: 0.5, seconds: 0.5 };
    /// assert_eq!((step.samples_per_second(), step.seconds_left()), (128.0, 1.5));
    /// ```
    pub fn seconds_left(&self) -> f64 {
        let left = self.of_samples.saturating_sub(self.samples) as f64;
        left * self.seconds / self.samples.max(1) as f64
    }
}

/// A moment at which training can be saved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// After a step; the epoch goes on.
    Step(StepEnd),
    /// After an epoch, when all callbacks have seen it.
    Epoch,
    /// After the step in which the interrupt flag was set.
    Interrupted,
    /// At the end, where the network holds other weights than after the last step: averages, or those of the best epoch.
    End,
}

/// All that training needs to go on, at a [`Moment`].
pub struct SavePoint<'a> {
    /// When this is.
    pub moment: Moment,
    /// Records, position within the epoch, state of the callbacks.
    pub history: &'a History,
    /// The network; where the optimizer keeps moving averages, with these as weights ([`crate::Held::Averages`]).
    pub network: &'a Network,
    /// The optimizer.
    pub optimizer: &'a Optimizer,
}

/// Something that is told how training goes.
pub trait Callback {
    /// The name under which a checkpoint keeps this callback's state; `None` where it has none.
    fn key(&self) -> Option<&'static str> {
        None
    }

    /// What this callback remembers.
    ///
    /// # Errors
    /// Where the state cannot be copied.
    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState::default())
    }

    /// Takes back what [`Callback::state`] returned in an earlier training.
    ///
    /// # Errors
    /// [`crate::Error::CallbackState`] where it is another callback's.
    fn load_state(&mut self, _state: &CallbackState) -> Result<()> {
        Ok(())
    }

    /// Before the first step; the state of a resumed training is loaded afterwards.
    ///
    /// # Errors
    /// Whatever keeps the callback from its work; training ends with it.
    fn on_train_begin(&mut self, _begin: &TrainBegin<'_>) -> Result<()> {
        Ok(())
    }

    /// Before the first step of every epoch; not again where an interrupted epoch goes on.
    ///
    /// # Errors
    /// Whatever keeps the callback from its work; training ends with it.
    fn on_epoch_begin(&mut self, _epoch: &mut EpochBegin<'_>) -> Result<()> {
        Ok(())
    }

    /// After every optimizer step.
    fn on_step_end(&mut self, _step: &StepEnd) {}

    /// After every epoch.
    ///
    /// # Errors
    /// Whatever keeps the callback from its work; training ends with it.
    fn on_epoch_end(&mut self, _epoch: &mut EpochEnd<'_>) -> Result<Control> {
        Ok(Control::Continue)
    }

    /// Whether this callback saves training at such a moment. Asked after every step, so it must be quick.
    fn saves(&self, _moment: &Moment) -> bool {
        false
    }

    /// Saves training, at a moment for which [`Callback::saves`] said so.
    ///
    /// # Errors
    /// Whatever keeps the callback from its work; training ends with it.
    fn on_save(&mut self, _point: &SavePoint<'_>) -> Result<()> {
        Ok(())
    }

    /// Whether a loss that is not finite shall end training with [`crate::StopReason::NonFiniteLoss`] instead of an error.
    fn ends_on_non_finite_loss(&self) -> bool {
        false
    }

    /// When training ends, for whatever reason but an error. Returns whether it gave the network other weights.
    ///
    /// # Errors
    /// Whatever keeps the callback from its work.
    fn on_train_end(&mut self, _end: &mut TrainEnd<'_>) -> Result<bool> {
        Ok(false)
    }
}
