//! Broken files: refused by everything that reads them, or harmless, as `broken.json` says. What that costs is measured by
//! `tests/limits.rs`, in a process for each.

use std::path::{Path, PathBuf};

use candle_core::Device;
use persistence::{Error, Format, Source};
use serde_json::Value;

use super::{Outcome, failed, json, keras, stem};

/// Runs every case of a format that is read, whatever its name.
pub(crate) fn cases(root: &Path, broken: &Path) -> Vec<(PathBuf, Outcome)> {
    let list = match json(&broken.join("broken.json")) {
        Ok(list) => list,
        Err(problem) => return vec![(broken.to_path_buf(), Err(problem))],
    };
    let mut cases = Vec::new();
    for file in list["files"].as_array().into_iter().flatten() {
        let path = broken.join(file["file"].as_str().unwrap_or_default());
        let format = Format::from_name(&path);
        if format.is_some_and(|format| persistence::READ.contains(&format)) {
            let outcome = check(root, &path, file);
            cases.push((path, outcome));
        }
    }
    cases
}

fn check(root: &Path, path: &Path, file: &Value) -> Outcome {
    let before = list(path);
    let (loaded, listed) = (load(root, path, file), persistence::inspect(path).map(|_| ()));
    if list(path) != before {
        return Err("a file appeared or went".to_string());
    }
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
    match file["expect"].as_str() {
        Some("error") if loaded.is_ok() => Err("was read without an error".to_string()),
        // Without a description no safetensors file is a model: here listing is what must fail.
        Some("error") if stem(path, ".safetensors").is_some() && listed.is_ok() => {
            Err("was listed without an error".to_string())
        }
        Some("non_finite") => {
            listed.map_err(|error| format!("cannot be listed: {error}"))?;
            let model = persistence::open(path).map_err(failed)?;
            let mut all = model.weights.values();
            if !all.any(|tensor| persistence::Statistics::of(tensor).is_ok_and(|figures| figures.non_finite > 0)) {
                return Err("is said to hold NaN or infinity, and does not".to_string());
            }
            Ok(())
        }
        Some("error" | "error_or_ok") => Ok(()),
        other => Err(format!("unknown expectation '{other:?}'")),
    }
}

/// Loads as a model; weights without a description as those of the model that the file comes from.
fn load(root: &Path, path: &Path, file: &Value) -> Result<(), Error> {
    let model = persistence::open(path);
    if let (Ok(mut model), Some(_), Some(origin)) = (model, stem(path, ".weights.h5"), file["derived_from"].as_str())
        && let Ok(spec) = keras::described_beside(&root.join(origin))
    {
        model.describe(spec)?;
        return model.network(&Device::Cpu).map(|_| ());
    }
    persistence::load(path, &Device::Cpu).map(|_| ())
}

/// The names of what lies beside a file.
fn list(path: &Path) -> Vec<PathBuf> {
    let entries = path.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    let mut names: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    names.sort();
    names
}

#[test]
fn a_source_of_bytes_is_read_like_a_file() {
    let path = Path::new("empty.keras");
    let source = Source::from_bytes(path, Vec::new(), &Default::default());
    let error = persistence::read(&source).unwrap_err();
    assert!(
        matches!(
            error,
            Error::UnknownFormat {
                named: Some(Format::Keras),
                ..
            }
        ),
        "{error}"
    );
}
