//! Stages that remember nothing.

use crate::algorithm::{Check, Step};
use crate::error::Result;
use crate::number::Number;
use crate::transformation::{Pass, Transformation};

/// `-eta u`: the end of most chains.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScaleByLearningRate;

/// Multiplies by one number.
#[derive(Clone, Copy, Debug)]
pub struct Factor(pub f64);

impl Pass for Factor {
    const SLOTS: usize = 0;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, _: &mut [A]) -> A {
        u * self.0
    }
}

impl Transformation for ScaleByLearningRate {
    type Pass = Factor;

    fn pass(&self, step: &Step<'_>) -> Factor {
        Factor(-step.learning_rate)
    }
}

/// `u + lambda w`. In front of an adaptive stage this is the L2 penalty of PyTorch's older optimizers, behind it and before
/// [`ScaleByLearningRate`] the decoupled decay of AdamW.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AddDecayedWeights {
    /// The decay; `None` takes that of the optimizer's options, with its exclusions and groups.
    pub weight_decay: Option<f64>,
}

/// Adds the weight times one number.
#[derive(Clone, Copy, Debug)]
pub struct Decayed(f64);

impl Pass for Decayed {
    const SLOTS: usize = 0;

    #[inline(always)]
    fn update<A: Number>(&self, w: A, u: A, _: &mut [A]) -> A {
        u + w * self.0
    }
}

impl Transformation for AddDecayedWeights {
    type Pass = Decayed;

    fn pass(&self, step: &Step<'_>) -> Decayed {
        Decayed(self.weight_decay.unwrap_or(step.weight_decay))
    }

    fn validate(&self) -> Result<()> {
        Check("AddDecayedWeights").not_negative("weight_decay", self.weight_decay.unwrap_or(0.0))
    }
}

/// `sign(u)`, with `sign(0) = 0`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScaleBySign;

impl Pass for ScaleBySign {
    const SLOTS: usize = 0;

    #[inline(always)]
    fn update<A: Number>(&self, _: A, u: A, _: &mut [A]) -> A {
        u.sign()
    }
}

impl Transformation for ScaleBySign {
    type Pass = Self;

    fn pass(&self, _: &Step<'_>) -> Self {
        *self
    }
}
