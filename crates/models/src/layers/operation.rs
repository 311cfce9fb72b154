//! Operations of `keras.ops` in a functional graph, as `2 * x + 1` or `x[:, 0]` make them.

use candle_core::{DType, Device, Tensor};
use kernels::{Activation, Result};
use nn_theory::{Node, Operation};
use serde_json::Value as Json;

use super::{activation, merging};
use crate::Error;

/// The operations that can be run.
const KNOWN: &[&str] = &[
    "Abs",
    "Absolute",
    "Add",
    "Clip",
    "Concatenate",
    "Cos",
    "Divide",
    "Elu",
    "Exp",
    "ExpandDims",
    "Gelu",
    "GetItem",
    "HardSigmoid",
    "HardSilu",
    "Identity",
    "LeakyRelu",
    "Log",
    "LogSigmoid",
    "LogSoftmax",
    "Matmul",
    "Max",
    "Maximum",
    "Mean",
    "Min",
    "Minimum",
    "Multiply",
    "Negative",
    "Power",
    "Reciprocal",
    "Relu",
    "Relu6",
    "Reshape",
    "Rsqrt",
    "Selu",
    "Sigmoid",
    "Silu",
    "Sin",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Square",
    "Squeeze",
    "Subtract",
    "Sum",
    "Tanh",
    "Transpose",
    "TrueDivide",
];

/// What an operation is called on.
enum Operand {
    /// An input of the node.
    Input(usize),
    /// A number or an array of numbers of the description, with its shape.
    Constant(Vec<f64>, Vec<usize>),
    /// What stands between the brackets of `x[...]`.
    Index(Json),
}

/// Refuses an operation that cannot be run.
pub(crate) fn check(operation: &Operation, node: &Node) -> crate::Result<()> {
    let refused = |option: &'static str, found: String, expected: &'static str| {
        Err(Error::LayerOption {
            layer: node.name.clone(),
            option,
            found,
            expected,
        })
    };
    if !KNOWN.contains(&operation.class.as_str()) {
        return refused("the operation", operation.class.clone(), "a layer in its place");
    }
    let config = |key: &str| operation.config.get(key).filter(|value| !value.is_null());
    // These work along one axis; a list of axes would be taken for the last one.
    if matches!(
        operation.class.as_str(),
        "Softmax" | "LogSoftmax" | "Concatenate" | "ExpandDims"
    ) && let Some(axis) = config("axis").filter(|axis| !axis.is_i64())
    {
        return refused("axis", axis.to_string(), "one whole number");
    }
    if let Some(initial) = config("initial") {
        return refused("initial", initial.to_string(), "an operation without it");
    }
    match operands(operation, node) {
        Ok(_) => Ok(()),
        Err(found) => refused("an argument", found, "tensors, numbers and arrays of numbers"),
    }
}

/// The arguments of the call in their order.
fn operands(operation: &Operation, node: &Node) -> std::result::Result<Vec<Operand>, String> {
    let Some(arguments) = node.call_arguments() else {
        return Ok((0..node.inputs.len()).map(Operand::Input).collect());
    };
    let mut found = Vec::new();
    let mut inputs = 0;
    let args = arguments
        .get("args")
        .and_then(Json::as_array)
        .cloned()
        .unwrap_or_default();
    let keywords = arguments
        .get("kwargs")
        .and_then(Json::as_object)
        .cloned()
        .unwrap_or_default();
    let keywords = keywords.into_iter().filter(|(_, value)| !value.is_null());
    let keywords: Vec<(String, Json)> = keywords.collect();
    if let Some((key, value)) = keywords
        .iter()
        .find(|(key, _)| !matches!(key.as_str(), "x" | "x1" | "x2" | "xs" | "key"))
    {
        return Err(format!("{key}={value}"));
    }
    let all: Vec<Json> = args
        .into_iter()
        .chain(keywords.into_iter().map(|(_, value)| value))
        .collect();
    for (place, argument) in all.iter().enumerate() {
        match argument {
            Json::Object(object) => match object.get("class_name").and_then(Json::as_str) {
                Some("__keras_tensor__") => {
                    found.push(Operand::Input(inputs));
                    inputs += 1;
                }
                Some("__tensor__" | "__numpy__") => found.push(constant(argument["config"].get("value"), argument)?),
                _ if operation.class == "GetItem" && place == 1 => found.push(Operand::Index(argument.clone())),
                _ => return Err(argument.to_string()),
            },
            _ if operation.class == "GetItem" && place == 1 => found.push(Operand::Index(argument.clone())),
            // The list of tensors that some operations take.
            Json::Array(items) if items.iter().all(|item| item["class_name"] == "__keras_tensor__") => {
                found.extend((inputs..inputs + items.len()).map(Operand::Input));
                inputs += items.len();
            }
            other => found.push(constant(Some(other), other)?),
        }
    }
    if inputs == node.inputs.len() {
        Ok(found)
    } else {
        Err("tensors inside of other arguments".to_string())
    }
}

