//! Metrics that add up one number a sample.

use candle_core::Tensor;
use serde_json::Value;

use super::numbers::{Numbers, Within, samplewise, weights_for};
use super::{Metric, MetricClass, MetricConfig, Variable, accuracy, share};
use crate::Result;

/// Numbers with the samples along the first axis, from outputs and targets.
pub(super) type SampleValues = Box<dyn Fn(&Tensor, &Tensor) -> Result<Numbers> + Send>;

/// The mean of one number a sample, or their sum.
pub(super) struct OverSamples {
    config: MetricConfig,
    sample_values: SampleValues,
    state: Vec<Variable>,
}

impl OverSamples {
    pub(super) fn new(config: MetricConfig, sample_values: SampleValues) -> Self {
        let mut state = vec![Variable::zeros("total", &[])];
        if config.class != MetricClass::Sum {
            state.push(Variable::zeros("count", &[]));
        }
        OverSamples {
            config,
            sample_values,
            state,
        }
    }
}

impl Metric for OverSamples {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn update(&mut self, outputs: &Tensor, targets: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let values = (self.sample_values)(outputs, targets)?;
        let masked = match (ignored(&self.config.class), sample_weight) {
            // Keras leaves ignored samples out only where there are weights; without, they count with a loss of 0.
            (Some(ignored), Some(weights)) => Some(without(ignored, &values, targets, weights)?),
            _ => None,
        };
        add(&mut self.state, values, masked.as_ref().or(sample_weight))
    }

    fn values(&self) -> Vec<f64> {
        let total = self.state[0].values[0];
        vec![match (&self.config.class, self.state.get(1)) {
            (_, None) => total,
            (MetricClass::RootMeanSquaredError, Some(count)) => share(total, count.values[0]).sqrt(),
            (_, Some(count)) => share(total, count.values[0]),
        }]
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

/// Accuracy of the kind that fits the shapes of outputs and targets.
pub(super) struct AccuracyByShape {
    name: String,
    state: Vec<Variable>,
}

impl AccuracyByShape {
    pub(super) fn new(name: &str) -> Self {
        AccuracyByShape {
            name: name.to_owned(),
            state: vec![Variable::zeros("total", &[]), Variable::zeros("count", &[])],
        }
    }
}

impl Metric for AccuracyByShape {
    fn name(&self) -> &str {
        &self.name
    }

    fn update(&mut self, outputs: &Tensor, targets: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        add(&mut self.state, accuracy::by_shape(outputs, targets)?, sample_weight)
    }

    fn values(&self) -> Vec<f64> {
        vec![share(self.state[0].values[0], self.state[1].values[0])]
    }

    fn state(&self) -> &[Variable] {
        &self.state
    }

    fn state_mut(&mut self) -> &mut [Variable] {
        &mut self.state
    }

    fn config(&self) -> Value {
        Value::String(self.name.clone())
    }
}

fn add(state: &mut [Variable], values: Numbers, weights: Option<&Tensor>) -> Result<()> {
    let within = if state.len() == 1 { Within::Sum } else { Within::Mean };
    let (values, weights) = samplewise(values, weights, within)?;
    let count = weights.map_or(values.len() as f64, |weights| weights.iter().sum());
    state[0].add([values.iter().sum()]);
    if let Some(variable) = state.get_mut(1) {
        variable.add([count]);
    }
    Ok(())
}

fn ignored(class: &MetricClass) -> Option<i64> {
    match class {
        MetricClass::SparseCategoricalCrossentropy { ignore_class, .. } => *ignore_class,
        _ => None,
    }
}

/// Weights that are 0 where the label is ignored.
fn without(ignored: i64, values: &Numbers, targets: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let mut kept = weights_for(&values.shape, weights)?;
    for (weight, label) in kept.iter_mut().zip(Numbers::of(targets)?.data) {
        if label == ignored as f64 {
            *weight = 0.0;
        }
    }
    Ok(Tensor::from_vec(kept, values.shape.as_slice(), weights.device())?)
}
