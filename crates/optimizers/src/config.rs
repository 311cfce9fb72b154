//! Keras' configurations, in and out.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::algorithm::fields;
use crate::builder::{OptimizerBuilder, entry};
use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::optimizer::Optimizer;
use crate::options::Options;
use crate::schedules::Schedule;

impl Optimizer {
    /// The optimizer of a Keras class with the configuration that its `get_config()` returns.
    ///
    /// What is left out has its default. Two keys are ours: `exclude_from_weight_decay` (Keras keeps it out of the
    /// configuration) and `check_finite`.
    ///
    /// ```
    /// use optimizers::Optimizer;
    /// use serde_json::json;
    ///
    /// let adam = Optimizer::from_config("Adam", &json!({"learning_rate": 0.01, "beta_1": 0.8}))?;
    /// assert_eq!(adam.config()["beta_1"], 0.8);
    /// let slip = Optimizer::from_config("Adam", &json!({"beta1": 0.8})).unwrap_err();
    /// assert!(slip.to_string().contains("'beta1' (did you mean 'beta_1'?)"));
    /// # Ok::<(), optimizers::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownOptimizer`], [`Error::UnknownOption`], [`Error::InvalidOption`], [`Error::InvalidLearningRate`],
    /// [`Error::UnknownSchedule`].
    pub fn from_config(class: &str, config: &Value) -> Result<Self> {
        let entry = entry(class)?;
        let mut algorithm = (entry.default)();
        let class = algorithm.class();
        let given = object(class, config)?;
        let builder = OptimizerBuilder::boxed(algorithm.clone(), Some(entry.name));
        let defaults = builder.clone().build()?;
        let mut options = defaults.options.clone();
        let mut own = algorithm.hyperparameters();
        let known = || {
            let mut keys: Vec<String> = defaults.config_keys();
            keys.extend(["exclude_from_weight_decay".to_owned(), "check_finite".to_owned()]);
            keys
        };
        for (key, value) in given {
            if let Some(default) = own.get(key) {
                same_kind(class, key, default, value)?;
                own[key] = value.clone();
            } else if !set_option(&mut options, class, key, value)? {
                return Err(unknown(class, key, &known()));
            }
        }
        algorithm = (entry.parse)(own).map_err(|error| Error::InvalidOption {
            class: class.to_owned(),
            option: "config".to_owned(),
            expected: "made of numbers and booleans as in Keras".to_owned(),
            found: error.to_string(),
        })?;
        OptimizerBuilder::boxed(algorithm, None).options(options).build()
    }

    /// The configuration under Keras' names and in Keras' order; [`from_config`](Self::from_config) reads it back.
    pub fn config(&self) -> Value {
        let options = &self.options;
        let mut config = Map::new();
        let mut put = |key: &str, value: Value| config.insert(key.to_owned(), value);
        put("name", json!(options.name));
        put("learning_rate", options.learning_rate.to_json());
        put("weight_decay", json!(options.weight_decay));
        put("clipnorm", json!(options.clipnorm));
        put("global_clipnorm", json!(options.global_clipnorm));
        put("clipvalue", json!(options.clipvalue));
        put("use_ema", json!(options.use_ema));
        put("ema_momentum", json!(options.ema_momentum));
        put("ema_overwrite_frequency", json!(options.ema_overwrite_frequency));
        put("loss_scale_factor", json!(options.loss_scale_factor));
        put(
            "gradient_accumulation_steps",
            json!(options.gradient_accumulation_steps),
        );
        config.extend(self.algorithm.hyperparameters());
        if !options.exclude_from_weight_decay.is_empty() {
            config.insert(
                "exclude_from_weight_decay".to_owned(),
                json!(options.exclude_from_weight_decay),
            );
        }
        if !options.check_finite {
            config.insert("check_finite".to_owned(), json!(false));
        }
        Value::Object(config)
    }

    fn config_keys(&self) -> Vec<String> {
        self.config()
            .as_object()
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default()
    }
}

