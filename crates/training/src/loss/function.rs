//! What a loss computes for each sample.

use candle_core::{DType, Tensor};
use kernels::losses::{
    self, BinaryFocalOptions, CategoricalFocalOptions, CircleOptions, CrossentropyOptions, class_numbers,
};
use serde::{Deserialize, Serialize};

use super::{Axes, values};
use crate::Result;

/// The losses of Keras (all but CTC), with its class names, options and defaults.
///
/// [`kernels::losses`] has their formulas.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "class_name", content = "config", deny_unknown_fields)]
pub enum LossFunction {
    /// Cross-entropy of yes or no.
    BinaryCrossentropy {
        /// Whether outputs are logits; otherwise they are probabilities.
        #[serde(default)]
        from_logits: bool,
        /// Share of each target that is spread evenly over the possible answers; in `[0, 1]`.
        #[serde(default)]
        label_smoothing: f64,
        /// The axis that is averaged for each sample; negative numbers count from the last one.
        #[serde(default = "last")]
        axis: i64,
    },
    /// Cross-entropy of yes or no in which easy samples count less.
    BinaryFocalCrossentropy {
        /// Whether outputs are logits; otherwise they are probabilities.
        #[serde(default)]
        from_logits: bool,
        /// Share of each target that is spread evenly over the possible answers; in `[0, 1]`.
        #[serde(default)]
        label_smoothing: f64,
        /// The axis that is averaged for each sample; negative numbers count from the last one.
        #[serde(default = "last")]
        axis: i64,
        /// Whether targets of 1 are weighted with `alpha` and those of 0 with `1 - alpha`.
        #[serde(default)]
        apply_class_balancing: bool,
        /// Weight of targets of 1; in `[0, 1]`.
        #[serde(default = "quarter")]
        alpha: f64,
        /// How much easy samples count less; 0 or more.
        #[serde(default = "two")]
        gamma: f64,
    },
    /// Cross-entropy of distributions over classes.
    CategoricalCrossentropy {
        /// Whether outputs are logits; otherwise they are probabilities.
        #[serde(default)]
        from_logits: bool,
        /// Share of each target that is spread evenly over the possible answers; in `[0, 1]`.
        #[serde(default)]
        label_smoothing: f64,
        /// The axis of the classes; negative numbers count from the last one.
        #[serde(default = "last")]
        axis: i64,
    },
    /// Cross-entropy of distributions over classes in which easy samples count less.
    CategoricalFocalCrossentropy {
        /// Whether outputs are logits; otherwise they are probabilities.
        #[serde(default)]
        from_logits: bool,
        /// Share of each target that is spread evenly over the possible answers; in `[0, 1]`.
        #[serde(default)]
        label_smoothing: f64,
        /// The axis of the classes; negative numbers count from the last one.
        #[serde(default = "last")]
        axis: i64,
        /// Weight of all classes.
        #[serde(default = "quarter")]
        alpha: f64,
        /// How much easy samples count less; 0 or more.
        #[serde(default = "two")]
        gamma: f64,
    },
    /// Cross-entropy of class numbers.
    SparseCategoricalCrossentropy {
        /// Whether outputs are logits; otherwise they are probabilities.
        #[serde(default)]
        from_logits: bool,
        /// Labels of this class do not count.
        #[serde(default)]
        ignore_class: Option<i64>,
    },
    /// A loss of class numbers that bears wrong labels, between cross-entropy (`q` near 0) and absolute error (near 1).
    CategoricalGeneralizedCrossEntropy {
        /// Above 0 and below 1.
        #[serde(default = "half")]
        q: f64,
    },
    /// Mean of squared differences.
    MeanSquaredError,
    /// Mean of absolute differences.
    MeanAbsoluteError,
    /// Mean of absolute differences relative to the targets, in per cent.
    MeanAbsolutePercentageError,
    /// Mean of squared differences of the logarithms of one more.
    MeanSquaredLogarithmicError,
    /// Squared differences up to `delta`, linear beyond.
    Huber {
        /// Where the square ends; 0 or more.
        #[serde(default = "one")]
        delta: f64,
    },
    /// Mean of the logarithms of the hyperbolic cosines of the differences.
    LogCosh,
    /// Minus the cosine of the angle between outputs and targets.
    CosineSimilarity {
        /// The axis of the vectors; negative numbers count from the last one.
        #[serde(default = "last")]
        axis: i64,
    },
    /// Divergence of distributions.
    KLDivergence,
    /// Minus the logarithm of the likelihood of counts.
    Poisson,
    /// Missing margins of the signs.
    Hinge,
    /// Squares of missing margins of the signs.
    SquaredHinge,
    /// Missing margin of the right class.
    CategoricalHinge,
    /// Share of two areas that they do not share.
    Dice {
        /// The axes that are summed; all of them, the batch included, by default.
        #[serde(default)]
        axis: Option<Axes>,
    },
    /// The same with weights for what is missing and what is too much.
    Tversky {
        /// Weight of what is missing from the outputs.
        #[serde(default = "half")]
        alpha: f64,
        /// Weight of what the outputs have too much.
        #[serde(default = "half")]
        beta: f64,
        /// The axes that are summed; all of them, the batch included, by default.
        #[serde(default)]
        axis: Option<Axes>,
    },
    /// Loss of embeddings by their distances within and between classes.
    Circle {
        /// Scale of the distances.
        #[serde(default = "eighty")]
        gamma: f64,
        /// How much nearer than others the own class should be.
        #[serde(default = "two_fifths")]
        margin: f64,
        /// Whether an embedding is not compared with itself.
        #[serde(default = "yes")]
        remove_diagonal: bool,
    },
}

