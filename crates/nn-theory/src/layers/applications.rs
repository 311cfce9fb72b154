//! Layers that Keras defines beside the models of `keras.applications`, not in `keras.layers`.

use super::{LayerSpec, dropout::fraction, merging::broadcast, single};
use crate::{Initializer, Shape, error::Problem, weight::Weight};

layer! {
    /// `x · gamma`, a learnt factor for each channel (ConvNeXt's `LayerScale`; Touvron et al., 2021).
    LayerScale(
        /// Value of every factor before training.
        init_values: f64,
        /// Number of channels.
        projection_dim: usize,
    ) {}
}

impl LayerSpec for LayerScale {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        super::positive("projection_dim", &[self.projection_dim])?;
        let scale = Shape(vec![Some(self.projection_dim as u64)]);
        Ok(vec![broadcast(&[single(inputs)?.clone(), scale])?])
    }

    fn weights(&self, _: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let initializer = Initializer::Constant {
            value: self.init_values,
        };
        // Keras gives this weight no name of its own.
        Ok(vec![Weight::new(
            "variable",
            [(self.projection_dim as u64, "channels")],
            &initializer,
        )])
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

layer! {
    /// Drops whole branches while training (ConvNeXt's `StochasticDepth`; Huang et al., 2016).
    StochasticDepth(
        /// Fraction of the branches that is dropped, in `[0, 1]`.
        drop_path_rate: f64
    ) {}
}

impl LayerSpec for StochasticDepth {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        fraction("drop_path_rate", self.drop_path_rate)?;
        Ok(vec![single(inputs)?.clone()])
    }
}

layer! {
    /// `x + scale · branch` (`CustomScaleLayer` of Inception-ResNet-v2; Szegedy et al., 2017).
    CustomScaleLayer(
        /// Factor of the branch.
        scale: f64
    ) {}
}

impl LayerSpec for CustomScaleLayer {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        if inputs.len() != 2 {
            return Err(Problem::shape(format!("takes two inputs, found {}", inputs.len())));
        }
        Ok(vec![broadcast(inputs)?])
    }
}
