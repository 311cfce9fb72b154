//! How good a network is on samples that it does not learn from.

use candle_core::{DType, Tensor};
use indexmap::IndexMap;
use models::{Mode, Network};
use serde::{Deserialize, Serialize};

use crate::objective::{Example, objective};
use crate::pass::{Pass, Watch, watched};
use crate::right::{arg_max, classes, threshold};
use crate::{Control, Error, Loss, Metric, Result, Samples, Targets};

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
    predict_watched(network, samples, batch_size, &mut |_| Control::Continue)
}

/// As [`predict`]; `watch` is told after every batch.
pub(crate) fn predict_watched(
    network: &Network,
    samples: &Samples,
    batch_size: usize,
    watch: Watch<'_>,
) -> Result<Vec<Vec<f64>>> {
    predict_made(network, samples, batch_size, &|batch| Ok(samples.rows(batch)), watch)
}

/// As [`predict_watched`], with inputs that are made for each batch of the samples' indices.
pub(crate) fn predict_made(
    network: &Network,
    samples: &Samples,
    batch_size: usize,
    inputs: &dyn Fn(&[usize]) -> Result<Vec<f32>>,
    watch: Watch<'_>,
) -> Result<Vec<Vec<f64>>> {
    if samples.is_empty() {
        return Err(Error::EmptyData { what: "test" });
    }
    samples.check_shape(network)?;
    let order: Vec<usize> = (0..samples.len()).collect();
    let mut rows = Vec::with_capacity(samples.len());
    for batch in order.chunks(batch_size.max(1)) {
        let inputs = samples.tensor(inputs(batch)?, network)?;
        let outputs = network
            .forward(&inputs, Mode::Inference)?
            .to_dtype(candle_core::DType::F64)?;
        rows.extend(outputs.flatten_from(1)?.to_vec2::<f64>()?);
        watched(watch, rows.len(), samples.len())?;
    }
    Ok(rows)
}

/// Loss, accuracy and confusion matrix of a network on samples with labels, in inference mode.
///
/// # Errors
/// [`Error::EmptyData`] without samples, [`Error::InputShape`] or [`Error::Label`] where they do not fit the network,
/// [`Error::Targets`] where their targets are numbers ([`measure`] is for those).
pub fn evaluate(network: &Network, samples: &Samples, loss: Loss, batch_size: usize) -> Result<Evaluation> {
    evaluate_watched(network, samples, loss, batch_size, &mut |_| Control::Continue)
}

/// As [`evaluate`], for someone who waits: `watch` is told after every batch how far it is, and may end it.
///
/// ```
/// use candle_core::{DType, Device};
/// use models::{Network, zoo};
/// use training::{Control, Loss, Pass, Samples, evaluate_watched};
///
/// let network = Network::new(zoo::digits_cnn()?, 1, &Device::Cpu, DType::F32)?;
/// let test = Samples::for_network(&datasets::digits().test, &network)?;
/// let mut told = Vec::new();
/// evaluate_watched(&network, &test, Loss::default(), 256, &mut |pass: Pass| {
///     told.push(pass.samples);
///     Control::Continue
/// })?;
/// assert_eq!(told, [256, test.len()]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`evaluate`]; [`Error::Stopped`] where `watch` ended it.
pub fn evaluate_watched(
    network: &Network,
    samples: &Samples,
    loss: Loss,
    batch_size: usize,
    watch: &mut dyn FnMut(Pass) -> Control,
) -> Result<Evaluation> {
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
        Along {
            predictions: Some(&mut predictions),
            watch: Some(watch),
        },
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

impl Evaluation {
    /// The figures of class probabilities, one row a sample: the mean of $ -\ln p $ of the labels as the loss, and what
    /// follows from the largest probabilities.
    ///
    /// ```
    /// let rows = [vec![0.5, 0.5, 0.0], vec![0.0, 0.25, 0.75]];
    /// let measured = training::Evaluation::of_probabilities(&rows, &[1, 2]);
    /// assert_eq!((measured.accuracy, measured.predictions), (0.5, vec![0, 2]));
    /// assert_eq!(measured.confusion, [[0, 0, 0], [1, 0, 0], [0, 0, 1]]);
    /// ```
    pub fn of_probabilities(rows: &[Vec<f64>], labels: &[u32]) -> Self {
        let predictions: Vec<u32> = rows.iter().map(|row| arg_max(row) as u32).collect();
        let widest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let classes = labels.iter().map(|&label| label as usize + 1).fold(widest, usize::max);
        let mut confusion = vec![vec![0; classes]; classes];
        let mut total = 0.0;
        for ((row, &label), &prediction) in rows.iter().zip(labels).zip(&predictions) {
            confusion[label as usize][prediction as usize] += 1;
            // As Keras clips probabilities.
            total -= row.get(label as usize).copied().unwrap_or(0.0).clamp(1e-7, 1.0).ln();
        }
        Evaluation {
            loss: total / rows.len().max(1) as f64,
            accuracy: accuracy(rows, labels),
            confusion,
            predictions,
        }
    }
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
    let along = Along::default();
    let measured = measure_at(network, samples, &order, loss, [metrics, &mut []], batch_size, along)?;
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

/// What happens beside the measuring.
#[derive(Default)]
pub(crate) struct Along<'a> {
    /// The predicted classes are added here.
    pub(crate) predictions: Option<&'a mut Vec<u32>>,
    /// Is told after every batch.
    pub(crate) watch: Option<Watch<'a>>,
}

/// One pass over the samples at `order`. The second group of metrics counts samples with their weights.
pub(crate) fn measure_at(
    network: &Network,
    samples: &Samples,
    order: &[usize],
    loss: Loss,
    metrics: [&mut [Box<dyn Metric>]; 2],
    batch_size: usize,
    along: Along<'_>,
) -> Result<Measured> {
    let Along {
        mut predictions,
        mut watch,
    } = along;
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
    let (mut total, mut right, mut done) = (0.0, 0u64, 0);
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
        done += batch.len();
        if let Some(watch) = &mut watch {
            watched(watch, done, order.len())?;
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
