//! Decay with the inverse of time.

use serde::{Deserialize, Serialize};

use super::Rate;
use crate::algorithm::Check;
use crate::error::Result;

/// `initial_learning_rate / (1 + decay_rate * step / decay_steps)` (Keras `InverseTimeDecay`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InverseTimeDecay {
    /// The rate at step 0.
    pub initial_learning_rate: f64,
    /// The steps that count as one unit of time.
    pub decay_steps: f64,
    /// How much the denominator grows in a unit of time.
    pub decay_rate: f64,
    /// Whether the time is rounded down to whole units.
    pub staircase: bool,
}

impl Default for InverseTimeDecay {
    fn default() -> Self {
        Self {
            initial_learning_rate: 0.001,
            decay_steps: 1000.0,
            decay_rate: 0.5,
            staircase: false,
        }
    }
}

impl Rate for InverseTimeDecay {
    fn value(&self, step: u64) -> f64 {
        let time = step as f64 / self.decay_steps;
        let time = if self.staircase { time.floor() } else { time };
        self.initial_learning_rate / (1.0 + self.decay_rate * time)
    }

    fn validate(&self) -> Result<()> {
        let check = Check("InverseTimeDecay");
        check.not_negative("initial_learning_rate", self.initial_learning_rate)?;
        check.positive("decay_steps", self.decay_steps)?;
        check.not_negative("decay_rate", self.decay_rate)
    }
}
