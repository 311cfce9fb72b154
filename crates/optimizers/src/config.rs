//! Keras' configurations, in and out.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::algorithm::{Convention, fields};
use crate::builder::{OptimizerBuilder, entry};
use crate::error::{Error, Result};
use crate::groups::Group;
use crate::loss_scale::DynamicLossScale;
use crate::multi;
use crate::nearest::nearest;
use crate::optimizer::Optimizer;
use crate::options::Options;
use crate::schedules::Schedule;

/// Options of PyTorch's optimizers that choose between implementations of the same numbers.
const IMPLEMENTATION: [&str; 4] = ["foreach", "capturable", "differentiable", "fused"];

impl Optimizer {
    /// The optimizer of a Keras class with the configuration that its `get_config()` returns, or of a PyTorch class
    /// (`torch.optim.Adam`) with its parameter group (`lr`, `betas`, ...).
    ///
    /// What is left out has its default. Some keys are ours: `exclude_from_weight_decay` (Keras keeps it out of the
    /// configuration), `groups`, `maximize` and `check_finite`. `MultiOptimizer` and `LossScaleOptimizer` hold the configurations
    /// of other optimizers.
    ///
    /// ```
    /// use optimizers::Optimizer;
    /// use serde_json::json;
    ///
    /// let adam = Optimizer::from_config("Adam", &json!({"learning_rate": 0.01, "beta_1": 0.8}))?;
    /// assert_eq!(adam.config()["beta_1"], 0.8);
    /// let slip = Optimizer::from_config("Adam", &json!({"beta1": 0.8})).unwrap_err();
    /// assert!(slip.to_string().contains("'beta1' (did you mean 'beta_1'?)"));
    /// let torch = Optimizer::from_config("torch.optim.SGD", &json!({"lr": 0.1, "momentum": 0.9, "dampening": 0.5}))?;
    /// assert_eq!(torch.learning_rate(), 0.1);
    /// # Ok::<(), optimizers::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownOptimizer`], [`Error::UnknownOption`], [`Error::InvalidOption`], [`Error::InvalidLearningRate`],
    /// [`Error::UnknownSchedule`].
    pub fn from_config(class: &str, config: &Value) -> Result<Self> {
        match class {
            DynamicLossScale::CLASS => return Self::with_inner(config),
            multi::CLASS => return multi::from_config(config),
            _ => {}
        }
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
            let more = ["exclude_from_weight_decay", "groups", "maximize", "check_finite"].map(str::to_owned);
            let base = keras(&Options::default()).into_iter().map(|(key, _)| key);
            for key in base.chain(more) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            keys
        };
        let torch = algorithm.convention() == Convention::Torch;
        for (key, value) in given {
            if let Some(default) = own.get(key) {
                // Some numbers may be left out with `null` although they have a default; the type knows.
                let mut without = own.clone();
                without[key] = Value::Null;
                if !(value.is_null() && default.is_number() && (entry.parse)(without).is_ok()) {
                    same_kind(class, key, default, value)?;
                }
                own[key] = value.clone();
            } else if torch && IMPLEMENTATION.contains(&key.as_str()) {
                same_kind(
                    class,
                    key,
                    &Value::Bool(false),
                    &if value.is_null() { json!(false) } else { value.clone() },
                )?;
            } else if !set_option(
                &mut options,
                class,
                if torch && key == "lr" { "learning_rate" } else { key },
                value,
            )? {
                return Err(unknown(class, key, &known()));
            }
        }
        algorithm = (entry.parse)(own).map_err(|error| Error::InvalidOption {
            class: class.to_owned(),
            option: "config".to_owned(),
            expected: "made of values such as the defaults".to_owned(),
            found: error.to_string(),
        })?;
        OptimizerBuilder::boxed(algorithm, None).options(options).build()
    }

    /// Keras' `LossScaleOptimizer`: another optimizer, and how its loss is scaled.
    fn with_inner(config: &Value) -> Result<Self> {
        let class = DynamicLossScale::CLASS;
        let mut given = object(class, config)?.clone();
        let inner = given.shift_remove("inner_optimizer").unwrap_or(Value::Null);
        let dynamic: DynamicLossScale = merge(class, &DynamicLossScale::default(), &given)?;
        dynamic.validate()?;
        let mut optimizer = nested(class, "inner_optimizer", &inner)?;
        // As in Keras, the scale of the inner optimizer is switched off, or gradients would be divided twice.
        optimizer.options.loss_scale_factor = None;
        Ok(optimizer.with_dynamic_loss_scale(dynamic))
    }

    /// The configuration under the names and in the order of Keras (or of PyTorch's parameter group);
    /// [`from_config`](Self::from_config) reads it back.
    pub fn config(&self) -> Value {
        let own = self.own_config();
        match &self.options.dynamic_loss_scale {
            None => own,
            Some(dynamic) => json!({
                "name": dynamic.name,
                "inner_optimizer": serialized(self.inner_class(), own),
                "initial_scale": dynamic.initial_scale,
                "dynamic_growth_steps": dynamic.dynamic_growth_steps,
            }),
        }
    }

    /// The configuration without the loss scale around it.
    fn own_config(&self) -> Value {
        if let Some(config) = multi::config(self) {
            return config;
        }
        let options = &self.options;
        let mut config = match self.algorithm.convention() {
            Convention::Keras => keras(options),
            Convention::Torch => torch(options),
        };
        config.extend(self.algorithm.hyperparameters());
        if !options.exclude_from_weight_decay.is_empty() {
            let patterns = json!(options.exclude_from_weight_decay);
            config.insert("exclude_from_weight_decay".to_owned(), patterns);
        }
        if !options.groups.is_empty() {
            let groups = options.groups.iter().map(Group::to_json).collect();
            config.insert("groups".to_owned(), groups);
        }
        if options.maximize {
            config.insert("maximize".to_owned(), json!(true));
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

/// The base options as Keras writes them.
fn keras(options: &Options) -> Map<String, Value> {
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
    config
}

/// The base options as PyTorch has them: rate and decay; those that PyTorch does not have are written where they are set.
fn torch(options: &Options) -> Map<String, Value> {
    let (mut config, defaults) = (Map::new(), keras(&Options::default()));
    config.insert("name".to_owned(), json!(options.name));
    config.insert("lr".to_owned(), options.learning_rate.to_json());
    if let Some(decay) = options.weight_decay {
        config.insert("weight_decay".to_owned(), json!(decay));
    }
    for (key, value) in keras(options) {
        let written = ["name", "learning_rate", "weight_decay"].contains(&key.as_str());
        if !written && defaults[&key] != value {
            config.insert(key, value);
        }
    }
    config
}

/// A configuration within another, as Keras writes it.
pub(crate) fn serialized(class: &str, config: Value) -> Value {
    json!({"module": "keras.optimizers", "class_name": class, "config": config, "registered_name": null})
}

/// The optimizer of a configuration within another.
pub(crate) fn nested(class: &str, option: &str, value: &Value) -> Result<Optimizer> {
    let inner = value.get("class_name").and_then(Value::as_str).zip(value.get("config"));
    let (inner, config) = inner.ok_or_else(|| Error::InvalidOption {
        class: class.to_owned(),
        option: option.to_owned(),
        expected: "an optimizer {\"class_name\": ..., \"config\": {...}}".to_owned(),
        found: value.to_string(),
    })?;
    Optimizer::from_config(inner, config)
}

/// Sets one of the base options; `false` if there is none of this name.
fn set_option(options: &mut Options, class: &'static str, key: &str, value: &Value) -> Result<bool> {
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
        "maximize" => options.maximize = boolean()?,
        "groups" => {
            let groups = value.as_array().ok_or_else(|| invalid("a list of groups"))?;
            options.groups = groups
                .iter()
                .map(|group| Group::from_json(class, group))
                .collect::<Result<_>>()?;
        }
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
        expected: "made of values such as the defaults".to_owned(),
        found: error.to_string(),
    })
}

