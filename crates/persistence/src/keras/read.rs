//! Reading Keras' three kinds of files. Nothing in them is executed: layers are data, functions stay unread.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use nn_theory::{Layer, MAX_CONFIGURATION_BYTES, ModelSpec};
use serde_json::Value;

use super::hdf5::H5File;
use super::places::Places;
use super::sums::table_of;
use super::variables::{state, variables};
use super::{CONFIG, METADATA, OPTIMIZER_VARIABLES, WEIGHTS};
use crate::archive::{Archive, Checked};
use crate::json;
use crate::source::shorten;
use crate::{Error, Format, Model, Result, Source, StoredTensor};

const ARCHIVE: &str = "Keras archive";

/// Reads a `.keras` archive.
///
/// # Errors
/// One that says what is wrong and where.
pub(crate) fn read_archive(source: &Source) -> Result<Model> {
    let archive = Archive::read(source).map_err(|fault| fault.in_file(source.path(), ARCHIVE))?;
    let config = text(source, &archive, CONFIG, MAX_CONFIGURATION_BYTES)?;
    let mut config: Value = parsed(source, "the member 'config.json'", &config)?;
    let mut model = Model::new(source.path(), Format::Keras);
    // Kept in one place only: what was compiled belongs to the model, not to the description of the network.
    let compile = config
        .as_object_mut()
        .and_then(|entries| entries.shift_remove("compile_config"));
    model.metadata.compile = compile.filter(|value| !value.is_null());
    let mut sums = Vec::new();
    if archive.names().any(|name| name == METADATA) {
        let metadata: Value = parsed(
            source,
            "the member 'metadata.json'",
            &text(source, &archive, METADATA, 1 << 20)?,
        )?;
        let entries = metadata.as_object().into_iter().flatten();
        let texts = entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string())));
        model.texts.extend(texts);
        sums = table_of(&metadata);
    }
    // Before the layers are made, which takes far longer than to see that there is nothing to fill them with.
    let in_use = Checked::InUse {
        format: ARCHIVE,
        sums: &sums,
    };
    let weights = member(source, &archive, WEIGHTS, in_use)?;
    let read = H5File::open(&weights).and_then(|file| file.tensors());
    // What makes no sense was perhaps damaged on its way, and then that is what is wrong with it.
    let tensors = read.or_else(|error| weights.verify().and(Err(error)))?;
    let spec = description(source, &config.to_string())?;
    for name in archive
        .names()
        .filter(|name| ![CONFIG, METADATA, WEIGHTS].contains(name))
    {
        model.notes.push(format!("the member '{}' was not read", shorten(name)));
    }
    describe_with(&mut model, spec, tensors)?;
    Ok(model)
}

/// A member that cannot be missing.
fn member(source: &Source, archive: &Archive, name: &str, checked: Checked<'_>) -> Result<Source> {
    let found = archive.member(name, checked);
    found
        .map_err(|fault| fault.in_file(source.path(), ARCHIVE))?
        .ok_or_else(|| {
            let there: Vec<_> = archive.names().take(8).map(shorten).collect();
            let reason = format!("it is missing; there are {}", there.join(", "));
            Error::malformed(source, ARCHIVE, format!("the member '{name}'"), reason)
        })
}

/// A member that is text.
fn text(source: &Source, archive: &Archive, name: &str, most: usize) -> Result<String> {
    let wrong = |reason: String| Error::malformed(source, ARCHIVE, format!("the member '{name}'"), reason);
    if let Some(size) = archive.size(name).filter(|&size| size > most as u64) {
        return Err(wrong(format!("it has {size} bytes, at most {most} are read")));
    }
    let member = member(source, archive, name, Checked::Now)?;
    let text = std::str::from_utf8(member.bytes()).map_err(|error| wrong(format!("it is not UTF-8: {error}")))?;
    Ok(text.to_string())
}

