//! Labelled samples in memory, as the network wants them.

use augmentation::corrupt::Corruption;
use augmentation::{Pipeline, ValueRange};
use candle_core::Tensor;
use datasets::Split;
use models::Network;
use rayon::prelude::*;

use crate::evaluate::class_count;
use crate::{Error, Result, ValidationSplit};

/// What the network shall answer to each sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// The class of each sample.
    Labels(Vec<u32>),
    /// Numbers of one shape for each sample, row-major: a regression, class probabilities, several labels at once.
    Dense {
        /// All numbers.
        values: Vec<f32>,
        /// Shape of one sample's target, without the batch.
        shape: Vec<usize>,
    },
}

impl Targets {
    fn select(&self, indices: &[usize]) -> Targets {
        match self {
            Targets::Labels(labels) => Targets::Labels(indices.iter().map(|&i| labels[i]).collect()),
            Targets::Dense { values, shape } => Targets::Dense {
                values: gathered(values, shape.iter().product(), indices),
                shape: shape.clone(),
            },
        }
    }
}

/// Inputs of one shape with a target each: a class label, or numbers.
///
/// ```
/// use training::Samples;
///
/// // two samples of two features
/// let samples = Samples::new(vec![0.0, 1.0, 1.0, 0.0], vec![2], vec![0, 1])?;
/// assert_eq!((samples.len(), samples.shape()), (2, &[2][..]));
/// // the same with a number to be predicted instead of a class, and the second sample twice as important
/// let samples = Samples::with_targets(vec![0.0, 1.0, 1.0, 0.0], vec![2], vec![0.3, -1.2], vec![1])?
///     .sample_weights(vec![1.0, 2.0])?;
/// # Ok::<(), training::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    inputs: Vec<f32>,
    shape: Vec<usize>,
    targets: Targets,
    weights: Option<Vec<f32>>,
    /// Index of each sample in the data set it came from: the key of its random draws.
    ids: Vec<u64>,
    /// Whether every input is a level of a byte, `k / 255`, so that pipelines can work on bytes.
    levels: bool,
}

/// Copies from here on are worth a second thread: 256 KiB.
const PARALLEL: usize = 1 << 16;

/// The rows of `size` values at `indices`.
fn gathered(values: &[f32], size: usize, indices: &[usize]) -> Vec<f32> {
    if indices.len() * size < PARALLEL {
        let mut rows = Vec::with_capacity(indices.len() * size);
        for &i in indices {
            rows.extend_from_slice(&values[i * size..(i + 1) * size]);
        }
        return rows;
    }
    let mut rows = vec![0.0; indices.len() * size];
    gather_into(values, size, indices, &mut rows);
    rows
}

/// Copies the rows of `size` values at `indices` into `rows`, a large batch on all threads.
fn gather_into(values: &[f32], size: usize, indices: &[usize], rows: &mut [f32]) {
    if size == 0 {
        return;
    }
    let copy = |(row, &i): (&mut [f32], &usize)| row.copy_from_slice(&values[i * size..(i + 1) * size]);
    if rows.len() < PARALLEL {
        rows.chunks_exact_mut(size).zip(indices).for_each(copy);
    } else {
        let at_once = (PARALLEL / 4).div_ceil(size);
        rows.par_chunks_mut(size * at_once)
            .zip(indices.par_chunks(at_once))
            .for_each(|(rows, indices)| rows.chunks_exact_mut(size).zip(indices).for_each(copy));
    }
}

/// The product of the axes, where it and `count` of it can be counted.
fn size_of(shape: &[usize], count: usize) -> Option<(usize, usize)> {
    let size = shape.iter().try_fold(1usize, |size, &axis| size.checked_mul(axis))?;
    Some((size, size.checked_mul(count)?))
}

impl Samples {
    /// Samples from row-major `inputs` of `shape` each (without the batch) and one label a sample.
    ///
    /// # Errors
    /// [`Error::Lengths`] where the inputs are not `labels.len()` times the shape.
    pub fn new(inputs: Vec<f32>, shape: Vec<usize>, labels: Vec<u32>) -> Result<Self> {
        let count = labels.len();
        Samples::of(inputs, shape, Targets::Labels(labels), count)
    }

