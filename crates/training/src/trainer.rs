//! The loop: batches in, history out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use augmentation::Pipeline;
use candle_core::{DType, Tensor};
use kernels::random::Stream;
use models::{Mode, Network};
use optimizers::{Optimizer, Parameter};

use crate::callbacks::{Callback, Control, EpochEnd, StepEnd};
use crate::evaluate::arg_max;
use crate::{EpochRecord, Error, History, Loss, Result, Samples, StopReason, evaluate};

/// How a network is trained; the counterpart of the arguments of `keras.Model.fit`.
///
/// Every random draw (the order of the samples, dropout, augmentation) is a function of `seed`, the epoch, and the
/// sample or step, so that the same options give the same bits, also when training is resumed in the middle.
///
/// ```no_run
/// use candle_core::{DType, Device};
/// use models::{Network, zoo};
/// use optimizers::Optimizer;
/// use training::{Samples, Trainer};
///
/// let digits = datasets::digits();
/// let mut network = Network::new(zoo::digits_cnn()?, 6020, &Device::Cpu, DType::F32)?;
/// let train = Samples::for_network(&digits.train, &network)?;
/// let mut adam = Optimizer::by_name("adam")?;
/// let history = Trainer::new().epochs(10).batch_size(32).fit(&mut network, &mut adam, &train)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Trainer<'a> {
    epochs: usize,
    batch_size: usize,
    seed: u64,
    shuffle: bool,
    loss: Loss,
    validation: Option<&'a Samples>,
    augment: Option<&'a Pipeline>,
    history: History,
    interrupt: Option<&'a AtomicBool>,
    callbacks: Vec<&'a mut dyn Callback>,
}

