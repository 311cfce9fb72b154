//! Activation functions, with Keras' names.

use std::fmt;
use std::str::FromStr;

use candle_core::Tensor;

use crate::error::{Error, Result, expect_float, shape_error};
use crate::{composed, cpu};

/// The factor of `selu` that makes its negative side.
pub(crate) const SELU_ALPHA: f64 = 1.673_263_242_354_377_3;
/// The factor of `selu` on both sides.
pub(crate) const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// A function that is applied to the outputs of a layer.
///
/// Where a function has a kink, its derivative there is the one that Keras has on TensorFlow: `relu'(0) = 0`.
/// `Softmax` and `LogSoftmax` run over the last axis, all others number by number.
///
/// ```
/// use kernels::Activation;
///
/// assert_eq!("relu".parse::<Activation>()?, Activation::Relu);
/// assert_eq!(Activation::Silu.name(), "silu");
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// $x$.
    #[default]
    Linear,
    /// $\max(x, 0)$.
    Relu,
    /// $\min(\max(x, 0), 6)$.
    Relu6,
    /// $x$ where positive, $0.2 x$ elsewhere (the slope of Keras' function; its layer `LeakyReLU` has 0.3).
    LeakyRelu,
    /// $\tanh x$.
    Tanh,
    /// $1 / (1 + e^{-x})$.
    Sigmoid,
    /// $\mathrm{relu6}(x + 3) / 6$.
    HardSigmoid,
    /// $x$ where positive, $e^x - 1$ elsewhere.
    Elu,
    /// $1.0507 x$ where positive, $1.0507 \cdot 1.6733 (e^x - 1)$ elsewhere.
    Selu,
    /// $x \Phi(x)$ with the distribution function of the normal distribution (not its approximation by `tanh`).
    Gelu,
    /// $x / (1 + e^{-x})$, also called swish.
    Silu,
    /// $\ln(1 + e^x)$.
    Softplus,
    /// $x / (1 + |x|)$.
    Softsign,
    /// $e^x$.
    Exponential,
    /// $x \tanh(\ln(1 + e^x))$.
    Mish,
    /// $e^{x_i} / \sum_j e^{x_j}$.
    Softmax,
    /// $x_i - \ln \sum_j e^{x_j}$.
    LogSoftmax,
}

impl Activation {
    /// Every activation, in the order of this enum.
    pub const ALL: [Activation; 17] = [
        Self::Linear,
        Self::Relu,
        Self::Relu6,
        Self::LeakyRelu,
        Self::Tanh,
        Self::Sigmoid,
        Self::HardSigmoid,
        Self::Elu,
        Self::Selu,
        Self::Gelu,
        Self::Silu,
        Self::Softplus,
        Self::Softsign,
        Self::Exponential,
        Self::Mish,
        Self::Softmax,
        Self::LogSoftmax,
    ];

    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu => "leaky_relu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::HardSigmoid => "hard_sigmoid",
            Self::Elu => "elu",
            Self::Selu => "selu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Softplus => "softplus",
            Self::Softsign => "softsign",
            Self::Exponential => "exponential",
            Self::Mish => "mish",
            Self::Softmax => "softmax",
            Self::LogSoftmax => "log_softmax",
        }
    }

    /// Whether the function looks at one number at a time.
    pub fn is_elementwise(self) -> bool {
        !matches!(self, Self::Softmax | Self::LogSoftmax)
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Activation {
    type Err = Error;

    /// Reads Keras' name, also `swish`.
    fn from_str(name: &str) -> Result<Self> {
        let wanted = if name == "swish" { "silu" } else { name };
        Self::ALL
            .into_iter()
            .find(|activation| activation.name() == wanted)
            .ok_or_else(|| Error::Option {
                op: "activation",
                option: "name",
                expected: Self::ALL.map(Self::name).join(", "),
                found: format!("'{}'", name.chars().take(40).collect::<String>()),
            })
    }
}

/// Applies an activation function to a tensor of any shape; the result has the same shape.
///
/// # Errors
/// If `x` holds integers, or is a scalar and the function runs over an axis.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::{Activation, activation};
///
/// let x = Tensor::new(&[-1.0f32, 0.0, 2.0], &Device::Cpu)?;
/// assert_eq!(activation(&x, Activation::Relu)?.to_vec1::<f32>()?, [0.0, 0.0, 2.0]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn activation(x: &Tensor, activation: Activation) -> Result<Tensor> {
    let op = activation.name();
    expect_float(op, "x", x)?;
    if activation == Activation::Linear || x.elem_count() == 0 {
        return Ok(x.clone());
    }
    if !activation.is_elementwise() && x.rank() == 0 {
        return Err(shape_error(op, "x", "(..., classes)", x));
    }
    if !composed::is_fused(x) {
        return Ok(composed::activation(x, activation)?);
    }
    Ok(cpu::activation(x, activation)?)
}

/// $e^{x_i} / \sum_j e^{x_j}$ over the last axis, computed from differences to the largest value so that nothing overflows.
///
/// # Errors
/// As [`activation`].
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::Softmax)
}

/// $x_i - \ln \sum_j e^{x_j}$ over the last axis; finite where [`softmax`] would be 0.
///
/// # Errors
/// As [`activation`].
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::LogSoftmax)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for activation in Activation::ALL {
            assert_eq!(activation.name().parse::<Activation>().unwrap(), activation);
        }
        assert_eq!("swish".parse::<Activation>().unwrap(), Activation::Silu);
        let error = "rellu".parse::<Activation>().unwrap_err().to_string();
        assert!(error.contains("'rellu'") && error.contains("relu6"), "{error}");
    }
}
