//! `SpectralNormalization`: a layer whose kernel is divided by its largest singular value (Miyato et al. 2018).

use candle_core::{Tensor, Var};
use nn_theory::{Node, SpectralNormalization};

use super::LayerWeights;
use crate::network::Mode;
use crate::{Error, Result};

/// Lengths below this count as this much when a vector is normalized (`keras.ops.normalize`).
const SHORTEST: f64 = 1e-12;

/// The wrapped layer as a node of its own.
pub(crate) fn inner(layer: &SpectralNormalization, node: &Node) -> Node {
    let mut inner = node.clone();
    inner.layer = layer.layer.layer().clone();
    inner
}

/// In training the kernel itself is replaced by the divided one, as Keras does, before the wrapped layer runs.
pub(crate) fn forward(
    layer: &SpectralNormalization,
    node: &Node,
    trainable: bool,
    weights: &LayerWeights<'_>,
    inputs: &[Tensor],
    mode: Mode,
) -> Result<Tensor> {
    let prefix = format!("{}/", layer.layer.name());
    let own = weights.within(&prefix);
    let weights_inside = LayerWeights::new(&own, weights.all).with(weights.precision);
    if let Mode::Training(_) = mode {
        let kernel = weights_inside.var("kernel").or(weights_inside.var("embeddings"));
        if let (Some(kernel), Some(vector)) = (kernel, weights.var("vector_u")) {
            divide(kernel, vector, layer.power_iterations).map_err(|source| Error::Compute {
                layer: node.name.clone(),
                source: source.into(),
            })?;
        }
    }
    super::forward(&inner(layer, node), trainable, &weights_inside, inputs, mode)
}

/// Power iteration: `v = u Wᵀ / |u Wᵀ|`, `u = v W / |v W|`, `σ = v W uᵀ`; a kernel of zeros stays as it is.
fn divide(kernel: &Var, vector: &Var, iterations: usize) -> candle_core::Result<()> {
    let kernel_values = kernel.as_detached_tensor();
    let columns = vector.dim(1)?;
    let matrix = kernel_values.reshape(((), columns))?;
    let mut u = vector.as_detached_tensor();
    if matrix
        .abs()?
        .max_all()?
        .to_dtype(candle_core::DType::F64)?
        .to_scalar::<f64>()?
        == 0.0
    {
        return Ok(());
    }
    let mut v = u.clone();
    for _ in 0..iterations {
        v = unit(&u.matmul(&matrix.t()?)?)?;
        u = unit(&v.matmul(&matrix)?)?;
    }
    let sigma = v.matmul(&matrix)?.matmul(&u.t()?)?;
    let divided = matrix.broadcast_div(&sigma)?.reshape(kernel.shape())?;
    vector.set(&u)?;
    kernel.set(&divided)
}

fn unit(x: &Tensor) -> candle_core::Result<Tensor> {
    let length = x.sqr()?.sum_all()?.sqrt()?;
    x / length
        .to_dtype(candle_core::DType::F64)?
        .to_scalar::<f64>()?
        .max(SHORTEST)
}
