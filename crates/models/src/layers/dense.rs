//! `Dense`: `activation(x W + b)` over the last axis.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::Dense;

use super::{LayerWeights, activation};

pub(crate) fn forward(layer: &Dense, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let kernel = super::activation::required(weights, "kernel")?;
    let bias = weights.get("bias");
    let fused = activation::kernel(layer.activation)?;
    let dims = x.dims();
    // Keras applies the layer to the last axis, whatever stands before it.
    let inputs = dims.last().copied().unwrap_or(1);
    let y = kernels::linear(&x.reshape(((), inputs))?, &kernel, bias.as_ref(), fused)?;
    let mut shape = dims[..dims.len().saturating_sub(1)].to_vec();
    shape.push(layer.units);
    Ok(y.reshape(shape)?)
}
