//! Calls that say no more than their tensors are not kept, and yet written as Keras wrote them.

use nn_theory::ModelSpec;
use serde_json::Value;
use std::path::Path;

#[test]
fn calls_are_written_as_they_were_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/summary");
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".config.json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let written = ModelSpec::from_keras_json(&text).unwrap().to_keras_json();
        let (read, written): (Value, Value) = (
            serde_json::from_str(&text).unwrap(),
            serde_json::from_str(&written).unwrap(),
        );
        compare(&read, &written, &path, &mut compared);
    }
    assert!(compared > 100);
}

/// Compares the calls, modules and names of all layers, those of nested models too.
#[track_caller]
fn compare(read: &Value, written: &Value, path: &Path, compared: &mut usize) {
    let layers = |model: &Value| model["config"]["layers"].as_array().cloned().unwrap_or_default();
    let (before, after) = (layers(read), layers(written));
    assert_eq!(before.len(), after.len(), "{}", path.display());
    for (before, after) in before.iter().zip(&after) {
        for key in ["class_name", "name", "module", "registered_name", "inbound_nodes"] {
            assert_eq!(
                before.get(key),
                after.get(key),
                "{}: {key} of {}",
                path.display(),
                before["config"]["name"]
            );
        }
        *compared += before["inbound_nodes"].as_array().map_or(0, Vec::len);
        compare(before, after, path, compared);
    }
}
