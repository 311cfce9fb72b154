//! The figure that decides which epoch is better.

use crate::{EpochRecord, Error, Result};

/// Whether small or large values of a figure are good (Keras' `mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// By the name of the figure: losses and errors are made small, accuracies and the like large.
    #[default]
    Auto,
    /// Small values are good.
    Min,
    /// Large values are good.
    Max,
}

/// A figure of the epochs that is watched, and what counts as better.
///
/// A figure that is not a number is never an improvement (in Keras it becomes the one to beat if it comes first, and is
/// then never beaten).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Monitor {
    /// Name of the figure, such as `val_accuracy`; `None` is `val_loss`, or `loss` in a training without validation.
    pub name: Option<String>,
    /// Whether small or large values are good.
    pub mode: Direction,
    /// A change counts as an improvement where it is larger than this.
    pub min_delta: f64,
    /// Whether training has validation samples; unknown outside of a training.
    validation: Option<bool>,
}

/// Parts of names of figures that are better when they are larger.
const LARGE: [&str; 14] = [
    "accuracy",
    "acc",
    "auc",
    "precision",
    "recall",
    "f1",
    "fbeta",
    "top",
    "iou",
    "r2",
    "similarity",
    "positives",
    "dice",
    "sensitivity",
];
/// Parts of names of figures that are better when they are smaller; these are looked for first (`false_positives`).
const SMALL: [&str; 13] = [
    "loss",
    "error",
    "crossentropy",
    "divergence",
    "false",
    "hinge",
    "poisson",
    "logcosh",
    "log_cosh",
    "mse",
    "mae",
    "huber",
    "perplexity",
];

impl Monitor {
    /// Watches the figure of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Monitor {
            name: Some(name.into()),
            ..Monitor::default()
        }
    }

    /// Whether small or large values are good.
    pub fn mode(mut self, mode: Direction) -> Self {
        self.mode = mode;
        self
    }

    /// Training begins: whether there are validation samples, and whether the direction is known.
    pub(crate) fn begin(&mut self, validation: bool) -> Result<()> {
        self.validation = Some(validation);
        self.is_max().map(drop)
    }

    /// The name that is looked for.
    pub(crate) fn watched(&self) -> &str {
        match (&self.name, self.validation) {
            (Some(name), _) => name,
            (None, Some(false)) => "loss",
            (None, _) => "val_loss",
        }
    }

    /// The figure of an epoch; `None` where the epoch was not validated.
    ///
    /// # Errors
    /// [`Error::UnknownFigure`] where no epoch of such a training has it.
    pub(crate) fn value(&self, record: &EpochRecord) -> Result<Option<f64>> {
        let name = self.watched();
        if let Some(value) = record.get(name) {
            return Ok(Some(value));
        }
        if self.name.is_none() && self.validation.is_none() {
            return Ok(Some(record.loss));
        }
        // Epochs that were not validated have no figure of the validation samples.
        let validated = record.val_loss.is_some();
        if name.starts_with("val_") && !validated && self.validation != Some(false) {
            return Ok(None);
        }
        Err(Error::UnknownFigure {
            name: name.to_string(),
            known: record.logs().into_keys().collect::<Vec<_>>().join(", "),
        })
    }

    /// Whether `value` is better than `best`.
    ///
    /// # Errors
    /// [`Error::Option`] where the direction is not known.
    pub(crate) fn improves(&self, value: f64, best: Option<f64>) -> Result<bool> {
        let delta = self.min_delta.abs();
        Ok(match best {
            _ if value.is_nan() => false,
            None => true,
            Some(best) if self.is_max()? => value - delta > best,
            Some(best) => value + delta < best,
        })
    }

    /// Whether large values are good.
    ///
    /// # Errors
    /// [`Error::Option`] where the name does not tell and nobody has.
    pub(crate) fn is_max(&self) -> Result<bool> {
        let name = self.watched();
        let contains = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        match self.mode {
            Direction::Min => Ok(false),
            Direction::Max => Ok(true),
            Direction::Auto if contains(&SMALL) => Ok(false),
            Direction::Auto if contains(&LARGE) => Ok(true),
            Direction::Auto => Err(Error::Option {
                option: "mode",
                expected: "min or max, because the name of the monitored figure does not tell which is better",
                found: format!("auto for '{name}'"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_direction() {
        for (name, max) in [
            ("val_loss", false),
            ("loss", false),
            ("val_accuracy", true),
            ("sparse_top_k_categorical_accuracy", true),
            ("categorical_crossentropy", false),
            ("mean_squared_error", false),
            ("false_positives", false),
            ("true_positives", true),
            ("auc", true),
        ] {
            assert_eq!(Monitor::new(name).is_max().unwrap(), max, "{name}");
        }
        let error = Monitor::new("weight").begin(true).unwrap_err();
        assert!(error.to_string().contains("'weight'"), "{error}");
        Monitor::new("weight").mode(Direction::Min).begin(true).unwrap();
    }

    #[test]
    fn what_is_not_a_number_improves_nothing() {
        let monitor = Monitor::new("loss");
        assert!(!monitor.improves(f64::NAN, None).unwrap());
        assert!(monitor.improves(1.0, None).unwrap());
        assert!(!monitor.improves(1.0, Some(1.0)).unwrap());
    }
}
