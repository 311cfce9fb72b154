//! `Conv2D` on `(batch, height, width, channels)`.

use candle_core::Tensor;
use kernels::{Conv2dOptions, Result};
use nn_theory::{Conv2D, Padding};

use super::{LayerWeights, activation};

pub(crate) fn forward(layer: &Conv2D, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let kernel = activation::required(weights, "kernel")?;
    let options = Conv2dOptions {
        strides: layer.strides,
        padding: padding(layer.padding),
        dilation: layer.dilation_rate,
        groups: layer.groups,
        activation: activation::kernel(layer.activation)?,
    };
    kernels::conv2d(x, &kernel, weights.get("bias").as_ref(), &options)
}

/// The kernels' word for a padding; `causal` was refused when the network was built.
pub(crate) fn padding(padding: Padding) -> kernels::Padding {
    match padding {
        Padding::Same => kernels::Padding::Same,
        Padding::Valid | Padding::Causal => kernels::Padding::Valid,
    }
}
