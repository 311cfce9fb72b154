//! Labelled samples in memory, as the network wants them.

use augmentation::corrupt::Corruption;
use augmentation::{Pipeline, ValueRange};
use candle_core::{Device, Tensor};
use datasets::Split;
use kernels::random::Stream;
use models::Network;

use crate::{Error, Result};

/// Inputs of one shape with a class label each.
///
/// ```
/// use training::Samples;
///
/// // two samples of two features
/// let samples = Samples::new(vec![0.0, 1.0, 1.0, 0.0], vec![2], vec![0, 1])?;
/// assert_eq!((samples.len(), samples.shape()), (2, &[2][..]));
/// # Ok::<(), training::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    inputs: Vec<f32>,
    shape: Vec<usize>,
    labels: Vec<u32>,
    /// Index of each sample in the data set it came from: the key of its random draws.
    ids: Vec<u64>,
}

impl Samples {
    /// Samples from row-major `inputs` of `shape` each (without the batch) and one label a sample.
    ///
    /// # Errors
    /// [`Error::Lengths`] where the inputs are not `labels.len()` times the shape.
    pub fn new(inputs: Vec<f32>, shape: Vec<usize>, labels: Vec<u32>) -> Result<Self> {
        // A size beyond what can be counted is one that no inputs have.
        let size = shape.iter().try_fold(1usize, |size, &axis| size.checked_mul(axis));
        if size.and_then(|size| size.checked_mul(labels.len())) != Some(inputs.len()) {
            return Err(Error::Lengths {
                inputs: inputs.len() / size.unwrap_or(usize::MAX).max(1),
                labels: labels.len(),
            });
        }
        let ids = (0..labels.len() as u64).collect();
        Ok(Samples {
            inputs,
            shape,
            labels,
            ids,
        })
    }

    /// The images of a data set, scaled to `[0, 1]`, in the shape that `network` reads: `(height, width, channels)`, or
    /// one row of pixels for a network whose input has one axis.
    ///
    /// # Errors
    /// [`Error::InputShape`] where the images do not fit the network, [`Error::Label`] where a label has no output.
    pub fn for_network(split: &Split, network: &Network) -> Result<Self> {
        let images = &split.images;
        let found = vec![images.height, images.width, images.channels];
        let expected = network.input_shape();
        let flat = vec![found.iter().product::<usize>()];
        let shape = if expected == found {
            found
        } else if expected == flat {
            flat
        } else {
            return Err(Error::InputShape {
                network: network.name().to_string(),
                expected: display(&expected),
                found: display(&found),
            });
        };
        let samples = Samples::new(images.to_f32(), shape, split.labels.clone())?;
        samples.check_labels(network)?;
        Ok(samples)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Shape of one sample.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Labels in order.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Inputs of all samples, row-major.
    pub fn inputs(&self) -> &[f32] {
        &self.inputs
    }

    /// The samples at `indices`, in that order; they keep the keys of their random draws.
    ///
    /// # Panics
    /// Where an index is not below [`Samples::len`].
    pub fn select(&self, indices: &[usize]) -> Samples {
        Samples {
            inputs: self.rows(indices),
            shape: self.shape.clone(),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            ids: indices.iter().map(|&i| self.ids[i]).collect(),
        }
    }

    /// Two disjoint parts: all but `fraction` of the samples, and `fraction` of them (rounded down, at least one), drawn
    /// at random by the seed.
    ///
    /// Keras' `validation_split` takes the last samples of the array instead, which for data that is sorted by class are
    /// all of one class.
    ///
    /// # Errors
    /// [`Error::Option`] where the fraction is not in `(0, 1)` or leaves nothing to train on.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Samples, Samples)> {
        let held_out = ((self.len() as f64 * fraction) as usize).max(1);
        if !(fraction > 0.0 && fraction < 1.0) || held_out >= self.len() {
            return Err(Error::Option {
                option: "validation_split",
                expected: "a fraction above 0 and below 1 that leaves samples on both sides",
                found: format!("{fraction} of {} samples", self.len()),
            });
        }
        let order = Stream::new(seed).op("validation_split").draws().permutation(self.len());
        let (validation, training) = order.split_at(held_out);
        let sorted = |part: &[usize]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part
        };
        Ok((self.select(&sorted(training)), self.select(&sorted(validation))))
    }

    /// The samples after a pipeline, each with the draws that it has in `epoch` of a training with `seed`; for
    /// augmentation at inference, and for looking at what a training sees.
    ///
    /// ```
    /// use augmentation::{Pipeline, ValueRange};
    /// use training::Samples;
    ///
    /// let samples = Samples::new(vec![0.0, 1.0, 0.5, 0.2], vec![2, 2, 1], vec![0])?;
    /// let flipped = samples.augmented(&Pipeline::parse_for("flip(horizontal)", ValueRange::UNIT)?, 1, 0)?;
    /// assert_eq!((flipped.len(), flipped.labels()), (1, samples.labels()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Option`] where the samples are no images, [`Error::Augmentation`] where a step fails.
    pub fn augmented(&self, pipeline: &Pipeline, seed: u64, epoch: u64) -> Result<Samples> {
        let shape = self.image_shape("the shape of samples for a pipeline")?;
        let mut changed = self.clone();
        pipeline.apply_batch(&mut changed.inputs, shape, &self.ids, seed, epoch)?;
        Ok(changed)
    }

    /// The samples damaged with a severity of 1 to 5, for robustness studies; their values must be in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Option`] where the samples are no images, [`Error::Augmentation`] for another severity.
    pub fn corrupted(&self, corruption: Corruption, severity: u8, seed: u64) -> Result<Samples> {
        let shape = self.image_shape("the shape of samples for a corruption")?;
        let mut changed = self.clone();
        corruption.apply_batch(&mut changed.inputs, shape, &self.ids, severity, ValueRange::UNIT, seed)?;
        Ok(changed)
    }

    fn image_shape(&self, option: &'static str) -> Result<(usize, usize, usize)> {
        match *self.shape {
            [height, width, channels] => Ok((height, width, channels)),
            _ => Err(Error::Option {
                option,
                expected: "(height, width, channels)",
                found: display(&self.shape),
            }),
        }
    }

    /// Checks that every label has an output neuron of `network`.
    ///
    /// # Errors
    /// [`Error::Label`] for the first that has none.
    pub fn check_labels(&self, network: &Network) -> Result<()> {
        let classes = network.output_shape().last().copied().unwrap_or(1);
        match self.labels.iter().position(|&label| label as usize >= classes) {
            None => Ok(()),
            Some(sample) => Err(Error::Label {
                sample,
                label: self.labels[sample],
                classes,
                network: network.name().to_string(),
            }),
        }
    }

    /// Checks that the samples have the shape of the network's input.
    ///
    /// # Errors
    /// [`Error::InputShape`] where they have not.
    pub fn check_shape(&self, network: &Network) -> Result<()> {
        let expected = network.input_shape();
        if expected == self.shape {
            return Ok(());
        }
        Err(Error::InputShape {
            network: network.name().to_string(),
            expected: display(&expected),
            found: display(&self.shape),
        })
    }

    pub(crate) fn rows(&self, indices: &[usize]) -> Vec<f32> {
        let size = self.shape.iter().product::<usize>();
        let mut rows = Vec::with_capacity(indices.len() * size);
        for &i in indices {
            rows.extend_from_slice(&self.inputs[i * size..(i + 1) * size]);
        }
        rows
    }

    pub(crate) fn ids(&self, indices: &[usize]) -> Vec<u64> {
        indices.iter().map(|&i| self.ids[i]).collect()
    }

    pub(crate) fn label_tensor(&self, indices: &[usize], device: &Device) -> Result<Tensor> {
        let labels: Vec<u32> = indices.iter().map(|&i| self.labels[i]).collect();
        Ok(Tensor::from_vec(labels, indices.len(), device)?)
    }

    /// `rows` as a tensor `(batch, *shape)` of the network's type on its device.
    pub(crate) fn tensor(&self, rows: Vec<f32>, network: &Network) -> Result<Tensor> {
        let mut shape = vec![rows.len() / self.shape.iter().product::<usize>().max(1)];
        shape.extend_from_slice(&self.shape);
        Ok(Tensor::from_vec(rows, shape, network.device())?.to_dtype(network.dtype())?)
    }
}