/// Reads a `.weights.h5`: names are those of the data sets until [`describe`] knows better.
///
/// # Errors
/// One that says what is wrong and where.
pub(crate) fn read_weights(source: &Source) -> Result<Model> {
    let file = H5File::open(source)?;
    let mut model = Model::new(source.path(), Format::WeightsH5);
    model.weights = file.tensors()?.into_iter().collect();
    if model.weights.is_empty() {
        return Err(file.damaged("the root group", "there is no data set in it"));
    }
    Ok(model)
}

/// Gives the tensors of a `.weights.h5` the names that they have in a network.
///
/// # Errors
/// [`Error::MissingWeight`], [`Error::ExtraTensor`] or [`Error::Shape`] where it is another network's file.
pub(crate) fn describe(model: &mut Model, spec: ModelSpec) -> Result<()> {
    let tensors = std::mem::take(&mut model.weights).into_iter().collect();
    describe_with(model, spec, tensors)
}

fn describe_with(model: &mut Model, spec: ModelSpec, mut tensors: BTreeMap<String, StoredTensor>) -> Result<()> {
    note_what_is_not_run(model, &spec);
    let places = Places::of(&spec);
    let mut known = IndexMap::new();
    for place in &places.weights {
        let Some(tensor) = tensors.remove(&place.dataset) else {
            return Err(Error::MissingWeight {
                path: model.path.clone(),
                weight: format!("{} (data set '{}')", place.weight, place.dataset),
            });
        };
        known.entry(place.weight.clone()).or_insert(tensor);
    }
    model.weights = known;
    model.spec = Some(spec);
    model.check()?;
    let mut state = IndexMap::new();
    for (path, tensor) in tensors {
        let number = path
            .strip_prefix(OPTIMIZER_VARIABLES)
            .and_then(|rest| rest.strip_prefix('/'));
        if let Some(number) = number.and_then(|number| number.parse::<usize>().ok()) {
            state.insert(number, tensor);
        } else if path.starts_with("layers/") && !belongs_to_unknown(model, &places, &path) {
            return Err(Error::ExtraTensor {
                path: model.path.clone(),
                tensor: shorten(&path),
            });
        } else {
            model
                .notes
                .push(format!("the data set '{}' was not read", shorten(&path)));
        }
    }
    state.sort_keys();
    restore(model, state.into_values().collect())
}

