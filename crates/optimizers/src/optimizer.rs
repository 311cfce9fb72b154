//! An optimizer with its state, and what can be asked of it.

use candle_core::{DType, Tensor, Var, backprop::GradStore};
use indexmap::IndexMap;

use crate::algorithm::Algorithm;
use crate::average;
use crate::builder::OptimizerBuilder;
use crate::error::{Error, Result};
use crate::fused;
use crate::options::{Execution, Options, checked_rate};
use crate::plan::Plan;
use crate::schedules::Schedule;
use crate::slot::Slot;
use crate::state::ParameterState;

/// A trainable weight and its gradient, for [`Optimizer::apply`].
#[derive(Clone, Copy, Debug)]
pub struct Parameter<'a> {
    /// The weight's path, such as `dense/kernel`; the state is kept under it.
    pub path: &'a str,
    /// The weight.
    pub var: &'a Var,
    /// The gradient of the loss with respect to it, of the same shape.
    pub gradient: &'a Tensor,
}

/// An optimizer with its state.
///
/// ```
/// use candle_core::{Device, Var};
/// use optimizers::{Optimizer, Parameter};
///
/// let w = Var::new(&[3.0_f32, -1.0], &Device::Cpu)?;
/// let mut adam = Optimizer::builder("adam")?.learning_rate(0.1).build()?;
/// for _ in 0..300 {
///     let loss = w.sqr()?.sum_all()?;
///     adam.apply_gradients(&[("w", &w)], &loss.backward()?)?;
/// }
/// assert!(w.abs()?.max_all()?.to_scalar::<f32>()? < 1e-2);
/// assert_eq!(adam.iterations(), 300);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Optimizer {
    pub(crate) algorithm: Box<dyn Algorithm>,
    pub(crate) options: Options,
    pub(crate) execution: Execution,
    /// Calls of `apply` so far; updates are fewer when gradients are accumulated.
    pub(crate) applied: u64,
    pub(crate) scalars: Vec<f64>,
    pub(crate) parameters: IndexMap<String, ParameterState>,
    /// What was found out about the parameters of the last step.
    pub(crate) plan: Plan,
    /// An empty list, kept for its memory.
    list: Vec<Parameter<'static>>,
}

impl Optimizer {
    pub(crate) fn new(algorithm: Box<dyn Algorithm>, options: Options, execution: Execution) -> Self {
        let scalars = algorithm.scalars().into_iter().map(|(_, value)| value).collect();
        Self {
            algorithm,
            options,
            execution,
            applied: 0,
            scalars,
            parameters: IndexMap::new(),
            plan: Plan::default(),
            list: Vec::new(),
        }
    }

    /// The optimizer of this name with Keras' defaults: `sgd`, `sgd_momentum`, `rmsprop`, `adam`, `adamw`, ...
    ///
    /// # Errors
    /// [`Error::UnknownOptimizer`] with the nearest known name.
    pub fn by_name(name: &str) -> Result<Self> {
        Self::builder(name)?.build()
    }

    /// Starts from the optimizer of this name and lets options be set.
    ///
    /// # Errors
    /// [`Error::UnknownOptimizer`] with the nearest known name.
    pub fn builder(name: &str) -> Result<OptimizerBuilder> {
        OptimizerBuilder::by_name(name)
    }

