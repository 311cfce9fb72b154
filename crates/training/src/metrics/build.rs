//! The metric that a configuration describes.

use candle_core::Tensor;

use super::at::{BestWhere, Rate};
use super::auc::{self, Auc};
use super::counts::{AtThresholds, Figure};
use super::f_score::FScore;
use super::intersection::{self, Classes, Intersection};
use super::mean::OverSamples;
use super::numbers::{Numbers, pair};
use super::r2::R2;
use super::{Metric, MetricClass, MetricConfig, Thresholds, accuracy, correlation};
use crate::{Error, LossFunction, Result};

impl MetricConfig {
    /// The metric, before its first batch.
    ///
    /// # Errors
    /// [`Error::Option`] for an option outside of its range.
    pub fn build(self) -> Result<Box<dyn Metric>> {
        use MetricClass as Class;
        let options = self.class.clone();
        Ok(match options {
            Class::Mean | Class::Sum => over_samples(self, |outputs, _| Numbers::of(outputs)),
            Class::Accuracy => over_samples(self, accuracy::equal),
            Class::BinaryAccuracy { threshold } => over_samples(self, move |outputs, targets| {
                accuracy::binary(outputs, targets, threshold)
            }),
            Class::CategoricalAccuracy => over_samples(self, accuracy::categorical),
            Class::SparseCategoricalAccuracy => over_samples(self, accuracy::sparse),
            Class::TopKCategoricalAccuracy { k } => {
                over_samples(self, move |outputs, targets| accuracy::top_k(outputs, targets, k))
            }
            Class::SparseTopKCategoricalAccuracy { k, from_sorted_ids } => {
                over_samples(self, move |outputs, targets| {
                    accuracy::sparse_top_k(outputs, targets, k, from_sorted_ids)
                })
            }
            Class::Precision {
                thresholds,
                top_k,
                class_id,
            } => {
                let figure = Figure::Share(["true_positives", "false_positives"]);
                Box::new(AtThresholds::new(self, figure, &thresholds, top_k, class_id)?)
            }
            Class::Recall {
                thresholds,
                top_k,
                class_id,
            } => {
                let figure = Figure::Share(["true_positives", "false_negatives"]);
                Box::new(AtThresholds::new(self, figure, &thresholds, top_k, class_id)?)
            }
            Class::TruePositives { thresholds } => number(self, "true_positives", &thresholds)?,
            Class::TrueNegatives { thresholds } => number(self, "true_negatives", &thresholds)?,
            Class::FalsePositives { thresholds } => number(self, "false_positives", &thresholds)?,
            Class::FalseNegatives { thresholds } => number(self, "false_negatives", &thresholds)?,
            Class::SensitivityAtSpecificity {
                specificity,
                num_thresholds,
                class_id,
            } => {
                let bounded = (Rate::Specificity, "specificity", specificity);
                Box::new(BestWhere::new(self, Rate::Recall, bounded, num_thresholds, class_id)?)
            }
            Class::SpecificityAtSensitivity {
                sensitivity,
                num_thresholds,
                class_id,
            } => {
                let bounded = (Rate::Recall, "sensitivity", sensitivity);
                Box::new(BestWhere::new(
                    self,
                    Rate::Specificity,
                    bounded,
                    num_thresholds,
                    class_id,
                )?)
            }
            Class::PrecisionAtRecall {
                recall,
                num_thresholds,
                class_id,
            } => {
                let bounded = (Rate::Recall, "recall", recall);
                Box::new(BestWhere::new(
                    self,
                    Rate::Precision,
                    bounded,
                    num_thresholds,
                    class_id,
                )?)
            }
            Class::RecallAtPrecision {
                precision,
                num_thresholds,
                class_id,
            } => {
                let bounded = (Rate::Precision, "precision", precision);
                Box::new(BestWhere::new(self, Rate::Recall, bounded, num_thresholds, class_id)?)
            }
            Class::Auc {
                num_thresholds,
                curve,
                summation_method,
                multi_label,
                num_labels,
                label_weights,
                from_logits,
                thresholds,
            } => {
                let options = auc::Options {
                    num_thresholds,
                    curve,
                    summation_method,
                    multi_label,
                    num_labels,
                    label_weights,
                    from_logits,
                    thresholds,
                };
                Box::new(Auc::new(self, options)?)
            }
            Class::F1Score { average, threshold } => Box::new(FScore::new(self, average, 1.0, threshold)?),
            Class::FBetaScore {
                average,
                beta,
                threshold,
            } => Box::new(FScore::new(self, average, beta, threshold)?),
            Class::IoU {
                num_classes,
                target_class_ids,
                ignore_class,
                sparse_y_true,
                sparse_y_pred,
                axis,
            } => {
                let sparse = (sparse_y_true, sparse_y_pred);
                areas(self, num_classes, Some(target_class_ids), ignore_class, sparse, axis)?
            }
            Class::MeanIoU {
                num_classes,
                ignore_class,
                sparse_y_true,
                sparse_y_pred,
                axis,
            } => {
                let sparse = (sparse_y_true, sparse_y_pred);
                areas(self, num_classes, None, ignore_class, sparse, axis)?
            }
            Class::OneHotIoU {
                num_classes,
                target_class_ids,
                ignore_class,
                sparse_y_pred,
                axis,
            } => areas(
                self,
                num_classes,
                Some(target_class_ids),
                ignore_class,
                (false, sparse_y_pred),
                axis,
            )?,
            Class::OneHotMeanIoU {
                num_classes,
                ignore_class,
                sparse_y_pred,
                axis,
            } => areas(self, num_classes, None, ignore_class, (false, sparse_y_pred), axis)?,
            Class::BinaryIoU {
                target_class_ids,
                threshold,
            } => {
                let options = intersection::Options {
                    num_classes: 2,
                    target_class_ids: Some(target_class_ids),
                    ignore_class: None,
                    targets: Classes::Given,
                    outputs: Classes::From(threshold),
                };
                Box::new(Intersection::new(self, options)?)
            }
            Class::R2Score {
                class_aggregation,
                num_regressors,
            } => Box::new(R2::new(self, class_aggregation, num_regressors)),
            Class::RootMeanSquaredError => over_samples(self, squared_errors),
            Class::CosineSimilarity { axis } => over_samples(self, move |outputs, targets| {
                let mut cosines = losses(LossFunction::CosineSimilarity { axis }, outputs, targets)?;
                cosines.data.iter_mut().for_each(|value| *value = -*value);
                Ok(cosines)
            }),
            Class::PearsonCorrelation { axis } => over_samples(self, move |outputs, targets| {
                correlation::pearson(outputs, targets, axis)
            }),
            Class::ConcordanceCorrelation { axis } => over_samples(self, move |outputs, targets| {
                correlation::concordance(outputs, targets, axis)
            }),
            Class::MeanSquaredError => mean_loss(self, LossFunction::MeanSquaredError),
            Class::MeanAbsoluteError => mean_loss(self, LossFunction::MeanAbsoluteError),
            Class::MeanAbsolutePercentageError => mean_loss(self, LossFunction::MeanAbsolutePercentageError),
            Class::MeanSquaredLogarithmicError => mean_loss(self, LossFunction::MeanSquaredLogarithmicError),
            Class::LogCoshError => mean_loss(self, LossFunction::LogCosh),
            Class::KLDivergence => mean_loss(self, LossFunction::KLDivergence),
            Class::Poisson => mean_loss(self, LossFunction::Poisson),
            Class::Hinge => mean_loss(self, LossFunction::Hinge),
            Class::SquaredHinge => mean_loss(self, LossFunction::SquaredHinge),
            Class::CategoricalHinge => mean_loss(self, LossFunction::CategoricalHinge),
            Class::CategoricalCrossentropy {
                from_logits,
                label_smoothing,
                axis,
            } => mean_loss(
                self,
                LossFunction::CategoricalCrossentropy {
                    from_logits,
                    label_smoothing,
                    axis,
                },
            ),
            Class::SparseCategoricalCrossentropy { axis, .. } if axis != -1 => {
                return Err(Error::Option {
                    option: "axis",
                    expected: "-1, the last one, for class numbers",
                    found: axis.to_string(),
                });
            }
            Class::SparseCategoricalCrossentropy {
                from_logits,
                ignore_class,
                ..
            } => mean_loss(
                self,
                LossFunction::SparseCategoricalCrossentropy {
                    from_logits,
                    ignore_class,
                },
            ),
            Class::BinaryCrossentropy {
                from_logits,
                label_smoothing,
            } => mean_loss(
                self,
                LossFunction::BinaryCrossentropy {
                    from_logits,
                    label_smoothing,
                    axis: -1,
                },
            ),
        })
    }
}

