//! From the JSON text to layers and models.

use super::{
    MAX_CONFIGURATION_BYTES,
    document::Document,
    fields::Fields,
    graph,
    tree::{Json, Object},
    value::{ConfigValue, shown_json as shown},
};
use crate::{
    DTypePolicy, InputLayer, Layer, ModelKind, ModelSpec, NamedLayer, NestedModel, Operation, Shape, UnknownLayer,
    error::{Error, Problem, Result},
    layers::module_of,
    model::Carried,
};
use serde_json::{Map, Value};
use std::sync::Arc;

pub(super) fn model(text: &str) -> Result<ModelSpec> {
    if text.len() > MAX_CONFIGURATION_BYTES {
        let problem = format!(
            "it has {} bytes, more than the {MAX_CONFIGURATION_BYTES} that are read",
            text.len()
        );
        return Err(Error::Json { problem });
    }
    let document: Document<'_> = serde_json::from_str(text).map_err(|error| Error::Json {
        problem: error.to_string(),
    })?;
    let (value, layers) = (document.value, document.layers);
    let Json::Object(object) = value else {
        return Err(Error::Json {
            problem: format!(
                "expected an object with 'class_name' and 'config', found {}",
                shown(&value)
            ),
        });
    };
    match object.get("class_name").and_then(Json::as_str) {
        Some("Sequential") => model_of(object, layers, ModelKind::Sequential),
        Some("Functional" | "Model") => model_of(object, layers, ModelKind::Functional),
        Some(class) => Err(Error::Json {
            problem: format!(
                "its class is '{class}'; only 'Sequential' and 'Functional' models describe their layers (the graph of a \
                 subclassed model is Python code)"
            ),
        }),
        None => Err(Error::Json {
            problem: "the key 'class_name' is missing or no text".to_owned(),
        }),
    }
}

/// A text among the keys of an object.
fn text<'a>(object: &'a Object<'_>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Json::as_str)
}

/// `layers` are those of the outermost model, which were read with the text.
fn model_of<'a>(mut object: Object<'a>, layers: Option<Vec<Draft<'a>>>, kind: ModelKind) -> Result<ModelSpec> {
    let class = kind.class();
    let fault = |name: &str, key: &str, problem: String| Problem::key(key, problem).at(name, class);
    let mut config = match object.remove("config") {
        Some(Json::Object(config)) => config,
        // Keras 2 before 2.2.3: the configuration of a Sequential model is the list of its layers.
        Some(Json::Array(layers)) if kind == ModelKind::Sequential => Object::of("layers", Json::Array(layers)),
        Some(other) => {
            return Err(fault(
                "?",
                "config",
                format!("must be an object, found {}", shown(&other)),
            ));
        }
        None => return Err(fault("?", "config", "is missing".to_owned())),
    };
    let name = match config.remove("name") {
        None => class.to_lowercase(),
        Some(Json::String(name)) => name.into_owned(),
        Some(other) => return Err(fault("?", "name", format!("must be a text, found {}", shown(&other)))),
    };
    let trainable = match config.remove("trainable") {
        None | Some(Json::Null) => true,
        Some(value) => bool::read_json(&value).map_err(|problem| fault(&name, "trainable", problem))?,
    };
    let (dtype, _) = policy(config.remove("dtype")).map_err(|problem| problem.at(&name, class))?;
    let layers = match (config.remove("layers"), layers) {
        (Some(_), Some(layers)) => layers,
        (Some(Json::Array(layers)), None) => {
            let layers = layers.into_iter().enumerate();
            layers.map(|(index, layer)| draft(layer, &name, index)).collect()
        }
        (Some(other), None) => {
            return Err(fault(
                &name,
                "layers",
                format!("must be a list, found {}", shown(&other)),
            ));
        }
        (None, _) => return Err(fault(&name, "layers", "is missing".to_owned())),
    };
    let mut model = match kind {
        ModelKind::Sequential => stack(name, layers, &mut config, &object)?,
        ModelKind::Functional => graph::model(name, layers, &mut config)?,
    };
    model.trainable = trainable;
    model.dtype = dtype;
    model.extra = object.to_map();
    Ok(model)
}