    /// The name: that of Keras, or the one given in the configuration.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Keras' class.
    pub fn class(&self) -> &'static str {
        self.algorithm.class()
    }

    /// The options that do not belong to the algorithm.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The same optimizer, with updates carried out in another way from the next step on.
    #[must_use]
    pub fn with_execution(mut self, execution: Execution) -> Self {
        self.execution = execution;
        for state in self.parameters.values_mut() {
            state.unsettle();
        }
        self
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        self.options.learning_rate.value(self.applied)
    }

    /// Sets a constant learning rate from the next step on, in place of a schedule if there was one.
    ///
    /// # Errors
    /// [`Error::InvalidLearningRate`] if it is negative or not finite.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.options.learning_rate = Schedule::Constant(checked_rate(learning_rate)?);
        Ok(())
    }

    /// How often the parameters were updated.
    pub fn iterations(&self) -> u64 {
        self.applied / self.options.gradient_accumulation_steps.unwrap_or(1)
    }

    /// Bytes of state that are held now, averages and accumulated gradients included.
    pub fn state_bytes(&self) -> usize {
        self.parameters.values().map(ParameterState::bytes).sum()
    }

    /// One step with the gradients that `backward` returned.
    ///
    /// # Errors
    /// [`Error::MissingGradient`] naming the parameter, and those of [`apply`](Self::apply). Nothing is changed then.
    pub fn apply_gradients(&mut self, variables: &[(&str, &Var)], gradients: &GradStore) -> Result<()> {
        let mut parameters = emptied(std::mem::take(&mut self.list));
        for &(path, var) in variables {
            match gradients.get(var.as_tensor()) {
                Some(gradient) => parameters.push(Parameter { path, var, gradient }),
                None => return Err(Error::MissingGradient { path: path.to_owned() }),
            }
        }
        let outcome = self.apply(&parameters);
        self.list = emptied(parameters);
        outcome
    }

    /// One step: updates each parameter in place from its gradient. Frozen parameters are left out of the list.
    ///
    /// In Keras' order: the gradients are divided by `loss_scale_factor`, accumulated, clipped; the weights decay; the
    /// algorithm updates them; the averages follow.
    ///
    /// # Errors
    /// [`Error::NonFiniteGradient`], [`Error::ShapeMismatch`], [`Error::DTypeMismatch`], [`Error::DuplicatePath`] or
    /// [`Error::InvalidLearningRate`], all found before the first parameter is touched; [`Error::Candle`] if the device fails.
    pub fn apply(&mut self, parameters: &[Parameter<'_>]) -> Result<()> {
        let learning_rate = checked_rate(self.learning_rate())?;
        let known = self.parameters.len();
        let mut plan = self.plan_for(parameters)?;
        let elements = if plan.is_shared() { plan.elements } else { 0 };
        let outcome = fused::enter(elements, || {
            let examined = plan
                .admit(parameters)
                .and_then(|()| self.examine(&mut plan, parameters));
            match examined {
                Ok(()) => self.step(&mut plan, parameters, learning_rate),
                Err(error) => {
                    // States that were made for this step go with it.
                    self.parameters.truncate(known);
                    Err(error)
                }
            }
        });
        plan.release();
        self.plan = plan;
        outcome?;
        self.applied += 1;
        Ok(())
    }

    /// Whether updates of this variable run over slices.
    pub(crate) fn is_fused(&self, var: &Var) -> bool {
        self.execution == Execution::Fused
            && matches!(var.dtype(), DType::F32 | DType::F64)
            && var.device().is_cpu()
            && var.is_contiguous()
    }

    /// Creates the state of a parameter, or brings a loaded one into the form that updates need.
    pub(crate) fn ensure_state(&mut self, path: &str, var: &Var) -> Result<()> {
        let fused = self.is_fused(var);
        match self.parameters.get_mut(path) {
            Some(state) => state.settle(var, fused),
            None => {
                let state = ParameterState::new(self.algorithm.as_ref(), &self.options, var, fused)?;
                self.parameters.insert(path.to_owned(), state);
                Ok(())
            }
        }
    }

    /// Overwrites the variables by their moving averages (Keras' method of this name), for the end of a training with
    /// `use_ema`. Without it, nothing happens.
    ///
    /// # Errors
    /// [`Error::StateMissing`] if a variable was never updated; nothing is changed then.
    pub fn finalize_variable_values(&mut self, variables: &[(&str, &Var)]) -> Result<()> {
        if !self.options.use_ema {
            return Ok(());
        }
        let missing = |path: &str| Error::StateMissing {
            key: format!("{path}/average"),
        };
        for (path, var) in variables {
            let state = self.parameters.get(*path).ok_or_else(|| missing(path))?;
            state.check(path, var, self.algorithm.as_ref())?;
        }
        for (path, var) in variables.iter().filter(|(_, var)| var.elem_count() > 0) {
            self.ensure_state(path, var)?;
            let average: &Slot = self
                .parameters
                .get_mut(*path)
                .and_then(ParameterState::average_mut)
                .ok_or_else(|| missing(path))?;
            average::overwrite(var, None, average)?;
        }
        Ok(())
    }

    /// Exchanges the variables and their moving averages, in place; a second call puts both back to the bit. For measuring
    /// or saving a network with its averages in the middle of a training with `use_ema`. Without it, nothing happens.
    ///
    /// Between the two calls no step must be made.
    ///
    /// # Errors
    /// [`Error::StateMissing`] if a variable was never updated; nothing is changed then.
    pub fn exchange_averages(&mut self, variables: &[(&str, &Var)]) -> Result<()> {
        if !self.options.use_ema {
            return Ok(());
        }
        let missing = |path: &str| Error::StateMissing {
            key: format!("{path}/average"),
        };
        for (path, var) in variables {
            let state = self.parameters.get(*path).ok_or_else(|| missing(path))?;
            state.check(path, var, self.algorithm.as_ref())?;
        }
        for (path, var) in variables.iter().filter(|(_, var)| var.elem_count() > 0) {
            self.ensure_state(path, var)?;
            let average = self.parameters.get_mut(*path).and_then(ParameterState::average_mut);
            average::exchange(var, average.ok_or_else(|| missing(path))?)?;
        }
        Ok(())
    }
}

/// The memory of a list, for a list of other lifetimes.
fn emptied<'a>(mut list: Vec<Parameter<'_>>) -> Vec<Parameter<'a>> {
    list.clear();
    // Collecting from the iterator of a list of elements of the same size keeps its memory.
    list.into_iter().map_while(|_| None).collect()
}