fn over_samples(
    config: MetricConfig,
    values: impl Fn(&Tensor, &Tensor) -> Result<Numbers> + Send + 'static,
) -> Box<dyn Metric> {
    Box::new(OverSamples::new(config, Box::new(values)))
}

fn mean_loss(config: MetricConfig, function: LossFunction) -> Box<dyn Metric> {
    over_samples(config, move |outputs, targets| losses(function, outputs, targets))
}

/// The losses of the samples, computed in the type of the outputs.
fn losses(function: LossFunction, outputs: &Tensor, targets: &Tensor) -> Result<Numbers> {
    Numbers::of(&function.losses(&outputs.detach(), targets)?)
}

fn squared_errors(outputs: &Tensor, targets: &Tensor) -> Result<Numbers> {
    let (outputs, targets) = pair("root_mean_squared_error", outputs, targets)?;
    let mut errors = Numbers::of(&outputs)?;
    for (value, target) in errors.data.iter_mut().zip(Numbers::of(&targets)?.data) {
        *value = (*value - target).powi(2);
    }
    Ok(errors)
}

fn number(config: MetricConfig, which: &'static str, thresholds: &Option<Thresholds>) -> Result<Box<dyn Metric>> {
    let figure = Figure::Number(which);
    Ok(Box::new(AtThresholds::new(config, figure, thresholds, None, None)?))
}

fn areas(
    config: MetricConfig,
    num_classes: usize,
    target_class_ids: Option<Vec<usize>>,
    ignore_class: Option<i64>,
    (sparse_targets, sparse_outputs): (bool, bool),
    axis: i64,
) -> Result<Box<dyn Metric>> {
    let classes = |sparse| if sparse { Classes::Given } else { Classes::Largest(axis) };
    let options = intersection::Options {
        num_classes,
        target_class_ids,
        ignore_class,
        targets: classes(sparse_targets),
        outputs: classes(sparse_outputs),
    };
    Ok(Box::new(Intersection::new(config, options)?))
}
