//! Activations as layers of their own.

use super::{LayerSpec, single};
use crate::{Initializer, Shape, activation, error::Problem, weight::Weight};
use serde_json::Value;

layer! {
    /// An activation function (`keras.layers.Activation`).
    Activation(
        /// The function.
        activation: activation::Activation
    ) {}
}

layer! {
    /// `max(0, x)` with the options of `keras.layers.ReLU`.
    ReLU() {
        /// Upper bound of the output.
        max_value: Option<f64> = None,
        /// Slope below the threshold.
        negative_slope: f64 = 0.0,
        /// Values below it are cut.
        threshold: f64 = 0.0,
    }
}

layer! {
    /// `x` where it is positive, `negative_slope · x` elsewhere (`keras.layers.LeakyReLU`).
    LeakyReLU() {
        /// Slope of the negative side.
        negative_slope: f64 = 0.3,
    }
}

layer! {
    /// `e^x_i / Σ_j e^x_j` (`keras.layers.Softmax`).
    Softmax() {
        /// The axis (or list of axes) that sums to 1.
        axis: serde_json::Value = serde_json::json!(-1),
    }
}

layer! {
    /// `x` where it is positive, `alpha (e^x - 1)` elsewhere (`keras.layers.ELU`).
    ELU() {
        /// Limit of the negative side.
        alpha: f64 = 1.0,
    }
}

layer! {
    /// `x` where it is positive, `alpha · x` elsewhere, with a learnt `alpha` for each value (`keras.layers.PReLU`;
    /// He et al., 2015).
    PReLU() {
        /// Initializer of `alpha`.
        alpha_initializer: Initializer = Initializer::Zeros,
        /// Regularizer of `alpha`, as Keras configures it.
        alpha_regularizer: Value = Value::Null,
        /// Constraint of `alpha`, as Keras configures it.
        alpha_constraint: Value = Value::Null,
        /// Axes (the batch is 0) along which one `alpha` serves all values.
        shared_axes: Option<Vec<i64>> = None,
    }
}

impl LayerSpec for PReLU {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        Ok(vec![single(inputs)?.clone()])
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let input = single(inputs)?;
        let shared: Vec<usize> = self
            .shared_axes
            .iter()
            .flatten()
            .filter_map(|&axis| input.axis(axis))
            .collect();
        let mut dims = Vec::new();
        for axis in 1..input.rank() {
            let size = if shared.contains(&axis) {
                1
            } else {
                input.required(axis as i64, "the axis of 'alpha'")?
            };
            dims.push((size, "size"));
        }
        Ok(vec![Weight::new("alpha", dims, &self.alpha_initializer)])
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

/// Layers whose output has the shape of their only input, and that have no weights.
macro_rules! keeps_shape {
    ($($name:ident),*) => {$(
        impl LayerSpec for $name {
            fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
                Ok(vec![single(inputs)?.clone()])
            }
        }
    )*};
}

keeps_shape!(Activation, ReLU, LeakyReLU, Softmax, ELU);
