//! `Dense`: every output looks at every input.

use super::{LayerSpec, positive, single};
use crate::{
    Activation, Initializer, Shape,
    error::Problem,
    formula::{Expr, bias_one, num},
    initializer::glorot_uniform,
    shape::product,
    weight::Weight,
};
use serde_json::Value;

layer! {
    /// `activation(x W + b)` over the last axis (`keras.layers.Dense`).
    ///
    /// Input `(batch, .., inputs)`, output `(batch, .., units)`, parameters `(inputs + 1) units`.
    ///
    /// ```
    /// use nn_theory::{Dense, Layer, Shape};
    /// let layer = Layer::from(Dense::new(2));
    /// assert_eq!(layer.parameters(&[Shape::batched([1024])])?.to_string(), "(1024 + 1) × 2 = 2,050");
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    Dense(
        /// Number of neurons.
        units: usize
    ) {
        /// Function applied to the output.
        activation: Activation = Activation::Linear,
        /// Whether a bias is added.
        use_bias: bool = true,
        /// Initializer of the kernel.
        kernel_initializer: Initializer = glorot_uniform(),
        /// Initializer of the bias.
        bias_initializer: Initializer = Initializer::Zeros,
        /// Regularizer of the kernel, as Keras configures it.
        kernel_regularizer: Value = Value::Null,
        /// Regularizer of the bias, as Keras configures it.
        bias_regularizer: Value = Value::Null,
        /// Constraint of the kernel, as Keras configures it.
        kernel_constraint: Value = Value::Null,
        /// Constraint of the bias, as Keras configures it.
        bias_constraint: Value = Value::Null,
    }
}

impl Dense {
    fn inputs(&self, inputs: &[Shape]) -> Result<u64, Problem> {
        single(inputs)?.required(-1, "the number of inputs")
    }
}

impl LayerSpec for Dense {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        positive("units", &[self.units])?;
        let input = single(inputs)?;
        if input.rank() < 2 {
            return Err(Problem::shape(format!(
                "expects an input of rank 2 or more (batch, .., inputs), found {input}"
            )));
        }
        Ok(vec![input.with_last(Some(self.units as u64))])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let units = (self.units as u64, "units");
        let mut weights = vec![Weight::new(
            "kernel",
            [(self.inputs(inputs)?, "inputs"), units],
            &self.kernel_initializer,
        )];
        if self.use_bias {
            weights.push(Weight::new("bias", [units], &self.bias_initializer));
        }
        Ok(weights)
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let inputs = num(self.inputs(inputs)?, "inputs", "values that each neuron reads");
        let units = num(self.units as u64, "units", "neurons of the layer");
        let column = if self.use_bias {
            Expr::Sum(vec![inputs, bias_one()])
        } else {
            inputs
        };
        Ok(Some(Expr::Product(vec![column, units])))
    }

    fn multiply_adds(&self, inputs: &[Shape], outputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let positions = outputs[0].sample();
        let Some(positions) = product(&positions[..positions.len() - 1], "the number of positions")? else {
            return Ok(None);
        };
        let mut factors = Vec::new();
        if outputs[0].rank() > 2 {
            factors.push(num(positions, "positions", "places where the same neurons are applied"));
        }
        factors.push(num(self.inputs(inputs)?, "inputs", "values that each neuron reads"));
        factors.push(num(self.units as u64, "units", "neurons of the layer"));
        Ok(Some(Expr::Product(factors)))
    }

    fn needs_shape(&self) -> bool {
        true
    }
}
