//! PyTorch's SGD: the rate outside of the momentum.

use serde::{Deserialize, Serialize};

use super::torch;
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::transformation::{Transformation, slots};
use crate::transformations::{AddDecayedWeights, ScaleByLearningRate, Trace};
use crate::{Algorithm, Decay, Result, SlotSpec, Step, Target};

/// SGD with momentum, dampening and Nesterov's variant (PyTorch `torch.optim.SGD`).
///
/// `g <- g + lambda w`; without momentum `w <- w - eta g`; with momentum `mu`: `b <- mu b + (1 - dampening) g` (`b = g` at the
/// first step), `w <- w - eta b`, with Nesterov's `w <- w - eta (g + mu b)`. Keras has the rate inside the velocity instead,
/// which differs as soon as the rate changes.
///
/// Defaults: `lr` 0.001, `momentum` 0, `dampening` 0, `nesterov` false, `weight_decay` 0. State: none, or 4 bytes a parameter
/// in `f32` with momentum. Paper: Sutskever, Martens, Dahl and Hinton, *On the importance of initialization and momentum in
/// deep learning*, 2013.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchSgd {
    /// How much of the past is kept, `0..=1`; 0 keeps no state.
    pub momentum: f64,
    /// How much of a new gradient is left out of the momentum, `0..=1`.
    pub dampening: f64,
    /// Whether to look ahead along the momentum.
    pub nesterov: bool,
}

impl TorchSgd {
    fn chain(&self) -> (AddDecayedWeights, Trace, ScaleByLearningRate) {
        let trace = Trace {
            momentum: self.momentum,
            dampening: self.dampening,
            nesterov: self.nesterov,
        };
        (AddDecayedWeights::default(), trace, ScaleByLearningRate)
    }
}

impl Algorithm for TorchSgd {
    torch!("SGD", 0.001, Some(0.0));

    fn decay(&self) -> Decay {
        Decay::ByAlgorithm
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        if self.momentum == 0.0 {
            Vec::new()
        } else {
            slots(&self.chain(), shape)
        }
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        if self.momentum == 0.0 {
            target.transform::<_, 0>((AddDecayedWeights::default(), ScaleByLearningRate).pass(step))
        } else {
            target.transform::<_, 1>(self.chain().pass(step))
        }
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check(self.class());
        let share = |value: f64| (0.0..=1.0).contains(&value);
        check.that(share(self.momentum), "momentum", self.momentum, "between 0 and 1")?;
        check.that(share(self.dampening), "dampening", self.dampening, "between 0 and 1")?;
        check.that(
            !self.nesterov || (self.momentum > 0.0 && self.dampening == 0.0),
            "nesterov",
            "true",
            "false unless there is a momentum and no dampening",
        )
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Sgd,
    formula_latex: r"\begin{aligned} b &\leftarrow \mu\, b + (1-d)\, (g + \lambda w) \\ w &\leftarrow w - \eta\, b \end{aligned}",
    formula_unicode: "b ← μ b + (1 − d) (g + λ w)\nw ← w − η b",
    what_changes: "PyTorch's SGD is SGD with momentum whose learning rate stands outside of the momentum: b is a fading sum of \
        gradients, and the rate of the day multiplies all of it. In Keras the rate is inside, so that a step already in motion \
        keeps the rate it was made with. With a constant rate both walk the same path; when the rate falls, PyTorch's \
        momentum slows down at once. The weight decay is an L2 penalty, added to the gradient.",
    paper: Paper {
        authors: "Ilya Sutskever, James Martens, George Dahl, Geoffrey Hinton",
        title: "On the importance of initialization and momentum in deep learning",
        year: 2013,
    },
};
