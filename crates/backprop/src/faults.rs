//! Wrong derivatives, and the check that catches them.
//!
//! A wrong gradient seldom stops a training: it makes it slower, or worse, and nobody looks for the reason. candle 0.11's
//! max-pooling returns a quarter of the true gradient (`docs/upstream.md`); with plain gradient descent everything below the
//! pooling learns four times too slowly, and Adam hides it by its scaling. Trying is what finds it.

use candle_core::{Device, Tensor, Var};

use crate::error::Result;
use crate::gradient_check::{ENTRIES, WeightCheck, check_gradient, gradient_check};

/// The check of candle's own max-pooling over pools of 2 x 2 of an image of 4 x 4 numbers without ties.
///
/// ```
/// use backprop::{faults, gradient_check::Verdict};
/// let found = faults::max_pooling()?;
/// assert_eq!(found.verdict, Verdict::Wrong);
/// assert!((found.difference / found.gradient - 4.0).abs() < 1e-6);
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// [`Error::Candle`](crate::Error::Candle).
pub fn max_pooling() -> Result<WeightCheck> {
    // Neighbours far apart, so that moving a number a little changes no maximum.
    let image: Vec<f64> = (0..16).map(|n| f64::from(n * 7 % 16) / 16.0).collect();
    let image = Var::from_tensor(&Tensor::from_vec(image, (1, 1, 4, 4), &Device::Cpu)?)?;
    let loss = || image.as_tensor().max_pool2d(2)?.sqr()?.sum_all();
    let mut check = gradient_check(loss, &[("image", &image)])?;
    Ok(check.weights.remove(0))
}

/// The check of a derivation with a slip of the kind that happens on paper: the derivative of `tanh u` taken for `1 − v`
/// instead of `1 − v²`, in the loss `Σ tanh²(w)`.
///
/// ```
/// assert_eq!(backprop::faults::slip_of_the_pen()?.verdict, backprop::gradient_check::Verdict::Wrong);
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// [`Error::Candle`](crate::Error::Candle).
pub fn slip_of_the_pen() -> Result<WeightCheck> {
    let w = Var::from_tensor(&Tensor::new(&[0.3f64, -0.8, 1.2], &Device::Cpu)?)?;
    let v = w.as_tensor().detach().tanh()?;
    let wrong = ((&v * 2.0)? * (1.0 - &v)?)?;
    check_gradient(
        || w.as_tensor().tanh()?.sqr()?.sum_all(),
        "w",
        &w,
        Some(&wrong),
        ENTRIES,
    )
}
