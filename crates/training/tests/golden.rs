//! The losses and metrics that training has, against Keras.
//!
//! Reads `losses.json` and `metrics.json` of `$GOLDEN_DIR/layers`, by default the copies in `tests/golden`. Training has no
//! sample weights: of each case the values without them are compared. A class that training does not have fails with its
//! name.

#![allow(
    clippy::print_stdout,
    reason = "the number of cases that were walked is part of the result"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};
use models::Network;
use nn_theory::{Flatten, ModelSpec};
use serde_json::Value;
use training::{Evaluation, Loss, Samples, evaluate};

/// Relative to the largest expected value.
const TOLERANCE: f64 = 1e-5;

type Tensors = BTreeMap<String, Tensor>;
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn walk(file: &str, check: fn(&Value, &Tensors) -> Outcome) {
    let root = std::env::var_os("GOLDEN_DIR").map(PathBuf::from);
    let path = root
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"))
        .join("layers")
        .join(file);
    let document: Value = serde_json::from_slice(&std::fs::read(&path).expect("a readable file")).expect("JSON");
    let tensors: Tensors = candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu)
        .expect("tensors")
        .into_iter()
        .collect();
    let cases = document["cases"].as_array().cloned().unwrap_or_default();
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(reason) = check(case, &tensors) {
            let text = |key: &str| case[key].as_str().unwrap_or("?").to_owned();
            failures.push(format!("{} ({}): {reason}", text("name"), text("class")));
        }
    }
    println!("golden: {} cases", cases.len());
    assert!(!cases.is_empty(), "no cases in {}", path.display());
    assert!(
        failures.is_empty(),
        "{} of {} cases fail:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

fn get<'a>(tensors: &'a Tensors, key: &str) -> Outcome<&'a Tensor> {
    tensors.get(key).ok_or_else(|| format!("no tensor {key}").into())
}

fn flat(tensor: &Tensor) -> Outcome<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn near(what: &str, found: &[f64], expected: &[f64]) -> Outcome {
    if found.len() != expected.len() {
        return Err(format!("{what}: {} numbers instead of {}", found.len(), expected.len()).into());
    }
    let largest = expected
        .iter()
        .fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    for (a, b) in found.iter().zip(expected) {
        let close = (a - b).abs() <= TOLERANCE * largest;
        if !close {
            return Err(format!("{what} is {a} instead of {b}").into());
        }
    }
    Ok(())
}

/// Class labels: integers as they are, rows of a one-hot matrix by their place of 1.
fn labels(tensor: &Tensor) -> Outcome<Vec<u32>> {
    let values = flat(tensor)?;
    let whole = |value: f64| {
        let label = value as u32;
        if f64::from(label) == value {
            Ok(label)
        } else {
            Err(format!("{value} is no class label"))
        }
    };
    match *tensor.dims() {
        [_] => Ok(values.into_iter().map(whole).collect::<Result<_, _>>()?),
        [_, classes] if classes > 0 => values
            .chunks(classes)
            .map(|row| {
                let ones: Vec<usize> = (0..classes).filter(|&class| row[class] == 1.0).collect();
                match ones.as_slice() {
                    [class] if row.iter().sum::<f64>() == 1.0 => Ok(*class as u32),
                    _ => Err(format!("{row:?} is not one-hot").into()),
                }
            })
            .collect(),
        _ => Err(format!("labels of the shape {:?}", tensor.dims()).into()),
    }
}

/// The loss of this class and configuration.
fn loss_of(case: &Value) -> Outcome<Loss> {
    let config = &case["config"];
    match case["class"].as_str() {
        Some("SparseCategoricalCrossentropy") => {
            if config["from_logits"] != Value::Bool(true) {
                return Err("probabilities: networks of this crate end in logits".into());
            }
            if !config["ignore_class"].is_null() {
                return Err("ignore_class is not supported".into());
            }
            Ok(Loss::SparseCategoricalCrossentropy)
        }
        Some("MeanSquaredError") => Ok(Loss::MeanSquaredError),
        _ => Err("training has no such loss or metric".into()),
    }
}

