//! Only the sign of a mean.

use crate::algorithm::{Check, Initial, Step};
use crate::error::Result;
use crate::number::Number;
use crate::transformation::{Pass, Transformation};

/// `sign(beta_1 m + (1 - beta_1) u)`, then `m <- beta_2 m + (1 - beta_2) u`. Chen et al., *Symbolic Discovery of Optimization
/// Algorithms*, 2023.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByLion {
    /// The share of the mean in the direction.
    pub beta_1: f64,
    /// Decay of the mean, `0..1`.
    pub beta_2: f64,
}

impl Default for ScaleByLion {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.99,
        }
    }
}

/// [`ScaleByLion`] at one step.
#[derive(Clone, Copy, Debug)]
pub struct LionPass {
    beta_1: f64,
    beta_2: f64,
}

impl Pass for LionPass {
    const SLOTS: usize = 1;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        let direction = (slots[0] * self.beta_1 + u * (1.0 - self.beta_1)).sign();
        slots[0] = slots[0] * self.beta_2 + u * (1.0 - self.beta_2);
        direction
    }
}

impl Transformation for ScaleByLion {
    type Pass = LionPass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        vec![("momentum", 0.0.into())]
    }

    fn pass(&self, _: &Step<'_>) -> LionPass {
        LionPass {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
        }
    }

    fn validate(&self) -> Result<()> {
        Check("ScaleByLion").that(
            self.beta_1 > 0.0 && self.beta_1 <= 1.0,
            "beta_1",
            self.beta_1,
            "above 0 and at most 1",
        )?;
        Check("ScaleByLion").decay("beta_2", self.beta_2)
    }
}
