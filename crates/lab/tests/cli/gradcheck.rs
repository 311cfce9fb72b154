//! `lab gradcheck`.

use serde_json::Value;

use crate::program::Lab;

/// The verdicts of a check that passed.
#[track_caller]
fn verdicts(lab: &Lab, arguments: &[&str]) -> Vec<(String, String)> {
    let record = lab.json(arguments);
    assert_eq!(record["passed"], true);
    assert!(record["loss"].as_f64().is_some_and(f64::is_finite));
    let weights = record["weights"].as_array().expect("a list");
    weights
        .iter()
        .map(|weight| {
            let text = |key: &str| weight[key].as_str().unwrap_or_default().to_string();
            assert!(weight["worst_relative_error"].as_f64() <= weight["allowed"].as_f64());
            (text("name"), text("verdict"))
        })
        .collect()
}

#[test]
fn every_weight_of_a_built_in_model_gets_a_verdict() {
    let lab = Lab::new();
    let found = verdicts(&lab, &["gradcheck", "cats_vs_dogs", "--json"]);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["H01/kernel", "H01/bias", "H02/kernel", "H02/bias"]);
    assert!(found.iter().all(|(_, verdict)| verdict == "agrees"));
    let text = lab.succeeds(&["gradcheck", "digits_cnn", "--entries", "3", "--batch-size", "2"]);
    assert!(text.contains("All gradients of") && text.contains("kinks"), "{text}");
    // The same seed, the same numbers.
    assert_eq!(
        text,
        lab.succeeds(&["gradcheck", "digits_cnn", "--entries", "3", "--batch-size", "2"])
    );
}

/// A configuration with an embedding, a recurrent layer, batch normalisation, dropout and a penalty.
const MODEL: &str = r#"{"class_name": "Sequential", "config": {"name": "words", "layers": [
    {"class_name": "InputLayer", "config": {"name": "input", "batch_shape": [null, null]}},
    {"class_name": "Embedding", "config": {"name": "words", "input_dim": 7, "output_dim": 3}},
    {"class_name": "LSTM", "config": {"name": "memory", "units": 4}},
    {"class_name": "BatchNormalization", "config": {"name": "norm", "axis": -1}},
    {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.25}},
    {"class_name": "Dense", "config": {"name": "out", "units": 2, "activation": "softmax",
        "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.01}}}}]}}"#;

#[test]
fn configurations_and_saved_models_are_checked_as_they_train() {
    let lab = Lab::new();
    std::fs::write(lab.path("words.json"), MODEL).expect("a file");
    let found = verdicts(&lab, &["gradcheck", "words.json", "--entries", "8", "--json"]);
    // The moving statistics do not train, so they have no gradient.
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(found.iter().all(|(name, _)| !name.contains("moving")));
    lab.succeeds(&[
        "train",
        "--data",
        "digits",
        "--model",
        "digits_cnn",
        "--epochs",
        "1",
        "--output",
        "m.safetensors",
    ]);
    lab.succeeds(&["convert", "m.safetensors", "m.keras"]);
    let (saved, keras): (Value, Value) = (
        lab.json(&["gradcheck", "m.safetensors", "--entries", "2", "--json"]),
        lab.json(&["gradcheck", "m.keras", "--entries", "2", "--json"]),
    );
    assert_eq!(saved["weights"], keras["weights"]);
    assert_ne!(
        saved["loss"],
        lab.json(&["gradcheck", "digits_cnn", "--entries", "2", "--json"])["loss"]
    );
}

#[test]
fn what_cannot_be_checked_is_said() {
    let lab = Lab::new();
    lab.fails(&["gradcheck", "lenet6"], &["lenet6", "did you mean 'lenet5'?"]);
    lab.fails(&["gradcheck", "."], &["folder", ".json"]);
    std::fs::write(lab.path("broken.json"), "{").expect("a file");
    lab.fails(&["gradcheck", "broken.json"], &["broken.json"]);
    std::fs::write(lab.path("noise.keras"), [7; 100]).expect("a file");
    lab.fails(&["gradcheck", "noise.keras"], &["noise.keras"]);
    let flat = r#"{"class_name": "Sequential", "config": {"name": "flat", "layers": [
        {"class_name": "InputLayer", "config": {"name": "input", "batch_shape": [null, 2, 2]}},
        {"class_name": "Flatten", "config": {"name": "flatten"}}]}}"#;
    std::fs::write(lab.path("flat.json"), flat).expect("a file");
    lab.fails(&["gradcheck", "flat.json"], &["flat", "no weights that train"]);
    lab.run(&["gradcheck", "lenet5", "--entries", "0"])
        .check_error(2, &["--entries", "at least 1"]);
    lab.run(&["gradcheck"]).check_error(2, &["<MODEL>"]);
    lab.fails(&["gradcheck", "lenet5", "--device", "tpu"], &["--device tpu"]);
}
