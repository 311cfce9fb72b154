//! `InputLayer`: where data enters.

use super::LayerSpec;
use crate::{Shape, error::Problem};

layer! {
    /// Where data enters the model (`keras.layers.InputLayer`).
    InputLayer(
        /// Shape of the data, batch first.
        batch_shape: Shape
    ) {}
}

impl LayerSpec for InputLayer {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        if !inputs.is_empty() {
            return Err(Problem::shape(format!("takes no input, found {}", inputs.len())));
        }
        Ok(vec![self.batch_shape.clone()])
    }
}
