//! How good a network is on samples that it does not learn from.

use augmentation::Pipeline;
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

/// Augmentation at inference: the class probabilities of each sample, averaged over `copies` augmented versions of it.
///
/// $$ \bar p(x) = \frac1n \sum_{k=1}^{n} \mathrm{softmax}\bigl(f(T_k(x))\bigr) $$
///
/// The k-th version of a sample has the draws of epoch `k - 1` of `seed`, so a seed that trained nothing should be given.
///
/// # Errors
/// As [`predict`]; [`Error::Option`] for no copies, [`Error::Augmentation`] where a step fails.
pub fn predict_augmented(
    network: &Network,
    samples: &Samples,
    pipeline: &Pipeline,
    copies: usize,
    seed: u64,
    batch_size: usize,
) -> Result<Vec<Vec<f64>>> {
    if copies == 0 {
        return Err(Error::Option {
            option: "copies",
            expected: "at least 1",
            found: "0".to_string(),
        });
    }
    let mut mean: Vec<Vec<f64>> = Vec::new();
    for copy in 0..copies {
        let mut rows = predict(network, &samples.augmented(pipeline, seed, copy as u64)?, batch_size)?;
        rows.iter_mut().for_each(|row| softmax(row, copies as f64));
        if mean.is_empty() {
            mean = rows;
        } else {
            for (sum, value) in mean.iter_mut().flatten().zip(rows.into_iter().flatten()) {
                *sum += value;
            }
        }
    }
    Ok(mean)
}

/// Logits become probabilities, divided by `copies`.
fn softmax(row: &mut [f64], copies: f64) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|value| *value = (*value - largest).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum * copies);
}

/// The share of rows (logits or probabilities) whose largest value is at the label; 0 for no rows.
///
/// ```
/// let rows = [vec![0.9, 0.1], vec![0.4, 0.6], vec![0.2, 0.8], vec![0.7, 0.3]];
/// assert_eq!(training::accuracy(&rows, &[0, 1, 0, 0]), 0.75);
/// ```
pub fn accuracy(rows: &[Vec<f64>], labels: &[u32]) -> f64 {
    let right = arg_max(rows)
        .into_iter()
        .zip(labels)
        .filter(|(class, label)| class == *label);
    right.count() as f64 / rows.len().max(1) as f64
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
    use augmentation::ValueRange;
    use candle_core::{DType, Device};

    use super::*;

    fn network() -> Network {
        let spec = models::zoo::first_cnn_for("first_cnn", [4, 4, 1], 3).unwrap();
        Network::new(spec, 1, &Device::Cpu, DType::F32).unwrap()
    }

    #[test]
    fn augmentation_at_inference_averages_probabilities() {
        let network = network();
        let images = Samples::new(
            (0..32).map(|i| (i % 7) as f32 / 6.0).collect(),
            vec![4, 4, 1],
            vec![0, 2],
        )
        .unwrap();
        let rotate = Pipeline::parse_for("rotate(0.2)", ValueRange::UNIT).unwrap();
        let copies: Vec<Vec<Vec<f64>>> = (0..3)
            .map(|k| {
                let mut rows = predict(&network, &images.augmented(&rotate, 9, k).unwrap(), 8).unwrap();
                rows.iter_mut().for_each(|row| softmax(row, 1.0));
                rows
            })
            .collect();
        let mean = predict_augmented(&network, &images, &rotate, 3, 9, 8).unwrap();
        for (i, row) in mean.iter().enumerate() {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for (class, value) in row.iter().enumerate() {
                let expected = copies.iter().map(|copy| copy[i][class]).sum::<f64>() / 3.0;
                assert!((value - expected).abs() < 1e-12);
            }
        }
        // Nothing changes the images: the network's own probabilities.
        let plain = predict_augmented(&network, &images, &Pipeline::default(), 1, 9, 8).unwrap();
        let mut logits = predict(&network, &images, 8).unwrap();
        logits.iter_mut().for_each(|row| softmax(row, 1.0));
        assert_eq!(plain, logits);
        assert!(predict_augmented(&network, &images, &rotate, 0, 9, 8).is_err());
    }

    #[test]
    fn the_first_of_equal_outputs_wins() {
        assert_eq!(
            arg_max(&[vec![1.0, 3.0, 3.0], vec![0.0, 0.0, 0.0], vec![-2.0, -1.0, -3.0]]),
            vec![1, 0, 1]
        );
    }
}
