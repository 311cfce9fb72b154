//! The variables of a Keras optimizer, which its files know only by their numbers.
//!
//! Keras' order is: the count of steps, the learning rate (unless a schedule gives it), the moving averages of the weights, the
//! accumulated gradients, and then what the algorithm makes: for most of them all tensors of the first weight, then all of the second.

use candle_core::{DType, Device, Tensor, Var};
use indexmap::IndexMap;
use optimizers::Optimizer;
use safetensors::Dtype;
use serde_json::Value;

use crate::{OptimizerState, Result, StoredTensor};

/// What a variable of Keras is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// The number of steps.
    Iteration,
    /// The learning rate, which is part of the configuration here.
    LearningRate,
    /// A number of the algorithm, by name.
    Scalar(String),
    /// What is kept for a weight, as `WEIGHT/SLOT`.
    Slot(String),
    /// Keras makes it and never uses it: zeros of this shape.
    Unused(Vec<usize>),
}

const ITERATIONS: &str = "iterations";

/// The variables of an optimizer for these trained weights (path and shape), in Keras' order.
pub(super) fn variables(class: &str, config: &Value, trained: &[(String, Vec<usize>)]) -> Result<Vec<Variable>> {
    let mut optimizer = Optimizer::from_config(class, config)?;
    // Names of slots depend on the rank of a weight, not on its size.
    let small: Vec<(&str, Var)> = trained
        .iter()
        .map(|(path, shape)| {
            Ok((
                path.as_str(),
                Var::zeros(vec![1; shape.len()], DType::F32, &Device::Cpu)?,
            ))
        })
        .collect::<Result<_>>()?;
    let vars: Vec<(&str, &Var)> = small.iter().map(|(path, var)| (*path, var)).collect();
    optimizer.build_state(&vars)?;
    let mut scalars = Vec::new();
    let mut slots: IndexMap<String, Vec<String>> = trained.iter().map(|(path, _)| (path.clone(), Vec::new())).collect();
    for (name, _) in optimizer.state()? {
        match name.rsplit_once('/') {
            Some((path, slot)) => slots.entry(path.to_string()).or_default().push(slot.to_string()),
            None if name == ITERATIONS => {}
            None => scalars.push(Variable::Scalar(name)),
        }
    }
    let mut order = vec![Variable::Iteration];
    // The configurations of PyTorch's optimizers have it under another name, and no variable of Keras.
    if !config.get("learning_rate").is_some_and(Value::is_object) && config.get("lr").is_none() {
        order.push(Variable::LearningRate);
    }
    let mut all_of = |order: &mut Vec<Variable>, slot: &str| {
        for (path, names) in &mut slots {
            if let Some(at) = names.iter().position(|name| name == slot) {
                names.remove(at);
                order.push(Variable::Slot(format!("{path}/{slot}")));
            }
        }
    };
    all_of(&mut order, "average");
    all_of(&mut order, "gradient_accumulator");
    let mut behind = Vec::new();
    match class {
        "RMSprop" => ["velocity", "momentum", "average_gradient"]
            .map(|slot| all_of(&mut order, slot))
            .into_iter()
            .collect(),
        _ => all_of(&mut behind, "velocity_hat"),
    }
    for (path, shape) in trained {
        let names = slots.get(path.as_str()).cloned().unwrap_or_default();
        let each = names.iter().map(|slot| Variable::Slot(format!("{path}/{slot}")));
        match (class, shape.len()) {
            ("Adafactor", 0 | 1) => {
                order.extend([Variable::Unused(Vec::new()), Variable::Unused(Vec::new())]);
                order.extend(each);
            }
            ("Adafactor", _) => {
                order.extend(each);
                order.push(Variable::Unused(shape.clone()));
            }
            _ => order.extend(each),
        }
    }
    order.extend(behind);
    order.extend(scalars);
    Ok(order)
}

/// An optimizer's state from Keras' variables. The rate that the file has takes the place of the configured one.
pub(super) fn state(
    class: &str,
    config: &Value,
    order: &[Variable],
    values: &[StoredTensor],
) -> Result<OptimizerState> {
    let mut state = OptimizerState {
        class_name: class.to_string(),
        config: config.clone(),
        tensors: IndexMap::new(),
    };
    for (variable, value) in order.iter().zip(values) {
        let number = || -> Result<f64> { Ok(value.to_f64()?.first().copied().unwrap_or_default()) };
        match variable {
            Variable::Iteration => {
                let count = Tensor::new(number()? as i64, &Device::Cpu)?;
                state.tensors.insert(ITERATIONS.to_string(), StoredTensor::of(&count)?);
            }
            Variable::LearningRate => {
                // A rate that Keras rounded to float32 on its way is still the configured one.
                let configured = config.get("learning_rate").and_then(Value::as_f64);
                let found = number()?;
                if configured.is_none_or(|rate| rate as f32 != found as f32) && found.is_finite() {
                    state.config["learning_rate"] = found.into();
                }
            }
            Variable::Scalar(name) => {
                let tensor = StoredTensor::of(&Tensor::new(number()?, &Device::Cpu)?)?;
                state.tensors.insert(name.clone(), tensor);
            }
            Variable::Slot(name) => {
                state.tensors.insert(name.clone(), value.clone());
            }
            Variable::Unused(_) => {}
        }
    }
    Ok(state)
}

/// Keras' variables from an optimizer's state; `None` for one that the state lacks.
pub(super) fn values(state: &OptimizerState, order: &[Variable]) -> Result<Vec<(Variable, Option<StoredTensor>)>> {
    let number = |name: &str| -> Result<Option<f64>> {
        let Some(tensor) = state.tensors.get(name) else {
            return Ok(None);
        };
        Ok(tensor.to_f64()?.first().copied())
    };
    let double = |number: f64| StoredTensor::in_memory(Dtype::F64, Vec::new(), number.to_le_bytes().to_vec());
    let single = |number: f64| StoredTensor::in_memory(Dtype::F32, Vec::new(), (number as f32).to_le_bytes().to_vec());
    order
        .iter()
        .map(|variable| {
            let value = match variable {
                Variable::Iteration => {
                    let count = number(ITERATIONS)?.unwrap_or_default() as i64;
                    StoredTensor::in_memory(Dtype::I64, Vec::new(), count.to_le_bytes().to_vec())
                }
                Variable::LearningRate => single(
                    state
                        .config
                        .get("learning_rate")
                        .and_then(Value::as_f64)
                        .unwrap_or_default(),
                ),
                // Keras has float32 here, and rounds what it reads; a number that this would change is kept whole.
                Variable::Scalar(name) => number(name)?.and_then(|number| {
                    let exact = f64::from(number as f32) == number;
                    if exact { single(number) } else { double(number) }
                }),
                Variable::Slot(name) => state.tensors.get(name).cloned(),
                Variable::Unused(shape) => {
                    let bytes = shape.iter().product::<usize>() * 4;
                    StoredTensor::in_memory(Dtype::F32, shape.clone(), vec![0; bytes])
                }
            };
            Ok((variable.clone(), value))
        })
        .collect()
}