/// Sets one of the base options; `false` if there is none of this name.
fn set_option(options: &mut Options, class: &str, key: &str, value: &Value) -> Result<bool> {
    let invalid = |expected: &str| Error::InvalidOption {
        class: class.to_owned(),
        option: key.to_owned(),
        expected: expected.to_owned(),
        found: value.to_string(),
    };
    let number = || match value {
        Value::Null => Ok(None),
        value => value.as_f64().map(Some).ok_or_else(|| invalid("a number or null")),
    };
    let count = || match value {
        Value::Null => Ok(None),
        value => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| invalid("a whole number or null")),
    };
    let boolean = || value.as_bool().ok_or_else(|| invalid("true or false"));
    match key {
        "name" => options.name = value.as_str().ok_or_else(|| invalid("a text"))?.to_owned(),
        "learning_rate" => options.learning_rate = Schedule::from_json(value)?,
        "weight_decay" => options.weight_decay = number()?,
        "clipnorm" => options.clipnorm = number()?,
        "global_clipnorm" => options.global_clipnorm = number()?,
        "clipvalue" => options.clipvalue = number()?,
        "use_ema" => options.use_ema = boolean()?,
        "ema_momentum" => options.ema_momentum = number()?.ok_or_else(|| invalid("a number"))?,
        "ema_overwrite_frequency" => options.ema_overwrite_frequency = count()?,
        "loss_scale_factor" => options.loss_scale_factor = number()?,
        "gradient_accumulation_steps" => options.gradient_accumulation_steps = count()?,
        "check_finite" => options.check_finite = boolean()?,
        "exclude_from_weight_decay" => {
            let list = || invalid("a list of texts");
            let parts = value.as_array().ok_or_else(list)?;
            options.exclude_from_weight_decay = parts
                .iter()
                .map(|part| part.as_str().map(str::to_owned).ok_or_else(list))
                .collect::<Result<_>>()?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// The defaults, overwritten by what is given.
pub(crate) fn merge<T: Serialize + DeserializeOwned>(
    class: &str,
    defaults: &T,
    given: &Map<String, Value>,
) -> Result<T> {
    let mut merged = fields(defaults);
    let known: Vec<String> = merged.keys().cloned().collect();
    for (key, value) in given {
        let default = merged.get(key).ok_or_else(|| unknown(class, key, &known))?;
        same_kind(class, key, default, value)?;
        merged[key] = value.clone();
    }
    serde_json::from_value(Value::Object(merged)).map_err(|error| Error::InvalidOption {
        class: class.to_owned(),
        option: "config".to_owned(),
        expected: "made of numbers and booleans as in Keras".to_owned(),
        found: error.to_string(),
    })
}

/// A value must be of the kind that its default is of; `null` as the default stands for «no number».
fn same_kind(class: &str, key: &str, default: &Value, value: &Value) -> Result<()> {
    let expected = match default {
        Value::Number(_) if value.is_number() => return Ok(()),
        Value::Bool(_) if value.is_boolean() => return Ok(()),
        Value::Array(_) if value.as_array().is_some_and(|list| list.iter().all(Value::is_number)) => return Ok(()),
        Value::Null if value.is_number() || value.is_null() => return Ok(()),
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Array(_) => "a list of numbers",
        _ => "a number or null",
    };
    Err(Error::InvalidOption {
        class: class.to_owned(),
        option: key.to_owned(),
        expected: expected.to_owned(),
        found: value.to_string(),
    })
}

fn unknown(class: &str, key: &str, known: &[String]) -> Error {
    Error::UnknownOption {
        class: class.to_owned(),
        option: key.to_owned(),
        suggestion: nearest(key, known.iter().map(String::as_str)),
        known: known.join(", "),
    }
}

fn object<'a>(class: &str, config: &'a Value) -> Result<&'a Map<String, Value>> {
    config.as_object().ok_or_else(|| Error::InvalidOption {
        class: class.to_owned(),
        option: "config".to_owned(),
        expected: "a JSON object".to_owned(),
        found: config.to_string(),
    })
}
