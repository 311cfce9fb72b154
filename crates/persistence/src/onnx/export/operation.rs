//! Operations of `keras.ops` in a functional graph.

use nn_theory::{Activation, Operation};
use serde_json::Value as Json;

use super::Call;
use super::graph::{Attributes, Graph};
use crate::fault::{Fault, Result};

/// The arguments of a call: names of tensors, and what stands between the brackets of `x[...]`.
struct Arguments {
    tensors: Vec<String>,
    index: Option<Json>,
}

impl Graph<'_> {
    fn arguments(&mut self, call: &Call<'_>, operation: &Operation) -> Result<Arguments> {
        let mut found = Arguments {
            tensors: Vec::new(),
            index: None,
        };
        let Some(arguments) = call.node.call_arguments() else {
            found.tensors = call.inputs.iter().map(|input| input.name.clone()).collect();
            return Ok(found);
        };
        let positional = arguments
            .get("args")
            .and_then(Json::as_array)
            .cloned()
            .unwrap_or_default();
        let named = arguments
            .get("kwargs")
            .and_then(Json::as_object)
            .cloned()
            .unwrap_or_default();
        let mut inputs = call.inputs.iter().map(|input| input.name.clone());
        let all = positional.into_iter().chain(
            named
                .into_iter()
                .map(|(_, value)| value)
                .filter(|value| !value.is_null()),
        );
        for (place, argument) in all.enumerate() {
            let class = argument["class_name"].as_str().map(str::to_string);
            match (class.as_deref(), &argument) {
                (Some("__keras_tensor__"), _) => found.tensors.extend(inputs.next()),
                (Some("__tensor__" | "__numpy__"), _) => {
                    let constant = self.stated(call, &argument["config"]["value"])?;
                    found.tensors.push(constant);
                }
                _ if operation.class == "GetItem" && place == 1 => found.index = Some(argument),
                (None, Json::Array(items)) if items.iter().all(|item| item["class_name"] == "__keras_tensor__") => {
                    found.tensors.extend(inputs.by_ref().take(items.len()));
                }
                _ => {
                    let constant = self.stated(call, &argument)?;
                    found.tensors.push(constant);
                }
            }
        }
        Ok(found)
    }

    /// A number or nested lists of numbers.
    fn stated(&mut self, call: &Call<'_>, value: &Json) -> Result<String> {
        fn collect(value: &Json, depth: usize, sizes: &mut Vec<usize>, numbers: &mut Vec<f64>) -> Option<()> {
            if let Json::Array(items) = value {
                if sizes.len() == depth {
                    sizes.push(items.len());
                }
                return items
                    .iter()
                    .try_for_each(|item| collect(item, depth + 1, sizes, numbers));
            }
            numbers.push(value.as_f64()?);
            Some(())
        }
        let (mut sizes, mut numbers) = (Vec::new(), Vec::new());
        match collect(value, 0, &mut sizes, &mut numbers) {
            Some(()) if sizes.iter().product::<usize>() == numbers.len() => Ok(self.numbers(&numbers, sizes)),
            _ => Err(Fault::new(call.place(), "an argument that is no array of numbers")),
        }
    }

    /// The axes that the configuration names; all where it names none.
    fn axes_of(call: &Call<'_>) -> Vec<i64> {
        call.integers("axis")
            .unwrap_or_else(|| (0..call.first().rank() as i64).collect())
    }

    pub(super) fn operation(&mut self, call: &Call<'_>, operation: &Operation) -> Result<String> {
        let Arguments { tensors, index } = self.arguments(call, operation)?;
        let Some(x) = tensors.first().cloned() else {
            return Err(Fault::new(call.place(), "no tensor to work on"));
        };
        let all: Vec<&str> = tensors.iter().map(String::as_str).collect();
        let rank = call.first().rank();
        let config = |key: &str| operation.config.get(key).filter(|value| !value.is_null());
        let number = |key: &str, default: f64| config(key).and_then(Json::as_f64).unwrap_or(default);
        let axis = |default: i64| config("axis").and_then(Json::as_i64).unwrap_or(default);
        Ok(match operation.class.as_str() {
            "Add" => self.folded("Add", &tensors),
            "Subtract" => self.folded("Sub", &tensors),
            "Multiply" => self.folded("Mul", &tensors),
            "Maximum" => self.op("Max", &all),
            "Minimum" => self.op("Min", &all),
            "Divide" | "TrueDivide" => self.op("Div", &all),
            "Power" => self.op("Pow", &all),
            "Matmul" => self.op("MatMul", &all),
            "Abs" | "Absolute" => self.op("Abs", &[&x]),
            "Negative" => self.op("Neg", &[&x]),
            "Exp" => self.op("Exp", &[&x]),
            "Log" => self.op("Log", &[&x]),
            "Sin" => self.op("Sin", &[&x]),
            "Cos" => self.op("Cos", &[&x]),
            "Sqrt" => self.op("Sqrt", &[&x]),
            "Rsqrt" => {
                let root = self.op("Sqrt", &[&x]);
                self.op("Reciprocal", &[&root])
            }
            "Square" => self.op("Mul", &[&x, &x]),
            "Reciprocal" => self.op("Reciprocal", &[&x]),
            "Identity" => x,
            "Clip" => self.clipped(
                &x,
                Some(number("x_min", f64::NEG_INFINITY)),
                Some(number("x_max", f64::INFINITY)),
            ),
            "Tanh" => self.activated(Activation::Tanh, &x),
            "Sigmoid" => self.activated(Activation::Sigmoid, &x),
            "Relu" => self.activated(Activation::Relu, &x),
            "Relu6" => self.activated(Activation::Relu6, &x),
            "Selu" => self.activated(Activation::Selu, &x),
            "Silu" => self.activated(Activation::Silu, &x),
            "Softplus" => self.activated(Activation::Softplus, &x),
            "Softsign" => self.activated(Activation::Softsign, &x),
            "HardSigmoid" => self.activated(Activation::HardSigmoid, &x),
            "HardSilu" => self.activated(Activation::HardSilu, &x),
            "LogSigmoid" => self.activated(Activation::LogSigmoid, &x),
            "Elu" => self.elu(&x, number("alpha", 1.0)),
            "LeakyRelu" => self.leaky(&x, number("negative_slope", 0.2)),
            "Gelu" if config("approximate").and_then(Json::as_bool) != Some(false) => self.gelu_tanh(&x),
            "Gelu" => self.gelu(&x),
            class @ ("Softmax" | "LogSoftmax") => self.op_with(class, &[&x], Attributes::new().int("axis", axis(-1))),
            class @ ("Mean" | "Sum" | "Max" | "Min") => {
                let keep = config("keepdims").and_then(Json::as_bool).unwrap_or(false);
                self.reduced(&format!("Reduce{class}"), &x, &Self::axes_of(call), keep)
            }
            "Concatenate" => self.op_with("Concat", &all, Attributes::new().int("axis", axis(-1))),
            "Reshape" => {
                let sizes = config("newshape").and_then(Json::as_array).cloned().unwrap_or_default();
                let sizes: Vec<i64> = sizes.iter().map(|size| size.as_i64().unwrap_or(-1)).collect();
                self.reshaped(&x, &sizes)
            }
            "Transpose" => {
                let axes: Vec<usize> = match call.integers("axes") {
                    Some(axes) => axes.iter().map(|&axis| call.axis(axis)).collect::<Result<_>>()?,
                    None => (0..rank).rev().collect(),
                };
                self.transposed(&x, &axes)
            }
            "ExpandDims" => self.unsqueezed(&x, &[axis(0)]),
            "Squeeze" => {
                let axes: Vec<i64> = match call.integers("axis") {
                    Some(axes) => axes,
                    None => (0..rank as i64)
                        .filter(|&axis| call.first().shape[axis as usize] == Some(1))
                        .collect(),
                };
                self.squeezed(&x, &axes)
            }
            "GetItem" => self.item(call, &x, index.as_ref())?,
            other => {
                return Err(Fault::new(
                    call.place(),
                    format!("the operation {other} has no counterpart that is written"),
                ));
            }
        })
    }

    /// `x[index]` with integers, slices of step 1, `None` and an ellipsis.
    fn item(&mut self, call: &Call<'_>, x: &str, index: Option<&Json>) -> Result<String> {
        let entries = match index {
            Some(Json::Array(entries)) => entries.clone(),
            Some(entry) => vec![entry.clone()],
            None => Vec::new(),
        };
        let is_ellipsis = |entry: &Json| entry["class_name"] == "__ellipsis__";
        let named = entries
            .iter()
            .filter(|entry| !entry.is_null() && !is_ellipsis(entry))
            .count();
        let (mut y, mut axis) = (x.to_string(), 0i64);
        for entry in &entries {
            if is_ellipsis(entry) {
                axis += call.first().rank().saturating_sub(named) as i64;
            } else if entry.is_null() {
                y = self.unsqueezed(&y, &[axis]);
                axis += 1;
            } else if let Some(place) = entry.as_i64() {
                let end = if place == -1 { i64::MAX } else { place + 1 };
                y = self.sliced(&y, axis, place, end);
                y = self.squeezed(&y, &[axis]);
            } else if entry["class_name"] == "__slice__" {
                let bound = |key: &str, default: i64| entry["config"][key].as_i64().unwrap_or(default);
                y = self.sliced(&y, axis, bound("start", 0), bound("stop", i64::MAX));
                axis += 1;
            } else {
                return Err(Fault::new(
                    call.place(),
                    format!("x[...] with {entry} has no counterpart that is written"),
                ));
            }
        }
        Ok(y)
    }
}
