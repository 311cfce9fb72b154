//! A learning rate for every epoch, from a function.

use super::{Callback, EpochBegin};
use crate::Result;

/// Sets the learning rate before every epoch (`keras.callbacks.LearningRateScheduler`).
///
/// The function gets the epoch, counted from 0 as in Keras, and the present rate. For rates that change with every step,
/// give the optimizer a schedule of `optimizers::schedules` instead.
///
/// ```
/// use training::callbacks::LearningRateScheduler;
///
/// // the same rate for ten epochs, then 10 % less with each
/// let mut scheduler = LearningRateScheduler::new(|epoch, rate| if epoch < 10 { rate } else { rate * 0.9 });
/// ```
pub struct LearningRateScheduler<F>(F);

impl<F: FnMut(usize, f64) -> f64> LearningRateScheduler<F> {
    /// Sets the rate that `schedule` says.
    pub fn new(schedule: F) -> Self {
        LearningRateScheduler(schedule)
    }
}

impl<F: FnMut(usize, f64) -> f64> Callback for LearningRateScheduler<F> {
    fn on_epoch_begin(&mut self, begin: &mut EpochBegin<'_>) -> Result<()> {
        let rate = (self.0)(begin.epoch - 1, begin.optimizer.learning_rate());
        Ok(begin.optimizer.set_learning_rate(rate)?)
    }
}
