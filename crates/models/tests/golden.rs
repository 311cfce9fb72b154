//! Every layer that runs, against Keras: outputs, gradients of inputs and weights, what training changes.
//!
//! Reads `$GOLDEN_DIR/layers`, by default the copies in `tests/golden`. Whatever follows the formats is walked; what the
//! crate does not run fails with the layer's name. Losses and metrics are walked by the crate `training`.

#![allow(
    clippy::print_stdout,
    reason = "the number of cases that were walked is part of the result"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, IndexOp, Tensor, Var};
use kernels::random::Stream;
use models::{Mode, Network};
use nn_theory::ModelSpec;
use serde_json::{Value, json};

/// Relative to the largest expected value, for single layers in float32.
const TOLERANCE: f64 = 1e-5;

type Tensors = BTreeMap<String, Tensor>;
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[test]
fn layers_follow_keras() {
    let root = std::env::var_os("GOLDEN_DIR").map(PathBuf::from);
    let folder = root
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"))
        .join("layers");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .collect();
    files.sort();
    let (mut count, mut failures) = (0, Vec::new());
    for path in files {
        let document: Value = serde_json::from_slice(&std::fs::read(&path).expect("a readable file")).expect("JSON");
        let Some(cases) = document["cases"].as_array() else {
            continue;
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let tensors: Tensors = candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu)
            .expect("tensors")
            .into_iter()
            .collect();
        for case in cases {
            // Losses and metrics compare `y_true` with `y_pred`; they are no layers.
            if case.get("y_true").is_some() {
                continue;
            }
            count += 1;
            for dtype in [DType::F32, DType::F64] {
                let result = if case.get("function").is_some() {
                    function(case, &document["shared"], &tensors, dtype)
                } else {
                    layer(case, &tensors, dtype)
                };
                if let Err(error) = result {
                    let what = case["class"].as_str().or(case["function"].as_str()).unwrap_or("?");
                    let name = case["name"].as_str().unwrap_or("?");
                    // Not again the list of the layers that run, for each that does not.
                    let error = error.to_string();
                    let reason = error.split("; run the model in Keras").next().unwrap_or(&error);
                    failures.push(format!("{stem}/{name} ({what}): {reason}"));
                    break;
                }
            }
        }
    }
    println!("golden: {count} cases");
    assert!(count > 0, "no cases in {}", folder.display());
    assert!(
        failures.is_empty(),
        "{} of {count} cases fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// A model of one layer that reads inputs of these shapes (batch included); `keywords` are further arguments of its call.
fn model(
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
            "class_name": "InputLayer",
            "name": input,
            "config": {"name": input, "batch_shape": batch_shape, "dtype": "float32"},
            "inbound_nodes": [],
        }));
        references.push(json!({
            "class_name": "__keras_tensor__",
            "config": {"shape": batch_shape, "dtype": "float32", "keras_history": [input, 0, 0]},
        }));
        ends.push(json!([input, 0, 0]));
    }
    // Merging layers take a list, these two take their tensors one by one.
    let separate = matches!(class, "MultiHeadAttention" | "GroupQueryAttention") || references.len() == 1;
    let arguments = if separate { references } else { vec![json!(references)] };
    let results: Vec<Value> = (0..outputs).map(|output| json!([name, 0, output])).collect();
    layers.push(json!({
        "class_name": class,
        "name": name,
        "config": config,
        "inbound_nodes": [{"args": arguments, "kwargs": keywords.cloned().unwrap_or(json!({}))}],
    }));
    let document = json!({
        "class_name": "Functional",
        "config": {
            "name": "golden",
            "layers": layers,
            "input_layers": ends,
            "output_layers": results,
        },
    });
    Ok(ModelSpec::from_keras_json(&document.to_string())?)
}

