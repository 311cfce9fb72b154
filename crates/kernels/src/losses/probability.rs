//! Losses between distributions and between rates.

use candle_core::{D, Tensor};

use super::EPSILON;
use super::kinks::clip;
use super::operands::pair;
use crate::error::Result;
use crate::tape::composed_of;

/// $\sum_j t_j \ln(t_j / p_j)$ over the last axis, with both clipped to $[10^{-7}, 1]$: Keras' `KLDivergence` without its reduction.
///
/// # Errors
/// If the shapes differ or the batch is empty.
pub fn kl_divergence(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        let (outputs, targets) = pair("kl_divergence", outputs, targets)?;
        let (p, t) = (clip(&outputs, EPSILON, 1.0)?, clip(&targets, EPSILON, 1.0)?);
        Ok((&t * (&t / p)?.log()?)?.sum(D::Minus1)?)
    })
}

/// The mean of $p - t \ln(p + 10^{-7})$ over the last axis: Keras' `Poisson` without its reduction.
///
/// # Errors
/// If the shapes differ or the batch is empty.
pub fn poisson(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        let (outputs, targets) = pair("poisson", outputs, targets)?;
        let logarithm = (&outputs + EPSILON)?.log()?;
        Ok((outputs - (targets * logarithm)?)?.mean(D::Minus1)?)
    })
}
