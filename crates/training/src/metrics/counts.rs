//! Precision, recall, and the counts that they are made of.

use candle_core::Tensor;
use serde_json::Value;

use super::class::Thresholds;
use super::thresholds::{Cuts, Scores};
use super::{Metric, MetricConfig, Variable, share};
use crate::Result;

/// What becomes of the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// The first count divided by the sum of both.
    Share([&'static str; 2]),
    /// The count itself, which Keras calls `accumulator`.
    Number(&'static str),
}

/// A figure at each threshold.
pub(super) struct AtThresholds {
    config: MetricConfig,
    figure: Figure,
    cuts: Cuts,
    top_k: Option<usize>,
    class_id: Option<usize>,
    state: Vec<Variable>,
}

impl AtThresholds {
    pub(super) fn new(
        config: MetricConfig,
        figure: Figure,
        thresholds: &Option<Thresholds>,
        top_k: Option<usize>,
        class_id: Option<usize>,
    ) -> Result<Self> {
        let cuts = Cuts::of(thresholds, top_k)?;
        let zeros = |name| Variable::zeros(name, &[cuts.len()]);
        let state = match figure {
            Figure::Share(names) => names.into_iter().map(zeros).collect(),
            Figure::Number(_) => vec![zeros("accumulator")],
        };
        Ok(AtThresholds {
            config,
            figure,
            cuts,
            top_k,
            class_id,
            state,
        })
    }
}

impl Metric for AtThresholds {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn update(&mut self, outputs: &Tensor, targets: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let mut scores = Scores::of(self.config.class.name(), outputs, targets, sample_weight)?;
        if let Some(k) = self.top_k {
            scores.keep_top(k)?;
        }
        let counts = scores.count(&self.cuts, self.class_id)?.named();
        for variable in &mut self.state {
            let wanted = match self.figure {
                Figure::Number(name) => name,
                Figure::Share(_) => variable.name.as_str(),
            };
            if let Some((_, count)) = counts.iter().find(|(name, _)| *name == wanted) {
                variable.add(count.iter().copied());
            }
        }
        Ok(())
    }

    fn values(&self) -> Vec<f64> {
        match self.state.as_slice() {
            [part, rest] => part
                .values
                .iter()
                .zip(&rest.values)
                .map(|(part, rest)| share(*part, part + rest))
                .collect(),
            state => state.iter().flat_map(|variable| variable.values.clone()).collect(),
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