fn constant(value: Option<&Json>, whole: &Json) -> std::result::Result<Operand, String> {
    fn collect(value: &Json, depth: usize, sizes: &mut Vec<usize>, numbers: &mut Vec<f64>) -> Option<()> {
        if let Json::Array(items) = value {
            if sizes.len() == depth {
                sizes.push(items.len());
            }
            if sizes.get(depth) != Some(&items.len()) {
                return None;
            }
            return items
                .iter()
                .try_for_each(|item| collect(item, depth + 1, sizes, numbers));
        }
        numbers.push(value.as_f64()?);
        Some(())
    }
    let (mut sizes, mut numbers) = (Vec::new(), Vec::new());
    match value.and_then(|value| collect(value, 0, &mut sizes, &mut numbers)) {
        Some(()) if sizes.iter().product::<usize>() == numbers.len() => Ok(Operand::Constant(numbers, sizes)),
        _ => Err(whole.to_string().chars().take(80).collect()),
    }
}

/// The result of an operation.
pub(crate) fn forward(operation: &Operation, node: &Node, inputs: &[Tensor]) -> Result<Tensor> {
    let wrong = |what: String| kernels::Error::from(candle_core::Error::Msg(what));
    let mut tensors = Vec::new();
    let mut index = None;
    for operand in operands(operation, node).map_err(wrong)? {
        match operand {
            Operand::Input(place) => {
                let input = inputs
                    .get(place)
                    .ok_or_else(|| wrong("an input is missing".to_string()))?;
                tensors.push(input.clone());
            }
            Operand::Constant(numbers, sizes) => {
                let (dtype, device) = (inputs[0].dtype(), inputs[0].device());
                let constant = Tensor::from_vec(numbers, sizes, &Device::Cpu)?;
                tensors.push(constant.to_dtype(dtype)?.to_device(device)?);
            }
            Operand::Index(json) => index = Some(json),
        }
    }
    let Some(x) = tensors.first() else {
        return Err(wrong("no tensor to work on".to_string()));
    };
    let number = |key: &str, default: f64| operation.config.get(key).and_then(Json::as_f64).unwrap_or(default);
    let function = |function: Activation| kernels::activation(x, function);
    let two = || match tensors.as_slice() {
        [a, b] => Ok((a, b)),
        _ => Err(wrong(format!("two arguments are needed, found {}", tensors.len()))),
    };
    Ok(match operation.class.as_str() {
        "Add" => merging::add(&tensors)?,
        "Subtract" => merging::subtract(&tensors)?,
        "Multiply" => merging::multiply(&tensors)?,
        "Maximum" => merging::maximum(&tensors)?,
        "Minimum" => merging::minimum(&tensors)?,
        "Divide" | "TrueDivide" => two().and_then(|(a, b)| Ok(a.broadcast_div(b)?))?,
        "Power" => two().and_then(|(a, b)| power(a, b))?,
        "Matmul" => two().and_then(|(a, b)| Ok(a.contiguous()?.broadcast_matmul(&b.contiguous()?)?))?,
        // The derivative of |x| at 0 is 0 in TensorFlow.
        "Abs" | "Absolute" => (x * x.detach().sign()?)?,
        "Negative" => x.neg()?,
        "Exp" => x.exp()?,
        "Log" => x.log()?,
        "Sin" => x.sin()?,
        "Cos" => x.cos()?,
        "Sqrt" => x.sqrt()?,
        "Rsqrt" => x.sqrt()?.recip()?,
        "Square" => x.sqr()?,
        "Reciprocal" => x.recip()?,
        "Identity" => x.clone(),
        "Clip" => {
            let limits = [number("x_min", f64::NEG_INFINITY), number("x_max", f64::INFINITY)];
            let [low, high] = limits.map(|limit| x.zeros_like()?.affine(0.0, limit));
            let (low, high) = (low?, high?);
            let y = x.lt(&low)?.where_cond(&low, x)?;
            y.gt(&high)?.where_cond(&high, &y)?
        }
        "Tanh" => function(Activation::Tanh)?,
        "Sigmoid" => function(Activation::Sigmoid)?,
        "Relu" => function(Activation::Relu)?,
        "Relu6" => function(Activation::Relu6)?,
        "Selu" => function(Activation::Selu)?,
        "Silu" => function(Activation::Silu)?,
        "Softplus" => function(Activation::Softplus)?,
        "Softsign" => function(Activation::Softsign)?,
        "HardSigmoid" => function(Activation::HardSigmoid)?,
        "HardSilu" => kernels::hard_silu(x)?,
        "LogSigmoid" => kernels::log_sigmoid(x)?,
        "Elu" => activation::elu(number("alpha", 1.0), x)?,
        "LeakyRelu" => activation::leaky_relu(number("negative_slope", 0.2), x)?,
        "Gelu" if operation.config.get("approximate").and_then(Json::as_bool) != Some(false) => kernels::gelu_tanh(x)?,
        "Gelu" => function(Activation::Gelu)?,
        class @ ("Softmax" | "LogSoftmax") => {
            let axis = place(
                operation.config.get("axis").and_then(Json::as_i64).unwrap_or(-1),
                x.rank(),
            )?;
            let last = x.rank() - 1;
            let moved = x.transpose(axis, last)?.contiguous()?;
            let y = if class == "Softmax" {
                kernels::softmax(&moved)?
            } else {
                kernels::log_softmax(&moved)?
            };
            y.transpose(axis, last)?.contiguous()?
        }
        class @ ("Mean" | "Sum" | "Max" | "Min") => reduced(class, operation, x)?,
        "Concatenate" => {
            let axis = operation.config.get("axis").and_then(Json::as_i64).unwrap_or(-1);
            Tensor::cat(&tensors, place(axis, x.rank())?)?
        }
        "Reshape" => {
            let sizes = operation
                .config
                .get("newshape")
                .and_then(Json::as_array)
                .cloned()
                .unwrap_or_default();
            // The batch is free in the description.
            let known: usize = sizes
                .iter()
                .filter_map(Json::as_u64)
                .map(|size| size as usize)
                .product();
            let rest = x.elem_count().checked_div(known).unwrap_or(0);
            let sizes: Vec<usize> = sizes
                .iter()
                .map(|size| size.as_u64().map_or(rest, |size| size as usize))
                .collect();
            x.reshape(sizes)?
        }
        "Transpose" => {
            let axes: Vec<usize> = match operation.config.get("axes").and_then(Json::as_array) {
                Some(axes) => axes
                    .iter()
                    .map(|axis| place(axis.as_i64().unwrap_or(i64::MAX), x.rank()))
                    .collect::<Result<_>>()?,
                None => (0..x.rank()).rev().collect(),
            };
            x.permute(axes)?.contiguous()?
        }
        "ExpandDims" => {
            let axis = operation.config.get("axis").and_then(Json::as_i64).unwrap_or(0);
            x.unsqueeze(place(axis, x.rank() + 1)?)?
        }
        "Squeeze" => {
            let axes = axes(operation, x.rank())?;
            let mut sizes = x.dims().to_vec();
            let mut axis = 0;
            sizes.retain(|&size| {
                axis += 1;
                size != 1 || !axes.contains(&(axis - 1))
            });
            x.reshape(sizes)?
        }
        "GetItem" => item(x, index.as_ref())?,
        other => return Err(wrong(format!("the operation {other} cannot be run"))),
    })
}