fn last() -> i64 {
    -1
}
fn quarter() -> f64 {
    0.25
}
fn half() -> f64 {
    0.5
}
fn one() -> f64 {
    1.0
}
fn two() -> f64 {
    2.0
}
fn eighty() -> f64 {
    80.0
}
fn two_fifths() -> f64 {
    0.4
}
fn yes() -> bool {
    true
}

impl LossFunction {
    /// Keras' names of every loss: its class, its function, and the `name` in its configuration.
    pub(crate) const NAMES: [(&'static str, &'static str, &'static str); 21] = [
        ("BinaryCrossentropy", "binary_crossentropy", "binary_crossentropy"),
        (
            "BinaryFocalCrossentropy",
            "binary_focal_crossentropy",
            "binary_focal_crossentropy",
        ),
        (
            "CategoricalCrossentropy",
            "categorical_crossentropy",
            "categorical_crossentropy",
        ),
        (
            "CategoricalFocalCrossentropy",
            "categorical_focal_crossentropy",
            "categorical_focal_crossentropy",
        ),
        (
            "SparseCategoricalCrossentropy",
            "sparse_categorical_crossentropy",
            "sparse_categorical_crossentropy",
        ),
        (
            "CategoricalGeneralizedCrossEntropy",
            "categorical_generalized_cross_entropy",
            "categorical_generalized_cross_entropy",
        ),
        ("MeanSquaredError", "mean_squared_error", "mean_squared_error"),
        ("MeanAbsoluteError", "mean_absolute_error", "mean_absolute_error"),
        (
            "MeanAbsolutePercentageError",
            "mean_absolute_percentage_error",
            "mean_absolute_percentage_error",
        ),
        (
            "MeanSquaredLogarithmicError",
            "mean_squared_logarithmic_error",
            "mean_squared_logarithmic_error",
        ),
        ("Huber", "huber", "huber_loss"),
        ("LogCosh", "log_cosh", "log_cosh"),
        ("CosineSimilarity", "cosine_similarity", "cosine_similarity"),
        ("KLDivergence", "kl_divergence", "kl_divergence"),
        ("Poisson", "poisson", "poisson"),
        ("Hinge", "hinge", "hinge"),
        ("SquaredHinge", "squared_hinge", "squared_hinge"),
        ("CategoricalHinge", "categorical_hinge", "categorical_hinge"),
        ("Dice", "dice", "dice"),
        ("Tversky", "tversky", "tversky"),
        ("Circle", "circle", "circle"),
    ];

    fn names(self) -> (&'static str, &'static str, &'static str) {
        let place = match self {
            Self::BinaryCrossentropy { .. } => 0,
            Self::BinaryFocalCrossentropy { .. } => 1,
            Self::CategoricalCrossentropy { .. } => 2,
            Self::CategoricalFocalCrossentropy { .. } => 3,
            Self::SparseCategoricalCrossentropy { .. } => 4,
            Self::CategoricalGeneralizedCrossEntropy { .. } => 5,
            Self::MeanSquaredError => 6,
            Self::MeanAbsoluteError => 7,
            Self::MeanAbsolutePercentageError => 8,
            Self::MeanSquaredLogarithmicError => 9,
            Self::Huber { .. } => 10,
            Self::LogCosh => 11,
            Self::CosineSimilarity { .. } => 12,
            Self::KLDivergence => 13,
            Self::Poisson => 14,
            Self::Hinge => 15,
            Self::SquaredHinge => 16,
            Self::CategoricalHinge => 17,
            Self::Dice { .. } => 18,
            Self::Tversky { .. } => 19,
            Self::Circle { .. } => 20,
        };
        Self::NAMES[place]
    }

    /// Keras' class.
    pub fn class(self) -> &'static str {
        self.names().0
    }

