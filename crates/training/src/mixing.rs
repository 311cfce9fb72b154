//! Batches whose images and labels are blended with those of other samples: `mixup` and `cutmix` at the end of a pipeline.

use augmentation::{Blend, Pipeline};
use rayon::prelude::*;

use crate::right::arg_max;
use crate::{Result, Samples, Targets};

/// What the samples of a step shall be answered with, where they are blends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mixed {
    /// Row-major: the probabilities of the classes (of the second class alone for a network with one output), or the blended
    /// numbers.
    pub(crate) targets: Vec<f32>,
    /// The blended weights of the samples.
    pub(crate) weights: Option<Vec<f32>>,
    /// The class that weighs most in each blend; none where the targets are numbers.
    pub(crate) labels: Vec<u32>,
}

/// What blends are made of.
pub(crate) struct Mixer<'a> {
    pub(crate) samples: &'a Samples,
    pub(crate) pipeline: &'a Pipeline,
    /// Outputs of the network.
    pub(crate) outputs: usize,
    /// One weight a sample.
    pub(crate) weights: Option<&'a [f32]>,
}

impl Mixer<'_> {
    /// The inputs of the samples at `indices` after the whole pipeline, and their targets. Partners come from `pool`, and have been
    /// through the steps before the blending, each with its own draws of this epoch.
    pub(crate) fn mixed(&self, seed: u64, epoch: u64, indices: &[usize], pool: &[usize]) -> Result<(Vec<f32>, Mixed)> {
        let shape = self.samples.image_shape("the shape of samples for a pipeline")?;
        let blends: Vec<Vec<Blend>> = self
            .samples
            .ids(indices)
            .into_iter()
            .map(|id| {
                let stream = Pipeline::stream(seed, epoch, id);
                self.pipeline.draw_blends(shape, stream, pool.len())
            })
            .collect();
        let mut all = indices.to_vec();
        all.extend(blends.iter().flatten().map(|blend| pool[blend.partner]));
        let alone = self.pipeline.without_mixing();
        let mut rows = self.samples.through(&alone, &all, seed, epoch)?;

        // Where the partners of each image begin.
        let firsts = blends.iter().scan(indices.len(), |next, blends| {
            let first = *next;
            *next += blends.len();
            Some(first)
        });
        let firsts: Vec<usize> = firsts.collect();
        let size = self.samples.size();
        let (own, partners) = rows.split_at_mut(indices.len() * size);
        let partner = |place: usize| &partners[(place - indices.len()) * size..][..size];
        own.par_chunks_exact_mut(size)
            .zip(&blends)
            .zip(&firsts)
            .for_each(|((image, blends), &first)| {
                for (k, blend) in blends.iter().enumerate() {
                    blend.apply(image, partner(first + k), shape.into());
                }
            });
        rows.truncate(indices.len() * size);

        let blended = |values: &mut [f32], width: usize| {
            let (own, partners) = values.split_at_mut(indices.len() * width);
            for ((row, blends), first) in own.chunks_exact_mut(width).zip(&blends).zip(&firsts) {
                for (k, blend) in blends.iter().enumerate() {
                    blend.label(row, &partners[(first + k - indices.len()) * width..][..width]);
                }
            }
        };
        let (mut targets, width) = self.targets(&all);
        blended(&mut targets, width);
        targets.truncate(indices.len() * width);
        let weights = self.weights.map(|weights| {
            let mut weights: Vec<f32> = all.iter().map(|&i| weights[i]).collect();
            blended(&mut weights, 1);
            weights.truncate(indices.len());
            weights
        });
        let most = |row: &[f32]| match *row {
            [second] => u32::from(second > 0.5),
            _ => arg_max(row) as u32,
        };
        let labels = match self.samples.targets() {
            Targets::Labels(_) => targets.chunks_exact(width).map(most).collect(),
            Targets::Dense { .. } => Vec::new(),
        };
        Ok((
            rows,
            Mixed {
                targets,
                weights,
                labels,
            },
        ))
    }

    /// The targets at `indices` as rows of numbers, and how many of them a sample has.
    fn targets(&self, indices: &[usize]) -> (Vec<f32>, usize) {
        match self.samples.targets() {
            Targets::Dense { values, shape } => {
                let width = shape.iter().product::<usize>();
                let rows = indices.iter().flat_map(|&i| &values[i * width..(i + 1) * width]);
                (rows.copied().collect(), width)
            }
            Targets::Labels(labels) if self.outputs == 1 => (indices.iter().map(|&i| labels[i] as f32).collect(), 1),
            Targets::Labels(labels) => {
                let mut rows = vec![0.0; indices.len() * self.outputs];
                for (row, &i) in rows.chunks_exact_mut(self.outputs).zip(indices) {
                    row[labels[i] as usize] = 1.0;
                }
                (rows, self.outputs)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use augmentation::ValueRange;

    use super::*;

    const PIPELINE: &str = "flip(horizontal) | rotate(0.1) | mixup(1) @ 0.6 | one_of(mixup(0.5), cutmix()) @ 0.8";

    fn images() -> Samples {
        let inputs = (0..12 * 30).map(|i| (i * 37 % 101) as f32 / 100.0).collect();
        let samples = Samples::new(inputs, vec![5, 6, 1], (0..12).map(|i| i % 3).collect()).unwrap();
        samples.sample_weights((0..12).map(|i| i as f32).collect()).unwrap()
    }

    fn mixed(indices: &[usize], seed: u64, epoch: u64) -> (Vec<f32>, Mixed) {
        let (samples, pipeline) = (images(), Pipeline::parse_for(PIPELINE, ValueRange::UNIT).unwrap());
        let mixer = Mixer {
            samples: &samples,
            pipeline: &pipeline,
            outputs: 3,
            weights: samples.weights(),
        };
        let pool: Vec<usize> = (0..12).collect();
        mixer.mixed(seed, epoch, indices, &pool).unwrap()
    }

    #[test]
    fn a_sample_becomes_the_same_blend_in_any_batch() {
        let all: Vec<usize> = (0..12).collect();
        let (rows, whole) = mixed(&all, 5, 2);
        for batch in [&[7][..], &[3, 11, 0], &[11, 3]] {
            let (some, of_batch) = mixed(batch, 5, 2);
            for (k, &i) in batch.iter().enumerate() {
                assert_eq!(some[k * 30..(k + 1) * 30], rows[i * 30..(i + 1) * 30]);
                assert_eq!(of_batch.targets[k * 3..(k + 1) * 3], whole.targets[i * 3..(i + 1) * 3]);
                assert_eq!(of_batch.labels[k], whole.labels[i]);
                assert_eq!(
                    of_batch.weights.as_ref().unwrap()[k],
                    whole.weights.as_ref().unwrap()[i]
                );
            }
        }
        assert_ne!(mixed(&all, 5, 3), (rows, whole));
    }

    #[test]
    fn labels_are_probabilities_and_most_samples_are_blended() {
        let all: Vec<usize> = (0..12).collect();
        let mut blended = 0;
        for epoch in 0..20 {
            let (rows, mixed) = mixed(&all, 1, epoch);
            assert_eq!((rows.len(), mixed.targets.len()), (12 * 30, 36));
            for (row, &label) in mixed.targets.chunks(3).zip(&mixed.labels) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row.iter().all(|p| (0.0..=1.0).contains(p)));
                assert!(row.iter().all(|&p| p <= row[label as usize]));
                blended += usize::from(row.iter().all(|&p| p < 0.999));
            }
        }
        // 1 - 0.4 * 0.2 of the samples are blended, of which a third (and more by chance) have a partner of their own class.
        assert!((100..180).contains(&blended), "{blended}");
    }
}
