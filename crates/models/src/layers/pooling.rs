//! Pooling with the gradients of `kernels`; every function here sees `(batch, sides.., channels)`.

use candle_core::Tensor;
use kernels::{Pool1dOptions, Pool2dOptions, Pool3dOptions, Result};
use nn_theory::{
    AveragePooling1D, AveragePooling2D, AveragePooling3D, DataFormat, MaxPooling1D, MaxPooling2D, MaxPooling3D,
};

use super::convolution::padding;

macro_rules! windows {
    ($($function:ident: $layer:ident, $options:ident = $kernel:ident;)*) => {$(
        pub(crate) fn $function(layer: &$layer, x: &Tensor) -> Result<Tensor> {
            let options = $options {
                pool_size: layer.pool_size,
                strides: layer.strides,
                padding: padding(layer.padding),
            };
            kernels::$kernel(x, &options)
        }
    )*};
}

windows! {
    max1d: MaxPooling1D, Pool1dOptions = max_pool1d;
    max2d: MaxPooling2D, Pool2dOptions = max_pool2d;
    max3d: MaxPooling3D, Pool3dOptions = max_pool3d;
    average1d: AveragePooling1D, Pool1dOptions = avg_pool1d;
    average2d: AveragePooling2D, Pool2dOptions = avg_pool2d;
    average3d: AveragePooling3D, Pool3dOptions = avg_pool3d;
}

/// What a pooling keeps of the values that it sees.
#[derive(Clone, Copy)]
pub(crate) enum Kept {
    Mean,
    Largest,
}

/// One number a channel, for any number of sides.
pub(crate) fn global(kept: Kept, keepdims: bool, format: DataFormat, x: &Tensor) -> Result<Tensor> {
    let x = super::to_channels_last(format, x)?;
    let (sides, dims) = (x.rank().saturating_sub(2), x.dims());
    let (batch, channels) = (dims[0], dims[dims.len() - 1]);
    // Where the values lie does not matter.
    let image = kernels::tape::reshape(&x, (batch, 1, dims[1..=sides].iter().product::<usize>(), channels))?;
    let y = match kept {
        Kept::Mean => kernels::global_avg_pool2d(&image)?,
        Kept::Largest => kernels::global_max_pool2d(&image)?,
    };
    if !keepdims {
        return Ok(y);
    }
    let mut shape = vec![1; sides + 2];
    shape[0] = batch;
    match format {
        DataFormat::ChannelsLast => shape[sides + 1] = channels,
        DataFormat::ChannelsFirst => shape[1] = channels,
    }
    Ok(y.reshape(shape)?)
}

/// As many numbers a channel and side as `output_size` says; sequences and images are volumes with sides of length 1.
pub(crate) fn adaptive(kept: Kept, output_size: &[usize], x: &Tensor) -> Result<Tensor> {
    let missing = 3 - output_size.len();
    let (mut volume, mut sizes) = (x.clone(), [1; 3]);
    for _ in 0..missing {
        volume = volume.unsqueeze(1)?;
    }
    sizes[missing..].copy_from_slice(output_size);
    let mut y = match kept {
        Kept::Mean => kernels::adaptive_avg_pool(&volume, sizes)?,
        Kept::Largest => kernels::adaptive_max_pool(&volume, sizes)?,
    };
    for _ in 0..missing {
        y = y.squeeze(1)?;
    }
    Ok(y)
}
