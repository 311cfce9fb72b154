//! Layers that only rearrange values.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::{DataFormat, Flatten, Node, ZeroPadding2D};

/// One row a sample. Keras flattens in the order of `channels_last`, whatever the format.
pub(crate) fn flatten(layer: &Flatten, x: &Tensor) -> Result<Tensor> {
    let rank = x.rank();
    if layer.data_format == DataFormat::ChannelsFirst && rank > 2 {
        let mut axes: Vec<usize> = (0..rank).filter(|&axis| axis != 1).collect();
        axes.push(1);
        return Ok(x.permute(axes)?.contiguous()?.flatten_from(1)?);
    }
    Ok(if rank == 1 { x.unsqueeze(1)? } else { x.flatten_from(1)? })
}

/// The shape that the description worked out, the batch aside.
pub(crate) fn reshape(node: &Node, x: &Tensor) -> Result<Tensor> {
    let mut shape = vec![x.dim(0)?];
    shape.extend(
        node.output_shape
            .0
            .iter()
            .skip(1)
            .map(|size| size.unwrap_or(0) as usize),
    );
    Ok(x.reshape(shape)?)
}

pub(crate) fn zero_padding(layer: &ZeroPadding2D, x: &Tensor) -> Result<Tensor> {
    let first = if layer.data_format == DataFormat::ChannelsLast {
        1
    } else {
        2
    };
    let [[top, bottom], [left, right]] = layer.padding.0;
    Ok(x.pad_with_zeros(first, top, bottom)?
        .pad_with_zeros(first + 1, left, right)?)
}
