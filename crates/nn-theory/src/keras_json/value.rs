//! How one value of a layer's configuration is read and written.

use super::tree::{Json, Object};
use crate::{Activation, DataFormat, Initializer, Padding};
use serde_json::{Map, Value, json};

/// A type that a key of a Keras configuration can have.
///
/// `read` answers a sentence's end ("must be a positive whole number, found -1"); the caller adds layer and key.
pub(crate) trait ConfigValue: Sized {
    fn read(value: &Value) -> Result<Self, String>;
    fn write(&self) -> Value;

    /// The same from the tree of a text that is being read; only types whose values are objects gain from their own.
    fn read_json(json: &Json<'_>) -> Result<Self, String> {
        Self::read(&json.to_value())
    }
}

/// A value for an error message, cut so that a huge one stays readable.
pub(crate) fn shown(value: &Value) -> String {
    let text = match value {
        Value::Array(items) if items.len() > 8 => format!("a list of {} values", items.len()),
        Value::Object(_) => "an object".to_owned(),
        value => value.to_string(),
    };
    if text.chars().count() > 60 {
        format!("{}…", text.chars().take(60).collect::<String>())
    } else {
        text
    }
}

/// As [`shown`], for a value that is being read.
pub(crate) fn shown_json(json: &Json<'_>) -> String {
    match json {
        Json::Array(items) if items.len() > 8 => format!("a list of {} values", items.len()),
        Json::Object(_) => "an object".to_owned(),
        json => shown(&json.to_value()),
    }
}

impl ConfigValue for usize {
    fn read(value: &Value) -> Result<Self, String> {
        let whole = value.as_u64().or_else(|| {
            value
                .as_f64()
                .filter(|v| v.fract() == 0.0 && (0.0..9e15).contains(v))
                .map(|v| v as u64)
        });
        whole.and_then(|size| Self::try_from(size).ok()).ok_or_else(|| {
            format!(
                "must be a whole number that is not negative and below 2^64, found {}",
                shown(value)
            )
        })
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

impl ConfigValue for i64 {
    fn read(value: &Value) -> Result<Self, String> {
        value
            .as_i64()
            .ok_or_else(|| format!("must be a whole number, found {}", shown(value)))
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

impl ConfigValue for f64 {
    fn read(value: &Value) -> Result<Self, String> {
        value
            .as_f64()
            .ok_or_else(|| format!("must be a number, found {}", shown(value)))
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

impl ConfigValue for bool {
    fn read(value: &Value) -> Result<Self, String> {
        value
            .as_bool()
            .ok_or_else(|| format!("must be true or false, found {}", shown(value)))
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

impl ConfigValue for String {
    fn read(value: &Value) -> Result<Self, String> {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("must be a text, found {}", shown(value)))
    }

    fn write(&self) -> Value {
        json!(self)
    }
}

/// Values without a form of their own (regularizers, constraints) are carried through.
impl ConfigValue for Value {
    fn read(value: &Value) -> Result<Self, String> {
        Ok(value.clone())
    }

    fn write(&self) -> Value {
        self.clone()
    }
}

impl<T: ConfigValue> ConfigValue for Option<T> {
    fn read(value: &Value) -> Result<Self, String> {
        if value.is_null() {
            Ok(None)
        } else {
            T::read(value).map(Some)
        }
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Null, ConfigValue::write)
    }
}

impl<T: ConfigValue> ConfigValue for Vec<T> {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => items.iter().map(T::read).collect(),
            single => T::read(single)
                .map(|item| vec![item])
                .map_err(|_| format!("must be a list, found {}", shown(single))),
        }
    }

    fn write(&self) -> Value {
        Value::Array(self.iter().map(ConfigValue::write).collect())
    }
}

impl<T: ConfigValue + Copy, const N: usize> ConfigValue for [T; N] {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => {
                let items: Vec<T> = items.iter().map(T::read).collect::<Result<_, _>>()?;
                let found = items.len();
                Self::try_from(items).map_err(|_| format!("must have {N} values, found {found}"))
            }
            single => T::read(single).map(|item| [item; N]),
        }
    }

    fn write(&self) -> Value {
        Value::Array(self.iter().map(ConfigValue::write).collect())
    }
}

impl ConfigValue for Activation {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(Self::Linear),
            Value::String(name) => Self::from_name(name)
                .ok_or_else(|| format!("names the unknown activation '{name}'; use one of keras.activations")),
            // {"module": "keras.activations", "class_name": "function", "config": "relu"} and older forms
            Value::Object(object) => match (object.get("config"), object.get("class_name")) {
                (Some(Value::String(name)), _) | (_, Some(Value::String(name))) => {
                    Self::read(&Value::String(name.clone()))
                }
                _ => Err(format!("must name an activation, found {}", shown(value))),
            },
            value => Err(format!("must name an activation, found {}", shown(value))),
        }
    }

