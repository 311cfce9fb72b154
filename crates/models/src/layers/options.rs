//! Options of layers that decide whether they run.

use nn_theory::{Layer, NamedLayer, Node};
use serde_json::{Map, Value as Json, json};

use super::up_sampling;
use crate::{Error, Result};

/// Layers that compute with whatever sizes they meet: a sequence may have any length.
pub(super) fn takes_any_size(layer: &Layer) -> bool {
    matches!(
        layer,
        Layer::InputLayer(_)
            | Layer::Activation(_)
            | Layer::Add(_)
            | Layer::Bidirectional(_)
            | Layer::Concatenate(_)
            | Layer::Dense(_)
            | Layer::Dropout(_)
            | Layer::EinsumDense(_)
            | Layer::Embedding(_)
            | Layer::GRU(_)
            | Layer::GlobalAveragePooling1D(_)
            | Layer::GlobalMaxPooling1D(_)
            | Layer::LSTM(_)
            | Layer::LayerNormalization(_)
            | Layer::Masking(_)
            | Layer::Model(_)
            | Layer::MultiHeadAttention(_)
            | Layer::Reshape(_)
            | Layer::SimpleRNN(_)
            | Layer::SpatialDropout1D(_)
            | Layer::TimeDistributed(_)
    )
}

/// The one activation that a layer cannot have.
pub(crate) fn threshold_refused(layer: &str) -> Error {
    Error::LayerOption {
        layer: layer.to_string(),
        option: "activation",
        found: "threshold".to_string(),
        expected: "another activation: threshold needs arguments, which a layer cannot give it",
    }
}

/// What a dtype policy asks for beyond number formats: the mode of a quantization, else the class of the policy.
fn beyond_formats(policy: &Json) -> Option<String> {
    if let Some(name) = policy.as_str() {
        return name.split_once("_from_").map(|(mode, _)| mode.to_string());
    }
    let class = policy.get("class_name").and_then(Json::as_str).unwrap_or_default();
    // The names that Keras 2 and the first releases of Keras 3 had for the plain policy.
    if matches!(class, "DTypePolicy" | "FloatDTypePolicy" | "Policy") {
        return None;
    }
    let config = policy.get("config");
    let mode = config.and_then(|config| config.get("mode")).and_then(Json::as_str);
    let map = config.and_then(|config| config.get("policy_map"));
    if mode.is_none() && map.and_then(Json::as_object).is_some_and(Map::is_empty) {
        return config
            .and_then(|config| config.get("default_policy"))
            .and_then(beyond_formats);
    }
    Some(mode.unwrap_or(class).to_string())
}

/// Refuses weights that are stored in another form than a kernel of numbers: quantized, or with low-rank factors beside it.
fn check_weights(layer: &str, policy: Option<&Json>, config: &Map<String, Json>) -> Result<()> {
    let refused = |option: &'static str, found: String, expected: &'static str| {
        Err(Error::LayerOption {
            layer: layer.to_string(),
            option,
            found,
            expected,
        })
    };
    if let Some(found) = policy.and_then(beyond_formats) {
        return refused("dtype", found, "a number format, mixed_float16 or mixed_bfloat16");
    }
    for option in ["lora_rank", "quantization_config"] {
        if let Some(found) = config.get(option).filter(|value| !value.is_null()) {
            let expected = "the layer without it, its kernel saved with what it adds";
            return refused(option, found.to_string(), expected);
        }
    }
    Ok(())
}

/// Refuses options that have no field in the description of a layer.
pub(crate) fn check_options(node: &Node, config: &Map<String, Json>) -> Result<()> {
    check_weights(&node.name, node.dtype_policy(), config)?;
    if let Layer::SpectralNormalization(layer) = &node.layer {
        // The layers inside of the other wrappers become nodes of their own.
        let inside: &NamedLayer = &layer.layer.0;
        check_weights(&node.name, inside.dtype_policy(), &inside.config())?;
    }
    let refused = |option: &'static str, expected: &'static str| {
        Err(Error::LayerOption {
            layer: node.name.clone(),
            option,
            found: config.get(option).map_or_else(String::new, ToString::to_string),
            expected,
        })
    };
    let is_set = |key: &str| {
        config
            .get(key)
            .is_some_and(|value| !matches!(value, Json::Null | Json::Bool(false)))
    };
    if is_set("stateful") {
        return refused("stateful", "false, and give the layer its states as inputs");
    }
    let several_axes = |node: &Node| {
        let axes = config.get("attention_axes");
        let first = axes.is_none_or(|axes| axes.is_null() || *axes == json!([1]) || *axes == json!(1));
        !first || node.input_shapes.iter().any(|shape| shape.0.len() != 3)
    };
    match &node.layer {
        Layer::MultiHeadAttention(_) | Layer::GroupQueryAttention(_) if several_axes(node) => {
            refused("attention_axes", "[1] on inputs of the shape (batch, steps, features)")
        }
        Layer::MultiHeadAttention(_) if is_set("activity_regularizer") => refused(
            "activity_regularizer",
            "none, or a layer ActivityRegularization behind it",
        ),
        Layer::Attention(_) | Layer::AdditiveAttention(_)
            if node.input_shapes.iter().any(|shape| shape.0.len() != 3) =>
        {
            refused("inputs", "inputs of the shape (batch, steps, features)")
        }
        Layer::UpSampling2D(_) => {
            let name = config.get("interpolation").and_then(Json::as_str);
            match up_sampling::Interpolation::from_name(name.unwrap_or("nearest")) {
                Some(_) => Ok(()),
                None => refused("interpolation", "nearest, bilinear, bicubic, lanczos3 or lanczos5"),
            }
        }
        Layer::Reshape(_) if node.output_shape.0.iter().skip(1).filter(|size| size.is_none()).count() > 1 => {
            refused("target_shape", "at most one size that depends on the data")
        }
        _ => Ok(()),
    }
}
