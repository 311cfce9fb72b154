//! Over the recent size.

use crate::algorithm::{Check, Initial, Step};
use crate::error::Result;
use crate::number::Number;
use crate::transformation::{Pass, Transformation};

/// `u / (sqrt(v) + epsilon)` with `v <- alpha v + (1 - alpha) u^2`: RMSprop as PyTorch has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByRms {
    /// Decay of the mean of squares, `0..1`.
    pub alpha: f64,
    /// Added to the root.
    pub epsilon: f64,
}

impl Default for ScaleByRms {
    fn default() -> Self {
        Self {
            alpha: 0.99,
            epsilon: 1e-8,
        }
    }
}

/// [`ScaleByRms`] at one step.
#[derive(Clone, Copy, Debug)]
pub struct RmsPass {
    alpha: f64,
    rest: f64,
    epsilon: f64,
}

impl Pass for RmsPass {
    const SLOTS: usize = 1;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        slots[0] = slots[0] * self.alpha + u.square() * self.rest;
        u / (slots[0].sqrt() + self.epsilon)
    }
}

impl Transformation for ScaleByRms {
    type Pass = RmsPass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        vec![("square_avg", 0.0.into())]
    }

    fn pass(&self, _: &Step<'_>) -> RmsPass {
        RmsPass {
            alpha: self.alpha,
            rest: 1.0 - self.alpha,
            epsilon: self.epsilon,
        }
    }

    fn validate(&self) -> Result<()> {
        Check("ScaleByRms").decay("alpha", self.alpha)?;
        Check("ScaleByRms").not_negative("epsilon", self.epsilon)
    }
}

/// [`ScaleByRms`] with the deviation from the recent mean `a` instead of the size: `u / (sqrt(v - a^2) + epsilon)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScaleByStddev(pub ScaleByRms);

/// [`ScaleByStddev`] at one step.
#[derive(Clone, Copy, Debug)]
pub struct StddevPass(RmsPass);

impl Pass for StddevPass {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        slots[0] = slots[0] * self.0.alpha + u.square() * self.0.rest;
        slots[1] = slots[1] + (u - slots[1]) * self.0.rest;
        u / ((slots[0] - slots[1].square()).sqrt() + self.0.epsilon)
    }
}

impl Transformation for ScaleByStddev {
    type Pass = StddevPass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        vec![("square_avg", 0.0.into()), ("grad_avg", 0.0.into())]
    }

    fn pass(&self, step: &Step<'_>) -> StddevPass {
        StddevPass(self.0.pass(step))
    }

    fn validate(&self) -> Result<()> {
        self.0.validate()
    }
}
