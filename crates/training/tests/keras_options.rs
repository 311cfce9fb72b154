//! Options of losses and metrics that the golden cases leave out, against Keras.
//!
//! `keras_options/make_cases.py` made `keras_options/cases.json` with Keras 3.15.1 on TensorFlow 2.21.

use candle_core::{DType, Device, Tensor, Var};
use serde_json::{Value, json};
use training::{Loss, metrics};

/// Relative to the largest expected value.
const TOLERANCE: f64 = 1e-5;

fn cases(of: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("keras_options/cases.json")).unwrap();
    let cases = all[of].as_array().unwrap().clone();
    assert!(cases.len() > 20, "{} cases of {of}", cases.len());
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))],
    }
}

fn tensor(array: &Value) -> Tensor {
    let shape: Vec<usize> = numbers(&array["shape"]).into_iter().map(|axis| axis as usize).collect();
    let dtype = if array["int"] == json!(true) {
        DType::I64
    } else {
        DType::F32
    };
    Tensor::from_vec(numbers(&array["data"]), shape, &Device::Cpu)
        .unwrap()
        .to_dtype(dtype)
        .unwrap()
}

fn near(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected
        .iter()
        .fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= TOLERANCE * largest,
            "{what}: {found:?} instead of {expected:?}"
        );
    }
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

fn written(case: &Value) -> Value {
    json!({ "class_name": case["cls"], "config": case["config"] })
}

#[test]
fn metrics_follow_keras() {
    for case in cases("metrics") {
        let name = case["name"].as_str().unwrap();
        let mut metric = metrics::from_config(&written(&case)).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (batch, result) in case["batches"]
            .as_array()
            .unwrap()
            .iter()
            .zip(case["results"].as_array().unwrap())
        {
            let arrays: Vec<Tensor> = batch.as_array().unwrap().iter().map(tensor).collect();
            metric
                .update(&arrays[1], &arrays[0], arrays.get(2))
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            near(name, &metric.values(), &numbers(result));
        }
    }
}

#[test]
fn losses_follow_keras() {
    for case in cases("losses") {
        let name = case["name"].as_str().unwrap();
        let loss = Loss::from_config(&written(&case)).unwrap();
        let arrays: Vec<Tensor> = case["arrays"].as_array().unwrap().iter().map(tensor).collect();
        let outputs = Var::from_tensor(&arrays[1]).unwrap();
        let value = loss
            .value(&outputs, &arrays[0], arrays.get(2))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        near(name, &flat(&value), &numbers(&case["value"]));
        let gradients = value.sum_all().unwrap().backward().unwrap();
        near(
            &format!("gradient of {name}"),
            &flat(gradients.get(&outputs).unwrap()),
            &numbers(&case["grad"]),
        );
    }
}
