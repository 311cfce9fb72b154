//! ADOPT: Adam that converges whatever its second decay.

use serde::{Deserialize, Serialize};

use super::adam;
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::transformation::{Transformation, slots};
use crate::transformations::{ScaleByAdopt, ScaleByLearningRate};
use crate::{Algorithm, Result, SlotSpec, Step, Target};

/// ADOPT (`ADOPT` of the authors' repository `iShohei220/adopt`), with a decoupled weight decay.
///
/// `m <- beta_1 m + (1 - beta_1) clip(g / max(sqrt(v), epsilon), (t - 1)^(1/4))`, `w <- w - eta m`, then
/// `v <- beta_2 v + (1 - beta_2) g^2`; the first step only sets `v = g^2`.
///
/// Defaults: `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.9999, `epsilon` 1e-6. State: 8 bytes a parameter in `f32`. Paper:
/// Taniguchi, Harada, Minegishi, Oshima, Jeong, Nagahara, Iiyama, Suzuki, Iwasawa and Matsuo, *ADOPT: Modified Adam Can Converge
/// with Any beta_2 with the Optimal Rate*, 2024.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adopt {
    /// Decay of the mean of the gradients over their size.
    pub beta_1: f64,
    /// Decay of the mean of the squares.
    pub beta_2: f64,
    /// The least root.
    pub epsilon: f64,
}

impl Default for Adopt {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.9999,
            epsilon: 1e-6,
        }
    }
}

impl Adopt {
    fn chain(&self) -> (ScaleByAdopt, ScaleByLearningRate) {
        let adopt = ScaleByAdopt {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
        };
        (adopt, ScaleByLearningRate)
    }
}

impl Algorithm for Adopt {
    fn class(&self) -> &'static str {
        "ADOPT"
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
        adam::validate("ADOPT", self.beta_1, self.beta_2, self.epsilon)?;
        Check("ADOPT").positive("epsilon", self.epsilon)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} m &\leftarrow \beta_1 m + (1-\beta_1)\, \operatorname{clip}\!\left(\frac{g}{\max(\sqrt{v}, \epsilon)}, \pm (t-1)^{1/4}\right), \qquad w \leftarrow w - \eta\, m \\ v &\leftarrow \beta_2 v + (1-\beta_2)\, g^2 \end{aligned}",
    formula_unicode: "m ← β₁ m + (1 − β₁) clip(g / max(√v, ε), ±(t − 1)^¼),   w ← w − η m\nv ← β₂ v + (1 − β₂) g²",
    what_changes: "Adam can fail to converge on simple problems, because a gradient is divided by a size that it has a share in \
        itself: large and rare gradients are shrunk most, so that many small ones in the wrong direction win. ADOPT divides by the \
        size of the gradients before, and takes the mean of the quotients instead of the quotient of means. Two lines change \
        places, and convergence is proven for every β₂ at the best possible speed. Cost and settings are Adam's.",
    paper: Paper {
        authors: "Shohei Taniguchi, Keno Harada, Gouki Minegishi, Yuta Oshima, Seong Cheol Jeong, Go Nagahara, Tomoshi Iiyama, Masahiro Suzuki, Yusuke Iwasawa, Yutaka Matsuo",
        title: "ADOPT: Modified Adam Can Converge with Any beta_2 with the Optimal Rate",
        year: 2024,
    },
};
