//! Prodigy: Adam that finds its learning rate.

use serde::{Deserialize, Serialize};

use super::adam;
use crate::algorithm::{Check, Initial};
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Decay, Number, Result, Rule, SlotSpec, Step, Sums, Target, Term};

/// Prodigy (`Prodigy` of the authors' package `prodigyopt`).
///
/// With the estimate `d` of the distance to the solution: `m <- beta_1 m + d (1 - beta_1) g`,
/// `v <- beta_2 v + d^2 (1 - beta_2) g^2`, `s <- beta_3 s + d eta d / d0 g`; over all parameters
/// `n <- beta_3 n + d eta d / d0 <g, w_0 - w>` and `d <- max(d, d_coef n / |s|_1)`, at most `growth_rate` times the old one; then
/// `w <- w - eta d lambda w - eta d m / (sqrt(v) + d_new epsilon)`. With `use_bias_correction` the rate `eta` is multiplied by
/// `sqrt(1 - beta_2^t) / (1 - beta_1^t)`; `safeguard_warmup` leaves the rate out of `s`. Leave the learning rate at 1, or let a
/// schedule start there.
///
/// Defaults: `learning_rate` 1, `beta_1` 0.9, `beta_2` 0.999, `beta_3` none (the root of `beta_2`), `epsilon` 1e-8, `d0` 1e-6, `d_coef` 1,
/// `growth_rate` none (without limit), `decouple` true, `use_bias_correction` false, `safeguard_warmup` false. State: 16 bytes a
/// parameter in `f32`, and three numbers. Paper: Mishchenko and Defazio, *Prodigy: An Expeditiously Adaptive Parameter-Free
/// Learner*, 2023.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prodigy {
    /// Decay of the mean of the gradients.
    pub beta_1: f64,
    /// Decay of the mean of their squares.
    pub beta_2: f64,
    /// Decay of the sums that the distance is estimated from; `None` is the root of `beta_2`.
    pub beta_3: Option<f64>,
    /// Added to the root, times the distance.
    pub epsilon: f64,
    /// The first estimate of the distance.
    pub d0: f64,
    /// What the estimate is multiplied by.
    pub d_coef: f64,
    /// The largest growth of the estimate in one step; `None` is no limit.
    pub growth_rate: Option<f64>,
    /// Whether the weights shrink beside the update (true) or through the gradient.
    pub decouple: bool,
    /// Whether Adam's bias correction is made.
    pub use_bias_correction: bool,
    /// Whether the estimate does not take part in a warm-up of the rate.
    pub safeguard_warmup: bool,
}

impl Default for Prodigy {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            beta_3: None,
            epsilon: 1e-8,
            d0: 1e-6,
            d_coef: 1.0,
            growth_rate: None,
            decouple: true,
            use_bias_correction: false,
            safeguard_warmup: false,
        }
    }
}

/// Places among the numbers of the whole optimizer.
const DISTANCE: usize = 0;
const NUMERATOR: usize = 1;
const LARGEST: usize = 2;
/// The estimate of the step before, by which lengths of this step are measured.
const BEFORE: usize = 3;

impl Prodigy {
    fn beta_3(&self) -> f64 {
        self.beta_3.unwrap_or_else(|| self.beta_2.sqrt())
    }

    fn rate(&self, t: f64, learning_rate: f64) -> f64 {
        if self.use_bias_correction {
            learning_rate * (1.0 - self.beta_2.powf(t)).sqrt() / (1.0 - self.beta_1.powf(t))
        } else {
            learning_rate
        }
    }

    /// The decay of weights through the gradient, and beside it.
    fn decays(&self, step: &Step<'_>) -> (f64, f64) {
        if self.decouple {
            (0.0, step.weight_decay)
        } else {
            (step.weight_decay, 0.0)
        }
    }
}

/// The first pass: means and sums.
#[derive(Clone, Copy)]
struct Observe {
    penalty: f64,
    beta_1: f64,
    beta_2: f64,
    beta_3: f64,
    mean: f64,
    square: f64,
    sum: f64,
}

impl Rule<4> for Observe {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m, v, s, start]: [A; 4]) -> (A, [A; 4]) {
        let g = g + w * self.penalty;
        let m = m * self.beta_1 + g * self.mean;
        let v = v * self.beta_2 + g.square() * self.square;
        (w, [m, v, s * self.beta_3 + g * self.sum, start])
    }
}

#[derive(Clone, Copy)]
struct Progress {
    penalty: f64,
}

impl Term<4> for Progress {
    #[inline(always)]
    fn value<A: Number>(&self, w: A, g: A, [_, _, _, start]: [A; 4]) -> A {
        (g + w * self.penalty) * (start - w)
    }
}

#[derive(Clone, Copy)]
struct Size;

impl Term<4> for Size {
    #[inline(always)]
    fn value<A: Number>(&self, _: A, _: A, [_, _, s, _]: [A; 4]) -> A {
        s.abs()
    }
}

