//! From a model to Keras' JSON.

use super::tree::Json;
use crate::{
    DTypePolicy, Layer, ModelKind, ModelSpec, NamedLayer, Node, Shape,
    model::{Carried, auto_name},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) fn model(model: &ModelSpec) -> Value {
    let mut config = Map::new();
    config.insert("name".to_owned(), json!(model.name));
    config.insert("trainable".to_owned(), json!(model.trainable));
    let module = match model.kind {
        ModelKind::Sequential => {
            config.insert("dtype".to_owned(), policy(model.dtype.name()));
            config.insert(
                "layers".to_owned(),
                Value::Array(model.layers().map(|node| layer(node).into()).collect()),
            );
            if model.is_built() {
                config.insert("build_input_shape".to_owned(), json!(model.input_shape().0));
            }
            "keras"
        }
        ModelKind::Functional => {
            let calls = model.calls();
            let calls_of = |node: &Node| calls.get(node.name.as_str()).map_or(&[][..], Vec::as_slice);
            let layers = model.layers().map(|node| graph_layer(model, node, calls_of(node)));
            config.insert("layers".to_owned(), Value::Array(layers.collect()));
            let (inputs, outputs) = model.structure.clone().unwrap_or_else(|| structure(model));
            config.insert("input_layers".to_owned(), inputs);
            config.insert("output_layers".to_owned(), outputs);
            "keras.src.models.functional"
        }
    };
    let mut object = Map::new();
    object.insert("module".to_owned(), json!(module));
    object.insert("class_name".to_owned(), json!(model.kind.class()));
    object.insert("config".to_owned(), Value::Object(config));
    let registered = if model.kind == ModelKind::Functional {
        json!("Functional")
    } else {
        Value::Null
    };
    object.insert("registered_name".to_owned(), registered);
    let shape = if model.is_built() && model.kind == ModelKind::Sequential {
        json!(model.input_shape().0)
    } else {
        Value::Null
    };
    if model.kind == ModelKind::Functional || model.is_built() {
        object.insert("build_config".to_owned(), json!({ "input_shape": shape }));
    }
    for (key, value) in &model.extra {
        if !matches!(
            key.as_str(),
            "module" | "class_name" | "registered_name" | "build_config"
        ) {
            object.insert(key.clone(), value.clone());
        }
    }
    Value::Object(object)
}

fn policy(name: &str) -> Value {
    json!({ "module": "keras", "class_name": "DTypePolicy", "config": { "name": name }, "registered_name": null })
}

/// A layer with its configuration, without its place in the graph.
fn layer(node: &Node) -> Map<String, Value> {
    let mut object = described(&node.name, &node.layer, node.trainable, node.dtype, &node.carried);
    if node.layer.spec().needs_shape() && !node.input_shapes.is_empty() && !object.contains_key("build_config") {
        let shapes: Vec<Value> = node.input_shapes.iter().map(|shape| json!(shape.0)).collect();
        let build = match (node.layer.class(), shapes.as_slice()) {
            ("MultiHeadAttention" | "GroupQueryAttention", [query, value, rest @ ..]) => {
                let mut named = json!({ "query_shape": query, "value_shape": value });
                if let Some(key) = rest.first() {
                    named["key_shape"] = key.clone();
                }
                json!({ "shapes_dict": named })
            }
            (_, [shape]) => json!({ "input_shape": shape }),
            _ => json!({ "input_shape": shapes }),
        };
        object.insert("build_config".to_owned(), build);
    }
    object
}

/// The layer inside a wrapper.
pub(super) fn named_layer(named: &NamedLayer) -> Value {
    let name = named
        .name
        .clone()
        .unwrap_or_else(|| auto_name(&named.layer, &mut BTreeMap::new()));
    Value::Object(described(
        &name,
        &named.layer,
        named.trainable,
        named.dtype,
        &named.carried,
    ))
}

fn described(name: &str, layer: &Layer, trainable: bool, dtype: DTypePolicy, carried: &Carried) -> Map<String, Value> {
    if let Layer::Model(nested) = layer {
        let mut object = match model(&nested.model) {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        if let Some(Value::Object(config)) = object.get_mut("config") {
            config.insert("name".to_owned(), json!(name));
            config.insert("trainable".to_owned(), json!(trainable));
        }
        return object;
    }
    let mut config = Map::new();
    let module = match layer {
        Layer::Operation(operation) => {
            config.insert("name".to_owned(), json!(name));
            operation.module.clone()
        }
        Layer::Unknown(unknown) => {
            config.insert("name".to_owned(), json!(name));
            unknown.module.clone()
        }
        Layer::InputLayer(input) => {
            config.insert("batch_shape".to_owned(), json!(input.batch_shape.0));
            config.insert("dtype".to_owned(), json!(dtype.compute.name()));
            config.insert("sparse".to_owned(), json!(false));
            config.insert("ragged".to_owned(), json!(false));
            config.insert("name".to_owned(), json!(name));
            config.insert("optional".to_owned(), json!(false));
            "keras.layers".to_owned()
        }
        // Keras' constructors of these layers do not know all of the keys.
        Layer::Pipeline(_) => {
            config.insert("name".to_owned(), json!(name));
            "keras.layers".to_owned()
        }
        Layer::Discretization(_)
        | Layer::SpatialDropout1D(_)
        | Layer::SpatialDropout2D(_)
        | Layer::SpatialDropout3D(_) => {
            config.insert("name".to_owned(), json!(name));
            config.insert("dtype".to_owned(), json!(dtype.name()));
            "keras.layers".to_owned()
        }
        _ => {
            config.insert("name".to_owned(), json!(name));
            config.insert("trainable".to_owned(), json!(trainable));
            let written = carried.policy.clone().unwrap_or_else(|| policy(dtype.name()));
            config.insert("dtype".to_owned(), written);
            module_of_layer(layer).to_owned()
        }
    };
    layer.write(&mut config);
    config.extend(carried.config.clone());
    let mut object = Map::new();
    object.insert("module".to_owned(), json!(module));
    object.insert("class_name".to_owned(), json!(layer.class()));
    object.insert("config".to_owned(), Value::Object(config));
    let registered = if matches!(layer, Layer::Operation(_)) || module_of_layer(layer) != "keras.layers" {
        json!(layer.class())
    } else {
        Value::Null
    };
    object.insert("registered_name".to_owned(), registered);
    for (key, value) in &carried.object {
        object.insert(key.clone(), value.clone());
    }
    object
}

/// Where Keras finds the class of a layer.
fn module_of_layer(layer: &Layer) -> &'static str {
    match layer {
        Layer::LayerScale(_) | Layer::StochasticDepth(_) => "keras.src.applications.convnext",
        Layer::CustomScaleLayer(_) => "keras.src.applications.inception_resnet_v2",
        _ => "keras.layers",
    }
}

