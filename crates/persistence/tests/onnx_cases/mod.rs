//! Networks for the tests of ONNX: every layer that `models` runs with its golden case, every activation function, and the zoo.
//!
//! The layers are those of `$GOLDEN_DIR/layers` (by default the cases of `models`), with the weights of the cases.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::Network;
use nn_theory::ModelSpec;
use serde_json::{Value, json};

use crate::common;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What is done with a network: its name, the network, inputs for it.
pub(crate) type Each<'e> = dyn FnMut(&str, &Network, &[Tensor]) -> Outcome + 'e;

/// Goes through all of them; how many layers there were.
pub(crate) fn each_network(each: &mut Each<'_>) -> Outcome<usize> {
    let (count, failures) = layers(each)?;
    assert!(count > 0, "no layers in {}", golden_layers().display());
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    activations(each)?;
    zoo(each)?;
    Ok(count)
}

fn golden_layers() -> PathBuf {
    match std::env::var_os("GOLDEN_DIR") {
        Some(folder) => Path::new(&folder).join("layers"),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/golden/layers"),
    }
}

/// A model of one layer, as Keras would describe it.
fn single(
    class: &str,
    config: &Value,
    shapes: &[Vec<usize>],
    outputs: usize,
    keywords: Option<&Value>,
) -> Outcome<ModelSpec> {
    let name = config["name"].as_str().unwrap_or("layer");
    let mut layers = Vec::new();
    let (mut references, mut ends) = (Vec::new(), Vec::new());
    for (index, shape) in shapes.iter().enumerate() {
        let input = format!("input_{index}");
        let mut batch_shape = vec![Value::Null];
        batch_shape.extend(shape.iter().skip(1).map(|&size| json!(size)));
        layers.push(json!({
            "class_name": "InputLayer", "name": input, "inbound_nodes": [],
            "config": {"name": input, "batch_shape": batch_shape, "dtype": "float32"},
        }));
        let config = json!({"shape": batch_shape, "dtype": "float32", "keras_history": [input, 0, 0]});
        references.push(json!({"class_name": "__keras_tensor__", "config": config}));
        ends.push(json!([input, 0, 0]));
    }
    let separate = matches!(class, "MultiHeadAttention" | "GroupQueryAttention") || references.len() == 1;
    let arguments = if separate { references } else { vec![json!(references)] };
    let results: Vec<Value> = (0..outputs).map(|output| json!([name, 0, output])).collect();
    layers.push(json!({
        "class_name": class, "name": name, "config": config,
        "inbound_nodes": [{"args": arguments, "kwargs": keywords.cloned().unwrap_or(json!({}))}],
    }));
    let config = json!({"name": "single", "layers": layers, "input_layers": ends, "output_layers": results});
    Ok(ModelSpec::from_keras_json(
        &json!({"class_name": "Functional", "config": config}).to_string(),
    )?)
}

/// The network of a case with its weights, and its inputs.
fn case_of(case: &Value, tensors: &BTreeMap<String, Tensor>) -> Outcome<(Network, Vec<Tensor>)> {
    let get = |key: &Value| {
        tensors
            .get(key.as_str().unwrap_or_default())
            .ok_or_else(|| format!("no tensor {key}"))
    };
    let class = case["class"].as_str().ok_or("no class")?;
    // The inputs of several calls lie in one tensor (call, batch, ...).
    let calls = case.get("moving_mean").is_some();
    let mut inputs = Vec::new();
    for input in case["inputs"].as_array().ok_or("no inputs")? {
        let mut value = get(&input["tensor"])?.to_dtype(DType::F32)?;
        if calls {
            value = value.get(0)?;
        }
        inputs.push(value);
    }
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.dims().to_vec()).collect();
    let outputs = case["outputs"].as_array().map_or(1, Vec::len).max(1);
    let spec = single(class, &case["config"], &shapes, outputs, case.get("call_arguments"))?;
    let name = case["config"]["name"].as_str().unwrap_or("layer");
    let mut network = Network::new(spec, 0, &Device::Cpu, DType::F32)?;
    for weight in case["weights"].as_array().into_iter().flatten() {
        let path = weight["path"]
            .as_str()
            .or(weight["name"].as_str())
            .ok_or("a weight without a name")?;
        let path = format!("{name}/{path}");
        if weight["tensor"].is_string() && network.weight(&path).is_some() {
            network.set_weight(&path, get(&weight["tensor"])?)?;
        }
    }
    Ok((network, inputs))
}

/// The cases of `$GOLDEN_DIR/layers`; how many there were, and what went wrong in which.
fn layers(each: &mut Each<'_>) -> Outcome<(usize, Vec<String>)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(golden_layers())?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    let (mut count, mut failures) = (0, Vec::new());
    for path in files {
        let document: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        let tensors: BTreeMap<String, Tensor> =
            candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu)?
                .into_iter()
                .collect();
        for case in document["cases"].as_array().into_iter().flatten() {
            if case.get("y_true").is_some() || case.get("function").is_some() {
                continue;
            }
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let name = format!("{stem}.{}", case["name"].as_str().unwrap_or("case")).replace('/', "_");
            count += 1;
            let outcome = case_of(case, &tensors).and_then(|(network, inputs)| each(&name, &network, &inputs));
            if let Err(error) = outcome {
                failures.push(format!("{name}: {error}"));
            }
        }
    }
    Ok((count, failures))
}

/// Every activation function of Keras behind a dense layer.
fn activations(each: &mut Each<'_>) -> Outcome {
    for &function in nn_theory::Activation::ALL {
        if function == nn_theory::Activation::Threshold {
            continue;
        }
        let spec = ModelSpec::sequential("activation")
            .input([4])
            .layer(nn_theory::Dense::new(6).activation(function))
            .build()?;
        let network = common::network(spec, 3);
        each(&format!("activation.{function}"), &network, &[noise(&[5, 4], 1)?])?;
    }
    Ok(())
}

fn noise(shape: &[usize], seed: u64) -> Outcome<Tensor> {
    let mut draws = Stream::new(seed).op("onnx").draws();
    let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| draws.normal() as f32).collect();
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
}

fn zoo(each: &mut Each<'_>) -> Outcome {
    for name in models::zoo::names() {
        let network = common::network(models::zoo::by_name(name)?, 5);
        let shape: Vec<usize> = [3].into_iter().chain(network.input_shape()).collect();
        each(&format!("zoo.{name}"), &network, &[noise(&shape, 2)?])?;
    }
    Ok(())
}
