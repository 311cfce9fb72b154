//! Layers that only rearrange values.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::{DataFormat, Flatten, Node, Permute, RepeatVector, ZeroPadding2D};

/// One row a sample. Keras flattens in the order of `channels_last`, whatever the format.
pub(crate) fn flatten(layer: &Flatten, x: &Tensor) -> Result<Tensor> {
    let rank = x.rank();
    if layer.data_format == DataFormat::ChannelsFirst && rank > 2 {
        let mut axes: Vec<usize> = (0..rank).filter(|&axis| axis != 1).collect();
        axes.push(1);
        return Ok(x.permute(axes)?.contiguous()?.flatten_from(1)?);
    }
    kernels::tape::reshape(x, (x.dim(0)?, x.elem_count() / x.dim(0)?.max(1)))
}

/// The shape that the description worked out, the batch aside; one free size is what is left.
pub(crate) fn reshape(node: &Node, x: &Tensor) -> Result<Tensor> {
    let sizes = node.output_shape.0.iter().skip(1);
    let known: usize = sizes.clone().flatten().map(|&size| size as usize).product();
    let batch = x.dim(0)?;
    let rest = x.elem_count().checked_div(batch * known).unwrap_or(0);
    let mut shape = vec![batch];
    shape.extend(sizes.map(|size| size.map_or(rest, |size| size as usize)));
    kernels::tape::reshape(x, shape)
}

/// The axes of a sample in another order.
pub(crate) fn permute(layer: &Permute, x: &Tensor) -> Result<Tensor> {
    Ok(x.permute([&[0], layer.dims.as_slice()].concat())?.contiguous()?)
}

/// A vector as each step of a sequence.
pub(crate) fn repeat_vector(layer: &RepeatVector, x: &Tensor) -> Result<Tensor> {
    let (batch, features) = x.dims2()?;
    Ok(x.unsqueeze(1)?.broadcast_as((batch, layer.n, features))?.contiguous()?)
}

/// The first spatial axis.
fn spatial(format: DataFormat) -> usize {
    if format == DataFormat::ChannelsLast { 1 } else { 2 }
}

/// Zeros before and after each spatial axis.
pub(crate) fn padded(margins: &[[usize; 2]], format: DataFormat, x: &Tensor) -> Result<Tensor> {
    let mut y = x.clone();
    for (axis, [before, after]) in margins.iter().enumerate() {
        y = y.pad_with_zeros(spatial(format) + axis, *before, *after)?;
    }
    Ok(y)
}

/// The values without those before and after on each spatial axis.
pub(crate) fn cropped(margins: &[[usize; 2]], format: DataFormat, x: &Tensor) -> Result<Tensor> {
    let mut y = x.clone();
    for (axis, [before, after]) in margins.iter().enumerate() {
        let place = spatial(format) + axis;
        let rest = y.dim(place)?.saturating_sub(before + after);
        y = y.narrow(place, *before, rest)?;
    }
    Ok(y.contiguous()?)
}

pub(crate) fn zero_padding(layer: &ZeroPadding2D, x: &Tensor) -> Result<Tensor> {
    padded(&layer.padding.0, layer.data_format, x)
}
