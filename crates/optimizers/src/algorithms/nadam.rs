//! Nadam: Adam that looks ahead along its momentum.

use serde::{Deserialize, Serialize};

use super::adam;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Sums, Target};

/// Nadam (Keras `Nadam`).
///
/// `u_t = beta_1 (1 - 0.96^t / 2)`, `m` and `v` as in Adam,
/// `m_hat = u_{t+1} m / (1 - u_1 ... u_{t+1}) + (1 - u_t) g / (1 - u_1 ... u_t)`, `v_hat = v / (1 - beta_2^t)`,
/// `w <- w - eta m_hat / (sqrt(v_hat) + epsilon)`.
///
/// Defaults: `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.999, `epsilon` 1e-7. State: 8 bytes a parameter in `f32`, and the running
/// product of the `u`. Paper: Dozat, *Incorporating Nesterov Momentum into Adam*, 2016.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Nadam {
    /// Decay of the mean of the gradients; the schedule starts at half of it.
    pub beta_1: f64,
    /// Decay of the mean of their squares.
    pub beta_2: f64,
    /// Added to the corrected root.
    pub epsilon: f64,
}

impl Default for Nadam {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        }
    }
}

impl Nadam {
    /// The momentum of step `t`, from half of `beta_1` towards all of it; in single precision, as Keras keeps the product of
    /// them.
    fn u(&self, t: f64) -> f64 {
        f64::from(self.beta_1 as f32 * (1.0 - 0.5 * 0.96_f32.powf(t as f32)))
    }
}

#[derive(Clone, Copy)]
struct LookAhead {
    rate: f64,
    keep_1: f64,
    keep_2: f64,
    from_momentum: f64,
    from_gradient: f64,
    correction: f64,
    epsilon: f64,
}

impl Rule<2> for LookAhead {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m, v]: [A; 2]) -> (A, [A; 2]) {
        let m = m + (g - m) * self.keep_1;
        let v = v + (g.square() - v) * self.keep_2;
        let m_hat = m * self.from_momentum + g * self.from_gradient;
        let v_hat = v * self.correction;
        (w - m_hat * self.rate / (v_hat.sqrt() + self.epsilon), [m, v])
    }
}

impl Algorithm for Nadam {
    fn class(&self) -> &'static str {
        "Nadam"
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("momentum", shape), SlotSpec::zeros("velocity", shape)]
    }

    fn scalars(&self) -> Vec<(&'static str, f64)> {
        vec![("u_product", 1.0)]
    }

    fn advance(&self, t: f64, _: f64, _: &Sums, scalars: &mut [f64]) {
        scalars[0] = f64::from((scalars[0] * self.u(t)) as f32);
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let (product, next) = (step.scalars[0], self.u(step.t + 1.0));
        let (beta_1, beta_2) = (target.rounded(self.beta_1), target.rounded(self.beta_2));
        target.elementwise(LookAhead {
            rate: step.learning_rate,
            keep_1: 1.0 - beta_1,
            keep_2: 1.0 - beta_2,
            from_momentum: next / (1.0 - product * next),
            from_gradient: (1.0 - self.u(step.t)) / (1.0 - product),
            correction: 1.0 / target.bias_correction(self.beta_2, step.t),
            epsilon: self.epsilon,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        adam::validate("Nadam", self.beta_1, self.beta_2, self.epsilon)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} m &\leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2, \qquad u_t = \beta_1 (1 - \tfrac{1}{2}\, 0.96^t) \\ \hat m &= \frac{u_{t+1}\, m}{1-\prod_{i=1}^{t+1} u_i} + \frac{(1-u_t)\, g}{1-\prod_{i=1}^{t} u_i}, \qquad \hat v = \frac{v}{1-\beta_2^t} \\ w &\leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat v}+\epsilon} \end{aligned}",
    formula_unicode: "m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   uₜ = β₁ (1 − ½ · 0.96ᵗ)\nm̂ = uₜ₊₁ m / (1 − u₁⋯uₜ₊₁) + (1 − uₜ) g / (1 − u₁⋯uₜ),   v̂ = v / (1 − β₂ᵗ)\nw ← w − η m̂ / (√v̂ + ε)",
    what_changes: "Nadam is Adam with Nesterov's idea: as the momentum will carry the weight on anyway, use already now the \
        mean that the next step would see. In the formula the newest gradient g gets an extra share beside the mean m, so the \
        method reacts one step earlier to a change of direction. The share of the momentum grows from half of β₁ at the start \
        to all of it after some fifty steps. Memory and step size are those of Adam.",
    paper: Paper {
        authors: "Timothy Dozat",
        title: "Incorporating Nesterov Momentum into Adam",
        year: 2016,
    },
};
