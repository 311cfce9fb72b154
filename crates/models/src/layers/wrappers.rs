//! Layers around another layer: `TimeDistributed` and `Bidirectional`.

use candle_core::{D, Tensor};
use nn_theory::Bidirectional;

use super::Value;
use crate::Result;
use crate::graph::{Graph, Pass, Step};
use crate::network::Mode;

/// The layer inside applied to every step: `(batch, steps, ...)` as one batch of `batch · steps`.
///
/// A layer that keeps statistics of its batches sees one step after the other, as in Keras.
pub(crate) fn time_distributed(step: &Step, pass: &mut Pass<'_>, input: &Value, mode: Mode) -> Result<Vec<Tensor>> {
    let graph = inner(step, 0)?;
    let (batch, steps) = (input.tensor.dim(0)?, input.tensor.dim(1)?);
    if graph.keeps_statistics() && matches!(mode, Mode::Training(_)) {
        let mut outputs = Vec::with_capacity(steps);
        for (time, x) in super::recurrent::steps_of(&input.tensor)
            .map_err(|source| step.compute(source))?
            .into_iter()
            .enumerate()
        {
            let mode = match mode {
                Mode::Training(stream) => Mode::Training(stream.op("time").step(time as u64)),
                Mode::Inference => mode,
            };
            outputs.extend(graph.run(pass, vec![Value::new(x)], mode)?.into_iter().take(1));
        }
        let outputs: Vec<Tensor> = outputs.into_iter().map(|value| value.tensor).collect();
        return Ok(vec![Tensor::stack(&outputs, 1)?]);
    }
    let flat = |x: &Tensor| x.reshape([&[batch * steps], &x.dims()[2..]].concat());
    let inside = Value {
        tensor: flat(&input.tensor)?,
        // A mask of steps only says nothing about what lies in a step.
        mask: input
            .mask
            .as_ref()
            .filter(|mask| mask.rank() > 2)
            .map(flat)
            .transpose()?,
    };
    let outputs = graph.run(pass, vec![inside], mode)?;
    let unfold = |value: Value| {
        Ok(value
            .tensor
            .reshape([&[batch, steps], &value.tensor.dims()[1..]].concat())?)
    };
    outputs.into_iter().map(unfold).collect()
}

/// Both directions of a recurrent layer, merged.
pub(crate) fn bidirectional(
    layer: &Bidirectional,
    step: &Step,
    pass: &mut Pass<'_>,
    inputs: &[Value],
    mode: Mode,
) -> Result<Vec<Tensor>> {
    let half = (inputs.len() - 1) / 2;
    let with = |states: &[Value]| [&inputs[..1], states].concat();
    let mut forward = inner(step, 0)?.run(pass, with(&inputs[1..=half]), mode)?;
    let mut backward = inner(step, 1)?.run(pass, with(&inputs[1 + half..]), mode)?;
    let states: Vec<Tensor> = forward
        .split_off(1)
        .into_iter()
        .chain(backward.split_off(1))
        .map(|state| state.tensor)
        .collect();
    let (Some(first), Some(second)) = (forward.pop(), backward.pop()) else {
        return Err(step.refused("layer", "a layer without output".to_string(), "a recurrent layer"));
    };
    let sequences = layer
        .layer
        .0
        .config()
        .get("return_sequences")
        .and_then(serde_json::Value::as_bool)
        == Some(true);
    let (first, mut second) = (first.tensor, second.tensor);
    if sequences {
        // The last step of the sequence was read first.
        let steps = second.dim(1)? as u32;
        let order = Tensor::from_iter((0..steps).rev(), second.device())?;
        second = second.contiguous()?.index_select(&order, 1)?;
    }
    let mut outputs = match layer.merge_mode.as_deref() {
        None => vec![first, second],
        Some("sum") => vec![(first + second)?],
        Some("mul") => vec![(first * second)?],
        Some("ave") => vec![((first + second)? / 2.0)?],
        Some(_) => vec![Tensor::cat(&[first, second], D::Minus1)?],
    };
    outputs.extend(states);
    Ok(outputs)
}

fn inner(step: &Step, index: usize) -> Result<&Graph> {
    let missing = || step.refused("layer", "nothing".to_string(), "a layer to wrap");
    step.inner.get(index).ok_or_else(missing)
}