impl Default for Trainer<'_> {
    fn default() -> Self {
        Trainer {
            epochs: 1,
            batch_size: 32,
            seed: 0,
            shuffle: true,
            loss: Loss::default(),
            validation: None,
            augment: None,
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

    /// Samples on which the network is measured after each epoch ([`Samples::split`] makes some).
    pub fn validation_data(mut self, samples: &'a Samples) -> Self {
        self.validation = Some(samples);
        self
    }

    /// What happens to each training image before the network sees it.
    pub fn augment(mut self, pipeline: &'a Pipeline) -> Self {
        self.augment = Some(pipeline);
        self
    }

    /// Goes on after the epochs of `history`, with a network and an optimizer that stand where they stood then.
    pub fn resume(mut self, history: History) -> Self {
        self.history = history;
        self
    }

    /// A flag that ends training after the step in progress (set by a Ctrl-C handler).
    ///
    /// Weights and optimizer then go back to where they stood after the last whole epoch, so that they belong to the
    /// history and training can be resumed from them; a copy of both is kept for that.
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
    /// An interrupted epoch leaves no record: resuming starts it anew.
    ///
    /// # Errors
    /// Data that do not fit the network ([`Error::EmptyData`], [`Error::InputShape`], [`Error::Label`]), a loss that is
    /// not finite ([`Error::NonFiniteLoss`]), a trainable weight without a gradient ([`Error::LostGradient`]).
    pub fn fit(mut self, network: &mut Network, optimizer: &mut Optimizer, samples: &Samples) -> Result<History> {
        self.check(network, samples)?;
        self.history.stopped = StopReason::Finished;
        for epoch in self.history.epochs.len()..self.epochs {
            let started = Instant::now();
            let start = match self.interrupt {
                Some(_) => Some(Start::of(network, optimizer)?),
                None => None,
            };
            let Some((loss, accuracy)) = self.epoch(epoch, network, optimizer, samples)? else {
                if let Some(start) = start {
                    start.restore(network, optimizer)?;
                }
                self.history.stopped = StopReason::Interrupted;
                break;
            };
            let measured = self
                .validation
                .map(|set| evaluate(network, set, self.loss, 256))
                .transpose()?;
            let record = EpochRecord {
                epoch: epoch + 1,
                loss,
                accuracy,
                val_loss: measured.as_ref().map(|m| m.loss),
                val_accuracy: measured.as_ref().map(|m| m.accuracy),
                learning_rate: optimizer.learning_rate(),
            };
            self.history.epochs.push(record.clone());
            self.history.seconds.push(started.elapsed().as_secs_f64());
            let mut end = EpochEnd {
                record: &record,
                history: &self.history,
                network,
                optimizer,
            };
            let mut control = Control::Continue;
            for callback in &mut self.callbacks {
                if callback.on_epoch_end(&mut end)? == Control::Stop {
                    control = Control::Stop;
                }
            }
            if control == Control::Stop {
                self.history.stopped = StopReason::Callback;
                break;
            }
        }
        for callback in &mut self.callbacks {
            callback.on_train_end(network)?;
        }
        Ok(self.history)
    }

    fn check(&self, network: &Network, samples: &Samples) -> Result<()> {
        if self.batch_size == 0 {
            return Err(Error::Option {
                option: "batch_size",
                expected: "at least 1",
                found: "0".to_string(),
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
        Ok(())
    }

    /// One pass over all samples; `None` where it was interrupted.
    fn epoch(
        &mut self,
        epoch: usize,
        network: &mut Network,
        optimizer: &mut Optimizer,
        samples: &Samples,
    ) -> Result<Option<(f64, f64)>> {
        let stream = Stream::new(self.seed).epoch(epoch as u64);
        let order = if self.shuffle {
            stream.op("shuffle").draws().permutation(samples.len())
        } else {
            (0..samples.len()).collect()
        };
        let steps = samples.len().div_ceil(self.batch_size);
        let (mut total, mut right, mut seen) = (0.0, 0usize, 0usize);
        for (step, batch) in order.chunks(self.batch_size).enumerate() {
            if self.interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
                return Ok(None);
            }
            let mut rows = samples.rows(batch);
            if let Some(pipeline) = self.augment {
                let &[height, width, channels] = samples.shape() else {
                    unreachable!("checked by Trainer::check")
                };
                pipeline.apply_batch(
                    &mut rows,
                    (height, width, channels),
                    &samples.ids(batch),
                    self.seed,
                    epoch as u64,
                )?;
            }
            let inputs = samples.tensor(rows, network)?;
            let labels = samples.label_tensor(batch, network.device())?;
            let outputs = network.forward(&inputs, Mode::Training(stream.op("forward").step(step as u64)))?;
            let loss = self.loss.mean(&outputs, &labels)?;
            let value = loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            if !value.is_finite() {
                return Err(Error::NonFiniteLoss {
                    loss: value,
                    epoch: epoch + 1,
                    step: step + 1,
                    learning_rate: optimizer.learning_rate(),
                });
            }
            apply(network, optimizer, &loss.backward()?)?;
            total += value * batch.len() as f64;
            seen += batch.len();
            let predictions = arg_max(&outputs.detach().to_dtype(DType::F64)?.to_vec2::<f64>()?);
            right += batch
                .iter()
                .zip(predictions)
                .filter(|&(&i, class)| samples.labels()[i] == class)
                .count();
            let progress = StepEnd {
                epoch: epoch + 1,
                step: step + 1,
                steps,
                samples: seen,
                loss: total / seen as f64,
            };
            self.callbacks
                .iter_mut()
                .for_each(|callback| callback.on_step_end(&progress));
        }
        Ok(Some((total / seen as f64, right as f64 / seen as f64)))
    }
}

/// Weights and optimizer at the start of an epoch.
struct Start {
    weights: Vec<(String, Tensor)>,
    optimizer: Vec<(String, Tensor)>,
}

impl Start {
    fn of(network: &Network, optimizer: &mut Optimizer) -> Result<Self> {
        let trained = network.weights().filter(|weight| weight.trainable);
        let variables: Vec<_> = trained.map(|weight| (weight.path.as_str(), &weight.var)).collect();
        // Without it the state before the first step would be that of no parameters, which cannot be brought back later.
        optimizer.build_state(&variables)?;
        Ok(Start {
            weights: network.snapshot()?,
            optimizer: optimizer.state()?,
        })
    }

    fn restore(self, network: &mut Network, optimizer: &mut Optimizer) -> Result<()> {
        for (path, value) in &self.weights {
            network.set_weight(path, value)?;
        }
        Ok(optimizer.load_state(&self.optimizer)?)
    }
}

/// One optimizer step; every trainable weight must have a gradient.
fn apply(network: &Network, optimizer: &mut Optimizer, gradients: &candle_core::backprop::GradStore) -> Result<()> {
    let mut parameters = Vec::new();
    for weight in network.weights().filter(|weight| weight.trainable) {
        let Some(gradient) = gradients.get(weight.var.as_tensor()) else {
            return Err(Error::LostGradient {
                path: weight.path.clone(),
            });
        };
        parameters.push(Parameter {
            path: &weight.path,
            var: &weight.var,
            gradient,
        });
    }
    Ok(optimizer.apply(&parameters)?)
}
