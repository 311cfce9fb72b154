//! Lion: only the sign counts.

use serde::{Deserialize, Serialize};

use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target};

/// Lion (Keras `Lion`).
///
/// `w <- w - eta sign(beta_1 m + (1 - beta_1) g)`, then `m <- beta_2 m + (1 - beta_2) g`; `sign(0) = 0`.
///
/// Defaults: `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.99. State: 4 bytes a parameter in `f32`. Paper: Chen et al., *Symbolic
/// Discovery of Optimization Algorithms*, 2023.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lion {
    /// The share of the momentum in the direction of the step.
    pub beta_1: f64,
    /// Decay of the momentum.
    pub beta_2: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.99,
        }
    }
}

#[derive(Clone, Copy)]
struct Sign {
    rate: f64,
    beta_1: f64,
    rest_1: f64,
    beta_2: f64,
    rest_2: f64,
}

impl Rule<1> for Sign {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m]: [A; 1]) -> (A, [A; 1]) {
        let direction = (m * self.beta_1 + g * self.rest_1).sign();
        (w - direction * self.rate, [m * self.beta_2 + g * self.rest_2])
    }
}

impl Algorithm for Lion {
    fn class(&self) -> &'static str {
        "Lion"
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("momentum", shape)]
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        // Where two shares cancel, the last bit decides about the sign.
        let (beta_1, beta_2) = (target.rounded(self.beta_1), target.rounded(self.beta_2));
        target.elementwise(Sign {
            rate: step.learning_rate,
            beta_1,
            rest_1: 1.0 - beta_1,
            beta_2,
            rest_2: 1.0 - beta_2,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let beta_1 = self.beta_1 > 0.0 && self.beta_1 <= 1.0;
        Check("Lion").that(beta_1, "beta_1", self.beta_1, "above 0 and at most 1")?;
        Check("Lion").decay("beta_2", self.beta_2)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Sgd,
    formula_latex: r"\begin{aligned} w &\leftarrow w - \eta\, \operatorname{sign}(\beta_1 m + (1-\beta_1)\, g) \\ m &\leftarrow \beta_2 m + (1-\beta_2)\, g \end{aligned}",
    formula_unicode: "w ← w − η sign(β₁ m + (1 − β₁) g)\nm ← β₂ m + (1 − β₂) g",
    what_changes: "Lion was found by a program that searched among update rules. It keeps one mean of the gradients, as SGD \
        with momentum does, and then uses nothing but the sign: every weight moves by exactly η up or down at each step. That \
        equalizes the weights as Adam does with half of its memory. Because the steps never get smaller by themselves, the \
        rate must be three to ten times smaller than Adam's and should fall in the course of the training.",
    paper: Paper {
        authors: "Xiangning Chen, Chen Liang, Da Huang, Esteban Real, Kaiyuan Wang, Hieu Pham, Xuanyi Dong, Thang Luong, Cho-Jui Hsieh, Yifeng Lu, Quoc V. Le",
        title: "Symbolic Discovery of Optimization Algorithms",
        year: 2023,
    },
};
