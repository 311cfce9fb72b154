//! Adagrad: rates that shrink with use.

use serde::{Deserialize, Serialize};

use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target};

/// Adagrad (Keras `Adagrad`).
///
/// `a <- a + g^2`, `w <- w - eta g / sqrt(a + epsilon)`, where `a` starts at `initial_accumulator_value`.
///
/// Defaults: `learning_rate` 0.001, `initial_accumulator_value` 0.1, `epsilon` 1e-7. State: 4 bytes a parameter in `f32`. Paper: Duchi,
/// Hazan and Singer, *Adaptive Subgradient Methods for Online Learning and Stochastic Optimization*, 2011.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adagrad {
    /// What the sum of squares starts from.
    pub initial_accumulator_value: f64,
    /// Added inside the root.
    pub epsilon: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Self {
            initial_accumulator_value: 0.1,
            epsilon: 1e-7,
        }
    }
}

#[derive(Clone, Copy)]
struct Accumulate {
    rate: f64,
    epsilon: f64,
}

impl Rule<1> for Accumulate {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [a]: [A; 1]) -> (A, [A; 1]) {
        let a = a + g.square();
        (w - g * self.rate / (a + self.epsilon).sqrt(), [a])
    }
}

impl Algorithm for Adagrad {
    fn class(&self) -> &'static str {
        "Adagrad"
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![SlotSpec::new("accumulator", shape, self.initial_accumulator_value)]
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        target.elementwise(Accumulate {
            rate: step.learning_rate,
            epsilon: self.epsilon,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        Check("Adagrad").not_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        Check("Adagrad").not_negative("epsilon", self.epsilon)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Ada,
    formula_latex: r"\begin{aligned} a &\leftarrow a + g^2 \\ w &\leftarrow w - \eta\, \frac{g}{\sqrt{a+\epsilon}} \end{aligned}",
    formula_unicode: "a ← a + g²\nw ← w − η g / √(a + ε)",
    what_changes: "Adagrad keeps, for every weight, the sum a of all its squared gradients, and divides by the root. A weight \
        that was moved often and strongly gets a small rate; one that is rarely touched keeps a large one, which helps with \
        rare words or features. The sum never shrinks, so all rates fall like one over the root of the steps: safe for \
        convex problems, but for a network the training may slow down before it is done. With the default η = 0.001 it \
        hardly moves; rates of 0.01 to 0.1 are usual.",
    paper: Paper {
        authors: "John Duchi, Elad Hazan, Yoram Singer",
        title: "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
        year: 2011,
    },
};
