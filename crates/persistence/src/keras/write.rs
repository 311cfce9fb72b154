//! Writing Keras' three kinds of files.

use std::io::{self, Write as _};

use hdf5_pure::AttrValue;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::hdf5_writer::Tree;
use super::places::Places;
use super::sums::{CRC32, Summing};
use super::variables::{Variable, values, variables};
use super::{CONFIG, METADATA, OPTIMIZER_VARIABLES, WEIGHTS};
use crate::output::Output;
use crate::{Error, Format, Model, OptimizerState, Result, StoredTensor};

/// The Keras whose files ours are like.
const VERSION: &str = "3.15.1";

/// Hyperparameters that our optimizers have and Keras' do not.
const OUR_OPTIONS: [&str; 2] = ["check_finite", "exclude_from_weight_decay"];

/// What writes an error of the system as one of ours.
type Failed<'a> = &'a dyn Fn(io::Error) -> Error;

/// Writes a `.keras` archive. Members are stored as they are, as Keras does, so that weights can be used where they lie.
pub(crate) fn write_archive(model: &Model, out: &mut Output, failed: Failed<'_>) -> Result<()> {
    let config = config(model)?;
    let tree = tree(model)?;
    let laid_out = tree.laid_out(Format::Keras)?;
    let zipped = |error: zip::result::ZipError| failed(error.into());
    let mut archive = ZipWriter::new(out);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    archive.start_file(CONFIG, options).map_err(zipped)?;
    archive.write_all(config.to_string().as_bytes()).map_err(failed)?;
    archive
        .start_file(WEIGHTS, options.large_file(tree.bytes() > SMALL_ENOUGH))
        .map_err(zipped)?;
    let mut summing = Summing::new(&mut archive, laid_out.lengths());
    laid_out.write(&mut summing, failed)?;
    // The date is left at its beginning: the same model gives the same bytes.
    let mut metadata = json!({"keras_version": VERSION, "date_saved": "1980-01-01@00:00:00"});
    metadata[CRC32] = summing.table();
    archive.start_file(METADATA, options).map_err(zipped)?;
    archive.write_all(metadata.to_string().as_bytes()).map_err(failed)?;
    archive.finish().map_err(zipped)?;
    Ok(())
}

/// Members whose tensors have more bytes than this get sizes of 64 bits: with names and groups around them they may need them.
const SMALL_ENOUGH: u64 = u32::MAX as u64 / 2;

/// Writes a `.weights.h5`: weights and the state of the optimizer, without the description.
pub(crate) fn write_weights(model: &Model, out: &mut Output, failed: Failed<'_>) -> Result<()> {
    tree(model)?.write(Format::WeightsH5, out, failed)
}

