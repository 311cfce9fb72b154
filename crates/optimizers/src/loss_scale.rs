//! A loss scale that finds its size (Keras' `LossScaleOptimizer`).

use serde::{Deserialize, Serialize};

use crate::algorithm::Check;
use crate::error::Result;

/// Dynamic loss scaling, for half precision, in which small gradients become 0 (Keras `LossScaleOptimizer`).
///
/// The loss is multiplied by [`Optimizer::loss_scale`](crate::Optimizer::loss_scale) before the backward pass and the gradients are
/// divided by it. Where one of them is NaN or infinite, nothing is updated and the scale is halved; after
/// `dynamic_growth_steps` good steps in a row it is doubled. Micikevicius et al., *Mixed Precision Training*, 2018.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DynamicLossScale {
    /// A label, written to the configuration.
    pub name: String,
    /// The scale to begin with.
    pub initial_scale: f64,
    /// Good steps in a row until the scale is doubled.
    pub dynamic_growth_steps: u64,
}

impl Default for DynamicLossScale {
    fn default() -> Self {
        Self {
            name: "loss_scale_optimizer".to_owned(),
            initial_scale: 32768.0,
            dynamic_growth_steps: 2000,
        }
    }
}

impl DynamicLossScale {
    pub(crate) const CLASS: &'static str = "LossScaleOptimizer";

    pub(crate) fn validate(&self) -> Result<()> {
        let check = Check(Self::CLASS);
        check.positive("initial_scale", self.initial_scale)?;
        let steps = self.dynamic_growth_steps;
        check.that(steps > 0, "dynamic_growth_steps", steps, "a whole number of at least 1")
    }
}

/// Where the scale stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LossScale {
    pub(crate) scale: f64,
    /// Good steps since the last change.
    pub(crate) counter: u64,
    pub(crate) growth_steps: u64,
}

impl LossScale {
    pub(crate) fn new(options: &DynamicLossScale) -> Self {
        Self {
            scale: options.initial_scale,
            counter: 0,
            growth_steps: options.dynamic_growth_steps,
        }
    }

    /// After a step with finite gradients.
    pub(crate) fn succeed(&mut self) {
        self.counter += 1;
        if self.counter == self.growth_steps {
            self.counter = 0;
            self.scale *= 2.0;
        }
    }

    /// After gradients that were not finite.
    pub(crate) fn fail(&mut self) {
        self.counter = 0;
        self.scale /= 2.0;
    }
}
