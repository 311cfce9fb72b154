//! Cross-entropies of one class out of several.

use candle_core::{D, Tensor};

use super::EPSILON;
use super::kinks::{clip, power};
use super::labels::{class_numbers, one_hot};
use super::operands::{axis, option, pair, predictions, within};
use crate::activation::{log_softmax, softmax};
use crate::error::{Result, expect_shape};
use crate::tape::composed_of;

/// Options of the cross-entropies; the defaults are Keras'.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossentropyOptions {
    /// Whether the outputs are logits; otherwise they are probabilities.
    pub from_logits: bool,
    /// Share of each target that is spread evenly over the classes; in `[0, 1]`.
    pub label_smoothing: f64,
    /// The axis of the classes; negative numbers count from the last one.
    pub axis: i64,
}

impl Default for CrossentropyOptions {
    fn default() -> Self {
        CrossentropyOptions {
            from_logits: false,
            label_smoothing: 0.0,
            axis: -1,
        }
    }
}

/// Options of the focal cross-entropy of several classes; the defaults are Keras'.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CategoricalFocalOptions {
    /// Weight of all classes.
    pub alpha: f64,
    /// How much samples that are easy count less; 0 or more.
    pub gamma: f64,
    /// The options that every cross-entropy has.
    pub crossentropy: CrossentropyOptions,
}

impl Default for CategoricalFocalOptions {
    fn default() -> Self {
        CategoricalFocalOptions {
            alpha: 0.25,
            gamma: 2.0,
            crossentropy: CrossentropyOptions::default(),
        }
    }
}

/// $-\ln p_t$ for class numbers $t$: Keras' `SparseCategoricalCrossentropy` without its reduction.
///
/// `outputs` is `(batch, ..., classes)`, `labels` `(batch, ...)` (also with a last axis of size 1). From logits $p$ is their softmax. From
/// probabilities it is the softmax of their logarithms, clipped to $[10^{-7}, 1 - 10^{-7}]$ before. Where a label is `ignore_class`, the loss and
/// its gradient are 0.
///
/// # Errors
/// If the shapes do not fit, the batch is empty, or a label names no class.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::losses::sparse_categorical_crossentropy;
///
/// let probabilities = Tensor::new(&[[0.25f64, 0.75], [0.5, 0.5]], &Device::Cpu)?;
/// let labels = Tensor::new(&[1i64, -1], &Device::Cpu)?;
/// let losses = sparse_categorical_crossentropy(&probabilities, &labels, false, Some(-1))?.to_vec1::<f64>()?;
/// assert!((losses[0] - (4.0f64 / 3.0).ln()).abs() < 1e-12 && losses[1] == 0.0);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn sparse_categorical_crossentropy(
    outputs: &Tensor,
    labels: &Tensor,
    from_logits: bool,
    ignore_class: Option<i64>,
) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        const OP: &str = "sparse_categorical_crossentropy";
        let outputs = predictions(OP, outputs)?;
        let classes = outputs.dim(D::Minus1)?;
        let labels = if labels.rank() == outputs.rank() && labels.dim(D::Minus1)? == 1 {
            labels.squeeze(D::Minus1)?
        } else {
            labels.clone()
        };
        let batch = &outputs.dims()[..outputs.rank() - 1];
        expect_shape(OP, "labels", batch, &labels)?;
        let numbers = class_numbers(OP, &labels, classes, ignore_class)?;
        let ignored = |label: i64| Some(label) == ignore_class;
        let places: Vec<u32> = numbers
            .iter()
            .map(|&label| if ignored(label) { 0 } else { label as u32 })
            .collect();
        let kept = ignore_class
            .map(|_| {
                let kept: Vec<u8> = numbers.iter().map(|&label| u8::from(!ignored(label))).collect();
                Tensor::from_vec(kept, batch, outputs.device())
            })
            .transpose()?;
        let outputs = match &kept {
            // What stands in an ignored place, even NaN, must not reach the gradient.
            Some(kept) => kept
                .unsqueeze(D::Minus1)?
                .broadcast_as(outputs.dims())?
                .contiguous()?
                .where_cond(&outputs, &outputs.detach().zeros_like()?)?,
            None => outputs,
        };
        let logits = if from_logits {
            outputs
        } else {
            clip(&outputs, EPSILON, 1.0 - EPSILON)?.log()?
        };
        let mut place_shape = logits.dims().to_vec();
        place_shape[logits.rank() - 1] = 1;
        let places = Tensor::from_vec(places, place_shape, logits.device())?;
        let losses = log_softmax(&logits)?
            .gather(&places, D::Minus1)?
            .squeeze(D::Minus1)?
            .neg()?;
        match kept {
            Some(kept) => Ok(kept.where_cond(&losses, &losses.detach().zeros_like()?)?),
            None => Ok(losses),
        }
    })
}