/// An axis counted from the front.
fn place(axis: i64, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 {
        axis.saturating_add(rank as i64)
    } else {
        axis
    };
    let place = usize::try_from(from_front).ok().filter(|&place| place < rank);
    Ok(place.ok_or_else(|| candle_core::Error::Msg(format!("there is no axis {axis}")))?)
}

/// The axes that the configuration names; all where it names none.
fn axes(operation: &Operation, rank: usize) -> Result<Vec<usize>> {
    match operation.config.get("axis") {
        None | Some(Json::Null) => Ok((0..rank).collect()),
        Some(Json::Array(axes)) => axes
            .iter()
            .map(|axis| place(axis.as_i64().unwrap_or(i64::MAX), rank))
            .collect(),
        Some(axis) => Ok(vec![place(axis.as_i64().unwrap_or(i64::MAX), rank)?]),
    }
}

/// `a` to a power that is one number.
fn power(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if b.rank() == 0 {
        return Ok(a.powf(b.to_dtype(DType::F64)?.to_scalar::<f64>()?)?);
    }
    Ok(a.broadcast_pow(b)?)
}

/// One value of all values along axes. The gradient of a maximum is shared by all values that are equal to it.
fn reduced(class: &str, operation: &Operation, x: &Tensor) -> Result<Tensor> {
    let axes = axes(operation, x.rank())?;
    let keep = operation
        .config
        .get("keepdims")
        .and_then(Json::as_bool)
        .unwrap_or(false);
    let y = match class {
        "Mean" => x.mean_keepdim(axes.as_slice())?,
        "Sum" => x.sum_keepdim(axes.as_slice())?,
        _ => {
            let mut extreme = x.detach();
            for &axis in &axes {
                extreme = if class == "Max" {
                    extreme.max_keepdim(axis)?
                } else {
                    extreme.min_keepdim(axis)?
                };
            }
            let equal = x.detach().broadcast_eq(&extreme)?;
            let count = equal.to_dtype(x.dtype())?.sum_keepdim(axes.as_slice())?;
            let sum = equal.where_cond(x, &x.zeros_like()?)?.sum_keepdim(axes.as_slice())?;
            (sum / count)?
        }
    };
    if keep {
        return Ok(y);
    }
    let kept = (0..x.rank()).filter(|axis| !axes.contains(axis));
    Ok(y.reshape(kept.map(|axis| x.dims()[axis]).collect::<Vec<usize>>())?)
}

