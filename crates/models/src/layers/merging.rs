//! Layers that make one tensor of several.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::Concatenate;

pub(crate) fn add(inputs: &[Tensor]) -> Result<Tensor> {
    let mut sum = inputs[0].clone();
    for input in &inputs[1..] {
        sum = sum.broadcast_add(input)?;
    }
    Ok(sum)
}

pub(crate) fn concatenate(layer: &Concatenate, inputs: &[Tensor]) -> Result<Tensor> {
    let rank = inputs[0].rank() as i64;
    let axis = if layer.axis < 0 { layer.axis + rank } else { layer.axis };
    let axis =
        usize::try_from(axis).map_err(|_| candle_core::Error::Msg(format!("there is no axis {}", layer.axis)))?;
    Ok(Tensor::cat(inputs, axis)?)
}
