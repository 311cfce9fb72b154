//! Attention: every step looks at every other one.

use candle_core::{D, DType, Tensor};
use kernels::Result;
use kernels::random::Stream;
use nn_theory::{AdditiveAttention, Attention};

use super::{LayerWeights, Value, activation};
use crate::call::stream_of;
use crate::graph::Step;
use crate::network::Mode;

/// Query, value and key; the key is the value where there are two inputs.
fn query_value_key(inputs: &[Value]) -> Result<[&Value; 3]> {
    match inputs {
        [query, value] => Ok([query, value, value]),
        [query, value, key] => Ok([query, value, key]),
        _ => {
            let message = format!(
                "query, value and possibly key are needed, found {} inputs",
                inputs.len()
            );
            Err(candle_core::Error::Msg(message).into())
        }
    }
}

/// 1 where the second step is not later than the first: `(1, queries, values)`.
fn causal_mask(queries: usize, values: usize, like: &Tensor) -> Result<Tensor> {
    let mask = (0..queries).flat_map(|row| (0..values).map(move |column| u8::from(column <= row)));
    Ok(Tensor::from_vec(mask.collect(), (1, queries, values), like.device())?)
}

/// 1 where both masks are, for shapes that broadcast.
fn both(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>> {
    Ok(match (a, b) {
        (Some(a), Some(b)) => Some(a.broadcast_mul(&b)?),
        (a, b) => a.or(b),
    })
}

/// Scores with `low` subtracted where the mask is 0; a mask of rank 2 speaks of the values.
fn masked(scores: &Tensor, mask: Option<Tensor>, low: f64) -> Result<Tensor> {
    match mask {
        None => Ok(scores.clone()),
        Some(mask) => {
            let mask = mask.broadcast_as(scores.shape())?.contiguous()?;
            Ok(mask.where_cond(scores, &(scores - low)?)?)
        }
    }
}

/// The dropout of the scores.
fn dropped(weights: Tensor, rate: f64, stream: Option<Stream>) -> Result<Tensor> {
    match stream {
        Some(stream) if rate > 0.0 => {
            super::dropout::mask(weights.dims(), rate, stream, &weights).and_then(|mask| Ok((weights * mask)?))
        }
        _ => Ok(weights),
    }
}

fn draws(step: &Step, mode: Mode) -> Option<Stream> {
    let seed = step.config.get("seed").and_then(serde_json::Value::as_i64);
    match mode {
        Mode::Training(stream) => Some(stream_of(stream, &step.node.name, seed)),
        Mode::Inference => None,
    }
}

/// `softmax(scores) v`, with what the masks of value and query say.
fn applied(step: &Step, scores: &Tensor, inputs: [&Value; 3], rate: f64, mode: Mode) -> Result<Tensor> {
    let [query, value, _] = inputs;
    let causal = match step.call.causal {
        true => Some(causal_mask(scores.dim(1)?, scores.dim(2)?, scores)?),
        false => None,
    };
    let of_value = value.mask.as_ref().map(|mask| mask.unsqueeze(1)).transpose()?;
    let low = if scores.dtype() == DType::F16 { 65_504.0 } else { 1e9 };
    let weights = kernels::softmax(&masked(scores, both(of_value, causal)?, low)?)?;
    let output = dropped(weights, rate, draws(step, mode))?.matmul(&value.tensor.contiguous()?)?;
    match &query.mask {
        None => Ok(output),
        Some(mask) => {
            let mask = super::masks::over(mask, &output)?;
            Ok(mask.where_cond(&output, &output.zeros_like()?)?)
        }
    }
}

/// `tanh(q + k)` for every pair of steps: `(batch, queries, values, features)`.
fn pairs(query: &Tensor, key: &Tensor) -> Result<Tensor> {
    Ok(query.unsqueeze(2)?.broadcast_add(&key.unsqueeze(1)?)?)
}

/// Scores `q kᵀ`, or `Σ tanh(q + k)` with `score_mode="concat"` (Luong et al., 2015).
pub(crate) fn dot(
    layer: &Attention,
    step: &Step,
    weights: &LayerWeights<'_>,
    inputs: &[Value],
    mode: Mode,
) -> Result<Tensor> {
    let all @ [query, _, key] = query_value_key(inputs)?;
    let scale = weights.get("scale");
    let scores = match weights.get("concat_score_weight") {
        None => {
            let scores = query
                .tensor
                .contiguous()?
                .matmul(&key.tensor.transpose(1, 2)?.contiguous()?)?;
            match scale {
                Some(scale) => scores.broadcast_mul(&scale)?,
                None => scores,
            }
        }
        Some(weight) => {
            let sums = pairs(&query.tensor, &key.tensor)?;
            let sums = match scale {
                Some(scale) => sums.broadcast_mul(&scale)?,
                None => sums,
            };
            sums.tanh()?.sum(D::Minus1)?.broadcast_mul(&weight)?
        }
    };
    applied(step, &scores, all, layer.dropout, mode)
}

/// Scores `Σ s tanh(q + k)` (Bahdanau et al., 2015).
pub(crate) fn additive(
    layer: &AdditiveAttention,
    step: &Step,
    weights: &LayerWeights<'_>,
    inputs: &[Value],
    mode: Mode,
) -> Result<Tensor> {
    let all @ [query, _, key] = query_value_key(inputs)?;
    let sums = pairs(&query.tensor, &key.tensor)?.tanh()?;
    let sums = match weights.get("scale") {
        Some(scale) => sums.broadcast_mul(&scale)?,
        None => sums,
    };
    applied(step, &sums.sum(D::Minus1)?, all, layer.dropout, mode)
}

/// `MultiHeadAttention` and `GroupQueryAttention` on `(batch, steps, features)`: projections to heads, scaled products,
/// and the projection of all heads together (Vaswani et al., 2017; Ainslie et al., 2023).
pub(crate) fn heads(
    step: &Step,
    weights: &LayerWeights<'_>,
    inputs: &[Value],
    dropout: f64,
    mode: Mode,
) -> Result<Tensor> {
    let [query, value, key] = query_value_key(inputs)?;
    let project = |name: &str, x: &Tensor| -> Result<Tensor> {
        let kernel = activation::required(weights, &format!("{name}/kernel"))?;
        let (features, heads, length) = kernel.dims3()?;
        let (batch, steps, _) = x.dims3()?;
        let flat = x.reshape((batch * steps, features))?;
        let y = flat.matmul(&kernel.reshape((features, heads * length))?)?;
        let y = y.reshape((batch, steps, heads, length))?;
        let y = match weights.get(&format!("{name}/bias")) {
            Some(bias) => y.broadcast_add(&bias)?,
            None => y,
        };
        Ok(y.transpose(1, 2)?.contiguous()?)
    };
    let queries = project("query", &query.tensor)?;
    let count = queries.dim(1)?;
    // Heads of keys and values serve several heads of the query in a row.
    let repeated = |x: Tensor| -> Result<Tensor> {
        let (batch, shared, steps, length) = x.dims4()?;
        if shared == count {
            return Ok(x);
        }
        let x = x
            .unsqueeze(2)?
            .broadcast_as((batch, shared, count / shared, steps, length))?;
        Ok(x.contiguous()?.reshape((batch, count, steps, length))?)
    };
    let keys = repeated(project("key", &key.tensor)?)?;
    let values = repeated(project("value", &value.tensor)?)?;
    let scale = 1.0 / (queries.dim(3)? as f64).sqrt();
    let scores = (queries * scale)?.matmul(&keys.transpose(2, 3)?.contiguous()?)?;

    let mut mask = match step.call.causal {
        true => Some(causal_mask(scores.dim(2)?, scores.dim(3)?, &scores)?),
        false => None,
    };
    let of = |value: &Value, axis| value.mask.as_ref().map(|mask| mask.unsqueeze(axis)).transpose();
    mask = both(mask, of(query, D::Minus1)?)?;
    mask = both(mask, value.mask.as_ref().map(|mask| mask.unsqueeze(1)).transpose()?)?;
    if inputs.len() == 3 {
        mask = both(mask, key.mask.as_ref().map(|mask| mask.unsqueeze(1)).transpose()?)?;
    }
    if let Some(window) = step.config.get("sliding_window").and_then(serde_json::Value::as_u64) {
        let (rows, columns) = (scores.dim(2)?, scores.dim(3)?);
        let near =
            (0..rows).flat_map(|row| (0..columns).map(move |column| u8::from((row.abs_diff(column) as u64) < window)));
        let near = Tensor::from_vec(near.collect(), (1, rows, columns), scores.device())?;
        mask = both(mask, Some(near))?;
    }
    let low = if scores.dtype() == DType::F16 { 3e4 } else { 1e9 };
    let scores = match mask {
        None => scores,
        Some(mask) => {
            let mask = mask.unsqueeze(1)?.broadcast_as(scores.shape())?.contiguous()?;
            mask.where_cond(&scores, &scores.zeros_like()?.affine(0.0, -low)?)?
        }
    };
    let attention = dropped(kernels::softmax(&scores)?, dropout, draws(step, mode))?;
    let mixed = attention.matmul(&values)?;
    // With `use_gate` the query also says how much of each head's output passes.
    let mixed = match weights.get("gate/kernel") {
        Some(_) => (mixed * kernels::activation(&project("gate", &query.tensor)?, kernels::Activation::Sigmoid)?)?,
        None => mixed,
    };
    let mixed = mixed.transpose(1, 2)?.contiguous()?;

    let (batch, steps, heads, length) = mixed.dims4()?;
    let kernel = activation::required(weights, "attention_output/kernel")?;
    let features = &kernel.dims()[2..];
    let flat = mixed.reshape((batch * steps, heads * length))?;
    let y = flat.matmul(&kernel.reshape((heads * length, features.iter().product::<usize>()))?)?;
    let y = y.reshape([&[batch, steps], features].concat())?;
    Ok(match weights.get("attention_output/bias") {
        Some(bias) => y.broadcast_add(&bias)?,
        None => y,
    })
}
