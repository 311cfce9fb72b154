//! Keras' configurations and names of losses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{Loss, LossFunction, Reduction};
use crate::nearest::nearest;
use crate::{Error, Result};

/// Keras' short names.
const ALIASES: [(&str, &str); 6] = [
    ("bce", "binary_crossentropy"),
    ("kld", "kl_divergence"),
    ("mae", "mean_absolute_error"),
    ("mape", "mean_absolute_percentage_error"),
    ("mse", "mean_squared_error"),
    ("msle", "mean_squared_logarithmic_error"),
];

impl Loss {
    /// The loss that `keras.losses.get` finds by its class (`MeanSquaredError`), its function (`mean_squared_error`) or its short name (`mse`),
    /// with Keras' options: cross-entropies found in this way are of probabilities.
    ///
    /// # Errors
    /// [`Error::UnknownLoss`] with the nearest known name.
    ///
    /// ```
    /// use training::{Loss, LossFunction};
    ///
    /// assert_eq!(Loss::by_name("huber")?, Loss::from(LossFunction::Huber { delta: 1.0 }));
    /// let error = Loss::by_name("mean_sqared_error").unwrap_err();
    /// assert!(error.to_string().contains("did you mean 'mean_squared_error'?"));
    /// # Ok::<(), training::Error>(())
    /// ```
    pub fn by_name(name: &str) -> Result<Loss> {
        let lower = name.to_lowercase();
        let alias = ALIASES
            .iter()
            .find(|(short, _)| name == *short || (lower == *short && name == name.to_uppercase()));
        let full = alias.map_or(name, |(_, full)| full);
        let known = LossFunction::NAMES.iter();
        match known
            .clone()
            .find(|(class, function, config)| [*class, *function, *config].contains(&full))
        {
            Some((class, ..)) => Loss::from_config(&json!({ "class_name": class })),
            None => {
                let short = ALIASES.iter().map(|(short, _)| *short);
                Err(Error::UnknownLoss {
                    name: name.chars().take(64).collect(),
                    suggestion: nearest(
                        name,
                        known.flat_map(|(class, function, _)| [*function, *class]).chain(short),
                    ),
                })
            }
        }
    }

    /// The loss that Keras wrote as `{"class_name": ..., "config": {...}}`, or as a name.
    ///
    /// Options that are not there have Keras' defaults. `name` and `dtype`, which do not change the loss (it is computed in the type of the outputs),
    /// are read over; other unknown options are refused.
    ///
    /// # Errors
    /// [`Error::UnknownLoss`] for an unknown class, [`Error::Config`] for options that cannot be read.
    ///
    /// ```
    /// use serde_json::json;
    /// use training::{Loss, LossFunction, Reduction};
    ///
    /// let config = json!({"class_name": "Huber", "config": {"name": "huber_loss", "reduction": "sum", "delta": 0.5}});
    /// let loss = Loss::from_config(&config)?;
    /// assert_eq!(loss, Loss::from(LossFunction::Huber { delta: 0.5 }).reduction(Reduction::Sum));
    /// assert_eq!(loss.config(), config);
    /// # Ok::<(), training::Error>(())
    /// ```
    pub fn from_config(config: &Value) -> Result<Loss> {
        if let Some(name) = config.as_str() {
            return Loss::by_name(name);
        }
        let class = config["class_name"].as_str().ok_or_else(|| Error::Config {
            what: "loss".into(),
            reason: "there is no `class_name`".into(),
        })?;
        if !LossFunction::NAMES.iter().any(|(known, ..)| *known == class) {
            // A function is serialised as one: {"class_name": "function", "config": "mean_squared_error"}.
            return Loss::by_name(config["config"].as_str().unwrap_or(class));
        }
        let wrong = |reason: String| Error::Config {
            what: format!("loss {class}"),
            reason,
        };
        let mut options = match &config["config"] {
            Value::Null => Map::new(),
            Value::Object(options) => options.clone(),
            other => return Err(wrong(format!("`config` is {other}, expected an object"))),
        };
        let reduction = match options.remove("reduction") {
            None => Reduction::SumOverBatchSize,
            Some(Value::Null) => Reduction::None,
            Some(reduction) => Reduction::deserialize(reduction).map_err(|error| wrong(error.to_string()))?,
        };
        options.remove("name");
        options.remove("dtype");
        let unit = options.is_empty() && UNIT.contains(&class);
        let content = if unit {
            json!({ "class_name": class })
        } else {
            json!({ "class_name": class, "config": options })
        };
        let function = LossFunction::deserialize(content).map_err(|error| wrong(error.to_string()))?;
        Ok(Loss { function, reduction })
    }

