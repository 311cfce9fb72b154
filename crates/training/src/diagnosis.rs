//! Why a loss is not a number.

use candle_core::{DType, Tensor};
use models::Network;

use crate::{Result, Samples};

/// The first thing on the way from the samples to the loss that is not finite.
pub(crate) fn cause(network: &Network, samples: &Samples, indices: &[usize], outputs: &Tensor) -> Result<String> {
    let finite = |tensor: &Tensor| -> Result<bool> {
        let values = tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        Ok(values.iter().all(|value| value.is_finite()))
    };
    for &index in indices {
        if let Some(value) = samples.rows(&[index]).iter().find(|value| !value.is_finite()) {
            return Ok(format!("sample {index} has an input that is {value}"));
        }
    }
    for weight in network.weights() {
        if !finite(weight.var.as_tensor())? {
            return Ok(format!("the weight '{}' is not finite", weight.path));
        }
    }
    let dims = outputs.dims();
    Ok(if finite(outputs)? {
        let values = outputs.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        let largest = values.iter().fold(0f64, |largest, value| largest.max(value.abs()));
        format!(
            "the outputs are finite, as large as {largest:.1e}, but their loss is not; the targets may not fit the loss"
        )
    } else {
        format!("inputs and weights are finite, but not the outputs {dims:?}: the values grow too large on their way")
    })
}
