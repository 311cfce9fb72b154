//! One training of one network, and its answers.

use augmentation::{Pipeline, ValueRange};
use candle_core::{DType, Device};
use models::{Network, zoo};
use nn_theory::ModelSpec;
use optimizers::Optimizer;
use optimizers::schedules::CosineDecay;
use training::{Samples, Trainer, predict};

use crate::Result;

/// A network and how it is trained.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    /// What tells it from the others.
    pub(crate) name: &'static str,
    /// The network.
    pub(crate) network: fn() -> models::Result<ModelSpec>,
    /// Whether the layer `gradients` holds directional derivatives and stays as it is.
    pub(crate) fixed_gradients: bool,
    /// What happens to the training images.
    pub(crate) augmentation: &'static str,
    /// How often every training image is seen.
    pub(crate) epochs: usize,
    /// Images of one step.
    pub(crate) batch_size: usize,
    /// How the weights are changed.
    pub(crate) update: Update,
}

/// An optimizer and its learning rate.
#[derive(Clone, Copy)]
pub(crate) enum Update {
    /// Stochastic gradient descent at one rate, as in the lecture.
    Sgd { learning_rate: f64 },
    /// AdamW, whose rate follows half a cosine down to 0.
    AdamW { learning_rate: f64, weight_decay: f64 },
}

impl Recipe {
    /// The network with the weights it starts from.
    pub(crate) fn start(&self, seed: u64) -> Result<Network> {
        let mut network = Network::new((self.network)()?, seed, &Device::Cpu, DType::F32)?;
        if self.fixed_gradients {
            zoo::set_oriented_gradients(&mut network, "gradients")?;
        }
        Ok(network)
    }

    /// The network after training on `samples`; all random draws are those of `seed`.
    pub(crate) fn train(&self, samples: &Samples, seed: u64) -> Result<Network> {
        let mut network = self.start(seed)?;
        let mut optimizer = self.optimizer(samples.len())?;
        let pipeline = Pipeline::parse_for(self.augmentation, ValueRange::UNIT)?;
        let mut trainer = Trainer::new()
            .epochs(self.epochs)
            .batch_size(self.batch_size)
            .seed(seed);
        if !pipeline.is_empty() {
            trainer = trainer.augment(&pipeline);
        }
        trainer.fit(&mut network, &mut optimizer, samples)?;
        Ok(network)
    }

    fn optimizer(&self, samples: usize) -> Result<Optimizer> {
        Ok(match self.update {
            Update::Sgd { learning_rate } => Optimizer::builder("sgd")?.learning_rate(learning_rate).build()?,
            Update::AdamW {
                learning_rate,
                weight_decay,
            } => {
                let steps = samples.div_ceil(self.batch_size) * self.epochs;
                let schedule = CosineDecay {
                    initial_learning_rate: learning_rate,
                    decay_steps: steps as f64,
                    ..Default::default()
                };
                Optimizer::builder("adamw")?
                    .schedule(schedule)
                    .weight_decay(weight_decay)
                    .exclude_from_weight_decay(["bias", "gamma", "beta"])
                    .build()?
            }
        })
    }
}

/// The probabilities of each class for each sample.
pub(crate) fn probabilities(network: &Network, samples: &Samples) -> Result<Vec<Vec<f64>>> {
    let mut rows = predict(network, samples, 80)?;
    rows.iter_mut().for_each(|logits| softmax(logits));
    Ok(rows)
}

/// Logits become probabilities.
fn softmax(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|value| *value = (*value - largest).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum);
}

/// The mean of the probabilities for each image and for its mirror image.
pub(crate) fn mirrored_probabilities(network: &Network, images: &Samples) -> Result<Vec<Vec<f64>>> {
    let both = [
        probabilities(network, images)?,
        probabilities(network, &mirrored(images)?)?,
    ];
    Ok(mean(&both))
}

/// Left becomes right.
fn mirrored(images: &Samples) -> Result<Samples> {
    let &[_, width, channels] = images.shape() else {
        return Err(format!("no images to mirror, but samples of {:?}", images.shape()).into());
    };
    let rows = images.inputs().chunks_exact(width * channels);
    let pixels = rows.flat_map(|row| row.chunks_exact(channels).rev().flatten().copied());
    Ok(Samples::new(
        pixels.collect(),
        images.shape().to_vec(),
        images.labels().to_vec(),
    )?)
}

/// The mean of several tables of probabilities.
pub(crate) fn mean(tables: &[Vec<Vec<f64>>]) -> Vec<Vec<f64>> {
    let mut sum = tables.first().cloned().unwrap_or_default();
    for table in tables.iter().skip(1) {
        for (sum, value) in sum.iter_mut().flatten().zip(table.iter().flatten()) {
            *sum += value;
        }
    }
    sum.iter_mut().flatten().for_each(|value| *value /= tables.len() as f64);
    sum
}
