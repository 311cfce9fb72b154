//! An end instead of an error where the loss is not finite.

use super::Callback;

/// Ends training when the loss is NaN or infinite (`keras.callbacks.TerminateOnNaN`).
///
/// Without it such a loss is [`crate::Error::NonFiniteLoss`]. With it `fit` returns the history of the epochs that are
/// done, and [`crate::StopReason::NonFiniteLoss`]; the weights are those before the step.
#[derive(Clone, Copy, Debug, Default)]
pub struct TerminateOnNan;

impl Callback for TerminateOnNan {
    fn ends_on_non_finite_loss(&self) -> bool {
        true
    }
}
