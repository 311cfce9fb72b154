//! Names and configurations of metrics.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::mean::AccuracyByShape;
use super::names::{ALIASES, NAMES, UNIT};
use super::{Metric, MetricClass};
use crate::nearest::nearest;
use crate::{Error, Result};

/// The metric that `model.compile` of Keras makes of a name: a class (`Precision`), its name (`precision`) or its short name (`mse`), with Keras'
/// options. The metric's own name is the one given.
///
/// `accuracy` and `acc` mean, as in Keras, the accuracy that fits the shapes: [`MetricClass::BinaryAccuracy`] for one output,
/// [`MetricClass::SparseCategoricalAccuracy`] for class numbers, [`MetricClass::CategoricalAccuracy`] for one-hot targets.
///
/// # Errors
/// [`Error::UnknownMetric`] with the nearest known name; [`Error::Config`] for a metric that needs an option (`MeanIoU` its `num_classes`).
///
/// ```
/// let error = training::metrics::by_name("percision").err().unwrap();
/// assert!(error.to_string().contains("did you mean 'precision'?"));
/// ```
pub fn by_name(name: &str) -> Result<Box<dyn Metric>> {
    let lower = name.to_lowercase();
    if ["accuracy", "acc"].contains(&lower.as_str()) {
        return Ok(Box::new(AccuracyByShape::new(name)));
    }
    let alias = ALIASES
        .iter()
        .find(|(short, _)| lower == *short && (name == *short || name == name.to_uppercase()));
    let known = alias.map(|(_, class)| *class).or_else(|| {
        let found = NAMES
            .iter()
            .find(|(class, snake, config)| [*class, *snake, *config].contains(&name));
        found.map(|(class, ..)| *class)
    });
    let Some(class) = known else {
        let names = NAMES.iter().flat_map(|(class, snake, _)| [*snake, *class]);
        return Err(Error::UnknownMetric {
            name: name.chars().take(64).collect(),
            suggestion: nearest(name, names.chain(ALIASES.iter().map(|(short, _)| *short))),
        });
    };
    let mut config = MetricConfig::from_keras(&json!({ "class_name": class }))?;
    config.name = name.to_owned();
    config.build()
}

/// The metric that Keras wrote as `{"class_name": ..., "config": {...}}`, or as a name.
///
/// # Errors
/// As [`by_name`]; [`Error::Config`] for options that cannot be read, [`Error::Option`] for those outside of their range.
///
/// ```
/// use serde_json::json;
///
/// let config = json!({"class_name": "TopKCategoricalAccuracy", "config": {"name": "top_2", "dtype": "float32", "k": 2}});
/// let metric = training::metrics::from_config(&config)?;
/// assert_eq!((metric.name(), metric.config()), ("top_2", config));
/// # Ok::<(), training::Error>(())
/// ```
pub fn from_config(config: &Value) -> Result<Box<dyn Metric>> {
    match config.as_str() {
        Some(name) => by_name(name),
        None => MetricConfig::from_keras(config)?.build(),
    }
}

/// A metric's class and options, its name, and the type that Keras would keep its state in.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricConfig {
    /// Class and options.
    pub class: MetricClass,
    /// What to call the result.
    pub name: String,
    /// Keras' type of the state. Here it is always f64; a whole-number type makes [`MetricClass::MeanIoU`] and its family cut fractions of weights
    /// off, as Keras does.
    pub dtype: String,
}

