//! How a network is trained: the arguments of `model.fit`.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use augmentation::Pipeline;
use models::Network;
use optimizers::Optimizer;

use crate::callbacks::Callback;
use crate::fit::Fit;
use crate::{Error, History, Loss, Metric, Reduction, Result, Samples, ValidationSplit};

/// How a network is trained; the counterpart of the arguments of `keras.Model.compile` and `keras.Model.fit`.
///
/// Every random draw (the order of the samples, dropout, augmentation) is a function of `seed`, the epoch, and the
/// sample or step, so that the same options give the same bits, also when training is resumed in the middle of an epoch.
///
/// What belongs to the step itself is an option of the optimizer: clipping of gradients, accumulation over several steps,
/// schedules, moving averages of the weights, and the scale of the loss. With averages (`use_ema`, or the mean that a
/// schedule-free method keeps) the network is measured with them, callbacks see it with them after every epoch, and it has them
/// at the end, as in Keras.
///
/// ```no_run
/// use candle_core::{DType, Device};
/// use models::{Network, zoo};
/// use optimizers::Optimizer;
/// use training::callbacks::{CsvLogger, EarlyStopping, ReduceLrOnPlateau};
/// use training::{Samples, Trainer, ValidationSplit};
///
/// let digits = datasets::digits();
/// let mut network = Network::new(zoo::digits_cnn()?, 6020, &Device::Cpu, DType::F32)?;
/// let train = Samples::for_network(&digits.train, &network)?;
/// let mut adam = Optimizer::builder("adam")?.clipnorm(1.0).ema(0.99, None).build()?;
/// let (mut stopping, mut plateau, mut log) =
///     (EarlyStopping::new(5), ReduceLrOnPlateau::new(0.5, 2), CsvLogger::new("digits.csv"));
/// let history = Trainer::new()
///     .epochs(50)
///     .batch_size(32)
///     .validation_split(ValidationSplit::random(0.1))
///     .callback(&mut plateau)
///     .callback(&mut stopping)
///     .callback(&mut log)
///     .fit(&mut network, &mut adam, &train)?;
/// println!("{:?}", history.get("val_accuracy"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Trainer<'a> {
    pub(crate) epochs: usize,
    pub(crate) batch_size: usize,
    pub(crate) seed: u64,
    pub(crate) shuffle: bool,
    pub(crate) loss: Loss,
    pub(crate) metrics: Vec<Box<dyn Metric>>,
    pub(crate) weighted_metrics: Vec<Box<dyn Metric>>,
    pub(crate) class_weight: BTreeMap<u32, f32>,
    pub(crate) validation: Option<&'a Samples>,
    pub(crate) validation_split: Option<ValidationSplit>,
    pub(crate) validation_freq: usize,
    pub(crate) validation_batch_size: usize,
    pub(crate) augment: Option<&'a Pipeline>,
    pub(crate) prefetch: Option<usize>,
    pub(crate) history: History,
    pub(crate) interrupt: Option<&'a AtomicBool>,
    pub(crate) callbacks: Vec<&'a mut dyn Callback>,
}

impl Default for Trainer<'_> {
    fn default() -> Self {
        Trainer {
            epochs: 1,
            batch_size: 32,
            seed: 0,
            shuffle: true,
            loss: Loss::default(),
            metrics: Vec::new(),
            weighted_metrics: Vec::new(),
            class_weight: BTreeMap::new(),
            validation: None,
            validation_split: None,
            validation_freq: 1,
            validation_batch_size: 256,
            augment: None,
            prefetch: None,
            history: History::default(),
            interrupt: None,
            callbacks: Vec::new(),
        }
    }
}

impl<'a> Trainer<'a> {
    /// One epoch of batches of 32 in random order, as Keras does by default.
    pub fn new() -> Self {
        Trainer::default()
    }

    /// Number of times that every sample is seen (in all, also when training is resumed).
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Samples of one optimizer step; the last batch of an epoch may be smaller.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// The seed of all random draws.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether each epoch sees the samples in another random order.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// What is made small.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// What is measured besides the loss and, for class labels, the accuracy: on the training samples while training, and
    /// on the validation samples (with `val_` before the name).
    pub fn metrics(mut self, metrics: Vec<Box<dyn Metric>>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Further metrics, which count each sample with its weight (Keras' `weighted_metrics`).
    pub fn weighted_metrics(mut self, metrics: Vec<Box<dyn Metric>>) -> Self {
        self.weighted_metrics = metrics;
        self
    }

    /// What the loss of each class is multiplied by while training; classes that are left out have 1.
    ///
    /// Where the samples have weights of their own, both are multiplied.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (u32, f32)>) -> Self {
        self.class_weight = weights.into_iter().collect();
        self
    }

    /// Samples on which the network is measured after each epoch; goes before [`Trainer::validation_split`].
    pub fn validation_data(mut self, samples: &'a Samples) -> Self {
        self.validation = Some(samples);
        self
    }

    /// Holds out a part of the samples and measures the network on it.
    pub fn validation_split(mut self, split: ValidationSplit) -> Self {
        self.validation_split = Some(split);
        self
    }

    /// Measures on the validation samples only after every so many epochs.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = epochs;
        self
    }

    /// Samples that are measured at once (default 256).
    pub fn validation_batch_size(mut self, batch_size: usize) -> Self {
        self.validation_batch_size = batch_size;
        self
    }

