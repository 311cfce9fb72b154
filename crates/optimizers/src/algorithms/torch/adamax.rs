//! PyTorch's Adamax: epsilon inside the maximum.

use serde::{Deserialize, Serialize};

use super::{check_adam, torch};
use crate::catalogue::{Description, Family, Paper};
use crate::transformation::{Transformation, slots};
use crate::transformations::{AddDecayedWeights, ScaleByAdamax, ScaleByLearningRate};
use crate::{Algorithm, Decay, Result, SlotSpec, Step, Target};

/// Adamax (PyTorch `torch.optim.Adamax`).
///
/// `g <- g + lambda w`, `m <- m + (g - m)(1 - beta_1)`, `n <- max(beta_2 n, |g| + eps)`,
/// `w <- w - eta / (1 - beta_1^t) m / n`. Keras adds epsilon to `n` in the quotient instead.
///
/// Defaults: `lr` 0.002, `betas` (0.9, 0.999), `eps` 1e-8, `weight_decay` 0. State: 8 bytes a parameter in `f32`. Paper: Kingma
/// and Ba, *Adam: A Method for Stochastic Optimization*, 2015, section 7.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchAdamax {
    /// Decay of the mean of the gradients, and of their largest size, each `0..1`.
    pub betas: [f64; 2],
    /// Added to the size of each gradient.
    pub eps: f64,
}

impl Default for TorchAdamax {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            eps: 1e-8,
        }
    }
}

impl TorchAdamax {
    fn chain(&self) -> (AddDecayedWeights, ScaleByAdamax, ScaleByLearningRate) {
        let [beta_1, beta_2] = self.betas;
        let adamax = ScaleByAdamax {
            beta_1,
            beta_2,
            epsilon: self.eps,
        };
        (AddDecayedWeights::default(), adamax, ScaleByLearningRate)
    }
}

impl Algorithm for TorchAdamax {
    torch!("Adamax", 0.002, Some(0.0));

    fn decay(&self) -> Decay {
        Decay::ByAlgorithm
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        slots(&self.chain(), shape)
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        target.transform::<_, 2>(self.chain().pass(step))
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        check_adam(self.class(), self.betas, self.eps)
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} g &\leftarrow g + \lambda w, \qquad m \leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad n \leftarrow \max(\beta_2 n, |g| + \epsilon) \\ w &\leftarrow w - \frac{\eta}{1-\beta_1^t}\, \frac{m}{n} \end{aligned}",
    formula_unicode: "g ← g + λ w,   m ← β₁ m + (1 − β₁) g,   n ← max(β₂ n, |g| + ε)\nw ← w − η / (1 − β₁ᵗ) · m / n",
    what_changes: "PyTorch's Adamax divides the mean gradient by the largest recent gradient, as Keras' does; ε is added to the \
        size of each gradient inside the maximum instead of to the quotient, and the default rate is twice as large. Because a \
        maximum is not moved by many small gradients, it is calmer than Adam where gradients are sparse. The weight decay \
        is an L2 penalty, which goes through the division.",
    paper: Paper {
        authors: "Diederik P. Kingma, Jimmy Ba",
        title: "Adam: A Method for Stochastic Optimization",
        year: 2015,
    },
};
