//! An optimizer with its state, and what can be asked of it.

use candle_core::{DType, Tensor, Var, backprop::GradStore};
use indexmap::IndexMap;

use crate::algorithm::Algorithm;
use crate::builder::OptimizerBuilder;
use crate::error::{Error, Result};
use crate::fused;
use crate::groups::Selection;
use crate::loss_scale::{DynamicLossScale, LossScale};
use crate::multi::{Part, Routes};
use crate::options::{Execution, Options, checked_rate};
use crate::plan::Plan;
use crate::schedules::Schedule;
use crate::state::ParameterState;

/// How many times longer an update with products of matrices takes than one that only reads and writes, at least.
const WORK_OF_PRODUCTS: usize = 16;

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
    /// The same for the parameters that are not frozen.
    thawed: Vec<Parameter<'static>>,
    /// The patterns of the options, ready for use.
    pub(crate) selection: Selection,
    /// Where the dynamic loss scale stands, if there is one.
    pub(crate) loss_scale: Option<LossScale>,
    /// The optimizers that this one hands its parameters to; none for an ordinary one.
    pub(crate) parts: Vec<Part>,
    pub(crate) routes: Routes,
}

impl Optimizer {
    pub(crate) fn new(algorithm: Box<dyn Algorithm>, options: Options, execution: Execution) -> Result<Self> {
        let scalars = algorithm.scalars().into_iter().map(|(_, value)| value).collect();
        Ok(Self {
            selection: Selection::new(algorithm.class(), &options)?,
            loss_scale: options.dynamic_loss_scale.as_ref().map(LossScale::new),
            algorithm,
            options,
            execution,
            applied: 0,
            scalars,
            parameters: IndexMap::new(),
            parts: Vec::new(),
            routes: Routes::default(),
            plan: Plan::default(),
            list: Vec::new(),
            thawed: Vec::new(),
        })
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

    /// The class: Keras', PyTorch's behind `torch.optim.`, or the authors'.
    pub fn class(&self) -> &'static str {
        match self.loss_scale {
            Some(_) => DynamicLossScale::CLASS,
            None => self.algorithm.class(),
        }
    }

