//! What an optimizer consists of, besides the options that all share.

use std::fmt::Debug;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::rule::Target;

/// A tensor of state that an algorithm keeps for a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotSpec {
    /// Keras' name of it, such as `momentum`.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The value that all its entries start from.
    pub initial: f64,
}

impl SlotSpec {
    /// A state tensor of the parameter's shape, zero at first.
    pub fn zeros(name: &'static str, shape: &[usize]) -> Self {
        Self {
            name,
            shape: shape.to_vec(),
            initial: 0.0,
        }
    }
}

/// What is the same for all parameters in one step.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The rate of this step, after the schedule.
    pub learning_rate: f64,
    /// Whether the rate comes from a schedule.
    pub scheduled: bool,
    /// The number of this update, counted from 1.
    pub t: f64,
    /// The algorithm's numbers that are not tied to a parameter.
    pub scalars: &'a [f64],
}

/// An update rule with its hyper-parameters: what `sgd.rs`, `adam.rs`, ... implement.
///
/// `slots` says what is kept for a parameter (the initialization), `update` changes weights and state. Clipping, weight
/// decay, averaging and accumulation are not its business; [`crate::Optimizer`] does them for all.
pub trait Algorithm: Debug + Send + Sync {
    /// The name of Keras' class.
    fn class(&self) -> &'static str;

    /// The learning rate that is used when none is given.
    fn default_learning_rate(&self) -> f64 {
        0.001
    }

    /// The weight decay that is used when none is given.
    fn default_weight_decay(&self) -> Option<f64> {
        None
    }

    /// The state of a parameter with this shape.
    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec>;

    /// Numbers that belong to the whole optimizer, with their first values.
    fn scalars(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Brings those numbers up to update number `t`, before any parameter is updated.
    fn advance(&self, _t: f64, _scalars: &mut [f64]) {}

    /// Updates one parameter.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()>;

    /// The hyper-parameters under Keras' names.
    fn hyperparameters(&self) -> Map<String, Value>;

    /// Checks the hyper-parameters.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a value out of range.
    fn validate(&self) -> Result<()>;

    /// A copy.
    fn boxed(&self) -> Box<dyn Algorithm>;
}

impl Clone for Box<dyn Algorithm> {
    fn clone(&self) -> Self {
        self.as_ref().boxed()
    }
}

/// The fields of a configuration as a JSON object.
pub(crate) fn fields(config: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Checks of ranges, each naming the option.
pub(crate) struct Check(pub(crate) &'static str);

impl Check {
    /// A decay rate: `0 <= value < 1`.
    pub(crate) fn decay(&self, option: &str, value: f64) -> Result<()> {
        self.that((0.0..1.0).contains(&value), option, value, "at least 0 and below 1")
    }

    /// A finite number that is 0 or larger.
    pub(crate) fn not_negative(&self, option: &str, value: f64) -> Result<()> {
        self.that(
            value >= 0.0 && value.is_finite(),
            option,
            value,
            "a finite number that is 0 or larger",
        )
    }

    /// A finite number above 0.
    pub(crate) fn positive(&self, option: &str, value: f64) -> Result<()> {
        self.that(
            value > 0.0 && value.is_finite(),
            option,
            value,
            "a finite number above 0",
        )
    }

    pub(crate) fn that(&self, holds: bool, option: &str, found: impl ToString, expected: &str) -> Result<()> {
        if holds {
            return Ok(());
        }
        Err(Error::InvalidOption {
            class: self.0.to_owned(),
            option: option.to_owned(),
            expected: expected.to_owned(),
            found: found.to_string(),
        })
    }
}
