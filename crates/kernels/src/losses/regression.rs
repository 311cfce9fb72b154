//! Losses between numbers and the numbers that they should be; each is a mean or sum over the last axis.

use candle_core::{D, Tensor};

use super::EPSILON;
use super::kinks::{absolute, at_least, softplus};
use super::operands::{axis, pair, within};
use crate::error::Result;
use crate::tape::composed_of;

/// The mean of $(p - t)^2$ over the last axis: Keras' `MeanSquaredError` without its reduction.
///
/// # Errors
/// If the shapes differ or the batch is empty.
pub fn mean_squared_error(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        let (outputs, targets) = pair("mean_squared_error", outputs, targets)?;
        Ok((outputs - targets)?.sqr()?.mean(D::Minus1)?)
    })
}

/// The mean of $|p - t|$ over the last axis: Keras' `MeanAbsoluteError` without its reduction. The derivative at $p = t$ is 0.
///
/// # Errors
/// If the shapes differ or the batch is empty.
pub fn mean_absolute_error(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        let (outputs, targets) = pair("mean_absolute_error", outputs, targets)?;
        Ok(absolute(&(outputs - targets)?)?.mean(D::Minus1)?)
    })
}

/// 100 times the mean of $|p - t| / \max(|t|, 10^{-7})$ over the last axis: Keras' `MeanAbsolutePercentageError` without its reduction.
///
/// # Errors
/// If the shapes differ or the batch is empty.
pub fn mean_absolute_percentage_error(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        let (outputs, targets) = pair("mean_absolute_percentage_error", outputs, targets)?;
        let scale = at_least(&absolute(&targets)?, EPSILON)?;
        Ok((absolute(&((outputs - targets)? / scale)?)?.mean(D::Minus1)? * 100.0)?)
    })
}

/// The mean of $(\ln(1 + p) - \ln(1 + t))^2$ over the last axis, with $p$ and $t$ of at least $10^{-7}$: Keras' `MeanSquaredLogarithmicError`
/// without its reduction.
///
/// # Errors
/// If the shapes differ or the batch is empty.
pub fn mean_squared_logarithmic_error(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        let (outputs, targets) = pair("mean_squared_logarithmic_error", outputs, targets)?;
        let logarithm = |x: &Tensor| (at_least(x, EPSILON)? + 1.0)?.log();
        Ok((logarithm(&outputs)? - logarithm(&targets)?)?.sqr()?.mean(D::Minus1)?)
    })
}

/// The mean of $\tfrac12 e^2$ where $|e| \le \delta$, $\delta |e| - \tfrac12 \delta^2$ elsewhere, $e = p - t$, over the last axis: Keras'
/// `Huber` without its reduction.
///
/// # Errors
/// If the shapes differ, the batch is empty, or `delta` is negative.
pub fn huber(outputs: &Tensor, targets: &Tensor, delta: f64) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        const OP: &str = "huber";
        within(OP, "delta", delta, 0.0, f64::MAX)?;
        let (outputs, targets) = pair(OP, outputs, targets)?;
        let error = (outputs - targets)?;
        let size = absolute(&error)?;
        let near = size.detach().le(delta)?;
        let losses = near.where_cond(&(error.sqr()? * 0.5)?, &((size * delta)? - 0.5 * delta * delta)?)?;
        Ok(losses.mean(D::Minus1)?)
    })
}

/// The mean of $\ln \cosh(p - t)$ over the last axis: Keras' `LogCosh` without its reduction.
///
/// # Errors
/// If the shapes differ or the batch is empty.
pub fn log_cosh(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        let (outputs, targets) = pair("log_cosh", outputs, targets)?;
        let error = (outputs - targets)?;
        let losses = ((&error + softplus(&(&error * -2.0)?)?)? - std::f64::consts::LN_2)?;
        Ok(losses.mean(D::Minus1)?)
    })
}

/// $-\frac{p \cdot t}{\lVert p \rVert \lVert t \rVert}$ over an axis: Keras' `CosineSimilarity` without its reduction; from -1 (same direction)
/// to 1.
///
/// A vector shorter than $10^{-7}$ is divided by $10^{-7}$ instead of its length; Keras' gradient for zeros is NaN, here it is finite.
///
/// # Errors
/// If the shapes differ, the batch is empty, or there is no such axis.
pub fn cosine_similarity(outputs: &Tensor, targets: &Tensor, along: i64) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        const OP: &str = "cosine_similarity";
        let (outputs, targets) = pair(OP, outputs, targets)?;
        let along = axis(OP, along, &outputs)?;
        let unit = |x: &Tensor| -> Result<Tensor> {
            let square = x.sqr()?.sum_keepdim(along)?;
            let long = square.detach().ge(EPSILON * EPSILON)?;
            // The square root is taken of 1 where it does not count, because its derivative at 0 is infinite.
            let length = long.where_cond(&square, &square.detach().ones_like()?)?.sqrt()?;
            let length = long.where_cond(&length, &(square.detach().zeros_like()? + EPSILON)?)?;
            Ok(x.broadcast_div(&length)?)
        };
        Ok((unit(&outputs)? * unit(&targets)?)?.sum(along)?.neg()?)
    })
}