    /// Keras' function, the name to write in [`Loss::by_name`](super::Loss::by_name).
    pub fn name(self) -> &'static str {
        self.names().1
    }

    /// The `name` that Keras writes into the configuration.
    pub(crate) fn config_name(self) -> &'static str {
        self.names().2
    }

    /// The loss of each sample.
    pub(crate) fn losses(self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let dense = || values(self.name(), outputs, targets);
        Ok(match self {
            Self::BinaryCrossentropy {
                from_logits,
                label_smoothing,
                axis,
            } => losses::binary_crossentropy(outputs, &dense()?, crossentropy(from_logits, label_smoothing, axis)),
            Self::BinaryFocalCrossentropy {
                from_logits,
                label_smoothing,
                axis,
                apply_class_balancing,
                alpha,
                gamma,
            } => {
                let options = BinaryFocalOptions {
                    apply_class_balancing,
                    alpha,
                    gamma,
                    crossentropy: crossentropy(from_logits, label_smoothing, axis),
                };
                losses::binary_focal_crossentropy(outputs, &dense()?, options)
            }
            Self::CategoricalCrossentropy {
                from_logits,
                label_smoothing,
                axis,
            } => losses::categorical_crossentropy(outputs, &dense()?, crossentropy(from_logits, label_smoothing, axis)),
            Self::CategoricalFocalCrossentropy {
                from_logits,
                label_smoothing,
                axis,
                alpha,
                gamma,
            } => {
                let options = CategoricalFocalOptions {
                    alpha,
                    gamma,
                    crossentropy: crossentropy(from_logits, label_smoothing, axis),
                };
                losses::categorical_focal_crossentropy(outputs, &dense()?, options)
            }
            Self::SparseCategoricalCrossentropy {
                from_logits,
                ignore_class,
            } => losses::sparse_categorical_crossentropy(outputs, targets, from_logits, ignore_class),
            Self::CategoricalGeneralizedCrossEntropy { q } => {
                losses::categorical_generalized_cross_entropy(outputs, targets, q)
            }
            Self::MeanSquaredError => losses::mean_squared_error(outputs, &dense()?),
            Self::MeanAbsoluteError => losses::mean_absolute_error(outputs, &dense()?),
            Self::MeanAbsolutePercentageError => losses::mean_absolute_percentage_error(outputs, &dense()?),
            Self::MeanSquaredLogarithmicError => losses::mean_squared_logarithmic_error(outputs, &dense()?),
            Self::Huber { delta } => losses::huber(outputs, &dense()?, delta),
            Self::LogCosh => losses::log_cosh(outputs, &dense()?),
            Self::CosineSimilarity { axis } => losses::cosine_similarity(outputs, &dense()?, axis),
            Self::KLDivergence => losses::kl_divergence(outputs, &dense()?),
            Self::Poisson => losses::poisson(outputs, &dense()?),
            Self::Hinge => losses::hinge(outputs, &dense()?),
            Self::SquaredHinge => losses::squared_hinge(outputs, &dense()?),
            Self::CategoricalHinge => losses::categorical_hinge(outputs, &dense()?),
            Self::Dice { axis } => losses::dice(outputs, &dense()?, axis.as_ref().map(Axes::as_slice)),
            Self::Tversky { alpha, beta, axis } => {
                losses::tversky(outputs, &dense()?, alpha, beta, axis.as_ref().map(Axes::as_slice))
            }
            Self::Circle {
                gamma,
                margin,
                remove_diagonal,
            } => {
                let options = CircleOptions {
                    gamma,
                    margin,
                    remove_diagonal,
                };
                losses::circle(outputs, targets, options)
            }
        }?)
    }

    /// Which losses count in a mean (1) and which do not (0), where not all of them do.
    pub(crate) fn mask(self, losses: &Tensor, targets: &Tensor) -> Result<Option<Tensor>> {
        match self {
            Self::SparseCategoricalCrossentropy {
                ignore_class: Some(ignored),
                ..
            } => {
                // The labels were checked when the losses were computed.
                let labels = class_numbers(self.name(), targets, i64::MAX as usize, Some(ignored))?;
                let counts: Vec<f32> = labels
                    .iter()
                    .map(|&label| f32::from(u8::from(label != ignored)))
                    .collect();
                let counts = Tensor::from_vec(counts, losses.shape(), losses.device())?;
                Ok(Some(counts.to_dtype(losses.dtype())?))
            }
            Self::Circle { .. } => Ok(Some(losses.detach().gt(0f64)?.to_dtype(losses.dtype())?)),
            _ => Ok(None),
        }
    }

    /// The mean over the batch by one fused operation, for the losses that have one.
    pub(crate) fn fused_mean(self, outputs: &Tensor, targets: &Tensor) -> Result<Option<Tensor>> {
        let Some((&classes, batch)) = outputs.dims().split_last() else {
            return Ok(None);
        };
        let rows = batch.iter().product::<usize>();
        let prepared = |label_smoothing: f64, spread_over: usize| -> Result<Option<(Tensor, Tensor)>> {
            if !(0.0..=1.0).contains(&label_smoothing) {
                return Ok(None);
            }
            let dense = values(self.name(), outputs, targets)?;
            let (outputs, targets) = kernels::losses::same_rank(outputs, &dense)?;
            let mut targets = targets.to_dtype(outputs.dtype())?;
            if label_smoothing > 0.0 {
                targets = ((targets * (1.0 - label_smoothing))? + label_smoothing / spread_over as f64)?;
            }
            Ok(Some((outputs, targets)))
        };
        Ok(match self {
            Self::SparseCategoricalCrossentropy {
                from_logits: true,
                ignore_class: None,
            } if targets.dtype().is_int() && targets.elem_count() == rows && outputs.elem_count() > 0 => {
                let labels = match targets.dtype() {
                    DType::U8 | DType::U32 | DType::I64 => targets.flatten_all()?,
                    _ => targets.flatten_all()?.to_dtype(DType::I64)?,
                };
                let logits = outputs.reshape((rows, classes))?;
                Some(kernels::sparse_categorical_crossentropy(&logits, &labels)?)
            }
            Self::CategoricalCrossentropy {
                from_logits: true,
                label_smoothing,
                axis: -1,
            } => match prepared(label_smoothing, classes)? {
                Some((outputs, targets)) if outputs.dims() == targets.dims() && outputs.elem_count() > 0 => {
                    let flat = (outputs.elem_count() / classes, classes);
                    Some(kernels::categorical_crossentropy(
                        &outputs.reshape(flat)?,
                        &targets.reshape(flat)?,
                    )?)
                }
                _ => None,
            },
            Self::BinaryCrossentropy {
                from_logits: true,
                label_smoothing,
                axis: -1,
            } => match prepared(label_smoothing, 2)? {
                Some((outputs, targets)) => Some(kernels::binary_crossentropy(&outputs, &targets)?),
                None => None,
            },
            Self::MeanSquaredError => match prepared(0.0, 1)? {
                Some((outputs, targets)) => Some(kernels::mean_squared_error(&outputs, &targets)?),
                None => None,
            },
            _ => None,
        })
    }
}

fn crossentropy(from_logits: bool, label_smoothing: f64, axis: i64) -> CrossentropyOptions {
    CrossentropyOptions {
        from_logits,
        label_smoothing,
        axis,
    }
}
