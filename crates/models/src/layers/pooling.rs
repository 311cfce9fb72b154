//! Pooling on `(batch, height, width, channels)`, with the gradients of `kernels`.

use candle_core::Tensor;
use kernels::{Pool2dOptions, Result};
use nn_theory::{AveragePooling2D, DataFormat, GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D};

use super::convolution::padding;

pub(crate) fn max(layer: &MaxPooling2D, x: &Tensor) -> Result<Tensor> {
    let options = Pool2dOptions {
        pool_size: layer.pool_size,
        strides: layer.strides,
        padding: padding(layer.padding),
    };
    kernels::max_pool2d(x, &options)
}

pub(crate) fn average(layer: &AveragePooling2D, x: &Tensor) -> Result<Tensor> {
    let options = Pool2dOptions {
        pool_size: layer.pool_size,
        strides: layer.strides,
        padding: padding(layer.padding),
    };
    kernels::avg_pool2d(x, &options)
}

pub(crate) fn global_average(layer: &GlobalAveragePooling2D, x: &Tensor) -> Result<Tensor> {
    let y = kernels::global_avg_pool2d(&to_channels_last(layer.data_format, x)?)?;
    keep(y, layer.keepdims, layer.data_format)
}

pub(crate) fn global_max(layer: &GlobalMaxPooling2D, x: &Tensor) -> Result<Tensor> {
    let y = kernels::global_max_pool2d(&to_channels_last(layer.data_format, x)?)?;
    keep(y, layer.keepdims, layer.data_format)
}

fn to_channels_last(format: DataFormat, x: &Tensor) -> Result<Tensor> {
    match format {
        DataFormat::ChannelsLast => Ok(x.clone()),
        DataFormat::ChannelsFirst => Ok(x.permute((0, 2, 3, 1))?.contiguous()?),
    }
}

fn keep(y: Tensor, keepdims: bool, format: DataFormat) -> Result<Tensor> {
    match (keepdims, format) {
        (false, _) => Ok(y),
        (true, DataFormat::ChannelsLast) => Ok(y.unsqueeze(1)?.unsqueeze(1)?),
        (true, DataFormat::ChannelsFirst) => Ok(y.unsqueeze(2)?.unsqueeze(2)?),
    }
}
