//! Sums, products and joins of several values, or of one with a constant.

use nn_theory::{
    Add, Average, BatchNormalization, Concatenate, Layer, Maximum, Minimum, Multiply, NamedLayer, Operation, Rescaling,
    Subtract,
};

use super::builder::{Builder, Known, Output};
use super::proto::NodeProto;
use crate::fault::Result;
use crate::stored::StoredTensor;

impl<'g, 'a> Builder<'g, 'a> {
    pub(super) fn merging(&mut self, node: &'g NodeProto<'a>) -> Result<Option<Output>> {
        let output = match node.kind {
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node)?,
            "Sum" | "Max" | "Min" | "Mean" if node.inputs.len() > 1 => {
                let inputs: Vec<Output> = (0..node.inputs.len())
                    .map(|place| self.tensor(node, place))
                    .collect::<Result<_>>()?;
                let layer: NamedLayer = match node.kind {
                    "Sum" => Add::new().into(),
                    "Max" => Maximum::new().into(),
                    "Min" => Minimum::new().into(),
                    _ => Average::new().into(),
                };
                self.plain(node, layer, &inputs.iter().collect::<Vec<_>>())?
            }
            "Concat" => {
                let inputs: Vec<Output> = (0..node.inputs.len())
                    .map(|place| self.tensor(node, place))
                    .collect::<Result<_>>()?;
                let first = inputs.first().ok_or_else(|| node.wrong("joins nothing"))?;
                let axis = first.axis(node, node.int("axis", 1)?)?;
                if axis == 0 {
                    return Err(node.wrong("joins samples of the batch"));
                }
                let mut output = self.plain(
                    node,
                    Concatenate::new().axis(axis as i64),
                    &inputs.iter().collect::<Vec<_>>(),
                )?;
                output.is_positive = inputs.iter().all(|input| input.is_positive);
                output
            }
            "MatMul" => {
                let (a, b) = (self.tensor(node, 0)?, self.tensor(node, 1)?);
                self.operation(node, "Matmul", &[&a, &b])?
            }
            "Sqrt" | "Abs" | "Log" | "Neg" | "Reciprocal" | "Sin" | "Cos" => {
                let x = self.tensor(node, 0)?;
                self.operation(node, if node.kind == "Neg" { "Negative" } else { node.kind }, &[&x])?
            }
            _ => return Ok(None),
        };
        Ok(Some(output))
    }

    /// An operation of `keras.ops`.
    fn operation(&mut self, node: &NodeProto<'a>, class: &str, inputs: &[&Output]) -> Result<Output> {
        let operation = Operation {
            module: "keras.src.ops.numpy".to_string(),
            class: class.to_string(),
            config: serde_json::Map::new(),
            outputs: Vec::new(),
        };
        self.plain(node, Layer::Operation(operation), inputs)
    }

    fn arithmetic(&mut self, node: &'g NodeProto<'a>) -> Result<Output> {
        let is_constant = |place| {
            matches!(
                node.input(place).and_then(|name| self.known.get(name)),
                Some(Known::Constant(_))
            )
        };
        match (is_constant(0), is_constant(1)) {
            (false, false) => {
                let (a, b) = (self.tensor(node, 0)?, self.tensor(node, 1)?);
                let mut output = match node.kind {
                    "Add" => self.plain(node, Add::new(), &[&a, &b])?,
                    "Sub" => self.plain(node, Subtract::new(), &[&a, &b])?,
                    "Mul" => self.plain(node, Multiply::new(), &[&a, &b])?,
                    _ => self.operation(node, "Divide", &[&a, &b])?,
                };
                output.is_positive = matches!(node.kind, "Add" | "Mul") && a.is_positive && b.is_positive;
                Ok(output)
            }
            (false, true) => {
                let x = self.tensor(node, 0)?;
                let constant = self.weight(node, 1)?.1;
                self.with_constant(node, &x, constant, node.kind)
            }
            (true, false) => {
                let x = self.tensor(node, 1)?;
                let constant = self.weight(node, 0)?.1;
                let kind = match node.kind {
                    "Sub" => "from",
                    "Div" => return Err(node.wrong("a constant divided by a value has no layer in Keras")),
                    kind => kind,
                };
                self.with_constant(node, &x, constant, kind)
            }
            (true, true) => Err(node.wrong("computes a constant; let the exporter fold constants")),
        }
    }

    /// One number for all values is a `Rescaling`; a row of them along an axis is a `BatchNormalization` that has seen nothing.
    fn with_constant(
        &mut self,
        node: &NodeProto<'a>,
        x: &Output,
        constant: StoredTensor,
        kind: &str,
    ) -> Result<Output> {
        let numbers = constant.to_f64().map_err(|error| node.wrong(error.to_string()))?;
        let line = |number: f64| match kind {
            "Add" => (1.0, number),
            "Sub" => (1.0, -number),
            "from" => (-1.0, number),
            "Mul" => (number, 0.0),
            _ => (1.0 / number, 0.0),
        };
        if let [number] = numbers.as_slice() {
            let (scale, offset) = line(*number);
            return self.plain(node, rescaling(node, scale, offset)?, &[x]);
        }
        let shape = constant.shape();
        let refused = || {
            node.wrong(format!(
                "a constant of the shape {shape:?} with a value of the shape {:?} has no layer in Keras",
                x.shape
            ))
        };
        // Constants broadcast from the last axis on.
        let long: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
        let &[own] = long.as_slice() else { return Err(refused()) };
        let axis = (x.rank() + own)
            .checked_sub(shape.len())
            .filter(|&axis| axis > 0)
            .ok_or_else(refused)?;
        if x.shape[axis] != Some(numbers.len() as u64) {
            return Err(refused());
        }
        let (scales, offsets): (Vec<f64>, Vec<f64>) = numbers.iter().map(|&number| line(number)).unzip();
        let layer = BatchNormalization::new().axis(axis as i64).epsilon(0.0);
        let (output, name) = self.call(node, layer, &[x], None)?;
        let count = numbers.len();
        for (weight, numbers) in [
            ("gamma", scales),
            ("beta", offsets),
            ("moving_mean", vec![0.0; count]),
            ("moving_variance", vec![1.0; count]),
        ] {
            let bytes = numbers
                .iter()
                .flat_map(|&number| (number as f32).to_le_bytes())
                .collect();
            let tensor = StoredTensor::in_memory(safetensors::Dtype::F32, vec![count], bytes).ok_or_else(refused)?;
            self.weights.insert(format!("{name}/{weight}"), tensor);
        }
        Ok(output)
    }
}

/// `scale · x + offset`
pub(super) fn rescaling(node: &NodeProto<'_>, scale: f64, offset: f64) -> Result<NamedLayer> {
    let layer = NamedLayer::from(Rescaling::new()).option("scale", scale);
    let layer = layer.and_then(|layer| layer.option("offset", offset));
    layer.map_err(|error| node.wrong(error.to_string()))
}
