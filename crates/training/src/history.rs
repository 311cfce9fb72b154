//! What training leaves behind: one record an epoch, and where an epoch that was interrupted stands.

use std::collections::BTreeSet;

use candle_core::Tensor;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::metrics::Variable;

/// The figures of one epoch, with Keras' names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Mean loss over the training samples, measured while training (so with dropout, and before each update).
    pub loss: f64,
    /// Share of training samples that were classified right, measured while training; in `[0, 1]`. NaN, and left out of
    /// [`EpochRecord::logs`], where the targets are not class labels.
    #[serde(skip_serializing_if = "is_nan", default = "nan")]
    pub accuracy: f64,
    /// Mean loss over the validation samples after the epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub val_loss: Option<f64>,
    /// Share of validation samples that were classified right after the epoch; in `[0, 1]`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub val_accuracy: Option<f64>,
    /// Learning rate at the end of the epoch.
    pub learning_rate: f64,
    /// The metrics of [`crate::Trainer::metrics`] by name, and behind `val_` those of the validation samples.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub metrics: IndexMap<String, f64>,
}

fn is_nan(value: &f64) -> bool {
    value.is_nan()
}

fn nan() -> f64 {
    f64::NAN
}

impl EpochRecord {
    /// All figures by Keras' names: `loss`, `accuracy`, the metrics, `val_loss`, `val_accuracy`, the validation metrics,
    /// `learning_rate`.
    pub fn logs(&self) -> IndexMap<&str, f64> {
        let mut logs = IndexMap::from([("loss", self.loss)]);
        if !self.accuracy.is_nan() {
            logs.insert("accuracy", self.accuracy);
        }
        let validation = |name: &str| name.starts_with("val_");
        let metrics = || self.metrics.iter().map(|(name, &value)| (name.as_str(), value));
        logs.extend(metrics().filter(|(name, _)| !validation(name)));
        logs.extend(self.val_loss.map(|value| ("val_loss", value)));
        logs.extend(self.val_accuracy.map(|value| ("val_accuracy", value)));
        logs.extend(metrics().filter(|(name, _)| validation(name)));
        logs.insert("learning_rate", self.learning_rate);
        logs
    }

    /// The figure of this name, where the epoch has it.
    ///
    /// ```
    /// # let record = training::EpochRecord {
    /// #     epoch: 1, loss: 0.5, accuracy: 0.9, val_loss: None, val_accuracy: None, learning_rate: 0.1,
    /// #     metrics: Default::default(),
    /// # };
    /// assert_eq!(record.get("accuracy"), Some(0.9));
    /// assert_eq!(record.get("val_loss"), None);
    /// ```
    pub fn get(&self, name: &str) -> Option<f64> {
        self.logs().get(name).copied()
    }
}

/// Equal to the bit: a figure that is not a number equals itself.
impl PartialEq for EpochRecord {
    fn eq(&self, other: &Self) -> bool {
        let bits = |record: &EpochRecord| -> Vec<(String, u64)> {
            let logs = record.logs();
            logs.into_iter()
                .map(|(name, value)| (name.to_string(), value.to_bits()))
                .collect()
        };
        self.epoch == other.epoch && bits(self) == bits(other)
    }
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// All epochs were run.
    #[default]
    Finished,
    /// A callback asked for it.
    Callback,
    /// The interrupt flag was set (Ctrl-C).
    Interrupted,
    /// The loss was not finite, and [`crate::callbacks::TerminateOnNan`] took that for an end instead of an error.
    NonFiniteLoss,
}

/// Which weights a network holds at the end of a training, or in the file of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Those that the last step made.
    #[default]
    Last,
    /// The optimizer's moving averages; the optimizer holds those of the last step in their place.
    Averages,
    /// Those of an earlier epoch, which a callback brought back: training does not go on exactly from here.
    Restored,
}

/// Where an epoch that was interrupted stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Steps that are done.
    pub step: usize,
    /// Samples that were seen.
    pub samples: usize,
    /// Sum of the loss over these samples.
    pub loss_sum: f64,
    /// How many of them were classified right.
    pub right: u64,
    /// Wall-clock seconds so far.
    pub seconds: f64,
    /// Sums of the metrics, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Vec<Variable>>,
}

/// What a callback remembers, for a training that goes on later.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CallbackState {
    /// Name of the kind of callback; of the second one of a kind with `_2` behind it.
    pub key: String,
    /// Counters and the like.
    pub values: Value,
    /// Tensors such as the best weights; a file keeps them beside the weights.
    #[serde(skip)]
    pub tensors: Vec<(String, Tensor)>,
}

