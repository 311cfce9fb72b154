//! The native format: one safetensors file that holds weights, description, optimizer and training state.
//!
//! Any reader of safetensors opens it. Tensors are the weights by their Keras path, and the optimizer's state behind the
//! prefix `@optimizer/`, what else the training keeps behind `@training/`. The metadata, all text:
//!
//! | key | what |
//! |---|---|
//! | `format`, `version` | `candle-lab`, `2` |
//! | `model` | the description as Keras JSON |
//! | `precision` | number format of the weights in the file |
//! | `metadata` | classes, preprocessing, loss and metrics, and state of the training (JSON) |
//! | `optimizer` | class and configuration of the optimizer (JSON), where its state is kept |
//! | `trainable` | weights that are frozen or thawed against what the description says (JSON), where there are any |
//! | `crc32` | CRC-32 of the bytes of each tensor, 8 hexadecimal digits each, in the order of their places |
//! | `sha256` | of the file up to its first tensor, with 64 zeros in the place of this checksum |
//!
//! Version 1 has no `crc32`, and `sha256` is that of the whole file.

mod container;

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use nn_theory::ModelSpec;
use serde::{Deserialize, Serialize};

use self::container::{CRC32, Container, SHA256};
use crate::json;
use crate::source::shorten;
use crate::{Error, Format, Model, OptimizerState, Precision, Result, Source};

/// Version of the format that is written; older ones are read as well.
pub const VERSION: u32 = 2;

const FORMAT: &str = "candle-lab";
/// Prefix of the tensors that are the optimizer's state.
pub(crate) const OPTIMIZER: &str = "@optimizer/";
/// Prefix of further tensors that the training keeps.
pub(crate) const TRAINING: &str = "@training/";

/// An optimizer as Keras' configurations name it.
#[derive(Serialize, Deserialize)]
struct OptimizerDescription {
    class_name: String,
    config: serde_json::Value,
}

/// Reads a file of this format, or safetensors of another program: then there is no description.
///
/// # Errors
/// One that says what is wrong with the file. The header's checksum is compared now, that of a tensor when it is used.
pub(crate) fn read(source: &Source) -> Result<Model> {
    let path = source.path();
    let mut file = Container::read(source)?;
    let mut model = Model::new(path, Format::Safetensors);
    if file.texts.get("format").map(String::as_str) != Some(FORMAT) {
        model.weights = file.tensors.into_iter().collect();
        model.texts = file.texts;
        return Ok(model);
    }
    match file.text("version")? {
        "1" => file.verify_whole()?,
        "2" => file.verify_header()?,
        other => {
            return Err(Error::Version {
                path: path.to_path_buf(),
                found: shorten(other),
                expected: VERSION,
            });
        }
    }
    let _: Precision = parse(source, "precision", file.text("precision")?)?;
    model.metadata = parse(source, "metadata", file.text("metadata")?)?;
    let description = file.text("model")?;
    json::check(description).map_err(|reason| metadata_error(source, "model", reason))?;
    let spec = ModelSpec::from_keras_json(description).map_err(|error| Error::from(error).in_file(path))?;
    model.spec = Some(spec);
    if let Some(text) = file.texts.get("trainable") {
        model.trainable = parse(source, "trainable", text)?;
    }
    if let Some(text) = file.texts.get("optimizer") {
        let OptimizerDescription { class_name, config } = parse(source, "optimizer", text)?;
        model.optimizer = Some(OptimizerState {
            class_name,
            config,
            tensors: Default::default(),
        });
    }
    let mut tensors = std::mem::take(&mut file.tensors);
    tensors.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    for (name, tensor) in tensors {
        // State without its optimizer is no state, but a tensor that belongs to nothing: `Model::check` says so.
        match (
            &mut model.optimizer,
            name.strip_prefix(OPTIMIZER),
            name.strip_prefix(TRAINING),
        ) {
            (Some(optimizer), Some(name), _) => optimizer.tensors.insert(name.to_string(), tensor),
            (Some(_), _, Some(name)) => model.tensors.insert(name.to_string(), tensor),
            _ => model.weights.insert(name, tensor),
        };
    }
    model.texts = file.texts;
    in_keras_order(&mut model);
    model.check()?;
    Ok(model)
}

/// Weights in the order of the network, and not of the file.
fn in_keras_order(model: &mut Model) {
    let Some(spec) = &model.spec else { return };
    let order: BTreeMap<String, usize> = spec.weights().into_iter().map(|weight| weight.path).zip(0..).collect();
    model.weights.sort_by(|a, _, b, _| {
        let place = |name: &String| order.get(name).copied().unwrap_or(usize::MAX);
        place(a).cmp(&place(b)).then(a.cmp(b))
    });
}

/// Writes a model: the same contents give the same bytes.
///
/// # Errors
/// [`Error::Overflow`] where the precision has no number as large as a weight, [`Error::ReservedName`] where a weight has
/// a name of the format's own, and what `failed` makes of an error of the system.
pub(crate) fn write<W: Write + Seek + Send>(
    model: &Model,
    out: &mut W,
    failed: &dyn Fn(std::io::Error) -> Error,
) -> Result<()> {
    let mut tensors = BTreeMap::new();
    for (name, tensor) in &model.weights {
        if name.starts_with(OPTIMIZER) || name.starts_with(TRAINING) || name == "__metadata__" {
            return Err(Error::ReservedName { weight: name.clone() });
        }
        tensors.insert(name.clone(), tensor.clone());
    }
    for (name, tensor) in &model.tensors {
        tensors.insert(format!("{TRAINING}{name}"), tensor.clone());
    }
    let mut texts: BTreeMap<String, String> = model.texts.clone();
    let Some(spec) = &model.spec else {
        // Tensors without a network: a safetensors file as any program would write it.
        texts.retain(|key, _| !["format", "version", "precision", SHA256, CRC32].contains(&key.as_str()));
        return container::write(out, &tensors, texts, failed);
    };
    texts.clear();
    let mut put = |key: &str, text: String| texts.insert(key.to_string(), text);
    if let Some(optimizer) = &model.optimizer {
        for (name, tensor) in &optimizer.tensors {
            tensors.insert(format!("{OPTIMIZER}{name}"), tensor.clone());
        }
        let description = OptimizerDescription {
            class_name: optimizer.class_name.clone(),
            config: optimizer.config.clone(),
        };
        put("optimizer", json_text(&description));
    }
    if !model.trainable.is_empty() {
        put("trainable", json_text(&model.trainable));
    }
    put("format", FORMAT.to_string());
    put("version", VERSION.to_string());
    put("model", spec.to_keras_json());
    put("precision", json_text(&model.precision()));
    put("metadata", json_text(&model.metadata));
    container::write(out, &tensors, texts, failed)
}

fn json_text(value: &impl Serialize) -> String {
    // These types hold only strings, numbers and lists, which always have a JSON form.
    serde_json::to_string(value).unwrap_or_default()
}

fn parse<'a, T: Deserialize<'a>>(source: &Source, key: &'static str, text: &'a str) -> Result<T> {
    json::check(text).map_err(|reason| metadata_error(source, key, reason))?;
    serde_json::from_str(text).map_err(|error| metadata_error(source, key, error.to_string()))
}

fn metadata_error(source: &Source, key: &'static str, reason: String) -> Error {
    Error::Metadata {
        path: source.path().to_path_buf(),
        key,
        reason,
    }
}