fn display(shape: &[usize]) -> String {
    let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("({})", axes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten() -> Samples {
        Samples::new((0..20).map(|i| i as f32).collect(), vec![2], (0..10).collect()).unwrap()
    }

    #[test]
    fn a_split_is_disjoint_complete_and_repeatable() {
        let (train, validation) = ten().split(0.3, 7).unwrap();
        assert_eq!((train.len(), validation.len()), (7, 3));
        let mut all: Vec<u32> = train.labels().iter().chain(validation.labels()).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        assert_eq!(ten().split(0.3, 7).unwrap().1, validation);
        assert_ne!(ten().split(0.3, 8).unwrap().1, validation);
        // a sample keeps its key wherever it goes
        assert_eq!(validation.ids(&[0])[0], u64::from(validation.labels()[0]));
    }

    #[test]
    fn fractions_that_leave_nothing_are_refused() {
        for fraction in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(ten().split(fraction, 1).is_err(), "{fraction}");
        }
    }

    #[test]
    fn a_sample_is_changed_in_the_same_way_wherever_it_goes() {
        let images = Samples::new(
            (0..64).map(|i| i as f32 / 63.0).collect(),
            vec![4, 4, 1],
            vec![0, 1, 2, 3],
        )
        .unwrap();
        let pipeline = Pipeline::parse_for("rotate(0.2) | translate(0.3, 0.3)", ValueRange::UNIT).unwrap();
        let all = images.augmented(&pipeline, 5, 2).unwrap();
        let some = images.select(&[3, 1]).augmented(&pipeline, 5, 2).unwrap();
        assert_eq!(all.select(&[3, 1]), some);
        assert_ne!(all, images.augmented(&pipeline, 5, 3).unwrap());
        let noisy = images.corrupted(Corruption::GaussianNoise, 3, 1).unwrap();
        let alone = images.select(&[2]).corrupted(Corruption::GaussianNoise, 3, 1).unwrap();
        assert_eq!(noisy.select(&[2]), alone);
    }

    #[test]
    fn what_is_no_image_or_no_severity_is_refused() {
        let error = ten().augmented(&Pipeline::default(), 1, 1).unwrap_err();
        assert!(error.to_string().contains("(height, width, channels)"), "{error}");
        let image = Samples::new(vec![0.5; 16], vec![4, 4, 1], vec![0]).unwrap();
        assert!(image.corrupted(Corruption::Shift, 6, 1).is_err());
    }

    #[test]
    fn inputs_and_labels_must_match() {
        let error = Samples::new(vec![0.0; 5], vec![2], vec![0, 1]).unwrap_err();
        assert!(error.to_string().contains("labels"), "{error}");
    }
}
