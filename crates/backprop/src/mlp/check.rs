//! Five ways to the gradient of any network of the family, side by side.

use candle_core::{Device, Tensor, Var};
use serde::Serialize;

use super::activation::softplus;
use super::{Activation, Derived, Loss, Mlp};
use crate::check::{APPROXIMATE, EXACT};
use crate::dual::{self, Dual};
use crate::error::{Error, Result};
use crate::finite_difference::{Estimate, richardson, richardson_step};
use crate::matrix::Matrix;
use crate::tape::Tape;

/// One method compared with the recursion of [`Mlp::gradients`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Way {
    /// The method's name.
    pub method: &'static str,
    /// The derivatives in the order of [`Mlp::parameters`].
    pub gradient: Vec<f64>,
    /// The worst error of an entry, relative to the largest of the terms that the derivatives of its weights are sums of. For finite
    /// differences that scale is enlarged by the error which Richardson's extrapolation estimates for itself.
    pub worst: f64,
    /// What is allowed.
    pub tolerance: f64,
    /// Entries that could not be compared: the loss has a kink there (a ReLU exactly at 0).
    pub kinks: usize,
    /// Whether the error is within the tolerance.
    pub agrees: bool,
}

/// The methods next to each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The loss.
    pub loss: f64,
    /// Derived formulas, tape, dual numbers, finite differences, candle.
    pub ways: Vec<Way>,
    /// Whether all agree.
    pub agrees: bool,
}

/// Compares the gradients of one sample by the derived formulas with numbers put in, the tape, dual numbers, Richardson's
/// differences and candle's autograd with those of the program.
///
/// ```
/// use backprop::mlp::{Activation::{Linear, Sigmoid}, Loss, Mlp, check::compare, derive};
/// let mut number = 0.0_f64;
/// let uniform = || { number += 0.618_033_988_749; number.fract() };
/// let network = Mlp::glorot(&[3, 4, 2], &[Sigmoid, Linear], &[true, true], Loss::CrossEntropy, uniform)?;
/// let derived = derive(&network.architecture())?;
/// let table = compare(&network, &derived, &[0.5, -1.0, 2.0], &[0.0, 1.0])?;
/// assert!(table.agrees, "{table:#?}");
/// # Ok::<(), backprop::Error>(())
/// ```
///
/// # Errors
/// As [`Mlp::gradients`] and [`Derived::gradients`]; [`Error::Candle`].
pub fn compare(network: &Mlp, derived: &Derived, x: &[f64], y: &[f64]) -> Result<Comparison> {
    let reference = network.gradients(x, y)?;
    let expected = reference.parameters();
    let scales = scales(network, x, y)?;
    let differences = by_differences(network, x, y)?;
    let exact = |method, gradient: Vec<f64>| {
        way(
            method,
            EXACT,
            &expected,
            &scales,
            gradient.into_iter().map(Some).collect(),
        )
    };
    let mut ways = vec![
        exact("derived formulas", derived.gradients(network, x, y)?),
        exact("tape", by_tape(network, x, y)?),
        exact("dual numbers", by_duals(network, x, y)),
        exact("candle", by_candle(network, x, y)?),
    ];
    let admitted: Vec<f64> = scales
        .iter()
        .zip(&differences)
        .map(|(scale, found)| scale + found.map_or(0.0, |found| found.error / APPROXIMATE))
        .collect();
    let values = differences.iter().map(|found| found.map(|found| found.value)).collect();
    ways.insert(3, way("finite differences", APPROXIMATE, &expected, &admitted, values));
    let agrees = ways.iter().all(|way| way.agrees);
    Ok(Comparison {
        loss: reference.loss,
        ways,
        agrees,
    })
}

fn way(method: &'static str, tolerance: f64, expected: &[f64], scales: &[f64], found: Vec<Option<f64>>) -> Way {
    let mut worst = 0.0_f64;
    for ((found, expected), scale) in found.iter().zip(expected).zip(scales) {
        let Some(found) = found else { continue };
        let difference = (found - expected).abs();
        let error = if difference == 0.0 { 0.0 } else { difference / scale };
        worst = if error.is_nan() {
            f64::INFINITY
        } else {
            worst.max(error)
        };
    }
    let complete = found.len() == expected.len();
    Way {
        method,
        worst,
        tolerance,
        kinks: found.iter().filter(|found| found.is_none()).count(),
        agrees: complete && worst <= tolerance,
        gradient: found.into_iter().map(|found| found.unwrap_or(f64::NAN)).collect(),
    }
}

