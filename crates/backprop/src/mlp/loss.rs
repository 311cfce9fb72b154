//! The losses: their values in the form that loses no digits, and where the way back begins.

use serde::Serialize;

use super::activation::Activation;

/// What is made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The sheet's: `−½ Σ_i y_i log p_i` with `p = softmax(z)`.
    CrossEntropy,
    /// The sheet's second form, for each output on its own: `−½ Σ_i (y_i log p_i + (1 − y_i) log(1 − p_i))` with `p = σ(z)`. For
    /// one output it is the loss of two classes: softmax depends on the difference of two logits only, and `p_1 = σ(z_1 − z_2)`.
    TwoClasses,
    /// `(1/n) Σ_i (y_i − p_i)²` over the `n` outputs, with `p = f(z)`, `f` being the last layer's activation.
    MeanSquaredError,
    /// The lecture's: `½ Σ_i (y_i − p_i)²`.
    HalfSquaredError,
}

impl Loss {
    /// All of them.
    pub const ALL: [Loss; 4] = [
        Loss::CrossEntropy,
        Loss::TwoClasses,
        Loss::MeanSquaredError,
        Loss::HalfSquaredError,
    ];

    /// Its name in words.
    pub fn name(self) -> &'static str {
        match self {
            Loss::CrossEntropy => "half cross-entropy",
            Loss::TwoClasses => "half binary cross-entropy",
            Loss::MeanSquaredError => "mean squared error",
            Loss::HalfSquaredError => "half squared error",
        }
    }

    /// Whether softmax or σ are part of the loss, so that the last layer must be linear.
    pub fn has_activation(self) -> bool {
        matches!(self, Loss::CrossEntropy | Loss::TwoClasses)
    }

    /// What turns sums into outputs.
    pub(super) fn outputs(self) -> &'static str {
        match self {
            Loss::CrossEntropy => "softmax",
            Loss::TwoClasses => "σ",
            _ => "the last layer's activation",
        }
    }

    /// The value. The logarithms are taken of sums of exponentials that begin with 1, never of a probability: with a logit of
    /// 10,000 the loss is 10,000 and not infinite.
    pub(super) fn value(self, z: &[f64], p: &[f64], y: &[f64]) -> f64 {
        match self {
            Loss::CrossEntropy => {
                let log_p = crate::by_hand::log_softmax(z);
                // A class with y = 0 contributes 0, whatever its probability.
                let terms = log_p.iter().zip(y).filter(|(_, y)| **y != 0.0).map(|(l, y)| y * l);
                -terms.sum::<f64>() / 2.0
            }
            // −log σ(z) = log(1 + exp(−z)) and −log(1 − σ(z)) = log(1 + exp z): together log(1 + exp z) − y z.
            Loss::TwoClasses => z.iter().zip(y).map(|(&z, y)| softplus(z) - y * z).sum::<f64>() / 2.0,
            Loss::MeanSquaredError => squares(p, y) / p.len() as f64,
            Loss::HalfSquaredError => squares(p, y) / 2.0,
        }
    }

    /// `∂L/∂z`, as it was derived: no formula divides by a probability.
    pub(super) fn error(self, p: &[f64], y: &[f64], output: Activation) -> Vec<f64> {
        let sum_y: f64 = y.iter().sum();
        let n = p.len() as f64;
        let error = |(&p, &y): (&f64, &f64)| match self {
            Loss::CrossEntropy => (p * sum_y - y) / 2.0,
            Loss::TwoClasses => (p - y) / 2.0,
            Loss::MeanSquaredError => 2.0 * (p - y) / n * output.slope(p),
            Loss::HalfSquaredError => (p - y) * output.slope(p),
        };
        p.iter().zip(y).map(error).collect()
    }
}

/// `log(1 + exp z)`, without overflow and with all digits.
pub(crate) fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

fn squares(p: &[f64], y: &[f64]) -> f64 {
    p.iter().zip(y).map(|(p, y)| (y - p) * (y - p)).sum()
}