    /// Samples with numbers as targets: row-major `inputs` of `shape` each and `targets` of `target_shape` each (both
    /// without the batch).
    ///
    /// # Errors
    /// [`Error::Lengths`] where they are not for the same number of samples, [`Error::Option`] for targets without numbers.
    pub fn with_targets(
        inputs: Vec<f32>,
        shape: Vec<usize>,
        targets: Vec<f32>,
        target_shape: Vec<usize>,
    ) -> Result<Self> {
        let count = match size_of(&target_shape, 1) {
            Some((size, _)) if size > 0 && targets.len().is_multiple_of(size) => targets.len() / size,
            _ => {
                return Err(Error::Option {
                    option: "the shape of a sample's target",
                    expected: "a shape whose numbers divide the number of all targets",
                    found: format!("{} for {} targets", display(&target_shape), targets.len()),
                });
            }
        };
        let targets = Targets::Dense {
            values: targets,
            shape: target_shape,
        };
        Samples::of(inputs, shape, targets, count)
    }

    fn of(inputs: Vec<f32>, shape: Vec<usize>, targets: Targets, count: usize) -> Result<Self> {
        // A size beyond what can be counted is one that no inputs have.
        let size = size_of(&shape, count);
        if size.map(|(_, all)| all) != Some(inputs.len()) {
            return Err(Error::Lengths {
                inputs: inputs.len() / size.map_or(usize::MAX, |(one, _)| one).max(1),
                labels: count,
            });
        }
        Ok(Samples {
            inputs,
            shape,
            targets,
            weights: None,
            ids: (0..count as u64).collect(),
            levels: false,
        })
    }

    /// Gives each sample a weight, with which its loss is multiplied: at least 0 and finite.
    ///
    /// # Errors
    /// [`Error::InvalidWeights`] where their number is another, or one is negative or not finite.
    pub fn sample_weights(mut self, weights: Vec<f32>) -> Result<Self> {
        if weights.len() != self.len() {
            return Err(Error::InvalidWeights {
                expected: format!("{}, one a sample", self.len()),
                found: weights.len().to_string(),
            });
        }
        if let Some(sample) = weights
            .iter()
            .position(|weight| !(*weight >= 0.0 && weight.is_finite()))
        {
            return Err(Error::InvalidWeights {
                expected: "numbers of at least 0".to_string(),
                found: format!("{} for sample {sample}", weights[sample]),
            });
        }
        self.weights = Some(weights);
        Ok(self)
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
        let mut samples = Samples::new(images.to_f32(), shape, split.labels.clone())?;
        samples.levels = images.max_value == u8::MAX;
        samples.check_labels(network)?;
        Ok(samples)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Shape of one sample.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Labels in order; none where the targets are numbers.
    pub fn labels(&self) -> &[u32] {
        match &self.targets {
            Targets::Labels(labels) => labels,
            Targets::Dense { .. } => &[],
        }
    }

    /// What the network shall answer.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The weight of each sample, where they have some.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
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
            targets: self.targets.select(indices),
            weights: (self.weights.as_ref()).map(|weights| indices.iter().map(|&i| weights[i]).collect()),
            ids: indices.iter().map(|&i| self.ids[i]).collect(),
            levels: self.levels,
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
        let parts = ValidationSplit::random(fraction).parts(self.len(), seed, 0)?;
        Ok((self.select(&parts.training), self.select(&parts.validation)))
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
        let all: Vec<usize> = (0..self.len()).collect();
        Ok(Samples {
            inputs: self.through(pipeline, &all, seed, epoch)?,
            shape: self.shape.clone(),
            targets: self.targets.clone(),
            weights: self.weights.clone(),
            ids: self.ids.clone(),
            // Where the pipeline changed floats, their levels are gone.
            levels: self.levels && pipeline.suits_bytes(ValueRange::UNIT),
        })
    }