    fn write(&self) -> Value {
        json!(self.name())
    }
}

impl ConfigValue for Initializer {
    fn read(value: &Value) -> Result<Self, String> {
        let empty = serde_json::Map::new();
        let known = match value {
            Value::String(name) => Self::from_config(name, &empty)?,
            Value::Object(object) => {
                let name = object
                    .get("class_name")
                    .and_then(Value::as_str)
                    .ok_or("needs a 'class_name'")?;
                let config = object.get("config").and_then(Value::as_object).unwrap_or(&empty);
                Self::from_config(name, config)?
            }
            value => return Err(format!("must be an initializer, found {}", shown(value))),
        };
        Ok(known.unwrap_or_else(|| Self::Other(value.clone())))
    }

    fn write(&self) -> Value {
        self.to_keras()
    }

    /// Every kernel and bias has one, nearly always with nothing set: `{"seed": null, "input_axes": null, ...}`.
    fn read_json(json: &Json<'_>) -> Result<Self, String> {
        let unset = |config: &Object<'_>| {
            config
                .iter()
                .all(|(key, value)| value.is_null() && matches!(key, "seed" | "input_axes" | "output_axes"))
        };
        let class = json.get("class_name").and_then(Json::as_str);
        if let (Some(class), Some(config)) = (class, json.get("config").and_then(Json::as_object))
            && unset(config)
        {
            // The three that nearly every layer has, without looking for other spellings of their names.
            match class {
                "Zeros" => return Ok(Self::Zeros),
                "Ones" => return Ok(Self::Ones),
                "GlorotUniform" => return Ok(Self::GlorotUniform { seed: None }),
                _ => {}
            }
            if let Some(known) = Self::from_config(class, &Map::new())? {
                return Ok(known);
            }
        }
        Self::read(&json.to_value())
    }
}

impl ConfigValue for Padding {
    fn read(value: &Value) -> Result<Self, String> {
        [Self::Valid, Self::Same, Self::Causal]
            .into_iter()
            .find(|padding| {
                value
                    .as_str()
                    .is_some_and(|name| name.eq_ignore_ascii_case(padding.name()))
            })
            .ok_or_else(|| format!("must be \"valid\", \"same\" or \"causal\", found {}", shown(value)))
    }

    fn write(&self) -> Value {
        json!(self.name())
    }
}

impl ConfigValue for DataFormat {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("channels_last") => Ok(Self::ChannelsLast),
            Some("channels_first") => Ok(Self::ChannelsFirst),
            None if value.is_null() => Ok(Self::ChannelsLast),
            _ => Err(format!(
                "must be \"channels_last\" or \"channels_first\", found {}",
                shown(value)
            )),
        }
    }

    fn write(&self) -> Value {
        json!(self.name())
    }
}

/// A shape with free dimensions, `[null, 28, 28, 1]`.
impl ConfigValue for crate::Shape {
    fn read(value: &Value) -> Result<Self, String> {
        let dims = Vec::<Option<usize>>::read(value)?;
        Ok(Self(dims.into_iter().map(|dim| dim.map(|dim| dim as u64)).collect()))
    }

    fn write(&self) -> Value {
        json!(self.0)
    }
}
