//! Parameters that are updated while their gradients are made.
//!
//! A gradient that is computed as a whole is written to memory and read back, and the update waits for memory all the time. A gradient that
//! comes in pieces is used while it is in the cache, and weights and state can be fetched while a piece is computed. The numbers are the same
//! to the bit.

use std::array::from_fn;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Tensor, Var};

use crate::algorithm::{Decay, Step};
use crate::clipping::Clip;
use crate::error::{Error, Result};
use crate::fused;
use crate::lending::Weights;
use crate::optimizer::{Optimizer, Parameter};
use crate::rule::{Gradient, Preparation, Rule, Target, wrong_state};
use crate::schedules::Schedule;
use crate::slot::{Scratch, Stored};

/// What is called with the number of a piece before it is made, and with a function that fetches numbers into the cache.
pub type Prepare<'a> = dyn Fn(usize, &dyn Fn(&[f32])) + Sync + 'a;

/// A gradient of `f32` that can be made piece by piece: numbers that follow each other, row-major.
pub trait Pieces {
    /// Numbers in a piece; the last one may have fewer.
    fn piece(&self) -> usize;

    /// Whether all numbers are finite; `false` if that can only be told from the numbers.
    ///
    /// # Errors
    /// If the device fails.
    fn is_surely_finite(&self) -> candle_core::Result<bool>;

    /// All of it.
    ///
    /// # Errors
    /// If the device fails.
    fn whole(&self) -> candle_core::Result<Tensor>;

    /// Calls `prepare` with the number of a piece before it is made, with a function that fetches numbers into the cache, and `take` with the
    /// piece afterwards; each piece once, perhaps on several threads.
    ///
    /// # Errors
    /// If the device fails.
    fn make(&self, prepare: &Prepare<'_>, take: &(dyn Fn(usize, &[f32]) + Sync)) -> candle_core::Result<()>;
}

/// A trainable weight whose gradient is made during the step, for [`Optimizer::apply_making`].
#[derive(Clone, Copy)]
pub struct Unmade<'a> {
    /// The weight's path.
    pub path: &'a str,
    /// The weight.
    pub var: &'a Var,
    /// What makes its gradient.
    pub gradient: &'a dyn Pieces,
}

impl Optimizer {
    /// [`Optimizer::apply`] with some gradients that are made while they are used, where that serves; elsewhere they are made before.
    ///
    /// It serves for algorithms that treat every element alike ([`crate::Algorithm::is_elementwise`]), without accumulated gradients,
    /// averages and clipping by norms, which need the whole gradient first.
    ///
    /// # Errors
    /// As [`Optimizer::apply`].
    pub fn apply_making(&mut self, parameters: &[Parameter<'_>], unmade: &[Unmade<'_>]) -> Result<()> {
        let (mut now, mut before) = (Vec::new(), Vec::new());
        for parameter in unmade {
            if self.serves_pieces(parameter)? {
                now.push(*parameter);
            } else {
                before.push((parameter, parameter.gradient.whole()?));
            }
        }
        let made = before.iter().map(|(parameter, gradient)| Parameter {
            path: parameter.path,
            var: parameter.var,
            gradient,
        });
        let parameters: Vec<Parameter<'_>> = parameters.iter().copied().chain(made).collect();
        if now.is_empty() {
            return self.apply(&parameters);
        }
        for (index, Unmade { path, var, .. }) in now.iter().enumerate() {
            let paths = parameters.iter().map(|parameter| parameter.path);
            let others = now[..index].iter().map(|parameter| parameter.path);
            if paths.chain(others).any(|other| other == *path) {
                return Err(Error::DuplicatePath {
                    path: (*path).to_owned(),
                });
            }
            self.check_state(path, var)?;
        }
        let known = self.parameters.len();
        let scale = 1.0 / self.loss_scale();
        let outcome = now
            .iter()
            .try_for_each(|parameter| self.ensure_state(parameter.path, parameter.var))
            .and_then(|()| self.apply_uncounted(&parameters, scale, self.options.check_finite));
        if outcome.is_err() {
            // States that were made for this step go with it.
            self.parameters.truncate(known);
            return outcome;
        }
        self.update_in_pieces(&now, scale)?;
        self.applied += 1;
        Ok(())
    }

