//! Adamax: Adam with the maximum norm.

use serde::{Deserialize, Serialize};

use super::adam;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target};

/// Adamax (Keras `Adamax`).
///
/// `m <- m + (g - m)(1 - beta_1)`, `u <- max(beta_2 u, |g|)`, `w <- w - eta / (1 - beta_1^t) m / (u + epsilon)`.
///
/// Defaults: `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.999, `epsilon` 1e-7. State: 8 bytes a parameter in `f32`. Paper: Kingma and
/// Ba, *Adam: A Method for Stochastic Optimization*, 2015, section 7.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adamax {
    /// Decay of the mean of the gradients.
    pub beta_1: f64,
    /// Decay of the largest gradient.
    pub beta_2: f64,
    /// Added to the largest gradient.
    pub epsilon: f64,
}

impl Default for Adamax {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        }
    }
}

#[derive(Clone, Copy)]
struct Largest {
    alpha: f64,
    keep_1: f64,
    beta_2: f64,
    epsilon: f64,
}

impl Rule<2> for Largest {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m, u]: [A; 2]) -> (A, [A; 2]) {
        let m = m + (g - m) * self.keep_1;
        let u = (u * self.beta_2).max(g.abs());
        (w - m * self.alpha / (u + self.epsilon), [m, u])
    }
}

impl Algorithm for Adamax {
    fn class(&self) -> &'static str {
        "Adamax"
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("momentum", shape), SlotSpec::zeros("norm", shape)]
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        target.elementwise(Largest {
            alpha: step.learning_rate / target.bias_correction(self.beta_1, step.t),
            keep_1: 1.0 - self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        adam::validate("Adamax", self.beta_1, self.beta_2, self.epsilon)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} m &\leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad u \leftarrow \max(\beta_2 u, |g|) \\ w &\leftarrow w - \frac{\eta}{1-\beta_1^t}\, \frac{m}{u+\epsilon} \end{aligned}",
    formula_unicode: "m ← β₁ m + (1 − β₁) g,   u ← max(β₂ u, |g|)\nw ← w − η / (1 − β₁ᵗ) · m / (u + ε)",
    what_changes: "Like Adam, Adamax follows a mean m of the gradients and gives every weight its own rate. It only measures \
        the size of the gradients otherwise: not by a mean of squares but by the largest one seen, slowly forgotten. A single \
        large gradient is felt at once, and many small ones after it do not water it down, so the steps are more careful, and \
        never longer than η. That suits gradients that are rare and strong, as those of word embeddings.",
    paper: Paper {
        authors: "Diederik P. Kingma, Jimmy Ba",
        title: "Adam: A Method for Stochastic Optimization (section 7.1)",
        year: 2015,
    },
};