fn layer(case: &Value, tensors: &Tensors, dtype: DType) -> Outcome {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("a name is missing");
    let class = text(&case["class"])?;
    let inputs = case["inputs"].as_array().ok_or("no inputs")?;
    let outputs = case["outputs"].as_array().ok_or("no outputs")?;
    let mut variables = Vec::new();
    for input in inputs {
        let value = get(tensors, &text(&input["tensor"])?)?;
        // Indices stay integers.
        let is_float = input["dtype"].as_str().is_none_or(|name| name.contains("float"));
        let value = if is_float {
            value.to_dtype(dtype)?
        } else {
            value.clone()
        };
        variables.push(Var::from_tensor(&value)?);
    }
    // The inputs of several calls lie in one tensor (call, batch, ...).
    let calls = case.get("moving_mean").is_some();
    let shapes: Vec<Vec<usize>> = variables
        .iter()
        .map(|input| input.dims()[usize::from(calls)..].to_vec())
        .collect();
    let spec = model(
        &class,
        &case["config"],
        &shapes,
        outputs.len().max(1),
        case.get("call_arguments"),
    )?;
    let name = case["config"]["name"].as_str().unwrap_or("layer").to_owned();
    let mut network = Network::new(spec, 0, &Device::Cpu, dtype)?;
    let weights = case["weights"].as_array().cloned().unwrap_or_default();
    for weight in &weights {
        if let Some(key) = weight["tensor"].as_str() {
            network.set_weight(&path(&name, weight)?, get(tensors, key)?)?;
        }
    }
    if network.weights().len() != weights.len() && !calls {
        return Err(format!("{} weights, but Keras has {}", network.weights().len(), weights.len()).into());
    }
    let mode = match case["training"].as_bool() {
        Some(true) => Mode::Training(Stream::new(0)),
        _ => Mode::Inference,
    };
    if calls {
        return several_calls(case, &network, &name, &variables[0], tensors, mode);
    }
    let arguments: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
    let results = network.forward_all(&arguments, mode)?;
    if results.len() != outputs.len() {
        return Err(format!("{} outputs, but Keras has {}", results.len(), outputs.len()).into());
    }
    let mut loss = Tensor::zeros((), dtype, &Device::Cpu)?;
    for (result, output) in results.iter().zip(outputs) {
        compare("output", result, get(tensors, &text(&output["tensor"])?)?)?;
        let upstream = get(tensors, &text(&output["upstream"])?)?.to_dtype(dtype)?;
        loss = (loss + (result * upstream)?.sum_all()?)?;
    }
    let gradients = loss.backward()?;
    // Where a gradient is 0 by symmetry (the bias of keys under a softmax), what is left is the rounding of its terms, which
    // are as large as those of the other weights.
    let mut terms = f64::MIN_POSITIVE;
    for key in weights.iter().filter_map(|weight| weight["grad"].as_str()) {
        let largest = flat(get(tensors, key)?)?.into_iter().map(f64::abs).fold(0.0, f64::max);
        terms = terms.max(largest);
    }
    for (variable, input) in variables.iter().zip(inputs) {
        if let Some(key) = input["grad"].as_str() {
            let found = gradients.get(variable).ok_or("the gradient of the input is lost")?;
            compare("gradient of the input", found, get(tensors, key)?)?;
        }
    }
    for weight in &weights {
        let path = path(&name, weight)?;
        let own = network.weight(&path).ok_or_else(|| format!("no weight {path}"))?;
        if weight["trainable"].as_bool() != Some(own.trainable) {
            return Err(format!("{path} is trainable: {}", own.trainable).into());
        }
        match (weight["grad"].as_str(), gradients.get(&own.var)) {
            (Some(key), Some(found)) => {
                let expected = get(tensors, key)?;
                let by_symmetry = flat(expected)?.iter().all(|value| value.abs() <= TOLERANCE * terms);
                let least = if by_symmetry { terms } else { f64::MIN_POSITIVE };
                compare_to(least, &format!("gradient of {path}"), found, expected)?;
            }
            (Some(_), None) => return Err(format!("the gradient of {path} is lost").into()),
            (None, _) => (),
        }
        let after = weight["after_call"].as_str().or(weight["tensor"].as_str());
        compare(
            &format!("{path} after the call"),
            &own.var,
            get(tensors, after.ok_or("no value")?)?,
        )?;
    }
    Ok(())
}

/// Statistics after each of several training calls.
fn several_calls(
    case: &Value,
    network: &Network,
    name: &str,
    inputs: &Tensor,
    tensors: &Tensors,
    mode: Mode,
) -> Outcome {
    for call in 0..inputs.dim(0)? {
        let output = network.forward(&inputs.i(call)?, mode)?;
        if let Some(expected) = case["outputs"][0]["tensor"].as_str().and_then(|key| tensors.get(key)) {
            let expected = if expected.dims() == output.dims() {
                expected.clone()
            } else {
                expected.i(call)?
            };
            compare(&format!("output of call {call}"), &output, &expected)?;
        }
        for statistic in ["moving_mean", "moving_variance"] {
            let expected = get(tensors, case[statistic].as_str().ok_or("no statistics")?)?.i(call)?;
            let weight = network.weight(&format!("{name}/{statistic}")).ok_or("no such weight")?;
            compare(&format!("{statistic} after call {call}"), &weight.var, &expected)?;
        }
    }
    Ok(())
}

