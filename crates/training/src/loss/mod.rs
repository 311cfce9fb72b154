//! What training makes small.

mod axes;
mod config;
mod function;
mod reduction;

use candle_core::{DType, Tensor};

pub use axes::Axes;
pub use function::LossFunction;
pub use reduction::Reduction;
pub(crate) use reduction::spread;

use crate::Result;

/// A loss between the network's outputs and its targets: what is computed for each sample, and how the samples become one number.
///
/// The names, options and values are those of `keras.losses`. A loss is made in one of three ways:
///
/// * one of the constants, such as [`Loss::SparseCategoricalCrossentropy`]. Networks of this workspace end in logits, as the lecture's do, so the
///   cross-entropies among the constants take logits, where softmax and logarithm together are stable and fast;
/// * [`Loss::by_name`] and [`Loss::from_config`], which follow Keras to the letter: there `from_logits` is false unless it is said;
/// * a [`LossFunction`] with its options, for the rest.
///
/// Targets are what the function wants: class numbers `(batch)` for the sparse ones, values of the shape of the outputs for the others. Where a
/// loss wants values and gets integers without the outputs' last axis, these are class numbers and become one-hot rows.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use training::{Loss, LossFunction, Reduction};
///
/// let outputs = Tensor::new(&[[2.0f32, 0.0], [0.0, 1.0]], &Device::Cpu)?;
/// let targets = Tensor::new(&[[1.0f32, 0.0], [0.0, 1.0]], &Device::Cpu)?;
/// assert_eq!(Loss::MeanSquaredError.value(&outputs, &targets, None)?.to_scalar::<f32>()?, 0.25);
///
/// let huber = Loss::from(LossFunction::Huber { delta: 0.5 }).reduction(Reduction::Sum);
/// assert_eq!(huber.value(&outputs, &targets, None)?.to_scalar::<f32>()?, 0.1875);
/// assert_eq!(Loss::by_name("mse")?, Loss::MeanSquaredError);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// What is computed for each sample.
    pub function: LossFunction,
    /// How the samples become one number.
    pub reduction: Reduction,
}

impl Default for Loss {
    /// The cross-entropy of class numbers on logits.
    fn default() -> Self {
        Loss::SparseCategoricalCrossentropy
    }
}

impl From<LossFunction> for Loss {
    /// The loss that is averaged over the batch.
    fn from(function: LossFunction) -> Self {
        Loss {
            function,
            reduction: Reduction::SumOverBatchSize,
        }
    }
}

/// The losses of the lecture and the most usual others.
#[allow(non_upper_case_globals, reason = "the names are Keras' classes")]
impl Loss {
    /// `-log softmax(z)_y`, the mean over the batch (`keras.losses.SparseCategoricalCrossentropy(from_logits=True)`).
    pub const SparseCategoricalCrossentropy: Loss = Loss::averaged(LossFunction::SparseCategoricalCrossentropy {
        from_logits: true,
        ignore_class: None,
    });
    /// `-Σ t log softmax(z)`, the mean over the batch (`keras.losses.CategoricalCrossentropy(from_logits=True)`).
    pub const CategoricalCrossentropy: Loss = Loss::averaged(LossFunction::CategoricalCrossentropy {
        from_logits: true,
        label_smoothing: 0.0,
        axis: -1,
    });
    /// `-t log σ(z) - (1 - t) log(1 - σ(z))`, the mean over outputs and batch (`keras.losses.BinaryCrossentropy(from_logits=True)`).
    pub const BinaryCrossentropy: Loss = Loss::averaged(LossFunction::BinaryCrossentropy {
        from_logits: true,
        label_smoothing: 0.0,
        axis: -1,
    });
    /// `mean (z - t)²` over outputs and batch (`keras.losses.MeanSquaredError`); class numbers become one-hot rows.
    pub const MeanSquaredError: Loss = Loss::averaged(LossFunction::MeanSquaredError);
    /// `mean |z - t|` over outputs and batch (`keras.losses.MeanAbsoluteError`).
    pub const MeanAbsoluteError: Loss = Loss::averaged(LossFunction::MeanAbsoluteError);
}

impl Loss {
    const fn averaged(function: LossFunction) -> Loss {
        Loss {
            function,
            reduction: Reduction::SumOverBatchSize,
        }
    }

    /// The same loss with another reduction.
    pub fn reduction(self, reduction: Reduction) -> Loss {
        Loss { reduction, ..self }
    }

