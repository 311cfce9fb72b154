//! Normalizations, in the terms that ONNX has for them where it has them.

use nn_theory::{BatchNormalization, GroupNormalization, LayerNormalization, Normalization, RMSNormalization};

use super::Call;
use super::graph::{Attributes, Graph};
use crate::fault::{Fault, Result};

/// Lengths and deviations below these count as these, as in Keras.
const SHORTEST: f64 = 1e-12;
const SMALLEST_DEVIATION: f64 = 1e-7;

impl Graph<'_> {
    pub(super) fn batch_normalization(&mut self, call: &Call<'_>, layer: &BatchNormalization) -> Result<String> {
        let x = call.first();
        let axis = call.axis(layer.axis)?;
        let channels = self.weight_shape(&call.weight("moving_mean"))?;
        let count = channels.iter().product::<usize>();
        let gamma = self.optional(call, "gamma")?;
        let gamma = if gamma.is_empty() {
            self.numbers(&vec![1.0; count], vec![count])
        } else {
            gamma
        };
        let beta = self.optional(call, "beta")?;
        let beta = if beta.is_empty() {
            self.numbers(&vec![0.0; count], vec![count])
        } else {
            beta
        };
        let mean = self.weight(&call.weight("moving_mean"))?;
        let variance = self.weight(&call.weight("moving_variance"))?;
        let rank = x.rank();
        // ONNX has the channels behind the batch.
        let order: Vec<usize> = [0, axis]
            .into_iter()
            .chain((1..rank).filter(|&other| other != axis))
            .collect();
        let first = self.transposed(&x.name, &order);
        let attributes = Attributes::new().float("epsilon", layer.epsilon);
        let y = self.op_with(
            "BatchNormalization",
            &[&first, &gamma, &beta, &mean, &variance],
            attributes,
        );
        Ok(self.transposed(&y, &crate::layout::inverse(&order)))
    }

    /// `axes` counted from the front and in order, and how a weight over them has to be turned.
    fn in_order(&self, call: &Call<'_>, axes: &[i64]) -> Result<(Vec<usize>, Vec<usize>)> {
        let axes = axes
            .iter()
            .map(|&axis| call.axis(axis))
            .collect::<Result<Vec<usize>>>()?;
        let mut order: Vec<usize> = (0..axes.len()).collect();
        order.sort_by_key(|&place| axes[place]);
        Ok((order.iter().map(|&place| axes[place]).collect(), order))
    }

    /// A weight over some axes of the input, in a shape that broadcasts with it.
    fn over(&mut self, call: &Call<'_>, name: &str, axes: &[usize], order: &[usize]) -> Result<Option<String>> {
        let path = call.weight(name);
        if !self.has_weight(&path) {
            return Ok(None);
        }
        let shape = self.weight_shape(&path)?;
        let first = axes.first().copied().unwrap_or(0);
        let mut stretched = vec![1; call.first().rank() - first];
        for (&axis, &place) in axes.iter().zip(order) {
            stretched[axis - first] = shape[place];
        }
        self.arranged(&path, &shape, order, &stretched).map(Some)
    }

    pub(super) fn layer_normalization(&mut self, call: &Call<'_>, layer: &LayerNormalization) -> Result<String> {
        let (axes, order) = self.in_order(call, &layer.axis)?;
        let x = call.first();
        let first = axes.first().copied().unwrap_or(0);
        let gamma = self.over(call, "gamma", &axes, &order)?;
        let beta = self.over(call, "beta", &axes, &order)?;
        if axes.iter().copied().eq(first..x.rank())
            && let Some(gamma) = &gamma
        {
            let attributes = Attributes::new()
                .int("axis", first as i64)
                .float("epsilon", layer.epsilon);
            let inputs: Vec<&str> = [x.name.as_str(), gamma].into_iter().chain(beta.as_deref()).collect();
            return Ok(self.op_with("LayerNormalization", &inputs, attributes));
        }
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        let y = self.standardized(&x.name, &axes, layer.epsilon);
        Ok(self.affine(y, gamma, beta))
    }

    fn affine(&mut self, mut y: String, gamma: Option<String>, beta: Option<String>) -> String {
        if let Some(gamma) = gamma {
            y = self.op("Mul", &[&y, &gamma]);
        }
        if let Some(beta) = beta {
            y = self.op("Add", &[&y, &beta]);
        }
        y
    }

    /// `(x - mean) / √(variance + ε)`
    fn standardized(&mut self, x: &str, axes: &[i64], epsilon: f64) -> String {
        let mean = self.reduced("ReduceMean", x, axes, true);
        let centred = self.op("Sub", &[x, &mean]);
        self.divided_by_root(&centred, axes, epsilon)
    }

    /// `x / √(mean(x²) + ε)`
    fn divided_by_root(&mut self, x: &str, axes: &[i64], epsilon: f64) -> String {
        let square = self.op("Mul", &[x, x]);
        let mean = self.reduced("ReduceMean", &square, axes, true);
        let epsilon = self.number(epsilon);
        let sum = self.op("Add", &[&mean, &epsilon]);
        let root = self.op("Sqrt", &[&sum]);
        self.op("Div", &[x, &root])
    }

    pub(super) fn root_mean_square(&mut self, call: &Call<'_>, layer: &RMSNormalization) -> Result<String> {
        let (axes, order) = self.in_order(call, &layer.axis)?;
        let scale = self.over(call, "scale", &axes, &order)?;
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        let y = self.divided_by_root(&call.first().name.clone(), &axes, layer.epsilon);
        Ok(self.affine(y, scale, None))
    }

    /// Each group of neighbouring channels of a sample by its own statistics.
    pub(super) fn group_normalization(&mut self, call: &Call<'_>, layer: &GroupNormalization) -> Result<String> {
        let x = call.first();
        let (axis, rank) = (call.axis(layer.axis)?, x.rank());
        let free = || {
            Fault::new(
                call.place(),
                "channels of an unknown number; state the shape of the input",
            )
        };
        let channels = x.shape[axis].ok_or_else(free)?;
        let groups = usize::try_from(layer.groups).unwrap_or(channels);
        if groups == 0 || channels % groups != 0 {
            return Err(Fault::new(
                call.place(),
                format!("{channels} channels in {groups} groups"),
            ));
        }
        // (batch, groups, everything else)
        let order: Vec<usize> = [0, axis]
            .into_iter()
            .chain((1..rank).filter(|&other| other != axis))
            .collect();
        let first = self.transposed(&x.name, &order);
        let shape = self.op("Shape", &[&first]);
        let grouped = self.reshaped(&first, &[0, groups as i64, -1]);
        let y = self.standardized(&grouped, &[2], layer.epsilon);
        let y = self.op("Reshape", &[&y, &shape]);
        let mut stretched = vec![channels];
        stretched.resize(rank - 1, 1);
        let mut weight = |name: &str| -> Result<Option<String>> {
            let path = call.weight(name);
            if !self.has_weight(&path) {
                return Ok(None);
            }
            self.arranged(&path, &[channels], &[0], &stretched).map(Some)
        };
        let (gamma, beta) = (weight("gamma")?, weight("beta")?);
        let y = self.affine(y, gamma, beta);
        Ok(self.transposed(&y, &crate::layout::inverse(&order)))
    }

    /// `x / |x|`
    pub(super) fn unit_normalization(&mut self, call: &Call<'_>) -> Result<String> {
        let axes = call.integers("axis").unwrap_or_else(|| vec![-1]);
        let x = call.first().name.clone();
        Ok(self.unit_length(&x, &axes))
    }

    pub(super) fn unit_length(&mut self, x: &str, axes: &[i64]) -> String {
        let square = self.op("Mul", &[x, x]);
        let sum = self.reduced("ReduceSum", &square, axes, true);
        let shortest = self.number(SHORTEST * SHORTEST);
        let sum = self.op("Max", &[&sum, &shortest]);
        let root = self.op("Sqrt", &[&sum]);
        self.op("Div", &[x, &root])
    }

    /// By statistics that were taken from the data beforehand.
    pub(super) fn fixed_normalization(&mut self, call: &Call<'_>, layer: &Normalization) -> Result<String> {
        let x = call.first();
        let mut shape = vec![1usize; x.rank()];
        for &axis in layer.axis.as_deref().unwrap_or(&[]) {
            let axis = call.axis(axis)?;
            shape[axis] = x.shape[axis]
                .ok_or_else(|| Fault::new(call.place(), "an axis of any size; state the shape of the input"))?;
        }
        let (mean, variance) = if layer.mean.is_null() {
            let mut weight = |name: &str| -> Result<String> {
                let path = call.weight(name);
                let own = self.weight_shape(&path)?;
                let axes: Vec<usize> = (0..own.len()).collect();
                self.arranged(&path, &own, &axes, &shape)
            };
            (weight("mean")?, weight("variance")?)
        } else {
            let mut stated = |value: &serde_json::Value| {
                let numbers = flat(value);
                let shape = if numbers.len() == 1 {
                    vec![1; shape.len()]
                } else {
                    shape.clone()
                };
                self.numbers(&numbers, shape)
            };
            (stated(&layer.mean), stated(&layer.variance))
        };
        let deviation = self.op("Sqrt", &[&variance]);
        let smallest = self.number(SMALLEST_DEVIATION);
        let deviation = self.op("Max", &[&deviation, &smallest]);
        Ok(if layer.invert {
            let y = self.op("Mul", &[&x.name, &deviation]);
            self.op("Add", &[&y, &mean])
        } else {
            let y = self.op("Sub", &[&x.name, &mean]);
            self.op("Div", &[&y, &deviation])
        })
    }
}

/// The numbers of nested lists.
fn flat(value: &serde_json::Value) -> Vec<f64> {
    match value {
        serde_json::Value::Array(values) => values.iter().flat_map(flat).collect(),
        value => value.as_f64().into_iter().collect(),
    }
}
