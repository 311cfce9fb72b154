//! `lab convert`, `lab inspect` and `lab predict`: one network in every format.

use std::path::Path;

use candle_core::{Device, Tensor};
use models::Mode;
use persistence::{Dtype, Format, Model, StoredTensor};
use serde_json::Value;

use crate::program::Lab;
use crate::train::weights;

/// Formats that hold a network with its description, besides the one that it is trained into.
const WHOLE: [&str; 4] = ["keras", "h5", "pt", "onnx"];
/// Formats that hold weights alone.
const ALONE: [&str; 2] = ["weights.h5", "npz"];

/// A folder with a network that was trained for one epoch.
fn trained() -> Lab {
    let lab = Lab::new();
    lab.succeeds(&["train", "--epochs", "1", "--output", "net.safetensors"]);
    lab
}

fn write_tensors(path: &Path, tensors: &[(&str, Tensor)]) {
    let mut file = Model::new(path, Format::Safetensors);
    for (name, tensor) in tensors {
        let stored = StoredTensor::of(tensor).expect("a tensor");
        file.weights.insert((*name).to_string(), stored);
    }
    persistence::write(path, &file).expect("a file");
}

/// Five images with numbers from 0 to 1.
fn images() -> Tensor {
    let numbers: Vec<f32> = (0..5 * 64).map(|index| (index * 37 % 101) as f32 / 100.0).collect();
    Tensor::from_vec(numbers, (5, 8, 8, 1), &Device::Cpu).expect("images")
}

/// The bytes of a tensor of a file, which is in float32.
fn bytes(path: &Path, name: &str) -> Vec<u8> {
    let file = persistence::open(path).expect("a file");
    let tensor = &file.weights[name];
    assert_eq!(tensor.dtype(), Dtype::F32);
    tensor.bytes().expect("bytes").into_owned()
}

#[test]
fn a_network_goes_into_every_format_and_comes_back_to_the_bit() {
    let lab = trained();
    let first = weights(&lab, "net.safetensors");
    for ending in WHOLE {
        let (there, back) = (format!("net.{ending}"), format!("{ending}.safetensors"));
        let record = lab.json(&["convert", "net.safetensors", &there, "--json"]);
        assert_eq!(record["input"]["format"], "safetensors");
        assert_eq!(record["weights"], first.len());
        assert_eq!(record["precision"], "f32");
        let size = std::fs::metadata(lab.path(&there)).expect("a file").len();
        assert_eq!(record["output"]["bytes"], size);
        let said = lab.succeeds(&["convert", &there, &back]);
        assert!(
            said.contains(&format!("net.{ending} (")) && said.contains(&back),
            "{said}"
        );
        assert_eq!(weights(&lab, &back), first, "{ending}");
    }
    for ending in ALONE {
        let (there, back) = (format!("alone.{ending}"), format!("alone.{ending}.safetensors"));
        lab.succeeds(&["convert", "net.safetensors", &there, "--without-optimizer"]);
        lab.fails(&["convert", &there, "net.keras"], &["--config"]);
        lab.succeeds(&["convert", &there, &back, "--config", "digits_cnn"]);
        assert_eq!(weights(&lab, &back), first, "{ending}");
    }
    // The optimizer goes along where there is a place for it.
    let optimizer = |file: &str| lab.json(&["inspect", file, "--json"])["optimizer"]["class_name"].clone();
    for (file, class) in [
        ("net.safetensors", Value::from("Adam")),
        ("net.keras", Value::from("Adam")),
        ("h5.safetensors", Value::from("Adam")),
        ("net.onnx", Value::Null),
    ] {
        assert_eq!(optimizer(file), class, "{file}");
    }
    lab.succeeds(&["convert", "net.safetensors", "without.keras", "--without-optimizer"]);
    assert_eq!(optimizer("without.keras"), Value::Null);
    // Written, and read by other programs only.
    lab.succeeds(&["convert", "net.safetensors", "net.gguf"]);
    lab.fails(&["inspect", "net.gguf"], &["net.gguf", "GGUF files are not read"]);
}

#[test]
fn what_is_converted_in_another_number_format_is_rounded_once() {
    let lab = trained();
    for precision in ["f16", "bf16", "f64"] {
        let file = format!("{precision}.keras");
        let record = lab.json(&["convert", "net.safetensors", &file, "--precision", precision, "--json"]);
        assert_eq!(record["precision"], precision);
        let again = format!("{precision}.safetensors");
        lab.succeeds(&["convert", &file, &again]);
        let inspected = lab.json(&["inspect", &again, "--json"]);
        assert_eq!(inspected["precision"], precision);
    }
    let exact =
        |precision: &str| weights(&lab, &format!("{precision}.safetensors")) == weights(&lab, "net.safetensors");
    assert_eq!([exact("f16"), exact("bf16"), exact("f64")], [false, false, true]);
}

