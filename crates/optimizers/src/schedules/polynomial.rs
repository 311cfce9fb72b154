//! Polynomial decay to a final rate.

use serde::{Deserialize, Serialize};

use super::Rate;
use crate::algorithm::Check;
use crate::error::Result;

/// `(initial - end) * (1 - step / decay_steps)^power + end`, and `end` from then on (Keras `PolynomialDecay`).
///
/// With `cycle`, `decay_steps` is stretched to its next multiple that is not below the step, so the rate jumps up again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolynomialDecay {
    /// The rate at step 0.
    pub initial_learning_rate: f64,
    /// The step at which the final rate is reached.
    pub decay_steps: f64,
    /// The final rate.
    pub end_learning_rate: f64,
    /// The power; 1 is a straight line.
    pub power: f64,
    /// Whether the decay starts again beyond `decay_steps`.
    pub cycle: bool,
}

impl Default for PolynomialDecay {
    fn default() -> Self {
        Self {
            initial_learning_rate: 0.001,
            decay_steps: 1000.0,
            end_learning_rate: 0.0001,
            power: 1.0,
            cycle: false,
        }
    }
}

impl Rate for PolynomialDecay {
    fn value(&self, step: u64) -> f64 {
        let step = step as f64;
        let (step, total) = if self.cycle {
            (step, self.decay_steps * (step / self.decay_steps).ceil().max(1.0))
        } else {
            (step.min(self.decay_steps), self.decay_steps)
        };
        let range = self.initial_learning_rate - self.end_learning_rate;
        range * (1.0 - step / total).powf(self.power) + self.end_learning_rate
    }

    fn validate(&self) -> Result<()> {
        let check = Check("PolynomialDecay");
        check.not_negative("initial_learning_rate", self.initial_learning_rate)?;
        check.positive("decay_steps", self.decay_steps)?;
        check.not_negative("end_learning_rate", self.end_learning_rate)?;
        check.positive("power", self.power)
    }
}
