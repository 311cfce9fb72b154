//! Adam with the past's size.

use super::adam::check;
use crate::algorithm::{Initial, Step};
use crate::error::Result;
use crate::number::Number;
use crate::transformation::{Pass, Transformation};

/// `m <- beta_1 m + (1 - beta_1) clip(u / max(sqrt(v), epsilon), t^(1/4))`, out goes `m`, then
/// `v <- beta_2 v + (1 - beta_2) u^2`. The first step only measures: `v = u^2`, and out goes 0.
///
/// Because no gradient is divided by a size that it has a share in, the method converges for any `beta_2`, which Adam does
/// not. Taniguchi et al., *ADOPT: Modified Adam Can Converge with Any beta_2 with the Optimal Rate*, 2024.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByAdopt {
    /// Decay of the mean, `0..1`.
    pub beta_1: f64,
    /// Decay of the mean of squares, `0..1`.
    pub beta_2: f64,
    /// The least root.
    pub epsilon: f64,
}

impl Default for ScaleByAdopt {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.9999,
            epsilon: 1e-6,
        }
    }
}

/// [`ScaleByAdopt`] at one step.
#[derive(Clone, Copy, Debug)]
pub struct AdoptPass {
    first: bool,
    rest_1: f64,
    beta_2: f64,
    rest_2: f64,
    limit: f64,
    epsilon: f64,
}

impl Pass for AdoptPass {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        if self.first {
            slots[1] = u.square();
            return slots[0];
        }
        let normed = (u / slots[1].sqrt().clamp(self.epsilon, f64::INFINITY)).clamp(-self.limit, self.limit);
        slots[0] = slots[0] + (normed - slots[0]) * self.rest_1;
        slots[1] = slots[1] * self.beta_2 + u.square() * self.rest_2;
        slots[0]
    }
}

impl Transformation for ScaleByAdopt {
    type Pass = AdoptPass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        vec![("exp_avg", 0.0.into()), ("exp_avg_sq", 0.0.into())]
    }

    fn pass(&self, step: &Step<'_>) -> AdoptPass {
        AdoptPass {
            first: step.t == 1.0,
            rest_1: 1.0 - self.beta_1,
            beta_2: self.beta_2,
            rest_2: 1.0 - self.beta_2,
            limit: (step.t - 1.0).powf(0.25),
            epsilon: self.epsilon,
        }
    }

    fn validate(&self) -> Result<()> {
        check("ScaleByAdopt", self.beta_1, self.beta_2, self.epsilon)?;
        crate::algorithm::Check("ScaleByAdopt").positive("epsilon", self.epsilon)
    }
}
