//! Traces of Keras' (and PyTorch's) optimizers and schedules, followed step by step.
//!
//! Reads `$GOLDEN_DIR/{optimizers,schedules}`, by default the copies in `tests/golden`. Whatever follows the formats is
//! walked; what the crate does not support fails with its reason.

#![allow(
    clippy::print_stdout,
    reason = "the number of cases that were walked is part of the result"
)]

use std::path::{Path, PathBuf};

use candle_core::{Device, IndexOp, Tensor, Var, safetensors};
use optimizers::{Optimizer, Parameter, schedules::Schedule};
use serde_json::Value;

const TOLERANCE: f64 = 5e-6;

type Outcome = Result<(), String>;

fn folder(area: &str) -> PathBuf {
    let root = std::env::var_os("GOLDEN_DIR").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"))
        .join(area)
}

/// All cases (JSON files but for the indices) below a folder, sorted.
fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ext| ext == "json")
                && path.file_name() != Some("index.json".as_ref())
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn walk(area: &str, check: fn(&Path, &Value) -> Outcome) {
    let folder = folder(area);
    let cases = cases(&folder);
    let mut failures = Vec::new();
    for path in &cases {
        let text = std::fs::read_to_string(path).expect("a readable case");
        let outcome = serde_json::from_str(&text)
            .map_err(|error| error.to_string())
            .and_then(|case| check(path, &case));
        if let Err(reason) = outcome {
            failures.push(format!(
                "{}: {reason}",
                path.strip_prefix(&folder).unwrap_or(path).display()
            ));
        }
    }
    println!("golden: {} cases", cases.len());
    assert!(!cases.is_empty(), "no cases in {}", folder.display());
    assert!(
        failures.is_empty(),
        "{} of {} cases fail:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(|number| number.as_f64().unwrap_or(f64::NAN))
        .collect()
}

/// The largest difference, relative to the largest expected value.
fn deviation(found: &[f64], expected: &[f64]) -> f64 {
    let largest = expected
        .iter()
        .fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let pairs = found.iter().zip(expected);
    pairs
        .map(|(a, b)| if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() })
        .fold(0.0, f64::max)
        / largest
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(candle_core::DType::F64).expect("f64");
    tensor.flatten_all().expect("flat").to_vec1().expect("values")
}

fn schedule(_: &Path, case: &Value) -> Outcome {
    let class = case["class"].as_str().ok_or("no class")?;
    let schedule = Schedule::from_config(class, &case["config"]).map_err(|error| error.to_string())?;
    let again = Schedule::from_json(&schedule.to_json()).map_err(|error| error.to_string())?;
    if again != schedule {
        return Err("changed by writing and reading".to_owned());
    }
    let expected = numbers(&case["values"]);
    let steps = case["steps"].as_array().ok_or("no steps")?;
    let found: Vec<f64> = steps
        .iter()
        .map(|step| schedule.value(step.as_u64().unwrap_or(0)))
        .collect();
    if found.len() != expected.len() {
        return Err(format!("{} steps, but {} values", found.len(), expected.len()));
    }
    let deviation = deviation(&found, &expected);
    if deviation > TOLERANCE {
        Err(format!("deviates by {deviation:.1e}"))
    } else {
        Ok(())
    }
}

fn optimizer(path: &Path, case: &Value) -> Outcome {
    if let Some(framework) = case["framework"].as_str().filter(|framework| *framework != "keras") {
        return Err(format!(
            "not supported: {} with the conventions of {framework}",
            case["class"]
        ));
    }
    let class = case["class"].as_str().ok_or("no class")?;
    let mut config = case["config"].clone();
    if case["exclude_from_weight_decay"]
        .as_array()
        .is_some_and(|list| !list.is_empty())
    {
        config["exclude_from_weight_decay"] = case["exclude_from_weight_decay"].clone();
    }
    let mut optimizer = Optimizer::from_config(class, &config).map_err(|error| error.to_string())?;
    let written = optimizer.config();
    for (key, value) in config.as_object().ok_or("no configuration")? {
        // A schedule's module and label are constants; numbers must be the same number.
        if value.is_number() && value.as_f64() != written[key].as_f64() || value.is_boolean() && *value != written[key]
        {
            return Err(format!("{key} is written as {}, but was {value}", written[key]));
        }
    }
    follow(&mut optimizer, &path.with_extension("safetensors"), case).map_err(|error| error.to_string())?
}

