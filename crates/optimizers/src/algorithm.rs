//! What an optimizer consists of, besides the options that all share.

use std::fmt::Debug;

use candle_core::DType;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::rule::Target;

/// What a state tensor starts from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// All entries are this number.
    Constant(f64),
    /// A copy of the weight before its first step; the shape must be the weight's.
    Weight,
    /// All entries are the learning rate of the first step.
    LearningRate,
}

impl From<f64> for Initial {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

/// A tensor of state that an algorithm keeps for a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotSpec {
    /// Its name where the algorithm comes from, such as Keras' `momentum`.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it starts from.
    pub initial: Initial,
}

impl SlotSpec {
    /// A state tensor of the parameter's shape, zero at first.
    pub fn zeros(name: &'static str, shape: &[usize]) -> Self {
        Self::new(name, shape, 0.0)
    }

    /// A state tensor.
    pub fn new(name: &'static str, shape: &[usize], initial: impl Into<Initial>) -> Self {
        Self {
            name,
            shape: shape.to_vec(),
            initial: initial.into(),
        }
    }
}

/// Who carries the weight decay out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// The optimizer, before the update and beside the gradient: `w <- w - eta lambda w`.
    Decoupled,
    /// The algorithm, from [`Step::weight_decay`]; PyTorch's older optimizers add `lambda w` to the gradient.
    ByAlgorithm,
}

/// Whose names and defaults a configuration has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// `get_config()` of a Keras optimizer.
    Keras,
    /// The parameter group of an optimizer of `torch.optim`: `lr`, `betas`, `eps`, `maximize`, ...
    Torch,
}

impl Convention {
    /// The share of the weights that a decoupled decay takes in a step, from `eta lambda`.
    ///
    /// Keras subtracts this share of each weight. PyTorch multiplies by `1 - eta lambda`, rounded to the type of the weights: in `f32` that
    /// takes up to 3e-8 more or less, the same at every step, which adds up.
    pub(crate) fn decay(self, rate: f64, dtype: DType) -> f64 {
        match (self, dtype) {
            (Self::Torch, DType::F32) => 1.0 - f64::from((1.0 - rate) as f32),
            _ => rate,
        }
    }
}

/// Two numbers that are added up over all parameters before any is updated, see [`Algorithm::observe`].
pub type Sums = [f64; 2];

/// What is the same for all parameters in one step.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The rate of this step, after the schedule.
    pub learning_rate: f64,
    /// Whether the rate comes from a schedule.
    pub scheduled: bool,
    /// The weight decay of this parameter; 0 if there is none, or it is excluded.
    pub weight_decay: f64,
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

    /// Whose names and defaults the configuration has.
    fn convention(&self) -> Convention {
        Convention::Keras
    }

    /// Who carries the weight decay out.
    fn decay(&self) -> Decay {
        Decay::Decoupled
    }

    /// The weight decay of one parameter, from that of the options; Muon has a second one for its vectors.
    fn weight_decay_of(&self, _path: &str, _shape: &[usize], given: Option<f64>) -> Option<f64> {
        given
    }

    /// The state of a parameter with this shape.
    fn slots(&self, shape: &[usize]) -> Vec<SlotSpec>;

    /// The state of a parameter with this path and shape, where the path matters.
    fn slots_of(&self, _path: &str, shape: &[usize]) -> Vec<SlotSpec> {
        self.slots(shape)
    }

    /// Whether this parameter can be updated at all.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a shape that the method is not defined for.
    fn accept(&self, _path: &str, _shape: &[usize]) -> Result<()> {
        Ok(())
    }

    /// The algorithm for parameters that this one does not [accept](Self::accept), see [`OptimizerBuilder::build_for`](crate::OptimizerBuilder::build_for).
    fn companion(&self) -> Option<Box<dyn Algorithm>> {
        None
    }

    /// The slot that holds the weights to evaluate with, if these are others than the weights that are trained.
    fn average_slot(&self) -> Option<&'static str> {
        None
    }

    /// Numbers that belong to the whole optimizer, with their first values.
    fn scalars(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Whether [`observe`](Self::observe) has anything to do.
    fn observes(&self) -> bool {
        false
    }

    /// Looks at one parameter before any is updated, and adds to `sums`. The state may be changed, the weight may not.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn observe(&self, _step: &Step<'_>, _target: &mut Target<'_>, _sums: &mut Sums) -> Result<()> {
        Ok(())
    }

    /// Brings the numbers of the whole optimizer up to update number `t`, after all parameters were observed and before any
    /// is updated.
    fn advance(&self, _t: f64, _learning_rate: f64, _sums: &Sums, _scalars: &mut [f64]) {}

    /// Updates one parameter.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn update(&self, step: &Step<'_>, target: &mut Target<'_>) -> Result<()>;

    /// Whether `update` is one call of [`Target::elementwise`], so that a parameter can be updated piece by piece while its gradient is made.
    fn is_elementwise(&self) -> bool {
        false
    }

    /// Whether `update` needs working memory that is larger than the parameter. Parameters then take turns on as many blocks of it as there
    /// are threads; otherwise each keeps its own.
    fn shares_memory(&self) -> bool {
        false
    }

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

/// Checks of ranges, each naming the option of this class.
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
