//! Cosine decay that starts again and again.

use serde::{Deserialize, Serialize};

use super::Rate;
use crate::algorithm::Check;
use crate::error::Result;

/// Cosine decay with warm restarts (Keras `CosineDecayRestarts`).
///
/// Each period is `t_mul` times as long as the one before and starts from `m_mul` times its rate.
/// Loshchilov and Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, 2017.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CosineDecayRestarts {
    /// The rate at step 0.
    pub initial_learning_rate: f64,
    /// The steps of the first period.
    pub first_decay_steps: f64,
    /// The length of a period over that of the one before.
    pub t_mul: f64,
    /// The initial rate of a period over that of the one before.
    pub m_mul: f64,
    /// The fraction of the rate that remains at the end of a period.
    pub alpha: f64,
}

impl Default for CosineDecayRestarts {
    fn default() -> Self {
        Self {
            initial_learning_rate: 0.001,
            first_decay_steps: 1000.0,
            t_mul: 2.0,
            m_mul: 1.0,
            alpha: 0.0,
        }
    }
}

impl Rate for CosineDecayRestarts {
    fn value(&self, step: u64) -> f64 {
        let completed = step as f64 / self.first_decay_steps;
        let (period, completed) = if self.t_mul == 1.0 {
            (completed.floor(), completed.fract())
        } else {
            let period = ((1.0 - completed * (1.0 - self.t_mul)).ln() / self.t_mul.ln()).floor();
            let started = (1.0 - self.t_mul.powf(period)) / (1.0 - self.t_mul);
            (period, (completed - started) / self.t_mul.powf(period))
        };
        let cosine = 0.5 * self.m_mul.powf(period) * (1.0 + (std::f64::consts::PI * completed).cos());
        self.initial_learning_rate * ((1.0 - self.alpha) * cosine + self.alpha)
    }

    fn validate(&self) -> Result<()> {
        let check = Check("CosineDecayRestarts");
        check.not_negative("initial_learning_rate", self.initial_learning_rate)?;
        check.positive("first_decay_steps", self.first_decay_steps)?;
        // Shorter and shorter periods would all end before some step; no rate is defined after it.
        check.that(
            self.t_mul >= 1.0 && self.t_mul.is_finite(),
            "t_mul",
            self.t_mul,
            "a finite number of at least 1",
        )?;
        check.not_negative("m_mul", self.m_mul)?;
        check.not_negative("alpha", self.alpha)
    }
}
