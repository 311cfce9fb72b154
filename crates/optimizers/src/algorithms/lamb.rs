//! LAMB: Adam with a trust ratio for each layer.

use serde::{Deserialize, Serialize};

use super::adam;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target, Term};

/// LAMB (Keras `Lamb`).
///
/// `m`, `v` as in Adam, `r = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)`,
/// `w <- w - eta |w| / |r| r`, with the ratio 1 where either norm is 0.
///
/// Defaults: `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.999, `epsilon` 1e-7. State: 8 bytes a parameter in `f32`. Paper: You et al.,
/// *Large Batch Optimization for Deep Learning: Training BERT in 76 minutes*, 2020.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lamb {
    /// Decay of the mean of the gradients.
    pub beta_1: f64,
    /// Decay of the mean of their squares.
    pub beta_2: f64,
    /// Added to the corrected root.
    pub epsilon: f64,
}

impl Default for Lamb {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        }
    }
}

/// The first pass: weight decay and moments.
#[derive(Clone, Copy)]
struct Moments {
    keep_1: f64,
    keep_2: f64,
}

impl Rule<2> for Moments {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m, v]: [A; 2]) -> (A, [A; 2]) {
        (w, [m + (g - m) * self.keep_1, v + (g.square() - v) * self.keep_2])
    }
}

/// Adam's step of length 1.
#[derive(Clone, Copy)]
struct Direction {
    correction_1: f64,
    correction_2: f64,
    epsilon: f64,
}

impl Direction {
    #[inline(always)]
    fn of<A: Number>(&self, m: A, v: A) -> A {
        m * self.correction_1 / ((v * self.correction_2).sqrt() + self.epsilon)
    }
}

#[derive(Clone, Copy)]
struct SquaredDirection(Direction);

impl Term<2> for SquaredDirection {
    #[inline(always)]
    fn value<A: Number>(&self, _: A, _: A, [m, v]: [A; 2]) -> A {
        self.0.of(m, v).square()
    }
}

#[derive(Clone, Copy)]
struct SquaredWeight;

impl Term<2> for SquaredWeight {
    #[inline(always)]
    fn value<A: Number>(&self, w: A, _: A, _: [A; 2]) -> A {
        w.square()
    }
}

#[derive(Clone, Copy)]
struct Walk {
    direction: Direction,
    length: f64,
}

impl Rule<2> for Walk {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, _: A, [m, v]: [A; 2]) -> (A, [A; 2]) {
        (w - self.direction.of(m, v) * self.length, [m, v])
    }
}

impl Algorithm for Lamb {
    fn class(&self) -> &'static str {
        "Lamb"
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("momentum", shape), SlotSpec::zeros("velocity", shape)]
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let direction = Direction {
            correction_1: 1.0 / target.bias_correction(self.beta_1, step.t),
            correction_2: 1.0 / target.bias_correction(self.beta_2, step.t),
            epsilon: self.epsilon,
        };
        target.elementwise(Moments {
            keep_1: 1.0 - self.beta_1,
            keep_2: 1.0 - self.beta_2,
        })?;
        let weights = target.sum(SquaredWeight)?.sqrt();
        let step_length = target.sum(SquaredDirection(direction))?.sqrt();
        let trust = if weights > 0.0 && step_length > 0.0 {
            weights / step_length
        } else {
            1.0
        };
        target.elementwise(Walk {
            direction,
            length: step.learning_rate * trust,
        })
    }

    fn validate(&self) -> Result<()> {
        adam::validate("Lamb", self.beta_1, self.beta_2, self.epsilon)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} m &\leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2 \\ r &= \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)}+\epsilon}, \qquad w \leftarrow w - \eta\, \frac{\|w\|}{\|r\|}\, r \end{aligned}",
    formula_unicode: "m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²\nr = m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)\nw ← w − η ‖w‖ / ‖r‖ · r",
    what_changes: "LAMB computes Adam's step and then asks, layer by layer, how long it is compared with the weights it is \
        applied to. It is scaled so that every layer changes by the same fraction η of its own norm. No layer is torn apart \
        by a step that is small for another, which makes very large batches with very large rates possible; it was made to \
        train BERT in 76 minutes. For small batches it has little advantage over Adam.",
    paper: Paper {
        authors: "Yang You, Jing Li, Sashank Reddi, Jonathan Hseu, Sanjiv Kumar, Srinadh Bhojanapalli, Xiaodan Song, James Demmel, Kurt Keutzer, Cho-Jui Hsieh",
        title: "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes",
        year: 2020,
    },
};