impl MetricConfig {
    /// Reads `{"class_name": ..., "config": {...}}`; options that are not there have Keras' defaults.
    ///
    /// # Errors
    /// [`Error::UnknownMetric`] for an unknown class, [`Error::Config`] for options that cannot be read.
    pub fn from_keras(config: &Value) -> Result<Self> {
        let class = config["class_name"].as_str().ok_or_else(|| Error::Config {
            what: "metric".into(),
            reason: "there is no `class_name`".into(),
        })?;
        if !NAMES.iter().any(|(known, ..)| *known == class) {
            return Err(Error::UnknownMetric {
                name: class.chars().take(64).collect(),
                suggestion: nearest(class, NAMES.iter().map(|(class, ..)| *class)),
            });
        }
        let wrong = |reason: String| Error::Config {
            what: format!("metric {class}"),
            reason,
        };
        let mut options = match &config["config"] {
            Value::Null => Map::new(),
            Value::Object(options) => options.clone(),
            other => return Err(wrong(format!("`config` is {other}, expected an object"))),
        };
        let name = match options.remove("name") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name),
            Some(other) => return Err(wrong(format!("`name` is {other}, expected a text"))),
        };
        let dtype = match options.remove("dtype") {
            None | Some(Value::Null) => None,
            Some(Value::String(dtype)) => Some(dtype),
            // A dtype policy, as newer files have it.
            Some(policy) => match policy["config"]["name"].as_str() {
                Some(dtype) => Some(dtype.to_owned()),
                None => return Err(wrong(format!("`dtype` is {policy}, expected the name of a type"))),
            },
        };
        let content = if options.is_empty() && UNIT.contains(&class) {
            json!({ "class_name": class })
        } else {
            json!({ "class_name": class, "config": options })
        };
        let class = MetricClass::deserialize(content).map_err(|error| wrong(error.to_string()))?;
        let mut read = MetricConfig::from(class);
        read.name = name.unwrap_or(read.name);
        read.dtype = dtype.unwrap_or(read.dtype);
        Ok(read)
    }

    /// Keras' `{"class_name": ..., "config": {...}}`.
    pub fn to_keras(&self) -> Value {
        let mut config = Map::new();
        config.insert("name".into(), self.name.as_str().into());
        config.insert("dtype".into(), self.dtype.as_str().into());
        let mut written = json!(self.class);
        if let Value::Object(options) = written["config"].take() {
            config.extend(options);
        }
        json!({ "class_name": written["class_name"], "config": config })
    }
}

impl From<MetricClass> for MetricConfig {
    /// Keras' name and type for a metric of this class.
    fn from(class: MetricClass) -> Self {
        let counts_samples = matches!(
            class,
            MetricClass::IoU { .. }
                | MetricClass::MeanIoU { .. }
                | MetricClass::BinaryIoU { .. }
                | MetricClass::OneHotIoU { .. }
                | MetricClass::OneHotMeanIoU { .. }
        );
        MetricConfig {
            name: class.names().2.to_owned(),
            dtype: if counts_samples { "int64" } else { "float32" }.to_owned(),
            class,
        }
    }
}

impl MetricClass {
    /// The metric with Keras' name, before its first batch.
    ///
    /// # Errors
    /// [`Error::Option`] for an option outside of its range.
    pub fn build(self) -> Result<Box<dyn Metric>> {
        MetricConfig::from(self).build()
    }