    fn serves_pieces(&self, parameter: &Unmade<'_>) -> Result<bool> {
        let options = &self.options;
        let whole_first = options.use_ema
            || options.gradient_accumulation_steps.is_some()
            || self.loss_scale.is_some()
            || Clip::of(options).needs_norms();
        let several = !self.parts.is_empty() || self.selection.has_groups();
        let var = parameter.var;
        Ok(!whole_first
            && !several
            && self.algorithm.is_elementwise()
            && var.dtype() == DType::F32
            && var.elem_count() > 0
            && self.is_fused(var)
            && (!options.check_finite || parameter.gradient.is_surely_finite()?))
    }

    /// The second half of a step: the first one has checked the rate and advanced the algorithm's own numbers.
    fn update_in_pieces(&mut self, unmade: &[Unmade<'_>], scale: f64) -> Result<()> {
        let learning_rate = self.learning_rate();
        let decoupled = self.algorithm.decay() == Decay::Decoupled;
        let mut common = Preparation {
            scale: if self.options.maximize { -scale } else { scale },
            ..Preparation::NONE
        };
        if let Clip::Value(limit) = Clip::of(&self.options) {
            common.limit = limit;
        }
        for Unmade { path, var, gradient } in unmade {
            let decay = self.decay_of(path, var.dims(), None);
            let step = Step {
                learning_rate,
                scheduled: !matches!(self.options.learning_rate, Schedule::Constant(_)),
                weight_decay: if decoupled { 0.0 } else { decay },
                t: (self.iterations() + 1) as f64,
                scalars: &self.scalars,
            };
            let mut preparation = common;
            if decoupled {
                let convention = self.algorithm.convention();
                preparation.decay = convention.decay(decay * learning_rate, var.dtype());
            }
            let weights = Weights::of(var)?;
            let mut target = Target {
                path,
                var,
                weights: Some(&weights),
                gradient: Gradient::Pieces(*gradient),
                slots: self.parameters[*path].parts().0,
                scratch: &mut Scratch::default(),
                preparation,
            };
            self.algorithm.update(&step, &mut target)?;
        }
        Ok(())
    }
}

impl Target<'_> {
    /// Runs a rule over all elements, each as soon as its gradient is there.
    pub(crate) fn elementwise_in_pieces<R: Rule<K>, const K: usize>(
        &mut self,
        rule: R,
        preparation: Preparation,
        pieces: &dyn Pieces,
    ) -> Result<()> {
        let piece = pieces.piece().max(1);
        let mut slots = Vec::with_capacity(K);
        for slot in self.slots.iter_mut() {
            slots.push(f32::of_slot_mut(slot).ok_or_else(wrong_state)?.chunks_mut(piece));
        }
        let mut slots: [_; K] = slots.try_into().map_err(|_| wrong_state())?;
        let weights = self.weights.ok_or_else(wrong_state)?;
        weights.lend(|w: &mut [f32]| {
            // Each piece is taken once, so nobody waits for a lock.
            let parts: Vec<Mutex<Part<'_, K>>> = w
                .chunks_mut(piece)
                .map(|weights| {
                    let slots = from_fn(|k| slots[k].next().unwrap_or_default());
                    Mutex::new(Part { weights, slots })
                })
                .collect();
            pieces.make(
                &|index, fetch| {
                    if let Some(part) = parts.get(index) {
                        let part = part.lock().unwrap_or_else(PoisonError::into_inner);
                        fetch(part.weights);
                        part.slots.iter().for_each(|slot| fetch(slot));
                    }
                },
                &|index, gradient| {
                    if let Some(part) = parts.get(index) {
                        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
                        let Part { weights, slots } = &mut *part;
                        let slots = slots.each_mut().map(|slot| &mut **slot);
                        fused::elementwise(&rule, preparation, weights, gradient, slots);
                    }
                },
            )
        })??;
        Ok(())
    }
}

/// What belongs to a piece of the gradient.
struct Part<'a, const K: usize> {
    weights: &'a mut [f32],
    slots: [&'a mut [f32]; K],
}
