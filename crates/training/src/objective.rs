//! What training makes small: the loss of the outputs, and what the network itself adds to it.

use candle_core::Tensor;
use models::{Mode, Network, Recorded};

use crate::mixing::Mixed;
use crate::{Loss, Result, Samples, Targets};

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

impl Mixed {
    /// Blended samples with their targets and weights.
    pub(crate) fn example(&self, inputs: Tensor, samples: &Samples, network: &Network) -> Result<Example> {
        let (device, dtype) = (network.device(), network.dtype());
        let tensor = |rows: &[f32], shape: &[usize]| Tensor::from_slice(rows, shape, device)?.to_dtype(dtype);
        let count = inputs.dims()[0];
        let of_sample = match samples.targets() {
            Targets::Labels(_) => network.output_shape(),
            Targets::Dense { shape, .. } => shape.clone(),
        };
        let weights = self.weights.as_ref();
        Ok(Example {
            inputs,
            targets: tensor(&self.targets, &[&[count], of_sample.as_slice()].concat())?,
            weights: weights.map(|weights| tensor(weights, &[count])).transpose()?,
        })
    }

    /// What metrics compare the outputs with: the class that weighs most in each blend, in the form that labels have, or the
    /// targets themselves.
    pub(crate) fn measured(&self, targets: &Tensor, network: &Network) -> Result<Tensor> {
        if self.labels.is_empty() {
            return Ok(targets.clone());
        }
        let count = self.labels.len();
        let labels = Tensor::from_slice(&self.labels, count, network.device())?;
        Ok(match network.output_shape().as_slice() {
            [1] => labels.to_dtype(network.dtype())?.reshape((count, 1))?,
            _ => labels,
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
