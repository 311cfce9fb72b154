//! Adam: momentum, and a rate of its own for every weight.

use serde::{Deserialize, Serialize};

use crate::algorithm::Check;
use crate::catalogue::{Description, Family, Paper};
use crate::{Algorithm, Number, Result, Rule, SlotSpec, Step, Target};

/// Adam (Keras `Adam`), with AMSGrad as an option.
///
/// `m <- m + (g - m)(1 - beta_1)`, `v <- v + (g^2 - v)(1 - beta_2)`,
/// `w <- w - alpha m / (sqrt(v) + epsilon)` with `alpha = eta sqrt(1 - beta_2^t) / (1 - beta_1^t)`; AMSGrad divides by the
/// largest `v` so far.
///
/// Defaults: `learning_rate` 0.001, `beta_1` 0.9, `beta_2` 0.999, `epsilon` 1e-7, `amsgrad` false. State: 8 bytes a parameter in `f32`
/// (AMSGrad 12). Papers: Kingma and Ba, *Adam: A Method for Stochastic Optimization*, 2015; Reddi, Kale and Kumar, *On the
/// Convergence of Adam and Beyond*, 2018.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adam {
    /// Decay of the mean of the gradients.
    pub beta_1: f64,
    /// Decay of the mean of their squares.
    pub beta_2: f64,
    /// Added to the root, outside of it and not bias-corrected («epsilon hat» of the paper).
    pub epsilon: f64,
    /// Whether the second moment may never shrink.
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            amsgrad: false,
        }
    }
}

#[derive(Clone, Copy)]
struct Moments {
    alpha: f64,
    keep_1: f64,
    keep_2: f64,
    epsilon: f64,
}

impl Rule<2> for Moments {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m, v]: [A; 2]) -> (A, [A; 2]) {
        let m = m + (g - m) * self.keep_1;
        let v = v + (g.square() - v) * self.keep_2;
        (w - m * self.alpha / (v.sqrt() + self.epsilon), [m, v])
    }
}

#[derive(Clone, Copy)]
struct AmsGrad(Moments);

impl Rule<3> for AmsGrad {
    #[inline(always)]
    fn update<A: Number>(&self, w: A, g: A, [m, v, v_hat]: [A; 3]) -> (A, [A; 3]) {
        let m = m + (g - m) * self.0.keep_1;
        let v = v + (g.square() - v) * self.0.keep_2;
        let v_hat = v_hat.max(v);
        (w - m * self.0.alpha / (v_hat.sqrt() + self.0.epsilon), [m, v, v_hat])
    }
}

impl Algorithm for Adam {
    fn class(&self) -> &'static str {
        "Adam"
    }

    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec> {
        let mut slots = vec![SlotSpec::zeros("momentum", shape), SlotSpec::zeros("velocity", shape)];
        if self.amsgrad {
            slots.push(SlotSpec::zeros("velocity_hat", shape));
        }
        slots
    }

    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()> {
        let rule = Moments {
            alpha: step.learning_rate * target.bias_correction(self.beta_2, step.t).sqrt()
                / target.bias_correction(self.beta_1, step.t),
            keep_1: 1.0 - self.beta_1,
            keep_2: 1.0 - self.beta_2,
            epsilon: self.epsilon,
        };
        if self.amsgrad {
            target.elementwise(AmsGrad(rule))
        } else {
            target.elementwise(rule)
        }
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        validate("Adam", self.beta_1, self.beta_2, self.epsilon)
    }

    super::boilerplate!();
}

/// The checks that all relatives of Adam share.
pub(super) fn validate(class: &'static str, beta_1: f64, beta_2: f64, epsilon: f64) -> Result<()> {
    Check(class).decay("beta_1", beta_1)?;
    Check(class).decay("beta_2", beta_2)?;
    Check(class).not_negative("epsilon", epsilon)
}

pub(super) const DESCRIPTION: Description = Description {
    family: Family::Adam,
    formula_latex: r"\begin{aligned} m &\leftarrow \beta_1 m + (1-\beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\, g^2 \\ w &\leftarrow w - \eta\, \frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t}\, \frac{m}{\sqrt{v}+\epsilon} \end{aligned}",
    formula_unicode: "m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²\nw ← w − η · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)",
    what_changes: "Adam puts two ideas on top of SGD: like momentum it follows a fading mean m of the gradients instead of \
        the last one, and like RMSprop it divides by the root of a fading mean v of their squares, so that every weight \
        gets a rate of its own. The size of the gradient cancels: a step is at most about η long, whether the gradients \
        are huge or tiny, which is why η = 0.001 works for so many networks. Both means start at 0 and would be too small \
        at first; the factor with the powers βᵗ corrects that. It costs two numbers of memory a weight.",
    paper: Paper {
        authors: "Diederik P. Kingma, Jimmy Ba",
        title: "Adam: A Method for Stochastic Optimization",
        year: 2015,
    },
};
