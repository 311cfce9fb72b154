//! Augmentation at inference: several versions of a sample are asked about, and the mean answers.

use augmentation::Pipeline;
use models::Network;
use serde::{Deserialize, Serialize};

use crate::evaluate::predict_made;
use crate::pass::Pass;
use crate::{Control, Error, Result, Samples};

/// What is averaged over the versions of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Averaged {
    /// The class probabilities: $ \frac1n \sum_k \mathrm{softmax}(f(T_k(x))) $.
    #[default]
    Probabilities,
    /// The outputs, which then become probabilities: $ \mathrm{softmax}(\frac1n \sum_k f(T_k(x))) $, that is, the
    /// geometric mean of the probabilities: one version that is sure of another class weighs more.
    Logits,
}

/// Augmentation at inference: the class probabilities of each sample, averaged over `copies` augmented versions of it.
///
/// $$ \bar p(x) = \frac1n \sum_{k=1}^{n} \mathrm{softmax}\bigl(f(T_k(x))\bigr) $$
///
/// [`predict_averaged`] can average the logits instead.
///
/// The k-th version of a sample has the draws of epoch `k - 1` of `seed`, so a seed that trained nothing should be given.
///
/// # Errors
/// As [`predict`](crate::predict); [`Error::Option`] for no copies, [`Error::Augmentation`] where a step fails.
pub fn predict_augmented(
    network: &Network,
    samples: &Samples,
    pipeline: &Pipeline,
    copies: usize,
    seed: u64,
    batch_size: usize,
) -> Result<Vec<Vec<f64>>> {
    let averaged = Averaged::Probabilities;
    predict_averaged(network, samples, pipeline, (copies, averaged), seed, batch_size)
}

/// As [`predict_augmented`], with the number of versions and what is averaged over them.
///
/// Outputs that are probabilities already (a network that ends in softmax) are taken as such, and a single output as the
/// probability of the second of two classes.
///
/// # Errors
/// As [`predict_augmented`].
pub fn predict_averaged(
    network: &Network,
    samples: &Samples,
    pipeline: &Pipeline,
    asked: (usize, Averaged),
    seed: u64,
    batch_size: usize,
) -> Result<Vec<Vec<f64>>> {
    let go_on = &mut |_| Control::Continue;
    predict_averaged_watched(network, samples, pipeline, asked, seed, batch_size, go_on)
}

/// As [`predict_averaged`], for someone who waits: `watch` is told after every batch how far it is, and may end it.
///
/// # Errors
/// As [`predict_averaged`]; [`Error::Stopped`] where `watch` ended it.
pub fn predict_averaged_watched(
    network: &Network,
    samples: &Samples,
    pipeline: &Pipeline,
    (copies, averaged): (usize, Averaged),
    seed: u64,
    batch_size: usize,
    watch: &mut dyn FnMut(Pass) -> Control,
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
        // Each batch is augmented when its turn comes, so that whoever waits hears of it, and no version is kept as a whole.
        let version = |batch: &[usize]| samples.through(pipeline, batch, seed, copy as u64);
        let (before, of_samples) = (copy * samples.len(), copies * samples.len());
        let mut told = |pass: Pass| {
            watch(Pass {
                samples: before + pass.samples,
                of_samples,
            })
        };
        let rows = predict_made(network, samples, batch_size, &version, &mut told);
        let mut rows = rows.map_err(|error| match error {
            Error::Stopped { samples, .. } => Error::Stopped {
                samples: before + samples,
                of_samples,
            },
            error => error,
        })?;
        rows.iter_mut().for_each(both_classes);
        let known = rows.iter().all(|row| are_probabilities(row));
        for row in &mut rows {
            match (averaged, known) {
                (Averaged::Probabilities, false) => softmax(row),
                // No probability is quite 0.
                (Averaged::Logits, true) => row.iter_mut().for_each(|p| *p = p.max(1e-30).ln()),
                _ => {}
            }
            row.iter_mut().for_each(|value| *value /= copies as f64);
        }
        if mean.is_empty() {
            mean = rows;
        } else {
            for (sum, value) in mean.iter_mut().flatten().zip(rows.into_iter().flatten()) {
                *sum += value;
            }
        }
    }
    if averaged == Averaged::Logits {
        mean.iter_mut().for_each(|row| softmax(row));
    }
    Ok(mean)
}

/// A single output as the probabilities of two classes.
fn both_classes(row: &mut Vec<f64>) {
    if let [second] = row[..] {
        *row = vec![1.0 - second, second];
    }
}