/// A Sequential model: its layers one after the other.
fn stack(name: String, layers: Vec<Draft<'_>>, config: &mut Object<'_>, object: &Object<'_>) -> Result<ModelSpec> {
    let mut builder = ModelSpec::sequential(name.clone());
    let stated = config.remove("build_input_shape");
    let stated = stated.or_else(|| {
        object
            .get("build_config")
            .and_then(|build| build.get("input_shape"))
            .cloned()
    });
    let mut stack = Vec::with_capacity(layers.len());
    for (index, layer) in layers.into_iter().enumerate() {
        let (named, legacy_input) = layer.read?;
        if index == 0 && !matches!(named.layer, Layer::InputLayer(_)) {
            let shape = match (legacy_input, &stated) {
                (Some(shape), _) => Some(shape),
                (None, Some(value)) if !value.is_null() => Some(
                    Shape::read_json(value)
                        .map_err(|problem| Problem::key("build_input_shape", problem).at(&name, "Sequential"))?,
                ),
                _ => None,
            };
            if let Some(shape) = shape {
                builder = builder.layer(InputLayer::new(shape).name("input_layer"));
            }
        }
        stack.push(named);
    }
    state_outputs(&mut stack);
    for named in stack {
        builder = builder.layer(named);
    }
    builder.build()
}

/// A layer that cannot compute its output shape has the one that the next layer was built for.
fn state_outputs(stack: &mut [NamedLayer]) {
    for index in 1..stack.len() {
        let built = stack[index].carried.object.get("build_config");
        let shape = built
            .and_then(|built| built.get("input_shape"))
            .and_then(|shape| Shape::read(shape).ok());
        if shape.is_some() {
            match &mut stack[index - 1].layer {
                Layer::Unknown(layer) => layer.outputs = vec![shape],
                Layer::Lambda(layer) => layer.outputs = vec![shape],
                _ => {}
            }
        }
    }
}

/// A dtype policy: a name, or an object with a name; the object itself where it says more than formats.
fn policy(value: Option<Json<'_>>) -> Result<(DTypePolicy, Option<Value>), Problem> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok((DTypePolicy::default(), None));
    };
    let wrong = || {
        let found = shown(&value);
        Problem::key("dtype", format!("must be a dtype or a dtype policy, found {found}"))
    };
    // {"class_name": "DTypePolicyMap", "config": {"default_policy": .., "policy_map": ..}}
    let named = match value.get("config").and_then(|config| config.get("default_policy")) {
        Some(policy) => policy,
        None => &value,
    };
    let config = named.get("config");
    let key = |key: &str| config.and_then(|config| config.get(key)).and_then(Json::as_str);
    let name = match named {
        Json::String(name) => name.as_ref(),
        // {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8", "source_name": "float32"}}
        Json::Object(_) => match (key("name"), key("source_name")) {
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) if config.is_some_and(|config| config.get("mode").is_some()) => "float32",
            (None, None) => return Err(Problem::key("dtype", "must name a dtype policy in 'config.name'")),
        },
        Json::Null => "float32",
        _ => return Err(wrong()),
    };
    // "int8_from_mixed_bfloat16" is the short form of a quantized policy.
    let (mode, name) = name
        .split_once("_from_")
        .map_or((None, name), |(mode, name)| (Some(mode), name));
    let policy = DTypePolicy::from_name(name).ok_or_else(|| {
        Problem::key(
            "dtype",
            format!("names the unknown policy '{name}'; use a number format, mixed_float16 or mixed_bfloat16"),
        )
    })?;
    let class = value.get("class_name");
    let rich = match mode {
        Some(mode) => Some(quantized_policy(mode, name)),
        None if class.is_some_and(|class| class.as_str() != Some("DTypePolicy")) => Some(value.to_value()),
        None => None,
    };
    Ok((policy, rich))
}

/// The object that Keras writes for a quantized policy.
fn quantized_policy(mode: &str, source: &str) -> Value {
    let class = match mode.split('/').next() {
        Some("int4") => "Int4DTypePolicy",
        Some("gptq") => "GPTQDTypePolicy",
        Some("awq") => "AWQDTypePolicy",
        Some("float8") => "QuantizedFloat8DTypePolicy",
        _ => "QuantizedDTypePolicy",
    };
    serde_json::json!({
        "module": "keras.dtype_policies", "class_name": class, "config": { "mode": mode, "source_name": source },
        "registered_name": null
    })
}

/// A layer of a model's list with its calls; the model decides whether it needs them, and reports what is wrong in order.
pub(super) struct Draft<'a> {
    pub(super) read: Result<(NamedLayer, Option<Shape>)>,
    pub(super) calls: Result<Vec<graph::Call<'a>>, Problem>,
}

