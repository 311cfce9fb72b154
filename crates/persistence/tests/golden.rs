//! Files of other programs, whole and broken: `$GOLDEN_DIR/persistence`, or the copies beside this file.
//!
//! Walks what is in the safetensors format. Whole files are listed as their JSON describes them, and loading them as a
//! model is refused with the reason; broken ones are refused as `broken.json` says.

#![allow(
    clippy::print_stdout,
    reason = "the number of cases that were walked is part of the result"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use persistence::Error;
use serde_json::Value;

type Outcome = Result<(), String>;

fn folder() -> PathBuf {
    match std::env::var_os("GOLDEN_DIR") {
        Some(folder) => Path::new(&folder).join("persistence"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/persistence"),
    }
}

fn json(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// All files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "safetensors")
}

/// A well-formed file without a description: it can be listed, and is no model.
fn check_foreign(path: &Path) -> Outcome {
    let listed = persistence::inspect(path).map_err(|error| format!("cannot be listed: {error}"))?;
    if listed.sha256.is_some() {
        return Err("is said to have a checksum".to_string());
    }
    match persistence::load(path, &Device::Cpu) {
        Err(Error::NoModel { key: "format", .. }) => {}
        Err(other) => return Err(format!("refused for another reason: {other}")),
        Ok(_) => return Err("was loaded as a model".to_string()),
    }
    let Some(name) = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_suffix(".weights.safetensors"))
    else {
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
    let found: BTreeMap<String, Vec<u64>> = listed
        .tensors
        .iter()
        .map(|tensor| {
            (
                tensor.name.clone(),
                tensor.shape.iter().map(|&size| size as u64).collect(),
            )
        })
        .collect();
    if expected != found {
        return Err(format!("lists {found:?}, expected {expected:?}"));
    }
    Ok(())
}

/// A broken file: refused by everything that reads it, or harmless.
fn check_broken(path: &Path, expect: &str) -> Outcome {
    let loaded = persistence::load(path, &Device::Cpu).map(|_| ());
    let listed = persistence::inspect(path).map(|_| ());
    let name = path.display().to_string();
    for error in [&loaded, &listed]
        .into_iter()
        .filter_map(|outcome| outcome.as_ref().err())
    {
        let message = error.to_string();
        if !message.starts_with(&name) || message.contains('\n') {
            return Err(format!(
                "the message does not start with the file, or is no line: {message}"
            ));
        }
    }
    match expect {
        "error" if loaded.is_ok() || listed.is_ok() => Err("was read without an error".to_string()),
        "non_finite" => {
            listed.map_err(|error| format!("cannot be listed: {error}"))?;
            let tensors = candle_core::safetensors::load(path, &Device::Cpu).map_err(|error| error.to_string())?;
            let finite = tensors.values().all(|tensor| {
                let numbers = tensor
                    .flatten_all()
                    .and_then(|flat| flat.to_dtype(DType::F64)?.to_vec1::<f64>());
                numbers.is_ok_and(|numbers| numbers.iter().all(|number| number.is_finite()))
            });
            if finite {
                return Err("is said to hold NaN or infinity, and does not".to_string());
            }
            Ok(())
        }
        "error" | "error_or_ok" => Ok(()),
        other => Err(format!("unknown expectation '{other}'")),
    }
}

#[test]
fn golden() {
    let root = folder();
    let broken = root.join("broken");
    let (mut cases, mut others, mut failures) = (0, 0, Vec::new());
    let mut record = |path: &Path, outcome: Outcome| {
        cases += 1;
        if let Err(problem) = outcome {
            failures.push(format!("{}: {problem}", path.display()));
        }
    };
    for path in files(&root).iter().filter(|path| !path.starts_with(&broken)) {
        if is_safetensors(path) {
            record(path, check_foreign(path));
        } else if path.extension().is_none_or(|ending| ending != "json") {
            others += 1;
        }
    }
    let list = json(&broken.join("broken.json")).unwrap();
    for file in list["files"].as_array().into_iter().flatten() {
        let path = broken.join(file["file"].as_str().unwrap_or_default());
        if is_safetensors(&path) {
            record(&path, check_broken(&path, file["expect"].as_str().unwrap_or_default()));
        } else {
            others += 1;
        }
    }
    println!("golden: {cases} cases");
    if others > 0 {
        println!("not walked: {others} files of formats that this crate does not read");
    }
    assert!(cases > 0, "no case in {}", root.display());
    assert!(
        failures.is_empty(),
        "{} of {cases}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