fn loss(case: &Value, tensors: &Tensors) -> Outcome {
    let loss = loss_of(case)?;
    let name = |key: &str| case[key].as_str().ok_or_else(|| format!("no {key}"));
    let labels = labels(get(tensors, name("y_true")?)?)?;
    let count = labels.len();
    let labels = Tensor::from_vec(labels, count, &Device::Cpu)?;
    for dtype in [DType::F32, DType::F64] {
        let outputs = Var::from_tensor(&get(tensors, name("y_pred")?)?.to_dtype(dtype)?)?;
        let value = loss.mean(&outputs, &labels)?;
        near("the loss", &flat(&value)?, &[case["value"].as_f64().ok_or("no value")?])?;
        near(
            "its sum",
            &[flat(&value)?[0] * count as f64],
            &[case["value_sum"].as_f64().ok_or("no sum")?],
        )?;
        let gradients = value.backward()?;
        let found = gradients.get(&outputs).ok_or("the gradient is lost")?;
        near("the gradient", &flat(found)?, &flat(get(tensors, name("grad_pred")?)?)?)?;
        let expected = flat(get(tensors, name("per_sample")?)?)?;
        for (sample, expected) in expected.into_iter().enumerate() {
            let one = loss.mean(&outputs.narrow(0, sample, 1)?, &labels.narrow(0, sample, 1)?)?;
            near(&format!("the loss of sample {sample}"), &flat(&one)?, &[expected])?;
        }
    }
    Ok(())
}

/// What training measures, through a network that passes its inputs on.
fn measured(outputs: &[f32], classes: usize, labels: &[u32]) -> Outcome<Evaluation> {
    let spec = ModelSpec::sequential("identity")
        .input([classes as u64])
        .layer(Flatten::new())
        .build()?;
    let network = Network::new(spec, 0, &Device::Cpu, DType::F32)?;
    let samples = Samples::new(outputs.to_vec(), vec![classes], labels.to_vec())?;
    Ok(evaluate(&network, &samples, Loss::default(), 5)?)
}

fn metric(case: &Value, tensors: &Tensors) -> Outcome {
    let class = case["class"].as_str().ok_or("no class")?;
    let known = [
        "Accuracy",
        "SparseCategoricalAccuracy",
        "CategoricalAccuracy",
        "MeanIoU",
        "SparseCategoricalCrossentropy",
    ];
    if !known.contains(&class) {
        return Err("training has no such loss or metric".into());
    }
    if class == "SparseCategoricalCrossentropy" {
        loss_of(case)?;
    }
    let name = |key: &str| case[key].as_str().ok_or_else(|| format!("no {key}"));
    let classes = case["config"]["num_classes"].as_u64().unwrap_or(4) as usize;
    let results = case["results"].as_array().ok_or("no results")?;
    let (mut outputs, mut targets) = (Vec::new(), Vec::new());
    for (batch, expected) in results.iter().enumerate() {
        targets.extend(labels(get(tensors, &format!("batch{batch}/{}", name("y_true")?))?)?);
        let predicted = get(tensors, &format!("batch{batch}/{}", name("y_pred")?))?;
        if predicted.rank() == 1 {
            // Predicted classes instead of one output a class.
            for class in labels(predicted)? {
                outputs.extend((0..classes).map(|i| f32::from(u8::from(i == class as usize))));
            }
        } else {
            outputs.extend(predicted.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?);
        }
        let evaluation = measured(&outputs, outputs.len() / targets.len(), &targets)?;
        let found = match class {
            "SparseCategoricalCrossentropy" => evaluation.loss,
            "MeanIoU" => mean_intersection_over_union(&evaluation.confusion),
            _ => evaluation.accuracy,
        };
        let expected = expected.as_f64().ok_or("no result")?;
        near(&format!("the result after batch {batch}"), &[found], &[expected])?;
        if let (Some(key), true) = (
            case["state_after_last_batch"]["total_confusion_matrix"].as_str(),
            batch + 1 == results.len(),
        ) {
            let found: Vec<f64> = evaluation
                .confusion
                .iter()
                .flatten()
                .map(|&count| count as f64)
                .collect();
            near("the confusion matrix", &found, &flat(get(tensors, key)?)?)?;
        }
    }
    Ok(())
}

fn mean_intersection_over_union(confusion: &[Vec<u64>]) -> f64 {
    let shares: Vec<f64> = (0..confusion.len())
        .filter_map(|class| {
            let row: u64 = confusion[class].iter().sum();
            let column: u64 = confusion.iter().map(|row| row[class]).sum();
            let union = row + column - confusion[class][class];
            (union > 0).then(|| confusion[class][class] as f64 / union as f64)
        })
        .collect();
    shares.iter().sum::<f64>() / shares.len() as f64
}

#[test]
fn losses_follow_keras() {
    walk("losses.json", loss);
}

#[test]
fn metrics_follow_keras() {
    walk("metrics.json", metric);
}