    /// The class without the loss scale around it.
    pub(crate) fn inner_class(&self) -> &'static str {
        self.algorithm.class()
    }

    pub(crate) fn with_dynamic_loss_scale(mut self, options: DynamicLossScale) -> Self {
        self.loss_scale = Some(LossScale::new(&options));
        self.options.dynamic_loss_scale = Some(options);
        self
    }

    /// What the loss is to be multiplied by before the backward pass; gradients are divided by it in the step (Keras'
    /// `scale_loss`).
    pub fn loss_scale(&self) -> f64 {
        let fixed = || self.options.loss_scale_factor.unwrap_or(1.0);
        self.loss_scale.map_or_else(fixed, |dynamic| dynamic.scale)
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
        let parts = std::mem::take(&mut self.parts).into_iter();
        self.parts = parts.map(|part| part.with_execution(execution)).collect();
        self
    }

    /// The learning rate of the next step; that of the first part if there are several.
    pub fn learning_rate(&self) -> f64 {
        match self.parts.first() {
            Some(part) => part.optimizer.learning_rate(),
            None => self.options.learning_rate.value(self.applied),
        }
    }

    /// The learning rate of the next step for the parameter of this path: that of its group or part.
    pub fn learning_rate_of(&self, path: &str) -> f64 {
        match self.part_of(path).ok().and_then(|index| self.parts.get(index)) {
            Some(part) => part.optimizer.learning_rate_of(path),
            None => self.rate_of(self.selection.group(path), self.learning_rate()),
        }
    }

    /// The rate of a group, from that of the optimizer.
    pub(crate) fn rate_of(&self, group: Option<usize>, learning_rate: f64) -> f64 {
        match group.map(|index| &self.options.groups[index]) {
            Some(group) => {
                let own = group
                    .learning_rate
                    .as_ref()
                    .map(|schedule| schedule.value(self.applied));
                own.unwrap_or(learning_rate) * group.learning_rate_factor
            }
            None => learning_rate,
        }
    }

    /// The weight decay of a parameter.
    pub(crate) fn decay_of(&self, path: &str, shape: &[usize], group: Option<usize>) -> f64 {
        let own = group.and_then(|index| self.options.groups[index].weight_decay);
        own.unwrap_or_else(|| match self.selection.excludes(path) {
            true => 0.0,
            false => {
                let decay = self.algorithm.weight_decay_of(path, shape, self.options.weight_decay);
                decay.unwrap_or(0.0)
            }
        })
    }

    /// Sets a constant learning rate from the next step on, in place of a schedule if there was one.
    ///
    /// # Errors
    /// [`Error::InvalidLearningRate`] if it is negative or not finite, [`Error::InvalidOption`] if the optimizer has several parts.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        if !self.parts.is_empty() {
            return Err(Error::InvalidOption {
                class: self.class().to_owned(),
                option: "learning_rate".to_owned(),
                expected: "set on the optimizers it is made of (parts_mut)".to_owned(),
                found: learning_rate.to_string(),
            });
        }
        self.options.learning_rate = Schedule::Constant(checked_rate(learning_rate)?);
        Ok(())
    }

    /// How often the parameters were updated.
    pub fn iterations(&self) -> u64 {
        self.applied / self.options.gradient_accumulation_steps.unwrap_or(1)
    }

    /// Bytes of state that are held now, averages and accumulated gradients included.
    pub fn state_bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| part.optimizer.state_bytes()).sum();
        parts + self.parameters.values().map(ParameterState::bytes).sum::<usize>()
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
    ///
    /// With a [dynamic loss scale](DynamicLossScale), gradients that are not finite are no error: the step is left out.
    pub fn apply(&mut self, parameters: &[Parameter<'_>]) -> Result<()> {
        let scale = 1.0 / self.loss_scale();
        if self.loss_scale.is_none() {
            return self.apply_scaled(parameters, scale, self.options.check_finite);
        }
        match self.apply_scaled(parameters, scale, true) {
            Ok(()) => {
                self.loss_scale.iter_mut().for_each(LossScale::succeed);
                Ok(())
            }
            Err(Error::NonFiniteGradient { .. }) => {
                self.loss_scale.iter_mut().for_each(LossScale::fail);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// One step with gradients that are to be multiplied by `scale`, and must be finite if `finite`.
    pub(crate) fn apply_scaled(&mut self, parameters: &[Parameter<'_>], scale: f64, finite: bool) -> Result<()> {
        self.apply_uncounted(parameters, scale, finite)?;
        self.applied += 1;
        Ok(())
    }

    /// The same, without counting it.
    pub(crate) fn apply_uncounted(&mut self, parameters: &[Parameter<'_>], scale: f64, finite: bool) -> Result<()> {
        if !self.options.groups.iter().any(|group| group.frozen) {
            return self.apply_to_all(parameters, scale, finite);
        }
        let mut thawed = emptied(std::mem::take(&mut self.thawed));
        let all = parameters.iter();
        thawed.extend(all.filter(|parameter| !self.is_frozen(parameter.path)));
        let outcome = self.apply_to_all(&thawed, scale, finite);
        self.thawed = emptied(thawed);
        outcome
    }

    fn apply_to_all(&mut self, parameters: &[Parameter<'_>], scale: f64, finite: bool) -> Result<()> {
        if !self.parts.is_empty() {
            return self.apply_to_parts(parameters, scale, finite);
        }
        let learning_rate = self.checked_rates()?;
        let known = self.parameters.len();
        let mut plan = self.plan_for(parameters)?;
        let elements = match plan.is_shared() {
            // Products of matrices take longer, and are shared from smaller ones on.
            true if self.algorithm.shares_memory() => plan.elements.saturating_mul(WORK_OF_PRODUCTS),
            true => plan.elements,
            false => 0,
        };
        let outcome = fused::enter(elements, || {
            match self.examine(&mut plan, parameters, finite) {
                Ok(()) => self.step(&mut plan, parameters, learning_rate, scale),
                Err(error) => {
                    // States that were made for this step go with it.
                    self.parameters.truncate(known);
                    Err(error)
                }
            }
        });
        plan.release();
        self.plan = plan;
        outcome
    }

    /// The rate of this step, after it and those of all groups were checked.
    pub(crate) fn checked_rates(&self) -> Result<f64> {
        let learning_rate = checked_rate(self.learning_rate())?;
        for group in 0..self.options.groups.len() {
            checked_rate(self.rate_of(Some(group), learning_rate))?;
        }
        Ok(learning_rate)
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
        let learning_rate = self.learning_rate_of(path);
        match self.parameters.get_mut(path) {
            Some(state) => state.settle(var, fused),
            None => {
                self.algorithm.accept(path, var.dims())?;
                let (algorithm, options) = (self.algorithm.as_ref(), &self.options);
                let state = ParameterState::new(algorithm, options, path, var, fused, learning_rate)?;
                self.parameters.insert(path.to_owned(), state);
                Ok(())
            }
        }
    }

    /// Whether a group keeps the parameter as it is.
    pub(crate) fn is_frozen(&self, path: &str) -> bool {
        let group = self.selection.group(path);
        group.is_some_and(|index| self.options.groups[index].frozen)
    }
}

/// The memory of a list, for a list of other lifetimes.
pub(crate) fn emptied<'a>(mut list: Vec<Parameter<'_>>) -> Vec<Parameter<'a>> {
    list.clear();
    // Collecting from the iterator of a list of elements of the same size keeps its memory.
    list.into_iter().map_while(|_| None).collect()
}

/// Whether no path is there twice.
pub(crate) fn check_paths(parameters: &[Parameter<'_>]) -> Result<()> {
    let mut paths: Vec<&str> = parameters.iter().map(|parameter| parameter.path).collect();
    paths.sort_unstable();
    match paths.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::DuplicatePath {
            path: pair[0].to_owned(),
        }),
        None => Ok(()),
    }
}
