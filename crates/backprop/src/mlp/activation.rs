//! The activations, each in the five languages in which this crate differentiates.

use candle_core::Tensor;
use serde::Serialize;

use crate::dual::Dual;
use crate::symbol::{Expr, Function};
use crate::tape::{Node, Tape};

/// What a neuron makes of its sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `u`.
    Linear,
    /// `tanh u`, in (−1, 1).
    Tanh,
    /// `σ(u) = 1 / (1 + exp(−u))`, in (0, 1).
    Sigmoid,
    /// `max(u, 0)`, with slope 0 at 0.
    Relu,
}

impl Activation {
    /// All of them.
    pub const ALL: [Activation; 4] = [
        Activation::Linear,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Relu,
    ];

    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Linear => "linear",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::Relu => "relu",
        }
    }

    fn function(self) -> Option<Function> {
        match self {
            Activation::Linear => None,
            Activation::Tanh => Some(Function::Tanh),
            Activation::Sigmoid => Some(Function::Sigmoid),
            Activation::Relu => Some(Function::Relu),
        }
    }

    /// The value at a sum.
    pub fn value(self, u: f64) -> f64 {
        self.function().map_or(u, |f| f.value(u))
    }

    /// The slope at the sum whose *value* is `v`: `1`, `1 − v²`, `v (1 − v)`, `[v > 0]`. That it can be told from the value is
    /// why the way back needs to remember the values alone.
    ///
    /// ```
    /// use backprop::mlp::Activation;
    /// assert_eq!(Activation::Tanh.slope(0.5), 0.75);
    /// assert_eq!(Activation::Sigmoid.slope(0.5), 0.25);
    /// ```
    pub fn slope(self, v: f64) -> f64 {
        match self {
            Activation::Linear => 1.0,
            Activation::Tanh => 1.0 - v * v,
            Activation::Sigmoid => v * (1.0 - v),
            Activation::Relu => f64::from(u8::from(v > 0.0)),
        }
    }

    /// In symbols.
    pub fn symbol(self, u: Expr) -> Expr {
        match self.function() {
            Some(f) => Expr::function(f, u),
            None => u,
        }
    }

    pub(crate) fn dual(self, u: Dual) -> Dual {
        match self {
            Activation::Linear => u,
            Activation::Tanh => u.tanh(),
            Activation::Sigmoid => u.sigmoid(),
            Activation::Relu => u.relu(),
        }
    }

    pub(crate) fn record(self, tape: &mut Tape, u: Node) -> Node {
        match self {
            Activation::Linear => u,
            Activation::Tanh => tape.tanh(u),
            Activation::Sigmoid => tape.sigmoid(u),
            Activation::Relu => tape.relu(u),
        }
    }

    pub(crate) fn tensor(self, u: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Activation::Linear => Ok(u.clone()),
            Activation::Tanh => u.tanh(),
            Activation::Sigmoid => {
                let (below, above) = logistic_terms(u)?;
                &above / (below + &above)?
            }
            Activation::Relu => u.relu(),
        }
    }
}

/// `exp(−m)` and `exp(u − m)` with `m = max(u, 0)` as a constant: σ is the second over the sum of both and
/// `log(1 + exp u)` is `m` plus the logarithm of the sum, and neither overflows.
fn logistic_terms(u: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
    let m = u.relu()?.detach();
    Ok((m.neg()?.exp()?, (u - m)?.exp()?))
}

/// `log(1 + exp u)` in candle.
pub(super) fn softplus(u: &Tensor) -> candle_core::Result<Tensor> {
    let (below, above) = logistic_terms(u)?;
    u.relu()?.detach() + (below + above)?.log()?
}
