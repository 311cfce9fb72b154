//! Cross-entropies of yes or no.

use candle_core::Tensor;

use super::EPSILON;
use super::categorical::CrossentropyOptions;
use super::kinks::{clip, power, softplus};
use super::operands::{axis, pair, within};
use crate::activation::{Activation, activation};
use crate::error::Result;
use crate::tape::composed_of;

/// Options of the focal cross-entropy of yes or no; the defaults are Keras'.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryFocalOptions {
    /// Whether targets of 1 are weighted with `alpha` and targets of 0 with `1 - alpha`.
    pub apply_class_balancing: bool,
    /// Weight of the targets of 1; in `[0, 1]`.
    pub alpha: f64,
    /// How much samples that are easy count less; 0 or more.
    pub gamma: f64,
    /// The options that every cross-entropy has.
    pub crossentropy: CrossentropyOptions,
}

impl Default for BinaryFocalOptions {
    fn default() -> Self {
        BinaryFocalOptions {
            apply_class_balancing: false,
            alpha: 0.25,
            gamma: 2.0,
            crossentropy: CrossentropyOptions::default(),
        }
    }
}

/// The mean of $-t \ln p - (1 - t) \ln(1 - p)$ over an axis: Keras' `BinaryCrossentropy` without its reduction.
///
/// `outputs` and `targets` have the same shape. From logits $p$ is their sigmoid, and logits of any size have a finite loss with the gradient
/// $p - t$; from probabilities they are clipped to $[10^{-7}, 1 - 10^{-7}]$. Smoothed targets are $t (1 - s) + s / 2$.
///
/// # Errors
/// If the shapes differ, the batch is empty, or an option is outside of its range.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::losses::{CrossentropyOptions, binary_crossentropy};
///
/// let logits = Tensor::new(&[[1e4f32, 0.0], [-1e4, 100.0]], &Device::Cpu)?;
/// let targets = Tensor::new(&[[1f32, 0.0], [1.0, 1.0]], &Device::Cpu)?;
/// let options = CrossentropyOptions { from_logits: true, ..Default::default() };
/// let losses = binary_crossentropy(&logits, &targets, options)?.to_vec1::<f32>()?;
/// assert_eq!(losses, [2f32.ln() / 2.0, 5e3]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn binary_crossentropy(outputs: &Tensor, targets: &Tensor, options: CrossentropyOptions) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        const OP: &str = "binary_crossentropy";
        let (outputs, targets) = smoothed(OP, outputs, targets, options.label_smoothing)?;
        let mean_over = axis(OP, options.axis, &outputs)?;
        let no = (1.0 - &targets)?;
        let losses = if options.from_logits {
            // Both terms are positive, so that nothing cancels.
            ((targets * softplus(&outputs.neg()?)?)? + (no * softplus(&outputs)?)?)?
        } else {
            from_probabilities(&outputs, &targets, &no)?
        };
        Ok(losses.mean(mean_over)?)
    })
}

/// The mean of $(1 - p_t)^\gamma$ times the binary cross-entropy over an axis, with $p_t = t p + (1 - t)(1 - p)$: Keras'
/// `BinaryFocalCrossentropy` without its reduction.
///
/// Lin et al., «Focal loss for dense object detection», 2017. As in Keras, logits become probabilities first, so that those beyond about $\pm 16$
/// have no gradient.
///
/// # Errors
/// As [`binary_crossentropy`].
pub fn binary_focal_crossentropy(outputs: &Tensor, targets: &Tensor, options: BinaryFocalOptions) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        const OP: &str = "binary_focal_crossentropy";
        within(OP, "alpha", options.alpha, 0.0, 1.0)?;
        within(OP, "gamma", options.gamma, 0.0, f64::INFINITY)?;
        let (outputs, targets) = smoothed(OP, outputs, targets, options.crossentropy.label_smoothing)?;
        let mean_over = axis(OP, options.crossentropy.axis, &outputs)?;
        let probabilities = if options.crossentropy.from_logits {
            activation(&outputs, Activation::Sigmoid)?
        } else {
            outputs
        };
        let no = (1.0 - &targets)?;
        let crossentropy = from_probabilities(&probabilities, &targets, &no)?;
        // 1 - p_t
        let wrong = ((&targets * (1.0 - &probabilities)?)? + (&no * &probabilities)?)?;
        let mut losses = (power(&wrong, options.gamma)? * crossentropy)?;
        if options.apply_class_balancing {
            losses = (losses * ((targets * options.alpha)? + (no * (1.0 - options.alpha))?)?)?;
        }
        Ok(losses.mean(mean_over)?)
    })
}

fn smoothed(op: &'static str, outputs: &Tensor, targets: &Tensor, smoothing: f64) -> Result<(Tensor, Tensor)> {
    within(op, "label_smoothing", smoothing, 0.0, 1.0)?;
    let (outputs, targets) = pair(op, outputs, targets)?;
    if smoothing == 0.0 {
        return Ok((outputs, targets));
    }
    let targets = ((targets * (1.0 - smoothing))? + 0.5 * smoothing)?;
    Ok((outputs, targets))
}

fn from_probabilities(probabilities: &Tensor, yes: &Tensor, no: &Tensor) -> Result<Tensor> {
    let p = clip(probabilities, EPSILON, 1.0 - EPSILON)?;
    let logarithms = ((yes * p.log()?)? + (no * (1.0 - p)?.log()?)?)?;
    Ok(logarithms.neg()?)
}
