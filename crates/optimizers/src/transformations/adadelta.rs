//! Steps in units of past steps.

use crate::algorithm::{Check, Initial, Step};
use crate::error::Result;
use crate::number::Number;
use crate::transformation::{Pass, Transformation};

/// `delta = sqrt(d + epsilon) / sqrt(a + epsilon) u` with means of squares `a` of `u` and `d` of past `delta`. Zeiler, *ADADELTA*, 2012.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByAdadelta {
    /// Decay of both means, `0..1`.
    pub rho: f64,
    /// Added inside the roots.
    pub epsilon: f64,
}

impl Default for ScaleByAdadelta {
    fn default() -> Self {
        Self {
            rho: 0.9,
            epsilon: 1e-6,
        }
    }
}

/// [`ScaleByAdadelta`] at one step.
#[derive(Clone, Copy, Debug)]
pub struct AdadeltaPass {
    rho: f64,
    rest: f64,
    epsilon: f64,
}

impl Pass for AdadeltaPass {
    const SLOTS: usize = 2;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        slots[0] = slots[0] * self.rho + u.square() * self.rest;
        let delta = (slots[1] + self.epsilon).sqrt() / (slots[0] + self.epsilon).sqrt() * u;
        slots[1] = slots[1] * self.rho + delta.square() * self.rest;
        delta
    }
}

impl Transformation for ScaleByAdadelta {
    type Pass = AdadeltaPass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        vec![("square_avg", 0.0.into()), ("acc_delta", 0.0.into())]
    }

    fn pass(&self, _: &Step<'_>) -> AdadeltaPass {
        AdadeltaPass {
            rho: self.rho,
            rest: 1.0 - self.rho,
            epsilon: self.epsilon,
        }
    }

    fn validate(&self) -> Result<()> {
        Check("ScaleByAdadelta").decay("rho", self.rho)?;
        Check("ScaleByAdadelta").positive("epsilon", self.epsilon)
    }
}
