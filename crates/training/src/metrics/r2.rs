//! The share of the targets' variance that the outputs explain.

use candle_core::Tensor;
use kernels::losses::same_rank;
use serde_json::Value;

use super::class::R2Average;
use super::numbers::{Numbers, rows, same_shape, weights_for};
use super::{Metric, MetricConfig, Variable};
use crate::Result;

/// $R^2 = 1 - \sum w (t - p)^2 / (\sum w t^2 - (\sum w t)^2 / \sum w)$ of each output.
pub(super) struct R2 {
    config: MetricConfig,
    aggregation: Option<R2Average>,
    num_regressors: usize,
    /// Number of samples; sums of squares, values, squared errors and weights of each output.
    state: Vec<Variable>,
}

impl R2 {
    pub(super) fn new(config: MetricConfig, aggregation: Option<R2Average>, num_regressors: usize) -> Self {
        let mut state = vec![Variable::zeros("num_samples", &[])];
        let sums = ["squared_sum", "sum", "residual", "count"];
        state.extend(sums.iter().map(|name| Variable::zeros(name, &[0])));
        R2 {
            config,
            aggregation,
            num_regressors,
            state,
        }
    }

    /// With explaining variables, less for each of them.
    fn adjusted(&self, score: f64) -> f64 {
        let (samples, regressors) = (self.state[0].values[0], self.num_regressors as f64);
        if regressors == 0.0 || regressors >= samples - 1.0 {
            return score;
        }
        1.0 - (1.0 - score) * (samples - 1.0) / (samples - regressors - 1.0)
    }
}

impl Metric for R2 {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn update(&mut self, outputs: &Tensor, targets: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        const OP: &str = "r2_score";
        let (outputs, targets) = same_rank(outputs, targets)?;
        let (_, columns) = rows(OP, &outputs)?;
        same_shape(OP, &outputs, &targets)?;
        self.state[1..]
            .iter_mut()
            .try_for_each(|variable| variable.ensure(&[columns]))?;
        let weights = sample_weight
            .map(|weights| weights_for(outputs.dims(), weights))
            .transpose()?;
        let (outputs, targets) = (Numbers::of(&outputs)?, Numbers::of(&targets)?);
        for (i, (output, target)) in outputs.data.iter().zip(&targets.data).enumerate() {
            let weight = weights.as_ref().map_or(1.0, |weights| weights[i]);
            let terms = [
                target * target * weight,
                target * weight,
                (target - output).powi(2) * weight,
                weight,
            ];
            for (variable, term) in self.state[1..].iter_mut().zip(terms) {
                variable.values[i % columns] += term;
            }
        }
        // Keras counts every number, not every row.
        self.state[0].add([targets.data.len() as f64]);
        Ok(())
    }

    fn values(&self) -> Vec<f64> {
        let [squares, sum, residual, count] = [1, 2, 3, 4].map(|which| &self.state[which].values);
        let totals: Vec<f64> = (0..sum.len())
            .map(|i| squares[i] - sum[i] * (sum[i] / count[i]))
            .collect();
        let score = |i: usize| {
            let score = 1.0 - residual[i] / totals[i];
            if score.is_infinite() { 0.0 } else { score }
        };
        let scores: Vec<f64> = (0..sum.len()).map(score).collect();
        let score = match self.aggregation {
            None => return scores.into_iter().map(|score| self.adjusted(score)).collect(),
            _ if scores.is_empty() => return vec![0.0],
            Some(R2Average::UniformAverage) => scores.iter().sum::<f64>() / scores.len() as f64,
            Some(R2Average::VarianceWeightedAverage) => {
                let weighted = scores.iter().zip(&totals).map(|(score, total)| score * total);
                weighted.sum::<f64>() / totals.iter().sum::<f64>()
            }
        };
        vec![self.adjusted(score)]
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
