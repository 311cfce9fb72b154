//! Trained models in Keras' three kinds of files: weights and optimizer to the bit, predictions within 1e-5.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use models::Mode;
use nn_theory::ModelSpec;
use persistence::Model;
use serde_json::Value;

use super::{Outcome, failed, json, stem};

/// The largest difference of a prediction, against the largest prediction (and at least 1).
const TOLERANCE: f64 = 1e-5;

/// A model file beside which lies a JSON file that describes it.
pub(crate) fn is_case(path: &Path) -> bool {
    name(path).is_some_and(|name| path.with_file_name(format!("{name}.json")).exists())
}

fn name(path: &Path) -> Option<&str> {
    // `.weights.h5` before `.h5`, which it ends in.
    [".keras", ".weights.h5", ".h5"]
        .iter()
        .find_map(|ending| stem(path, ending))
}

/// The description that a weights file lacks, from the archive of the same name.
pub(crate) fn described_beside(path: &Path) -> Result<ModelSpec, String> {
    let name = name(path).ok_or("has no name")?;
    let whole = persistence::open(&path.with_file_name(format!("{name}.keras"))).map_err(failed)?;
    whole.spec.ok_or("the archive has no description".to_string())
}

pub(crate) fn check(path: &Path) -> Outcome {
    let name = name(path).ok_or("has no name")?;
    let description = json(&path.with_file_name(format!("{name}.json")))?;
    let beside = |kind: &str| path.with_file_name(format!("{name}.{kind}.safetensors"));
    let mut model = persistence::open(path).map_err(failed)?;
    if model.spec.is_none() {
        model.describe(described_beside(path)?).map_err(failed)?;
    }
    weights(&model, &beside("weights"))?;
    predictions(&model, &description, &beside("io"))?;
    if let Some(optimizer) = description.get("optimizer").filter(|value| !value.is_null()) {
        // Weights alone do not say which optimizer they were trained with.
        if stem(path, ".weights.h5").is_none() {
            self::optimizer(&model, optimizer, &beside("optimizer"))?;
        }
    }
    Ok(())
}

/// All numbers as the bits of `f64`, in which every format that is walked here fits.
pub(crate) fn numbers(tensor: &Tensor) -> Result<Vec<u64>, String> {
    let flat = tensor
        .flatten_all()
        .and_then(|flat| flat.to_dtype(DType::F64)?.to_vec1::<f64>());
    Ok(flat.map_err(failed)?.into_iter().map(f64::to_bits).collect())
}

