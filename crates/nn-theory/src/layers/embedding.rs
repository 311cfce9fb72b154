//! `Embedding`: a vector for each word.

use super::{LayerSpec, positive, single};
use crate::{Initializer, Shape, error::Problem, initializer::uniform, weight::Weight};
use serde_json::Value;

layer! {
    /// A learnt vector for each index (`keras.layers.Embedding`): input `(batch, ..)`, output `(batch, .., output_dim)`.
    Embedding(
        /// Number of indices.
        input_dim: usize,
        /// Length of the vectors.
        output_dim: usize,
    ) {
        /// Initializer of the vectors.
        embeddings_initializer: Initializer = uniform(),
        /// Regularizer of the vectors, as Keras configures it.
        embeddings_regularizer: Value = Value::Null,
        /// Whether index 0 means "no word".
        mask_zero: bool = false,
    }
}

impl LayerSpec for Embedding {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        positive("input_dim", &[self.input_dim])?;
        positive("output_dim", &[self.output_dim])?;
        let mut dims = single(inputs)?.0.clone();
        dims.push(Some(self.output_dim as u64));
        Ok(vec![Shape(dims)])
    }

    fn weights(&self, _: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let dims = [
            (self.input_dim as u64, "input_dim"),
            (self.output_dim as u64, "output_dim"),
        ];
        Ok(vec![Weight::new("embeddings", dims, &self.embeddings_initializer)])
    }

    fn needs_shape(&self) -> bool {
        true
    }
}