/// An activation function: values and derivatives at random places, on the kinks, and far out.
fn function(case: &Value, shared: &Value, tensors: &Tensors, dtype: DType) -> Outcome {
    let function = case["function"].as_str().ok_or("no function")?;
    let mut config = case["arguments"].clone();
    let argument = |name: &str| case["arguments"][name].as_f64().ok_or(format!("no argument {name}"));
    // A function with arguments is a layer of its own, or a function of the kernels.
    let plain = config.as_object().is_none_or(serde_json::Map::is_empty);
    let class = match function {
        _ if plain => {
            config = json!({"activation": function});
            Some("Activation")
        }
        "relu" => Some("ReLU"),
        "leaky_relu" => Some("LeakyReLU"),
        _ => None,
    };
    config["name"] = json!("f");
    let compute = |x: &Tensor| -> Outcome<Tensor> {
        if let Some(class) = class {
            let spec = model(class, &config, &[x.dims().to_vec()], 1, None)?;
            let network = Network::new(spec, 0, &Device::Cpu, dtype)?;
            return Ok(network.forward(x, Mode::Inference)?);
        }
        match function {
            "gelu" if case["arguments"]["approximate"] == true => Ok(kernels::gelu_tanh(x)?),
            "threshold" => Ok(kernels::threshold(
                x,
                argument("threshold")?,
                argument("default_value")?,
            )?),
            other => Err(format!("{other} with {} is nothing that runs", case["arguments"]).into()),
        }
    };
    for (x, upstream, output, gradient) in [
        ("x", shared["upstream"].as_str(), "output", "grad_input"),
        ("kink_x", None, "kink_output", "kink_grad"),
        ("extreme_x", None, "extreme_output", "extreme_grad"),
    ] {
        let (Some(expected), Some(expected_gradient)) = (case[output].as_str(), case[gradient].as_str()) else {
            continue;
        };
        let key = shared[x].as_str().ok_or("no argument")?;
        let x = Var::from_tensor(&get(tensors, key)?.to_dtype(dtype)?)?;
        let y = compute(x.as_tensor())?;
        let loss = match upstream {
            // A function that halves the last axis is multiplied by the first half.
            Some(key) => {
                let upstream = get(tensors, key)?.to_dtype(dtype)?.narrow(1, 0, y.dim(1)?)?;
                (&y * upstream)?.sum_all()?
            }
            None => y.sum_all()?,
        };
        let gradients = loss.backward()?;
        let found = gradients.get(&x).ok_or("the gradient is lost")?;
        let (expected, expected_gradient) = (get(tensors, expected)?, get(tensors, expected_gradient)?);
        // What leaves float32 at e^100 does not leave float64.
        if dtype == DType::F64 && !flat(expected)?.iter().all(|value| value.is_finite()) {
            continue;
        }
        compare(output, &y, expected)?;
        // The terms of these derivatives are about 1, also where they cancel (the sum of a softmax is constant).
        compare_to(1.0, gradient, found, expected_gradient)?;
    }
    Ok(())
}

fn path(layer: &str, weight: &Value) -> Outcome<String> {
    let own = weight["path"]
        .as_str()
        .or(weight["name"].as_str())
        .ok_or("a weight without a name")?;
    Ok(format!("{layer}/{own}"))
}

fn get<'a>(tensors: &'a Tensors, key: &str) -> Outcome<&'a Tensor> {
    tensors.get(key).ok_or_else(|| format!("no tensor {key}").into())
}

fn flat(tensor: &Tensor) -> Outcome<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn compare(what: &str, found: &Tensor, expected: &Tensor) -> Outcome {
    compare_to(f64::MIN_POSITIVE, what, found, expected)
}

/// Refuses another shape, another place of what is not finite, and what is further off than the tolerance times the largest
/// expected number (or `least`).
fn compare_to(least: f64, what: &str, found: &Tensor, expected: &Tensor) -> Outcome {
    if found.dims() != expected.dims() {
        return Err(format!(
            "{what} has the shape {:?} instead of {:?}",
            found.dims(),
            expected.dims()
        )
        .into());
    }
    let (found, expected) = (flat(found)?, flat(expected)?);
    let largest = expected
        .iter()
        .filter(|value| value.is_finite())
        .fold(least, |most, value| most.max(value.abs()));
    for (index, (a, b)) in found.iter().zip(&expected).enumerate() {
        let same = a == b || (a.is_nan() && b.is_nan());
        let near = (a - b).abs() <= TOLERANCE * largest;
        if !same && !near {
            return Err(format!("{what}: number {index} is {a} instead of {b}").into());
        }
    }
    Ok(())
}