    /// The inputs at `indices` after a pipeline: of images of bytes computed on bytes, where the pipeline allows it, which is a
    /// quarter of the memory.
    pub(crate) fn through(&self, pipeline: &Pipeline, indices: &[usize], seed: u64, epoch: u64) -> Result<Vec<f32>> {
        let shape = self.image_shape("the shape of samples for a pipeline")?;
        let ids = self.ids(indices);
        if !(self.levels && pipeline.suits_bytes(ValueRange::UNIT)) {
            let mut rows = self.rows(indices);
            pipeline.apply_batch(&mut rows, shape, &ids, seed, epoch)?;
            return Ok(rows);
        }
        let size = self.size();
        let at_once = (PARALLEL / 4).div_ceil(size.max(1));
        // A level as a float is within far less than a half of a whole number, which this sum has in its last bits; `as u8` would saturate
        // one number after the other.
        let level = |value: &f32| (value * 255.0 + 8_388_608.0).to_bits() as u8;
        // As `datasets` scales them: a byte that nothing changed stays the same to the bit.
        let values: [f32; 256] = std::array::from_fn(|level| level as f32 / 255.0);
        let mut rows = vec![0.0; indices.len() * size];
        // A few images make their whole way at once, so that their bytes stay near the processor, and the threads are called once.
        let outcomes: Vec<Result<()>> = rows
            .par_chunks_mut((size * at_once).max(1))
            .zip(indices.par_chunks(at_once).zip(ids.par_chunks(at_once)))
            .map_init(Vec::new, |bytes, (rows, (indices, ids))| {
                bytes.clear();
                for &i in indices {
                    bytes.extend(self.inputs[i * size..(i + 1) * size].iter().map(level));
                }
                pipeline.apply_batch_bytes(bytes, ValueRange::UNIT, shape, ids, seed, epoch)?;
                for (value, &byte) in rows.iter_mut().zip(bytes.iter()) {
                    *value = values[usize::from(byte)];
                }
                Ok(())
            })
            .collect();
        outcomes.into_iter().collect::<Result<()>>()?;
        Ok(rows)
    }

    /// The samples damaged with a severity of 1 to 5, for robustness studies; their values must be in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Option`] where the samples are no images, [`Error::Augmentation`] for another severity.
    pub fn corrupted(&self, corruption: Corruption, severity: u8, seed: u64) -> Result<Samples> {
        let shape = self.image_shape("the shape of samples for a corruption")?;
        let mut changed = self.clone();
        changed.levels = false;
        corruption.apply_batch(&mut changed.inputs, shape, &self.ids, severity, ValueRange::UNIT, seed)?;
        Ok(changed)
    }

    pub(crate) fn image_shape(&self, option: &'static str) -> Result<(usize, usize, usize)> {
        match *self.shape {
            [height, width, channels] => Ok((height, width, channels)),
            _ => Err(Error::Option {
                option,
                expected: "(height, width, channels)",
                found: display(&self.shape),
            }),
        }
    }