/// For each parameter how large the terms are that its derivative is a sum of, the largest one of its matrix or biases.
///
/// A target that is nearly met, ways through the network that cancel and a sum near 0 leave a derivative that is small beside its terms,
/// whose last digits it inherits: two exact ways then differ by much of it. So absolute values are sent back through the network, with 1
/// for slopes, as the terms of a slope such as `1 - tanh²` are.
fn scales(network: &Mlp, x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
    let forward = network.forward(x)?;
    let largest = |numbers: &[f64]| {
        numbers
            .iter()
            .fold(1.0_f64, |largest, number| largest.max(number.abs()))
    };
    // The loss subtracts targets from outputs that targets may have been multiplied with.
    let targets = y.iter().map(|y| y.abs()).sum::<f64>().max(1.0);
    let mut errors: Vec<f64> = forward.z.iter().map(|z| (1.0 + z.abs()) * targets).collect();
    let mut blocks = Vec::new();
    for (n, layer) in network.layers().iter().enumerate().rev() {
        let inputs = if n == 0 { x } else { &forward.hidden[n - 1] };
        let error = largest(&errors);
        let mut block = vec![error * largest(inputs); layer.weights.data().len()];
        block.resize(block.len() + layer.bias.as_ref().map_or(0, Vec::len), error);
        blocks.push(block);
        errors = (0..layer.weights.columns())
            .map(|i| {
                errors
                    .iter()
                    .enumerate()
                    .map(|(k, error)| layer.weights.at(k, i).abs() * error)
                    .sum()
            })
            .collect();
    }
    blocks.reverse();
    Ok(blocks.concat())
}

fn by_tape(network: &Mlp, x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
    let mut tape = Tape::new();
    let (x, y) = (tape.constant(Matrix::column(x)), tape.constant(Matrix::column(y)));
    let mut parameters = Vec::new();
    let mut value = x;
    for layer in network.layers() {
        let weights = tape.leaf(layer.weights.clone());
        parameters.push(weights);
        let mut sum = tape.matmul(weights, value)?;
        if let Some(bias) = &layer.bias {
            let bias = tape.leaf(Matrix::column(bias));
            parameters.push(bias);
            sum = tape.add(sum, bias)?;
        }
        value = layer.activation.record(&mut tape, sum);
    }
    let count = tape.value(value).data().len() as f64;
    let loss = match network.loss_function() {
        Loss::CrossEntropy => {
            let log_p = tape.log_softmax(value);
            let terms = tape.multiply(y, log_p)?;
            let sum = tape.sum(terms);
            tape.scale(sum, -0.5)
        }
        Loss::TwoClasses => {
            let (log, product) = (tape.softplus(value), tape.multiply(y, value)?);
            let minus = tape.scale(product, -1.0);
            let terms = tape.add(log, minus)?;
            let sum = tape.sum(terms);
            tape.scale(sum, 0.5)
        }
        loss @ (Loss::MeanSquaredError | Loss::HalfSquaredError) => {
            let minus = tape.scale(y, -1.0);
            let error = tape.add(value, minus)?;
            let squares = tape.multiply(error, error)?;
            let sum = tape.sum(squares);
            tape.scale(
                sum,
                if loss == Loss::HalfSquaredError {
                    0.5
                } else {
                    1.0 / count
                },
            )
        }
    };
    let gradients = tape.backward(loss)?;
    Ok(parameters
        .into_iter()
        .flat_map(|node| gradients.of(node).data().to_vec())
        .collect())
}

/// Forward mode: one pass for each parameter.
fn by_duals(network: &Mlp, x: &[f64], y: &[f64]) -> Vec<f64> {
    let mut parameters: Vec<Dual> = network.parameters().into_iter().map(Dual::constant).collect();
    (0..parameters.len())
        .map(|n| {
            parameters[n].derivative = 1.0;
            let derivative = dual_loss(network, &parameters, x, y).derivative;
            parameters[n].derivative = 0.0;
            derivative
        })
        .collect()
}

fn dual_loss(network: &Mlp, parameters: &[Dual], x: &[f64], y: &[f64]) -> Dual {
    let zero = Dual::constant(0.0);
    let mut rest = parameters;
    let mut take = |count: usize| {
        let (front, back) = rest.split_at(count);
        rest = back;
        front
    };
    let mut values: Vec<Dual> = x.iter().map(|&x| Dual::constant(x)).collect();
    for layer in network.layers() {
        let (rows, columns) = (layer.weights.rows(), layer.weights.columns());
        let weights = take(rows * columns);
        let bias = layer.bias.as_ref().map(|bias| take(bias.len()));
        values = (0..rows)
            .map(|i| {
                let row = &weights[i * columns..(i + 1) * columns];
                let sum = row.iter().zip(&values).fold(zero, |sum, (&w, &v)| sum + w * v);
                layer.activation.dual(bias.map_or(sum, |bias| sum + bias[i]))
            })
            .collect();
    }
    let y = y.iter().map(|&y| Dual::constant(y));
    let sum = |terms: Vec<Dual>| terms.into_iter().fold(zero, |sum, term| sum + term);
    let count = values.len() as f64;
    match network.loss_function() {
        Loss::CrossEntropy => {
            let log_p = dual::log_softmax(&values);
            // As in the program: 0 · log p is 0.
            let terms = log_p.into_iter().zip(y).filter(|(_, y)| y.value != 0.0);
            Dual::constant(-0.5) * sum(terms.map(|(log_p, y)| y * log_p).collect())
        }
        Loss::TwoClasses => {
            let terms = values.into_iter().zip(y).map(|(z, y)| z.softplus() - y * z);
            Dual::constant(0.5) * sum(terms.collect())
        }
        loss @ (Loss::MeanSquaredError | Loss::HalfSquaredError) => {
            let terms = values.into_iter().zip(y).map(|(p, y)| (y - p) * (y - p));
            let factor = if loss == Loss::HalfSquaredError {
                0.5
            } else {
                1.0 / count
            };
            Dual::constant(factor) * sum(terms.collect())
        }
    }
}

