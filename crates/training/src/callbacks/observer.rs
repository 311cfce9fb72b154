//! Callbacks made of functions.

use super::{Callback, Control, EpochEnd, StepEnd};
use crate::{EpochRecord, Result};

/// A callback made of one function that is called after every epoch.
pub struct OnEpochEnd<F>(pub F);

impl<F: FnMut(&EpochRecord)> Callback for OnEpochEnd<F> {
    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> Result<Control> {
        (self.0)(epoch.record);
        Ok(Control::Continue)
    }
}

/// A callback made of two functions, one for steps and one for epochs (`keras.callbacks.LambdaCallback`).
///
/// ```
/// use training::callbacks::{Control, Observer};
///
/// let mut losses = Vec::new();
/// let mut enough = Observer {
///     step: |step: &training::StepEnd| losses.push(step.loss),
///     epoch: |end: &mut training::EpochEnd<'_>| {
///         Ok(if end.record.accuracy > 0.99 { Control::Stop } else { Control::Continue })
///     },
/// };
/// # let _: &mut dyn training::Callback = &mut enough;
/// ```
pub struct Observer<S, E> {
    /// Called after every step.
    pub step: S,
    /// Called after every epoch.
    pub epoch: E,
}

impl<S: FnMut(&StepEnd), E: FnMut(&mut EpochEnd<'_>) -> Result<Control>> Callback for Observer<S, E> {
    fn on_step_end(&mut self, step: &StepEnd) {
        (self.step)(step);
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> Result<Control> {
        (self.epoch)(epoch)
    }
}
