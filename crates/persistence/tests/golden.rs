//! Files of other programs, whole and broken: `$GOLDEN_DIR/persistence`, or the copies beside this file.
//!
//! Walks whatever follows the formats of the golden data's README: there is no list of names. Each kind of case has a file in
//! `golden_cases/`.

#![allow(
    clippy::print_stdout,
    reason = "the number of cases that were walked is part of the result"
)]

#[path = "golden_cases/broken.rs"]
mod broken;
#[path = "golden_cases/keras.rs"]
mod keras;
#[path = "golden_cases/safetensors.rs"]
mod safetensors;
#[path = "golden_cases/torch.rs"]
mod torch;

use std::fs;
use std::path::{Path, PathBuf};

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

/// An error of any kind as the text of a failure.
fn failed(error: impl std::fmt::Display) -> String {
    error.to_string()
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

/// The name of a file without an ending that may have dots, such as `.weights.h5`; `None` where it has another one.
fn stem<'a>(path: &'a Path, ending: &str) -> Option<&'a str> {
    path.file_name()?.to_str()?.strip_suffix(ending)
}

#[test]
fn golden() {
    let root = folder();
    let (mut cases, mut failures) = (0, Vec::new());
    let mut record = |path: &Path, outcome: Outcome| {
        cases += 1;
        if let Err(problem) = outcome {
            failures.push(format!("{}: {problem}", path.display()));
        }
    };
    let broken = root.join("broken");
    let files = files(&root);
    let whole = || files.iter().filter(|path| !path.starts_with(&broken));
    for path in whole().filter(|path| stem(path, ".safetensors").is_some()) {
        record(path, safetensors::check(path));
    }
    for path in whole().filter(|path| keras::is_case(path)) {
        record(path, keras::check(path));
    }
    for path in whole().filter(|path| torch::is_case(path)) {
        record(path, torch::check(path));
    }
    for (path, outcome) in broken::cases(&root, &broken) {
        record(&path, outcome);
    }
    println!("golden: {cases} cases");
    assert!(cases > 0, "no case in {}", root.display());
    assert!(
        failures.is_empty(),
        "{} of {cases}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