/// Whether a data set belongs to a layer whose class is not Keras' own.
fn belongs_to_unknown(model: &Model, places: &Places, path: &str) -> bool {
    let Some(spec) = &model.spec else { return false };
    let unknown = spec.unknown_layers();
    let mut groups = places.layers.iter();
    groups.any(|(group, name)| {
        unknown.iter().any(|node| node.name == *name)
            && path
                .strip_prefix(group.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
    })
}

/// The optimizer from its variables, as the compile configuration describes it.
fn restore(model: &mut Model, values: Vec<StoredTensor>) -> Result<()> {
    let configured = model
        .metadata
        .compile
        .as_ref()
        .and_then(|config| config.get("optimizer"))
        .cloned();
    let Some((class, config)) = configured.as_ref().and_then(class_and_config) else {
        if !values.is_empty() {
            let count = values.len();
            model.notes.push(format!(
                "the state of an optimizer ({count} tensors) was not read: the file does not say which one"
            ));
        }
        return Ok(());
    };
    if values.is_empty() {
        return Ok(());
    }
    let trained = super::trained(model)?;
    let order = match variables(&class, &config, &trained) {
        Ok(order) => order,
        // The network can be used without its optimizer, which may be of a class that is not known here.
        Err(error) => {
            model
                .notes
                .push(format!("the state of the optimizer was not read: {error}"));
            return Ok(());
        }
    };
    if order.len() != values.len() {
        model.notes.push(format!(
            "the state of the optimizer was not read: {class} has {} variables for this network, the file has {}",
            order.len(),
            values.len()
        ));
        return Ok(());
    }
    model.optimizer = Some(state(&class, &config, &order, &values)?);
    Ok(())
}

/// Class and configuration of a serialized optimizer: of Keras 3, or of the `optimizer_config` of legacy files.
fn class_and_config(value: &Value) -> Option<(String, Value)> {
    let mut config = value.get("config")?.clone();
    let class = value.get("class_name")?.as_str()?;
    // A schedule within is wrapped by Keras 3 with module and registered name; ours reads class and configuration.
    if let Some(entries) = config.as_object_mut() {
        for legacy in ["jit_compile", "is_legacy_optimizer", "decay"] {
            entries.remove(legacy);
        }
    }
    // Legacy files may have the registered name, `Custom>Adam` or `Keras>Adam`.
    let class = class.rsplit('>').next().unwrap_or(class);
    Some((class.to_string(), config))
}

/// Reads a legacy `.h5` file: a whole model, or weights alone.
///
/// # Errors
/// One that says what is wrong and where.
pub(crate) fn read_legacy(source: &Source) -> Result<Model> {
    let file = H5File::open(source)?;
    let attributes = file.attributes("")?;
    let text = |name: &str| attributes.get(name).and_then(|list| list.first()).cloned();
    let mut model = Model::new(source.path(), Format::LegacyH5);
    for key in ["keras_version", "backend"] {
        model.texts.extend(text(key).map(|value| (key.to_string(), value)));
    }
    let Some(config) = text("model_config") else {
        if attributes.contains_key("layer_names") {
            // Keras 2's `save_weights`: the layers are in the root group.
            model.weights = file.tensors()?.into_iter().collect();
            return Ok(model);
        }
        return Err(file.damaged(
            "the attributes of the root group",
            "the attribute 'model_config' is missing, which describes the network",
        ));
    };
    let spec = description(source, &config)?;
    note_what_is_not_run(&mut model, &spec);
    if let Some(training) = text("training_config") {
        model.metadata.compile = Some(modern(parsed(source, "the attribute 'training_config'", &training)?));
    }
    let attached = super::legacy::attach(&file, "model_weights", &spec, &mut model);
    let values = super::legacy::optimizer(&file);
    file.refuse_links(model.weights.values().chain(values.iter().flatten()))?;
    attached?;
    model.spec = Some(spec);
    model.check()?;
    restore(&mut model, values?)?;
    Ok(model)
}

/// The compile configuration of Keras 3 from the `training_config` of legacy files.
fn modern(mut training: Value) -> Value {
    if let Some(entries) = training.as_object_mut()
        && let Some(optimizer) = entries.remove("optimizer_config")
    {
        entries.insert("optimizer".to_string(), optimizer);
    }
    training
}

fn description(source: &Source, config: &str) -> Result<ModelSpec> {
    json::check(config).map_err(|reason| Error::malformed(source, "Keras", "the description of the model", reason))?;
    ModelSpec::from_keras_json(config).map_err(|error| Error::from(error).in_file(source.path()))
}

fn parsed(source: &Source, place: &str, text: &str) -> Result<Value> {
    json::check(text).map_err(|reason| Error::malformed(source, "Keras", place, reason))?;
    serde_json::from_str(text)
        .map_err(|error| Error::malformed(source, "Keras", place, format!("it is no JSON: {error}")))
}

/// Says which layers hold code, so that nobody takes silence for having run it.
fn note_what_is_not_run(model: &mut Model, spec: &ModelSpec) {
    for node in spec.layers() {
        let what = match &node.layer {
            Layer::Lambda(_) => "is a Lambda: its Python function is kept as it is and never run",
            Layer::Unknown(_) => "is of a class that is not Keras' own: it is kept as it is and never run",
            _ => continue,
        };
        model.notes.push(format!(
            "the layer '{}' ({}) {what}",
            shorten(&node.name),
            node.layer.printed_class()
        ));
    }
}
