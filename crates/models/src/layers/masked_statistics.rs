//! `BatchNormalization` of a masked sequence: the statistics are those of the steps that count.

use candle_core::{D, Tensor};
use kernels::Result;
use nn_theory::BatchNormalization;

use super::{LayerWeights, activation, masks};

/// Keras' `backend.epsilon()`, added to the number of values that count.
const EPSILON: f64 = 1e-7;

/// The output in training; the moving statistics move to those of the batch. Channels are the last axis.
pub(crate) fn batch(
    layer: &BatchNormalization,
    weights: &LayerWeights<'_>,
    x: &Tensor,
    mask: &Tensor,
) -> Result<Tensor> {
    let channels = x.dim(D::Minus1)?;
    let counts = masks::over(mask, x)?;
    let rows = |x: &Tensor| x.reshape(((), channels));
    let (values, counts) = (rows(x)?, rows(&counts)?);
    let zeros = values.zeros_like()?;
    let number = (counts.to_dtype(x.dtype())?.sum_keepdim(0)? + EPSILON)?;
    let mean = (counts.where_cond(&values, &zeros)?.sum_keepdim(0)? / &number)?;
    let centred = values.broadcast_sub(&mean)?;
    let squares = counts.where_cond(&centred, &zeros)?.sqr()?.sum_keepdim(0)?;
    let variance = (squares / &number)?;
    let mut scale = (&variance + layer.epsilon)?.sqrt()?.recip()?;
    if let Some(gamma) = weights.get("gamma") {
        scale = scale.broadcast_mul(&gamma)?;
    }
    let mut y = centred.broadcast_mul(&scale)?;
    if let Some(beta) = weights.get("beta") {
        y = y.broadcast_add(&beta)?;
    }
    for (name, of_batch) in [("moving_mean", &mean), ("moving_variance", &variance)] {
        let moving = activation::required(weights, name)?.detach();
        let moved = ((moving * layer.momentum)? + (of_batch.detach().squeeze(0)? * (1.0 - layer.momentum))?)?;
        if let Some(var) = weights.var(name) {
            var.set(&moved.to_dtype(var.dtype())?)?;
        }
    }
    Ok(y.reshape(x.shape())?)
}
