//! `Normalization`: by a mean and a variance that were taken from the data beforehand, as weights or in the configuration.

use candle_core::{DType, Device, Tensor};
use kernels::Result;
use nn_theory::{Node, Normalization};
use serde_json::Value;

use super::{LayerWeights, activation, normalization};

/// Standard deviations below this count as this much (`keras.config.epsilon()`).
const SMALLEST_DEVIATION: f64 = 1e-7;

pub(crate) fn forward(layer: &Normalization, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let shape = kept_shape(layer, x.dims())?;
    let (mean, variance) = if layer.mean.is_null() {
        let mean = activation::required(weights, "mean")?.reshape(shape.as_slice())?;
        (
            mean,
            activation::required(weights, "variance")?.reshape(shape.as_slice())?,
        )
    } else {
        (stated(&layer.mean, &shape, x)?, stated(&layer.variance, &shape, x)?)
    };
    let deviation = variance.sqrt()?;
    let smallest = (deviation.ones_like()? * SMALLEST_DEVIATION)?;
    let deviation = deviation.gt(&smallest)?.where_cond(&deviation, &smallest)?;
    Ok(if layer.invert {
        x.broadcast_mul(&deviation)?.broadcast_add(&mean)?
    } else {
        x.broadcast_sub(&mean)?.broadcast_div(&deviation)?
    })
}

/// Refuses statistics in the configuration that do not fit, before anything is computed.
pub(crate) fn check(layer: &Normalization, node: &Node) -> std::result::Result<(), (&'static str, String)> {
    if layer.mean.is_null() != layer.variance.is_null() {
        return Err(("mean", format!("{} with variance {}", layer.mean, layer.variance)));
    }
    if layer.mean.is_null() {
        return Ok(());
    }
    let dims: Vec<usize> = node.input_shapes[0]
        .0
        .iter()
        .map(|size| size.unwrap_or(1) as usize)
        .collect();
    let Ok(like) = Tensor::zeros((), DType::F32, &Device::Cpu) else {
        return Ok(());
    };
    for (option, value) in [("mean", &layer.mean), ("variance", &layer.variance)] {
        let fits = kept_shape(layer, &dims).and_then(|shape| stated(value, &shape, &like));
        if fits.is_err() {
            return Err((option, value.to_string()));
        }
    }
    Ok(())
}

/// The input's shape with 1 for every axis that has no statistics of its own.
fn kept_shape(layer: &Normalization, dims: &[usize]) -> Result<Vec<usize>> {
    let mut shape = vec![1; dims.len()];
    for &axis in layer.axis.as_deref().unwrap_or(&[]) {
        let axis = normalization::axis_of(axis, dims.len())?;
        shape[axis] = dims[axis];
    }
    Ok(shape)
}

/// A number or nested lists of numbers, as many as the shape has, in the number format of `like`.
fn stated(value: &Value, shape: &[usize], like: &Tensor) -> Result<Tensor> {
    let mut numbers = Vec::new();
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Array(values) => waiting.extend(values.iter().rev()),
            value => {
                let number = value.as_f64();
                numbers.push(number.ok_or_else(|| candle_core::Error::Msg(format!("{value} is no number")))?);
            }
        }
    }
    let one = vec![1; shape.len()];
    let shape = if numbers.len() == 1 { &one } else { shape };
    Ok(Tensor::from_vec(numbers, shape, like.device())?.to_dtype(like.dtype())?)
}
