//! Well-formed safetensors files of another program: they have no description, so they can be listed and are no models.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Device;
use persistence::Error;
use serde_json::Value;

use super::{Outcome, failed, json, stem};

pub(crate) fn check(path: &Path) -> Outcome {
    let listed = persistence::inspect(path).map_err(|error| format!("cannot be listed: {error}"))?;
    if listed.sha256.is_some() {
        return Err("is said to have a checksum".to_string());
    }
    match persistence::load(path, &Device::Cpu) {
        Err(Error::NoDescription { .. }) => {}
        Err(other) => return Err(format!("refused for another reason: {other}")),
        Ok(_) => return Err("was loaded as a model".to_string()),
    }
    let Some(name) = stem(path, ".weights.safetensors") else {
        return Ok(());
    };
    let description = json(&path.with_file_name(format!("{name}.json")))?;
    let Some(weights) = description["weights"].as_array() else {
        return Ok(());
    };
    let expected: BTreeMap<String, Vec<u64>> = weights
        .iter()
        .map(|weight| {
            let shape = weight["shape"].as_array().into_iter().flatten();
            let path = weight["path"].as_str().unwrap_or_default().to_string();
            (path, shape.filter_map(Value::as_u64).collect())
        })
        .collect();
    let shape = |shape: &[usize]| shape.iter().map(|&size| size as u64).collect();
    let tensors = listed.tensors.iter();
    let found: BTreeMap<String, Vec<u64>> = tensors
        .map(|tensor| (tensor.name.clone(), shape(&tensor.shape)))
        .collect();
    if expected != found {
        return Err(format!("lists {found:?}, expected {expected:?}"));
    }
    // The numbers are those that the crate safetensors reads.
    let reference = candle_core::safetensors::load(path, &Device::Cpu).map_err(failed)?;
    for tensor in &listed.tensors {
        let reference = reference
            .get(&tensor.name)
            .ok_or("a tensor that is not there is listed")?;
        let found = tensor.tensor.to_tensor(&Device::Cpu).map_err(failed)?;
        let same = reference.dims() == found.dims()
            && reference.dtype() == found.dtype()
            && super::keras::numbers(reference)? == super::keras::numbers(&found)?;
        if !same {
            return Err(format!("'{}' has other numbers", tensor.name));
        }
    }
    Ok(())
}