/// Richardson's estimate for each parameter, with a step at which no ReLU switches on or off; `None` where there is none.
fn by_differences(network: &Mlp, x: &[f64], y: &[f64]) -> Result<Vec<Option<Estimate>>> {
    let at = network.parameters();
    let here = active(network, x)?;
    let moved = |n: usize, to: f64| {
        let mut parameters = at.clone();
        parameters[n] = to;
        network.with_parameters(&parameters)
    };
    let mut found = Vec::new();
    for (n, &w) in at.iter().enumerate() {
        let mut h = richardson_step(w);
        let mut smooth = false;
        while !smooth && h > 1e-9 {
            smooth = active(&moved(n, w + h)?, x)? == here && active(&moved(n, w - h)?, x)? == here;
            if !smooth {
                h /= 8.0;
            }
        }
        let loss = |to: f64| moved(n, to).and_then(|network| network.loss(x, y)).unwrap_or(f64::NAN);
        found.push(smooth.then(|| richardson(loss, w, h)));
    }
    Ok(found)
}

/// Which ReLUs let something through.
fn active(network: &Mlp, x: &[f64]) -> Result<Vec<bool>> {
    let forward = network.forward(x)?;
    let outputs = match network.loss_function() {
        Loss::CrossEntropy | Loss::TwoClasses => &[][..],
        _ => &forward.p[..],
    };
    let values = forward.hidden.iter().map(Vec::as_slice).chain([outputs]);
    Ok(values
        .zip(network.layers())
        .filter(|(_, layer)| layer.activation == Activation::Relu)
        .flat_map(|(values, _)| values.iter().map(|&v| v > 0.0))
        .collect())
}

fn by_candle(network: &Mlp, x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
    let column = |numbers: &[f64]| Tensor::from_slice(numbers, (numbers.len(), 1), &Device::Cpu);
    let y = column(y)?;
    let mut value = column(x)?;
    let mut parameters = Vec::new();
    for layer in network.layers() {
        let (rows, columns) = (layer.weights.rows(), layer.weights.columns());
        let weights = Var::from_tensor(&Tensor::from_slice(
            layer.weights.data(),
            (rows, columns),
            &Device::Cpu,
        )?)?;
        // candle multiplies no empty matrices.
        let mut sum = match columns {
            0 => Tensor::zeros((rows, 1), candle_core::DType::F64, &Device::Cpu)?,
            _ => weights.matmul(&value)?,
        };
        parameters.push(weights);
        if let Some(bias) = &layer.bias {
            let bias = Var::from_tensor(&column(bias)?)?;
            sum = (sum + bias.as_tensor())?;
            parameters.push(bias);
        }
        value = layer.activation.tensor(&sum)?;
    }
    let loss = match network.loss_function() {
        Loss::CrossEntropy => {
            let z = value.broadcast_sub(&value.max_keepdim(0)?.detach())?;
            let log_p = z.broadcast_sub(&z.exp()?.sum_keepdim(0)?.log()?)?;
            ((y * log_p)?.sum_all()? * -0.5)?
        }
        Loss::TwoClasses => ((softplus(&value)? - (y * value)?)?.sum_all()? * 0.5)?,
        Loss::MeanSquaredError => (value - y)?.sqr()?.mean_all()?,
        Loss::HalfSquaredError => ((value - y)?.sqr()?.sum_all()? * 0.5)?,
    };
    let store = loss.backward()?;
    let mut found = Vec::new();
    for parameter in &parameters {
        match store.get(parameter.as_tensor()) {
            Some(gradient) => found.extend(gradient.flatten_all()?.to_vec1::<f64>()?),
            None if parameter.elem_count() == 0 => {}
            None => {
                return Err(Error::MissingGradient {
                    weight: "of a layer".into(),
                });
            }
        }
    }
    Ok(found)
}
