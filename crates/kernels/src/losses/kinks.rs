//! Functions with kinks, with the derivative that TensorFlow has there.
//!
//! candle halves the gradient of its `maximum` and `clamp` at ties, and its `abs` has the derivative 1 at 0.

use candle_core::{D, Result, Tensor};

use crate::activation::{Activation, activation};

/// $\min(\max(x, \mathrm{low}), \mathrm{high})$; the derivative is 1 on the bounds and 0 outside of them.
pub(super) fn clip(x: &Tensor, low: f64, high: f64) -> Result<Tensor> {
    let bound = |value: f64| x.detach().zeros_like()? + value;
    let x = x.lt(low)?.where_cond(&bound(low)?, x)?;
    x.gt(high)?.where_cond(&bound(high)?, &x)
}

/// $\max(x, \mathrm{low})$; the derivative at `low` is 1.
pub(super) fn at_least(x: &Tensor, low: f64) -> Result<Tensor> {
    let bound = (x.detach().zeros_like()? + low)?;
    x.lt(low)?.where_cond(&bound, x)
}

/// $|x|$; the derivative at 0 is 0.
pub(super) fn absolute(x: &Tensor) -> Result<Tensor> {
    x * x.detach().sign()?
}

/// $\ln(1 + e^x)$ without overflow; the derivative is the sigmoid everywhere.
pub(super) fn softplus(x: &Tensor) -> crate::Result<Tensor> {
    activation(x, Activation::Softplus)
}

/// The largest number along the last axis, which goes; numbers that share the first place share the gradient.
pub(super) fn largest(x: &Tensor) -> Result<Tensor> {
    let values = x.detach();
    let places = values
        .broadcast_eq(&values.max_keepdim(D::Minus1)?)?
        .to_dtype(x.dtype())?;
    let share = places.broadcast_div(&places.sum_keepdim(D::Minus1)?)?;
    (x * share)?.sum(D::Minus1)
}

/// $x^p$; 1 for $p = 0$, also where the derivative of $x^p$ is not defined.
pub(super) fn power(x: &Tensor, exponent: f64) -> Result<Tensor> {
    if exponent == 0.0 {
        return x.detach().ones_like();
    }
    x.powf(exponent)
}
