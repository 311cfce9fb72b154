//! Masks: which steps of a sequence are to be left out, and how layers hand that on.
//!
//! A mask is a `u8` tensor, 1 for what counts. `Masking` and `Embedding(mask_zero=True)` make one; a layer that Keras
//! 3.15 marks `supports_masking` hands it on, every other one loses it.

use candle_core::{D, DType, Tensor};
use kernels::Result;
use nn_theory::{Embedding, Layer};

use super::Value;
use crate::graph::Step;

/// The mask of each output.
pub(crate) fn of_outputs(step: &Step, inputs: &[Value], outputs: usize) -> Result<Vec<Option<Tensor>>> {
    let mut masks = vec![None; outputs];
    let first = inputs.first().and_then(|input| input.mask.clone());
    let mask = match &step.node.layer {
        Layer::Embedding(layer) => embedding(layer, &inputs[0].tensor)?,
        Layer::Masking(_) => None,
        Layer::Concatenate(layer) => concatenated(layer.axis, inputs)?,
        Layer::Add(_)
        | Layer::Subtract(_)
        | Layer::Multiply(_)
        | Layer::Average(_)
        | Layer::Maximum(_)
        | Layer::Minimum(_) => any(inputs)?,
        Layer::SimpleRNN(_)
        | Layer::LSTM(_)
        | Layer::GRU(_)
        | Layer::ConvLSTM1D(_)
        | Layer::ConvLSTM2D(_)
        | Layer::ConvLSTM3D(_) => first.filter(|_| step.flag("return_sequences")),
        Layer::Bidirectional(layer) => {
            let config = layer.layer.0.config();
            let sequences = config.get("return_sequences").and_then(serde_json::Value::as_bool) == Some(true);
            if sequences && layer.merge_mode.is_none() && outputs > 1 {
                masks[1].clone_from(&first);
            }
            first.filter(|_| sequences)
        }
        layer if hands_on(layer) => first,
        _ => None,
    };
    if let Some(place) = masks.first_mut() {
        *place = mask;
    }
    Ok(masks)
}

/// Layers of one step at a time: what was masked stays masked.
fn hands_on(layer: &Layer) -> bool {
    matches!(
        layer,
        Layer::Activation(_)
            | Layer::ActivityRegularization(_)
            | Layer::AdditiveAttention(_)
            | Layer::AlphaDropout(_)
            | Layer::Attention(_)
            | Layer::BatchNormalization(_)
            | Layer::Dense(_)
            | Layer::Dropout(_)
            | Layer::ELU(_)
            | Layer::GaussianDropout(_)
            | Layer::GaussianNoise(_)
            | Layer::GroupNormalization(_)
            | Layer::GroupQueryAttention(_)
            | Layer::Identity(_)
            | Layer::LayerNormalization(_)
            | Layer::LeakyReLU(_)
            | Layer::MultiHeadAttention(_)
            | Layer::Normalization(_)
            | Layer::PReLU(_)
            | Layer::ReLU(_)
            | Layer::Rescaling(_)
            | Layer::Softmax(_)
            | Layer::SpatialDropout1D(_)
            | Layer::SpatialDropout2D(_)
            | Layer::SpatialDropout3D(_)
            | Layer::TimeDistributed(_)
            | Layer::UnitNormalization(_)
    )
}

fn embedding(layer: &Embedding, indices: &Tensor) -> Result<Option<Tensor>> {
    Ok(if layer.mask_zero { Some(indices.ne(0f64)?) } else { None })
}

/// A step counts where it counts in any input, if all have a mask.
fn any(inputs: &[Value]) -> Result<Option<Tensor>> {
    let masks: Option<Vec<&Tensor>> = inputs.iter().map(|input| input.mask.as_ref()).collect();
    let Some([first, rest @ ..]) = masks.as_deref() else {
        return Ok(None);
    };
    let mut mask = (*first).clone();
    for other in rest {
        mask = mask.broadcast_maximum(other)?;
    }
    Ok(Some(mask))
}

/// Masks side by side; an input without one counts everywhere.
fn concatenated(axis: i64, inputs: &[Value]) -> Result<Option<Tensor>> {
    if inputs.iter().all(|input| input.mask.is_none()) {
        return Ok(None);
    }
    let mut masks = Vec::with_capacity(inputs.len());
    for input in inputs {
        let shape = input.tensor.shape();
        masks.push(match &input.mask {
            None => Tensor::ones(shape, DType::U8, input.tensor.device())?,
            Some(mask) if mask.rank() < shape.rank() => mask.unsqueeze(D::Minus1)?.broadcast_as(shape)?.contiguous()?,
            Some(mask) => mask.clone(),
        });
    }
    let rank = inputs[0].tensor.rank() as i64;
    let axis = if axis < 0 { axis + rank } else { axis };
    let joined = Tensor::cat(&masks, usize::try_from(axis).unwrap_or(0))?;
    Ok(Some(joined.max(D::Minus1)?))
}

/// A mask `(batch, steps)` or `(batch,)` stretched over the values of `x` behind it.
pub(crate) fn over(mask: &Tensor, x: &Tensor) -> Result<Tensor> {
    let mut mask = mask.clone();
    while mask.rank() < x.rank() {
        mask = mask.unsqueeze(D::Minus1)?;
    }
    Ok(mask.broadcast_as(x.shape())?.contiguous()?)
}
