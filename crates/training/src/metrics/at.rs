//! The best of one figure where another is good enough.

use candle_core::Tensor;
use serde_json::Value;

use super::thresholds::{Counts, Cuts, Scores};
use super::{Metric, MetricConfig, Variable, share};
use crate::{Error, Result};

/// A figure that a threshold makes, as the counts that it divides: the first one by the sum of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    Recall,
    Specificity,
    Precision,
}

impl Rate {
    fn of(self, state: &[Variable], threshold: usize) -> f64 {
        // True positives, false positives, true negatives, false negatives.
        let (part, rest) = match self {
            Rate::Recall => (0, 3),
            Rate::Specificity => (2, 1),
            Rate::Precision => (0, 1),
        };
        let (part, rest) = (state[part].values[threshold], state[rest].values[threshold]);
        share(part, part + rest)
    }
}

/// The best of one rate over the thresholds where another one is at least a bound; 0 where it never is.
pub(super) struct BestWhere {
    config: MetricConfig,
    best: Rate,
    bounded: Rate,
    bound: f64,
    cuts: Cuts,
    class_id: Option<usize>,
    state: Vec<Variable>,
}

impl BestWhere {
    pub(super) fn new(
        config: MetricConfig,
        best: Rate,
        (bounded, option, bound): (Rate, &'static str, f64),
        num_thresholds: usize,
        class_id: Option<usize>,
    ) -> Result<Self> {
        if !(0.0..=1.0).contains(&bound) {
            return Err(Error::Option {
                option,
                expected: "from 0 to 1",
                found: bound.to_string(),
            });
        }
        let cuts = Cuts::steps(num_thresholds)?;
        Ok(BestWhere {
            config,
            best,
            bounded,
            bound,
            class_id,
            state: Counts::variables(&[cuts.len()]),
            cuts,
        })
    }
}

impl Metric for BestWhere {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn update(&mut self, outputs: &Tensor, targets: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let scores = Scores::of(self.config.class.name(), outputs, targets, sample_weight)?;
        let counts = scores.count(&self.cuts, self.class_id)?.named();
        for (variable, (_, count)) in self.state.iter_mut().zip(counts) {
            variable.add(count);
        }
        Ok(())
    }

    fn values(&self) -> Vec<f64> {
        let feasible = (0..self.cuts.len()).filter(|&i| self.bounded.of(&self.state, i) >= self.bound);
        vec![feasible.map(|i| self.best.of(&self.state, i)).fold(0.0, f64::max)]
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
