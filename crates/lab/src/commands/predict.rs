//! `lab predict`: a network's outputs for inputs of a file.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use augmentation::{Image, Pipeline, Resizing, Transform};
use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Mode, Network};
use persistence::{Format, Model, StoredTensor};
use report::format::count;
use serde_json::{Value, json};

use super::train::saved_image_size;
use super::{convert, files, model};
use crate::cli::{DEFAULT_SEED, ImageSize, PredictArgs};
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
    let (network, trained_with) = match &args.config {
        Some(_) => {
            let opened = convert::open(args.model.as_ref(), args.config.as_deref())?;
            (opened.network(&device)?, saved_image_size(&opened.metadata))
        }
        None => {
            let found = model::find(&args.model)?;
            let trained_with = found.image_size();
            (found.into_network(args.seed, &device)?, trained_with)
        }
    };
    let mut inputs = inputs(&args.inputs, &network)?;
    if let Some(size) = args.image_size.or(trained_with) {
        for input in &mut inputs {
            match input.dims().len() {
                4 => *input = resized(input, size)?,
                _ if args.image_size.is_none() => {}
                _ => bail!(
                    "--image-size {size}: {} holds inputs of the shape {:?}, which are no images (batch, height, width, channels); \
                     leave the option out",
                    args.inputs.display(),
                    input.dims()
                ),
            }
        }
    }
    let inputs = inputs.iter().map(|input| input.to_device(&device));
    let inputs = inputs.collect::<candle_core::Result<Vec<_>>>()?;
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
fn inputs(path: &Path, network: &Network) -> Result<Vec<Tensor>> {
    files::check_inputs(path)?;
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
        inputs.push(tensor.to_tensor(&Device::Cpu)?.to_dtype(network.dtype())?);
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

/// Images (batch, height, width, channels) in another size.
fn resized(images: &Tensor, size: ImageSize) -> Result<Tensor> {
    let (count, height, width, channels) = images.dims4()?;
    if (height, width) == (size.height, size.width) {
        return Ok(images.clone());
    }
    let resizing = Resizing {
        height: size.height,
        width: size.width,
        ..Resizing::default()
    };
    let pipeline = Pipeline::new(vec![Transform::from(resizing).into()])?;
    let values = images.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let mut all = Vec::new();
    for (index, pixels) in values.chunks((height * width * channels).max(1)).enumerate() {
        let mut image = Image::new(height, width, channels, pixels.to_vec())?;
        // Nothing is drawn: any stream will do.
        pipeline
            .apply(&mut image, Stream::new(DEFAULT_SEED))
            .with_context(|| format!("--image-size {size}: image {index} of the inputs"))?;
        all.extend_from_slice(&image.data);
    }
    let shape = (count, size.height, size.width, channels);
    Ok(Tensor::from_vec(all, shape, &Device::Cpu)?.to_dtype(images.dtype())?)
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
