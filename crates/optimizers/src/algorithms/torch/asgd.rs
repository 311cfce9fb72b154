//! ASGD: SGD whose result is the average of its path.

use serde::{Deserialize, Serialize};

use super::torch;
use crate::algorithm::{Check, Initial};
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Decay, Number, Result, Rule, SlotSpec, Step, Sums, Target};

/// Averaged stochastic gradient descent (PyTorch `torch.optim.ASGD`).
///
/// `g <- g + lambda w`, `w <- (1 - lambd eta_t) w - eta_t g`, `a <- a + mu_t (w - a)` with
/// `eta_t = eta / (1 + lambd eta (t - 1))^alpha` and `mu_t = 1 / max(1, t - 1 - t0)`: up to step `t0` the average `a` is the weight
/// itself, then the mean of all weights since. The averages are what to evaluate with, see
/// [`Optimizer::exchange_averages`](crate::Optimizer::exchange_averages).
///
/// Defaults: `lr` 0.01, `lambd` 1e-4, `alpha` 0.75, `t0` 1e6, `weight_decay` 0. State: 4 bytes a parameter in `f32`. Paper: Polyak
/// and Juditsky, *Acceleration of Stochastic Approximation by Averaging*, 1992; the rates are Bottou's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asgd {
    /// How fast weights and rate shrink.
    pub lambd: f64,
    /// The power of the rate's fall.
    pub alpha: f64,
    /// The step after which averaging begins.
    pub t0: f64,
}

impl Default for Asgd {
    fn default() -> Self {
        Self {
            lambd: 1e-4,
            alpha: 0.75,
            t0: 1e6,
        }
    }
}

impl Asgd {
    /// The rate and the share of the newest weight after `steps` steps.
    fn numbers(&self, learning_rate: f64, steps: f64) -> (f64, f64) {
        let rate = learning_rate / (1.0 + self.lambd * learning_rate * steps).powf(self.alpha);
        (rate, 1.0 / (steps - self.t0).max(1.0))
    }
}

#[derive(Clone, Copy)]
struct Average {
    decay: f64,
    shrink: f64,
    rate: f64,
    share: f64,
}

impl Rule<1> for Average {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [a]: [A; 1]) -> (A, [A; 1]) {
        let g = g + w * self.decay;
        let w = w * self.shrink - g * self.rate;
        // At a share of 1 the average is the weight to the bit.
        let a = if self.share == 1.0 { w } else { a + (w - a) * self.share };
        (w, [a])
    }
}

impl Algorithm for Asgd {
    torch!("ASGD", 0.01, Some(0.0));

    fn decay(&self) -> Decay {
        Decay::ByAlgorithm
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        // PyTorch's starts from 0 and is overwritten in the first step; until then, too, it can be evaluated with.
        vec![SlotSpec::new("ax", shape, Initial::Weight)]
    }

    fn average_slot(&self) -> Option<&'static str> {
        Some("ax")
    }

    /// Rate and share of the next step, as PyTorch keeps them.
    fn scalars(&self) -> Vec<(&'static str, f64)> {
        vec![("eta", 0.0), ("mu", 1.0)]
    }

    fn advance(&self, t: f64, learning_rate: f64, _: &Sums, scalars: &mut [f64]) {
        (scalars[0], scalars[1]) = self.numbers(learning_rate, t);
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let (rate, share) = self.numbers(step.learning_rate, step.t - 1.0);
        target.elementwise(Average {
            decay: step.weight_decay,
            shrink: 1.0 - self.lambd * rate,
            rate,
            share,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check(self.class());
        check.not_negative("lambd", self.lambd)?;
        check.not_negative("alpha", self.alpha)?;
        check.not_negative("t0", self.t0)
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Sgd,
    formula_latex: r"\begin{aligned} \eta_t &= \frac{\eta}{(1 + \lambda \eta\, (t-1))^{\alpha}}, \qquad \mu_t = \frac{1}{\max(1, t - 1 - t_0)} \\ w &\leftarrow (1 - \lambda \eta_t)\, w - \eta_t\, g, \qquad a \leftarrow a + \mu_t\, (w - a) \end{aligned}",
    formula_unicode: "ηₜ = η / (1 + λ η (t − 1))^α,   μₜ = 1 / max(1, t − 1 − t₀)\nw ← (1 − λ ηₜ) w − ηₜ g,   a ← a + μₜ (w − a)",
    what_changes: "SGD with a fixed rate never comes to rest: it dances around the minimum, the wider the larger the rate. \
        Averaged SGD lets it dance and takes the mean of the places it has been to since step t₀, which is much closer to the \
        middle than any of them. In theory that is as good as knowing the curvature. The mean a costs one number of memory a \
        weight, has no influence on the training, and is what the network is evaluated with.",
    paper: Paper {
        authors: "Boris T. Polyak, Anatoli B. Juditsky",
        title: "Acceleration of Stochastic Approximation by Averaging",
        year: 1992,
    },
};
