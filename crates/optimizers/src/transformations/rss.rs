//! Over the root of the sum of all squares.

use crate::algorithm::{Check, Initial, Step};
use crate::error::Result;
use crate::number::Number;
use crate::transformation::{Pass, Transformation};

/// `u / (sqrt(s) + epsilon)` with `s <- s + u^2`: Adagrad as PyTorch has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByRss {
    /// What the sum starts from.
    pub initial_accumulator_value: f64,
    /// Added to the root.
    pub epsilon: f64,
}

impl Default for ScaleByRss {
    fn default() -> Self {
        Self {
            initial_accumulator_value: 0.0,
            epsilon: 1e-10,
        }
    }
}

/// [`ScaleByRss`] at one step.
#[derive(Clone, Copy, Debug)]
pub struct RssPass {
    epsilon: f64,
}

impl Pass for RssPass {
    const SLOTS: usize = 1;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, slots: &mut [A]) -> A {
        slots[0] = slots[0] + u.square();
        u / (slots[0].sqrt() + self.epsilon)
    }
}

impl Transformation for ScaleByRss {
    type Pass = RssPass;

    fn slots(&self) -> Vec<(&'static str, Initial)> {
        vec![("sum", self.initial_accumulator_value.into())]
    }

    fn pass(&self, _: &Step<'_>) -> RssPass {
        RssPass { epsilon: self.epsilon }
    }

    fn validate(&self) -> Result<()> {
        Check("ScaleByRss").not_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        Check("ScaleByRss").not_negative("epsilon", self.epsilon)
    }
}