/// Writes a legacy `.h5` file: description, compile configuration, weights by name, the state of the optimizer.
pub(crate) fn write_legacy(model: &Model, out: &mut Output, failed: Failed<'_>) -> Result<()> {
    let spec = model.described()?;
    let mut config = config(model)?;
    let compile = config
        .as_object_mut()
        .and_then(|entries| entries.shift_remove("compile_config"));
    let text = |value: &str| AttrValue::VarLenString(value.to_string());
    let mut root = Tree::default();
    root.attribute("keras_version", text(VERSION));
    root.attribute("backend", text("tensorflow"));
    root.attribute("model_config", text(&config.to_string()));
    let weights = root.group("model_weights");
    let layers: Vec<String> = spec.layers().map(|node| node.name.clone()).collect();
    list(weights, "layer_names", &layers);
    weights.attribute("backend", text("tensorflow"));
    weights.attribute("keras_version", text(VERSION));
    let mut names: IndexMap<String, Vec<String>> = layers.into_iter().map(|layer| (layer, Vec::new())).collect();
    // Readers go by the order: what is trained comes first.
    let (trained, fixed): (Vec<_>, Vec<_>) = spec.weights().into_iter().partition(|weight| weight.trainable);
    for weight in trained.iter().chain(&fixed) {
        names.entry(weight.layer.clone()).or_default().push(weight.path.clone());
        weights
            .group(&weight.layer)
            .insert(&weight.path, tensor(model, &weight.path)?.clone());
    }
    for (layer, names) in &names {
        list(weights.group(layer), "weight_names", names);
    }
    if let Some(mut compile) = compile {
        if let Some(entries) = compile.as_object_mut()
            && let Some(optimizer) = entries.shift_remove("optimizer")
        {
            entries.insert("optimizer_config".to_string(), optimizer);
        }
        root.attribute("training_config", text(&named(compile).to_string()));
    }
    if let Some(state) = &model.optimizer {
        let owner = nn_theory::snake_case(&state.class_name);
        let group = root.group("optimizer_weights");
        let mut names = Vec::new();
        for (variable, value) in optimizer_variables(model, state)? {
            let name = match &variable {
                Variable::Iteration => "iteration".to_string(),
                Variable::LearningRate => "learning_rate".to_string(),
                Variable::Scalar(name) => name.clone(),
                Variable::Slot(name) => name.replace('/', "_"),
                Variable::Unused(_) => format!("unused_{}", names.len()),
            };
            let name = format!("{owner}/{name}");
            group.insert(&name, value);
            names.push(name);
        }
        list(group, "weight_names", &names);
    }
    root.write(Format::LegacyH5, out, failed)
}

/// Functions of Keras by their names alone, which is all that legacy files know: `{"class_name": "function", "config": "mse"}` is `mse`.
fn named(value: Value) -> Value {
    match value {
        Value::Object(entries) if entries.get("class_name").is_some_and(|class| class == "function") => {
            entries.get("config").cloned().unwrap_or_default()
        }
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, named(value))).collect(),
        Value::Array(values) => values.into_iter().map(named).collect(),
        other => other,
    }
}

/// `model.weights.h5`.
fn tree(model: &Model) -> Result<Tree> {
    let places = Places::of(model.described()?);
    let mut root = Tree::default();
    for (group, name) in &places.layers {
        root.group(&format!("{group}/vars"))
            .attribute("name", AttrValue::VarLenString(name.clone()));
    }
    for place in &places.weights {
        root.insert(&place.dataset, tensor(model, &place.weight)?.clone());
    }
    if let Some(state) = &model.optimizer {
        for (number, (_, value)) in optimizer_variables(model, state)?.into_iter().enumerate() {
            root.insert(&format!("{OPTIMIZER_VARIABLES}/{number}"), value);
        }
    }
    Ok(root)
}

fn tensor<'a>(model: &'a Model, weight: &str) -> Result<&'a StoredTensor> {
    model.weights.get(weight).ok_or_else(|| Error::MissingWeight {
        path: model.path.clone(),
        weight: weight.to_string(),
    })
}

/// The optimizer's variables as Keras has them; state that has no place there is an error, not a loss.
fn optimizer_variables(model: &Model, state: &OptimizerState) -> Result<Vec<(Variable, StoredTensor)>> {
    let order = variables(&state.class_name, &state.config, &super::trained(model)?)?;
    let mut written = Vec::with_capacity(order.len());
    for (variable, value) in values(state, &order)? {
        let value = value.or_else(|| unborn(model, &variable));
        let Some(value) = value else {
            return Err(Error::NotWritten {
                path: model.path.clone(),
                format: Format::Keras,
                what: format!("the state of {}", state.class_name),
                reason: format!("{variable:?} is missing; save the model without its optimizer"),
            });
        };
        written.push((variable, value));
    }
    Ok(written)
}

