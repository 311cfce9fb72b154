//! The step: checks, accumulation, clipping, decay, update, averaging, in Keras' order.

use crate::algorithm::Step;
use crate::average;
use crate::clipping::{self, Clip};
use crate::error::{Error, Result};
use crate::optimizer::{Optimizer, Parameter};
use crate::plan::Plan;
use crate::rule::{Gradient, Preparation, Target};
use crate::schedules::Schedule;

impl Optimizer {
    /// The plan of the last step if it serves again, else a new one; with it everything about the variables is checked, and they have
    /// a state.
    pub(crate) fn plan_for(&mut self, parameters: &[Parameter<'_>]) -> Result<Plan> {
        if self.plan.fits(parameters, &self.parameters) {
            return Ok(std::mem::take(&mut self.plan));
        }
        let mut paths: Vec<&str> = parameters.iter().map(|parameter| parameter.path).collect();
        paths.sort_unstable();
        if let Some(pair) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::DuplicatePath {
                path: pair[0].to_owned(),
            });
        }
        for parameter in parameters {
            parameter.check()?;
            if let Some(state) = self.parameters.get(parameter.path) {
                state.check(parameter.path, parameter.var, self.algorithm.as_ref())?;
            }
        }
        for parameter in parameters {
            self.ensure_state(parameter.path, parameter.var)?;
        }
        Plan::new(parameters, &self.parameters, |parameter| {
            let decay = self.options.decay_of(parameter.path).unwrap_or(0.0);
            (self.is_fused(parameter.var), decay)
        })
    }

    /// Looks at all gradients before anything is changed: whether they are finite, and how long, if they are clipped by that.
    pub(crate) fn examine(&mut self, plan: &mut Plan, parameters: &[Parameter<'_>]) -> Result<()> {
        let norms = self.options.gradient_accumulation_steps.is_none() && Clip::of(&self.options).needs_norms();
        let check = self.options.check_finite;
        if !norms && !check {
            return Ok(());
        }
        plan.for_each(&mut self.parameters, |entry, _| {
            let gradient = entry.gradient(parameters);
            if norms {
                let sum = clipping::sum_of_squares(Gradient::Given(gradient))?;
                // The squares of finite numbers may add up to infinity; only then it has to be asked again.
                entry.finite = !check || sum.is_finite() || clipping::is_finite(gradient)?;
                entry.sum_of_squares = sum;
            } else {
                entry.finite = clipping::is_finite(gradient)?;
            }
            Ok(())
        })?;
        let culprits = plan.entries.iter().filter(|entry| !entry.finite);
        match culprits.min_by_key(|entry| entry.position) {
            Some(entry) => Err(Error::NonFiniteGradient {
                path: parameters[entry.position].path.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// The step itself, with gradients that were examined.
    pub(crate) fn step(&mut self, plan: &mut Plan, parameters: &[Parameter<'_>], learning_rate: f64) -> Result<()> {
        let mut scale = 1.0 / self.options.loss_scale_factor.unwrap_or(1.0);
        let clip = Clip::of(&self.options);
        let mut due = true;
        if let Some(steps) = self.options.gradient_accumulation_steps {
            plan.for_each(&mut self.parameters, |entry, state| {
                state.accumulate(entry.gradient(parameters), scale, entry.weights.is_some())
            })?;
            scale = 1.0 / steps as f64;
            due = (self.applied + 1).is_multiple_of(steps);
            if due && clip.needs_norms() {
                plan.for_each(&mut self.parameters, |entry, state| {
                    entry.sum_of_squares = clipping::sum_of_squares(state.gradient(entry.gradient(parameters)))?;
                    Ok(())
                })?;
            }
        }
        let t = (self.iterations() + 1) as f64;
        if due {
            self.algorithm.advance(t, &mut self.scalars);
        }
        let averaging = self.averaging();
        let step = Step {
            learning_rate,
            scheduled: !matches!(self.options.learning_rate, Schedule::Constant(_)),
            t,
            scalars: &self.scalars,
        };
        let mut common = Preparation {
            scale,
            ..Preparation::NONE
        };
        match clip {
            Clip::GlobalNorm(limit) => {
                let sum: f64 = plan.entries.iter().map(|entry| entry.sum_of_squares).sum();
                common.scale *= clipping::factor(sum.sqrt() * scale, limit);
            }
            Clip::Value(limit) => common.limit = limit,
            Clip::Norm(_) | Clip::None => {}
        }
        let algorithm = self.algorithm.as_ref();
        plan.for_each(&mut self.parameters, |entry, state| {
            // candle refuses to write to a tensor without elements.
            if entry.elements == 0 {
                return Ok(());
            }
            let var = parameters[entry.position].var;
            if due {
                let mut preparation = common;
                preparation.decay = entry.decay * learning_rate;
                if let Clip::Norm(limit) = clip {
                    preparation.scale *= clipping::factor(entry.sum_of_squares.sqrt() * scale, limit);
                }
                let (gradient, weights, scratch) = entry.parts(parameters);
                let (slots, accumulated) = state.parts();
                let mut target = Target {
                    var,
                    weights,
                    gradient: accumulated.map_or(Gradient::Given(gradient), Gradient::Accumulated),
                    slots,
                    scratch,
                    preparation,
                };
                algorithm.update(&step, &mut target)?;
                state.clear_accumulated()?;
            }
            if let Some((Averaging { momentum, overwrite }, average)) = averaging.zip(state.average_mut()) {
                average::follow(var, average, momentum)?;
                if overwrite {
                    average::overwrite(var, entry.weights.as_ref(), average)?;
                }
            }
            Ok(())
        })
    }

    /// What happens to the averages in this step.
    fn averaging(&self) -> Option<Averaging> {
        self.options.use_ema.then(|| Averaging {
            // The first average is the value itself: Keras' momentum is 0 while no update was made.
            momentum: if self.iterations() == 0 {
                0.0
            } else {
                self.options.ema_momentum
            },
            overwrite: match self.options.ema_overwrite_frequency {
                Some(frequency) => (self.iterations() + 1).is_multiple_of(frequency),
                None => false,
            },
        })
    }
}

#[derive(Clone, Copy)]
struct Averaging {
    momentum: f64,
    overwrite: bool,
}