pub(super) fn draft<'a>(mut value: Json<'a>, model: &str, index: usize) -> Draft<'a> {
    let inbound = match &mut value {
        Json::Object(object) => object.remove("inbound_nodes"),
        _ => None,
    };
    let read = layer(value, model, index, takes_tensors(inbound.as_ref()));
    let calls = match &read {
        Ok((named, _)) => graph::calls(inbound, &named.layer),
        Err(_) => Ok(Vec::new()),
    };
    Draft { read, calls }
}

/// Whether the first argument of the first call is a tensor, not the list of them that merging layers take.
fn takes_tensors(inbound: Option<&Json<'_>>) -> bool {
    let call = inbound.and_then(Json::as_array).and_then(<[_]>::first);
    let arguments = call.and_then(|call| call.get("args")).and_then(Json::as_array);
    matches!(arguments.and_then(<[_]>::first), Some(Json::Object(_)))
}

/// Whether a layer's class is written in Keras itself: then it must be known, else it is carried through.
fn is_keras_own(module: &str, registered_name: Option<&str>, class: &str) -> bool {
    // Keras' wrappers of other frameworks' code know as little of shapes and weights as a user's class.
    if matches!(class, "FlaxLayer" | "JaxLayer" | "TFSMLayer" | "TorchModuleWrapper") {
        return false;
    }
    let keras = module.is_empty() || module == "keras" || module.starts_with("keras.");
    keras && !class.contains('>') && registered_name.is_none_or(|name| !name.contains('>'))
}

/// A layer of a model's list; also the `batch_input_shape` that Keras 2 puts into a first layer.
///
/// `on_tensors` says whether it is called on tensors one by one, as operations are.
pub(super) fn layer(
    value: Json<'_>,
    model: &str,
    index: usize,
    on_tensors: bool,
) -> Result<(NamedLayer, Option<Shape>)> {
    let place = || format!("layer {index} of {model}");
    let Json::Object(mut object) = value else {
        return Err(Problem::key("layers", format!("must hold objects, found {}", shown(&value))).at(&place(), "?"));
    };
    let Some(class) = text(&object, "class_name").map(str::to_owned) else {
        return Err(Problem::key("class_name", "is missing or no text").at(&place(), "?"));
    };
    let outer_name = match object.remove("name") {
        Some(Json::String(name)) => Some(name.into_owned()),
        _ => None,
    };
    if matches!(class.as_str(), "Sequential" | "Functional" | "Model") {
        let kind = if class == "Sequential" {
            ModelKind::Sequential
        } else {
            ModelKind::Functional
        };
        let inner = model_of(object, None, kind)?;
        let (name, trainable, dtype) = (inner.name().to_owned(), inner.trainable(), inner.dtype);
        let layer = Layer::Model(NestedModel { model: Arc::new(inner) });
        let named = NamedLayer::new(layer)
            .name(outer_name.unwrap_or(name))
            .trainable(trainable)
            .dtype(dtype);
        return Ok((named, None));
    }
    object.remove("class_name");
    let mut config = match object.remove("config") {
        Some(Json::Object(config)) => config,
        found => {
            let name = outer_name.unwrap_or_else(place);
            let problem = found.map_or("is missing".to_owned(), |found| {
                format!("must be an object, found {}", shown(&found))
            });
            return Err(Problem::key("config", problem).at(&name, &class));
        }
    };
    let name = match config.remove("name") {
        Some(Json::String(name)) => Some(name.into_owned()),
        None | Some(Json::Null) => outer_name,
        Some(other) => {
            return Err(Problem::key("name", format!("must be a text, found {}", shown(&other))).at(&place(), &class));
        }
    };
    let shown_name = name.clone().unwrap_or_else(place);
    named_layer(&shown_name, &class, config, object, on_tensors).map(|(mut named, shape)| {
        named.name = name;
        (named, shape)
    })
}

