//! The losses and metrics that training has, against Keras.
//!
//! Reads `losses.json` and `metrics.json` of `$GOLDEN_DIR/layers`, by default the copies in `tests/golden`. A class that training does not have
//! fails with its name.

#![allow(
    clippy::print_stdout,
    reason = "the number of cases that were walked is part of the result"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};
use serde_json::Value;
use training::{Loss, Reduction, metrics};

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

/// The loss that Keras wrote.
fn loss_of(case: &Value, tensors: &Tensors) -> Outcome<Loss> {
    let mut written = serde_json::json!({"class_name": case["class"], "config": case["config"]});
    if case["class"] == "Huber" && case["config"]["delta"].is_null() {
        // Keras leaves `delta` out of its configuration. It is the slope far away, so the largest gradient is delta / N.
        let gradient = flat(get(tensors, text(case, "grad_pred")?)?)?;
        let largest = gradient.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        written["config"]["delta"] = (largest * gradient.len() as f64).into();
    }
    Ok(Loss::from_config(&written)?)
}

fn text<'a>(case: &'a Value, key: &str) -> Outcome<&'a str> {
    case[key].as_str().ok_or_else(|| format!("no {key}").into())
}

/// One number of a case, or a tensor where the case names one.
fn expected(case: &Value, tensors: &Tensors, key: &str) -> Outcome<Vec<f64>> {
    match &case[key] {
        Value::String(name) => flat(get(tensors, name)?),
        value => Ok(vec![value.as_f64().ok_or_else(|| format!("no {key}"))?]),
    }
}

fn loss(case: &Value, tensors: &Tensors) -> Outcome {
    let loss = loss_of(case, tensors)?;
    let targets = get(tensors, text(case, "y_true")?)?;
    let predictions = get(tensors, text(case, "y_pred")?)?;
    let weights = case["sample_weight"]
        .as_str()
        .map(|name| get(tensors, name))
        .transpose()?;
    // f32's epsilon next to 1 is 1.19e-7 instead of 1e-7, so what is clipped there has other values in f64.
    let clipped = flat(predictions)?.iter().any(|&value| value == 0.0 || value == 1.0);
    let types = [DType::F32, DType::F64];
    for dtype in &types[..if clipped { 1 } else { 2 }] {
        let outputs = Var::from_tensor(&predictions.to_dtype(*dtype)?)?;
        let want = |key: &str| expected(case, tensors, key);
        let check = |reduction: Reduction, weights: Option<&Tensor>, value: &str, gradient: Option<&str>| -> Outcome {
            let found = loss.reduction(reduction).value(&outputs, targets, weights)?;
            near(value, &flat(&found)?, &want(value)?)?;
            let Some(key) = gradient else { return Ok(()) };
            let gradients = found.backward()?;
            let found = gradients.get(&outputs).ok_or("the gradient is lost")?;
            near(key, &flat(found)?, &want(key)?)
        };
        check(loss.reduction, None, "value", Some("grad_pred"))?;
        check(Reduction::Sum, None, "value_sum", None)?;
        check(Reduction::Mean, None, "value_mean", None)?;
        check(Reduction::None, None, "per_sample", None)?;
        near(
            "per_sample",
            &flat(&loss.per_sample(&outputs, targets)?)?,
            &want("per_sample")?,
        )?;
        if weights.is_some() {
            check(loss.reduction, weights, "weighted_value", Some("weighted_grad_pred"))?;
            check(Reduction::MeanWithSampleWeight, weights, "weighted_value_mean", None)?;
        }
    }
    Ok(())
}

fn metric(case: &Value, tensors: &Tensors) -> Outcome {
    let written = serde_json::json!({"class_name": case["class"], "config": case["config"]});
    let mut metric = metrics::from_config(&written)?;
    let config = metric.config();
    if let (Some(kept), Some(wanted)) = (config["config"].as_object(), case["config"].as_object()) {
        let lost = wanted.iter().find(|(key, value)| !same(kept.get(*key), value));
        if let Some((key, value)) = lost {
            return Err(format!("its {key} is {value}, but {:?} after it was read", kept.get(key)).into());
        }
    }
    for (key, weights) in [("results", None), ("weighted_results", Some("weight"))] {
        let expected = case[key].as_array().ok_or("no results")?;
        // Half of the batches, then the state goes to another metric, which must go on in the same way.
        metric.reset();
        for (batch, expected) in expected.iter().enumerate() {
            let named = |name: &str| get(tensors, &format!("batch{batch}/{name}"));
            let outputs = named(text(case, "y_pred")?)?;
            // Mean and Sum have no targets.
            let targets = case["y_true"].as_str().map_or(Ok(outputs), named)?;
            let mut other = metrics::from_config(&config)?;
            other.load_state(metric.state())?;
            metric = other;
            metric.update(outputs, targets, weights.map(named).transpose()?)?;
            let wanted = match expected {
                Value::Array(values) => values.iter().filter_map(Value::as_f64).collect(),
                value => vec![value.as_f64().ok_or("no result")?],
            };
            near(&format!("{key} after batch {batch}"), &metric.values(), &wanted)?;
            if wanted.len() == 1 {
                near("the result", &[metric.result()], &wanted)?;
            }
        }
        if key == "results" {
            let states = case["state_after_last_batch"].as_object().ok_or("no state")?;
            for (name, tensor) in states {
                let wanted = get(tensors, tensor.as_str().ok_or("no tensor")?)?;
                let found = metric.state().iter().find(|variable| variable.name == *name);
                let found = found.ok_or_else(|| format!("no variable {name}"))?;
                near(name, &found.values, &flat(wanted)?)?;
                if found.shape != wanted.dims() {
                    return Err(
                        format!("{name} has the shape {:?} instead of {:?}", found.shape, wanted.dims()).into(),
                    );
                }
            }
        }
    }
    Ok(())
}

/// Whether an option was kept; numbers may be written as 1 or 1.0.
fn same(kept: Option<&Value>, wanted: &Value) -> bool {
    kept.is_some_and(|kept| kept == wanted || (kept.is_number() && kept.as_f64() == wanted.as_f64()))
}

#[test]
fn losses_follow_keras() {
    walk("losses.json", loss);
}

#[test]
fn metrics_follow_keras() {
    walk("metrics.json", metric);
}
