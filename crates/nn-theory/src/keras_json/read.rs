//! From the JSON text to layers and models.

use super::{MAX_CONFIGURATION_BYTES, fields::Fields, graph, value::ConfigValue, value::shown};
use crate::{
    DTypePolicy, InputLayer, Layer, ModelKind, ModelSpec, NamedLayer, NestedModel, Operation, Shape,
    error::{Error, Problem, Result},
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
    let value: Value = serde_json::from_str(text).map_err(|error| Error::Json {
        problem: error.to_string(),
    })?;
    let Value::Object(object) = value else {
        return Err(Error::Json {
            problem: format!(
                "expected an object with 'class_name' and 'config', found {}",
                shown(&value)
            ),
        });
    };
    match object.get("class_name").and_then(Value::as_str) {
        Some("Sequential") => model_of(object, ModelKind::Sequential),
        Some("Functional" | "Model") => model_of(object, ModelKind::Functional),
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
fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

fn model_of(mut object: Map<String, Value>, kind: ModelKind) -> Result<ModelSpec> {
    let class = kind.class();
    let fault = |name: &str, key: &str, problem: String| Problem::key(key, problem).at(name, class);
    let mut config = match object.shift_remove("config") {
        Some(Value::Object(config)) => config,
        // Keras 2 before 2.2.3: the configuration of a Sequential model is the list of its layers.
        Some(Value::Array(layers)) if kind == ModelKind::Sequential => {
            Map::from_iter([("layers".to_owned(), Value::Array(layers))])
        }
        Some(other) => {
            return Err(fault(
                "?",
                "config",
                format!("must be an object, found {}", shown(&other)),
            ));
        }
        None => return Err(fault("?", "config", "is missing".to_owned())),
    };
    let name = match config.shift_remove("name") {
        None => class.to_lowercase(),
        Some(Value::String(name)) => name,
        Some(other) => return Err(fault("?", "name", format!("must be a text, found {}", shown(&other)))),
    };
    let trainable = match config.shift_remove("trainable") {
        None | Some(Value::Null) => true,
        Some(value) => bool::read(&value).map_err(|problem| fault(&name, "trainable", problem))?,
    };
    let dtype = policy(config.shift_remove("dtype")).map_err(|problem| problem.at(&name, class))?;
    let layers = match config.shift_remove("layers") {
        Some(Value::Array(layers)) => layers,
        Some(other) => {
            return Err(fault(
                &name,
                "layers",
                format!("must be a list, found {}", shown(&other)),
            ));
        }
        None => return Err(fault(&name, "layers", "is missing".to_owned())),
    };
    let mut model = match kind {
        ModelKind::Sequential => stack(name, layers, &mut config, &object)?,
        ModelKind::Functional => graph::model(name, layers, &mut config)?,
    };
    model.trainable = trainable;
    model.dtype = dtype;
    model.extra = object;
    Ok(model)
}

/// A Sequential model: its layers one after the other.
fn stack(
    name: String,
    layers: Vec<Value>,
    config: &mut Map<String, Value>,
    object: &Map<String, Value>,
) -> Result<ModelSpec> {
    let mut builder = ModelSpec::sequential(name.clone());
    let stated = config.shift_remove("build_input_shape");
    let stated = stated.or_else(|| {
        object
            .get("build_config")
            .and_then(|build| build.get("input_shape"))
            .cloned()
    });
    for (index, value) in layers.into_iter().enumerate() {
        let (named, legacy_input) = layer(value, &name, index)?;
        if index == 0 && !matches!(named.layer, Layer::InputLayer(_)) {
            let shape = match (legacy_input, &stated) {
                (Some(shape), _) => Some(shape),
                (None, Some(value)) if !value.is_null() => Some(
                    Shape::read(value)
                        .map_err(|problem| Problem::key("build_input_shape", problem).at(&name, "Sequential"))?,
                ),
                _ => None,
            };
            if let Some(shape) = shape {
                builder = builder.layer(InputLayer::new(shape).name("input_layer"));
            }
        }
        builder = builder.layer(named);
    }
    builder.build()
}

/// A dtype policy: a name, or an object with a name.
fn policy(value: Option<Value>) -> Result<DTypePolicy, Problem> {
    let name = match &value {
        None | Some(Value::Null) => return Ok(DTypePolicy::default()),
        Some(Value::String(name)) => name,
        Some(Value::Object(object)) => match object.get("config").and_then(|config| config.get("name")) {
            Some(Value::String(name)) => name,
            _ => return Err(Problem::key("dtype", "must name a dtype policy in 'config.name'")),
        },
        Some(other) => {
            return Err(Problem::key(
                "dtype",
                format!("must be a dtype or a dtype policy, found {}", shown(other)),
            ));
        }
    };
    DTypePolicy::from_name(name).ok_or_else(|| {
        Problem::key(
            "dtype",
            format!("names the unknown policy '{name}'; use a number format, mixed_float16 or mixed_bfloat16"),
        )
    })
}

/// A layer of a model's list; also the `batch_input_shape` that Keras 2 puts into a first layer.
pub(super) fn layer(value: Value, model: &str, index: usize) -> Result<(NamedLayer, Option<Shape>)> {
    let place = || format!("layer {index} of {model}");
    let Value::Object(mut object) = value else {
        return Err(Problem::key("layers", format!("must hold objects, found {}", shown(&value))).at(&place(), "?"));
    };
    let Some(class) = text(&object, "class_name").map(str::to_owned) else {
        return Err(Problem::key("class_name", "is missing or no text").at(&place(), "?"));
    };
    let outer_name = match object.shift_remove("name") {
        Some(Value::String(name)) => Some(name),
        _ => None,
    };
    if matches!(class.as_str(), "Sequential" | "Functional" | "Model") {
        let kind = if class == "Sequential" {
            ModelKind::Sequential
        } else {
            ModelKind::Functional
        };
        let inner = model_of(object, kind)?;
        let (name, trainable, dtype) = (inner.name().to_owned(), inner.trainable(), inner.dtype);
        let layer = Layer::Model(NestedModel { model: Arc::new(inner) });
        let named = NamedLayer::new(layer)
            .name(outer_name.unwrap_or(name))
            .trainable(trainable)
            .dtype(dtype);
        return Ok((named, None));
    }
    object.shift_remove("class_name");
    let mut config = match object.shift_remove("config") {
        Some(Value::Object(config)) => config,
        found => {
            let name = outer_name.unwrap_or_else(place);
            let problem = found.map_or("is missing".to_owned(), |found| {
                format!("must be an object, found {}", shown(&found))
            });
            return Err(Problem::key("config", problem).at(&name, &class));
        }
    };
    let name = match config.shift_remove("name") {
        Some(Value::String(name)) => Some(name),
        None | Some(Value::Null) => outer_name,
        Some(other) => {
            return Err(Problem::key("name", format!("must be a text, found {}", shown(&other))).at(&place(), &class));
        }
    };
    let shown_name = name.clone().unwrap_or_else(place);
    named_layer(&shown_name, &class, config, object).map(|(mut named, shape)| {
        named.name = name;
        (named, shape)
    })
}

fn named_layer(
    name: &str,
    class: &str,
    mut config: Map<String, Value>,
    object: Map<String, Value>,
) -> Result<(NamedLayer, Option<Shape>)> {
    let at = |problem: Problem| problem.at(name, class);
    let trainable = match config.shift_remove("trainable") {
        None | Some(Value::Null) => true,
        Some(value) => bool::read(&value).map_err(|problem| at(Problem::key("trainable", problem)))?,
    };
    let dtype = policy(config.shift_remove("dtype")).map_err(at)?;
    // Keras 2 names the shape of an input `batch_input_shape`.
    let legacy = config
        .shift_remove("batch_input_shape")
        .filter(|shape| !shape.is_null());
    let legacy = legacy.map(|shape| Shape::read(&shape)).transpose();
    let legacy = legacy.map_err(|problem| at(Problem::key("batch_input_shape", problem)))?;
    if class == "InputLayer"
        && let Some(shape) = &legacy
    {
        config.insert("batch_shape".to_owned(), shape.write());
    }
    let module = text(&object, "module").unwrap_or_default();
    if module.contains(".ops") {
        let operation = Operation {
            module: module.to_owned(),
            class: class.to_owned(),
            config,
            outputs: Vec::new(),
        };
        let carried = Carried {
            config: Map::new(),
            object,
        };
        return Ok((
            NamedLayer {
                carried,
                ..NamedLayer::new(Layer::Operation(operation))
            },
            None,
        ));
    }
    // Keras 2 names the slope of this layer `alpha`.
    if class == "LeakyReLU"
        && !config.contains_key("negative_slope")
        && let Some(alpha) = config.shift_remove("alpha")
    {
        config.insert("negative_slope".to_owned(), alpha);
    }
    let mut fields = Fields::new(config);
    let unknown = || Error::UnknownClass {
        layer: name.to_owned(),
        class: class.to_owned(),
        known: Layer::classes().len(),
    };
    let layer = Layer::read(class, &mut fields).ok_or_else(unknown)?.map_err(at)?;
    let carried = Carried {
        config: fields.rest(),
        object,
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