/// The state of a weight that no step has touched yet: zeros, which is how Keras begins, too (Adagrad and Ftrl excepted, whose state is
/// made with the optimizer).
fn unborn(model: &Model, variable: &Variable) -> Option<StoredTensor> {
    let Variable::Slot(name) = variable else { return None };
    let (weight, slot) = name.rsplit_once('/')?;
    if ["accumulator", "row", "column"].contains(&slot) {
        return None;
    }
    let weight = model.weights.get(weight)?;
    let bytes = weight.len() * 4;
    StoredTensor::in_memory(crate::Dtype::F32, weight.shape().to_vec(), vec![0; bytes])
}

/// `config.json`: the description, and how the model was compiled.
fn config(model: &Model) -> Result<Value> {
    let spec = model.described()?;
    let mut config: Value = serde_json::from_str(&spec.to_keras_json()).unwrap_or_default();
    freeze(model, &mut config)?;
    let mut compile = match &model.metadata.compile {
        Some(Value::Object(entries)) => entries.clone(),
        _ => Map::new(),
    };
    if let Some(state) = &model.optimizer {
        let mut options = state.config.clone();
        if let Some(entries) = options.as_object_mut() {
            OUR_OPTIONS
                .iter()
                .for_each(|option| drop(entries.shift_remove(*option)));
        }
        let optimizer = json!({
            "module": "keras.optimizers", "class_name": state.class_name, "config": options, "registered_name": null,
        });
        compile.insert("optimizer".to_string(), optimizer);
    }
    if !compile.is_empty() {
        config["compile_config"] = Value::Object(compile);
    }
    Ok(config)
}

/// Layers whose weights were frozen or thawed as a whole get the flag; Keras has none for a single weight.
fn freeze(model: &Model, config: &mut Value) -> Result<()> {
    if model.trainable.is_empty() {
        return Ok(());
    }
    let mut layers: IndexMap<String, Vec<(String, bool)>> = IndexMap::new();
    for weight in model.described()?.weights() {
        let now = model.trainable.get(&weight.path).copied();
        if weight.trainable || now.is_some() {
            layers
                .entry(weight.layer)
                .or_default()
                .push((weight.path, now.unwrap_or(weight.trainable)));
        }
    }
    for (layer, weights) in layers
        .iter()
        .filter(|(_, weights)| weights.iter().any(|(path, _)| model.trainable.contains_key(path)))
    {
        let flag = weights.first().is_some_and(|(_, trainable)| *trainable);
        let entry = config["config"]["layers"].as_array_mut().and_then(|layers| {
            layers
                .iter_mut()
                .find(|entry| entry["config"]["name"] == layer.as_str())
        });
        match entry {
            Some(entry) if weights.iter().all(|(_, trainable)| *trainable == flag) => {
                entry["config"]["trainable"] = flag.into();
            }
            _ => {
                return Err(Error::NotWritten {
                    path: model.path.clone(),
                    format: Format::Keras,
                    what: format!("the layer '{layer}', of whose weights some are frozen and some are not,"),
                    reason: "Keras freezes whole layers; freeze all or none of them, or save as .safetensors"
                        .to_string(),
                });
            }
        }
    }
    Ok(())
}

/// HDF5 attributes end at 64 KiB; longer lists are numbered pieces, as Keras writes them.
const PIECE: usize = 60_000;

fn list(group: &mut Tree, name: &str, texts: &[String]) {
    let longest = texts.iter().map(String::len).max().unwrap_or(0).max(1);
    let pieces: Vec<&[String]> = texts.chunks((PIECE / longest).max(1)).collect();
    match pieces[..] {
        // There is no array of nothing in HDF5's attributes here; an empty list of numbers reads as an empty list of names.
        [] => group.attribute(name, AttrValue::F64Array(Vec::new())),
        [all] => group.attribute(name, AttrValue::StringArray(all.to_vec())),
        _ => {
            for (number, piece) in pieces.into_iter().enumerate() {
                group.attribute(&format!("{name}{number}"), AttrValue::StringArray(piece.to_vec()));
            }
        }
    }
}
