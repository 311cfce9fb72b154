//! Functions of one value, and softmax.

use nn_theory::{Activation, ActivationLayer, Dropout, ELU, LeakyReLU, NamedLayer, PReLU, ReLU, Softmax};

use super::builder::{Builder, Output};
use super::convolutions::arranged;
use super::merging::rescaling;
use super::proto::NodeProto;
use crate::fault::Result;

impl<'g, 'a> Builder<'g, 'a> {
    fn function(&mut self, node: &NodeProto<'a>, function: Activation) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        self.plain(node, ActivationLayer::new(function), &[&x])
    }

    pub(super) fn activations(&mut self, node: &'g NodeProto<'a>) -> Result<Option<Output>> {
        let number = |name: &str, default: f32| node.float(name, default);
        let mut is_positive = false;
        let mut output = match node.kind {
            "Relu" => {
                is_positive = true;
                let x = self.tensor(node, 0)?;
                self.plain(node, ReLU::new(), &[&x])?
            }
            "Sigmoid" => {
                is_positive = true;
                self.function(node, Activation::Sigmoid)?
            }
            "Tanh" => self.function(node, Activation::Tanh)?,
            "Softplus" => self.function(node, Activation::Softplus)?,
            "Softsign" => self.function(node, Activation::Softsign)?,
            "HardSwish" => self.function(node, Activation::HardSilu)?,
            "Mish" => self.function(node, Activation::Mish)?,
            "Exp" => {
                is_positive = true;
                self.function(node, Activation::Exponential)?
            }
            "Gelu" if node.text("approximate")?.unwrap_or("none") == "none" => self.function(node, Activation::Gelu)?,
            "LeakyRelu" => {
                let x = self.tensor(node, 0)?;
                self.plain(
                    node,
                    LeakyReLU::new().negative_slope(wide(number("alpha", 0.01)?)),
                    &[&x],
                )?
            }
            "Elu" => {
                let x = self.tensor(node, 0)?;
                self.plain(node, ELU::new().alpha(wide(number("alpha", 1.0)?)), &[&x])?
            }
            "Celu" if number("alpha", 1.0)? == 1.0 => self.function(node, Activation::Celu)?,
            "Selu" => {
                // The constants of Klambauer et al. (2017), with as many digits as the file has room for.
                let is_usual = |found: f32, usual: f64| (f64::from(found) - usual).abs() < 1e-4;
                if !is_usual(number("alpha", 1.673_263_2)?, 1.673_263_242_354_377_2)
                    || !is_usual(number("gamma", 1.050_701)?, 1.050_700_987_355_480_5)
                {
                    return Err(node.wrong("selu with other constants than the usual ones has no counterpart in Keras"));
                }
                self.function(node, Activation::Selu)?
            }
            "HardSigmoid" => {
                let (alpha, beta) = (number("alpha", 0.2)?, number("beta", 0.5)?);
                is_positive = true;
                if (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5 {
                    self.function(node, Activation::HardSigmoid)?
                } else {
                    let x = self.tensor(node, 0)?;
                    let line = self.plain(node, rescaling(node, wide(alpha), wide(beta))?, &[&x])?;
                    self.plain(node, ReLU::new().max_value(Some(1.0)), &[&line])?
                }
            }
            "Clip" => {
                let (low, high) = self.limits(node)?;
                let (Some(0.0), high) = (low, high) else {
                    return Err(node.wrong(format!(
                        "clips to {low:?} .. {high:?}; only a lower limit of 0 has a counterpart in Keras"
                    )));
                };
                is_positive = true;
                let x = self.tensor(node, 0)?;
                self.plain(node, ReLU::new().max_value(high), &[&x])?
            }
            "Div" | "Mul" if self.gelu_from(node)?.is_some() => match self.gelu_from(node)? {
                Some((x, chain)) => self.gelu(node, x, chain)?,
                None => return Ok(None),
            },
            "PRelu" => self.slopes(node)?,
            "Softmax" | "LogSoftmax" => self.softmax(node)?,
            "Dropout" => {
                let x = self.tensor(node, 0)?;
                is_positive = x.is_positive;
                let rate = match node.input(1) {
                    Some(_) => self.scalar(node, 1)?.unwrap_or(0.5),
                    None => wide(number("ratio", 0.5)?),
                };
                self.plain(node, Dropout::new(rate.clamp(0.0, 1.0)), &[&x])?
            }
            "Identity" => {
                let x = self.tensor(node, 0)?;
                is_positive = x.is_positive;
                self.same(node, &x)?
            }
            // Networks compute in one format here.
            "Cast" if matches!(node.int("to", 0)?, 1 | 10 | 11 | 16) => {
                let x = self.tensor(node, 0)?;
                self.same(node, &x)?
            }
            // Indices on their way to an embedding, which cuts them off itself.
            "Cast"
                if matches!(node.int("to", 0)?, 6 | 7)
                    && self
                        .readers
                        .get(node.output()?)
                        .is_some_and(|readers| readers.iter().all(|&reader| self.nodes[reader].kind == "Gather")) =>
            {
                let x = self.tensor(node, 0)?;
                self.same(node, &x)?
            }
            _ => return Ok(None),
        };
        output.is_positive = is_positive;
        Ok(Some(output))
    }

    /// The only node that reads an output.
    fn only_reader(&self, node: &NodeProto<'a>) -> Result<Option<usize>> {
        let name = node.output()?;
        Ok(
            match (self.reads.get(name), self.readers.get(name).map(Vec::as_slice)) {
                (Some(1), Some(&[reader])) => Some(reader),
                _ => None,
            },
        )
    }

    /// `x (1 + erf(x / √2)) / 2` as exporters write it before opset 20: its `x`, and the nodes behind the first one.
    fn gelu_from(&self, node: &'g NodeProto<'a>) -> Result<Option<(&'a str, Vec<usize>)>> {
        // The input that is a constant near this number, and the other one.
        let with = |node: &NodeProto<'a>, expected: f64| -> Result<Option<&'a str>> {
            for (place, other) in [(0, 1), (1, 0)] {
                let Some(super::builder::Known::Constant(tensor)) =
                    node.input(place).and_then(|name| self.known.get(name))
                else {
                    continue;
                };
                if tensor.len() != 1 {
                    continue;
                }
                let numbers = tensor.to_f64().map_err(|error| node.wrong(error.to_string()))?;
                if let [number] = numbers.as_slice()
                    && (number - expected).abs() < 1e-5
                {
                    return Ok(node.input(other));
                }
            }
            Ok(None)
        };
        let root = std::f64::consts::SQRT_2;
        let Some(x) = with(node, if node.kind == "Div" { root } else { 1.0 / root })? else {
            return Ok(None);
        };
        let mut chain = Vec::new();
        let mut last = node;
        for kind in ["Erf", "Add", "Mul", "Mul"] {
            let Some(reader) = self.only_reader(last)? else {
                return Ok(None);
            };
            let next = &self.nodes[reader];
            let fits = next.kind == kind
                && match chain.len() {
                    1 => with(next, 1.0)?.is_some(),
                    2 => next.inputs.contains(&x),
                    3 => with(next, 0.5)?.is_some(),
                    _ => true,
                };
            if !fits {
                return Ok(None);
            }
            chain.push(reader);
            last = next;
        }
        Ok(Some((x, chain)))
    }

    /// The chain of nodes as one layer; answers the output of the last one, and gives it its name.
    fn gelu(&mut self, node: &'g NodeProto<'a>, x: &'a str, chain: Vec<usize>) -> Result<Output> {
        let Some(super::builder::Known::Tensor(input)) = self.known.get(x).cloned() else {
            return Err(node.wrong("reads a value that no layer makes"));
        };
        let output = self.plain(node, ActivationLayer::new(Activation::Gelu), &[&input])?;
        if let Some(&last) = chain.last() {
            let name = self.nodes[last].output()?;
            self.known.insert(name, super::builder::Known::Tensor(output.clone()));
        }
        self.done.extend(chain);
        Ok(output)
    }

    /// The limits of a Clip: attributes up to opset 10, inputs since.
    fn limits(&self, node: &NodeProto<'a>) -> Result<(Option<f64>, Option<f64>)> {
        if self.opset < 11 {
            let (low, high) = (node.float("min", f32::MIN)?, node.float("max", f32::MAX)?);
            return Ok((
                (low > f32::MIN).then(|| wide(low)),
                (high < f32::MAX).then(|| wide(high)),
            ));
        }
        Ok((self.scalar(node, 1)?, self.scalar(node, 2)?))
    }

    /// One slope for each channel, or for each value.
    fn slopes(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let (name, slope) = self.weight(node, 1)?;
        let rank = x.rank();
        // The slope broadcasts from the last axis on.
        let own = slope.shape().to_vec();
        if own.len() >= rank && own.first() != Some(&1) || own.len() > rank {
            return Err(node.wrong(format!("slopes of the shape {own:?} for an input of {rank} axes")));
        }
        let mut sample = vec![1; rank - 1];
        for (place, &size) in own.iter().rev().take(rank - 1).enumerate() {
            sample[rank - 2 - place] = size;
        }
        let shared: Vec<i64> = (1..rank as i64)
            .filter(|&axis| sample[axis as usize - 1] == 1)
            .collect();
        let layer = PReLU::new().shared_axes((!shared.is_empty()).then_some(shared));
        let (output, layer) = self.call(node, layer, &[&x], Some(name))?;
        let axes: Vec<usize> = (0..own.len()).collect();
        self.weights
            .insert(format!("{layer}/alpha"), arranged(slope, &own, &axes, &sample));
        Ok(output)
    }

    fn softmax(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        // Before opset 13 all axes from this one on were one.
        let axis = node.int("axis", if self.opset < 13 { 1 } else { -1 })?;
        let axis = x.axis(node, axis)?;
        if self.opset < 13 && axis + 1 != x.rank() {
            return Err(node.wrong("softmax over several axes as one; export with opset 13 or later"));
        }
        let is_last = axis + 1 == x.rank();
        let layer: NamedLayer = match (node.kind, is_last) {
            ("Softmax", true) => Softmax::new().into(),
            ("Softmax", false) => Softmax::new().axis((axis as i64).into()).into(),
            (_, true) => ActivationLayer::new(Activation::LogSoftmax).into(),
            _ => {
                return Err(
                    node.wrong("the logarithm of a softmax over another axis than the last has no layer in Keras")
                );
            }
        };
        let mut output = self.plain(node, layer, &[&x])?;
        output.is_positive = node.kind == "Softmax";
        Ok(output)
    }
}

/// An attribute as the number that was meant: 0.1 of four bytes is 0.1, not 0.10000000149.
fn wide(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}
