//! Intersection over union: the shared part of two areas.

use candle_core::Tensor;
use kernels::losses::EPSILON;
use serde_json::Value;

use super::numbers::{Numbers, arg_max, axis_last, weights_for};
use super::{ConfusionMatrix, Metric, MetricConfig, Variable};
use crate::{Error, Result};

/// The most classes that are counted, whose matrix takes 128 MiB.
const MOST_CLASSES: usize = 4096;

/// How outputs or targets become class numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Classes {
    /// They are class numbers.
    Given,
    /// The place of the largest number along an axis.
    Largest(i64),
    /// 1 from a threshold on, 0 below.
    From(f64),
}

impl Classes {
    fn of(self, op: &'static str, tensor: &Tensor) -> Result<Numbers> {
        match self {
            Classes::Given => Numbers::of(tensor),
            Classes::Largest(axis) => {
                Ok(Numbers::of(&axis_last(op, tensor, axis)?)?.per_row(|row| arg_max(row) as f64))
            }
            Classes::From(threshold) => {
                let mut numbers = Numbers::of(tensor)?;
                for value in &mut numbers.data {
                    *value = f64::from(u8::from(*value as f32 >= threshold as f32));
                }
                Ok(numbers)
            }
        }
    }
}

/// What the members of the family differ in.
pub(super) struct Options {
    pub(super) num_classes: usize,
    /// The classes that count; `None` for all.
    pub(super) target_class_ids: Option<Vec<usize>>,
    pub(super) ignore_class: Option<i64>,
    pub(super) targets: Classes,
    pub(super) outputs: Classes,
}

/// The mean over some classes of intersection over union, from a confusion matrix.
pub(super) struct Intersection {
    config: MetricConfig,
    options: Options,
    targeted: Vec<usize>,
    state: Vec<Variable>,
}

impl Intersection {
    pub(super) fn new(config: MetricConfig, options: Options) -> Result<Self> {
        let classes = options.num_classes;
        if classes == 0 || classes > MOST_CLASSES {
            return Err(Error::Option {
                option: "num_classes",
                expected: "from 1 to 4096",
                found: classes.to_string(),
            });
        }
        let targeted = options
            .target_class_ids
            .clone()
            .unwrap_or_else(|| (0..classes).collect());
        if targeted.iter().any(|&class| class >= classes) || targeted.is_empty() {
            return Err(Error::Option {
                option: "target_class_ids",
                expected: "classes below num_classes, at least one",
                found: format!("{targeted:?} of {classes}"),
            });
        }
        Ok(Intersection {
            config,
            targeted,
            options,
            state: vec![Variable::zeros("total_confusion_matrix", &[classes, classes])],
        })
    }
}

impl Metric for Intersection {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn update(&mut self, outputs: &Tensor, targets: &Tensor, sample_weight: Option<&Tensor>) -> Result<()> {
        let op = self.config.class.name();
        let wanted = self.options.targets.of(op, targets)?;
        let found = self.options.outputs.of(op, outputs)?;
        if wanted.data.len() != found.data.len() {
            return Err(Error::Kernel(kernels::Error::Shape {
                op,
                argument: "targets",
                expected: format!("{:?}, one class for each of the outputs", found.shape),
                found: wanted.shape,
            }));
        }
        let weights = sample_weight
            .map(|weights| weights_for(&wanted.shape, weights))
            .transpose()?;
        // Keras keeps whole numbers unless the metric's type says otherwise, and cuts fractions of weights off.
        let whole = !self.config.dtype.contains("float");
        let classes = 0.0..self.options.num_classes as f64;
        for (i, (wanted, found)) in wanted.data.iter().zip(&found.data).enumerate() {
            let (wanted, found) = (wanted.trunc(), found.trunc());
            let ignored = self.options.ignore_class.is_some_and(|class| wanted == class as f64);
            if ignored || !classes.contains(&wanted) || !classes.contains(&found) {
                continue;
            }
            let weight = weights.as_ref().map_or(1.0, |weights| weights[i]);
            let place = wanted as usize * self.options.num_classes + found as usize;
            self.state[0].values[place] += if whole { weight.trunc() } else { weight };
        }
        Ok(())
    }

    fn values(&self) -> Vec<f64> {
        let matrix = ConfusionMatrix::from_counts(self.options.num_classes, self.state[0].values.clone());
        let unions = self.targeted.iter().map(|&class| matrix.areas(class));
        let shares: Vec<f64> = unions
            .filter(|(_, union)| *union > 1e-9)
            .map(|(intersection, union)| intersection / (union + EPSILON))
            .collect();
        vec![shares.iter().sum::<f64>() / (shares.len() as f64 + EPSILON)]
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
