//! Parameters that are treated otherwise than the rest: other rates, no decay, frozen.

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::algorithm::Check;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::schedules::Schedule;

/// What is special about the parameters whose path matches a pattern.
///
/// ```
/// use optimizers::{Group, Optimizer};
///
/// let adam = Optimizer::builder("adam")?
///     .learning_rate(0.001)
///     .weight_decay(0.01)
///     .group(Group::matching("backbone/.*").learning_rate_factor(0.1))
///     .group(Group::matching(".*/bias").weight_decay(0.0))
///     .group(Group::matching("embedding/.*").frozen())
///     .build()?;
/// assert_eq!(adam.learning_rate_of("backbone/conv/kernel"), 0.0001);
/// assert_eq!(adam.learning_rate_of("head/kernel"), 0.001);
/// # Ok::<(), optimizers::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// A regular expression that the whole path must match; a path itself is one as well.
    pub pattern: String,
    /// A rate of its own, in the place of the optimizer's.
    pub learning_rate: Option<Schedule>,
    /// What the rate is multiplied by.
    pub learning_rate_factor: f64,
    /// A decay of its own, in the place of the optimizer's.
    pub weight_decay: Option<f64>,
    /// Whether the parameters stay as they are: no update, no state, no share in a global norm.
    pub frozen: bool,
}

impl Group {
    /// The parameters whose whole path matches a regular expression. Of several groups that match, the first counts.
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            learning_rate: None,
            learning_rate_factor: 1.0,
            weight_decay: None,
            frozen: false,
        }
    }

    /// Gives the group a rate or a schedule of its own.
    #[must_use]
    pub fn learning_rate(mut self, learning_rate: impl Into<Schedule>) -> Self {
        self.learning_rate = Some(learning_rate.into());
        self
    }

    /// Multiplies the rate.
    #[must_use]
    pub fn learning_rate_factor(mut self, factor: f64) -> Self {
        self.learning_rate_factor = factor;
        self
    }

    /// Gives the group a decay of its own; 0 is none.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = Some(weight_decay);
        self
    }

    /// Leaves the parameters as they are.
    #[must_use]
    pub fn frozen(mut self) -> Self {
        self.frozen = true;
        self
    }

    pub(crate) fn validate(&self, class: &'static str) -> Result<()> {
        let check = Check(class);
        expression(class, "groups", &self.pattern)?;
        if let Some(schedule) = &self.learning_rate {
            schedule.validate()?;
        }
        check.not_negative("learning_rate_factor", self.learning_rate_factor)?;
        check.not_negative("weight_decay", self.weight_decay.unwrap_or(0.0))
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "pattern": self.pattern,
            "learning_rate": self.learning_rate.as_ref().map(Schedule::to_json),
            "learning_rate_factor": self.learning_rate_factor,
            "weight_decay": self.weight_decay,
            "frozen": self.frozen,
        })
    }

    pub(crate) fn from_json(class: &'static str, value: &Value) -> Result<Self> {
        #[derive(Clone, Debug, Serialize, Deserialize)]
        struct Plain {
            pattern: String,
            learning_rate_factor: f64,
            weight_decay: Option<f64>,
            frozen: bool,
        }
        let plain = Plain {
            pattern: String::new(),
            learning_rate_factor: 1.0,
            weight_decay: None,
            frozen: false,
        };
        let mut given: Map<String, Value> = value.as_object().cloned().unwrap_or_default();
        let learning_rate = match given.shift_remove("learning_rate") {
            None | Some(Value::Null) => None,
            Some(rate) => Some(Schedule::from_json(&rate)?),
        };
        if !given.contains_key("pattern") {
            return Err(Error::InvalidOption {
                class: class.to_owned(),
                option: "groups".to_owned(),
                expected: "a list of objects with a 'pattern' each".to_owned(),
                found: value.to_string(),
            });
        }
        let plain = crate::config::merge(&format!("{class} (group)"), &plain, &given)?;
        Ok(Self {
            pattern: plain.pattern,
            learning_rate,
            learning_rate_factor: plain.learning_rate_factor,
            weight_decay: plain.weight_decay,
            frozen: plain.frozen,
        })
    }
}

/// A regular expression, or an error that names the option it stands in.
pub(crate) fn expression(class: &str, option: &str, pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|error| Error::InvalidOption {
        class: class.to_owned(),
        option: option.to_owned(),
        expected: "a regular expression".to_owned(),
        found: format!("'{pattern}' ({error})"),
    })
}

/// The same, for the whole of a text.
pub(crate) fn whole(class: &str, option: &str, pattern: &str) -> Result<Regex> {
    expression(class, option, pattern)?;
    expression(class, option, &format!("^(?:{pattern})$"))
}

/// The patterns of the options, ready for use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    excluded: Vec<Regex>,
    groups: Vec<Regex>,
}

impl Selection {
    pub(crate) fn new(class: &str, options: &Options) -> Result<Self> {
        let excluded = options.exclude_from_weight_decay.iter();
        let groups = options.groups.iter();
        Ok(Self {
            excluded: excluded
                .map(|pattern| expression(class, "exclude_from_weight_decay", pattern))
                .collect::<Result<_>>()?,
            groups: groups
                .map(|group| whole(class, "groups", &group.pattern))
                .collect::<Result<_>>()?,
        })
    }

    /// The number of the group that a path belongs to.
    pub(crate) fn group(&self, path: &str) -> Option<usize> {
        self.groups.iter().position(|group| group.is_match(path))
    }

    /// Whether the weight of a path is excluded from weight decay: as in Keras by its name, the last part of the path.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.excluded.iter().any(|pattern| pattern.is_match(name))
    }

    pub(crate) fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }
}
