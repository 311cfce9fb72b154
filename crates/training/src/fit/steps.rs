//! The steps of an epoch.

use std::time::Instant;

use candle_core::Tensor;
use kernels::Deferred;
use kernels::random::Stream;
use kernels::tape::Gradients;
use models::{Mode, Network};
use optimizers::{Optimizer, Parameter, Pieces, Prepare, Unmade};

use super::{Ended, Fit};
use crate::batches::{Batch, Flow, Source};
use crate::callbacks::{Moment, StepEnd};
use crate::evaluate::scalar;
use crate::objective::{Example, objective};
use crate::right::{count_right, threshold};
use crate::validation::Parts;
use crate::{Error, Position, Result, diagnosis};

impl Fit<'_, '_> {
    /// The steps of an epoch from `position` on.
    pub(super) fn steps(
        &mut self,
        source: &Source<'_>,
        epoch: usize,
        parts: Option<&Parts>,
        position: &mut Position,
    ) -> Result<Ended> {
        let started = Instant::now();
        let before = position.seconds;
        let stream = Stream::new(self.options.seed).epoch(epoch as u64);
        let order = self.order(stream, parts);
        let batch_size = self.options.batch_size;
        let expected = (position.step.saturating_mul(batch_size)).min(order.len());
        if position.samples != expected {
            return Err(Error::Position {
                epoch: epoch + 1,
                step: position.step,
                expected,
                found: position.samples,
            });
        }
        self.load_metrics(position)?;
        let steps = order.len().div_ceil(batch_size);
        let mut ended = Ended::Complete;
        source.each(epoch, &order, position.step, |mut batch| {
            if self.is_interrupted() {
                ended = Ended::Interrupted;
                return Ok(Flow::End);
            }
            let mode = Mode::Training(stream.op("forward").step(position.step as u64));
            if !self.step(&mut batch, mode, epoch, position)? {
                ended = Ended::NonFiniteLoss;
                return Ok(Flow::End);
            }
            position.seconds = before + started.elapsed().as_secs_f64();
            let progress = StepEnd {
                epoch: epoch + 1,
                step: position.step,
                steps,
                samples: position.samples,
                of_samples: order.len(),
                loss: position.loss_sum / position.samples as f64,
                seconds: position.seconds,
            };
            let callbacks = &mut self.options.callbacks;
            callbacks
                .iter_mut()
                .for_each(|callback| callback.on_step_end(&progress));
            let moment = Moment::Step(progress);
            if self.options.callbacks.iter().any(|callback| callback.saves(&moment)) {
                self.keep_metrics(position);
                self.history.position = Some(position.clone());
                let saved = self.save(moment);
                self.history.position = None;
                saved?;
            }
            Ok(Flow::Continue)
        })?;
        self.keep_metrics(position);
        Ok(ended)
    }

    /// The samples of an epoch in their order.
    fn order(&self, stream: Stream, parts: Option<&Parts>) -> Vec<usize> {
        let count = parts.map_or(self.samples.len(), |parts| parts.training.len());
        let mut order = if self.options.shuffle {
            stream.op("shuffle").draws().permutation(count)
        } else {
            (0..count).collect()
        };
        if let Some(parts) = parts {
            order.iter_mut().for_each(|index| *index = parts.training[*index]);
        }
        order
    }

