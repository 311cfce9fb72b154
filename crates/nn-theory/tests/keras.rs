//! Round trips through Keras itself: what is read and written back is the same model to `keras.models.model_from_json`.
//!
//! Runs where Python with Keras is found: in the list `$CANDLE_LAB_PYTHON`, else a `python3` on the path that has the package.

use nn_theory::ModelSpec;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A Python that can import Keras.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("CANDLE_LAB_PYTHON").unwrap_or_else(|| "python3".into());
    // Looking for the package is much faster than importing it.
    let probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('keras') is None)";
    std::env::split_paths(&named).find(|python| {
        let found = Command::new(python)
            .args(["-c", probe])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    })
}

/// The configurations of the folders of golden cases.
fn configurations() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders = vec![golden.join("generated")];
    match std::env::var_os("GOLDEN_DIR") {
        Some(folder) => folders.push(Path::new(&folder).join("summary")),
        None => folders.push(golden.join("summary")),
    }
    let mut found: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())))
        .filter(|path| path.to_string_lossy().ends_with(".config.json"))
        .collect();
    found.sort();
    found
}

#[test]
fn written_configurations_are_the_same_models_to_keras() {
    let Some(python) = python() else {
        println!("skipped: no Python with Keras; set CANDLE_LAB_PYTHON to one");
        return;
    };
    let folder = std::env::temp_dir().join(format!("nn-theory-round-trip-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in configurations() {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Subclassed models have no graph to read.
        let Ok(model) = ModelSpec::from_keras_json(&text) else {
            continue;
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_end_matches(".config.json");
        for (kind, text) in [("original", text), ("written", model.to_keras_json())] {
            let file = folder.join(format!("{name}.{kind}.json"));
            fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/round_trip.py");
    let output = Command::new(&python)
        .arg(&script)
        .arg(&folder)
        .stderr(Stdio::inherit())
        .output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    let _ = fs::remove_dir_all(&folder);
    let report = String::from_utf8_lossy(&output.stdout);
    println!("{report}");
    assert!(output.status.success(), "{report}");
}
