//! Schedule-Free SGD.

use serde::{Deserialize, Serialize};

use crate::algorithm::{Check, Initial};
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Decay, Number, Result, Rule, SlotSpec, Step, Sums, Target};

/// Schedule-Free SGD (`SGDScheduleFree` of the authors' package `schedulefree`).
///
/// `g <- g + lambda y`, `z <- z - eta_t g`, `x <- x + c_t (z - x)`, `y = (1 - momentum) z + momentum x`, where
/// `eta_t = eta min(1, t / warmup_steps)`, `c_t = a_t / (a_1 + ... + a_t)`, `a_t = t^r max(eta_1, ..., eta_t)^weight_lr_power`. The
/// weights that are trained are `y`; evaluate with `x`, see [`Optimizer::exchange_averages`](crate::Optimizer::exchange_averages).
///
/// Defaults: `learning_rate` 1, `momentum` 0.9, `warmup_steps` 0, `r` 0, `weight_lr_power` 2. State: 8 bytes a parameter in `f32`,
/// and two numbers. Paper: Defazio, Yang, Mehta, Mishchenko, Khaled and Cutkosky, *The Road Less Scheduled*, 2024.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleFreeSgd {
    /// The share of the mean in the weights that are trained, above 0 and below 1.
    pub momentum: f64,
    /// Steps in which the rate rises from 0.
    pub warmup_steps: u64,
    /// The power of the step in the weights of the mean.
    pub r: f64,
    /// The power of the largest rate in the weights of the mean.
    pub weight_lr_power: f64,
}

impl Default for ScheduleFreeSgd {
    fn default() -> Self {
        Self {
            momentum: 0.9,
            warmup_steps: 0,
            r: 0.0,
            weight_lr_power: 2.0,
        }
    }
}

impl ScheduleFreeSgd {
    fn rate(&self, t: f64, learning_rate: f64) -> f64 {
        if t < self.warmup_steps as f64 {
            learning_rate * t / self.warmup_steps as f64
        } else {
            learning_rate
        }
    }
}

#[derive(Clone, Copy)]
struct Between {
    rate: f64,
    decay: f64,
    share: f64,
    momentum: f64,
}

impl Rule<2> for Between {
    #[inline(always)]
    fn update<A: Number>(&self, y: A, g: A, [z, x]: [A; 2]) -> (A, [A; 2]) {
        let z = z - (g + y * self.decay) * self.rate;
        let x = x * (1.0 - self.share) + z * self.share;
        (z * (1.0 - self.momentum) + x * self.momentum, [z, x])
    }
}

/// Places among the numbers of the whole optimizer.
const SUM: usize = 0;
const LARGEST: usize = 1;
const SHARE: usize = 2;

impl Algorithm for ScheduleFreeSgd {
    fn class(&self) -> &'static str {
        "ScheduleFreeSGD"
    }

    fn default_learning_rate(&self) -> f64 {
        1.0
    }

    fn decay(&self) -> Decay {
        Decay::ByAlgorithm
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        ["z", "x"]
            .map(|name| SlotSpec::new(name, shape, Initial::Weight))
            .into()
    }

    fn average_slot(&self) -> Option<&'static str> {
        Some("x")
    }

    fn scalars(&self) -> Vec<(&'static str, f64)> {
        vec![("weight_sum", 0.0), ("lr_max", 0.0), ("weight_share", 0.0)]
    }

    fn advance(&self, t: f64, learning_rate: f64, _: &Sums, scalars: &mut [f64]) {
        scalars[LARGEST] = scalars[LARGEST].max(self.rate(t, learning_rate));
        let weight = t.powf(self.r) * scalars[LARGEST].powf(self.weight_lr_power);
        scalars[SUM] += weight;
        scalars[SHARE] = if scalars[SUM] > 0.0 { weight / scalars[SUM] } else { 0.0 };
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        target.elementwise(Between {
            rate: self.rate(step.t, step.learning_rate),
            decay: step.weight_decay,
            share: step.scalars[SHARE],
            momentum: self.momentum,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let check = Check("ScheduleFreeSGD");
        let momentum = self.momentum > 0.0 && self.momentum < 1.0;
        check.that(momentum, "momentum", self.momentum, "above 0 and below 1")?;
        check.not_negative("r", self.r)?;
        check.not_negative("weight_lr_power", self.weight_lr_power)
    }

    super::boilerplate!();
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Sgd,
    formula_latex: r"\begin{aligned} z &\leftarrow z - \eta\, g(y), \qquad x \leftarrow (1 - c_t)\, x + c_t\, z \\ y &= (1-\beta)\, z + \beta\, x \end{aligned}",
    formula_unicode: "z ← z − η g(y),   x ← (1 − cₜ) x + cₜ z\ny = (1 − β) z + β x",
    what_changes: "SGD whose rate needs not to fall. z makes plain SGD steps, x is the mean of all places z has been to, and the \
        gradient is taken between them, nine tenths of the way to x. With β = 0 this is averaged SGD, with β = 1 the mean would \
        follow itself; in between it is as stable as the first and as fast as momentum, and in theory as good as the best \
        schedule without knowing when to end. The network is evaluated with x.",
    paper: Paper {
        authors: "Aaron Defazio, Xingyu Yang, Harsh Mehta, Konstantin Mishchenko, Ahmed Khaled, Ashok Cutkosky",
        title: "The Road Less Scheduled",
        year: 2024,
    },
};
