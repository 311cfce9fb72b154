//! Learning rates that change with the step: Keras' `keras.optimizers.schedules`, and one-cycle.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::options::checked_rate;

mod cosine;
mod exponential;
mod inverse_time;
mod one_cycle;
mod piecewise;
mod polynomial;
mod restarts;

pub use cosine::CosineDecay;
pub use exponential::ExponentialDecay;
pub use inverse_time::InverseTimeDecay;
pub use one_cycle::{Anneal, OneCycle};
pub use piecewise::PiecewiseConstantDecay;
pub use polynomial::PolynomialDecay;
pub use restarts::CosineDecayRestarts;

/// What a schedule has to say: its rate at a step.
trait Rate {
    fn value(&self, step: u64) -> f64;
    fn validate(&self) -> Result<()>;
}

macro_rules! schedules {
    ($($type:ident $label:literal),* $(,)?) => {
        /// A learning rate as a function of the step.
        ///
        /// ```
        /// use optimizers::schedules::{ExponentialDecay, Schedule};
        /// let decay = ExponentialDecay { initial_learning_rate: 0.1, decay_steps: 100.0, decay_rate: 0.5, staircase: false };
        /// let schedule = Schedule::from(decay);
        /// assert_eq!(schedule.value(0), 0.1);
        /// assert_eq!(schedule.value(200), 0.025);
        /// ```
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Schedule {
            /// The same rate at every step.
            Constant(f64),
            $(
                #[doc = concat!("See [`", stringify!($type), "`].")]
                $type($type),
            )*
        }

        impl From<f64> for Schedule {
            fn from(learning_rate: f64) -> Self {
                Self::Constant(learning_rate)
            }
        }

        $(impl From<$type> for Schedule {
            fn from(schedule: $type) -> Self {
                Self::$type(schedule)
            }
        })*

        /// The class names of all schedules.
        pub const CLASSES: &[&str] = &[$(stringify!($type)),*];

        impl Schedule {
            /// The rate at a step, counted from 0.
            pub fn value(&self, step: u64) -> f64 {
                match self {
                    Self::Constant(rate) => *rate,
                    $(Self::$type(schedule) => schedule.value(step),)*
                }
            }

            /// Checks the numbers.
            ///
            /// # Errors
            /// [`Error::InvalidLearningRate`] or [`Error::InvalidOption`].
            pub fn validate(&self) -> Result<()> {
                match self {
                    Self::Constant(rate) => checked_rate(*rate).map(|_| ()),
                    $(Self::$type(schedule) => schedule.validate(),)*
                }
            }

            /// The schedule of a Keras class with the configuration that its `get_config()` returns.
            ///
            /// # Errors
            /// [`Error::UnknownSchedule`], [`Error::UnknownOption`], [`Error::InvalidOption`], [`Error::InvalidLearningRate`].
            pub fn from_config(class: &str, config: &Value) -> Result<Self> {
                let schedule = match class {
                    $(stringify!($type) => Self::$type(parse(class, config)?),)*
                    _ => return Err(Error::UnknownSchedule {
                        name: class.to_owned(),
                        suggestion: nearest(class, CLASSES.iter().copied()),
                        known: CLASSES.join(", "),
                    }),
                };
                schedule.validate()?;
                Ok(schedule)
            }

            /// A number, or the object that Keras writes for a schedule.
            pub fn to_json(&self) -> Value {
                let (class, label, mut config) = match self {
                    Self::Constant(rate) => return Value::from(*rate),
                    $(Self::$type(schedule) => (stringify!($type), $label, crate::algorithm::fields(schedule)),)*
                };
                config.insert("name".to_owned(), Value::from(label));
                serde_json::json!({
                    "module": "keras.optimizers.schedules", "class_name": class, "config": config, "registered_name": null
                })
            }
        }
    };
}

schedules! {
    ExponentialDecay "ExponentialDecay",
    CosineDecay "CosineDecay",
    CosineDecayRestarts "SGDRDecay",
    PolynomialDecay "PolynomialDecay",
    InverseTimeDecay "InverseTimeDecay",
    PiecewiseConstantDecay "PiecewiseConstant",
    OneCycle "OneCycle",
}

impl Schedule {
    /// The reverse of [`to_json`](Self::to_json).
    ///
    /// # Errors
    /// As [`from_config`](Self::from_config).
    pub fn from_json(value: &Value) -> Result<Self> {
        let wrong = || Error::InvalidOption {
            class: "the optimizer".to_owned(),
            option: "learning_rate".to_owned(),
            expected: "a number or a schedule {\"class_name\": ..., \"config\": {...}}".to_owned(),
            found: value.to_string(),
        };
        match value {
            Value::Number(number) => Ok(Self::Constant(checked_rate(number.as_f64().ok_or_else(wrong)?)?)),
            Value::Object(map) => {
                let class = map.get("class_name").and_then(Value::as_str).ok_or_else(wrong)?;
                Self::from_config(class, map.get("config").ok_or_else(wrong)?)
            }
            _ => Err(wrong()),
        }
    }
}

/// Reads a configuration; the label `name` has no effect in Keras and is not kept.
fn parse<T: Default + serde::Serialize + serde::de::DeserializeOwned>(class: &str, config: &Value) -> Result<T> {
    let empty = Map::new();
    let given = match config {
        Value::Object(map) => map,
        Value::Null => &empty,
        other => {
            return Err(Error::InvalidOption {
                class: class.to_owned(),
                option: "config".to_owned(),
                expected: "a JSON object".to_owned(),
                found: other.to_string(),
            });
        }
    };
    let mut given = given.clone();
    given.shift_remove("name");
    crate::config::merge(class, &T::default(), &given)
}