    /// Keras' name among the identifiers: `sparse_categorical_accuracy`.
    pub fn name(&self) -> &'static str {
        self.names().1
    }

    fn names(&self) -> (&'static str, &'static str, &'static str) {
        let class = json!(self)["class_name"].take();
        let found = NAMES.iter().find(|(known, ..)| class == *known);
        found.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The options that a class cannot do without.
    fn required(class: &str) -> Value {
        match class {
            "SensitivityAtSpecificity" => json!({"specificity": 0.5}),
            "SpecificityAtSensitivity" => json!({"sensitivity": 0.5}),
            "PrecisionAtRecall" => json!({"recall": 0.5}),
            "RecallAtPrecision" => json!({"precision": 0.5}),
            "IoU" | "OneHotIoU" => json!({"num_classes": 3, "target_class_ids": [1]}),
            "MeanIoU" | "OneHotMeanIoU" => json!({"num_classes": 3}),
            _ => json!({}),
        }
    }

    #[test]
    fn every_metric_is_found_by_its_names_and_read_back_from_its_configuration() {
        for (class, snake, config_name) in NAMES {
            let options = required(class);
            let metric = from_config(&json!({"class_name": class, "config": options})).unwrap();
            assert_eq!(metric.name(), config_name);
            let config = metric.config();
            assert_eq!(config["class_name"], class);
            assert_eq!(from_config(&config).unwrap().config(), config, "{class}");
            let by_name = by_name(snake);
            if options == json!({}) {
                assert_eq!(by_name.unwrap().name(), snake);
            } else {
                let error = by_name.err().unwrap().to_string();
                let option = options.as_object().and_then(|options| options.keys().next()).unwrap();
                assert!(error.contains(&format!("missing field `{option}`")), "{error}");
            }
        }
        for (short, class) in ALIASES {
            for name in [short, &short.to_uppercase()] {
                let metric = by_name(name).unwrap();
                assert_eq!((metric.name(), &metric.config()["class_name"]), (name, &json!(class)));
            }
        }
    }

    #[test]
    fn configurations_that_cannot_be_read_say_why() {
        let cases = [
            (json!("percision"), "did you mean 'precision'?"),
            (json!({"class_name": "Precison"}), "did you mean 'Precision'?"),
            (json!({"config": {}}), "class_name"),
            (
                json!({"class_name": "Precision", "config": {"threshold": 0.5}}),
                "unknown field `threshold`",
            ),
            (
                json!({"class_name": "Precision", "config": {"thresholds": 1.5}}),
                "thresholds is 1.5",
            ),
            (
                json!({"class_name": "Precision", "config": {"thresholds": []}}),
                "num_thresholds",
            ),
            (json!({"class_name": "Precision", "config": {"name": 3}}), "`name` is 3"),
            (
                json!({"class_name": "Precision", "config": {"dtype": 3}}),
                "`dtype` is 3",
            ),
            (json!({"class_name": "Precision", "config": 3}), "expected an object"),
            (json!({"class_name": "Mean", "config": {"k": 3}}), "metric Mean"),
            (json!({"class_name": "AUC", "config": {"curve": "ROCK"}}), "ROCK"),
            (
                json!({"class_name": "AUC", "config": {"num_thresholds": 1}}),
                "num_thresholds is 1",
            ),
            (
                json!({"class_name": "AUC", "config": {"num_thresholds": u64::MAX}}),
                "num_thresholds",
            ),
            (json!({"class_name": "AUC", "config": {"num_labels": 3}}), "num_labels"),
            (
                json!({"class_name": "AUC", "config": {"multi_label": true, "num_labels": u64::MAX}}),
                "num_thresholds",
            ),
            (
                json!({"class_name": "MeanIoU", "config": {"num_classes": u64::MAX}}),
                "num_classes",
            ),
            (
                json!({"class_name": "MeanIoU", "config": {"num_classes": 0}}),
                "num_classes",
            ),
            (
                json!({"class_name": "IoU", "config": {"num_classes": 2, "target_class_ids": [2]}}),
                "target_class_ids",
            ),
            (
                json!({"class_name": "FBetaScore", "config": {"beta": 0.0}}),
                "beta is 0",
            ),
            (
                json!({"class_name": "F1Score", "config": {"threshold": 0.0}}),
                "threshold is 0",
            ),
            (
                json!({"class_name": "F1Score", "config": {"average": "median"}}),
                "median",
            ),
            (
                json!({"class_name": "PrecisionAtRecall", "config": {"recall": 2.0}}),
                "recall is 2",
            ),
            (
                json!({"class_name": "PrecisionAtRecall", "config": {"recall": 0.5, "num_thresholds": 0}}),
                "num_thresholds",
            ),
            (
                json!({"class_name": "SparseCategoricalCrossentropy", "config": {"axis": 1}}),
                "axis is 1",
            ),
        ];
        for (config, expected) in cases {
            let error = from_config(&config).err().unwrap().to_string();
            assert!(error.contains(expected), "{config}: {error}");
        }
    }

    #[test]
    fn types_may_be_policies() {
        let policy = json!({"class_name": "DTypePolicy", "config": {"name": "float32"}});
        let metric = from_config(&json!({"class_name": "Mean", "config": {"dtype": policy}})).unwrap();
        assert_eq!(metric.config()["config"]["dtype"], "float32");
    }
}
