//! Losses that ask for a margin.

use candle_core::{D, DType, Tensor};

use super::kinks::{at_least, largest};
use super::operands::pair;
use crate::error::Result;
use crate::tape::composed_of;

/// The mean of $\max(1 - t p, 0)$ over the last axis: Keras' `Hinge` without its reduction.
///
/// Targets are -1 or 1; where all of a batch are 0 or 1, 0 means -1. The derivative at $t p = 1$ is $-t$.
///
/// # Errors
/// If the shapes differ or the batch is empty.
pub fn hinge(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        Ok(missing_margin("hinge", outputs, targets)?.mean(D::Minus1)?)
    })
}

/// The mean of $\max(1 - t p, 0)^2$ over the last axis: Keras' `SquaredHinge` without its reduction. Targets as for [`hinge`].
///
/// # Errors
/// If the shapes differ or the batch is empty.
pub fn squared_hinge(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        Ok(missing_margin("squared_hinge", outputs, targets)?
            .sqr()?
            .mean(D::Minus1)?)
    })
}

/// $\max(\max_j (1 - t_j) p_j - \sum_j t_j p_j + 1, 0)$ over the last axis: Keras' `CategoricalHinge` without its reduction. Targets are 0 or 1.
///
/// # Errors
/// If the shapes differ or the batch is empty.
pub fn categorical_hinge(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        let (outputs, targets) = pair("categorical_hinge", outputs, targets)?;
        let right = (&targets * &outputs)?.sum(D::Minus1)?;
        let wrong = largest(&((1.0 - targets)? * outputs)?)?;
        Ok(at_least(&((wrong - right)? + 1.0)?, 0.0)?)
    })
}

fn missing_margin(op: &'static str, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let (outputs, targets) = pair(op, outputs, targets)?;
    let signs = if zeros_and_ones(&targets)? {
        ((targets * 2.0)? - 1.0)?
    } else {
        targets
    };
    Ok(at_least(&(1.0 - (signs * outputs)?)?, 0.0)?)
}

fn zeros_and_ones(targets: &Tensor) -> Result<bool> {
    let others = (targets.ne(0f64)? * targets.ne(1f64)?)?.to_dtype(DType::F32)?;
    Ok(others.sum_all()?.to_scalar::<f32>()? == 0.0)
}