#[derive(Clone, Copy)]
struct Walk {
    decay: f64,
    rate: f64,
    epsilon: f64,
}

impl Rule<4> for Walk {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, _: A, [m, v, s, start]: [A; 4]) -> (A, [A; 4]) {
        let w = w - w * self.decay;
        (w - m * self.rate / (v.sqrt() + self.epsilon), [m, v, s, start])
    }
}

impl Algorithm for Prodigy {
    fn class(&self) -> &'static str {
        "Prodigy"
    }

    fn default_learning_rate(&self) -> f64 {
        1.0
    }

    fn decay(&self) -> Decay {
        Decay::ByAlgorithm
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        let mut slots: Vec<SlotSpec> = ["exp_avg", "exp_avg_sq", "s"]
            .map(|name| SlotSpec::zeros(name, shape))
            .into();
        slots.push(SlotSpec::new("p0", shape, Initial::Weight));
        slots
    }

    fn scalars(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("d", self.d0),
            ("d_numerator", 0.0),
            ("d_max", self.d0),
            ("d_before", self.d0),
        ]
    }

    fn observes(&self) -> bool {
        true
    }

    fn observe(&self, step: &Step<'_>, target: &mut Target<'_>, sums: &mut Sums) -> Result<()> {
        let d = step.scalars[DISTANCE];
        let rate = d * self.rate(step.t, step.learning_rate);
        let (penalty, _) = self.decays(step);
        sums[0] += d / self.d0 * rate * target.sum(Progress { penalty })?;
        target.elementwise(Observe {
            penalty,
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            beta_3: self.beta_3(),
            mean: d * (1.0 - self.beta_1),
            square: d * d * (1.0 - self.beta_2),
            sum: d / self.d0 * if self.safeguard_warmup { d } else { rate },
        })?;
        sums[1] += target.sum(Size)?;
        Ok(())
    }

    fn advance(&self, _: f64, learning_rate: f64, sums: &Sums, scalars: &mut [f64]) {
        scalars[BEFORE] = scalars[DISTANCE];
        scalars[NUMERATOR] = scalars[NUMERATOR] * self.beta_3() + sums[0];
        // Without any gradient there is nothing to tell a distance from.
        if sums[1] == 0.0 || learning_rate == 0.0 {
            return;
        }
        let found = self.d_coef * scalars[NUMERATOR] / sums[1];
        let mut d = scalars[DISTANCE];
        if d == self.d0 {
            d = d.max(found);
        }
        scalars[LARGEST] = scalars[LARGEST].max(found);
        scalars[DISTANCE] = scalars[LARGEST].min(d * self.growth_rate.unwrap_or(f64::INFINITY));
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let rate = step.scalars[BEFORE] * self.rate(step.t, step.learning_rate);
        let (_, decay) = self.decays(step);
        target.elementwise(Walk {
            decay: decay * rate,
            rate,
            epsilon: step.scalars[DISTANCE] * self.epsilon,
        })
    }

    fn validate(&self) -> Result<()> {
        let check = Check("Prodigy");
        adam::validate("Prodigy", self.beta_1, self.beta_2, self.epsilon)?;
        check.decay("beta_3", self.beta_3())?;
        check.positive("epsilon", self.epsilon)?;
        check.positive("d0", self.d0)?;
        check.positive("d_coef", self.d_coef)?;
        let growth = self.growth_rate.unwrap_or(2.0);
        check.that(
            growth > 1.0 && growth.is_finite(),
            "growth_rate",
            growth,
            "a finite number above 1, or null",
        )
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} m &\leftarrow \beta_1 m + (1-\beta_1)\, d\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, d^2 g^2 \\ d &\leftarrow \max\!\left(d, \frac{\sum_t \gamma_t \langle g_t, w_0 - w_t \rangle}{\| \sum_t \gamma_t g_t \|_1}\right), \qquad w \leftarrow w - \eta\, d\, \frac{m}{\sqrt{v} + d \epsilon} \end{aligned}",
    formula_unicode: "m ← β₁ m + (1 − β₁) d g,   v ← β₂ v + (1 − β₂) d² g²\nd ← max(d, Σ γₜ ⟨gₜ, w₀ − wₜ⟩ / ‖Σ γₜ gₜ‖₁),   w ← w − η d m / (√v + d ε)",
    what_changes: "The right learning rate is, in theory, the distance from the first weights to the solution over the size of the \
        gradients. Adam knows the size; Prodigy estimates the distance as well. From how far the weights have come along the \
        gradients it computes a lower bound d of it, which starts tiny, grows by itself within some hundred steps, and \
        multiplies Adam's step. The learning rate stays at 1. The price is two more numbers of memory a weight and a second \
        pass over all of them.",
    paper: Paper {
        authors: "Konstantin Mishchenko, Aaron Defazio",
        title: "Prodigy: An Expeditiously Adaptive Parameter-Free Learner",
        year: 2023,
    },
};
