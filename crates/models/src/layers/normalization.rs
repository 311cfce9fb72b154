//! `BatchNormalization` (by the statistics of the batch in training, by the moving ones in inference) and the layers that
//! normalize each sample by its own statistics.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::{BatchNormalization, GroupNormalization, LayerNormalization, Node, RMSNormalization};

use super::{LayerWeights, activation};
use crate::network::Mode;

pub(crate) fn batch(
    layer: &BatchNormalization,
    weights: &LayerWeights<'_>,
    x: &Tensor,
    trainable: bool,
    mode: Mode,
) -> Result<Tensor> {
    let moving_mean = activation::required(weights, "moving_mean")?;
    let moving_variance = activation::required(weights, "moving_variance")?;
    let (gamma, beta) = (weights.get("gamma"), weights.get("beta"));
    // A frozen layer runs in inference mode also while the rest trains (Keras since version 2).
    let training = trainable && matches!(mode, Mode::Training(_));
    on_last_axis(layer.axis, x, |x| {
        let normed = kernels::batch_norm(
            x,
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
        Ok(normed.output)
    })
}

pub(crate) fn layer(layer: &LayerNormalization, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let (axes, order) = in_order(&layer.axis, x)?;
    let turned = |name: &str| {
        weights
            .get(name)
            .map(|weight| weight.permute(order.as_slice()))
            .transpose()
    };
    let (gamma, beta) = (turned("gamma")?, turned("beta")?);
    kernels::layer_norm(x, &axes, gamma.as_ref(), beta.as_ref(), layer.epsilon)
}

pub(crate) fn root_mean_square(layer: &RMSNormalization, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let (axes, order) = in_order(&layer.axis, x)?;
    let scale = activation::required(weights, "scale")?.permute(order)?;
    kernels::rms_norm(x, &axes, Some(&scale), layer.epsilon)
}

pub(crate) fn group(layer: &GroupNormalization, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let (gamma, beta) = (weights.get("gamma"), weights.get("beta"));
    on_last_axis(layer.axis, x, |x| {
        // -1 stands for a group a channel; everything else that is no number of groups was refused with the description.
        let groups = usize::try_from(layer.groups).unwrap_or(x.dims().last().copied().unwrap_or(1));
        kernels::group_norm(x, groups, gamma.as_ref(), beta.as_ref(), layer.epsilon)
    })
}

/// `UnitNormalization`: its axes are in the part of the configuration that has no field of its own.
pub(crate) fn unit(node: &Node, x: &Tensor) -> Result<Tensor> {
    let axes = match node.config().get("axis") {
        Some(serde_json::Value::Array(axes)) => axes.iter().filter_map(serde_json::Value::as_i64).collect(),
        Some(axis) => axis.as_i64().into_iter().collect(),
        None => vec![-1],
    };
    kernels::unit_norm(x, &in_order(&axes, x)?.0)
}

/// An axis counted from the front.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 {
        axis.saturating_add(rank as i64)
    } else {
        axis
    };
    let found = usize::try_from(from_front).ok().filter(|&axis| axis < rank);
    Ok(found.ok_or_else(|| candle_core::Error::Msg(format!("there is no axis {axis} among {rank}")))?)
}

/// The axes in increasing order, and how a weight whose axes are in the given order has to be turned for that.
fn in_order(axes: &[i64], x: &Tensor) -> Result<(Vec<usize>, Vec<usize>)> {
    let axes = axes
        .iter()
        .map(|&axis| axis_of(axis, x.rank()))
        .collect::<Result<Vec<_>>>()?;
    let mut order: Vec<usize> = (0..axes.len()).collect();
    order.sort_by_key(|&place| axes[place]);
    Ok((order.iter().map(|&place| axes[place]).collect(), order))
}

/// Runs a function of tensors whose channels come last on one whose channels are elsewhere.
fn on_last_axis(axis: i64, x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let (axis, last) = (axis_of(axis, x.rank())?, x.rank() - 1);
    if axis == last {
        return f(x);
    }
    Ok(f(&x.transpose(axis, last)?.contiguous()?)?
        .transpose(axis, last)?
        .contiguous()?)
}
