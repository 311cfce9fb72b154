//! Area under the curve that a threshold draws.

use candle_core::Tensor;
use serde_json::Value;

use super::class::{Curve, Summation};
use super::thresholds::{Counts, Cuts, Scores, limit};
use super::{Metric, MetricConfig, Variable, share};
use crate::{Error, Result};

/// What [`super::MetricClass::Auc`] is made of.
pub(super) struct Options {
    pub(super) num_thresholds: usize,
    pub(super) curve: Curve,
    pub(super) summation_method: Summation,
    pub(super) multi_label: bool,
    pub(super) num_labels: Option<usize>,
    pub(super) label_weights: Option<Vec<f64>>,
    pub(super) from_logits: bool,
    pub(super) thresholds: Option<Vec<f64>>,
}

/// The area under a curve, computed from the counts at thresholds.
pub(super) struct Auc {
    config: MetricConfig,
    options: Options,
    cuts: Cuts,
    state: Vec<Variable>,
}

impl Auc {
    pub(super) fn new(config: MetricConfig, options: Options) -> Result<Self> {
        if options.thresholds.is_none() && options.num_thresholds < 2 {
            return Err(Error::Option {
                option: "num_thresholds",
                expected: "at least 2",
                found: options.num_thresholds.to_string(),
            });
        }
        if options.num_labels.is_some() && !options.multi_label {
            return Err(Error::Option {
                option: "num_labels",
                expected: "none unless multi_label is true",
                found: format!("{:?}", options.num_labels.unwrap_or_default()),
            });
        }
        let cuts = Cuts::of_curve(options.thresholds.as_deref(), options.num_thresholds)?;
        let state = if options.multi_label {
            let labels = options.num_labels.unwrap_or(0);
            limit(cuts.len().saturating_mul(labels.max(1)))?;
            Counts::variables(&[cuts.len(), labels])
        } else {
            Counts::variables(&[cuts.len()])
        };
        Ok(Auc {
            config,
            options,
            cuts,
            state,
        })
    }

    /// The area from the counts of one column.
    fn area(&self, column: usize, columns: usize) -> f64 {
        let counts = |which: usize, threshold: usize| {
            let values = &self.state[which].values;
            values.get(threshold * columns + column).copied().unwrap_or(0.0)
        };
        let points: Vec<Point> = (0..self.cuts.len())
            .map(|threshold| Point {
                true_positives: counts(0, threshold),
                false_positives: counts(1, threshold),
                true_negatives: counts(2, threshold),
                false_negatives: counts(3, threshold),
            })
            .collect();
        let pairs = points.windows(2);
        match (self.options.curve, self.options.summation_method) {
            (Curve::Pr, Summation::Interpolation) => pairs.map(|two| interpolated(&two[0], &two[1])).sum(),
            (curve, method) => pairs
                .map(|two| {
                    let ((x0, y0), (x1, y1)) = (two[0].on(curve), two[1].on(curve));
                    let height = match method {
                        Summation::Interpolation => (y0 + y1) / 2.0,
                        Summation::Majoring => y0.max(y1),
                        Summation::Minoring => y0.min(y1),
                    };
                    (x0 - x1) * height
                })
                .sum(),
        }
    }
}

/// The counts at one threshold.
struct Point {
    true_positives: f64,
    false_positives: f64,
    true_negatives: f64,
    false_negatives: f64,
}

impl Point {
    /// Where the curve is at this threshold.
    fn on(&self, curve: Curve) -> (f64, f64) {
        let (tp, fp) = (self.true_positives, self.false_positives);
        let (tn, fn_) = (self.true_negatives, self.false_negatives);
        let recall = share(tp, tp + fn_);
        match curve {
            Curve::Roc => (share(fp, fp + tn), recall),
            Curve::Pr => (recall, share(tp, tp + fp)),
            Curve::PrGain if tp == 0.0 => (0.0, 1.0),
            Curve::PrGain => {
                let odds = share(tp + fn_, tn + fp);
                ((1.0 - odds * fn_ / tp).max(0.0), 1.0 - odds * fp / tp)
            }
        }
    }
}

/// The area under precision over recall between two thresholds, where true positives grow linearly with all positives.
fn interpolated(low: &Point, high: &Point) -> f64 {
    let (p_low, p_high) = (
        low.true_positives + low.false_positives,
        high.true_positives + high.false_positives,
    );
    let more = low.true_positives - high.true_positives;
    let slope = share(more, (p_low - p_high).max(0.0));
    let intercept = high.true_positives - slope * p_high;
    let ratio = if p_low > 0.0 && p_high > 0.0 {
        p_low / p_high
    } else {
        1.0
    };
    let area = slope * (more + intercept * ratio.ln());
    share(area, (high.true_positives + high.false_negatives).max(0.0))
}

impl Metric for Auc {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn update(&mut self, outputs: &Tensor, targets: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let mut scores = Scores::of(self.config.class.name(), outputs, targets, sample_weight)?;
        if self.options.from_logits {
            scores.sigmoid();
        }
        let counts = if self.options.multi_label {
            if scores.rank() != 2 {
                return Err(Error::Option {
                    option: "the rank of the outputs of a multi_label AUC",
                    expected: "2, (batch, labels)",
                    found: scores.rank().to_string(),
                });
            }
            limit(self.cuts.len().saturating_mul(scores.columns()))?;
            let shape = [self.cuts.len(), scores.columns()];
            self.state.iter_mut().try_for_each(|variable| variable.ensure(&shape))?;
            scores.count_columns(&self.cuts)
        } else {
            if let Some(weights) = &self.options.label_weights {
                scores.weigh_columns(weights)?;
            }
            scores.count(&self.cuts, None)?
        };
        for (variable, (_, count)) in self.state.iter_mut().zip(counts.named()) {
            variable.add(count);
        }
        Ok(())
    }

    fn values(&self) -> Vec<f64> {
        if !self.options.multi_label {
            return vec![self.area(0, 1)];
        }
        let columns = self.state[0].shape.get(1).copied().unwrap_or(0);
        let areas: Vec<f64> = (0..columns).map(|column| self.area(column, columns)).collect();
        let weights = self.options.label_weights.clone().unwrap_or_else(|| vec![1.0; columns]);
        let weighted: f64 = areas.iter().zip(&weights).map(|(area, weight)| area * weight).sum();
        vec![share(weighted, weights.iter().sum())]
    }

    fn state(&self) -> &[Variable] {
        &self.state
    }

    fn state_mut(&mut self) -> &mut [Variable] {
        &mut self.state
    }

    fn config(&self) -> Value {
        self.config.to_keras()
    }
}
