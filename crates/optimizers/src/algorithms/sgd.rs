//! Stochastic gradient descent, with momentum and Nesterov's variant.

use serde::{Deserialize, Serialize};

use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target};

/// Stochastic gradient descent (Keras `SGD`).
///
/// Without momentum `w <- w - eta g`; with momentum `mu`: `m <- mu m - eta g`, `w <- w + m`; with Nesterov's momentum
/// `w <- w + mu m - eta g` with the new `m`.
///
/// Defaults: `learning_rate` 0.01, `momentum` 0, `nesterov` false. State: none, or 4 bytes a parameter in `f32`. Papers: Robbins and
/// Monro, *A Stochastic Approximation Method*, 1951; Polyak, *Some methods of speeding up the convergence of iteration
/// methods*, 1964.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sgd {
    /// How much of the last step is repeated, `0..=1`; 0 keeps no state.
    pub momentum: f64,
    /// Whether to look ahead along the momentum.
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Self {
        Self {
            momentum: 0.0,
            nesterov: false,
        }
    }
}

impl Sgd {
    /// The preset `sgd_momentum`: a momentum of 0.9.
    pub fn with_momentum() -> Self {
        Self {
            momentum: 0.9,
            nesterov: false,
        }
    }
}

#[derive(Clone, Copy)]
struct Plain {
    rate: f64,
}

impl Rule<0> for Plain {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, []: [A; 0]) -> (A, [A; 0]) {
        (w - g * self.rate, [])
    }
}

#[derive(Clone, Copy)]
struct Momentum {
    rate: f64,
    momentum: f64,
}

impl Rule<1> for Momentum {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m]: [A; 1]) -> (A, [A; 1]) {
        let m = m * self.momentum - g * self.rate;
        (w + m, [m])
    }
}

#[derive(Clone, Copy)]
struct Nesterov {
    rate: f64,
    momentum: f64,
}

impl Rule<1> for Nesterov {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m]: [A; 1]) -> (A, [A; 1]) {
        let m = m * self.momentum - g * self.rate;
        (w + (m * self.momentum - g * self.rate), [m])
    }
}

impl Algorithm for Sgd {
    fn class(&self) -> &'static str {
        "SGD"
    }

    fn default_learning_rate(&self) -> f64 {
        0.01
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        if self.momentum == 0.0 {
            Vec::new()
        } else {
            vec![SlotSpec::zeros("momentum", shape)]
        }
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let (rate, momentum) = (step.learning_rate, self.momentum);
        if momentum == 0.0 {
            target.elementwise(Plain { rate })
        } else if self.nesterov {
            target.elementwise(Nesterov { rate, momentum })
        } else {
            target.elementwise(Momentum { rate, momentum })
        }
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let range = (0.0..=1.0).contains(&self.momentum);
        Check("SGD").that(range, "momentum", self.momentum, "between 0 and 1")
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Sgd,
    formula_latex: r"w \leftarrow w - \eta\, g",
    formula_unicode: "w ← w − η g",
    what_changes: "This is the method that all others are measured against: each weight moves against its gradient, and \
        the learning rate η says how far. All weights share the one rate, and nothing is remembered from step to step. \
        Where the loss is a long narrow valley, the rate must be small enough for the steep direction, and progress along \
        the flat one is slow.",
    paper: Paper {
        authors: "Herbert Robbins, Sutton Monro",
        title: "A Stochastic Approximation Method",
        year: 1951,
    },
};

pub(super) const MOMENTUM: Description = Description {
    family: Family::Sgd,
    formula_latex: r"\begin{aligned} m &\leftarrow \mu\, m - \eta\, g \\ w &\leftarrow w + m \end{aligned}",
    formula_unicode: "m ← μ m − η g\nw ← w + m",
    what_changes: "SGD forgets; momentum remembers. The step m is a fading sum of all past steps (with μ = 0.9 about the \
        last ten), like a ball that rolls: where the gradients of many batches agree, it gains speed, up to 1/(1 − μ) times \
        the plain step, and where they point to and fro across a valley, they cancel. It costs one number of memory a \
        weight; the learning rate is still the same for all weights.",
    paper: Paper {
        authors: "Boris T. Polyak",
        title: "Some methods of speeding up the convergence of iteration methods",
        year: 1964,
    },
};
