//! Schedule-Free AdamW: averaging in the place of a schedule.

use serde::{Deserialize, Serialize};

use super::adam;
use crate::algorithm::{Check, Initial};
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target};

/// Schedule-Free AdamW (Keras `ScheduleFreeAdamW`).
///
/// Three sequences: `z` makes the steps, `x` is the mean of all `z`, and the weights that are trained are `y` between them:
/// `v <- v + (g^2 - v)(1 - beta_2)`, `z <- z - eta_t g / (sqrt(v / (1 - beta_2^t)) + epsilon)`, `x <- x + (z - x) / t`,
/// `y = (1 - beta_1) z + beta_1 x`, with `eta_t = eta min(1, t / warmup_steps)`. Evaluate with `x`, see
/// [`Optimizer::exchange_averages`](crate::Optimizer::exchange_averages). The decay shrinks `y` before the step, and `x` with it.
///
/// Keras computes `x` back from `y` and `z`, and so does the step here; it is kept all the same, so that going to evaluation and
/// back changes no bit. Keras 3.15 on TensorFlow reads `z` after its update where the old one is meant; here the old one is read.
///
/// Defaults: `learning_rate` 0.0025, `beta_1` 0.9, `beta_2` 0.999, `epsilon` 1e-8, `warmup_steps` 0. State: 12 bytes a parameter in
/// `f32`. Paper: Defazio, Yang, Mehta, Mishchenko, Khaled and Cutkosky, *The Road Less Scheduled*, 2024.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleFreeAdamW {
    /// The share of the mean in the weights that are trained, above 0 and below 1.
    pub beta_1: f64,
    /// Decay of the mean of squares.
    pub beta_2: f64,
    /// Added to the corrected root.
    pub epsilon: f64,
    /// Steps in which the rate rises from 0.
    pub warmup_steps: u64,
}

impl Default for ScheduleFreeAdamW {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            warmup_steps: 0,
        }
    }
}

#[derive(Clone, Copy)]
struct Between {
    rate: f64,
    rest_2: f64,
    correction: f64,
    epsilon: f64,
    share: f64,
    beta_1: f64,
}

impl Rule<3> for Between {
    #[inline(always)]
    fn update<A: Number>(&self, y: A, g: A, [z, v, _]: [A; 3]) -> (A, [A; 3]) {
        // From y, as Keras does, and not from the x that is kept: what has happened to y since (decay, constraints, averages that
        // were put in its place) has happened to x as well.
        let x = (y - z * (1.0 - self.beta_1)) * (1.0 / self.beta_1);
        let v = v + (g.square() - v) * self.rest_2;
        let z = z - g * self.rate / ((v * self.correction).sqrt() + self.epsilon);
        let x = x * (1.0 - self.share) + z * self.share;
        (z * (1.0 - self.beta_1) + x * self.beta_1, [z, v, x])
    }
}

impl Algorithm for ScheduleFreeAdamW {
    fn class(&self) -> &'static str {
        "ScheduleFreeAdamW"
    }

    fn default_learning_rate(&self) -> f64 {
        0.0025
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![
            SlotSpec::new("momentum", shape, Initial::Weight),
            SlotSpec::zeros("velocity", shape),
            SlotSpec::new("x", shape, Initial::Weight),
        ]
    }

    fn average_slot(&self) -> Option<&'static str> {
        Some("x")
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let warm = if self.warmup_steps == 0 {
            1.0
        } else {
            (step.t / self.warmup_steps as f64).min(1.0)
        };
        let beta_2 = target.rounded(self.beta_2);
        target.elementwise(Between {
            rate: step.learning_rate * warm,
            rest_2: 1.0 - beta_2,
            correction: 1.0 / target.bias_correction(self.beta_2, step.t),
            epsilon: self.epsilon,
            share: 1.0 / step.t,
            beta_1: self.beta_1,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        adam::validate("ScheduleFreeAdamW", self.beta_1, self.beta_2, self.epsilon)?;
        Check("ScheduleFreeAdamW").positive("beta_1", self.beta_1)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} v &\leftarrow \beta_2 v + (1-\beta_2)\, g(y)^2, \qquad z \leftarrow z - \eta\, \frac{g(y)}{\sqrt{v / (1-\beta_2^t)}+\epsilon} \\ x &\leftarrow (1 - \tfrac{1}{t})\, x + \tfrac{1}{t}\, z, \qquad y = (1-\beta_1)\, z + \beta_1 x \end{aligned}",
    formula_unicode: "v ← β₂ v + (1 − β₂) g(y)²,   z ← z − η g(y) / (√(v / (1 − β₂ᵗ)) + ε)\nx ← (1 − 1/t) x + z / t,   y = (1 − β₁) z + β₁ x",
    what_changes: "The rate of SGD or Adam must fall for the weights to come to rest, and how fast depends on when the training \
        shall end. Schedule-Free AdamW needs no end: z walks with a constant rate, x is the mean of all places it has been to, \
        which comes to rest by itself, and the gradient is taken at y, mostly at x and a little at z, which takes the place \
        of momentum. The network is evaluated with x, which is at any moment about as good as a schedule that had ended \
        there.",
    paper: Paper {
        authors: "Aaron Defazio, Xingyu Yang, Harsh Mehta, Konstantin Mishchenko, Ahmed Khaled, Ashok Cutkosky",
        title: "The Road Less Scheduled",
        year: 2024,
    },
};
