//! What training makes small: the loss of the outputs, and what the network itself adds to it.

use candle_core::Tensor;
use models::{Mode, Network, Recorded};

use crate::{Loss, Result, Samples};

/// The samples of a step as tensors.
pub(crate) struct Example {
    pub(crate) inputs: Tensor,
    pub(crate) targets: Tensor,
    /// One weight a sample.
    pub(crate) weights: Option<Tensor>,
}

impl Example {
    /// Samples at `indices` with their targets and, out of `weights` of all samples, their weights.
    pub(crate) fn new(
        inputs: Tensor,
        samples: &Samples,
        weights: Option<&[f32]>,
        indices: &[usize],
        network: &Network,
    ) -> Result<Self> {
        let weights = match weights {
            Some(weights) => {
                let rows: Vec<f32> = indices.iter().map(|&i| weights[i]).collect();
                let tensor = Tensor::from_vec(rows, indices.len(), network.device())?;
                Some(tensor.to_dtype(network.dtype())?)
            }
            None => None,
        };
        Ok(Example {
            inputs,
            targets: samples.target_tensor(indices, network)?,
            weights,
        })
    }
}

/// A pass through a network, and the loss with a gradient: that of the outputs, and the penalties of the network's
/// regularizers on weights and outputs, as in Keras also where nothing is learnt.
pub(crate) fn objective(network: &Network, example: &Example, loss: &Loss, mode: Mode) -> Result<(Recorded, Tensor)> {
    let pass = network.record(std::slice::from_ref(&example.inputs), mode)?;
    let [outputs] = pass.outputs() else {
        return Err(models::Error::Ports {
            network: network.name().to_string(),
            inputs: 1,
            outputs: pass.outputs().len(),
        }
        .into());
    };
    let mut total = loss.value(outputs, &example.targets, example.weights.as_ref())?;
    let of_weights = network.regularization_loss()?;
    for penalty in [pass.penalty(), of_weights.as_ref()].into_iter().flatten() {
        total = (&total + penalty.to_dtype(total.dtype())?)?;
    }
    Ok((pass, total))
}
