//! What training leaves behind: one record an epoch.

use serde::{Deserialize, Serialize};

/// The figures of one epoch, with Keras' names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Mean loss over the training samples, measured while training (so with dropout, and before each update).
    pub loss: f64,
    /// Share of training samples that were classified right, measured while training; in `[0, 1]`.
    pub accuracy: f64,
    /// Mean loss over the validation samples after the epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub val_loss: Option<f64>,
    /// Share of validation samples that were classified right after the epoch; in `[0, 1]`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub val_accuracy: Option<f64>,
    /// Learning rate at the end of the epoch.
    pub learning_rate: f64,
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
}

/// The records of all epochs, and the seconds that each took.
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
        };
        History {
            epochs: vec![record(1, 0.5), record(2, 0.9), record(3, 0.8)],
            ..History::default()
        }
    }

    #[test]
    fn curves_leave_out_epochs_without_the_value() {
        assert_eq!(history().curve(|r| r.val_accuracy), vec![(2.0, 0.9), (3.0, 0.8)]);
    }

    #[test]
    fn the_first_epoch_that_reaches_a_target_is_found() {
        assert_eq!(history().first_epoch_at_least(0.8, |r| Some(r.accuracy)), Some(2));
        assert_eq!(history().first_epoch_at_least(0.95, |r| Some(r.accuracy)), None);
    }

    #[test]
    fn a_history_survives_json() {
        let text = serde_json::to_string(&history()).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history());
    }
}
