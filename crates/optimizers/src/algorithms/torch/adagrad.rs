//! PyTorch's Adagrad: epsilon beside the root, a rate that may fall on top.

use serde::{Deserialize, Serialize};

use super::torch;
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::transformation::{Transformation, slots};
use crate::transformations::{AddDecayedWeights, ScaleByLearningRate, ScaleByRss};
use crate::{Algorithm, Decay, Result, SlotSpec, Step, Target};

/// Adagrad (PyTorch `torch.optim.Adagrad`).
///
/// `g <- g + lambda w`, `s <- s + g^2`, `w <- w - eta / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)`. Keras starts `s` from 0.1 and
/// has epsilon inside the root.
///
/// Defaults: `lr` 0.01, `lr_decay` 0, `eps` 1e-10, `initial_accumulator_value` 0, `weight_decay` 0. State: 4 bytes a parameter
/// in `f32`. Paper: Duchi, Hazan and Singer, *Adaptive Subgradient Methods for Online Learning and Stochastic Optimization*,
/// 2011.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchAdagrad {
    /// How fast the rate falls with the number of steps.
    pub lr_decay: f64,
    /// Added to the root.
    pub eps: f64,
    /// What the sum of squares starts from.
    pub initial_accumulator_value: f64,
}

impl Default for TorchAdagrad {
    fn default() -> Self {
        Self {
            lr_decay: 0.0,
            eps: 1e-10,
            initial_accumulator_value: 0.0,
        }
    }
}

impl TorchAdagrad {
    fn chain(&self) -> (AddDecayedWeights, ScaleByRss, ScaleByLearningRate) {
        let size = ScaleByRss {
            initial_accumulator_value: self.initial_accumulator_value,
            epsilon: self.eps,
        };
        (AddDecayedWeights::default(), size, ScaleByLearningRate)
    }
}

impl Algorithm for TorchAdagrad {
    torch!("Adagrad", 0.01, Some(0.0));

    fn decay(&self) -> Decay {
        Decay::ByAlgorithm
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        slots(&self.chain(), shape)
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let learning_rate = step.learning_rate / (1.0 + (step.t - 1.0) * self.lr_decay);
        let step = Step { learning_rate, ..*step };
        target.transform::<_, 1>(self.chain().pass(&step))
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check(self.class());
        check.not_negative("lr_decay", self.lr_decay)?;
        check.not_negative("eps", self.eps)?;
        check.not_negative("initial_accumulator_value", self.initial_accumulator_value)
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Ada,
    formula_latex: r"\begin{aligned} g &\leftarrow g + \lambda w, \qquad s \leftarrow s + g^2 \\ w &\leftarrow w - \frac{\eta}{1 + (t-1)\, \delta}\, \frac{g}{\sqrt{s}+\epsilon} \end{aligned}",
    formula_unicode: "g ← g + λ w,   s ← s + g²\nw ← w − η / (1 + (t − 1) δ) · g / (√s + ε)",
    what_changes: "PyTorch's Adagrad divides each gradient by the root of the sum of all its squares so far, as Keras' does, but \
        the sum starts at 0 instead of 0.1. So the very first step moves every weight by exactly η, however small its \
        gradient is, where Keras' first steps are shorter. A decay δ can let the common rate fall on top of that. The weight \
        decay is an L2 penalty.",
    paper: Paper {
        authors: "John Duchi, Elad Hazan, Yoram Singer",
        title: "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
        year: 2011,
    },
};
