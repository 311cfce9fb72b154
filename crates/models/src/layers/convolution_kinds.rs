//! Convolutions with another kernel: transposed, depthwise, separable; every layer here sees `(batch, sides.., channels)`.

use candle_core::Tensor;
use kernels::{ConvTransposeOptions, DepthwiseConv2dOptions, Result};
use nn_theory::{
    Conv1DTranspose, Conv2DTranspose, Conv3DTranspose, DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D,
    SeparableConv2D,
};

use super::convolution::padding;
use super::{LayerWeights, activation};

macro_rules! transposed {
    ($($function:ident: $layer:ident = $kernel:ident;)*) => {$(
        pub(crate) fn $function(layer: &$layer, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
            let kernel = activation::required(weights, "kernel")?;
            let options = ConvTransposeOptions {
                strides: layer.strides,
                padding: padding(layer.padding),
                output_padding: layer.output_padding,
                dilation: layer.dilation_rate,
                activation: activation::kernel(layer.activation)?,
            };
            kernels::$kernel(x, &kernel, weights.get("bias").as_ref(), &options)
        }
    )*};
}

transposed! {
    transposed1d: Conv1DTranspose = conv1d_transpose;
    transposed2d: Conv2DTranspose = conv2d_transpose;
    transposed3d: Conv3DTranspose = conv3d_transpose;
}

pub(crate) fn depthwise2d(layer: &DepthwiseConv2D, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let kernel = activation::required(weights, "kernel")?;
    let options = DepthwiseConv2dOptions {
        strides: layer.strides,
        padding: padding(layer.padding),
        dilation: layer.dilation_rate,
        activation: activation::kernel(layer.activation)?,
    };
    kernels::depthwise_conv2d(x, &kernel, weights.get("bias").as_ref(), &options)
}

/// A sequence is an image of height 1.
pub(crate) fn depthwise1d(layer: &DepthwiseConv1D, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let kernel = activation::required(weights, "kernel")?.unsqueeze(0)?;
    let options = DepthwiseConv2dOptions {
        strides: [1, layer.strides[0]],
        padding: padding(layer.padding),
        dilation: [1, layer.dilation_rate[0]],
        activation: activation::kernel(layer.activation)?,
    };
    let y = kernels::depthwise_conv2d(&x.unsqueeze(1)?, &kernel, weights.get("bias").as_ref(), &options)?;
    Ok(y.squeeze(1)?)
}

pub(crate) fn separable2d(layer: &SeparableConv2D, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let depthwise = activation::required(weights, "depthwise_kernel")?;
    let pointwise = activation::required(weights, "pointwise_kernel")?;
    let options = DepthwiseConv2dOptions {
        strides: layer.strides,
        padding: padding(layer.padding),
        dilation: layer.dilation_rate,
        activation: activation::kernel(layer.activation)?,
    };
    kernels::separable_conv2d(x, &depthwise, &pointwise, weights.get("bias").as_ref(), &options)
}

pub(crate) fn separable1d(layer: &SeparableConv1D, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let depthwise = activation::required(weights, "depthwise_kernel")?.unsqueeze(0)?;
    let pointwise = activation::required(weights, "pointwise_kernel")?.unsqueeze(0)?;
    let options = DepthwiseConv2dOptions {
        strides: [1, layer.strides[0]],
        padding: padding(layer.padding),
        dilation: [1, layer.dilation_rate[0]],
        activation: activation::kernel(layer.activation)?,
    };
    let bias = weights.get("bias");
    let y = kernels::separable_conv2d(&x.unsqueeze(1)?, &depthwise, &pointwise, bias.as_ref(), &options)?;
    Ok(y.squeeze(1)?)
}