fn graph_layer(model: &ModelSpec, first: &Node, places: &[usize]) -> Value {
    let mut object = layer(first);
    object.insert("name".to_owned(), json!(first.name));
    let mut calls = Vec::new();
    if !matches!(first.layer, Layer::InputLayer(_)) {
        for node in places.iter().map(|&place| &model.nodes[place]) {
            calls.push(node.arguments.clone().unwrap_or_else(|| arguments(model, node)));
        }
    }
    object.insert("inbound_nodes".to_owned(), Value::Array(calls));
    Value::Object(object)
}

/// The arguments of a call that was made by the builder: one tensor, several, or the list that merging layers take.
fn arguments(model: &ModelSpec, node: &Node) -> Value {
    let tensor = |(&from, (&output, shape)): (&usize, (&usize, &Shape))| {
        let source = &model.nodes[from];
        json!({
            "class_name": "__keras_tensor__",
            "config": {
                "shape": shape.0, "dtype": source.dtype.compute.name(), "keras_history": [source.name, source.call, output]
            }
        })
    };
    let tensors: Vec<Value> = node
        .inputs
        .iter()
        .zip(node.input_tensors.iter().zip(&node.input_shapes))
        .map(tensor)
        .collect();
    let separate = takes_tensors_apart(&node.layer, tensors.len());
    json!({ "args": if separate { Value::Array(tensors) } else { json!([tensors]) }, "kwargs": {} })
}

fn takes_tensors_apart(layer: &Layer, tensors: usize) -> bool {
    // A fourth tensor of these is a mask.
    tensors == 1 || tensors <= 3 && matches!(layer.class(), "MultiHeadAttention" | "GroupQueryAttention")
}

/// Whether a call says no more than [`arguments`] writes for its tensors, so that nothing of it has to be kept.
pub(super) fn is_usual_call(call: &Json<'_>, layer: &Layer) -> bool {
    let keys = |object: &Json<'_>, expected: &[&str]| {
        object
            .as_object()
            .is_some_and(|object| object.iter().map(|(key, _)| key).eq(expected.iter().copied()))
    };
    let is_tensor = |tensor: &Json<'_>| {
        keys(tensor, &["class_name", "config"])
            && tensor.get("class_name").and_then(Json::as_str) == Some("__keras_tensor__")
            && tensor.get("config").is_some_and(|config| {
                keys(config, &["shape", "dtype", "keras_history"])
                    && config.get("dtype").and_then(Json::as_str) == Some("float32")
            })
    };
    let args = call.get("args").and_then(Json::as_array).unwrap_or_default();
    let tensors = match args {
        [Json::Array(tensors)] if !takes_tensors_apart(layer, tensors.len()) => tensors,
        tensors if takes_tensors_apart(layer, tensors.len()) => tensors,
        _ => return false,
    };
    let plain = !matches!(layer, Layer::Operation(_) | Layer::Model(_));
    plain
        && keys(call, &["args", "kwargs"])
        && call.get("kwargs").is_some_and(|kwargs| keys(kwargs, &[]))
        && !tensors.is_empty()
        && tensors.iter().all(is_tensor)
}

fn structure(model: &ModelSpec) -> (Value, Value) {
    let list = |ends: Vec<Value>| {
        if ends.len() == 1 {
            ends[0].clone()
        } else {
            Value::Array(ends)
        }
    };
    let end = |node: usize, output: usize| {
        let node = &model.nodes[node];
        // Keras counts a node of its own for a nested Functional model.
        let call = node.call + usize::from(super::graph::is_nested(&node.layer));
        json!([node.name, call, output])
    };
    let inputs = model.inputs.iter().map(|&node| end(node, 0)).collect();
    let outputs = model
        .outputs
        .iter()
        .zip(&model.output_tensors)
        .map(|(&node, &output)| end(node, output))
        .collect();
    (list(inputs), list(outputs))
}
