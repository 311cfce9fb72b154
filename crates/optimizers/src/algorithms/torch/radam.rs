//! RAdam: Adam that waits until it knows its rates.

use serde::{Deserialize, Serialize};

use super::{check_adam, decay, torch};
use crate::catalogue::{Description, Family, Paper};
use crate::transformation::{Transformation, slots};
use crate::transformations::{AddDecayedWeights, ScaleByAdam, ScaleByLearningRate, ScaleByRadam};
use crate::{Algorithm, Decay, Result, SlotSpec, Step, Target};

/// Rectified Adam (PyTorch `torch.optim.RAdam`).
///
/// `g <- g + lambda w`, `m`, `v` as in Adam; with `r_inf = 2 / (1 - beta_2) - 1` and
/// `r_t = r_inf - 2 t beta_2^t / (1 - beta_2^t)`: `w <- w - eta m_hat` while `r_t <= 5`, then
/// `w <- w - eta r m_hat sqrt(1 - beta_2^t) / (sqrt(v) + eps)` with
/// `r = sqrt((r_t - 4)(r_t - 2) r_inf / ((r_inf - 4)(r_inf - 2) r_t))`.
///
/// Defaults: `lr` 0.001, `betas` (0.9, 0.999), `eps` 1e-8, `weight_decay` 0, `decoupled_weight_decay` false. State: 8 bytes a
/// parameter in `f32`. Paper: Liu, Jiang, He, Chen, Liu, Gao and Han, *On the Variance of the Adaptive Learning Rate and
/// Beyond*, 2020.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RAdam {
    /// Decay of the mean of the gradients, and of the mean of their squares, each `0..1`.
    pub betas: [f64; 2],
    /// Added to the root.
    pub eps: f64,
    /// Whether the weights shrink beside the update (true) or through the gradient.
    pub decoupled_weight_decay: bool,
}

impl Default for RAdam {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            eps: 1e-8,
            decoupled_weight_decay: false,
        }
    }
}

impl RAdam {
    fn chain(&self) -> (AddDecayedWeights, ScaleByRadam, ScaleByLearningRate) {
        let [beta_1, beta_2] = self.betas;
        let adam = ScaleByAdam {
            beta_1,
            beta_2,
            epsilon: self.eps,
        };
        (AddDecayedWeights::default(), ScaleByRadam(adam), ScaleByLearningRate)
    }
}

impl Algorithm for RAdam {
    torch!("RAdam", 0.001, Some(0.0));

    fn decay(&self) -> Decay {
        decay(self.decoupled_weight_decay)
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
    formula_latex: r"\begin{aligned} m &\leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2, \qquad \rho_t = \rho_\infty - \frac{2 t \beta_2^t}{1-\beta_2^t} \\ w &\leftarrow w - \eta\, \hat m \cdot \begin{cases} \sqrt{\frac{(\rho_t-4)(\rho_t-2)\rho_\infty}{(\rho_\infty-4)(\rho_\infty-2)\rho_t}}\, \frac{\sqrt{1-\beta_2^t}}{\sqrt{v}+\epsilon} & \rho_t > 5 \\ 1 & \text{else} \end{cases} \end{aligned}",
    formula_unicode: "m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   ρₜ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ)\nw ← w − η m̂ r √(1 − β₂ᵗ) / (√v + ε)   if ρₜ > 5,   else   w ← w − η m̂",
    what_changes: "Adam divides by the size of past gradients from the first step on, when it has seen one gradient only, and so \
        its first rates are wild; that is why it is often started with a warm-up. RAdam computes how uncertain v still is. In \
        the first five steps it does not divide at all and is SGD with momentum, and then it lets Adam's rates in as fast as \
        their variance falls. After some thousand steps the two are the same.",
    paper: Paper {
        authors: "Liyuan Liu, Haoming Jiang, Pengcheng He, Weizhu Chen, Xiaodong Liu, Jianfeng Gao, Jiawei Han",
        title: "On the Variance of the Adaptive Learning Rate and Beyond",
        year: 2020,
    },
};