/// A value must be of the kind that its default is of; `null` as the default stands for «no number» or «no choice».
fn same_kind(class: &str, key: &str, default: &Value, value: &Value) -> Result<()> {
    let list = |list: &[Value], kind: fn(&Value) -> bool| list.iter().all(kind);
    let number = |value: &Value| value.is_number() || value.is_null();
    let expected = match default {
        Value::Number(_) if value.is_number() => return Ok(()),
        Value::Bool(_) if value.is_boolean() => return Ok(()),
        Value::String(_) if value.is_string() => return Ok(()),
        Value::Array(_) => match value.as_array() {
            Some(given) if list(given, number) || list(given, Value::is_string) => return Ok(()),
            _ => "a list",
        },
        Value::Null if value.is_number() || value.is_null() || value.is_string() => return Ok(()),
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::String(_) => "a text",
        _ => "a number or null",
    };
    Err(Error::InvalidOption {
        class: class.to_owned(),
        option: key.to_owned(),
        expected: expected.to_owned(),
        found: value.to_string(),
    })
}

pub(crate) fn unknown(class: &str, key: &str, known: &[String]) -> Error {
    Error::UnknownOption {
        class: class.to_owned(),
        option: key.to_owned(),
        suggestion: nearest(key, known.iter().map(String::as_str)),
        known: known.join(", "),
    }
}

pub(crate) fn object<'a>(class: &str, config: &'a Value) -> Result<&'a Map<String, Value>> {
    config.as_object().ok_or_else(|| Error::InvalidOption {
        class: class.to_owned(),
        option: "config".to_owned(),
        expected: "a JSON object".to_owned(),
        found: config.to_string(),
    })
}