#[test]
fn conversions_that_cannot_be_are_said_and_leave_no_file() {
    let lab = trained();
    lab.fails(
        &["convert", "net.safetensors", "net.txt"],
        &["net.txt", "'txt'", ".keras"],
    );
    lab.fails(
        &["convert", "none.keras", "net.keras"],
        &["none.keras", "cannot be read"],
    );
    lab.fails(
        &["convert", "net.safetensors", "net.keras", "--config", "digits_cnn"],
        &["net.safetensors", "describes its network itself"],
    );
    lab.succeeds(&["convert", "net.safetensors", "alone.npz", "--without-optimizer"]);
    lab.fails(
        &["convert", "alone.npz", "net.keras", "--config", "mnist_cnn"],
        &["alone.npz"],
    );
    // A file that is there already stays as it was when the new one cannot be written.
    std::fs::write(lab.path("kept.keras"), "something of mine").expect("a file");
    std::fs::write(lab.path("broken.keras"), "PK\u{3}\u{4} config.json and nothing else").expect("a file");
    lab.fails(&["convert", "broken.keras", "kept.keras"], &["broken.keras"]);
    assert_eq!(
        std::fs::read(lab.path("kept.keras")).expect("a file"),
        b"something of mine"
    );
}

#[test]
fn the_first_bytes_of_a_file_decide_and_not_its_name() {
    let lab = trained();
    lab.succeeds(&["convert", "net.safetensors", "net.keras"]);
    lab.succeeds(&["convert", "net.safetensors", "net.pt"]);
    for (file, name, format) in [
        ("net.keras", "keras.pt", "keras"),
        ("net.pt", "torch.onnx", "pt"),
        ("net.safetensors", "ours.h5", "safetensors"),
        ("net.safetensors", "no_ending", "safetensors"),
    ] {
        std::fs::copy(lab.path(file), lab.path(name)).expect("a copy");
        let inspected = lab.json(&["inspect", name, "--json"]);
        assert_eq!(inspected["format"], format, "{name}");
        assert_eq!(inspected["architecture"]["name"], "digits_cnn", "{name}");
        lab.succeeds(&["summary", &format!("./{name}")]);
    }
    std::fs::write(lab.path("text.keras"), "to be or not to be").expect("a file");
    lab.fails(
        &["inspect", "text.keras"],
        &["text.keras", "'to be or not", "Keras archive"],
    );
}

#[test]
fn a_file_is_shown_with_its_tensors_figures_and_architecture() {
    let lab = trained();
    let inspected = lab.json(&["inspect", "net.safetensors", "--json"]);
    let network = persistence::load(&lab.path("net.safetensors"), &Device::Cpu)
        .expect("a network")
        .network;
    let tensors = inspected["tensors"].as_array().expect("tensors");
    for weight in network.weights() {
        let listed = tensors.iter().find(|tensor| tensor["name"] == weight.path.as_str());
        let listed = listed.unwrap_or_else(|| panic!("{} is not listed", weight.path));
        let numbers: Vec<f32> = weight
            .var
            .flatten_all()
            .and_then(|flat| flat.to_vec1())
            .expect("numbers");
        let norm = numbers
            .iter()
            .map(|&number| f64::from(number).powi(2))
            .sum::<f64>()
            .sqrt();
        let largest = numbers.iter().copied().fold(f32::MIN, f32::max);
        assert_eq!(listed["shape"], serde_json::json!(weight.var.dims()));
        assert_eq!(listed["dtype"], "F32");
        assert!(
            (listed["norm"].as_f64().expect("a norm") - norm).abs() <= 1e-9 * norm,
            "{listed}"
        );
        assert_eq!(listed["max"].as_f64(), Some(f64::from(largest)));
        assert_eq!(listed["non_finite"], 0);
    }
    assert_eq!(inspected["architecture"]["parameters"], network.spec().counts().total);
    assert_eq!(inspected["metadata"]["classes"].as_array().map(Vec::len), Some(10));
    let words = lab.succeeds(&["inspect", "net.safetensors"]);
    for word in ["digits_cnn", "Adam after", "norm", "conv2d/kernel", "sha256", "classes"] {
        assert!(words.contains(word), "'{word}' is not in: {words}");
    }
}

