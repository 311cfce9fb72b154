//! `BatchNormalization`: by the statistics of the batch in training, by the moving ones in inference.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::BatchNormalization;

use super::{LayerWeights, activation};
use crate::network::Mode;

pub(crate) fn batch(
    layer: &BatchNormalization,
    weights: &LayerWeights<'_>,
    x: &Tensor,
    trainable: bool,
    mode: Mode,
) -> Result<Tensor> {
    let rank = x.rank() as i64;
    let axis = usize::try_from(if layer.axis < 0 { layer.axis + rank } else { layer.axis })
        .map_err(|_| candle_core::Error::Msg(format!("there is no axis {}", layer.axis)))?;
    let last = x.rank() - 1;
    // The kernels normalise over the last axis.
    let x = if axis == last {
        x.clone()
    } else {
        x.transpose(axis, last)?.contiguous()?
    };
    let moving_mean = activation::required(weights, "moving_mean")?;
    let moving_variance = activation::required(weights, "moving_variance")?;
    let (gamma, beta) = (weights.get("gamma"), weights.get("beta"));
    // A frozen layer runs in inference mode also while the rest trains (Keras since version 2).
    let training = trainable && matches!(mode, Mode::Training(_));
    let normed = kernels::batch_norm(
        &x,
        gamma.as_ref(),
        beta.as_ref(),
        &moving_mean,
        &moving_variance,
        layer.momentum,
        layer.epsilon,
        training,
    )?;
    if training {
        for (name, value) in [
            ("moving_mean", &normed.moving_mean),
            ("moving_variance", &normed.moving_variance),
        ] {
            if let Some(var) = weights.var(name) {
                var.set(&value.detach())?;
            }
        }
    }
    Ok(if axis == last {
        normed.output
    } else {
        normed.output.transpose(axis, last)?.contiguous()?
    })
}