/// $-\sum_j t_j \ln p_j$: Keras' `CategoricalCrossentropy` without its reduction.
///
/// `outputs` and `targets` have the same shape; the axis of the classes goes. From logits $p$ is their softmax; from probabilities it is the
/// outputs divided by their sum, clipped to $[10^{-7}, 1 - 10^{-7}]$.
///
/// # Errors
/// If the shapes differ, the batch is empty, or an option is outside of its range.
pub fn categorical_crossentropy(outputs: &Tensor, targets: &Tensor, options: CrossentropyOptions) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        const OP: &str = "categorical_crossentropy";
        let (outputs, targets) = classes_last(OP, outputs, targets, options)?;
        let logarithms = if options.from_logits {
            log_softmax(&outputs)?
        } else {
            normalized(&outputs)?.log()?
        };
        Ok((targets * logarithms)?.sum(D::Minus1)?.neg()?)
    })
}

/// $-\alpha \sum_j t_j (1 - p_j)^\gamma \ln p_j$: Keras' `CategoricalFocalCrossentropy` without its reduction.
///
/// Lin et al., «Focal loss for dense object detection», 2017. Shapes as for [`categorical_crossentropy`]; probabilities are always divided by
/// their sum and clipped to $[10^{-7}, 1 - 10^{-7}]$.
///
/// # Errors
/// As [`categorical_crossentropy`].
pub fn categorical_focal_crossentropy(
    outputs: &Tensor,
    targets: &Tensor,
    options: CategoricalFocalOptions,
) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        const OP: &str = "categorical_focal_crossentropy";
        within(OP, "alpha", options.alpha, f64::MIN, f64::MAX)?;
        within(OP, "gamma", options.gamma, 0.0, f64::INFINITY)?;
        let (outputs, targets) = classes_last(OP, outputs, targets, options.crossentropy)?;
        let probabilities = if options.crossentropy.from_logits {
            normalized(&softmax(&outputs)?)?
        } else {
            normalized(&outputs)?
        };
        let modulation = (power(&(1.0 - &probabilities)?, options.gamma)? * options.alpha)?;
        let terms = ((targets * probabilities.log()?)? * modulation)?;
        Ok(terms.sum(D::Minus1)?.neg()?)
    })
}

/// $(1 - p_t^q) / q$ for class numbers $t$: Keras' `CategoricalGeneralizedCrossEntropy` without its reduction.
///
/// Zhang and Sabuncu, «Generalized cross entropy loss for training deep neural networks with noisy labels», 2018. `outputs` are probabilities
/// `(batch, ..., classes)`, `labels` `(batch, ...)`. $q$ close to 0 gives the cross-entropy, $q$ close to 1 the mean absolute error.
///
/// # Errors
/// If the shapes do not fit, a label names no class, or `q` is not between 0 and 1.
pub fn categorical_generalized_cross_entropy(outputs: &Tensor, labels: &Tensor, q: f64) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        const OP: &str = "categorical_generalized_cross_entropy";
        if !(q > 0.0 && q < 1.0) {
            return Err(option(OP, "q", "above 0 and below 1".into(), q));
        }
        let outputs = predictions(OP, outputs)?;
        let labels = if labels.rank() == outputs.rank() && labels.dim(D::Minus1)? == 1 {
            labels.squeeze(D::Minus1)?
        } else {
            labels.clone()
        };
        expect_shape(OP, "labels", &outputs.dims()[..outputs.rank() - 1], &labels)?;
        let places = one_hot(OP, &labels, outputs.dim(D::Minus1)?, outputs.dtype())?;
        let probabilities = (outputs * places)?.sum(D::Minus1)?;
        Ok(((1.0 - power(&probabilities, q)?)? / q)?)
    })
}

/// Outputs and smoothed targets with the classes along the last axis.
fn classes_last(
    op: &'static str,
    outputs: &Tensor,
    targets: &Tensor,
    options: CrossentropyOptions,
) -> Result<(Tensor, Tensor)> {
    within(op, "label_smoothing", options.label_smoothing, 0.0, 1.0)?;
    let (outputs, targets) = pair(op, outputs, targets)?;
    let last = outputs.rank() - 1;
    // Keras takes the number of classes for the smoothing from the last axis, whatever `axis` says; here it is that of the classes.
    let classes_at = axis(op, options.axis, &outputs)?;
    let classes = outputs.dim(classes_at)?;
    let targets = if options.label_smoothing == 0.0 {
        targets
    } else {
        ((targets * (1.0 - options.label_smoothing))? + options.label_smoothing / classes as f64)?
    };
    if classes_at == last {
        return Ok((outputs.contiguous()?, targets));
    }
    // Moved to the end, not exchanged with it, so that the other axes keep their order.
    let order: Vec<usize> = (0..=last).filter(|&i| i != classes_at).chain([classes_at]).collect();
    Ok((
        outputs.permute(order.as_slice())?.contiguous()?,
        targets.permute(order)?.contiguous()?,
    ))
}

/// Probabilities divided by their sum over the last axis and kept away from 0 and 1.
fn normalized(probabilities: &Tensor) -> Result<Tensor> {
    let sum = probabilities.sum_keepdim(D::Minus1)?;
    Ok(clip(&probabilities.broadcast_div(&sum)?, EPSILON, 1.0 - EPSILON)?)
}