fn follow(optimizer: &mut Optimizer, file: &Path, case: &Value) -> Result<Outcome, Box<dyn std::error::Error>> {
    let tensors = safetensors::load(file, &Device::Cpu)?;
    let get = |key: &str| tensors.get(key).ok_or_else(|| format!("no tensor {key}"));
    let variables = case["variables"].as_array().ok_or("no variables")?;
    let mut vars = Vec::new();
    for (index, variable) in variables.iter().enumerate() {
        let name = variable["name"].as_str().ok_or("no name")?;
        vars.push((name, Var::from_tensor(get(&format!("var{index}/initial"))?)?));
    }
    let rates = numbers(&case["learning_rate_after_step"]);
    let iterations = numbers(&case["iterations_after_step"]);
    let steps = case["steps"].as_u64().ok_or("no steps")? as usize;
    let mut worst: (f64, String) = (0.0, String::new());
    for step in 0..steps {
        let gradients = (0..vars.len())
            .map(|index| Ok(get(&format!("var{index}/grads"))?.i(step)?))
            .collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
        let parameters: Vec<Parameter<'_>> = vars
            .iter()
            .zip(&gradients)
            .map(|((path, var), gradient)| Parameter { path, var, gradient })
            .collect();
        optimizer.apply(&parameters)?;
        for (index, (name, var)) in vars.iter().enumerate() {
            let expected = get(&format!("var{index}/params"))?;
            // Relative to the largest value of the whole trace of this variable.
            let largest = flat(expected)
                .into_iter()
                .fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
            let (found, expected) = (flat(var), flat(&expected.i(step)?));
            let difference =
                deviation(&found, &expected) * expected.iter().fold(0.0, |most: f64, v| most.max(v.abs())) / largest;
            if difference > worst.0 {
                worst = (difference, format!("{name} after step {}", step + 1));
            }
        }
        if iterations
            .get(step)
            .is_some_and(|expected| *expected != optimizer.iterations() as f64)
        {
            return Ok(Err(format!(
                "iterations after step {} is {}",
                step + 1,
                optimizer.iterations()
            )));
        }
        if rates
            .get(step)
            .is_some_and(|expected| (optimizer.learning_rate() - expected).abs() > TOLERANCE * expected.abs())
        {
            return Ok(Err(format!(
                "learning rate after step {} is {}",
                step + 1,
                optimizer.learning_rate()
            )));
        }
    }
    if tensors.contains_key("var0/finalized") {
        let named: Vec<(&str, &Var)> = vars.iter().map(|(name, var)| (*name, var)).collect();
        optimizer.finalize_variable_values(&named)?;
        for (index, (name, var)) in vars.iter().enumerate() {
            let difference = deviation(&flat(var), &flat(get(&format!("var{index}/finalized"))?));
            if difference > worst.0 {
                worst = (difference, format!("{name} finalized"));
            }
        }
    }
    if std::env::var_os("GOLDEN_VERBOSE").is_some() {
        println!("{:.1e} {}", worst.0, file.display());
    }
    Ok(if worst.0 > TOLERANCE {
        Err(format!("{} deviates by {:.1e}", worst.1, worst.0))
    } else {
        Ok(())
    })
}

#[test]
fn schedules_follow_keras() {
    walk("schedules", schedule);
}

#[test]
fn optimizers_follow_keras() {
    walk("optimizers", optimizer);
}
