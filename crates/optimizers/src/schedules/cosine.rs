//! Cosine decay with a warm-up.

use serde::{Deserialize, Serialize};

use super::Rate;
use crate::algorithm::Check;
use crate::error::Result;

/// Half a cosine from the initial rate down to `alpha` times it (Keras `CosineDecay`).
///
/// With a `warmup_target`, the rate first rises in a straight line from `initial_learning_rate` to the target within
/// `warmup_steps`, and decays from the target; without one, `warmup_steps` has no effect, as in Keras.
/// Loshchilov and Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, 2017.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CosineDecay {
    /// The rate at step 0.
    pub initial_learning_rate: f64,
    /// The steps of the decay, the warm-up not counted.
    pub decay_steps: f64,
    /// The fraction of the rate that remains.
    pub alpha: f64,
    /// The rate at the end of the warm-up.
    pub warmup_target: Option<f64>,
    /// The steps of the warm-up.
    pub warmup_steps: f64,
}

impl Default for CosineDecay {
    fn default() -> Self {
        Self {
            initial_learning_rate: 0.001,
            decay_steps: 1000.0,
            alpha: 0.0,
            warmup_target: None,
            warmup_steps: 0.0,
        }
    }
}

impl Rate for CosineDecay {
    fn value(&self, step: u64) -> f64 {
        let step = step as f64;
        let (from, step) = match self.warmup_target {
            None => (self.initial_learning_rate, step),
            Some(target) if step < self.warmup_steps => {
                let rise = target - self.initial_learning_rate;
                return rise * step / self.warmup_steps + self.initial_learning_rate;
            }
            Some(target) => (target, step - self.warmup_steps),
        };
        let completed = step.min(self.decay_steps) / self.decay_steps;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * completed).cos());
        from * ((1.0 - self.alpha) * cosine + self.alpha)
    }

    fn validate(&self) -> Result<()> {
        let check = Check("CosineDecay");
        check.not_negative("initial_learning_rate", self.initial_learning_rate)?;
        check.positive("decay_steps", self.decay_steps)?;
        check.not_negative("alpha", self.alpha)?;
        check.not_negative("warmup_target", self.warmup_target.unwrap_or(0.0))?;
        check.not_negative("warmup_steps", self.warmup_steps)
    }
}
