//! Adadelta: steps measured in units of past steps.

use serde::{Deserialize, Serialize};

use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target};

/// Adadelta (Keras `Adadelta`).
///
/// `a <- rho a + (1 - rho) g^2`, `delta = -sqrt(d + epsilon) / sqrt(a + epsilon) g`, `d <- rho d + (1 - rho) delta^2`,
/// `w <- w + eta delta`. The paper has `eta = 1`.
///
/// Defaults: `learning_rate` 0.001, `rho` 0.95, `epsilon` 1e-7. State: 8 bytes a parameter in `f32`. Paper: Zeiler, *ADADELTA: An
/// Adaptive Learning Rate Method*, 2012.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adadelta {
    /// Decay of both means of squares.
    pub rho: f64,
    /// Added inside both roots; the very first steps are of its size.
    pub epsilon: f64,
}

impl Default for Adadelta {
    fn default() -> Self {
        Self {
            rho: 0.95,
            epsilon: 1e-7,
        }
    }
}

#[derive(Clone, Copy)]
struct Delta {
    rate: f64,
    rho: f64,
    rest: f64,
    epsilon: f64,
}

impl Rule<2> for Delta {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [a, d]: [A; 2]) -> (A, [A; 2]) {
        let a = a * self.rho + g.square() * self.rest;
        // One root of the quotient: a root takes as long as everything else together.
        let delta = -(((d + self.epsilon) / (a + self.epsilon)).sqrt() * g);
        let d = d * self.rho + delta.square() * self.rest;
        (w + delta * self.rate, [a, d])
    }
}

impl Algorithm for Adadelta {
    fn class(&self) -> &'static str {
        "Adadelta"
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![
            SlotSpec::zeros("accumulated_grad", shape),
            SlotSpec::zeros("accumulated_delta_var", shape),
        ]
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let rest = 1.0 - self.rho;
        target.elementwise(Delta {
            rate: step.learning_rate,
            rho: self.rho,
            rest,
            epsilon: self.epsilon,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        Check("Adadelta").decay("rho", self.rho)?;
        Check("Adadelta").positive("epsilon", self.epsilon)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Ada,
    formula_latex: r"\begin{aligned} a &\leftarrow \rho\, a + (1-\rho)\, g^2 \\ \delta &= -\frac{\sqrt{d+\epsilon}}{\sqrt{a+\epsilon}}\, g, \qquad d \leftarrow \rho\, d + (1-\rho)\, \delta^2 \\ w &\leftarrow w + \eta\, \delta \end{aligned}",
    formula_unicode: "a ← ρ a + (1 − ρ) g²\nδ = −√(d + ε) / √(a + ε) · g,   d ← ρ d + (1 − ρ) δ²\nw ← w + η δ",
    what_changes: "Adadelta wants to do without a learning rate. Like RMSprop it divides the gradient by its recent size, and \
        then multiplies by the recent size of its own steps, so that a step has the unit of a weight, as in Newton's method. \
        Steps grow where they have been growing, starting from a tiny √ε. In the paper η is 1; Keras' default of 0.001 makes \
        these steps a thousand times smaller, so that it seems not to learn at all: set η = 1 to see the method as it was \
        meant.",
    paper: Paper {
        authors: "Matthew D. Zeiler",
        title: "ADADELTA: An Adaptive Learning Rate Method",
        year: 2012,
    },
};