/// `x[index]` with integers, slices of step 1, `None` and an ellipsis.
fn item(x: &Tensor, index: Option<&Json>) -> Result<Tensor> {
    let wrong = |found: &Json| candle_core::Error::Msg(format!("x[...] cannot be run with {found}"));
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
    let (mut y, mut axis) = (x.clone(), 0);
    for entry in &entries {
        if is_ellipsis(entry) {
            axis += x.rank().saturating_sub(named);
        } else if entry.is_null() {
            y = y.unsqueeze(axis)?;
            axis += 1;
        } else if let Some(place) = entry.as_i64() {
            let size = y.dim(axis)? as i64;
            let place = if place < 0 { place + size } else { place };
            let place = usize::try_from(place).map_err(|_| wrong(entry))?;
            y = y.narrow(axis, place, 1)?.squeeze(axis)?;
        } else if entry["class_name"] == "__slice__" {
            let size = y.dim(axis)? as i64;
            let bound = |key: &str, default: i64| match &entry["config"][key] {
                Json::Null => Ok(default),
                value => {
                    let value = value.as_i64().ok_or_else(|| wrong(entry))?;
                    Ok::<i64, candle_core::Error>(if value < 0 { value + size } else { value }.clamp(0, size))
                }
            };
            if !matches!(entry["config"]["step"].as_i64(), None | Some(1)) {
                return Err(wrong(entry).into());
            }
            let (start, stop) = (bound("start", 0)?, bound("stop", size)?);
            y = y.narrow(axis, start as usize, (stop - start).max(0) as usize)?;
            axis += 1;
        } else {
            return Err(wrong(entry).into());
        }
    }
    Ok(y.contiguous()?)
}
