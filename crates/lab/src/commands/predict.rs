//! `lab predict`: a network's outputs for inputs of a file.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use models::{Mode, Network};
use persistence::{Format, Model, StoredTensor};
use report::format::count;
use serde_json::{Value, json};

use super::{convert, files, model};
use crate::cli::PredictArgs;
use crate::context;
use crate::progress::Progress;

pub(crate) fn run(args: &PredictArgs) -> Result<()> {
    if Format::from_name(&args.outputs) != Some(Format::Safetensors) {
        bail!(
            "--outputs {}: outputs are written as safetensors; give a name that ends in .safetensors",
            args.outputs.display()
        );
    }
    files::check_writable("--outputs", &args.outputs)?;
    let device = context::device(&args.device)?;
    let network = match &args.config {
        Some(_) => convert::open(args.model.as_ref(), args.config.as_deref())?.network(&device)?,
        None => model::find(&args.model)?.into_network(args.seed, &device)?,
    };
    let inputs = inputs(&args.inputs, &network, &device)?;
    let outputs = predict(&network, &inputs, args.batch_size)?;
    let mut written = Model::new(&args.outputs, Format::Safetensors);
    for (number, output) in outputs.iter().enumerate() {
        let name = match outputs.len() {
            1 => "output".to_string(),
            _ => format!("output_{number}"),
        };
        written.weights.insert(name, StoredTensor::of(output)?);
    }
    persistence::write(&args.outputs, &written)?;
    let samples = inputs
        .first()
        .map_or(0, |input| input.dims().first().copied().unwrap_or(0));
    let mut out = std::io::stdout().lock();
    if args.json {
        let shapes = written
            .weights
            .iter()
            .map(|(name, tensor)| (name.clone(), json!(tensor.shape())));
        let record = json!({
            "model": network.name(), "samples": samples, "outputs": shapes.collect::<serde_json::Map<String, Value>>(),
            "file": args.outputs,
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
    } else {
        let shapes = written
            .weights
            .iter()
            .map(|(name, tensor)| format!("{name} {:?}", tensor.shape()));
        let shapes: Vec<String> = shapes.collect();
        writeln!(
            out,
            "{}: outputs of {} samples in {}: {}",
            network.name(),
            count(samples),
            args.outputs.display(),
            shapes.join(", ")
        )?;
    }
    Ok(())
}

/// The inputs in the order of the network: by the names of its input layers, or the only one.
fn inputs(path: &Path, network: &Network, device: &Device) -> Result<Vec<Tensor>> {
    let file = persistence::open(path)?;
    let spec = network.spec();
    let names: Vec<&str> = spec
        .inputs()
        .iter()
        .map(|&input| spec.nodes()[input].name.as_str())
        .collect();
    let found: Vec<&String> = file.weights.keys().collect();
    let mut inputs = Vec::with_capacity(names.len());
    for name in &names {
        let only = (names.len() == 1).then(|| match &found[..] {
            [only] => file.weights.get(*only),
            _ => file.weights.get("input"),
        });
        let tensor = file.weights.get(*name).or_else(|| only.flatten());
        let Some(tensor) = tensor else {
            bail!(
                "{}: there is no tensor '{name}'; the network has the inputs {}, the file has {}; name the tensors like the inputs",
                path.display(),
                names.join(", "),
                found.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
            );
        };
        // Indices are read as numbers of the network's format, as every input is.
        let tensor = tensor.to_tensor(&Device::Cpu)?.to_dtype(network.dtype())?;
        inputs.push(tensor.to_device(device)?);
    }
    let counts: Vec<usize> = inputs
        .iter()
        .map(|input| input.dims().first().copied().unwrap_or(0))
        .collect();
    if let Some(other) = counts.iter().find(|&&count| count != counts[0] || count == 0) {
        bail!(
            "{}: the inputs have {} and {other} samples; give every input as many, and at least one",
            path.display(),
            counts[0]
        );
    }
    Ok(inputs)
}

/// The outputs of all samples, computed in batches.
fn predict(network: &Network, inputs: &[Tensor], batch: usize) -> Result<Vec<Tensor>> {
    let samples = inputs
        .first()
        .map_or(0, |input| input.dims().first().copied().unwrap_or(0));
    let mut parts: Vec<Vec<Tensor>> = Vec::new();
    let bar = Progress::new().bar("samples", samples as u64);
    for start in (0..samples).step_by(batch) {
        let length = batch.min(samples - start);
        let part = inputs.iter().map(|input| input.narrow(0, start, length));
        let part = part.collect::<candle_core::Result<Vec<_>>>()?;
        for (index, output) in network.forward_all(&part, Mode::Inference)?.into_iter().enumerate() {
            match parts.get_mut(index) {
                Some(list) => list.push(output),
                None => parts.push(vec![output]),
            }
        }
        bar.inc(length as u64);
    }
    bar.finish_and_clear();
    Ok(parts
        .into_iter()
        .map(|list| Tensor::cat(&list, 0))
        .collect::<candle_core::Result<_>>()?)
}
