//! Keeping models on the way: the best one, or one every so often.

use std::path::PathBuf;

use candle_core::DType;
use persistence::{Contents, Metadata, Precision};
use serde::{Deserialize, Serialize};

use super::{Callback, Control, EpochEnd, Moment, Monitor, SavePoint, TrainBegin};
use crate::{CallbackState, EpochRecord, Error, Result};

/// When a model is saved (Keras' `save_freq`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frequency {
    Epochs(usize),
    Steps(usize),
}

/// Saves the model, for use and not for going on with the training ([`crate::Checkpoint`] does that):
/// `keras.callbacks.ModelCheckpoint`.
///
/// The name of the file may hold `{epoch}` and figures of the epoch, with digits as in Python: `{epoch:02}`,
/// `{val_loss:.4}`.
///
/// ```no_run
/// use persistence::Metadata;
/// use training::callbacks::{ModelCheckpoint, Monitor};
///
/// let mut best = ModelCheckpoint::new("best.safetensors", Metadata::default()).save_best_only(Monitor::new("val_accuracy"));
/// let mut all = ModelCheckpoint::new("{epoch:02}-{val_loss:.2}.safetensors", Metadata::default());
/// # let _: [&mut dyn training::Callback; 2] = [&mut best, &mut all];
/// ```
#[derive(Debug)]
pub struct ModelCheckpoint {
    name: Name,
    metadata: Metadata,
    frequency: Frequency,
    best_only: Option<Monitor>,
    memory: Memory,
    /// Whether the epoch that ended is to be saved.
    due: bool,
}

/// Where models are saved.
#[derive(Debug)]
enum Name {
    Pattern(String),
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Memory {
    best: Option<f64>,
}

impl ModelCheckpoint {
    /// Saves after every epoch to a file whose name has figures of the epoch in the place of `{…}` and ends in
    /// `.safetensors`; `metadata` names the classes and the data.
    pub fn new(pattern: impl Into<String>, metadata: Metadata) -> Self {
        ModelCheckpoint::named(Name::Pattern(pattern.into()), metadata)
    }

    /// Saves after every epoch to this file, whatever signs its name has.
    pub fn at(file: impl Into<PathBuf>, metadata: Metadata) -> Self {
        ModelCheckpoint::named(Name::File(file.into()), metadata)
    }

    fn named(name: Name, metadata: Metadata) -> Self {
        ModelCheckpoint {
            name,
            metadata,
            frequency: Frequency::Epochs(1),
            best_only: None,
            memory: Memory::default(),
            due: false,
        }
    }

    /// Saves only where the monitored figure has become better.
    pub fn save_best_only(mut self, monitor: Monitor) -> Self {
        self.best_only = Some(monitor);
        self
    }

    /// A value that the figure must beat before anything is saved (Keras' `initial_value_threshold`).
    pub fn initial_value_threshold(mut self, value: f64) -> Self {
        self.memory.best = Some(value);
        self
    }

    /// Saves every so many epochs.
    pub fn every_epochs(mut self, epochs: usize) -> Self {
        self.frequency = Frequency::Epochs(epochs);
        self
    }

    /// Saves every so many steps, counted through all epochs; names of files then have no figures but `{epoch}` and `{step}`.
    pub fn every_steps(mut self, steps: usize) -> Self {
        self.frequency = Frequency::Steps(steps);
        self
    }