    /// One step: forward, loss, backward, update. `false` where the loss is not finite and a callback takes that for an end.
    fn step(&mut self, batch: &mut Batch<'_>, mode: Mode, epoch: usize, position: &mut Position) -> Result<bool> {
        let (indices, samples) = (batch.indices, self.samples);
        let inputs = self.inputs.of(batch, samples, self.network)?;
        let (example, of_blends) = match &batch.mixed {
            Some(mixed) => (
                mixed.example(inputs, samples, self.network)?,
                self.options.loss.of_blends(),
            ),
            None => {
                let weights = self.weights.as_deref();
                (Example::new(inputs, samples, weights, indices, self.network)?, None)
            }
        };
        let loss = of_blends.unwrap_or(self.options.loss);
        let (pass, loss) = objective(self.network, &example, &loss, mode)?;
        let outputs = pass.outputs()[0].clone();
        let value = scalar(&loss)?;
        if !value.is_finite() {
            if self
                .options
                .callbacks
                .iter()
                .any(|callback| callback.ends_on_non_finite_loss())
            {
                return Ok(false);
            }
            return Err(Error::NonFiniteLoss {
                loss: value,
                epoch: epoch + 1,
                step: position.step + 1,
                learning_rate: self.optimizer.learning_rate(),
                cause: diagnosis::cause(self.network, samples, indices, &outputs)?,
            });
        }
        let loss = match self.optimizer.loss_scale() {
            1.0 => loss,
            scale => loss.affine(scale, 0.0)?,
        };
        let (gradients, deferred) = pass.backward_deferring(&loss)?;
        apply(self.network, self.optimizer, &gradients, deferred)?;
        position.step += 1;
        position.samples += indices.len();
        position.loss_sum += value * indices.len() as f64;
        let (labels, threshold) = (samples.labels(), threshold(&self.options.loss));
        if let Some(mixed) = &batch.mixed {
            position.right += count_right(&outputs, threshold, mixed.labels.iter().copied())?;
        } else if !labels.is_empty() {
            let labels = indices.iter().map(|&index| labels[index]);
            position.right += count_right(&outputs, threshold, labels)?;
        }
        if !(self.options.metrics.is_empty() && self.options.weighted_metrics.is_empty()) {
            let outputs = outputs.detach();
            let targets = match &batch.mixed {
                Some(mixed) => mixed.measured(&example.targets, self.network)?,
                None => example.targets.clone(),
            };
            for metric in &mut self.options.metrics {
                metric.update(&outputs, &targets, None)?;
            }
            for metric in &mut self.options.weighted_metrics {
                metric.update(&outputs, &targets, example.weights.as_ref())?;
            }
        }
        Ok(true)
    }

    fn keep_metrics(&self, position: &mut Position) {
        let metrics = self.options.metrics.iter().chain(&self.options.weighted_metrics);
        position.metrics = metrics.map(|metric| metric.state().to_vec()).collect();
    }

    fn load_metrics(&mut self, position: &Position) -> Result<()> {
        let metrics = self
            .options
            .metrics
            .iter_mut()
            .chain(&mut self.options.weighted_metrics);
        for (metric, state) in metrics.zip(&position.metrics) {
            metric.load_state(state)?;
        }
        Ok(())
    }
}

/// One optimizer step, and the constraints of the weights after it; every trainable weight must have a gradient.
fn apply(network: &Network, optimizer: &mut Optimizer, gradients: &Gradients, deferred: Vec<Deferred>) -> Result<()> {
    let mut parameters = Vec::with_capacity(network.weights().len());
    let mut unmade = Vec::with_capacity(deferred.len());
    let deferred: Vec<Made> = deferred.into_iter().map(Made).collect();
    for weight in network.weights().filter(|weight| weight.trainable) {
        let (path, var) = (weight.path.as_str(), &weight.var);
        let of_weight = |deferred: &&Made| deferred.0.weight().id() == var.as_tensor().id();
        if let Some(gradient) = gradients.get(var.as_tensor()) {
            parameters.push(Parameter { path, var, gradient });
        } else if let Some(gradient) = deferred.iter().find(of_weight) {
            unmade.push(Unmade { path, var, gradient });
        } else {
            return Err(Error::LostGradient {
                path: weight.path.clone(),
            });
        }
    }
    optimizer.apply_making(&parameters, &unmade)?;
    Ok(network.apply_constraints()?)
}

/// A gradient that the optimizer asks for piece by piece.
struct Made(Deferred);

impl Pieces for Made {
    fn piece(&self) -> usize {
        self.0.piece()
    }

    fn is_surely_finite(&self) -> candle_core::Result<bool> {
        self.0.is_surely_finite()
    }

    fn whole(&self) -> candle_core::Result<Tensor> {
        self.0.whole()
    }

    fn make(&self, prepare: &Prepare<'_>, take: &(dyn Fn(usize, &[f32]) + Sync)) -> candle_core::Result<()> {
        self.0.in_pieces(
            &|piece| prepare(piece, &|numbers| kernels::memory::fetch(numbers)),
            take,
        )
    }
}
