//! How good a network is on samples that it does not learn from.

use models::{Mode, Network};
use serde::{Deserialize, Serialize};

use crate::{Error, Loss, Result, Samples};

/// The figures of a network on a set of samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean loss over the samples.
    pub loss: f64,
    /// Share of samples whose largest output is their label; in `[0, 1]`.
    pub accuracy: f64,
    /// `confusion[label][prediction]` counts the samples.
    pub confusion: Vec<Vec<u64>>,
    /// Predicted class of each sample, in order; the first of equal outputs.
    pub predictions: Vec<u32>,
}

/// The network's outputs (logits) for all samples, one row each, in inference mode.
///
/// # Errors
/// [`Error::EmptyData`] without samples, [`Error::InputShape`] where they do not fit the network.
pub fn predict(network: &Network, samples: &Samples, batch_size: usize) -> Result<Vec<Vec<f64>>> {
    if samples.is_empty() {
        return Err(Error::EmptyData { what: "test" });
    }
    samples.check_shape(network)?;
    let order: Vec<usize> = (0..samples.len()).collect();
    let mut rows = Vec::with_capacity(samples.len());
    for batch in order.chunks(batch_size.max(1)) {
        let inputs = samples.tensor(samples.rows(batch), network)?;
        let outputs = network
            .forward(&inputs, Mode::Inference)?
            .to_dtype(candle_core::DType::F64)?;
        rows.extend(outputs.flatten_from(1)?.to_vec2::<f64>()?);
    }
    Ok(rows)
}

/// Loss, accuracy and confusion matrix of a network on samples, in inference mode.
///
/// # Errors
/// [`Error::EmptyData`] without samples, [`Error::InputShape`] or [`Error::Label`] where they do not fit the network.
pub fn evaluate(network: &Network, samples: &Samples, loss: Loss, batch_size: usize) -> Result<Evaluation> {
    if samples.is_empty() {
        return Err(Error::EmptyData { what: "test" });
    }
    samples.check_shape(network)?;
    samples.check_labels(network)?;
    let order: Vec<usize> = (0..samples.len()).collect();
    let (mut total, mut predictions) = (0.0, Vec::with_capacity(samples.len()));
    for batch in order.chunks(batch_size.max(1)) {
        let inputs = samples.tensor(samples.rows(batch), network)?;
        let outputs = network.forward(&inputs, Mode::Inference)?;
        let labels = samples.label_tensor(batch, network.device())?;
        let mean = loss
            .mean(&outputs, &labels)?
            .to_dtype(candle_core::DType::F64)?
            .to_scalar::<f64>()?;
        total += mean * batch.len() as f64;
        predictions.extend(arg_max(&outputs.to_dtype(candle_core::DType::F64)?.to_vec2::<f64>()?));
    }
    let classes = network.output_shape().last().copied().unwrap_or(1);
    let mut confusion = vec![vec![0; classes]; classes];
    for (&label, &prediction) in samples.labels().iter().zip(&predictions) {
        confusion[label as usize][prediction as usize] += 1;
    }
    let right: u64 = (0..classes).map(|class| confusion[class][class]).sum();
    Ok(Evaluation {
        loss: total / samples.len() as f64,
        accuracy: right as f64 / samples.len() as f64,
        confusion,
        predictions,
    })
}

/// Index of the largest output of each row; the first of equal ones.
pub(crate) fn arg_max(rows: &[Vec<f64>]) -> Vec<u32> {
    rows.iter()
        .map(|row| {
            let best = row
                .iter()
                .enumerate()
                .fold(0, |best, (i, value)| if *value > row[best] { i } else { best });
            best as u32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_outputs_wins() {
        assert_eq!(
            arg_max(&[vec![1.0, 3.0, 3.0], vec![0.0, 0.0, 0.0], vec![-2.0, -1.0, -3.0]]),
            vec![1, 0, 1]
        );
    }
}
