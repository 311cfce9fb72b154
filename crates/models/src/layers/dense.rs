//! `Dense`: `activation(x W + b)` over the last axis.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::Dense;

use super::{LayerWeights, activation};

pub(crate) fn forward(layer: &Dense, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let kernel = super::activation::required(weights, "kernel")?;
    let bias = weights.get("bias");
    let fused = activation::kernel(layer.activation)?;
    // Keras applies the layer to the last axis, whatever stands before it; so does the kernel from two axes on.
    if x.rank() > 1 {
        return kernels::linear(x, &kernel, bias.as_ref(), fused);
    }
    let y = kernels::linear(&x.unsqueeze(0)?, &kernel, bias.as_ref(), fused)?;
    Ok(y.squeeze(0)?)
}
