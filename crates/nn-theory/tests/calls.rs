//! Calls that say no more than their tensors are not kept, and yet written as Keras wrote them.

use nn_theory::ModelSpec;
use serde_json::{Value, json};
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

/// A functional model of one layer called with these arguments on tensors of these shapes, called `t0`, `t1` and so on.
fn called(
    class: &str,
    config: Value,
    shapes: &[Value],
    args: Value,
    kwargs: Value,
) -> Result<ModelSpec, nn_theory::Error> {
    let mut layers: Vec<Value> = (0..)
        .zip(shapes)
        .map(|(i, shape)| {
            json!({ "class_name": "InputLayer", "name": format!("t{i}"), "inbound_nodes": [],
                "config": { "batch_shape": shape, "dtype": "float32", "name": format!("t{i}") } })
        })
        .collect();
    layers.push(
        json!({ "module": "keras.layers", "class_name": class, "name": "layer", "config": config,
        "inbound_nodes": [{ "args": args, "kwargs": kwargs }] }),
    );
    let inputs: Vec<Value> = (0..shapes.len()).map(|i| json!([format!("t{i}"), 0, 0])).collect();
    let config = json!({ "name": "m", "layers": layers, "input_layers": inputs, "output_layers": [["layer", 0, 0]] });
    ModelSpec::from_keras_json(&json!({ "class_name": "Functional", "config": config }).to_string())
}

fn tensor(i: usize) -> Value {
    json!({ "class_name": "__keras_tensor__",
        "config": { "shape": [null], "dtype": "float32", "keras_history": [format!("t{i}"), 0, 0] } })
}

#[test]
fn masks_by_position_are_no_inputs() {
    let attention = |config: Value, class: &str, args: Value| {
        let shapes = [
            json!([null, 3, 8]),
            json!([null, 5, 6]),
            json!([null, 3]),
            json!([null, 5]),
        ];
        let model = called(class, config, &shapes, args, json!({})).unwrap();
        let layer = model.layer("layer").unwrap();
        let shapes: Vec<String> = layer.output_shapes.iter().map(ToString::to_string).collect();
        (shapes.join(" "), model.counts().total)
    };
    let (q, v, qm, vm) = (tensor(0), tensor(1), tensor(2), tensor(3));
    for (class, config, parameters) in [
        ("Attention", json!({ "use_scale": true, "score_mode": "dot" }), 1),
        ("AdditiveAttention", json!({ "use_scale": true }), 8),
    ] {
        let masked = json!([[q, v], [qm, vm]]);
        assert_eq!(
            attention(config.clone(), class, masked),
            ("(None, 3, 6)".into(), parameters)
        );
        // Half of the masks may be missing, and flags may follow: training, return_attention_scores.
        let flags = json!([[q, v], [null, vm], false, true]);
        assert_eq!(
            attention(config, class, flags),
            ("(None, 3, 6) (None, 3, 5)".into(), parameters)
        );
    }
    // Without a key the fourth argument is still a mask.
    let heads = json!({ "num_heads": 2, "key_dim": 4 });
    let plain = attention(heads.clone(), "MultiHeadAttention", json!([q, v]));
    assert_eq!(
        attention(heads.clone(), "MultiHeadAttention", json!([q, v, null, qm, vm])),
        plain
    );
    let scores = json!([q, v, v, null, null, null, null, true]);
    assert_eq!(
        attention(heads, "MultiHeadAttention", scores).0,
        "(None, 3, 8) (None, 2, 3, 3)"
    );
    let softmax = json!([q, tensor(0)]);
    assert_eq!(attention(json!({ "axis": -1 }), "Softmax", softmax).0, "(None, 3, 8)");
    let lstm = json!([q, null, qm]);
    assert_eq!(attention(json!({ "units": 7 }), "LSTM", lstm).0, "(None, 7)");
}
