//! The arguments of a call beside its tensors: `training`, `use_causal_mask` and others.

use kernels::random::Stream;
use nn_theory::{Layer, Node};
use serde_json::{Map, Value as Json};

use crate::network::Mode;
use crate::{Error, Result};

/// What a call in a functional graph says beside its tensors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallOptions {
    /// `training=False`: the layer runs in inference mode also while the rest trains.
    inference: bool,
    /// `use_causal_mask=True`: no step looks at a later one.
    pub(crate) causal: bool,
}

impl CallOptions {
    /// The options of a call; refuses those that mean something else than is computed here.
    pub(crate) fn read(node: &Node) -> Result<Self> {
        let mut options = CallOptions::default();
        let Some(arguments) = node.call_arguments() else {
            return Ok(options);
        };
        if matches!(node.layer, Layer::Operation(_)) {
            return Ok(options);
        }
        let refused = |found: String, expected: &'static str| Error::LayerOption {
            layer: node.name.clone(),
            option: "an argument of its call",
            found,
            expected,
        };
        for (place, value) in positions(arguments).iter().enumerate() {
            let tensors = tensor_positions(&node.layer);
            let whole = matches!(node.layer, Layer::Model(_));
            let left_out = value.is_null() && place > 0;
            let input = place < tensors && only_tensors(value, whole);
            if !left_out && !input {
                let shown: String = value.to_string().chars().take(60).collect();
                return Err(refused(
                    format!("{shown} at position {}", place + 1),
                    "a call with its input tensors and keywords only",
                ));
            }
        }
        let mut named_tensors = Vec::new();
        let keywords = keywords(arguments);
        for (key, value) in &keywords {
            match (key.as_str(), value) {
                (_, Json::Null) => (),
                ("training", Json::Bool(false)) => options.inference = true,
                ("training", Json::Bool(true)) => {
                    return Err(refused(
                        "training=True".to_string(),
                        "training=False, or no such argument",
                    ));
                }
                ("use_causal_mask", Json::Bool(causal)) => options.causal = *causal,
                ("return_attention_scores", Json::Bool(false)) => (),
                ("initial_state" | "query" | "value" | "key" | "inputs" | "sequences", value)
                    if holds_tensor(value) =>
                {
                    named_tensors.push(key.as_str());
                }
                (key, value) => {
                    return Err(refused(
                        format!("{key}={}", value.to_string().chars().take(60).collect::<String>()),
                        "a call without it",
                    ));
                }
            }
        }
        // The inputs of a node are in the order of the arguments.
        let order = ["inputs", "sequences", "query", "value", "key", "initial_state"];
        let places = named_tensors
            .iter()
            .map(|name| order.iter().position(|known| known == name));
        if !places.is_sorted() {
            return Err(refused(
                named_tensors.join(", "),
                "tensors in the order query, value, key",
            ));
        }
        Ok(options)
    }

    /// The mode in which a call runs. Several calls of one layer draw different numbers.
    pub(crate) fn mode(self, mode: Mode, call: usize) -> Mode {
        match mode {
            _ if self.inference => Mode::Inference,
            Mode::Training(stream) if call > 0 => Mode::Training(stream.op("call").step(call as u64)),
            mode => mode,
        }
    }
}

/// The stream of a layer's draws of one kind; a layer with a seed of its own draws from that.
pub(crate) fn stream_of(stream: Stream, name: &str, seed: Option<i64>) -> Stream {
    match seed {
        Some(seed) => stream.op("seeded dropout").step(seed as u64),
        None => stream.layer(name),
    }
}

/// Keras 3 names the keywords of a call, Keras 2 puts them behind each `[layer, node, tensor]`.
fn keywords(arguments: &Json) -> Map<String, Json> {
    match arguments {
        Json::Object(object) => object
            .get("kwargs")
            .and_then(Json::as_object)
            .cloned()
            .unwrap_or_default(),
        Json::Array(tensors) => {
            let kwargs = tensors.iter().filter_map(|tensor| tensor.get(3)?.as_object());
            kwargs.flat_map(|kwargs| kwargs.clone()).collect()
        }
        _ => Map::new(),
    }
}

/// The arguments that Keras 3 passes by their place; Keras 2 lists nothing but tensors there.
fn positions(arguments: &Json) -> &[Json] {
    arguments
        .get("args")
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

/// How many of the first arguments of a layer's `call` are inputs; behind them are masks and flags.
fn tensor_positions(layer: &Layer) -> usize {
    match layer {
        Layer::MultiHeadAttention(_) | Layer::GroupQueryAttention(_) => 3,
        Layer::SimpleRNN(_)
        | Layer::LSTM(_)
        | Layer::GRU(_)
        | Layer::ConvLSTM1D(_)
        | Layer::ConvLSTM2D(_)
        | Layer::ConvLSTM3D(_)
        | Layer::Bidirectional(_) => 2,
        _ => 1,
    }
}

/// Whether an argument consists of tensors, and of nothing else; those of a model may stand under names.
fn only_tensors(value: &Json, named: bool) -> bool {
    match value {
        Json::Array(items) => items.iter().all(|item| only_tensors(item, named)),
        Json::Object(object) if object.get("class_name").and_then(Json::as_str) == Some("__keras_tensor__") => true,
        Json::Object(object) => named && object.values().all(|item| only_tensors(item, named)),
        _ => false,
    }
}

fn holds_tensor(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.iter().any(holds_tensor),
        Json::Object(object) => object.get("class_name").and_then(Json::as_str) == Some("__keras_tensor__"),
        _ => false,
    }
}
