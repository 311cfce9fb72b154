//! Jacobians: how every output of a function changes with every input.
//!
//! The way back multiplies by them, one after the other. Two shapes say almost everything about them: that of an elementwise
//! function has a diagonal and nothing else, for each output has its own input; that of softmax is full, for every probability
//! depends on every logit, and its rows add up to 0, for probabilities that rise take from others.

use crate::error::Result;
use crate::matrix::Matrix;

/// `∂p_k/∂z_i = p_k (δ_ki − p_i)`, from the probabilities.
///
/// ```
/// let j = backprop::jacobian::softmax(&[0.25, 0.75])?;
/// assert_eq!(j.data(), [0.1875, -0.1875, -0.1875, 0.1875]);
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// None for any list of numbers; the type is that of [`Matrix::new`].
pub fn softmax(p: &[f64]) -> Result<Matrix> {
    let entry = |k: usize, i: usize| p[k] * (f64::from(u8::from(k == i)) - p[i]);
    square(p.len(), entry)
}

/// `∂v_k/∂u_i = δ_ki (1 − v_i²)`, from the values of tanh.
///
/// ```
/// let j = backprop::jacobian::tanh(&[0.5, -1.0])?;
/// assert_eq!(j.data(), [0.75, 0.0, 0.0, 0.0]);
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// As [`softmax`].
pub fn tanh(v: &[f64]) -> Result<Matrix> {
    square(v.len(), |k, i| if k == i { 1.0 - v[i] * v[i] } else { 0.0 })
}

fn square(size: usize, entry: impl Fn(usize, usize) -> f64) -> Result<Matrix> {
    let entry = &entry;
    let entries = (0..size).flat_map(|k| (0..size).map(move |i| entry(k, i)));
    Matrix::new(size, size, entries.collect())
}