fn named_layer(
    name: &str,
    class: &str,
    mut config: Object<'_>,
    object: Object<'_>,
    on_tensors: bool,
) -> Result<(NamedLayer, Option<Shape>)> {
    // Legacy HDF5 files name no modules; there an operation has not the keys that every layer has. Merging layers are called
    // on a list, operations of the same name on each tensor; a Softmax is the same both ways.
    let only_of_layers = ["trainable", "dtype", "target_shape"];
    let guessed = match object.get("module") {
        None if Layer::classes().contains(&class)
            && (!on_tensors || class == "Softmax" || only_of_layers.iter().any(|key| config.contains_key(key))) =>
        {
            None
        }
        None => module_of(class),
        _ => None,
    };
    let module = guessed.as_deref().or(text(&object, "module")).unwrap_or_default();
    // The class's own name; the one that it is exported and configured under is shorter.
    let class = if class == "GroupedQueryAttention" {
        "GroupQueryAttention"
    } else {
        class
    };
    if module.contains(".ops") {
        let operation = Operation {
            module: module.to_owned(),
            class: class.to_owned(),
            config: config.to_map(),
            outputs: Vec::new(),
        };
        let carried = Carried {
            object: object.to_map(),
            ..Carried::default()
        };
        return Ok((
            NamedLayer {
                carried,
                ..NamedLayer::new(Layer::Operation(operation))
            },
            None,
        ));
    }
    if !is_keras_own(module, text(&object, "registered_name"), class) {
        let at = |problem: Problem| problem.at(name, class);
        let trainable = match config.get("trainable") {
            None | Some(Json::Null) => true,
            Some(value) => bool::read_json(value).map_err(|problem| at(Problem::key("trainable", problem)))?,
        };
        let (dtype, policy) = policy(config.get("dtype").cloned()).map_err(at)?;
        let unknown = UnknownLayer {
            module: module.to_owned(),
            class: class.to_owned(),
            config: config.to_map(),
            outputs: Vec::new(),
        };
        let named = NamedLayer {
            trainable,
            dtype,
            carried: Carried {
                object: object.to_map(),
                policy,
                ..Carried::default()
            },
            ..NamedLayer::new(Layer::Unknown(unknown))
        };
        return Ok((named, None));
    }
    let at = |problem: Problem| problem.at(name, class);
    let trainable = match config.remove("trainable") {
        None | Some(Json::Null) => true,
        Some(value) => bool::read_json(&value).map_err(|problem| at(Problem::key("trainable", problem)))?,
    };
    let (dtype, policy) = policy(config.remove("dtype")).map_err(at)?;
    // Keras 2 names the shape of an input `batch_input_shape`.
    let legacy = config.remove("batch_input_shape").filter(|shape| !shape.is_null());
    let legacy = legacy.map(|shape| Shape::read_json(&shape)).transpose();
    let legacy = legacy.map_err(|problem| at(Problem::key("batch_input_shape", problem)))?;
    if class == "InputLayer"
        && let Some(shape) = &legacy
    {
        config.insert("batch_shape", Json::from_value(shape.write()));
    }
    // Keras 2 names the slope of this layer `alpha`.
    if class == "LeakyReLU"
        && !config.contains_key("negative_slope")
        && let Some(alpha) = config.remove("alpha")
    {
        config.insert("negative_slope", alpha);
    }
    // Keras writes one axis for both inputs as it was given.
    let axes = config.get("axes").filter(|_| class == "Dot").map(Json::to_value);
    let axes = axes.filter(Value::is_i64);
    let carried_object = carried_object(object);
    let mut fields = Fields::new(config);
    let unknown = || Error::UnknownClass {
        layer: name.to_owned(),
        class: class.to_owned(),
        known: Layer::classes().len(),
    };
    let layer = Layer::read(class, &mut fields).ok_or_else(unknown)?.map_err(at)?;
    let mut rest = fields.rest();
    rest.extend(axes.map(|axes| ("axes".to_owned(), axes)));
    let carried = Carried {
        config: rest,
        object: carried_object,
        policy,
    };
    Ok((
        NamedLayer {
            layer,
            name: None,
            trainable,
            dtype,
            carried,
        },
        legacy,
    ))
}

/// The keys beside a layer's `config` that say more than the writer says anyway.
fn carried_object(mut object: Object<'_>) -> Map<String, Value> {
    let usual = |object: &Object<'_>, key: &str, value: Option<&str>| {
        object
            .get(key)
            .is_some_and(|found| found.as_str() == value && (value.is_some() || found.is_null()))
    };
    if usual(&object, "module", Some("keras.layers")) && usual(&object, "registered_name", None) {
        object.remove("module");
        object.remove("registered_name");
    }
    object.to_map()
}
