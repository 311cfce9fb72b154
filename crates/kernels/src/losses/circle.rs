//! The circle loss of embeddings.

use candle_core::{D, DType, Device, Tensor};

use super::kinks::{at_least, softplus};
use super::labels::whole_numbers;
use super::operands::{option, predictions, within};
use crate::error::{Result, expect_shape, shape_error};
use crate::tape::composed_of;

/// Options of the circle loss; the defaults are Keras'.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CircleOptions {
    /// Scale of the distances.
    pub gamma: f64,
    /// The relaxation: distances of the same class are wanted below it, those of other classes above 1 minus it.
    pub margin: f64,
    /// Whether an embedding is not compared with itself.
    pub remove_diagonal: bool,
}

impl Default for CircleOptions {
    fn default() -> Self {
        CircleOptions {
            gamma: 80.0,
            margin: 0.4,
            remove_diagonal: true,
        }
    }
}

/// $\ln\bigl(1 + \sum_{j \ne} e^{\gamma a_j (d_j - 1 + m) \cdot (-1)} \sum_{k =} e^{\gamma b_k (d_k - m)}\bigr)$ for each embedding: Keras' `Circle`
/// without its reduction.
///
/// Sun et al., «Circle loss: a unified perspective of pair similarity optimization», 2020. `embeddings` is `(batch, features)`, rows of length 1;
/// `labels` `(batch)` are whole numbers. $d = \max(1 - e_i \cdot e_j, 0)$ are the distances within the batch, $k$ runs over those of the same class
/// with the weights $b = m + d$, $j$ over the others with $a = \max(1 + m - d, 0)$. A row without a partner of its class, or without one of
/// another class, has the loss 0 and no gradient (Keras' is NaN).
///
/// # Errors
/// If the shapes do not fit, the batch is empty, or an option is outside of its range.
pub fn circle(embeddings: &Tensor, labels: &Tensor, options: CircleOptions) -> Result<Tensor> {
    composed_of(embeddings, |embeddings| {
        const OP: &str = "circle";
        let CircleOptions {
            gamma,
            margin,
            remove_diagonal,
        } = options;
        within(OP, "gamma", gamma, 0.0, f64::MAX)?;
        if !margin.is_finite() {
            return Err(option(OP, "margin", "a finite number".into(), margin));
        }
        let embeddings = predictions(OP, embeddings)?;
        let [batch, _] = *embeddings.dims() else {
            return Err(shape_error(OP, "outputs", "(batch, features)", &embeddings));
        };
        let labels = if labels.rank() == 2 && labels.dim(1)? == 1 {
            labels.squeeze(1)?
        } else {
            labels.clone()
        };
        expect_shape(OP, "labels", &[batch], &labels)?;
        let labels = whole_numbers(OP, &labels)?;
        let mask = |chosen: &dyn Fn(usize, usize) -> bool| -> Result<Tensor> {
            let pairs = (0..batch).flat_map(|i| (0..batch).map(move |j| (i, j)));
            let chosen: Vec<f32> = pairs.map(|(i, j)| f32::from(u8::from(chosen(i, j)))).collect();
            let chosen = Tensor::from_vec(chosen, (batch, batch), &Device::Cpu)?;
            Ok(chosen.to_dtype(embeddings.dtype())?.to_device(embeddings.device())?)
        };
        let same = mask(&|i, j| labels[i] == labels[j] && !(remove_diagonal && i == j))?;
        let others = mask(&|i, j| labels[i] != labels[j])?;

        let distances = at_least(&(1.0 - embeddings.matmul(&embeddings.t()?)?)?, 0.0)?;
        let weights_same = at_least(&((&distances + margin)? * &same)?, 0.0)?;
        let weights_others = at_least(&(((1.0 + margin) - &distances)? * &others)?, 0.0)?;
        let pull = ((weights_same * (&distances - margin)?)? * gamma)?;
        let push = ((weights_others * ((1.0 - margin) - &distances)?)? * gamma)?;
        let (pull, some_same) = masked_log_sum_exp(&pull, &same)?;
        let (push, some_others) = masked_log_sum_exp(&push, &others)?;
        let losses = softplus(&(pull + push)?)?;
        let counts = (some_same * some_others)?;
        Ok(counts.where_cond(&losses, &losses.detach().zeros_like()?)?)
    })
}

/// $\ln \sum e^x$ over the chosen numbers of each row, and whether there are any (0 stands for the logarithm where not).
fn masked_log_sum_exp(x: &Tensor, chosen: &Tensor) -> Result<(Tensor, Tensor)> {
    let any = chosen.sum(D::Minus1)?.gt(0f64)?.to_dtype(DType::U8)?;
    // Far below every distance, and finite, so that no difference of infinities is formed.
    let lowest = (x.detach().zeros_like()? + f64::from(f32::MIN) / 4.0)?;
    let taken = chosen.gt(0f64)?;
    let candidates = taken.where_cond(&x.detach(), &lowest)?;
    let largest = candidates.max_keepdim(D::Minus1)?;
    let largest = any.unsqueeze(D::Minus1)?.where_cond(&largest, &largest.zeros_like()?)?;
    let shifted = taken.where_cond(&x.broadcast_sub(&largest)?, &lowest)?;
    let sum = shifted.exp()?.sum(D::Minus1)?;
    let sum = any.where_cond(&sum, &sum.detach().ones_like()?)?;
    Ok(((sum.log()? + largest.squeeze(D::Minus1)?)?, any))
}
