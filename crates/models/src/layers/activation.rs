//! Activations, inside of other layers and as layers of their own.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::{Activation, ReLU, Softmax};

use super::LayerWeights;

/// The kernel of an activation function, by its name in Keras.
pub(crate) fn kernel(activation: Activation) -> Result<kernels::Activation> {
    activation.name().parse()
}

pub(crate) fn forward(activation: Activation, x: &Tensor) -> Result<Tensor> {
    kernels::activation(x, kernel(activation)?)
}

/// `max_value` where above it, `x` above `threshold`, `negative_slope (x - threshold)` elsewhere (`keras.layers.ReLU`).
///
/// On a kink the derivative is TensorFlow's: that of the left side at `threshold`, and at `max_value` that of the left
/// side too, but 0 at the 6 of `relu6`.
pub(crate) fn relu(layer: &ReLU, x: &Tensor) -> Result<Tensor> {
    if layer.threshold == 0.0 && layer.negative_slope == 0.0 {
        match layer.max_value {
            None => return kernels::activation(x, kernels::Activation::Relu),
            Some(6.0) => return kernels::activation(x, kernels::Activation::Relu6),
            Some(_) => (),
        }
    }
    let below = ((x - layer.threshold)? * layer.negative_slope)?;
    let y = x.gt(layer.threshold)?.where_cond(x, &below)?;
    match layer.max_value {
        // candle's `minimum` would halve the derivative where both are equal.
        Some(limit) => Ok(y.gt(limit)?.where_cond(&y.ones_like()?.affine(limit, 0.0)?, &y)?),
        None => Ok(y),
    }
}

pub(crate) fn leaky_relu(negative_slope: f64, x: &Tensor) -> Result<Tensor> {
    Ok(x.gt(0.0)?.where_cond(x, &(x * negative_slope)?)?)
}

/// Softmax over the axis of the layer; the kernel computes it over the last one.
pub(crate) fn softmax(layer: &Softmax, x: &Tensor) -> Result<Tensor> {
    let last = x.rank().saturating_sub(1);
    match softmax_axis(layer, x.rank()) {
        Some(axis) if axis != last => {
            let y = kernels::softmax(&x.transpose(axis, last)?.contiguous()?)?;
            Ok(y.transpose(axis, last)?.contiguous()?)
        }
        _ => kernels::softmax(x),
    }
}

/// The one axis that sums to 1, counted from the front; `None` for a list of axes or one that does not exist.
pub(crate) fn softmax_axis(layer: &Softmax, rank: usize) -> Option<usize> {
    let axis = layer.axis.as_i64()?;
    let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// A weight that the layer cannot be without.
pub(crate) fn required(weights: &LayerWeights<'_>, name: &str) -> Result<Tensor> {
    let missing = || candle_core::Error::Msg(format!("the weight '{name}' is missing"));
    Ok(weights.get(name).ok_or_else(missing)?)
}
