//! Activations, inside of other layers and as layers of their own.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::{Activation, ReLU};

use super::LayerWeights;

/// The kernel of an activation function, by its name in Keras.
pub(crate) fn kernel(activation: Activation) -> Result<kernels::Activation> {
    activation.name().parse()
}

pub(crate) fn forward(activation: Activation, x: &Tensor) -> Result<Tensor> {
    kernels::activation(x, kernel(activation)?)
}

/// `max_value` where above it, `x` from `threshold` on, `negative_slope (x - threshold)` below (`keras.layers.ReLU`).
pub(crate) fn relu(layer: &ReLU, x: &Tensor) -> Result<Tensor> {
    if layer.threshold == 0.0 && layer.negative_slope == 0.0 && layer.max_value.is_none() {
        return kernels::activation(x, kernels::Activation::Relu);
    }
    let above = x.ge(layer.threshold)?;
    let below = ((x - layer.threshold)? * layer.negative_slope)?;
    let y = above.where_cond(x, &below)?;
    match layer.max_value {
        Some(limit) => Ok(y.minimum(limit)?),
        None => Ok(y),
    }
}

pub(crate) fn leaky_relu(negative_slope: f64, x: &Tensor) -> Result<Tensor> {
    Ok(x.ge(0.0)?.where_cond(x, &(x * negative_slope)?)?)
}

/// A weight that the layer cannot be without.
pub(crate) fn required(weights: &LayerWeights<'_>, name: &str) -> Result<Tensor> {
    let missing = || candle_core::Error::Msg(format!("the weight '{name}' is missing"));
    Ok(weights.get(name).ok_or_else(missing)?)
}
