//! Adam's quotient of means.

use crate::algorithm::{Check, Initial, Step};
use crate::error::Result;
use crate::number::Number;
use crate::transformation::{Pass, Transformation};

/// Checks `beta_1`, `beta_2` and `epsilon`.
pub(crate) fn check(class: &'static str, beta_1: f64, beta_2: f64, epsilon: f64) -> Result<()> {
    let check = Check(class);
    check.decay("beta_1", beta_1)?;
    check.decay("beta_2", beta_2)?;
    check.not_negative("epsilon", epsilon)
}

/// `m_hat / (sqrt(v_hat) + epsilon)` with `m <- m + (u - m)(1 - beta_1)`, `v <- beta_2 v + (1 - beta_2) u^2`, both divided by
/// `1 - beta^t`. Kingma and Ba, *Adam*, 2015, with epsilon where Algorithm 1 has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByAdam {
    /// Decay of the mean, `0..1`.
    pub beta_1: f64,
    /// Decay of the mean of squares, `0..1`.
    pub beta_2: f64,
    /// Added to the corrected root.
    pub epsilon: f64,
}

impl Default for ScaleByAdam {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        }
    }
}

/// [`ScaleByAdam`] at one step.
#[derive(Clone, Copy, Debug)]
pub struct AdamPass {
    rest_1: f64,
    beta_2: f64,
    rest_2: f64,
    first: f64,
    second: f64,
    epsilon: f64,
}

impl AdamPass {
    #[inline(always)]
    fn moments<A: Number>(&self, u: A, m: &mut A, v: &mut A) {
        *m = *m + (u - *m) * self.rest_1;
        *v = *v * self.beta_2 + u.square() * self.rest_2;
    }

    #[inline(always)]
    fn quotient<A: Number>(&self, m: A, v: A) -> A {
        m * self.first / (v.sqrt() * self.second + self.epsilon)
    }
}

impl Pass for AdamPass {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        let (m, v) = slots.split_at_mut(1);
        self.moments(u, &mut m[0], &mut v[0]);
        self.quotient(m[0], v[0])
    }
}

impl Transformation for ScaleByAdam {
    type Pass = AdamPass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        vec![("exp_avg", 0.0.into()), ("exp_avg_sq", 0.0.into())]
    }

    fn pass(&self, step: &Step<'_>) -> AdamPass {
        AdamPass {
            rest_1: 1.0 - self.beta_1,
            beta_2: self.beta_2,
            rest_2: 1.0 - self.beta_2,
            first: 1.0 / (1.0 - self.beta_1.powf(step.t)),
            second: 1.0 / (1.0 - self.beta_2.powf(step.t)).sqrt(),
            epsilon: self.epsilon,
        }
    }

    fn validate(&self) -> Result<()> {
        check("ScaleByAdam", self.beta_1, self.beta_2, self.epsilon)
    }
}

/// [`ScaleByAdam`] whose mean of squares may never shrink. Reddi, Kale and Kumar, *On the Convergence of Adam and Beyond*, 2018.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScaleByAmsgrad(pub ScaleByAdam);

/// [`ScaleByAmsgrad`] at one step.
#[derive(Clone, Copy, Debug)]
pub struct AmsgradPass(AdamPass);

impl Pass for AmsgradPass {
    const SLOTS: usize = 3;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        let (moments, largest) = slots.split_at_mut(2);
        let (m, v) = moments.split_at_mut(1);
        self.0.moments(u, &mut m[0], &mut v[0]);
        largest[0] = largest[0].max(v[0]);
        self.0.quotient(m[0], largest[0])
    }
}

impl Transformation for ScaleByAmsgrad {
    type Pass = AmsgradPass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        let mut slots = self.0.slots();
        slots.push(("max_exp_avg_sq", 0.0.into()));
        slots
    }

    fn pass(&self, step: &Step<'_>) -> AmsgradPass {
        AmsgradPass(self.0.pass(step))
    }

    fn validate(&self) -> Result<()> {
        self.0.validate()
    }
}
