//! PyTorch's AdamW.

use serde::{Deserialize, Serialize};

use super::{TorchAdam, torch};
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Decay, Result, SlotSpec, Step, Target};

/// AdamW (PyTorch `torch.optim.AdamW`): [`TorchAdam`] whose weights decay beside the gradient.
///
/// `w <- w - eta lambda w`, then `m`, `v` as in Adam and `w <- w - eta m_hat / (sqrt(v_hat) + eps)`.
///
/// Defaults: `lr` 0.001, `betas` (0.9, 0.999), `eps` 1e-8, `weight_decay` 0.01, `amsgrad` false. State: 8 bytes a parameter in
/// `f32` (AMSGrad 12). Paper: Loshchilov and Hutter, *Decoupled Weight Decay Regularization*, 2019.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchAdamW {
    /// Decay of the mean of the gradients, and of the mean of their squares, each `0..1`.
    pub betas: [f64; 2],
    /// Added to the corrected root.
    pub eps: f64,
    /// Whether the second moment may never shrink.
    pub amsgrad: bool,
    /// Whether the weights shrink beside the update (true) or through the gradient.
    pub decoupled_weight_decay: bool,
}

impl Default for TorchAdamW {
    fn default() -> Self {
        let TorchAdam {
            betas, eps, amsgrad, ..
        } = TorchAdam::default();
        Self {
            betas,
            eps,
            amsgrad,
            decoupled_weight_decay: true,
        }
    }
}

impl TorchAdamW {
    fn adam(&self) -> TorchAdam {
        let Self {
            betas,
            eps,
            amsgrad,
            decoupled_weight_decay,
        } = *self;
        TorchAdam {
            betas,
            eps,
            amsgrad,
            decoupled_weight_decay,
        }
    }
}

impl Algorithm for TorchAdamW {
    torch!("AdamW", 0.001, Some(0.01));

    fn decay(&self) -> Decay {
        self.adam().decay()
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        self.adam().slots(shape)
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        self.adam().update(step, target)
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        super::check_adam(self.class(), self.betas, self.eps)?;
        crate::algorithm::Check(self.class()).that(
            self.decoupled_weight_decay,
            "decoupled_weight_decay",
            "false",
            "true, which makes it AdamW; use Adam",
        )
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} w &\leftarrow w - \eta\, \lambda\, w \\ m &\leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2 \\ w &\leftarrow w - \eta\, \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)}+\epsilon} \end{aligned}",
    formula_unicode: "w ← w − η λ w\nm ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²\nw ← w − η · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)",
    what_changes: "PyTorch's AdamW shrinks every weight by the fraction η λ at each step and then takes Adam's step, as Keras' does; \
        its defaults are λ = 0.01 instead of 0.004, and an ε of 1e-8 that is added to the bias-corrected root. The decay does \
        not go through the division by √v, so that it is the same for all weights, and the best λ depends less on the rate \
        than in Adam with an L2 penalty.",
    paper: Paper {
        authors: "Ilya Loshchilov, Frank Hutter",
        title: "Decoupled Weight Decay Regularization",
        year: 2019,
    },
};
