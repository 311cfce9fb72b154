//! AdamW: Adam with the weight decay beside the gradient instead of in it.

use serde::{Deserialize, Serialize};

use super::adam::{self, Adam};
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Result, SlotSpec, Step, Target};

/// AdamW (Keras `AdamW`): [`Adam`] with a weight decay of 0.004 by default.
///
/// `w <- w - eta lambda w` before Adam's update.
///
/// Defaults: `learning_rate` 0.001, `weight_decay` 0.004, `beta_1` 0.9, `beta_2` 0.999, `epsilon` 1e-7, `amsgrad` false. State: 8 bytes a
/// parameter in `f32` (AMSGrad 12). Paper: Loshchilov and Hutter, *Decoupled Weight Decay Regularization*, 2019.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdamW {
    /// Decay of the mean of the gradients.
    pub beta_1: f64,
    /// Decay of the mean of their squares.
    pub beta_2: f64,
    /// Added to the root.
    pub epsilon: f64,
    /// Whether the second moment may never shrink.
    pub amsgrad: bool,
}

impl Default for AdamW {
    fn default() -> Self {
        let Adam {
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
        } = Adam::default();
        Self {
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
        }
    }
}

impl AdamW {
    fn adam(&self) -> Adam {
        Adam {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            amsgrad: self.amsgrad,
        }
    }
}

impl Algorithm for AdamW {
    fn class(&self) -> &'static str {
        "AdamW"
    }

    fn default_weight_decay(&self) -> Option<f64> {
        Some(0.004)
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
        adam::validate("AdamW", self.beta_1, self.beta_2, self.epsilon)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} w &\leftarrow w - \eta\, \lambda\, w \\ m &\leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2 \\ w &\leftarrow w - \eta\, \frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t}\, \frac{m}{\sqrt{v}+\epsilon} \end{aligned}",
    formula_unicode: "w ← w − η λ w\nm ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²\nw ← w − η · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)",
    what_changes: "AdamW is Adam, and in addition every weight shrinks a little at each step, by the fraction η λ. For SGD \
        that is the same as adding the squared weights to the loss (L2 regularization). For Adam it is not: there the \
        penalty would go through the division by √v, and weights with large gradients would hardly be regularized at all. \
        So the decay is taken out of the gradient and applied to the weight itself, equally for all. Large weights that the \
        data do not need fade away, which often generalizes better.",
    paper: Paper {
        authors: "Ilya Loshchilov, Frank Hutter",
        title: "Decoupled Weight Decay Regularization",
        year: 2019,
    },
};