/// Every weight of the reference is there with its bits. A path may begin with the name of a model or not, depending on how it was
/// built, so two paths are the same where one ends in the other.
fn weights(model: &Model, reference: &Path) -> Outcome {
    let reference = candle_core::safetensors::load(reference, &Device::Cpu).map_err(failed)?;
    if reference.len() != model.weights.len() {
        return Err(format!(
            "has {} weights, Keras had {}",
            model.weights.len(),
            reference.len()
        ));
    }
    for (path, expected) in reference {
        // Keras' paths are those of the day on which the layer was built: with a model around it, or without.
        let ends = |long: &str, short: &str| {
            long.strip_suffix(short)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        let found = model
            .weights
            .iter()
            .find(|(own, _)| ends(path.as_str(), own.as_str()) || ends(own.as_str(), path.as_str()));
        let (_, found) = found.ok_or_else(|| format!("'{path}' is missing"))?;
        let found = found.to_tensor(&Device::Cpu).map_err(failed)?;
        if found.dims() != expected.dims() || numbers(&found)? != numbers(&expected)? {
            return Err(format!("'{path}' has other numbers"));
        }
    }
    Ok(())
}

fn predictions(model: &Model, description: &Value, io: &Path) -> Outcome {
    let tensors = candle_core::safetensors::load(io, &Device::Cpu).map_err(failed)?;
    let named = |entry: &Value| -> Result<Tensor, String> {
        let name = entry["tensor"].as_str().unwrap_or_default();
        let tensor = tensors
            .get(name)
            .ok_or_else(|| format!("the tensor '{name}' is not beside it"))?;
        if tensor.dtype().is_float() {
            Ok(tensor.clone())
        } else {
            tensor.to_dtype(DType::F32).map_err(failed)
        }
    };
    let network = model.network(&Device::Cpu).map_err(failed)?;
    let spec = network.spec();
    let listed = description["inputs"].as_array().into_iter().flatten();
    // By the names of the input layers where there are several.
    let mut inputs: Vec<(usize, Tensor)> = Vec::new();
    for (number, entry) in listed.enumerate() {
        let name = entry["model_input"].as_str().unwrap_or_default();
        let place = spec.inputs().iter().position(|&input| spec.nodes()[input].name == name);
        inputs.push((place.unwrap_or(number), named(entry)?));
    }
    inputs.sort_by_key(|(place, _)| *place);
    let inputs: Vec<Tensor> = inputs.into_iter().map(|(_, tensor)| tensor).collect();
    let found = network.forward_all(&inputs, Mode::Inference).map_err(failed)?;
    let expected = description["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if found.len() != expected.len() {
        return Err(format!("has {} outputs, Keras had {}", found.len(), expected.len()));
    }
    for (found, entry) in found.iter().zip(expected) {
        let expected = named(entry)?;
        if found.dims() != expected.dims() {
            return Err(format!(
                "the output has the shape {:?}, expected {:?}",
                found.dims(),
                expected.dims()
            ));
        }
        let values = |tensor: &Tensor| {
            tensor
                .flatten_all()
                .and_then(|flat| flat.to_dtype(DType::F64)?.to_vec1::<f64>())
        };
        let (found, expected) = (values(found).map_err(failed)?, values(&expected).map_err(failed)?);
        let scale = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
        let worst = found
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        if worst.is_nan() || worst > TOLERANCE * scale {
            return Err(format!("a prediction is off by {worst:e}"));
        }
    }
    Ok(())
}

/// Class and number of steps are Keras', and each of our tensors of state has the bits of one of Keras' variables.
fn optimizer(model: &Model, expected: &Value, variables: &Path) -> Outcome {
    let state = model
        .optimizer
        .as_ref()
        .ok_or_else(|| format!("has no optimizer: {:?}", model.notes))?;
    if expected["class"] != state.class_name.as_str() {
        return Err(format!(
            "has the optimizer {}, expected {}",
            state.class_name, expected["class"]
        ));
    }
    let reference = candle_core::safetensors::load(variables, &Device::Cpu).map_err(failed)?;
    let network = model.network(&Device::Cpu).map_err(failed)?;
    let restored = model
        .restore_optimizer(&network)
        .map_err(failed)?
        .ok_or("the optimizer is not restored")?;
    if expected["iterations"] != restored.iterations() {
        return Err(format!(
            "has made {} steps, expected {}",
            restored.iterations(),
            expected["iterations"]
        ));
    }
    let named = expected["variables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut left: Vec<&Value> = named.iter().collect();
    for (name, found) in state.tensors.iter().filter(|(name, _)| name.contains('/')) {
        // Keras joins the path of the weight and the slot with underscores. Where it gives no names (Adafactor), the numbers tell.
        let flat = name.replace('/', "_");
        let found = found.to_tensor(&Device::Cpu).map_err(failed)?;
        let same = |variable: &Value| -> Result<bool, String> {
            let tensor = variable["tensor"].as_str().and_then(|name| reference.get(name));
            let tensor = tensor.ok_or("a variable is not beside it")?;
            Ok(found.dims() == tensor.dims() && numbers(&found)? == numbers(tensor)?)
        };
        let named = |variable: &Value| variable["path"].as_str().is_some_and(|path| path.ends_with(&flat));
        let place = match left.iter().position(|variable| named(variable)) {
            Some(place) if !same(left[place])? => return Err(format!("the state '{name}' has other numbers")),
            Some(place) => Some(place),
            None => left.iter().position(|variable| same(variable).unwrap_or(false)),
        };
        left.remove(place.ok_or_else(|| format!("Keras has nothing like '{name}'"))?);
    }
    Ok(())
}
