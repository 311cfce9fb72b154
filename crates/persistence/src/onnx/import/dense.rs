//! Products with a matrix of the file, rows of one, and normalizations along features.

use nn_theory::{Dense, Embedding, LayerNormalization};

use super::builder::{Builder, Known, Output};
use super::convolutions::arranged;
use super::proto::NodeProto;
use crate::fault::Result;
use crate::stored::StoredTensor;

impl<'g, 'a> Builder<'g, 'a> {
    pub(super) fn dense_layers(&mut self, node: &'g NodeProto<'a>) -> Result<Option<Output>> {
        match node.kind {
            "Gemm" => self.gemm(node).map(Some),
            "MatMul"
                if matches!(
                    node.input(1).map(|name| self.known.get(name)),
                    Some(Some(Known::Constant(_)))
                ) =>
            {
                self.product(node).map(Some)
            }
            "Gather"
                if matches!(
                    node.input(0).map(|name| self.known.get(name)),
                    Some(Some(Known::Constant(_)))
                ) =>
            {
                self.embedding(node).map(Some)
            }
            "LayerNormalization" => self.layer_normalization(node).map(Some),
            _ => Ok(None),
        }
    }

    /// `x W + b`
    fn gemm(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
        if node.int("transA", 0)? != 0 || alpha != 1.0 || (beta != 1.0 && node.input(2).is_some()) {
            return Err(node.wrong("a product with transA, alpha or beta has no counterpart in Keras"));
        }
        let weight = self.weight(node, 1)?;
        let bias = self.constant(node, 2)?;
        self.dense(node, &x, weight, node.int("transB", 0)? != 0, bias)
    }

    fn dense(
        &mut self,
        node: &NodeProto<'a>,
        x: &Output,
        (weight_name, weight): (&'a str, StoredTensor),
        is_transposed: bool,
        bias: Option<(&'a str, StoredTensor)>,
    ) -> Result<Output> {
        let shape = weight.shape().to_vec();
        let &[first, second] = shape.as_slice() else {
            return Err(node.wrong(format!("a matrix of the shape {shape:?}; two axes were expected")));
        };
        let (inputs, units) = if is_transposed {
            (second, first)
        } else {
            (first, second)
        };
        if x.shape
            .last()
            .copied()
            .flatten()
            .is_some_and(|found| found != inputs as u64)
            || x.rank() < 2
        {
            return Err(node.wrong(format!(
                "a matrix for {inputs} values, the input has the shape {:?}",
                x.shape
            )));
        }
        let bias = match bias {
            // One number for all units, or a row of them.
            Some((_, bias)) if bias.len() == units => Some(arranged(
                bias.clone(),
                bias.shape(),
                &axes(bias.shape().len()),
                &[units],
            )),
            Some((name, bias)) => {
                return Err(node.wrong(format!("'{name}' of the shape {:?} for {units} units", bias.shape())));
            }
            None => None,
        };
        let (output, name) = self.call(
            node,
            Dense::new(units).use_bias(bias.is_some()),
            &[x],
            Some(weight_name),
        )?;
        let kernel = if is_transposed {
            arranged(weight, &shape, &[1, 0], &[inputs, units])
        } else {
            weight
        };
        self.weights.insert(format!("{name}/kernel"), kernel);
        if let Some(bias) = bias {
            self.weights.insert(format!("{name}/bias"), bias);
        }
        Ok(output)
    }

    /// `x W`, together with the bias that is added to it alone.
    fn product(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        let weight = self.weight(node, 1)?;
        let name = node.output()?;
        let units = weight.1.shape().last().copied().unwrap_or(0);
        let only = match (self.reads.get(name), self.readers.get(name).map(Vec::as_slice)) {
            (Some(1), Some(&[reader])) => Some(reader),
            _ => None,
        };
        if let Some(reader) = only
            && self.nodes[reader].kind == "Add"
            && let sum = &self.nodes[reader]
            && let Some(place) = (0..2).find(|&place| sum.input(place) != Some(name))
            && let Some(Known::Constant(bias)) = sum.input(place).and_then(|name| self.known.get(name))
            && bias.shape() == [units]
        {
            let bias = (sum.input(place).unwrap_or_default(), bias.clone());
            let output = self.dense(node, &x, weight, false, Some(bias))?;
            self.known.insert(sum.output()?, Known::Tensor(output.clone()));
            self.done.insert(reader);
            return Ok(output);
        }
        self.dense(node, &x, weight, false, None)
    }

    /// Row `i` of a matrix for each index `i`.
    fn embedding(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let (name, weight) = self.weight(node, 0)?;
        let x = self.tensor(node, 1)?;
        let &[rows, features] = weight.shape() else {
            return Err(node.wrong(format!(
                "rows of '{name}' of the shape {:?}; two axes were expected",
                weight.shape()
            )));
        };
        if node.int("axis", 0)? != 0 {
            return Err(node.wrong("columns of a matrix by index have no counterpart in Keras"));
        }
        let (output, layer) = self.call(node, Embedding::new(rows, features), &[&x], Some(name))?;
        self.weights.insert(format!("{layer}/embeddings"), weight);
        Ok(output)
    }

    fn layer_normalization(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let x = self.tensor(node, 0)?;
        if node.outputs.len() > 1 {
            return Err(node.wrong("mean and deviation as further outputs are not read"));
        }
        let first = x.axis(node, node.int("axis", -1)?)?;
        let axis: Vec<i64> = if first + 1 == x.rank() {
            vec![-1]
        } else {
            (first as i64..x.rank() as i64).collect()
        };
        let (name, scale) = self.weight(node, 1)?;
        let bias = self.constant(node, 2)?;
        let layer = LayerNormalization::new()
            .axis(axis)
            .epsilon(f64::from(node.float("epsilon", 1e-5)?))
            .center(bias.is_some());
        let (output, layer) = self.call(node, layer, &[&x], Some(name))?;
        self.weights.insert(format!("{layer}/gamma"), scale);
        if let Some((_, bias)) = bias {
            self.weights.insert(format!("{layer}/beta"), bias);
        }
        Ok(output)
    }
}

fn axes(count: usize) -> Vec<usize> {
    (0..count).collect()
}