    /// Keras' `{"class_name": ..., "config": {...}}`.
    ///
    /// `delta` of `Huber` and `axis` of `CosineSimilarity` are written too (Keras forgets them in its own, and reads them).
    pub fn config(&self) -> Value {
        let mut config = Map::new();
        config.insert("name".into(), self.function.config_name().into());
        config.insert("reduction".into(), json!(self.reduction));
        if let Value::Object(options) = json!(self.function)["config"].take() {
            config.extend(options);
        }
        json!({ "class_name": self.function.class(), "config": config })
    }
}

/// The classes without options of their own.
const UNIT: [&str; 10] = [
    "MeanSquaredError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError",
    "LogCosh",
    "KLDivergence",
    "Poisson",
    "Hinge",
    "SquaredHinge",
    "CategoricalHinge",
];

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.function.name())
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Loss::by_name(name)
    }
}

impl Serialize for Loss {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.config().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Loss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Loss::from_config(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_found_by_each_of_its_names_and_read_back_from_its_configuration() {
        for (class, function, config_name) in LossFunction::NAMES {
            let loss = Loss::by_name(class).unwrap();
            assert_eq!((loss.function.class(), loss.function.name()), (class, function));
            assert_eq!(function.parse::<Loss>().unwrap(), loss);
            assert_eq!(Loss::by_name(config_name).unwrap(), loss);
            assert_eq!(loss.to_string(), function);
            for reduction in [Reduction::SumOverBatchSize, Reduction::Sum, Reduction::None] {
                let loss = loss.reduction(reduction);
                assert_eq!(Loss::from_config(&loss.config()).unwrap(), loss, "{class}");
                let text = serde_json::to_string(&loss).unwrap();
                assert_eq!(serde_json::from_str::<Loss>(&text).unwrap(), loss, "{text}");
            }
        }
        for (short, full) in ALIASES {
            assert_eq!(Loss::by_name(short).unwrap(), Loss::by_name(full).unwrap());
            assert_eq!(
                Loss::by_name(&short.to_uppercase()).unwrap(),
                Loss::by_name(full).unwrap()
            );
        }
    }

    #[test]
    fn names_have_keras_options_and_constants_take_logits() {
        let by_name = Loss::by_name("sparse_categorical_crossentropy").unwrap();
        let LossFunction::SparseCategoricalCrossentropy { from_logits, .. } = by_name.function else {
            panic!("{by_name:?}");
        };
        assert!(!from_logits);
        assert_eq!(
            Loss::SparseCategoricalCrossentropy.config()["config"]["from_logits"],
            Value::Bool(true)
        );
    }

    #[test]
    fn configurations_that_cannot_be_read_say_why() {
        let cases = [
            (json!({"class_name": "Hubert", "config": {}}), "did you mean"),
            (json!({"config": {}}), "class_name"),
            (json!({"class_name": "Huber", "config": {"delt": 1.0}}), "delt"),
            (
                json!({"class_name": "MeanSquaredError", "config": {"delta": 1.0}}),
                "MeanSquaredError",
            ),
            (json!({"class_name": "Huber", "config": {"delta": "wide"}}), "wide"),
            (
                json!({"class_name": "Huber", "config": {"reduction": "median"}}),
                "median",
            ),
            (json!({"class_name": "Huber", "config": [1]}), "expected an object"),
            (
                json!({"class_name": "Dice", "config": {"axis": [0, 0, 0, 0, 0, 0, 0, 0, 0]}}),
                "at most 8",
            ),
            (json!("CTC"), "unknown loss 'CTC'"),
        ];
        for (config, expected) in cases {
            let error = Loss::from_config(&config).unwrap_err().to_string();
            assert!(error.contains(expected), "{config}: {error}");
        }
    }

    #[test]
    fn functions_and_nulls_are_read_as_keras_writes_them() {
        let function = json!({"module": "builtins", "class_name": "function", "config": "mean_squared_error", "registered_name": "function"});
        assert_eq!(Loss::from_config(&function).unwrap(), Loss::MeanSquaredError);
        let none =
            json!({"class_name": "MeanSquaredError", "config": {"name": "mine", "reduction": null, "dtype": null}});
        assert_eq!(
            Loss::from_config(&none).unwrap(),
            Loss::MeanSquaredError.reduction(Reduction::None)
        );
        let axes = json!({"class_name": "Dice", "config": {"axis": 1}});
        assert_eq!(Loss::from_config(&axes).unwrap().config()["config"]["axis"], json!(1));
    }
}
