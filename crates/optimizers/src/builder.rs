//! From a name, or an algorithm with chosen hyper-parameters, to an [`Optimizer`].

use crate::algorithm::Algorithm;
use crate::algorithms::{ENTRIES, Entry};
use crate::error::{Error, Result};
use crate::groups::Group;
use crate::loss_scale::DynamicLossScale;
use crate::nearest::nearest;
use crate::optimizer::Optimizer;
use crate::options::{Execution, Options};
use crate::schedules::Schedule;

/// Collects the options of an optimizer; nothing is checked before [`build`](Self::build).
///
/// ```
/// use optimizers::{Adam, Optimizer, OptimizerBuilder, schedules::{CosineDecay, Schedule}};
///
/// let by_name = Optimizer::builder("sgd_momentum")?.learning_rate(0.1).clipnorm(1.0).build()?;
/// assert_eq!(by_name.name(), "sgd_momentum");
///
/// let schedule = CosineDecay { initial_learning_rate: 0.01, decay_steps: 1000.0, ..Default::default() };
/// let typed = OptimizerBuilder::new(Adam { beta_2: 0.99, ..Default::default() }).schedule(schedule).build()?;
/// assert_eq!(typed.learning_rate(), 0.01);
/// # Ok::<(), optimizers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OptimizerBuilder {
    pub(crate) algorithm: Box<dyn Algorithm>,
    pub(crate) options: Options,
    pub(crate) execution: Execution,
}

impl OptimizerBuilder {
    /// Starts from an algorithm with its hyper-parameters.
    pub fn new(algorithm: impl Algorithm + 'static) -> Self {
        Self::boxed(Box::new(algorithm), None)
    }

    pub(crate) fn boxed(algorithm: Box<dyn Algorithm>, name: Option<&str>) -> Self {
        let options = Options {
            name: name.map_or_else(|| algorithm.class().to_lowercase(), str::to_owned),
            learning_rate: Schedule::Constant(algorithm.default_learning_rate()),
            weight_decay: algorithm.default_weight_decay(),
            ..Options::default()
        };
        Self {
            algorithm,
            options,
            execution: Execution::default(),
        }
    }

    /// Starts from a name such as `adam`, `AdamW` or `sgd_momentum`.
    ///
    /// # Errors
    /// [`Error::UnknownOptimizer`] with the nearest known name.
    pub fn by_name(name: &str) -> Result<Self> {
        let entry = entry(name)?;
        Ok(Self::boxed((entry.default)(), Some(entry.name)))
    }

    /// A constant learning rate.
    #[must_use]
    pub fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.options.learning_rate = Schedule::Constant(learning_rate);
        self
    }

    /// A learning rate that follows a schedule.
    #[must_use]
    pub fn schedule(mut self, schedule: impl Into<Schedule>) -> Self {
        self.options.learning_rate = schedule.into();
        self
    }

    /// Decoupled weight decay, see [`Options::weight_decay`].
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: impl Into<Option<f64>>) -> Self {
        self.options.weight_decay = weight_decay.into();
        self
    }

    /// No weight decay for parameters in whose name (the last part of the path) one of these regular expressions is found, for
    /// example `["bias", "gamma"]`; see [`Options::exclude_from_weight_decay`].
    #[must_use]
    pub fn exclude_from_weight_decay<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.options.exclude_from_weight_decay = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Limits the norm of each gradient.
    #[must_use]
    pub fn clipnorm(mut self, norm: f64) -> Self {
        self.options.clipnorm = Some(norm);
        self
    }

    /// Limits the norm of all gradients together.
    #[must_use]
    pub fn global_clipnorm(mut self, norm: f64) -> Self {
        self.options.global_clipnorm = Some(norm);
        self
    }

    /// Limits each entry of the gradients.
    #[must_use]
    pub fn clipvalue(mut self, value: f64) -> Self {
        self.options.clipvalue = Some(value);
        self
    }

    /// Keeps a moving average of the parameters: `average <- momentum * average + (1 - momentum) * w`.
    #[must_use]
    pub fn ema(mut self, momentum: f64, overwrite_frequency: impl Into<Option<u64>>) -> Self {
        self.options.use_ema = true;
        self.options.ema_momentum = momentum;
        self.options.ema_overwrite_frequency = overwrite_frequency.into();
        self
    }

    /// Averages this many gradients into one update.
    #[must_use]
    pub fn gradient_accumulation_steps(mut self, steps: u64) -> Self {
        self.options.gradient_accumulation_steps = Some(steps);
        self
    }

    /// Treats the parameters that match a pattern otherwise than the rest.
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.options.groups.push(group);
        self
    }

    /// Whether to walk up instead of down.
    #[must_use]
    pub fn maximize(mut self, maximize: bool) -> Self {
        self.options.maximize = maximize;
        self
    }

    /// Scales the loss by a factor that finds its size, see [`DynamicLossScale`].
    #[must_use]
    pub fn dynamic_loss_scale(mut self, options: DynamicLossScale) -> Self {
        self.options.dynamic_loss_scale = Some(options);
        self
    }

    /// Divides gradients by what the loss was multiplied by.
    #[must_use]
    pub fn loss_scale_factor(mut self, factor: f64) -> Self {
        self.options.loss_scale_factor = Some(factor);
        self
    }

    /// Whether NaN or infinity in a gradient is an error (the default).
    #[must_use]
    pub fn check_finite(mut self, check: bool) -> Self {
        self.options.check_finite = check;
        self
    }

    /// How updates are carried out.
    #[must_use]
    pub fn execution(mut self, execution: Execution) -> Self {
        self.execution = execution;
        self
    }

    /// Replaces all options that do not belong to the algorithm.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Checks everything and makes the optimizer.
    ///
    /// # Errors
    /// [`Error::InvalidLearningRate`] or [`Error::InvalidOption`].
    pub fn build(self) -> Result<Optimizer> {
        self.algorithm.validate()?;
        self.options.validate(self.algorithm.class())?;
        if self.algorithm.class() == "AdamW" && self.options.weight_decay.is_none() {
            return Err(Error::InvalidOption {
                class: self.algorithm.class().to_owned(),
                option: "weight_decay".to_owned(),
                expected: "a number, because decay is what makes this optimizer (0 switches it off)".to_owned(),
                found: "not set".to_owned(),
            });
        }
        Optimizer::new(self.algorithm, self.options, self.execution)
    }
}

/// Finds an optimizer by name or class (`adam`, `RMSprop`, `torch.optim.Adam`), whatever the case and underscores.
pub(crate) fn entry(name: &str) -> Result<&'static Entry> {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-', ' '], "");
    let wanted = plain(name);
    if wanted.trim_start_matches("torch.optim.") == "lbfgs" {
        return Err(Error::NeedsClosure { name: name.to_owned() });
    }
    let by_name = ENTRIES.iter().find(|entry| plain(entry.name) == wanted);
    let by_class = || ENTRIES.iter().find(|entry| plain((entry.default)().class()) == wanted);
    by_name.or_else(by_class).ok_or_else(|| Error::UnknownOptimizer {
        name: name.to_owned(),
        suggestion: nearest(name, ENTRIES.iter().map(|entry| entry.name)),
        known: ENTRIES.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", "),
    })
}