/// Compares the values, of the tensors only the names.
impl PartialEq for CallbackState {
    fn eq(&self, other: &Self) -> bool {
        let names = |state: &CallbackState| {
            state
                .tensors
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<BTreeSet<_>>()
        };
        self.key == other.key && self.values == other.values && names(self) == names(other)
    }
}

/// The records of all epochs, and all else that a training needs to go on, besides weights and optimizer.
///
/// The seconds are kept apart, because everything else is a function of the seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// One record an epoch, in order.
    pub epochs: Vec<EpochRecord>,
    /// Wall-clock seconds of each epoch.
    pub seconds: Vec<f64>,
    /// Why training ended.
    pub stopped: StopReason,
    /// Where the epoch in progress stands, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Which weights the network holds.
    #[serde(default, skip_serializing_if = "is_last")]
    pub held: Held,
    /// What the callbacks remember.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callbacks: Vec<CallbackState>,
}

fn is_last(held: &Held) -> bool {
    *held == Held::Last
}

impl History {
    /// The curve of one quantity over the epochs; epochs without it are left out.
    ///
    /// ```
    /// let history = training::History::default();
    /// assert!(history.curve(|record| record.val_loss).is_empty());
    /// ```
    pub fn curve(&self, value: impl Fn(&EpochRecord) -> Option<f64>) -> Vec<(f64, f64)> {
        self.epochs
            .iter()
            .filter_map(|record| Some((record.epoch as f64, value(record)?)))
            .collect()
    }

    /// The values of one figure by name (`history.history["val_loss"]` in Keras); epochs without it are left out.
    pub fn get(&self, name: &str) -> Vec<f64> {
        self.epochs.iter().filter_map(|record| record.get(name)).collect()
    }

    /// The first epoch whose `value` reaches `target` (is at least as large), counted from 1.
    pub fn first_epoch_at_least(&self, target: f64, value: impl Fn(&EpochRecord) -> Option<f64>) -> Option<usize> {
        self.epochs
            .iter()
            .find(|record| value(record).is_some_and(|found| found >= target))
            .map(|record| record.epoch)
    }

    /// The last record.
    pub fn last(&self) -> Option<&EpochRecord> {
        self.epochs.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let record = |epoch: usize, accuracy: f64| EpochRecord {
            epoch,
            loss: 1.0 / epoch as f64,
            accuracy,
            val_loss: None,
            val_accuracy: (epoch > 1).then_some(accuracy),
            learning_rate: 0.01,
            metrics: IndexMap::from([("val_auc".to_string(), 0.25), ("auc".to_string(), 0.5)]),
        };
        History {
            epochs: vec![record(1, 0.5), record(2, 0.9), record(3, 0.8), record(4, f64::NAN)],
            position: Some(Position {
                loss_sum: 0.1 + 0.2,
                metrics: vec![vec![Variable {
                    name: "total".to_string(),
                    shape: Vec::new(),
                    values: vec![1.0 / 3.0],
                }]],
                ..Position::default()
            }),
            ..History::default()
        }
    }

    #[test]
    fn curves_leave_out_epochs_without_the_value() {
        assert_eq!(history().curve(|r| r.val_accuracy)[..2], [(2.0, 0.9), (3.0, 0.8)]);
        assert_eq!(history().get("accuracy"), [0.5, 0.9, 0.8]);
    }

    #[test]
    fn the_first_epoch_that_reaches_a_target_is_found() {
        assert_eq!(history().first_epoch_at_least(0.8, |r| Some(r.accuracy)), Some(2));
        assert_eq!(history().first_epoch_at_least(0.95, |r| Some(r.accuracy)), None);
    }

    #[test]
    fn logs_have_keras_names_and_order() {
        let history = history();
        let names: Vec<&str> = history.epochs[1].logs().into_keys().collect();
        assert_eq!(
            names,
            ["loss", "accuracy", "auc", "val_accuracy", "val_auc", "learning_rate"]
        );
    }

    #[test]
    fn a_history_survives_json() {
        let mut history = history();
        history.epochs[3].val_accuracy = None;
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
        // Files of the first version have fewer fields.
        let old = r#"{"epochs": [], "seconds": [], "stopped": "finished"}"#;
        assert_eq!(serde_json::from_str::<History>(old).unwrap(), History::default());
    }
}