    /// Checks that every label has an output neuron of `network`, and that targets of numbers have its output's shape.
    ///
    /// # Errors
    /// [`Error::Label`] for the first label that has none, [`Error::TargetShape`].
    pub fn check_labels(&self, network: &Network) -> Result<()> {
        let output = network.output_shape();
        let classes = class_count(network);
        match &self.targets {
            Targets::Labels(labels) => match labels.iter().position(|&label| label as usize >= classes) {
                None => Ok(()),
                Some(sample) => Err(Error::Label {
                    sample,
                    label: labels[sample],
                    classes,
                    network: network.name().to_string(),
                }),
            },
            Targets::Dense { shape, .. } if *shape == output => Ok(()),
            Targets::Dense { shape, .. } => Err(Error::TargetShape {
                network: network.name().to_string(),
                expected: display(&output),
                found: display(shape),
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

    /// Numbers of one sample's input.
    pub(crate) fn size(&self) -> usize {
        self.shape.iter().product()
    }

    pub(crate) fn rows(&self, indices: &[usize]) -> Vec<f32> {
        gathered(&self.inputs, self.size(), indices)
    }

    /// The inputs at `indices` into a buffer of their size.
    pub(crate) fn rows_into(&self, indices: &[usize], rows: &mut [f32]) {
        gather_into(&self.inputs, self.size(), indices, rows);
    }

    pub(crate) fn ids(&self, indices: &[usize]) -> Vec<u64> {
        indices.iter().map(|&i| self.ids[i]).collect()
    }

    /// The targets at `indices`: labels as u32 `(batch,)` (0 and 1 as numbers `(batch, 1)` for a single output), numbers in the network's format `(batch, *shape)`.
    pub(crate) fn target_tensor(&self, indices: &[usize], network: &Network) -> Result<Tensor> {
        let (device, count) = (network.device(), indices.len());
        match &self.targets {
            Targets::Labels(labels) => {
                let labels: Vec<u32> = indices.iter().map(|&i| labels[i]).collect();
                let labels = Tensor::from_vec(labels, count, device)?;
                // One output decides between two classes: its target is a number like it.
                Ok(match network.output_shape().as_slice() {
                    [1] => labels.to_dtype(network.dtype())?.reshape((count, 1))?,
                    _ => labels,
                })
            }
            Targets::Dense { values, shape } => {
                let rows = gathered(values, shape.iter().product(), indices);
                let shape = [&[count], shape.as_slice()].concat();
                Ok(Tensor::from_vec(rows, shape, device)?.to_dtype(network.dtype())?)
            }
        }
    }

    /// `rows` as a tensor `(batch, *shape)` of the network's type on its device.
    pub(crate) fn tensor(&self, rows: Vec<f32>, network: &Network) -> Result<Tensor> {
        let count = rows.len() / self.size().max(1);
        let shape = [&[count], self.shape.as_slice()].concat();
        Ok(Tensor::from_vec(rows, shape, network.device())?.to_dtype(network.dtype())?)
    }
}

pub(crate) fn display(shape: &[usize]) -> String {
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
    fn images_of_bytes_are_changed_as_bytes() {
        let pixels: Vec<u8> = (0..2 * 64 * 3).map(|i| (i * 151 % 256) as u8).collect();
        let images = datasets::Images::new(8, 8, 3, 255, pixels).unwrap();
        let split = Split::new(images, vec![0, 1]).unwrap();
        let spec = nn_theory::ModelSpec::sequential("colours")
            .input([8, 8, 3])
            .layer(nn_theory::Flatten::new())
            .layer(nn_theory::Dense::new(2));
        let network = Network::new(
            spec.build().unwrap(),
            1,
            &candle_core::Device::Cpu,
            candle_core::DType::F32,
        )
        .unwrap();
        let bytes = Samples::for_network(&split, &network).unwrap();
        let floats = Samples::new(bytes.inputs().to_vec(), vec![8, 8, 3], vec![0, 1]).unwrap();
        let changed = |text: &str| {
            let pipeline = Pipeline::parse_for(text, ValueRange::UNIT).unwrap();
            let of = |samples: &Samples| samples.augmented(&pipeline, 1, 2).unwrap().inputs().to_vec();
            (of(&bytes), of(&floats))
        };
        // What only moves pixels gives the same bits, what computes is rounded to levels, and what bytes cannot hold is not.
        let (a, b) = changed("flip(horizontal) | pad_and_crop(2)");
        assert_eq!(a, b);
        let (a, b) = changed("rotate(0.1) | contrast(0.3)");
        assert_ne!(a, b);
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 2.5 / 255.0));
        assert!(
            a.iter()
                .all(|value| (value * 255.0 - (value * 255.0).round()).abs() < 1e-4)
        );
        let (a, b) = changed("normalize([0.5, 0.5, 0.5], [0.25, 0.25, 0.25])");
        assert_eq!(a, b);
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
