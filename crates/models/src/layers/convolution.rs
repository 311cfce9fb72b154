//! `Conv1D`, `Conv2D`, `Conv3D`; every layer here sees `(batch, sides.., channels)`.

use candle_core::Tensor;
use kernels::{Conv1dOptions, Conv2dOptions, Conv3dOptions, Pool2dOptions, Result};
use nn_theory::{Conv1D, Conv2D, Conv3D, MaxPooling2D, Padding};

use super::{LayerWeights, activation};

pub(crate) fn sequence(layer: &Conv1D, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let kernel = activation::required(weights, "kernel")?;
    let options = Conv1dOptions {
        strides: layer.strides,
        padding: padding(layer.padding),
        dilation: layer.dilation_rate,
        groups: layer.groups,
        activation: activation::kernel(layer.activation)?,
    };
    kernels::conv1d(x, &kernel, weights.get("bias").as_ref(), &options)
}

pub(crate) fn forward(layer: &Conv2D, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let kernel = activation::required(weights, "kernel")?;
    kernels::conv2d(x, &kernel, weights.get("bias").as_ref(), &options(layer)?)
}

/// The convolution and the pooling behind it.
pub(crate) fn pooled(layer: &Conv2D, pool: &MaxPooling2D, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let kernel = activation::required(weights, "kernel")?;
    let pool = Pool2dOptions {
        pool_size: pool.pool_size,
        strides: pool.strides,
        padding: padding(pool.padding),
    };
    kernels::conv2d_max_pool2d(x, &kernel, weights.get("bias").as_ref(), &options(layer)?, &pool)
}

fn options(layer: &Conv2D) -> Result<Conv2dOptions> {
    Ok(Conv2dOptions {
        strides: layer.strides,
        padding: padding(layer.padding),
        dilation: layer.dilation_rate,
        groups: layer.groups,
        activation: activation::kernel(layer.activation)?,
    })
}

pub(crate) fn volume(layer: &Conv3D, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let kernel = activation::required(weights, "kernel")?;
    let options = Conv3dOptions {
        strides: layer.strides,
        padding: padding(layer.padding),
        dilation: layer.dilation_rate,
        groups: layer.groups,
        activation: activation::kernel(layer.activation)?,
    };
    kernels::conv3d(x, &kernel, weights.get("bias").as_ref(), &options)
}

/// The kernels' word for a padding; `causal` was refused for everything but convolutions of sequences when the network was
/// built.
pub(crate) fn padding(padding: Padding) -> kernels::Padding {
    match padding {
        Padding::Same => kernels::Padding::Same,
        Padding::Valid => kernels::Padding::Valid,
        Padding::Causal => kernels::Padding::Causal,
    }
}
