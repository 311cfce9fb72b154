//! How the losses of the samples become one number.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What is done with the losses of the samples; the names are Keras'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their (weighted) sum divided by their number.
    #[default]
    SumOverBatchSize,
    /// Their (weighted) sum.
    Sum,
    /// The same as [`Reduction::SumOverBatchSize`].
    Mean,
    /// Their weighted sum divided by the sum of the weights.
    MeanWithSampleWeight,
    /// Nothing: the (weighted) losses themselves.
    None,
}

impl Reduction {
    /// Whether samples without weights are averaged.
    pub(crate) fn is_mean(self) -> bool {
        !matches!(self, Reduction::Sum | Reduction::None)
    }

    /// Weighs and reduces losses. `mask` is 1 for the losses that count and 0 for the others, in their shape.
    ///
    /// # Errors
    /// [`Error::SampleWeight`] for weights of another shape.
    pub(crate) fn reduce(self, losses: &Tensor, weights: Option<&Tensor>, mask: Option<&Tensor>) -> Result<Tensor> {
        let mut losses = losses.clone();
        let mut divisor = Divisor::Count;
        if let Some(mask) = mask {
            // Keras weighs what counts so that the mean over everything is the mean over it.
            let weight = match self {
                Reduction::SumOverBatchSize | Reduction::Mean => {
                    let valid = mask.sum_all()?;
                    let share = number(&valid)? / mask.elem_count() as f64;
                    (mask / if share == 0.0 { 1.0 } else { share })?
                }
                _ => mask.clone(),
            };
            losses = (losses * &weight)?;
            divisor = Divisor::Weights(weight);
        }
        if let Some(weights) = weights {
            let weights = weights.to_dtype(losses.dtype())?.detach();
            let (aligned, weights) = kernels::losses::same_rank(&losses, &weights)?;
            let weights = spread(&aligned, &weights)?;
            losses = aligned.broadcast_mul(&weights)?;
            divisor = Divisor::Weights(match divisor {
                Divisor::Weights(mask) => mask.reshape(aligned.shape())?.broadcast_mul(&weights)?,
                Divisor::Count => weights,
            });
        }
        if self == Reduction::None || losses.rank() == 0 {
            return Ok(losses);
        }
        let sum = losses.sum_all()?;
        let divisor = match (self, divisor) {
            (Reduction::Sum, _) => return Ok(sum),
            (Reduction::MeanWithSampleWeight, Divisor::Weights(weights)) => number(&weights.sum_all()?)?,
            _ => losses.elem_count() as f64,
        };
        if divisor == 0.0 {
            // Keras' `divide_no_nan`: a mean of nothing is 0. Not `sum * 0.0`, through which candle passes no gradient at all.
            return Ok((&sum * sum.zeros_like()?)?);
        }
        Ok((sum / divisor)?)
    }
}

/// What [`Reduction::MeanWithSampleWeight`] divides by.
enum Divisor {
    Count,
    Weights(Tensor),
}

fn number(scalar: &Tensor) -> Result<f64> {
    Ok(scalar.to_dtype(candle_core::DType::F64)?.to_scalar::<f64>()?)
}

/// Weights with axes of size 1 appended, so that one weight a sample goes with all numbers of the sample.
///
/// # Errors
/// [`Error::SampleWeight`] where an axis has another size than that of the values.
pub(crate) fn spread(values: &Tensor, weights: &Tensor) -> Result<Tensor> {
    if values.rank() == 0 {
        return Ok(weights.clone());
    }
    let mut shape = weights.dims().to_vec();
    shape.resize(shape.len().max(values.rank()), 1);
    let fits = shape.len() == values.rank()
        && shape
            .iter()
            .zip(values.dims())
            .all(|(weight, value)| weight == value || *weight == 1);
    if !fits {
        return Err(Error::SampleWeight {
            expected: values.dims().to_vec(),
            found: weights.dims().to_vec(),
        });
    }
    Ok(weights.reshape(shape)?)
}
