//! Our files in the programs that own the formats: Keras, h5py and the safetensors package.
//!
//! Runs where `$CANDLE_LAB_PYTHON` names Pythons of which one has them (`cargo xtask test --python` installs one); elsewhere it says so
//! and passes.

#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod common;

use std::path::Path;
use std::process::Command;

use candle_core::{DType, Device, Tensor};
use common::{network, small, step, weight_bits};
use kernels::random::Stream;
use models::{Mode, Network};
use optimizers::Optimizer;
use persistence::{Contents, Format, Metadata, Model, Precision, StoredTensor};
use serde_json::{Value, json};

/// The inputs that `common::step` draws from a seed.
fn batch(network: &Network, seed: u64) -> Tensor {
    let mut shape = vec![5];
    shape.extend(network.input_shape());
    let mut draws = Stream::new(seed).op("test").draws();
    let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| draws.normal() as f32).collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor
        .flatten_all()
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// The largest difference, against the largest value (at least 1).
#[track_caller]
fn check_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(worst <= tolerance * scale, "{what} is off by {worst:e}");
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

fn write_tensors(path: &Path, tensors: &[(&str, &Tensor)]) {
    let mut file = Model::new(path, Format::Safetensors);
    for (name, tensor) in tensors {
        file.weights.insert(name.to_string(), StoredTensor::of(tensor).unwrap());
    }
    persistence::write(path, &file).unwrap();
}

/// CRC-32 by the name that a file gives each tensor.
fn sums<'a>(tensors: impl Iterator<Item = (String, &'a StoredTensor)>) -> Value {
    let sums = tensors.map(|(name, tensor)| (name, json!(crc32fast::hash(&tensor.bytes().unwrap()))));
    Value::Object(sums.collect())
}

