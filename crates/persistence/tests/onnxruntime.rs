//! Networks as ONNX models in onnxruntime: every layer that `models` runs, and the networks of the zoo.
//!
//! Needs a Python with onnx, onnxruntime and safetensors: `CANDLE_LAB_PYTHON=path/to/python`. Without it the test says so and passes.

#![allow(
    clippy::print_stdout,
    reason = "what was skipped, and how much was compared, is part of the result"
)]

mod common;
mod onnx_cases;

use std::path::Path;
use std::process::Command;

use candle_core::Tensor;
use models::{Mode, Network};
use onnx_cases::{Outcome, each_network};
use persistence::{Contents, Metadata, Model};

/// Relative to the largest value of an output.
const TOLERANCE: &str = "1e-5";

/// Writes the model, its inputs and what the network makes of them.
fn put(folder: &Path, name: &str, network: &Network, inputs: &[Tensor]) -> Outcome {
    let metadata = Metadata::default();
    let model = Model::of(&Contents {
        network,
        optimizer: None,
        metadata: &metadata,
    })?;
    let outputs = network.forward_all(inputs, Mode::Inference)?;
    persistence::write(&folder.join(format!("{name}.onnx")), &model)?;
    for (what, tensors) in [("inputs", inputs), ("outputs", &outputs)] {
        let mut named = Vec::with_capacity(tensors.len());
        for (index, tensor) in tensors.iter().enumerate() {
            named.push((index.to_string(), tensor.contiguous()?));
        }
        safetensors::serialize_to_file(named, None, &folder.join(format!("{name}.{what}.safetensors")))?;
    }
    Ok(())
}

#[test]
fn onnxruntime_computes_what_we_compute() {
    let Some(python) = common::python(&["onnx", "onnxruntime", "safetensors"]) else {
        println!("skipped: no Python with onnx, onnxruntime and safetensors (CANDLE_LAB_PYTHON)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    each_network(&mut |name, network, inputs| put(folder.path(), name, network, inputs)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/run_onnx.py");
    let output = Command::new(python)
        .arg(script)
        .arg(folder.path())
        .arg(TOLERANCE)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let problems: Vec<&str> = text.lines().filter(|line| !line.starts_with("models: ")).collect();
    assert!(
        output.status.success() && problems.is_empty(),
        "{} models:\n{}\n{}",
        problems.len(),
        problems.join("\n"),
        String::from_utf8_lossy(&output.stderr)
    );
    println!("onnxruntime: {}", text.trim());
}
