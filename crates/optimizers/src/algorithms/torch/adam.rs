//! PyTorch's Adam: epsilon beside the corrected root, decay through the gradient.

use serde::{Deserialize, Serialize};

use super::{check_adam, decay, torch};
use crate::catalogue::{Description, Family, Paper};
use crate::transformation::{Transformation, slots};
use crate::transformations::{AddDecayedWeights, ScaleByAdam, ScaleByAmsgrad, ScaleByLearningRate};
use crate::{Algorithm, Decay, Result, SlotSpec, Step, Target};

/// Adam (PyTorch `torch.optim.Adam`), with AMSGrad as an option.
///
/// `g <- g + lambda w`, `m <- m + (g - m)(1 - beta_1)`, `v <- beta_2 v + (1 - beta_2) g^2`,
/// `w <- w - eta m_hat / (sqrt(v_hat) + eps)` with `m_hat = m / (1 - beta_1^t)` and `v_hat = v / (1 - beta_2^t)`. Keras adds its
/// epsilon to the root before the correction, which makes it up to 30 times as large in the first steps.
///
/// Defaults: `lr` 0.001, `betas` (0.9, 0.999), `eps` 1e-8, `weight_decay` 0, `amsgrad` false, `decoupled_weight_decay` false.
/// State: 8 bytes a parameter in `f32` (AMSGrad 12). Paper: Kingma and Ba, *Adam: A Method for Stochastic Optimization*, 2015.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchAdam {
    /// Decay of the mean of the gradients, and of the mean of their squares, each `0..1`.
    pub betas: [f64; 2],
    /// Added to the corrected root.
    pub eps: f64,
    /// Whether the second moment may never shrink.
    pub amsgrad: bool,
    /// Whether the weights shrink beside the update (true) or through the gradient.
    pub decoupled_weight_decay: bool,
}

impl Default for TorchAdam {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            eps: 1e-8,
            amsgrad: false,
            decoupled_weight_decay: false,
        }
    }
}

impl TorchAdam {
    fn chain(&self) -> (AddDecayedWeights, ScaleByAdam, ScaleByLearningRate) {
        let [beta_1, beta_2] = self.betas;
        let adam = ScaleByAdam {
            beta_1,
            beta_2,
            epsilon: self.eps,
        };
        (AddDecayedWeights::default(), adam, ScaleByLearningRate)
    }

    fn amsgrad(&self) -> (AddDecayedWeights, ScaleByAmsgrad, ScaleByLearningRate) {
        let (decay, adam, rate) = self.chain();
        (decay, ScaleByAmsgrad(adam), rate)
    }
}

impl Algorithm for TorchAdam {
    torch!("Adam", 0.001, Some(0.0));

    fn decay(&self) -> Decay {
        decay(self.decoupled_weight_decay)
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        if self.amsgrad {
            slots(&self.amsgrad(), shape)
        } else {
            slots(&self.chain(), shape)
        }
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        if self.amsgrad {
            target.transform::<_, 3>(self.amsgrad().pass(step))
        } else {
            target.transform::<_, 2>(self.chain().pass(step))
        }
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
    formula_latex: r"\begin{aligned} g &\leftarrow g + \lambda w, \qquad m \leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2 \\ w &\leftarrow w - \eta\, \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)}+\epsilon} \end{aligned}",
    formula_unicode: "g ← g + λ w,   m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²\nw ← w − η · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)",
    what_changes: "PyTorch's Adam differs from Keras' in two places. Its ε is added to the bias-corrected root, as in the paper, \
        while Keras' is added before the correction, where it counts up to 30 times as much in the first steps. And its weight \
        decay goes through the gradient, and so through the division by √v: weights with large gradients are hardly decayed. \
        AdamW was made to repair that.",
    paper: Paper {
        authors: "Diederik P. Kingma, Jimmy Ba",
        title: "Adam: A Method for Stochastic Optimization",
        year: 2015,
    },
};
