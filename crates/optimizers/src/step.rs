//! The step: checks, accumulation, clipping, decay, update, averaging, in Keras' order.

use candle_core::Var;

use crate::algorithm::{Convention, Decay, Step, Sums};
use crate::average;
use crate::clipping::{self, Clip};
use crate::error::{Error, Result};
use crate::optimizer::{Optimizer, Parameter, check_paths};
use crate::plan::{About, Entry, Plan};
use crate::rule::{Gradient, Preparation, Target};
use crate::schedules::Schedule;
use crate::state::ParameterState;

impl Optimizer {
    /// The plan of the last step if it serves again, else a new one; with it everything about the variables is checked, and they have
    /// a state.
    pub(crate) fn plan_for(&mut self, parameters: &[Parameter<'_>]) -> Result<Plan> {
        if self.plan.fits(parameters, &self.parameters) {
            return Ok(std::mem::take(&mut self.plan));
        }
        check_paths(parameters)?;
        for parameter in parameters {
            parameter.check()?;
            self.check_state(parameter.path, parameter.var)?;
        }
        for parameter in parameters {
            self.ensure_state(parameter.path, parameter.var)?;
        }
        Plan::new(parameters, &self.parameters, |parameter| {
            let group = self.selection.group(parameter.path);
            About {
                fused: self.is_fused(parameter.var),
                decay: self.decay_of(parameter.path, parameter.var.dims(), group),
                group,
            }
        })
    }

    /// Whether the state under a path belongs to this variable, or one can be made for it.
    pub(crate) fn check_state(&self, path: &str, var: &Var) -> Result<()> {
        match self.parameters.get(path) {
            Some(state) => state.check(path, var, self.algorithm.as_ref()),
            None => self.algorithm.accept(path, var.dims()),
        }
    }

    /// Looks at all gradients before anything is changed: whether they fit, whether they are finite, and how long, if they are clipped by
    /// that.
    pub(crate) fn examine(&mut self, plan: &mut Plan, parameters: &[Parameter<'_>], check: bool) -> Result<()> {
        let norms = self.options.gradient_accumulation_steps.is_none() && Clip::of(&self.options).needs_norms();
        plan.admit(parameters, |entry, threads| {
            if !norms && !check {
                return Ok(());
            }
            let gradient = entry.gradient(parameters);
            if norms {
                let sum = clipping::sum_of_squares(Gradient::Given(gradient))?;
                // The squares of finite numbers may add up to infinity; only then it has to be asked again.
                entry.finite = !check || sum.is_finite() || clipping::is_finite(gradient, threads)?;
                entry.sum_of_squares = sum;
            } else {
                entry.finite = clipping::is_finite(gradient, threads)?;
            }
            Ok(())
        })?;
        if !check {
            return Ok(());
        }
        let culprits = plan.entries.iter().filter(|entry| !entry.finite);
        match culprits.min_by_key(|entry| entry.position) {
            Some(entry) => Err(Error::NonFiniteGradient {
                path: parameters[entry.position].path.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// The step itself, with gradients that were examined.
    pub(crate) fn step(
        &mut self,
        plan: &mut Plan,
        parameters: &[Parameter<'_>],
        learning_rate: f64,
        mut scale: f64,
    ) -> Result<()> {
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
        if self.options.maximize {
            scale = -scale;
        }
        let t = (self.iterations() + 1) as f64;
        let averaging = self.averaging();
        let mut common = Preparation {
            scale,
            ..Preparation::NONE
        };
        match clip {
            Clip::GlobalNorm(limit) => {
                let sum: f64 = plan.entries.iter().map(|entry| entry.sum_of_squares).sum();
                common.scale *= clipping::factor(sum.sqrt() * scale.abs(), limit);
            }
            Clip::Value(limit) => common.limit = limit,
            Clip::Norm(_) | Clip::None => {}
        }
        let scheduled = |schedule: &Schedule| !matches!(schedule, Schedule::Constant(_));
        let mut rates = std::mem::take(&mut plan.rates);
        rates.clear();
        rates.extend(self.options.groups.iter().enumerate().map(|(index, group)| {
            let schedule = group.learning_rate.as_ref().unwrap_or(&self.options.learning_rate);
            (self.rate_of(Some(index), learning_rate), scheduled(schedule))
        }));
        let numbers = Numbers {
            parameters,
            groups: &rates,
            learning_rate,
            scheduled: scheduled(&self.options.learning_rate),
            t,
            norm: if let Clip::Norm(limit) = clip {
                Some((limit, scale.abs()))
            } else {
                None
            },
            common,
            decoupled: (self.algorithm.decay() == Decay::Decoupled).then(|| self.algorithm.convention()),
        };
        let algorithm = self.algorithm.as_ref();
        let mut sums = Sums::default();
        if due && algorithm.observes() {
            let scalars = &self.scalars;
            plan.for_each(&mut self.parameters, |entry, state| {
                let mut sums = Sums::default();
                if entry.elements > 0 {
                    numbers.visit(scalars, entry, state, |step, target| {
                        target.preparation.decay = 0.0;
                        algorithm.observe(step, target, &mut sums)
                    })?;
                }
                entry.sums = sums;
                Ok(())
            })?;
            // Added in the order of the states, whoever was done first.
            for entry in &plan.entries {
                sums.iter_mut().zip(entry.sums).for_each(|(sum, share)| *sum += share);
            }
        }
        if due {
            algorithm.advance(t, learning_rate, &sums, &mut self.scalars);
        }
        let scalars = &self.scalars;
        let update = |entry: &mut Entry, state: &mut ParameterState| {
            // candle refuses to write to a tensor without elements.
            if entry.elements == 0 {
                return Ok(());
            }
            if due {
                numbers.visit(scalars, entry, state, |step, target| algorithm.update(step, target))?;
                state.clear_accumulated()?;
            }
            let var = parameters[entry.position].var;
            if let Some((Averaging { momentum, overwrite }, average)) = averaging.zip(state.average_mut()) {
                average::follow(var, average, momentum)?;
                if overwrite {
                    average::overwrite(var, entry.weights.as_ref(), average)?;
                }
            }
            Ok(())
        };
        let outcome = if algorithm.shares_memory() {
            plan.for_each_in_turns(&mut self.parameters, update)
        } else {
            plan.for_each(&mut self.parameters, update)
        };
        plan.rates = rates;
        outcome
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

/// What is the same for all parameters in one step.
struct Numbers<'a, 'p> {
    parameters: &'a [Parameter<'p>],
    /// The rate of each group, and whether it comes from a schedule.
    groups: &'a [(f64, bool)],
    learning_rate: f64,
    scheduled: bool,
    t: f64,
    /// The largest norm of a gradient, and what its norm is multiplied by before.
    norm: Option<(f64, f64)>,
    common: Preparation,
    /// Whose decoupled decay the step has, if the algorithm does not see to the decay itself.
    decoupled: Option<Convention>,
}

impl<'p> Numbers<'_, 'p> {
    /// Calls a function with a parameter, its state and the numbers that hold for it.
    fn visit(
        &self,
        scalars: &[f64],
        entry: &mut Entry,
        state: &mut ParameterState,
        function: impl FnOnce(&Step<'_>, &mut Target<'_>) -> Result<()>,
    ) -> Result<()> {
        let Parameter { path, var, .. } = self.parameters[entry.position];
        let own = (self.learning_rate, self.scheduled);
        let (learning_rate, scheduled) = entry.group.map_or(own, |group| self.groups[group]);
        let step = Step {
            learning_rate,
            scheduled,
            weight_decay: if self.decoupled.is_some() { 0.0 } else { entry.decay },
            t: self.t,
            scalars,
        };
        let mut preparation = self.common;
        let decoupled = |convention: Convention| convention.decay(entry.decay * learning_rate, var.dtype());
        preparation.decay = self.decoupled.map_or(0.0, decoupled);
        if let Some((limit, scale)) = self.norm {
            preparation.scale *= clipping::factor(entry.sum_of_squares.sqrt() * scale, limit);
        }
        let (gradient, weights, scratch) = entry.parts(self.parameters);
        let (slots, accumulated) = state.parts();
        let mut target = Target {
            path,
            var,
            weights,
            gradient: accumulated.map_or(Gradient::Given(gradient), Gradient::Accumulated),
            slots,
            scratch,
            preparation,
        };
        function(&step, &mut target)
    }
}

#[derive(Clone, Copy)]
struct Averaging {
    momentum: f64,
    overwrite: bool,
}
