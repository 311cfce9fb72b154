//! Activations, inside of other layers and as layers of their own.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::{Activation, ReLU, Softmax};

use super::LayerWeights;

/// The kernel of an activation function, by its name in Keras.
pub(crate) fn kernel(activation: Activation) -> Result<kernels::Activation> {
    activation.name().parse()
}

/// Whether a layer's kernel can apply the function itself.
pub(crate) fn is_fused(activation: Activation) -> bool {
    kernel(activation).is_ok()
}

/// Any activation function of Keras; `threshold` is none of those, because it cannot be called without arguments.
pub(crate) fn forward(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Celu => kernels::celu(x),
        Activation::Glu => kernels::glu(x),
        Activation::HardShrink => kernels::hard_shrink(x),
        Activation::HardSilu => kernels::hard_silu(x),
        Activation::HardTanh => kernels::hard_tanh(x),
        Activation::LogSigmoid => kernels::log_sigmoid(x),
        Activation::SoftShrink => kernels::soft_shrink(x),
        Activation::SparsePlus => kernels::sparse_plus(x),
        Activation::SparseSigmoid => kernels::sparse_sigmoid(x),
        Activation::Sparsemax => kernels::sparsemax(x),
        Activation::Squareplus => kernels::squareplus(x),
        Activation::TanhShrink => kernels::tanh_shrink(x),
        other => kernels::activation(x, kernel(other)?),
    }
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

/// `x` where positive, `alpha (e^x - 1)` elsewhere.
pub(crate) fn elu(alpha: f64, x: &Tensor) -> Result<Tensor> {
    let y = kernels::activation(x, kernels::Activation::Elu)?;
    if alpha == 1.0 {
        return Ok(y);
    }
    Ok(x.gt(0.0)?.where_cond(&y, &(&y * alpha)?)?)
}

/// `max(x, 0) - α max(-x, 0)`; both parts have the derivative 0 at 0.
pub(crate) fn prelu(weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let alpha = required(weights, "alpha")?;
    let positive = kernels::activation(x, kernels::Activation::Relu)?;
    let negative = kernels::activation(&x.neg()?, kernels::Activation::Relu)?;
    Ok((positive - negative.broadcast_mul(&alpha)?)?)
}

/// Softmax over the axes of the layer; the kernel computes it over the last one.
pub(crate) fn softmax(layer: &Softmax, x: &Tensor) -> Result<Tensor> {
    let last = x.rank().saturating_sub(1);
    let axes = softmax_axes(layer, x.rank()).unwrap_or_else(|| vec![last]);
    if axes == [last] {
        return kernels::softmax(x);
    }
    let others: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    let order = [others.as_slice(), &axes].concat();
    let moved = x.permute(order.as_slice())?.contiguous()?;
    let flat = moved.flatten_from(others.len())?;
    let y = kernels::softmax(&flat)?.reshape(moved.shape())?;
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &axis)| back[axis] = place);
    Ok(y.permute(back)?.contiguous()?)
}

/// Softmax of the values that a mask lets through; the others are 0.
pub(crate) fn masked_softmax(layer: &Softmax, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let Some(mask) = mask else {
        return softmax(layer, x);
    };
    let mask = mask.broadcast_as(x.shape())?.contiguous()?;
    let low = if x.dtype() == candle_core::DType::F16 {
        -3e4
    } else {
        -1e9
    };
    let zeros = x.zeros_like()?;
    let y = softmax(layer, &mask.where_cond(x, &zeros.affine(0.0, low)?)?)?;
    Ok(mask.where_cond(&y, &zeros)?)
}

/// The axes that sum to 1 together, counted from the front and in order; `None` where one does not exist.
pub(crate) fn softmax_axes(layer: &Softmax, rank: usize) -> Option<Vec<usize>> {
    let listed = match &layer.axis {
        serde_json::Value::Array(axes) => axes
            .iter()
            .map(serde_json::Value::as_i64)
            .collect::<Option<Vec<i64>>>()?,
        axis => vec![axis.as_i64()?],
    };
    let place = |axis: i64| {
        let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
        usize::try_from(axis).ok().filter(|&axis| axis < rank)
    };
    let mut axes = listed.into_iter().map(place).collect::<Option<Vec<usize>>>()?;
    axes.sort_unstable();
    axes.dedup();
    Some(axes).filter(|axes| !axes.is_empty())
}

/// A weight that the layer cannot be without.
pub(crate) fn required(weights: &LayerWeights<'_>, name: &str) -> Result<Tensor> {
    let missing = || candle_core::Error::Msg(format!("the weight '{name}' is missing"));
    Ok(weights.get(name).ok_or_else(missing)?)
}