    /// The same loss of logits (`true`) or probabilities (`false`).
    ///
    /// # Errors
    /// [`crate::Error::Option`] for a loss that has no option `from_logits`.
    ///
    /// ```
    /// use training::Loss;
    ///
    /// assert_eq!(Loss::by_name("bce")?.from_logits(true)?, Loss::BinaryCrossentropy);
    /// assert!(Loss::MeanSquaredError.from_logits(true).is_err());
    /// # Ok::<(), training::Error>(())
    /// ```
    pub fn from_logits(mut self, logits: bool) -> Result<Loss> {
        match &mut self.function {
            LossFunction::BinaryCrossentropy { from_logits, .. }
            | LossFunction::BinaryFocalCrossentropy { from_logits, .. }
            | LossFunction::CategoricalCrossentropy { from_logits, .. }
            | LossFunction::CategoricalFocalCrossentropy { from_logits, .. }
            | LossFunction::SparseCategoricalCrossentropy { from_logits, .. } => *from_logits = logits,
            other => {
                return Err(crate::Error::Option {
                    option: "from_logits",
                    expected: "left out but for cross-entropies",
                    found: format!("{logits} for {}", other.name()),
                });
            }
        }
        Ok(self)
    }

    /// The loss of each sample, with a gradient: `outputs` `(batch, ..., n)` become `(batch, ...)`.
    ///
    /// Losses over whole areas ([`LossFunction::Dice`], [`LossFunction::Tversky`]) give one number for the batch unless they are told their axes.
    ///
    /// # Errors
    /// [`crate::Error::Kernel`] where shapes or types do not belong together, a label names no class, or an option is outside of its range.
    pub fn per_sample(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        self.function.losses(outputs, targets)
    }

    /// The loss of a batch, one number with a gradient (for [`Reduction::None`] the weighted losses of the samples).
    ///
    /// `sample_weight` multiplies the losses; it has one number a sample, or one for each of the numbers of [`Loss::per_sample`]. The mean divides
    /// by the number of samples, not by the sum of the weights, as Keras' does ([`Reduction::MeanWithSampleWeight`] is the other one). Labels of
    /// `ignore_class` do not count.
    ///
    /// # Errors
    /// As [`Loss::per_sample`]; [`crate::Error::SampleWeight`] for weights of another shape.
    pub fn value(&self, outputs: &Tensor, targets: &Tensor, sample_weight: Option<&Tensor>) -> Result<Tensor> {
        if sample_weight.is_none()
            && self.reduction.is_mean()
            && let Some(mean) = self.function.fused_mean(outputs, targets)?
        {
            return Ok(mean);
        }
        let losses = self.function.losses(outputs, targets)?;
        let mask = self.function.mask(&losses, targets)?;
        self.reduction.reduce(&losses, sample_weight, mask.as_ref())
    }

    /// The loss that takes the probabilities of classes where this one takes class numbers, with the same value for certain labels;
    /// `None` for one that has no such counterpart (with an `ignore_class`). A loss that takes values is its own.
    pub(crate) fn of_blends(self) -> Option<Loss> {
        let function = match self.function {
            LossFunction::SparseCategoricalCrossentropy {
                from_logits,
                ignore_class: None,
            } => LossFunction::CategoricalCrossentropy {
                from_logits,
                label_smoothing: 0.0,
                axis: -1,
            },
            LossFunction::SparseCategoricalCrossentropy { .. } => return None,
            function => function,
        };
        Some(Loss { function, ..self })
    }

    /// The mean loss of the samples, whatever the reduction: a scalar with a gradient.
    ///
    /// # Errors
    /// As [`Loss::per_sample`].
    pub fn mean(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        self.reduction(Reduction::SumOverBatchSize)
            .value(outputs, targets, None)
    }
}

/// Whether `targets` are class numbers although values of the shape of `outputs` are wanted.
fn are_class_numbers(outputs: &Tensor, targets: &Tensor) -> bool {
    let several = outputs.rank() >= 2 && outputs.dims().last().is_some_and(|&classes| classes > 1);
    let without_classes =
        targets.rank() + 1 == outputs.rank() || (targets.rank() == outputs.rank() && targets.dims().last() == Some(&1));
    several && without_classes && targets.dtype().is_int()
}

/// Targets of the shape of `outputs`: class numbers become one-hot rows, everything else stays.
pub(crate) fn values(op: &'static str, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    if !are_class_numbers(outputs, targets) {
        return Ok(targets.clone());
    }
    let classes = outputs.dims().last().copied().unwrap_or(1);
    let labels = if targets.rank() == outputs.rank() {
        targets.squeeze(targets.rank() - 1)?
    } else {
        targets.clone()
    };
    let dtype = if outputs.dtype().is_float() {
        outputs.dtype()
    } else {
        DType::F32
    };
    Ok(kernels::losses::one_hot(op, &labels, classes, dtype)?)
}
