//! `lab inspect A --against B`.

use candle_core::{Device, Tensor};
use persistence::StoredTensor;
use serde_json::{Value, json};

use crate::program::Lab;

/// A folder with a network that was trained for one epoch, and one that was trained for another one.
fn trained() -> Lab {
    let lab = Lab::new();
    lab.succeeds(&["train", "--epochs", "1", "--output", "a.safetensors"]);
    lab.succeeds(&[
        "train",
        "--resume",
        "a.safetensors",
        "--epochs",
        "2",
        "--output",
        "b.safetensors",
    ]);
    lab
}

#[test]
fn a_copy_in_another_format_is_the_same() {
    let lab = trained();
    lab.succeeds(&["convert", "a.safetensors", "a.keras"]);
    let arguments = ["inspect", "a.safetensors", "--against", "a.keras", "--data", "digits"];
    let record = lab.json(&[&arguments[..], &["--json"]].concat());
    assert_eq!(record["same_architecture"], true, "{}", record["layers"]);
    assert_eq!(record["same_weights"], true);
    assert_eq!(record["decisions"]["changed"], 0);
    let text = lab.succeeds(&arguments);
    for words in [
        "Layers: the same.",
        "6,090 of 6,090",
        "0 of 360 images get another class.",
    ] {
        assert!(text.contains(words), "'{words}' is not in {text}");
    }
}

#[test]
fn a_weight_that_was_moved_is_measured() {
    let lab = trained();
    let mut model = persistence::open(&lab.path("a.safetensors")).expect("a file");
    let bias = model.weights["dense/bias"].to_f64().expect("numbers");
    let largest = bias.iter().fold(0.0, |largest: f64, number| largest.max(number.abs()));
    let mut moved: Vec<f32> = bias.iter().map(|&number| number as f32).collect();
    moved[3] += 0.5;
    let tensor = Tensor::from_vec(moved, 10, &Device::Cpu).expect("a tensor");
    model
        .weights
        .insert("dense/bias".to_string(), StoredTensor::of(&tensor).expect("a tensor"));
    persistence::write(&lab.path("moved.safetensors"), &model).expect("a file");
    let record = lab.json(&["inspect", "a.safetensors", "--against", "moved.safetensors", "--json"]);
    assert_eq!(
        (&record["same_architecture"], &record["same_weights"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(record["decisions"], Value::Null);
    for weight in record["weights"].as_array().expect("weights") {
        let is_moved = weight["weight"] == "dense/bias";
        let apart = |name: &str, expected: f64| {
            let found = weight[name].as_f64().expect("a number");
            assert!(
                (found - expected).abs() < 1e-6,
                "{name} of {weight}, expected {expected}"
            );
        };
        apart("largest", if is_moved { 0.5 } else { 0.0 });
        apart("mean", if is_moved { 0.05 } else { 0.0 });
        apart("relative", if is_moved { 0.5 / largest } else { 0.0 });
        let values = weight["values"].as_u64().expect("a count");
        assert_eq!(weight["equal"], json!(values - u64::from(is_moved)));
    }
}

#[test]
fn other_layers_and_decisions_are_told() {
    let lab = trained();
    let record = lab.json(&[
        "inspect",
        "a.safetensors",
        "--against",
        "b.safetensors",
        "--data",
        "digits",
        "--json",
    ]);
    assert_eq!(record["same_architecture"], true);
    let decisions = &record["decisions"];
    let number = |name: &str| decisions[name].as_u64().expect("a count");
    assert!(number("changed") > 0, "an epoch changes decisions: {decisions}");
    assert_eq!(
        number("changed"),
        number("only_first_right") + number("only_second_right") + number("neither_right")
    );
    let accuracy = |side: usize| decisions["accuracy"][side].as_f64().expect("a share") * 360.0;
    let gained = number("only_second_right") as f64 - number("only_first_right") as f64;
    assert!((accuracy(1) - accuracy(0) - gained).abs() < 1e-6, "{decisions}");
    assert_eq!(
        lab.json(&["evaluate", "b.safetensors", "--json"])["accuracy"],
        decisions["accuracy"][1]
    );

    let configuration = lab.succeeds(&["summary", "digits_cnn", "--style", "json"]);
    let narrower = configuration.replace("\"filters\": 32", "\"filters\": 24");
    assert_ne!(narrower, configuration);
    std::fs::write(lab.path("narrower.json"), narrower).expect("a file");
    lab.succeeds(&[
        "train",
        "--model",
        "narrower.json",
        "--epochs",
        "1",
        "--output",
        "c.safetensors",
    ]);
    let arguments = ["inspect", "a.safetensors", "--against", "c.safetensors"];
    let text = lab.succeeds(&arguments);
    assert!(
        text.contains("Layers that differ") && text.contains("filters"),
        "{text}"
    );
    let record = lab.json(&[&arguments[..], &["--json"]].concat());
    let filters = record["layers"]
        .as_array()
        .expect("layers")
        .iter()
        .find(|layer| layer["option"] == "filters");
    assert_eq!(
        filters,
        Some(&json!({"layer": "conv2d_1", "option": "filters", "a": 32, "b": 24}))
    );
    let kernel = &record["weights"][2];
    assert_eq!(kernel["shapes"], json!([[3, 3, 16, 32], [3, 3, 16, 24]]), "{kernel}");
    assert_eq!(kernel["largest"], Value::Null);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let lab = trained();
    lab.succeeds(&["convert", "a.safetensors", "alone.npz", "--without-optimizer"]);
    let text = lab.succeeds(&["inspect", "alone.npz", "--against", "a.safetensors"]);
    assert!(text.contains("not compared") && text.contains("--config"), "{text}");
    let against = |file: &'static str, more: &[&'static str]| {
        [&["inspect", "a.safetensors", "--against", file][..], more].concat()
    };
    lab.fails(
        &against("alone.npz", &["--data", "digits"]),
        &["alone.npz", "--config MODEL"],
    );
    let text = lab.succeeds(&against("alone.npz", &["--data", "digits", "--config", "digits_cnn"]));
    assert!(text.contains("0 of 360 images"), "{text}");
    lab.fails(&against("none.keras", &[]), &["none.keras", "no such file"]);
    lab.fails(
        &against("b.safetensors", &["--data", "digts"]),
        &["did you mean 'digits'?"],
    );
    for (arguments, words) in [
        (&["inspect", "a.safetensors", "--data", "digits"][..], "--against"),
        (
            &["inspect", "a.safetensors", "--against", "b.safetensors", "--mapping"],
            "--mapping",
        ),
        (
            &[
                "inspect",
                "a.safetensors",
                "--against",
                "b.safetensors",
                "--data-dir",
                "x",
            ],
            "--data",
        ),
    ] {
        lab.run(arguments).check_error(2, &[words]);
    }
}
