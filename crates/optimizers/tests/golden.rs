//! Traces of Keras' (and PyTorch's) optimizers and schedules, followed step by step.
//!
//! Reads `$GOLDEN_DIR/{optimizers,schedules}`, by default the copies in `tests/golden`. Whatever follows the formats is
//! walked; what the crate does not support fails with its reason.

#![allow(
    clippy::print_stdout,
    reason = "the number of cases that were walked is part of the result"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod golden_parts;

use candle_core::{Device, IndexOp, Tensor, Var, safetensors};
use golden_parts::{fresh, lbfgs, slots};
use optimizers::{Optimizer, Parameter, schedules::Schedule};
use serde_json::Value;

const TOLERANCE: f64 = 5e-6;

type Outcome = Result<(), String>;

/// The tensors of a case.
struct Tensors(BTreeMap<String, Tensor>);

impl Tensors {
    fn get(&self, key: &str) -> Result<&Tensor, String> {
        self.0.get(key).ok_or_else(|| format!("no tensor {key}"))
    }
}

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

fn walk(folder: &Path, check: fn(&Path, &Value) -> Outcome) {
    let cases = cases(folder);
    let mut failures = Vec::new();
    for path in &cases {
        let text = std::fs::read_to_string(path).expect("a readable case");
        let outcome = serde_json::from_str(&text)
            .map_err(|error| error.to_string())
            .and_then(|case| check(path, &case));
        if let Err(reason) = outcome {
            failures.push(format!(
                "{}: {reason}",
                path.strip_prefix(folder).unwrap_or(path).display()
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

/// The largest difference, relative to the largest expected value. Below the smallest normal number of `f32` some take numbers for 0, and so
/// a difference of two such numbers is none.
fn deviation(found: &[f64], expected: &[f64]) -> f64 {
    let smallest = f64::from(f32::MIN_POSITIVE);
    let largest = expected.iter().fold(smallest, |most, value| most.max(value.abs()));
    let difference = |(found, expected): (&f64, &f64)| match (found - expected).abs() {
        difference if difference < smallest => 0.0,
        difference if difference.is_nan() => f64::INFINITY,
        difference => difference,
    };
    found.iter().zip(expected).map(difference).fold(0.0, f64::max) / largest
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

/// Keras' classes as they are, PyTorch's behind the name of their module, those of other packages by their own name.
fn class_of(case: &Value) -> Result<String, String> {
    let class = case["class"].as_str().ok_or("no class")?;
    match case["framework"].as_str() {
        Some("keras" | "reference") | None => Ok(class.to_owned()),
        Some("torch") => Ok(format!("torch.optim.{class}")),
        Some(other) => Err(format!("the framework {other} is not known")),
    }
}

fn optimizer(path: &Path, case: &Value) -> Outcome {
    let class = class_of(case)?;
    let file = path.with_extension("safetensors");
    if class == "torch.optim.LBFGS" {
        return lbfgs::follow(&file, case).map_err(|error| error.to_string())?;
    }
    let mut config = case["config"].clone();
    if case["exclude_from_weight_decay"]
        .as_array()
        .is_some_and(|list| !list.is_empty())
    {
        config["exclude_from_weight_decay"] = case["exclude_from_weight_decay"].clone();
    }
    let mut optimizer = Optimizer::from_config(&class, &config).map_err(|error| error.to_string())?;
    let written = optimizer.config();
    for (key, value) in config.as_object().ok_or("no configuration")? {
        // A schedule's module and label are constants; numbers must be the same number. What chooses between implementations of the
        // same numbers is read and not written.
        let same = |value: &Value, other: &Value| match value {
            Value::Number(value) => value.as_f64() == other.as_f64(),
            Value::Null | Value::Object(_) => true,
            Value::Bool(false) => other.is_null() || other == value,
            _ => value == other,
        };
        let other = match (value, &written[key]) {
            (Value::Array(values), Value::Array(others)) => {
                values.len() != others.len() || values.iter().zip(others).any(|(value, other)| !same(value, other))
            }
            (Value::Array(values), other) => !values.is_empty() || !other.is_null(),
            (value, other) => !same(value, other),
        };
        if other {
            return Err(format!("{key} is written as {}, but was {value}", written[key]));
        }
    }
    let again = Optimizer::from_config(optimizer.class(), &written).map_err(|error| error.to_string())?;
    if again.config() != written {
        return Err("the configuration changes by being written and read".to_owned());
    }
    follow(&mut optimizer, &file, case).map_err(|error| error.to_string())?
}

/// The worst deviation so far, and where.
#[derive(Default)]
struct Worst(f64, String);

impl Worst {
    fn note(&mut self, deviation: f64, place: impl FnOnce() -> String) {
        if deviation > self.0 {
            *self = Self(deviation, place());
        }
    }

    fn within(self, tolerance: f64, file: &Path) -> Outcome {
        if std::env::var_os("GOLDEN_VERBOSE").is_some() {
            println!("{:.1e} {} ({})", self.0, file.display(), self.1);
        }
        if self.0 > tolerance {
            Err(format!("{} deviates by {:.1e}", self.1, self.0))
        } else {
            Ok(())
        }
    }
}

/// The variables of a case, by the names that their state is kept under.
fn variables<'c>(case: &'c Value, tensors: &Tensors) -> Result<Vec<(&'c str, Var)>, Box<dyn std::error::Error>> {
    let mut vars = Vec::new();
    for (index, variable) in case["variables"].as_array().ok_or("no variables")?.iter().enumerate() {
        let name = variable["name"].as_str().ok_or("no name")?;
        vars.push((name, Var::from_tensor(tensors.get(&format!("var{index}/initial"))?)?));
    }
    Ok(vars)
}

/// The largest difference at one step, relative to the largest value of the whole trace of the variable.
fn deviation_at(trace: &Tensor, step: usize, var: &Var) -> candle_core::Result<f64> {
    let most = |values: &[f64]| {
        values
            .iter()
            .fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()))
    };
    let expected = flat(&trace.i(step)?);
    Ok(deviation(&flat(var), &expected) * most(&expected) / most(&flat(trace)))
}

fn follow(optimizer: &mut Optimizer, file: &Path, case: &Value) -> Result<Outcome, Box<dyn std::error::Error>> {
    let tensors = Tensors(safetensors::load(file, &Device::Cpu)?.into_iter().collect());
    let vars = variables(case, &tensors)?;
    let named: Vec<(&str, &Var)> = vars.iter().map(|(name, var)| (*name, var)).collect();
    let rates = numbers(&case["learning_rate_after_step"]);
    let iterations = numbers(&case["iterations_after_step"]);
    let steps = case["steps"].as_u64().ok_or("no steps")? as usize;
    let mut worst = Worst::default();
    for step in 0..steps {
        let gradients = (0..vars.len())
            .map(|index| Ok(tensors.get(&format!("var{index}/grads"))?.i(step)?))
            .collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
        let parameters: Vec<Parameter<'_>> = vars
            .iter()
            .zip(&gradients)
            .map(|((path, var), gradient)| Parameter { path, var, gradient })
            .collect();
        optimizer.apply(&parameters)?;
        for (index, (name, var)) in vars.iter().enumerate() {
            // Where the framework is known to compute something else than it means to, what it means.
            let trace = tensors
                .get(&format!("var{index}/params_intended"))
                .or_else(|_| tensors.get(&format!("var{index}/params")))?;
            worst.note(deviation_at(trace, step, var)?, || {
                format!("{name} after step {}", step + 1)
            });
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
        // Relative to the largest: near the end of a cosine, `1 + cos` of `f32` has lost its digits.
        let largest = rates.iter().fold(0.0_f64, |most, rate| most.max(rate.abs()));
        if rates
            .get(step)
            .is_some_and(|expected| (optimizer.learning_rate() - expected).abs() > TOLERANCE * largest)
        {
            return Ok(Err(format!(
                "learning rate after step {} is {}",
                step + 1,
                optimizer.learning_rate()
            )));
        }
    }
    if let Err(reason) = slots::compare(optimizer, case, &tensors, &vars, &mut worst) {
        return Ok(Err(reason));
    }
    for kind in ["finalized", "evaluated"] {
        // `evaluated`: what a schedule-free method evaluates with.
        if !tensors.0.contains_key(&format!("var0/{kind}")) {
            continue;
        }
        optimizer.finalize_variable_values(&named)?;
        for (index, (name, var)) in vars.iter().enumerate() {
            let expected = flat(tensors.get(&format!("var{index}/{kind}"))?);
            worst.note(deviation(&flat(var), &expected), || format!("{name} {kind}"));
        }
    }
    let tolerance = match optimizer.class() {
        // It rounds every product to bfloat16, whose last digit turns over with the order of a sum.
        "torch.optim.Muon" => TOLERANCE.max(0.01 * way(&tensors, vars.len())?),
        "Ftrl" => TOLERANCE.max(last_digit_of_a_power(case, &tensors)?),
        _ => TOLERANCE,
    };
    Ok(worst.within(tolerance, file))
}

/// What a last digit of `n^p` amounts to in Ftrl's `linear`, and with it in the weights, relative to the largest entry.
///
/// Ftrl subtracts two such powers that are nearly the same where gradients are small, and multiplies by the weight over the rate. Keras itself
/// does not agree with itself there: TensorFlow computes powers of eight numbers at once by a series whose last digit is another one
/// than that of the C library, which it takes for the rest of a tensor. Both are as far from the true numbers.
fn last_digit_of_a_power(case: &Value, tensors: &Tensors) -> Result<f64, Box<dyn std::error::Error>> {
    let power = -case["config"]["learning_rate_power"].as_f64().ok_or("no power")?;
    let rates = numbers(&case["learning_rate_after_step"]).into_iter();
    let rate = rates
        .chain(case["config"]["learning_rate"].as_f64())
        .fold(f64::INFINITY, f64::min);
    let most = |key: &str| -> Result<f64, String> {
        let values = flat(tensors.get(key)?).into_iter();
        Ok(values.fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs())))
    };
    let slots = case["slots_after_last_step"].as_array().into_iter().flatten();
    let keys = |name: &str| {
        let named = slots.clone().filter(|slot| {
            let full = slot["name"].as_str().unwrap_or_default();
            full.ends_with(name) && !full.contains("gradient")
        });
        named.filter_map(|slot| slot["key"].as_str()).collect::<Vec<_>>()
    };
    let mut largest: f64 = 0.0;
    for (index, (n, z)) in keys("_accumulator").into_iter().zip(keys("_linear")).enumerate() {
        let weight = most(&format!("var{index}/initial"))?;
        let digit = f64::from(f32::EPSILON) * most(n)?.powf(power);
        largest = largest.max(2.0 * digit / rate * weight / most(z)?);
    }
    Ok(largest)
}

/// The largest change of a variable over the whole trace, relative to its largest value.
fn way(tensors: &Tensors, variables: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let mut largest: f64 = 0.0;
    for index in 0..variables {
        let (initial, trace) = (
            flat(tensors.get(&format!("var{index}/initial"))?),
            flat(tensors.get(&format!("var{index}/params"))?),
        );
        let most = trace
            .iter()
            .fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
        let moves = trace
            .iter()
            .zip(initial.iter().cycle())
            .map(|(now, then)| (now - then).abs());
        largest = largest.max(moves.fold(0.0, f64::max) / most);
    }
    Ok(largest)
}

#[test]
fn schedules_follow_keras_and_pytorch() {
    walk(&folder("schedules"), schedule);
}

#[test]
fn optimizers_follow_keras_and_pytorch() {
    walk(&folder("optimizers"), optimizer);
}

/// Needs Pythons with Keras on TensorFlow and with PyTorch, one or two: `CANDLE_LAB_PYTHON=with/keras/python:with/torch/python`.
#[test]
fn what_the_installed_keras_and_pytorch_compute_is_followed() {
    for (framework, modules) in [("keras", "keras tensorflow numpy"), ("torch", "torch numpy")] {
        match fresh::cases(framework, modules) {
            Some(cases) => walk(&cases, optimizer),
            None => {
                println!("skipped: no Python with {modules}; run cargo xtask test --python, or set CANDLE_LAB_PYTHON")
            }
        }
    }
}
