//! Exponential decay.

use serde::{Deserialize, Serialize};

use super::Rate;
use crate::algorithm::Check;
use crate::error::Result;

/// `initial_learning_rate * decay_rate^(step / decay_steps)` (Keras `ExponentialDecay`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExponentialDecay {
    /// The rate at step 0.
    pub initial_learning_rate: f64,
    /// After this many steps the rate has been multiplied by `decay_rate`.
    pub decay_steps: f64,
    /// The factor.
    pub decay_rate: f64,
    /// Whether the exponent is rounded down to whole numbers.
    pub staircase: bool,
}

impl Default for ExponentialDecay {
    fn default() -> Self {
        Self {
            initial_learning_rate: 0.001,
            decay_steps: 1000.0,
            decay_rate: 0.96,
            staircase: false,
        }
    }
}

impl Rate for ExponentialDecay {
    fn value(&self, step: u64) -> f64 {
        let exponent = step as f64 / self.decay_steps;
        let exponent = if self.staircase { exponent.floor() } else { exponent };
        self.initial_learning_rate * self.decay_rate.powf(exponent)
    }

    fn validate(&self) -> Result<()> {
        let check = Check("ExponentialDecay");
        check.not_negative("initial_learning_rate", self.initial_learning_rate)?;
        check.positive("decay_steps", self.decay_steps)?;
        check.not_negative("decay_rate", self.decay_rate)
    }
}
