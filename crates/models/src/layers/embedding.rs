//! `Embedding`: row `i` of a matrix for each index `i`.

use candle_core::{DType, Tensor};
use kernels::Result;
use nn_theory::Embedding;

use super::{LayerWeights, activation};

/// Indices may be of any number format; a float is cut off to an integer as in Keras.
pub(crate) fn forward(layer: &Embedding, weights: &LayerWeights<'_>, x: &Tensor) -> Result<Tensor> {
    let embeddings = activation::required(weights, "embeddings")?;
    let indices: Vec<i64> = x.detach().to_dtype(DType::I64)?.flatten_all()?.to_vec1()?;
    if let Some((place, index)) = indices
        .iter()
        .enumerate()
        .find(|(_, index)| usize::try_from(**index).map_or(true, |index| index >= layer.input_dim))
    {
        return Err(kernels::Error::Option {
            op: "Embedding",
            option: "an index of the input",
            expected: format!("in 0..{}", layer.input_dim),
            found: format!("{index} at place {place} of the batch"),
        });
    }
    let indices: Vec<u32> = indices.into_iter().map(|index| index as u32).collect();
    let count = indices.len();
    let rows = embeddings.index_select(&Tensor::from_vec(indices, count, x.device())?, 0)?;
    Ok(rows.reshape([x.dims(), &[layer.output_dim]].concat())?)
}