/// Whether a row is made of parts of a whole; logits of all samples of a set never are.
fn are_probabilities(row: &[f64]) -> bool {
    row.iter().all(|value| (0.0..=1.0).contains(value)) && (row.iter().sum::<f64>() - 1.0).abs() < 1e-3
}

/// Logits become probabilities.
fn softmax(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|value| *value = (*value - largest).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum);
}

#[cfg(test)]
mod tests {
    use augmentation::ValueRange;
    use candle_core::{DType, Device};

    use super::*;
    use crate::evaluate::predict;

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
                rows.iter_mut().for_each(|row| softmax(row));
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
        // The mean of the logits: the same with softmax after it.
        let logits = predict_averaged(&network, &images, &rotate, (3, Averaged::Logits), 9, 8).unwrap();
        for (i, row) in logits.iter().enumerate() {
            let views =
                (0..3).map(|k| predict(&network, &images.augmented(&rotate, 9, k).unwrap(), 8).unwrap()[i].clone());
            let mut expected = vec![0.0; row.len()];
            views.for_each(|view| {
                expected
                    .iter_mut()
                    .zip(view)
                    .for_each(|(sum, logit)| *sum += logit / 3.0)
            });
            softmax(&mut expected);
            assert!(
                row.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12),
                "{row:?} for {expected:?}"
            );
        }
        // Nothing changes the images: the network's own probabilities.
        let plain = predict_augmented(&network, &images, &Pipeline::default(), 1, 9, 8).unwrap();
        let mut logits = predict(&network, &images, 8).unwrap();
        logits.iter_mut().for_each(|row| softmax(row));
        assert_eq!(plain, logits);
        assert!(predict_augmented(&network, &images, &rotate, 0, 9, 8).is_err());
    }

    #[test]
    fn whoever_waits_hears_of_every_batch_of_every_version_and_may_end_it() {
        let network = network();
        let images = Samples::new(vec![0.5; 48], vec![4, 4, 1], vec![0, 2, 1]).unwrap();
        let turn = Pipeline::parse_for("rotate(0.2)", ValueRange::UNIT).unwrap();
        let asked = (2, Averaged::Probabilities);
        let mut told = Vec::new();
        let mut go_on = |pass: Pass| {
            told.push((pass.samples, pass.of_samples));
            Control::Continue
        };
        let watched = predict_averaged_watched(&network, &images, &turn, asked, 9, 2, &mut go_on).unwrap();
        assert_eq!(told, [(2, 6), (3, 6), (5, 6), (6, 6)]);
        assert_eq!(
            watched,
            predict_averaged(&network, &images, &turn, asked, 9, 2).unwrap()
        );
        let mut enough = |pass: Pass| match pass.samples {
            5 => Control::Stop,
            _ => Control::Continue,
        };
        let stopped = predict_averaged_watched(&network, &images, &turn, asked, 9, 2, &mut enough);
        assert!(matches!(
            stopped,
            Err(Error::Stopped {
                samples: 5,
                of_samples: 6
            })
        ));
    }

    #[test]
    fn a_batch_is_augmented_when_its_turn_comes() {
        let network = network();
        let mut pixels = vec![0.5; 48];
        pixels[40] = f32::NAN;
        let images = Samples::new(pixels, vec![4, 4, 1], vec![0, 2, 1]).unwrap();
        let turn = Pipeline::parse_for("rotate(0.2)", ValueRange::UNIT).unwrap();
        let mut told = Vec::new();
        let mut go_on = |pass: Pass| {
            told.push(pass.samples);
            Control::Continue
        };
        let asked = (2, Averaged::Probabilities);
        let refused = predict_averaged_watched(&network, &images, &turn, asked, 9, 2, &mut go_on);
        assert!(matches!(refused, Err(Error::Augmentation(_))), "{refused:?}");
        assert_eq!(
            told,
            [2],
            "the first batch was done before the broken sample of the second was touched"
        );
    }

    #[test]
    fn what_is_a_probability_already_stays_one() {
        let mut one = vec![0.8];
        both_classes(&mut one);
        assert!((one[0] - 0.2).abs() < 1e-12 && one[1] == 0.8);
        assert!(
            are_probabilities(&[0.25, 0.75]) && !are_probabilities(&[0.5, 0.6]) && !are_probabilities(&[-1.0, 2.0])
        );
    }
}
