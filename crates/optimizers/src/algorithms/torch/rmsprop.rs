//! PyTorch's RMSprop: epsilon beside the root.

use serde::{Deserialize, Serialize};

use super::torch;
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::transformation::{Transformation, slots};
use crate::transformations::{AddDecayedWeights, ScaleByLearningRate, ScaleByRms, ScaleByStddev, Trace};
use crate::{Algorithm, Decay, Result, SlotSpec, Step, Target};

/// RMSprop, centered and with momentum as options (PyTorch `torch.optim.RMSprop`).
///
/// `g <- g + lambda w`, `v <- alpha v + (1 - alpha) g^2`, `u = g / (sqrt(v) + eps)` (centered `sqrt(v - a^2)` with the mean `a`
/// of the gradients), `w <- w - eta u`, or with momentum `b <- momentum b + u`, `w <- w - eta b`. Keras has epsilon inside the
/// root and the rate inside the momentum.
///
/// Defaults: `lr` 0.01, `alpha` 0.99, `eps` 1e-8, `momentum` 0, `centered` false, `weight_decay` 0. State: 4 bytes a parameter
/// in `f32`, and 4 more for each of the two options. Source: Tieleman and Hinton, *Lecture 6.5*, 2012; centered: Graves,
/// *Generating Sequences with Recurrent Neural Networks*, 2013.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchRmsProp {
    /// How much of the past is kept, `0..=1`.
    pub momentum: f64,
    /// Decay of the mean of the squares, `0..1`.
    pub alpha: f64,
    /// Added to the root.
    pub eps: f64,
    /// Whether to divide by the standard deviation instead of the root mean square.
    pub centered: bool,
}

impl Default for TorchRmsProp {
    fn default() -> Self {
        Self {
            momentum: 0.0,
            alpha: 0.99,
            eps: 1e-8,
            centered: false,
        }
    }
}

impl TorchRmsProp {
    fn size(&self) -> ScaleByRms {
        ScaleByRms {
            alpha: self.alpha,
            epsilon: self.eps,
        }
    }

    /// What is done with the gradient over its size.
    fn walk(&self) -> (Trace, ScaleByLearningRate) {
        let trace = Trace {
            momentum: self.momentum,
            ..Trace::default()
        };
        (trace, ScaleByLearningRate)
    }
}

impl Algorithm for TorchRmsProp {
    torch!("RMSprop", 0.01, Some(0.0));

    fn decay(&self) -> Decay {
        Decay::ByAlgorithm
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        match (self.centered, self.momentum > 0.0) {
            (false, false) => slots(&self.size(), shape),
            (false, true) => slots(&(self.size(), self.walk()), shape),
            (true, false) => slots(&ScaleByStddev(self.size()), shape),
            (true, true) => slots(&(ScaleByStddev(self.size()), self.walk()), shape),
        }
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let (decay, size) = (AddDecayedWeights::default(), self.size());
        match (self.centered, self.momentum > 0.0) {
            (false, false) => target.transform::<_, 1>((decay, size, ScaleByLearningRate).pass(step)),
            (false, true) => target.transform::<_, 2>((decay, size, self.walk()).pass(step)),
            (true, false) => target.transform::<_, 2>((decay, ScaleByStddev(size), ScaleByLearningRate).pass(step)),
            (true, true) => target.transform::<_, 3>((decay, ScaleByStddev(size), self.walk()).pass(step)),
        }
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check(self.class());
        let momentum = (0.0..=1.0).contains(&self.momentum);
        check.that(momentum, "momentum", self.momentum, "between 0 and 1")?;
        check.decay("alpha", self.alpha)?;
        check.not_negative("eps", self.eps)
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Ada,
    formula_latex: r"\begin{aligned} g &\leftarrow g + \lambda w, \qquad v \leftarrow \alpha\, v + (1-\alpha)\, g^2 \\ w &\leftarrow w - \eta\, \frac{g}{\sqrt{v}+\epsilon} \end{aligned}",
    formula_unicode: "g ← g + λ w,   v ← α v + (1 − α) g²\nw ← w − η g / (√v + ε)",
    what_changes: "PyTorch's RMSprop divides each gradient by its recent size, as Keras' does, but remembers ten times as long \
        (α = 0.99 instead of ρ = 0.9), and adds its ε beside the root instead of inside. The mean starts at 0 and is not \
        corrected, so that the first steps are ten times as long as later ones, where Keras' are three times as long. With \
        momentum the learning rate stays outside of it.",
    paper: Paper {
        authors: "Tijmen Tieleman, Geoffrey Hinton",
        title: "Lecture 6.5: RMSprop, COURSERA: Neural Networks for Machine Learning",
        year: 2012,
    },
};
