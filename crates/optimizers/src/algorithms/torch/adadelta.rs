//! PyTorch's Adadelta: with the rate of the paper.

use serde::{Deserialize, Serialize};

use super::torch;
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::transformation::{Transformation, slots};
use crate::transformations::{AddDecayedWeights, ScaleByAdadelta, ScaleByLearningRate};
use crate::{Algorithm, Decay, Result, SlotSpec, Step, Target};

/// Adadelta (PyTorch `torch.optim.Adadelta`).
///
/// `g <- g + lambda w`, `a <- rho a + (1 - rho) g^2`, `delta = sqrt(d + eps) / sqrt(a + eps) g`,
/// `d <- rho d + (1 - rho) delta^2`, `w <- w - eta delta`. Keras' update with other defaults and an L2 penalty.
///
/// Defaults: `lr` 1, `rho` 0.9, `eps` 1e-6, `weight_decay` 0. State: 8 bytes a parameter in `f32`. Paper: Zeiler, *ADADELTA: An
/// Adaptive Learning Rate Method*, 2012.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchAdadelta {
    /// Decay of both means of squares, `0..1`.
    pub rho: f64,
    /// Added inside both roots; the very first steps are of its size.
    pub eps: f64,
}

impl Default for TorchAdadelta {
    fn default() -> Self {
        Self { rho: 0.9, eps: 1e-6 }
    }
}

impl TorchAdadelta {
    fn chain(&self) -> (AddDecayedWeights, ScaleByAdadelta, ScaleByLearningRate) {
        let delta = ScaleByAdadelta {
            rho: self.rho,
            epsilon: self.eps,
        };
        (AddDecayedWeights::default(), delta, ScaleByLearningRate)
    }
}

impl Algorithm for TorchAdadelta {
    torch!("Adadelta", 1.0, Some(0.0));

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
        Check(self.class()).decay("rho", self.rho)?;
        Check(self.class()).positive("eps", self.eps)
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Ada,
    formula_latex: r"\begin{aligned} g &\leftarrow g + \lambda w, \qquad a \leftarrow \rho\, a + (1-\rho)\, g^2 \\ \delta &= \frac{\sqrt{d+\epsilon}}{\sqrt{a+\epsilon}}\, g, \qquad d \leftarrow \rho\, d + (1-\rho)\, \delta^2 \\ w &\leftarrow w - \eta\, \delta \end{aligned}",
    formula_unicode: "g ← g + λ w,   a ← ρ a + (1 − ρ) g²\nδ = √(d + ε) / √(a + ε) · g,   d ← ρ d + (1 − ρ) δ²\nw ← w − η δ",
    what_changes: "PyTorch's Adadelta is the method as its paper has it, with η = 1: a step is the gradient over its recent size, \
        times the recent size of past steps. Keras' default rate is a thousand times smaller. The first steps are tiny, of \
        the size √ε = 0.001, and grow by themselves where they lead downhill; how fast they grow depends on ε, which takes the \
        place of the learning rate that the method wants to do without.",
    paper: Paper {
        authors: "Matthew D. Zeiler",
        title: "ADADELTA: An Adaptive Learning Rate Method",
        year: 2012,
    },
};
