//! F scores.

use candle_core::Tensor;
use kernels::losses::EPSILON;
use serde_json::Value;

use super::class::Average;
use super::numbers::{Numbers, pair, rows, weights_for};
use super::{Metric, MetricConfig, Variable};
use crate::{Error, Result};

/// Weighted harmonic mean of precision and recall, for each class or averaged.
pub(super) struct FScore {
    config: MetricConfig,
    average: Option<Average>,
    beta: f64,
    threshold: Option<f64>,
    state: Vec<Variable>,
}

impl FScore {
    pub(super) fn new(
        config: MetricConfig,
        average: Option<Average>,
        beta: f64,
        threshold: Option<f64>,
    ) -> Result<Self> {
        let refuse = |option, expected, found: f64| {
            Err(Error::Option {
                option,
                expected,
                found: found.to_string(),
            })
        };
        if !(beta > 0.0 && beta.is_finite()) {
            return refuse("beta", "above 0", beta);
        }
        if let Some(threshold) = threshold.filter(|threshold| !(*threshold > 0.0 && *threshold <= 1.0)) {
            return refuse("threshold", "above 0 and at most 1", threshold);
        }
        // All classes are counted together, or the first batch tells how many there are.
        let shape: &[usize] = if average == Some(Average::Micro) { &[] } else { &[0] };
        let names = [
            "true_positives",
            "false_positives",
            "false_negatives",
            "intermediate_weights",
        ];
        Ok(FScore {
            config,
            average,
            beta,
            threshold,
            state: names.iter().map(|name| Variable::zeros(name, shape)).collect(),
        })
    }

    fn chosen(&self, row: &[f64]) -> Vec<bool> {
        match self.threshold {
            Some(threshold) => row.iter().map(|&score| score as f32 > threshold as f32).collect(),
            None => {
                let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                row.iter()
                    .map(|&score| score >= largest && score.abs() > 1e-9)
                    .collect()
            }
        }
    }
}

impl Metric for FScore {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn update(&mut self, outputs: &Tensor, targets: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let op = self.config.class.name();
        let (outputs, targets) = pair(op, outputs, targets)?;
        let (batch, classes) = rows(op, &outputs)?;
        let together = self.average == Some(Average::Micro);
        if !together {
            self.state
                .iter_mut()
                .try_for_each(|variable| variable.ensure(&[classes]))?;
        }
        let weights = match sample_weight {
            Some(weights) => weights_for(&[batch], weights)?,
            None => vec![1.0; batch],
        };
        let (scores, wanted) = (Numbers::of(&outputs)?, Numbers::of(&targets)?);
        let rows = scores.data.chunks_exact(classes).zip(wanted.data.chunks_exact(classes));
        for ((scores, wanted), weight) in rows.zip(weights) {
            for (class, (found, wanted)) in self.chosen(scores).into_iter().zip(wanted).enumerate() {
                let found = f64::from(u8::from(found));
                let counts = [found * wanted, found * (1.0 - wanted), (1.0 - found) * wanted, *wanted];
                let place = if together { 0 } else { class };
                for (variable, count) in self.state.iter_mut().zip(counts) {
                    variable.values[place] += count * weight;
                }
            }
        }
        Ok(())
    }

    fn values(&self) -> Vec<f64> {
        let [tp, fp, fn_, weights] = [0, 1, 2, 3].map(|which| &self.state[which].values);
        let square = self.beta * self.beta;
        let score = |class: usize| {
            let precision = tp[class] / (tp[class] + fp[class] + EPSILON);
            let recall = tp[class] / (tp[class] + fn_[class] + EPSILON);
            (1.0 + square) * precision * recall / (square * precision + recall + EPSILON)
        };
        let scores: Vec<f64> = (0..tp.len()).map(score).collect();
        match self.average {
            None => scores,
            _ if scores.is_empty() => vec![0.0],
            Some(Average::Weighted) => {
                let all = weights.iter().sum::<f64>() + EPSILON;
                vec![
                    scores
                        .iter()
                        .zip(weights)
                        .map(|(score, weight)| score * weight / all)
                        .sum(),
                ]
            }
            Some(Average::Macro | Average::Micro) => vec![scores.iter().sum::<f64>() / scores.len() as f64],
        }
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
