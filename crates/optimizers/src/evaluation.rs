//! The weights to evaluate with: moving averages, or the mean that a schedule-free method keeps.

use candle_core::Var;

use crate::average;
use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use crate::slot::Slot;

impl Optimizer {
    /// Whether the weights to evaluate with are others than those that are trained: averages (`use_ema`), or the mean that a
    /// schedule-free method keeps. [`exchange_averages`](Self::exchange_averages) puts them in place.
    pub fn has_averages(&self) -> bool {
        self.options.use_ema
            || self.algorithm.average_slot().is_some()
            || self.parts.iter().any(|part| part.optimizer.has_averages())
    }

    /// Overwrites the variables by the weights to evaluate with, for the end of a training: their moving averages (Keras' method
    /// of this name), or what a schedule-free method has found. Where there are none, nothing happens.
    ///
    /// # Errors
    /// [`Error::StateMissing`] if a variable was never updated; nothing is changed then.
    pub fn finalize_variable_values(&mut self, variables: &[(&str, &Var)]) -> Result<()> {
        self.with_averages(variables, |var, average| average::overwrite(var, None, average))
    }

    /// Exchanges the variables and the weights to evaluate with, in place; a second call puts both back to the bit. For measuring
    /// or saving a network in the middle of a training with `use_ema` or a schedule-free method. Where there are none, nothing
    /// happens.
    ///
    /// Between the two calls no step must be made.
    ///
    /// # Errors
    /// [`Error::StateMissing`] if a variable was never updated; nothing is changed then.
    pub fn exchange_averages(&mut self, variables: &[(&str, &Var)]) -> Result<()> {
        self.with_averages(variables, average::exchange)
    }

    fn with_averages(
        &mut self,
        variables: &[(&str, &Var)],
        mut function: impl FnMut(&Var, &mut Slot) -> Result<()>,
    ) -> Result<()> {
        if !self.has_averages() {
            return Ok(());
        }
        self.check_averages(variables)?;
        self.change_averages(variables, &mut function)
    }

    /// Whether every variable has its average.
    fn check_averages(&mut self, variables: &[(&str, &Var)]) -> Result<()> {
        if !self.parts.is_empty() {
            return self.for_each_part(variables, |part, variables| part.check_averages(variables));
        }
        let (moving, own) = (self.options.use_ema.then_some("average"), self.algorithm.average_slot());
        let Some(slot) = moving.or(own) else {
            return Ok(());
        };
        for (path, var) in variables.iter().filter(|(path, _)| !self.is_frozen(path)) {
            let state = self.parameters.get(*path).ok_or_else(|| Error::StateMissing {
                key: format!("{path}/{slot}"),
            })?;
            state.check(path, var, self.algorithm.as_ref())?;
        }
        Ok(())
    }

    fn change_averages(
        &mut self,
        variables: &[(&str, &Var)],
        function: &mut dyn FnMut(&Var, &mut Slot) -> Result<()>,
    ) -> Result<()> {
        if !self.parts.is_empty() {
            return self.for_each_part(variables, |part, variables| part.change_averages(variables, function));
        }
        for (path, var) in variables.iter().filter(|(_, var)| var.elem_count() > 0) {
            if self.is_frozen(path) || !self.has_averages() {
                continue;
            }
            self.ensure_state(path, var)?;
            let algorithm = self.algorithm.as_ref();
            let average = self
                .parameters
                .get_mut(*path)
                .and_then(|state| state.evaluation_mut(algorithm));
            average.map_or(Ok(()), |average| function(var, average))?;
        }
        Ok(())
    }
}
