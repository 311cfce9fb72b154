//! PyTorch's NAdam.

use serde::{Deserialize, Serialize};

use super::{check_adam, decay, torch};
use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Decay, Number, Result, Rule, SlotSpec, Step, Sums, Target};

/// NAdam (PyTorch `torch.optim.NAdam`).
///
/// `u_t = beta_1 (1 - 0.96^(t momentum_decay) / 2)`, `g <- g + lambda w`, `m` and `v` as in Adam,
/// `w <- w - eta (u_{t+1} m / (1 - u_1 ... u_{t+1}) + (1 - u_t) g / (1 - u_1 ... u_t)) / (sqrt(v_hat) + eps)`. Keras' momentum
/// rises 250 times as fast: it has no `momentum_decay`.
///
/// Defaults: `lr` 0.002, `betas` (0.9, 0.999), `eps` 1e-8, `momentum_decay` 0.004, `weight_decay` 0, `decoupled_weight_decay`
/// false. State: 8 bytes a parameter in `f32`, and the running product of the `u`. Paper: Dozat, *Incorporating Nesterov
/// Momentum into Adam*, 2016.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TorchNadam {
    /// Decay of the mean of the gradients, and of the mean of their squares, each `0..1`.
    pub betas: [f64; 2],
    /// Added to the corrected root.
    pub eps: f64,
    /// How fast the momentum rises from half of its value.
    pub momentum_decay: f64,
    /// Whether the weights shrink beside the update (true) or through the gradient.
    pub decoupled_weight_decay: bool,
}

impl Default for TorchNadam {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            eps: 1e-8,
            momentum_decay: 0.004,
            decoupled_weight_decay: false,
        }
    }
}

impl TorchNadam {
    /// The momentum of step `t`.
    fn u(&self, t: f64) -> f64 {
        self.betas[0] * (1.0 - 0.5 * 0.96_f64.powf(t * self.momentum_decay))
    }
}

#[derive(Clone, Copy)]
struct LookAhead {
    decay: f64,
    rest_1: f64,
    beta_2: f64,
    rest_2: f64,
    from_momentum: f64,
    from_gradient: f64,
    second: f64,
    epsilon: f64,
}

impl Rule<2> for LookAhead {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m, v]: [A; 2]) -> (A, [A; 2]) {
        let g = g + w * self.decay;
        let m = m + (g - m) * self.rest_1;
        let v = v * self.beta_2 + g.square() * self.rest_2;
        let ahead = m * self.from_momentum + g * self.from_gradient;
        (w - ahead / ((v * self.second).sqrt() + self.epsilon), [m, v])
    }
}

impl Algorithm for TorchNadam {
    torch!("NAdam", 0.002, Some(0.0));

    fn decay(&self) -> Decay {
        decay(self.decoupled_weight_decay)
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("exp_avg", shape), SlotSpec::zeros("exp_avg_sq", shape)]
    }

    fn scalars(&self) -> Vec<(&'static str, f64)> {
        vec![("mu_product", 1.0)]
    }

    fn advance(&self, t: f64, _: f64, _: &Sums, scalars: &mut [f64]) {
        // PyTorch keeps it in `f32`, in which it loses its digits on the way to 0.
        scalars[0] = f64::from(scalars[0] as f32 * self.u(t) as f32);
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let (product, next) = (step.scalars[0], self.u(step.t + 1.0));
        let [beta_1, beta_2] = self.betas;
        target.elementwise(LookAhead {
            decay: step.weight_decay,
            rest_1: 1.0 - beta_1,
            beta_2,
            rest_2: 1.0 - beta_2,
            from_momentum: step.learning_rate * next / (1.0 - product * next),
            from_gradient: step.learning_rate * (1.0 - self.u(step.t)) / (1.0 - product),
            second: 1.0 / (1.0 - beta_2.powf(step.t)),
            epsilon: self.eps,
        })
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        check_adam(self.class(), self.betas, self.eps)?;
        Check(self.class()).not_negative("momentum_decay", self.momentum_decay)
    }
}

pub(in crate::algorithms) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} m &\leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2, \qquad u_t = \beta_1 (1 - \tfrac{1}{2}\, 0.96^{t \psi}) \\ w &\leftarrow w - \frac{\eta}{\sqrt{\hat v}+\epsilon} \left( \frac{u_{t+1}\, m}{1-\prod_{i=1}^{t+1} u_i} + \frac{(1-u_t)\, g}{1-\prod_{i=1}^{t} u_i} \right) \end{aligned}",
    formula_unicode: "m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   uₜ = β₁ (1 − ½ · 0.96^(t ψ))\nw ← w − η / (√v̂ + ε) · (uₜ₊₁ m / (1 − u₁⋯uₜ₊₁) + (1 − uₜ) g / (1 − u₁⋯uₜ))",
    what_changes: "PyTorch's NAdam is Adam that looks ahead along its momentum, as Keras' Nadam, with a share of the momentum that \
        rises far more slowly: half of β₁ at the start, all of it after some ten thousand steps (ψ = 0.004) instead of fifty. So \
        for most trainings it leans more on the newest gradient than Adam does. Its weight decay is an L2 penalty unless it is \
        decoupled.",
    paper: Paper {
        authors: "Timothy Dozat",
        title: "Incorporating Nesterov Momentum into Adam",
        year: 2016,
    },
};