    fn save(&self, point: &SavePoint<'_>, figures: &dyn Fn(&str) -> Option<f64>) -> Result<()> {
        let path = match &self.name {
            Name::Pattern(pattern) => PathBuf::from(file_name(pattern, figures)?),
            Name::File(file) => file.clone(),
        };
        let contents = Contents {
            network: point.network,
            optimizer: None,
            metadata: &self.metadata,
        };
        let precision = match point.network.dtype() {
            DType::F64 => Precision::F64,
            _ => Precision::F32,
        };
        persistence::save(&path, &contents, precision)?;
        Ok(())
    }
}

/// `pattern` with figures in the place of their names.
fn file_name(pattern: &str, figures: &dyn Fn(&str) -> Option<f64>) -> Result<String> {
    let refused = |found: &str| Error::Option {
        option: "path of the model checkpoint",
        expected: "a name with figures of the epoch such as {epoch:02} or {val_loss:.4}",
        found: format!("'{found}' in '{pattern}'"),
    };
    let mut name = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (field, behind) = after.split_once('}').ok_or_else(|| refused(after))?;
        let (key, format) = field.split_once(':').unwrap_or((field, ""));
        let value = figures(key).ok_or_else(|| refused(field))?;
        name += before;
        let format = format.trim_end_matches(['d', 'f']);
        if key == "epoch" || key == "step" {
            let width: usize = if format.is_empty() {
                0
            } else {
                format.parse().map_err(|_| refused(field))?
            };
            name += &format!("{:0width$}", value as u64, width = width.min(20));
        } else if let Some(digits) = format.strip_prefix('.') {
            let digits: usize = digits.parse().map_err(|_| refused(field))?;
            name += &format!("{value:.digits$}", digits = digits.min(20));
        } else if format.is_empty() {
            name += &value.to_string();
        } else {
            return Err(refused(field));
        }
        rest = behind;
    }
    Ok(name + rest)
}

impl Callback for ModelCheckpoint {
    fn key(&self) -> Option<&'static str> {
        Some("model_checkpoint")
    }

    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState {
            values: serde_json::to_value(self.memory).unwrap_or_default(),
            ..CallbackState::default()
        })
    }

    fn load_state(&mut self, state: &CallbackState) -> Result<()> {
        self.memory = serde_json::from_value(state.values.clone()).map_err(|error| Error::CallbackState {
            callback: "model_checkpoint",
            reason: error.to_string(),
        })?;
        Ok(())
    }

    fn on_train_begin(&mut self, begin: &TrainBegin<'_>) -> Result<()> {
        if matches!(self.frequency, Frequency::Epochs(0) | Frequency::Steps(0)) {
            return Err(Error::Option {
                option: "save_freq",
                expected: "at least 1",
                found: "0".to_string(),
            });
        }
        self.due = false;
        match &mut self.best_only {
            Some(monitor) => monitor.begin(begin.validation),
            None => Ok(()),
        }
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> Result<Control> {
        if let Frequency::Epochs(epochs) = self.frequency {
            self.due = epoch.record.epoch.is_multiple_of(epochs);
        }
        if self.due
            && let Some(monitor) = &self.best_only
        {
            let value = monitor.value(epoch.record)?;
            self.due = match value {
                Some(value) => monitor.improves(value, self.memory.best)?,
                None => false,
            };
            if self.due {
                self.memory.best = value;
            }
        }
        Ok(Control::Continue)
    }

    fn saves(&self, moment: &Moment) -> bool {
        match (moment, self.frequency) {
            (Moment::Epoch, Frequency::Epochs(_)) => self.due,
            (Moment::Step(step), Frequency::Steps(steps)) => {
                let before = (step.epoch - 1) * step.steps;
                (before + step.step).is_multiple_of(steps)
            }
            _ => false,
        }
    }

    fn on_save(&mut self, point: &SavePoint<'_>) -> Result<()> {
        match point.moment {
            Moment::Step(step) => self.save(point, &|name| match name {
                "epoch" => Some(step.epoch as f64),
                "step" => Some(step.step as f64),
                "loss" => Some(step.loss),
                _ => None,
            }),
            _ => {
                self.due = false;
                let record: Option<&EpochRecord> = point.history.last();
                self.save(point, &|name| match name {
                    "epoch" => Some(record?.epoch as f64),
                    _ => record?.get(name),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_figures() {
        let figures = |name: &str| match name {
            "epoch" => Some(7.0),
            "val_loss" => Some(0.123_456),
            _ => None,
        };
        for (pattern, expected) in [
            ("net.safetensors", Some("net.safetensors")),
            ("{epoch:03d}-{val_loss:.2f}.x", Some("007-0.12.x")),
            ("{epoch}{epoch}", Some("77")),
            ("{val_loss}", Some("0.123456")),
            ("{accuracy}", None),
            ("{epoch", None),
            ("{val_loss:9}", None),
            ("{epoch:x}", None),
        ] {
            assert_eq!(file_name(pattern, &figures).ok().as_deref(), expected, "{pattern}");
        }
    }
}
