//! Checkpoints and ONNX exports of PyTorch: tensors, and predictions of the networks, from each of their files and from ours.

use std::path::Path;

use candle_core::{Device, Tensor};
use models::{Mode, Network};
use nn_theory::{BatchNormalization, Layer, ModelSpec, NamedLayer};
use persistence::Dtype;
use persistence::pytorch::{Checkpoint, weights_for};
use persistence::{Limits, Model, Source, StoredTensor};
use serde_json::Value;

use super::{Outcome, failed, json, stem};

/// Predictions, relative to the largest value.
const TOLERANCE: f64 = 1e-5;

/// Whether a file describes a case: a JSON document that names a `.pt` file.
pub(crate) fn is_case(path: &Path) -> bool {
    stem(path, ".json").is_some() && json(path).is_ok_and(|case| case["files"]["pt"].is_string())
}

pub(crate) fn check(path: &Path) -> Outcome {
    let case = json(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let beside = |key: &str| case["files"][key].as_str().map(|name| folder.join(name));
    let checkpoint = beside("pt").ok_or("no .pt file")?;
    let checkpoint =
        Checkpoint::read(&Source::open(&checkpoint, &Limits::default()).map_err(failed)?).map_err(failed)?;
    same_tensors(&checkpoint, &beside("weights").ok_or("no weights")?).map_err(|problem| format!(".pt: {problem}"))?;
    same_layout(&checkpoint, &case)?;
    let Some(io) = beside("io") else { return Ok(()) };
    let io = candle_core::safetensors::load(io, &Device::Cpu).map_err(failed)?;
    let (Some(input), Some(output)) = (io.get("input"), io.get("output")) else {
        return Err("no input or no output".to_string());
    };
    let mut exports = 0;
    for export in case["onnx_exports"]
        .as_object()
        .into_iter()
        .flat_map(|exports| exports.values())
    {
        let file = folder.join(export["file"].as_str().ok_or("an export without a file")?);
        let named = |problem: String| format!("{}: {problem}", file.display());
        let model = persistence::open(&file).map_err(failed)?;
        predicts(&model, input, output).map_err(named)?;
        through_our_files(&model, input, output).map_err(named)?;
        // The same network from the checkpoint: what the exporter folded into others stands behind them again.
        let spec = unfolded(&model, &checkpoint, &case).map_err(named)?;
        let mut restored = Model::new(path, persistence::Format::Torch);
        restored.weights = weights_for(path, &spec, &checkpoint.tensors).map_err(failed)?;
        restored.spec = Some(spec);
        predicts(&restored, input, output)
            .map_err(|problem| format!("the checkpoint as {}: {problem}", file.display()))?;
        through_our_files(&restored, input, output).map_err(named)?;
        exports += 1;
    }
    if exports == 0 && case.get("input").is_some() {
        return Err("a network without an export that says what it computes".to_string());
    }
    Ok(())
}

/// The tensors are those of the safetensors file, in which short and long floats are float32 and booleans are bytes.
fn same_tensors(checkpoint: &Checkpoint, weights: &Path) -> Outcome {
    let expected = persistence::open(weights).map_err(failed)?;
    if expected.weights.len() != checkpoint.tensors.len() {
        return Err(format!(
            "{} tensors, expected {}",
            checkpoint.tensors.len(),
            expected.weights.len()
        ));
    }
    for (name, tensor) in &checkpoint.tensors {
        let expected = expected
            .weights
            .get(name)
            .ok_or_else(|| format!("'{name}' is not expected"))?;
        if expected.shape() != tensor.shape() {
            return Err(format!(
                "'{name}' has the shape {:?}, expected {:?}",
                tensor.shape(),
                expected.shape()
            ));
        }
        let rounded = |tensor: &StoredTensor| -> Result<Vec<f64>, String> {
            let numbers = tensor.to_f64().map_err(failed)?.into_iter();
            let is_float = expected.dtype() == Dtype::F32;
            Ok(numbers
                .map(|number| if is_float { f64::from(number as f32) } else { number })
                .collect())
        };
        if rounded(tensor)? != rounded(expected)? {
            return Err(format!("'{name}' holds other numbers"));
        }
    }
    Ok(())
}

/// Names, shapes and number formats as the case lists them.
fn same_layout(checkpoint: &Checkpoint, case: &Value) -> Outcome {
    let listed = case["state_dict"]
        .as_array()
        .or(case["tensors"].as_array())
        .ok_or("no list of tensors")?;
    for tensor in listed {
        let name = tensor["name"].as_str().unwrap_or_default();
        let found = checkpoint
            .tensors
            .get(name)
            .ok_or_else(|| format!("'{name}' is missing"))?;
        let shape: Vec<usize> = tensor["shape"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|size| Some(size.as_u64()? as usize))
            .collect();
        let dtype = match tensor["dtype"].as_str().unwrap_or_default() {
            "float32" => Dtype::F32,
            "float16" => Dtype::F16,
            "bfloat16" => Dtype::BF16,
            "float64" => Dtype::F64,
            "int64" => Dtype::I64,
            "int32" => Dtype::I32,
            "int16" => Dtype::I16,
            "int8" => Dtype::I8,
            "uint8" => Dtype::U8,
            "bool" => Dtype::BOOL,
            other => return Err(format!("'{name}': unknown number format {other}")),
        };
        if found.shape() != shape || found.dtype() != dtype {
            return Err(format!("'{name}' is {found:?}, expected {dtype} {shape:?}"));
        }
    }
    Ok(())
}

fn predicts(model: &Model, input: &Tensor, output: &Tensor) -> Outcome {
    let network: Network = model.network(&Device::Cpu).map_err(failed)?;
    let found = network.forward(input, Mode::Inference).map_err(failed)?;
    if found.dims() != output.dims() {
        return Err(format!(
            "predicts the shape {:?}, expected {:?}",
            found.dims(),
            output.dims()
        ));
    }
    let flat = |tensor: &Tensor| {
        tensor
            .flatten_all()
            .and_then(|flat| flat.to_vec1::<f32>())
            .map_err(failed)
    };
    let (found, expected) = (flat(&found)?, flat(output)?);
    let largest = expected
        .iter()
        .fold(0f64, |largest, number| largest.max(f64::from(number.abs())));
    let pairs = found.iter().zip(&expected);
    let worst = pairs.fold(0f64, |worst, (a, b)| worst.max(f64::from((a - b).abs())));
    if worst <= TOLERANCE * largest {
        return Ok(());
    }
    Err(format!("predictions differ by {worst:e} of {largest}"))
}

/// Written by us and read again: the same weights to the bit, and the same predictions.
fn through_our_files(model: &Model, input: &Tensor, output: &Tensor) -> Outcome {
    let folder = tempfile::tempdir().map_err(failed)?;
    let path = folder.path().join("ours.pt");
    persistence::write(&path, model).map_err(failed)?;
    let read = persistence::open(&path).map_err(failed)?;
    for (name, tensor) in &model.weights {
        let again = read
            .weights
            .get(name)
            .ok_or_else(|| format!("our .pt: '{name}' is missing"))?;
        if again.bytes().map_err(failed)? != tensor.bytes().map_err(failed)? {
            return Err(format!("our .pt: '{name}' came back with other bits"));
        }
    }
    predicts(&read, input, output).map_err(|problem| format!("our .pt: {problem}"))?;
    let path = folder.path().join("ours.onnx");
    persistence::write(&path, model).map_err(failed)?;
    let read = persistence::open(&path).map_err(failed)?;
    predicts(&read, input, output).map_err(|problem| format!("our .onnx: {problem}"))
}

/// The network of an export with the batch normalizations that the exporter folded into the layers before them, its layers named
/// after the modules of the checkpoint.
///
/// A module that has `running_mean` normalizes what the module before it makes; its epsilon is in the text of the case.
fn unfolded(model: &Model, checkpoint: &Checkpoint, case: &Value) -> Result<ModelSpec, String> {
    let spec = model.described().map_err(failed)?;
    let mut modules: Vec<&str> = Vec::new();
    for name in checkpoint.tensors.keys() {
        let module = name.rsplit_once('.').map_or("", |(module, _)| module);
        if !modules.contains(&module) {
            modules.push(module);
        }
    }
    let normalizes = |module: &str| checkpoint.tensors.contains_key(&format!("{module}.running_mean"));
    let has_own = spec
        .nodes()
        .iter()
        .any(|node| matches!(node.layer, Layer::BatchNormalization(_)));
    let mut used = vec![false; modules.len()];
    let mut graph = ModelSpec::functional("unfolded");
    let mut made: Vec<nn_theory::Tensor> = Vec::new();
    for node in spec.nodes() {
        let inputs: Vec<nn_theory::Tensor> = node
            .inputs
            .iter()
            .zip(&node.input_tensors)
            .map(|(&input, &output)| made[input].output(output))
            .collect();
        let mut layer: NamedLayer = node.to_named_layer();
        let mut normalization = None;
        if modules.contains(&node.name.as_str()) {
            // The name belongs to the module.
            layer = layer.name(format!("{}_", node.name));
        }
        if node.parameters.value() > 0 {
            // By name, as `layer1.0.conv1` or its last part, or else the next one.
            let is_free = |place: &usize| !used[*place] && (has_own || !normalizes(modules[*place]));
            let mut places = (0..modules.len()).filter(is_free);
            let named = places.clone().find(|&place| modules[place] == node.name);
            let ends = |place: &usize| modules[*place].rsplit('.').next() == Some(node.name.as_str());
            let place = named
                .or_else(|| places.clone().find(ends))
                .or_else(|| places.next())
                .ok_or("more layers than modules")?;
            used[place] = true;
            let module = modules[place];
            layer = layer.name(module);
            if let Some(next) = modules.get(place + 1).filter(|next| normalizes(next) && !has_own) {
                layer = layer
                    .option("use_bias", checkpoint.tensors.contains_key(&format!("{module}.bias")))
                    .map_err(failed)?;
                used[place + 1] = true;
                normalization = Some(
                    BatchNormalization::new()
                        .axis(1)
                        .epsilon(epsilon(case, next)?)
                        .name(*next),
                );
            }
        }
        let mut tensor = graph.layer(layer, inputs).map_err(failed)?;
        if let Some(normalization) = normalization {
            tensor = graph.layer(normalization, tensor).map_err(failed)?;
        }
        made.push(tensor);
    }
    let outputs: Vec<_> = spec
        .outputs()
        .iter()
        .zip(spec.output_tensors())
        .map(|(&node, &output)| made[node].output(output))
        .collect();
    let inputs: Vec<_> = spec.inputs().iter().map(|&node| made[node]).collect();
    graph.build(inputs, outputs).map_err(failed)
}

/// `eps` of a module in the text that PyTorch prints of the network.
fn epsilon(case: &Value, module: &str) -> Result<f64, String> {
    let name = module.rsplit('.').next().unwrap_or(module);
    let text = case["model"].as_str().unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(&format!("({name}): BatchNorm")));
    let value = line
        .and_then(|line| line.split("eps=").nth(1))
        .and_then(|rest| rest.split(',').next());
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| format!("no eps of '{module}' in the text of the case"))
}