#[test]
fn the_mapping_names_each_weight_in_the_files_of_others() {
    let lab = trained();
    lab.succeeds(&["convert", "net.safetensors", "alone.weights.h5"]);
    lab.succeeds(&["convert", "net.safetensors", "net.h5"]);
    lab.succeeds(&["convert", "net.safetensors", "net.pt"]);
    let record = lab.json(&["inspect", "net.safetensors", "--mapping", "--json"]);
    let names = |file: &str, arguments: &[&str]| -> Vec<Value> {
        let record = lab.json(&[&["inspect", file, "--json"], arguments].concat());
        let tensors = record["tensors"].as_array().expect("tensors");
        tensors.iter().map(|tensor| tensor["name"].clone()).collect()
    };
    // Where it says that a weight is, there is one: in the file of weights by its places, in PyTorch's by its names.
    let (datasets, tensors) = (names("alone.weights.h5", &[]), names("net.pt", &[]));
    let keras = record["mapping"]["keras"].as_array().expect("places");
    assert_eq!(keras.len(), weights(&lab, "net.safetensors").len());
    for place in keras {
        for dataset in place["weights_h5"].as_array().expect("data sets") {
            assert!(datasets.contains(dataset), "{dataset} is not in {datasets:?}");
        }
        assert!(
            place["legacy_h5"]
                .as_str()
                .is_some_and(|path| path.starts_with("model_weights/")),
            "{place}"
        );
    }
    let state = persistence::pytorch::Checkpoint::read(
        &persistence::Source::open(&lab.path("net.pt"), &Default::default()).expect("a file"),
    )
    .expect("a checkpoint")
    .tensors;
    let rules = record["mapping"]["pytorch"]["rules"].as_array().expect("rules");
    for part in rules
        .iter()
        .flat_map(|rule| rule["tensors"].as_array().expect("tensors"))
    {
        assert!(state.contains_key(part["name"].as_str().expect("a name")), "{part}");
    }
    assert_eq!(tensors.len(), keras.len());
    let words = lab.succeeds(&["inspect", "net.h5", "--mapping"]);
    for word in [
        "Where each weight is in Keras' files",
        "layers/conv2d/vars/0",
        "PyTorch's tensors",
        "transposed by",
    ] {
        assert!(words.contains(word), "'{word}' is not in: {words}");
    }
    // Weights alone have no names until somebody says what they are of.
    lab.fails(
        &["inspect", "alone.weights.h5", "--mapping"],
        &["alone.weights.h5", "--config"],
    );
    lab.succeeds(&["inspect", "alone.weights.h5", "--mapping", "--config", "digits_cnn"]);
}

#[test]
fn every_format_predicts_the_same_bits() {
    let lab = trained();
    let x = images();
    write_tensors(
        &lab.path("images.safetensors"),
        &[("input", x.clone()), ("other", x.clone())],
    );
    let saved = persistence::load(&lab.path("net.safetensors"), &Device::Cpu).expect("a network");
    let expected = saved.network.forward(&x, Mode::Inference).expect("outputs");
    let expected: Vec<u8> = expected
        .flatten_all()
        .and_then(|flat| flat.to_vec1::<f32>())
        .expect("numbers")
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    for ending in [&["safetensors"][..], &WHOLE, &ALONE].concat() {
        let model = format!("net.{ending}");
        if ending != "safetensors" {
            lab.succeeds(&["convert", "net.safetensors", &model, "--without-optimizer"]);
        }
        let config: &[&str] = if ALONE.contains(&ending) {
            &["--config", "digits_cnn"]
        } else {
            &[]
        };
        let arguments = [
            "predict",
            &model,
            "--inputs",
            "images.safetensors",
            "--outputs",
            "y.safetensors",
            "--json",
        ];
        let record = lab.json(&[&arguments, config].concat());
        assert_eq!(
            (&record["samples"], &record["outputs"]["output"]),
            (&5.into(), &serde_json::json!([5, 10]))
        );
        assert!(bytes(&lab.path("y.safetensors"), "output") == expected, "{ending}");
    }
    let said = lab.succeeds(&[
        "predict",
        "net.keras",
        "--inputs",
        "images.safetensors",
        "--outputs",
        "z.safetensors",
        "--batch-size",
        "2",
    ]);
    assert!(
        said.contains("outputs of 5 samples") && said.contains("[5, 10]"),
        "{said}"
    );
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let lab = trained();
    let x = images();
    let two = [("a", x.clone()), ("b", x.clone())];
    write_tensors(&lab.path("two.safetensors"), &two);
    let narrow = x.narrow(1, 0, 4).and_then(|x| x.contiguous()).expect("images");
    write_tensors(&lab.path("narrow.safetensors"), &[("input", narrow)]);
    let predict = |inputs: &'static str, outputs: &'static str| {
        ["predict", "net.safetensors", "--inputs", inputs, "--outputs", outputs]
    };
    lab.fails(
        &predict("two.safetensors", "y.safetensors"),
        &["two.safetensors", "there is no tensor", "a, b"],
    );
    lab.fails(
        &predict("narrow.safetensors", "y.safetensors"),
        &["(None, 8, 8, 1)", "[5, 4, 8, 1]"],
    );
    lab.fails(
        &predict("none.safetensors", "y.safetensors"),
        &["--inputs none.safetensors", "no such file"],
    );
    lab.fails(
        &predict("two.safetensors", "y.npz"),
        &["--outputs y.npz", ".safetensors"],
    );
}
