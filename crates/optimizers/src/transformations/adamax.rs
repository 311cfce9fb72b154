//! Over the largest recent size.

use super::adam::check;
use crate::algorithm::{Initial, Step};
use crate::error::Result;
use crate::number::Number;
use crate::transformation::{Pass, Transformation};

/// `m_hat / n` with the corrected mean `m` and `n <- max(beta_2 n, |u| + epsilon)`: Adamax as PyTorch has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByAdamax {
    /// Decay of the mean, `0..1`.
    pub beta_1: f64,
    /// Decay of the largest size, `0..1`.
    pub beta_2: f64,
    /// Added to the size of each gradient.
    pub epsilon: f64,
}

impl Default for ScaleByAdamax {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        }
    }
}

/// [`ScaleByAdamax`] at one step.
#[derive(Clone, Copy, Debug)]
pub struct AdamaxPass {
    rest_1: f64,
    beta_2: f64,
    first: f64,
    epsilon: f64,
}

impl Pass for AdamaxPass {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        slots[0] = slots[0] + (u - slots[0]) * self.rest_1;
        slots[1] = (slots[1] * self.beta_2).max(u.abs() + self.epsilon);
        slots[0] * self.first / slots[1]
    }
}

impl Transformation for ScaleByAdamax {
    type Pass = AdamaxPass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        vec![("exp_avg", 0.0.into()), ("exp_inf", 0.0.into())]
    }

    fn pass(&self, step: &Step<'_>) -> AdamaxPass {
        AdamaxPass {
            rest_1: 1.0 - self.beta_1,
            beta_2: self.beta_2,
            first: 1.0 / (1.0 - self.beta_1.powf(step.t)),
            epsilon: self.epsilon,
        }
    }

    fn validate(&self) -> Result<()> {
        check("ScaleByAdamax", self.beta_1, self.beta_2, self.epsilon)
    }
}
