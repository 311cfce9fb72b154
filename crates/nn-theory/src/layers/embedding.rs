//! `Embedding`: a vector for each word.

use super::{LayerSpec, flag, positive, single};
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

layer! {
    /// An [`Embedding`] that can also be asked for the index of a vector (`keras.layers.ReversibleEmbedding`; Press and
    /// Wolf, 2017): called with `reverse=True`, input `(batch, .., output_dim)`, output `(batch, .., input_dim)`.
    ReversibleEmbedding(
        /// Number of indices.
        input_dim: usize,
        /// Length of the vectors.
        output_dim: usize,
    ) {
        /// Whether both directions use the same vectors.
        tie_weights: bool = true,
        /// Initializer of the vectors.
        embeddings_initializer: Initializer = uniform(),
        /// Regularizer of the vectors, as Keras configures it.
        embeddings_regularizer: Value = Value::Null,
        /// Whether index 0 means "no word".
        mask_zero: bool = false,
    }
}

impl LayerSpec for ReversibleEmbedding {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        Embedding::new(self.input_dim, self.output_dim).output_shapes(inputs)
    }

    fn called(&self, inputs: &[Shape], arguments: Option<&Value>) -> Result<Vec<Shape>, Problem> {
        if !flag(arguments, "reverse", 1) {
            return self.output_shapes(inputs);
        }
        positive("input_dim", &[self.input_dim])?;
        Ok(vec![single(inputs)?.with_last(Some(self.input_dim as u64))])
    }

    fn weights(&self, _: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let indices = (self.input_dim as u64, "input_dim");
        let features = (self.output_dim as u64, "output_dim");
        let mut weights = vec![Weight::new(
            "embeddings",
            [indices, features],
            &self.embeddings_initializer,
        )];
        if !self.tie_weights {
            let reverse = Weight::new("reverse_embeddings", [features, indices], &self.embeddings_initializer);
            weights.push(reverse);
        }
        Ok(weights)
    }

    fn needs_shape(&self) -> bool {
        true
    }
}