#[test]
fn the_owners_of_the_formats_read_our_files() {
    let Some(python) = common::python(&["keras", "tensorflow", "h5py", "safetensors"]) else {
        println!(
            "skipped: no Python with Keras, h5py and safetensors; run cargo xtask test --python, or set CANDLE_LAB_PYTHON to one"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let network = network(small(), 7);
    let mut adam = Optimizer::by_name("adam").unwrap();
    (0..3).for_each(|seed| step(&network, &mut adam, seed));
    let metadata = Metadata {
        classes: vec!["cat".into(), "dög".into()],
        compile: Some(json!({"loss": "mse", "metrics": ["mae"]})),
        ..Metadata::default()
    };
    let contents = Contents {
        network: &network,
        optimizer: Some(&adam),
        metadata: &metadata,
    };
    for format in persistence::WRITTEN {
        let path = at(&format!("model.{}", format.ending()));
        // Other formats than these are asked for elsewhere.
        if [Format::Safetensors, Format::Keras, Format::LegacyH5, Format::WeightsH5].contains(&format) {
            persistence::save(&path, &contents, Precision::F32).unwrap();
        }
    }
    let without = Contents {
        optimizer: None,
        ..contents
    };
    persistence::save(&at("f16.keras"), &without, Precision::F16).unwrap();
    persistence::save(&at("bf16.keras"), &without, Precision::Bf16).unwrap();
    std::fs::write(at("model.json"), network.spec().to_keras_json()).unwrap();
    let x = batch(&network, 9);
    let predicted = network.forward(&x, Mode::Inference).unwrap();
    // `common::step` has the mean of the squares as loss: the distance from zeros.
    write_tensors(
        &at("batch.safetensors"),
        &[("input", &x), ("target", &predicted.zeros_like().unwrap())],
    );

    let others: Vec<(&str, Network, Optimizer)> = OTHERS
        .iter()
        .map(|&name| trained(name, &at(&format!("optimizer.{name}.keras"))))
        .collect();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/ask_keras.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));

    let native = persistence::inspect(&at("model.safetensors")).unwrap();
    let listed = native
        .tensors
        .iter()
        .map(|listed| (listed.name.clone(), &listed.tensor));
    assert_eq!(answer["safetensors"], sums(listed));
    assert_eq!(answer["classes"], json!(metadata.classes));
    assert_eq!(answer["described"], network.spec().counts().total);
    let weights = persistence::open(&at("model.weights.h5")).unwrap();
    let named = weights.weights.iter().map(|(name, tensor)| (name.clone(), tensor));
    assert_eq!(answer["weights_h5"], sums(named));
    let legacy = persistence::open(&at("model.h5")).unwrap();
    for place in persistence::keras_places(network.spec()) {
        let sum = crc32fast::hash(&legacy.weights[&place.weight].bytes().unwrap());
        assert_eq!(answer["legacy_h5"][&place.legacy_h5], sum, "{}", place.legacy_h5);
    }

    let expected = values(&predicted);
    check_close(
        "a prediction from .keras",
        &numbers(&answer["keras"]["predictions"]),
        &expected,
        1e-6,
    );
    check_close("a prediction from .h5", &numbers(&answer["legacy"]), &expected, 1e-6);
    check_close(
        "a prediction from .weights.h5",
        &numbers(&answer["weights"]),
        &expected,
        1e-6,
    );
    for (name, tolerance) in [("f16", 1e-2), ("bf16", 1e-1)] {
        let rounded = persistence::load(&at(&format!("{name}.keras")), &Device::Cpu)
            .unwrap()
            .network;
        let expected = values(&rounded.forward(&x, Mode::Inference).unwrap());
        check_close(name, &numbers(&answer[name]), &expected, 1e-6);
        check_close(name, &expected, &values(&predicted), tolerance);
    }

    // What Keras writes after it loaded ours is ours again, to the bit.
    assert_eq!(answer["keras"]["iterations"], 3);
    let back = persistence::load(&at("keras_before.keras"), &Device::Cpu).unwrap();
    assert_eq!(weight_bits(&network), weight_bits(&back.network));
    assert_eq!(common::state_bits(&adam), common::state_bits(&back.optimizer.unwrap()));
    // The next step in Keras is the next step here.
    check_next_step("adam", &network, &mut adam, &at("keras_after.safetensors"));
    for (name, network, mut optimizer) in others {
        check_next_step(
            name,
            &network,
            &mut optimizer,
            &at(&format!("optimizer.{name}.safetensors")),
        );
    }
}

/// Optimizers besides Adam whose state Keras gets, each of another kind.
const OTHERS: [&str; 6] = ["sgd_momentum", "rmsprop", "adamw", "nadam", "adagrad", "adadelta"];

/// A network after three steps, saved with its optimizer.
fn trained(name: &'static str, path: &Path) -> (&'static str, Network, Optimizer) {
    let network = network(small(), 7);
    let mut optimizer = Optimizer::by_name(name).unwrap();
    (0..3).for_each(|seed| step(&network, &mut optimizer, seed));
    let metadata = Metadata {
        compile: Some(json!({"loss": "mse"})),
        ..Metadata::default()
    };
    let contents = Contents {
        network: &network,
        optimizer: Some(&optimizer),
        metadata: &metadata,
    };
    persistence::save(path, &contents, Precision::F32).unwrap();
    (name, network, optimizer)
}

/// One more step here gives the weights that one more step there gave.
fn check_next_step(name: &str, network: &Network, optimizer: &mut Optimizer, after: &Path) {
    step(network, optimizer, 9);
    let after = persistence::open(after).unwrap();
    for weight in network.weights() {
        // A bias in front of a normalization has a gradient of 0 but for rounding, of which Adam makes a step of up to its rate.
        let tolerance = if weight.path == "conv2d/bias" { 1e-3 } else { 1e-5 };
        let found = after.weights.iter().find(|(name, _)| name.ends_with(&weight.path));
        let what = format!("{} after a step of {name}", weight.path);
        check_close(
            &what,
            &found.unwrap().1.to_f64().unwrap(),
            &values(weight.var.as_tensor()),
            tolerance,
        );
    }
}