    /// What happens to each training image before the network sees it.
    ///
    /// Images of bytes ([`Samples::for_network`]) go through it as bytes where it allows that ([`Pipeline::suits_bytes`]), rounded to
    /// the nearest level after each step. `mixup(...)` and `cutmix(...)` at its end blend an image and its label with those of another
    /// training sample, which is drawn by seed, epoch and sample, so that no batch changes what a sample becomes. The loss then takes
    /// probabilities of classes: [`Loss::SparseCategoricalCrossentropy`] becomes [`Loss::CategoricalCrossentropy`], which has the same
    /// value for certain labels; accuracy and metrics count the class that weighs most.
    pub fn augment(mut self, pipeline: &'a Pipeline) -> Self {
        self.augment = Some(pipeline);
        self
    }

    /// How many batches a thread may make ahead; 0 is none. The bits are the same.
    ///
    /// By default it is 2 with augmentation. Without it a batch is one copy of memory, which costs less than handing it
    /// from thread to thread.
    pub fn prefetch(mut self, batches: usize) -> Self {
        self.prefetch = Some(batches);
        self
    }

    /// Goes on after the epochs (and the steps of an interrupted epoch) of `history`, with a network and an optimizer that
    /// stand where they stood then. The callbacks take their state from it.
    pub fn resume(mut self, history: History) -> Self {
        self.history = history;
        self
    }

    /// A flag that ends training after the step in progress (set by a Ctrl-C handler).
    ///
    /// Weights, optimizer and history then stand after that step; [`crate::Checkpoint`] writes them, and
    /// [`Trainer::resume`] goes on with the next step.
    pub fn interrupt(mut self, flag: &'a AtomicBool) -> Self {
        self.interrupt = Some(flag);
        self
    }

    /// Something that is told how training goes; callbacks run in the order in which they were added.
    pub fn callback(mut self, callback: &'a mut dyn Callback) -> Self {
        self.callbacks.push(callback);
        self
    }

    /// Trains `network` with `optimizer` on `samples`.
    ///
    /// # Errors
    /// Data that do not fit the network ([`Error::EmptyData`], [`Error::InputShape`], [`Error::Label`],
    /// [`Error::TargetShape`]), a loss that is not finite ([`Error::NonFiniteLoss`]), a trainable weight without a gradient
    /// ([`Error::LostGradient`]), a layer without values ([`Error::EmptyLayer`]), a history that belongs to another training ([`Error::Position`]).
    pub fn fit(self, network: &mut Network, optimizer: &mut Optimizer, samples: &Samples) -> Result<History> {
        self.check(network, samples)?;
        Fit::new(self, network, optimizer, samples)?.run()
    }

    fn check(&self, network: &Network, samples: &Samples) -> Result<()> {
        for (option, value) in [
            ("batch_size", self.batch_size),
            ("validation_freq", self.validation_freq),
            ("validation_batch_size", self.validation_batch_size),
        ] {
            if value == 0 {
                return Err(Error::Option {
                    option,
                    expected: "at least 1",
                    found: "0".to_string(),
                });
            }
        }
        if self.loss.reduction == Reduction::None {
            return Err(Error::Option {
                option: "the reduction of the loss",
                expected: "one that makes one number of the losses of a batch",
                found: "none".to_string(),
            });
        }
        let mut nodes = network.spec().nodes().iter();
        if let Some(node) = nodes.find(|node| node.output_shape.0.contains(&Some(0))) {
            return Err(Error::EmptyLayer {
                network: network.name().to_string(),
                layer: node.name.clone(),
                found: node.output_shape.to_string(),
            });
        }
        for (what, set) in [("training", Some(samples)), ("validation", self.validation)] {
            let Some(set) = set else { continue };
            if set.is_empty() {
                return Err(Error::EmptyData { what });
            }
            set.check_shape(network)?;
            set.check_labels(network)?;
        }
        if self.augment.is_some() && samples.shape().len() != 3 {
            return Err(Error::InputShape {
                network: network.name().to_string(),
                expected: "(height, width, channels) for an augmentation pipeline".to_string(),
                found: format!("{:?}", samples.shape()),
            });
        }
        if self.augment.is_some_and(Pipeline::mixes) && self.loss.of_blends().is_none() {
            return Err(Error::Option {
                option: "the loss for a pipeline with mixup or cutmix",
                expected: "one that takes probabilities of classes, or class numbers without an ignore_class",
                found: format!("{:?}", self.loss.function),
            });
        }
        Ok(())
    }

    /// Weights of samples and classes together, where there are some.
    pub(crate) fn sample_weights(&self, samples: &Samples) -> Result<Option<Vec<f32>>> {
        if self.class_weight.is_empty() {
            return Ok(samples.weights().map(<[f32]>::to_vec));
        }
        if samples.labels().is_empty() {
            return Err(Error::Targets {
                what: "class_weight",
                expected: "class labels",
                found: "numbers as targets",
            });
        }
        if let Some((class, weight)) = self.class_weight.iter().find(|(_, w)| !(**w >= 0.0 && w.is_finite())) {
            return Err(Error::InvalidWeights {
                expected: "numbers of at least 0".to_string(),
                found: format!("{weight} for class {class}"),
            });
        }
        let of = |label: &u32| self.class_weight.get(label).copied().unwrap_or(1.0);
        let mut weights: Vec<f32> = samples.labels().iter().map(of).collect();
        if let Some(own) = samples.weights() {
            weights.iter_mut().zip(own).for_each(|(weight, own)| *weight *= own);
        }
        Ok(Some(weights))
    }
}
