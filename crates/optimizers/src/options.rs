//! The options that Keras' base class gives to every optimizer.

use serde::{Deserialize, Serialize};

use crate::algorithm::Check;
use crate::error::{Error, Result};
use crate::groups::{Group, expression};
use crate::loss_scale::DynamicLossScale;
use crate::schedules::Schedule;

/// Options of every optimizer, under Keras' names; the defaults are Keras'.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// A label, written to the configuration.
    pub name: String,
    /// The learning rate, constant or a schedule.
    pub learning_rate: Schedule,
    /// Decoupled weight decay: before each update `w <- w - w * weight_decay * learning_rate`.
    pub weight_decay: Option<f64>,
    /// Gradients of a larger Euclidean norm are scaled down to this norm, each parameter by itself.
    pub clipnorm: Option<f64>,
    /// The same for the norm of all gradients together.
    pub global_clipnorm: Option<f64>,
    /// Entries of gradients are limited to `-clipvalue..=clipvalue`.
    pub clipvalue: Option<f64>,
    /// Whether a moving average of each parameter is kept.
    pub use_ema: bool,
    /// How much of the average is kept at each step.
    pub ema_momentum: f64,
    /// After how many steps the parameters are overwritten by their averages; `None`: only when asked to.
    pub ema_overwrite_frequency: Option<u64>,
    /// What the loss was multiplied by: gradients are divided by it.
    pub loss_scale_factor: Option<f64>,
    /// How many gradients are averaged into one update.
    pub gradient_accumulation_steps: Option<u64>,
    /// Regular expressions: parameters in whose name one of these is found are not decayed (`var_names` of Keras' method of this
    /// name). The name is the last part of the path, `bias` of `dense/bias`; for the parameters of a layer there are groups, such as
    /// `Group::matching("dense/.*").weight_decay(0.0)`.
    pub exclude_from_weight_decay: Vec<String>,
    /// Parameters with other rates or decays, or frozen. Of several that match a path, the first counts.
    pub groups: Vec<Group>,
    /// Whether to walk up instead of down (PyTorch's `maximize`): gradients change their sign first.
    pub maximize: bool,
    /// A loss scale that finds its size, in the place of `loss_scale_factor` (Keras' `LossScaleOptimizer`).
    pub dynamic_loss_scale: Option<DynamicLossScale>,
    /// Whether NaN and infinity in a gradient are an error (default) or are computed with, as Keras does.
    pub check_finite: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "optimizer".to_owned(),
            learning_rate: Schedule::Constant(0.001),
            weight_decay: None,
            clipnorm: None,
            global_clipnorm: None,
            clipvalue: None,
            use_ema: false,
            ema_momentum: 0.99,
            ema_overwrite_frequency: None,
            loss_scale_factor: None,
            gradient_accumulation_steps: None,
            exclude_from_weight_decay: Vec::new(),
            groups: Vec::new(),
            maximize: false,
            dynamic_loss_scale: None,
            check_finite: true,
        }
    }
}

impl Options {
    pub(crate) fn validate(&self, class: &'static str) -> Result<()> {
        let check = Check(class);
        self.learning_rate.validate()?;
        for (name, value) in [
            ("clipnorm", self.clipnorm),
            ("global_clipnorm", self.global_clipnorm),
            ("clipvalue", self.clipvalue),
            ("loss_scale_factor", self.loss_scale_factor),
        ] {
            value.map_or(Ok(()), |value| check.positive(name, value))?;
        }
        self.weight_decay
            .map_or(Ok(()), |value| check.not_negative("weight_decay", value))?;
        let clips = [self.clipnorm, self.global_clipnorm, self.clipvalue];
        let several = clips.iter().flatten().count() > 1;
        let only_one = "the only one of clipnorm, global_clipnorm and clipvalue";
        check.that(
            !several,
            "clipnorm, global_clipnorm, clipvalue",
            "set more than once",
            only_one,
        )?;
        let ema = (0.0..=1.0).contains(&self.ema_momentum);
        check.that(ema, "ema_momentum", self.ema_momentum, "between 0 and 1")?;
        for (name, value, least) in [
            ("ema_overwrite_frequency", self.ema_overwrite_frequency, 1),
            ("gradient_accumulation_steps", self.gradient_accumulation_steps, 2),
        ] {
            let value = value.unwrap_or(least);
            check.that(
                value >= least,
                name,
                value,
                &format!("a whole number of at least {least}"),
            )?;
        }
        for pattern in &self.exclude_from_weight_decay {
            expression(class, "exclude_from_weight_decay", pattern)?;
        }
        self.groups.iter().try_for_each(|group| group.validate(class))?;
        if let Some(dynamic) = &self.dynamic_loss_scale {
            dynamic.validate()?;
            let fixed = "left out where the loss scale is dynamic";
            check.that(self.loss_scale_factor.is_none(), "loss_scale_factor", "set", fixed)?;
        }
        let useful = self.use_ema || self.ema_overwrite_frequency.is_none();
        check.that(
            useful,
            "ema_overwrite_frequency",
            "set",
            "left out unless use_ema is true",
        )
    }
}

/// How updates are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Execution {
    /// `f32` and `f64` on a CPU in one pass over memory, all else by tensor operations.
    #[default]
    Fused,
    /// Always by tensor operations: slower on a CPU; the reference in tests.
    TensorOperations,
}

/// Checks a rate that is about to be used.
pub(crate) fn checked_rate(value: f64) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(Error::InvalidLearningRate { value })
    }
}
