//! How good a network is on samples that it does not learn from.

use augmentation::Pipeline;
use candle_core::{DType, Tensor};
use indexmap::IndexMap;
use models::{Mode, Network};
use serde::{Deserialize, Serialize};

use crate::objective::{Example, objective};
use crate::right::{arg_max, classes, threshold};
use crate::{Error, Loss, Metric, Result, Samples, Targets};

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

/// Loss, accuracy and confusion matrix of a network on samples with labels, in inference mode.
///
/// # Errors
/// [`Error::EmptyData`] without samples, [`Error::InputShape`] or [`Error::Label`] where they do not fit the network,
/// [`Error::Targets`] where their targets are numbers ([`measure`] is for those).
pub fn evaluate(network: &Network, samples: &Samples, loss: Loss, batch_size: usize) -> Result<Evaluation> {
    if !samples.is_empty() && matches!(samples.targets(), Targets::Dense { .. }) {
        return Err(Error::Targets {
            what: "an evaluation with accuracy and confusion matrix",
            expected: "class labels",
            found: "numbers as targets; use training::measure",
        });
    }
    let mut predictions = Vec::with_capacity(samples.len());
    let order: Vec<usize> = (0..samples.len()).collect();
    let measured = measure_at(
        network,
        samples,
        &order,
        loss,
        [&mut [], &mut []],
        batch_size,
        Some(&mut predictions),
    )?;
    let classes = class_count(network);
    let mut confusion = vec![vec![0; classes]; classes];
    for (&label, &prediction) in samples.labels().iter().zip(&predictions) {
        confusion[label as usize][prediction as usize] += 1;
    }
    Ok(Evaluation {
        loss: measured.loss,
        accuracy: measured.accuracy.unwrap_or(f64::NAN),
        confusion,
        predictions,
    })
}

/// Number of classes that a network tells apart: two where it has one output, which decides between them.
pub(crate) fn class_count(network: &Network) -> usize {
    match network.output_shape().last() {
        Some(&1) | None => 2,
        Some(&classes) => classes,
    }
}

/// Loss, accuracy (where the targets are labels) and metrics of a network on samples, by name, in inference mode:
/// `model.evaluate(..., return_dict=True)` of Keras.
///
/// The metrics are reset before and after. Weights of the samples count in the loss.
///
/// # Errors
/// As [`evaluate`]; [`Error::TargetShape`] where numbers as targets do not have the shape of the network's output.
pub fn measure(
    network: &Network,
    samples: &Samples,
    loss: Loss,
    metrics: &mut [Box<dyn Metric>],
    batch_size: usize,
) -> Result<IndexMap<String, f64>> {
    let order: Vec<usize> = (0..samples.len()).collect();
    let measured = measure_at(network, samples, &order, loss, [metrics, &mut []], batch_size, None)?;
    let mut figures = IndexMap::from([("loss".to_string(), measured.loss)]);
    figures.extend(measured.accuracy.map(|accuracy| ("accuracy".to_string(), accuracy)));
    figures.extend(measured.metrics);
    Ok(figures)
}

/// What was measured in a pass over samples.
pub(crate) struct Measured {
    pub(crate) loss: f64,
    /// Where the targets are labels.
    pub(crate) accuracy: Option<f64>,
    pub(crate) metrics: Vec<(String, f64)>,
}

/// One pass over the samples at `order`; the predicted classes are added to `predictions`. The second group of metrics
/// counts samples with their weights.
pub(crate) fn measure_at(
    network: &Network,
    samples: &Samples,
    order: &[usize],
    loss: Loss,
    metrics: [&mut [Box<dyn Metric>]; 2],
    batch_size: usize,
    mut predictions: Option<&mut Vec<u32>>,
) -> Result<Measured> {
    if order.is_empty() {
        return Err(Error::EmptyData { what: "test" });
    }
    samples.check_shape(network)?;
    samples.check_labels(network)?;
    let [plain, weighted] = metrics;
    plain
        .iter_mut()
        .chain(weighted.iter_mut())
        .for_each(|metric| metric.reset());
    let labels = samples.labels();
    let (mut total, mut right) = (0.0, 0u64);
    for batch in order.chunks(batch_size.max(1)) {
        let inputs = samples.tensor(samples.rows(batch), network)?;
        let example = Example::new(inputs, samples, samples.weights(), batch, network)?;
        let (pass, value) = objective(network, &example, &loss, Mode::Inference)?;
        let outputs = &pass.outputs()[0];
        total += scalar(&value)? * batch.len() as f64;
        if !labels.is_empty() {
            let mut at = batch.iter();
            classes(outputs, threshold(&loss), |class| {
                right += u64::from(at.next().is_some_and(|&i| labels[i] as usize == class));
                if let Some(predictions) = &mut predictions {
                    predictions.push(class as u32);
                }
            })?;
        }
        for metric in plain.iter_mut() {
            metric.update(outputs, &example.targets, None)?;
        }
        for metric in weighted.iter_mut() {
            metric.update(outputs, &example.targets, example.weights.as_ref())?;
        }
    }
    let both = || plain.iter().chain(weighted.iter());
    let figures = both()
        .map(|metric| (metric.name().to_string(), metric.result()))
        .collect();
    plain
        .iter_mut()
        .chain(weighted.iter_mut())
        .for_each(|metric| metric.reset());
    Ok(Measured {
        loss: total / order.len() as f64,
        accuracy: (!labels.is_empty()).then_some(right as f64 / order.len() as f64),
        metrics: figures,
    })
}

/// A single number of whatever format.
pub(crate) fn scalar(tensor: &Tensor) -> Result<f64> {
    Ok(match tensor.dtype() {
        DType::F32 => f64::from(tensor.to_scalar::<f32>()?),
        _ => tensor.to_dtype(DType::F64)?.to_scalar::<f64>()?,
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
    let right = (rows.iter().zip(labels)).filter(|(row, label)| arg_max(row) == **label as usize);
    right.count() as f64 / rows.len().max(1) as f64
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
}
