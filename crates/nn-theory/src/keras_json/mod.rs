//! Keras' JSON configurations: what `model.to_json()` writes, the `config.json` of a `.keras` archive and the
//! `model_config` of legacy HDF5 files.

mod document;
mod fields;
mod graph;
mod read;
mod tree;
mod value;
mod write;

pub(crate) use fields::{Fields, put};
pub(crate) use graph::{Argument, argument_places};
pub(crate) use tree::Object;
pub(crate) use value::ConfigValue;

use crate::{ModelSpec, NamedLayer, error::Result};
use serde_json::Value;
use tree::Json;

/// The layer inside a wrapper's configuration.
pub(crate) fn read_layer(value: &Value) -> std::result::Result<NamedLayer, String> {
    let (layer, _) = read::layer(Json::from_value(value.clone()), "the wrapper", 0, false)
        .map_err(|error| format!("holds a wrong layer: {error}"))?;
    Ok(layer)
}

pub(crate) fn write_layer(layer: &NamedLayer) -> Value {
    write::named_layer(layer)
}

/// Most layers that a model may have in a configuration: each takes some kilobytes, whatever the length of its text. The
/// largest model of `keras.applications` has 1,246.
pub const MAX_LAYERS: usize = 1 << 18;

/// Longest configuration that is read, in bytes. The largest one of `keras.applications` (NASNetLarge) has 0.8 MB.
pub const MAX_CONFIGURATION_BYTES: usize = 64 << 20;

impl ModelSpec {
    /// Reads a Keras configuration: a Sequential or Functional model of Keras 3, or of Keras 2 (legacy HDF5).
    ///
    /// Nothing in the text is executed, looked up or opened; a class without a closed form here is an error.
    ///
    /// # Errors
    /// [`crate::Error::Json`] for a text that is no configuration (also when it is nested deeper than 128 levels or
    /// longer than [`MAX_CONFIGURATION_BYTES`], or has more than [`MAX_LAYERS`] layers), else the error of the first layer that does not fit.
    pub fn from_keras_json(text: &str) -> Result<Self> {
        read::model(text)
    }

    /// Writes the model as Keras' JSON configuration, which `keras.models.model_from_json` understands.
    pub fn to_keras_json(&self) -> String {
        write::model(self).to_string()
    }
}
