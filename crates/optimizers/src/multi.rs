//! Another optimizer for each part of a network (Keras' `MultiOptimizer`).

use std::fmt::Debug;

use candle_core::{Tensor, Var};
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::algorithm::{Algorithm, Check, SlotSpec, Step};
use crate::clipping::is_finite;
use crate::config::{nested, object, serialized, unknown};
use crate::error::{Error, Result};
use crate::fused::threads;
use crate::groups::whole;
use crate::optimizer::{Optimizer, Parameter, check_paths, emptied};
use crate::options::{Execution, Options};
use crate::rule::Target;
use crate::schedules::Schedule;

pub(crate) const CLASS: &str = "MultiOptimizer";

/// Named tensors.
type State = Vec<(String, Tensor)>;

/// An optimizer and the paths that it updates.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The whole path must match; `None` takes what is left.
    pattern: Option<(String, Regex)>,
    pub(crate) optimizer: Optimizer,
}

impl Part {
    pub(crate) fn with_execution(mut self, execution: Execution) -> Self {
        self.optimizer = self.optimizer.with_execution(execution);
        self
    }
}

impl Optimizer {
    /// An optimizer that hands each parameter to another one: to that whose pattern (a regular expression) matches the whole path,
    /// or to `default` (Keras' `MultiOptimizer` with an `OptimizerMap`).
    ///
    /// ```
    /// use optimizers::Optimizer;
    ///
    /// let sgd = Optimizer::builder("sgd")?.learning_rate(0.1).build()?;
    /// let multi = Optimizer::multi([(".*/bias", sgd)], Optimizer::by_name("adam")?)?;
    /// assert_eq!(multi.learning_rate_of("dense/bias"), 0.1);
    /// assert_eq!(multi.learning_rate_of("dense/kernel"), 0.001);
    /// # Ok::<(), optimizers::Error>(())
    /// ```
    ///
    /// Each keeps its own options, schedule and count of steps. The loss scale belongs to the whole: as in Keras, that of the
    /// parts is switched off.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if a pattern is no regular expression.
    pub fn multi<S: Into<String>>(parts: impl IntoIterator<Item = (S, Self)>, default: Self) -> Result<Self> {
        let mut made = Vec::new();
        for (pattern, optimizer) in parts {
            let pattern = pattern.into();
            let expression = whole(CLASS, "optimizer_map", &pattern)?;
            made.push(Part {
                pattern: Some((pattern, expression)),
                optimizer,
            });
        }
        made.push(Part {
            pattern: None,
            optimizer: default,
        });
        for part in &mut made {
            let wrapped = !part.optimizer.parts.is_empty() || part.optimizer.loss_scale.is_some();
            Check(CLASS).that(
                !wrapped,
                "optimizer_map",
                format!("made with a {}", part.optimizer.class()),
                "made of optimizers that do not hold others; the loss scale goes around all of them",
            )?;
            part.optimizer.options.loss_scale_factor = None;
        }
        let options = Options {
            name: "multi_optimizer".to_owned(),
            learning_rate: Schedule::Constant(0.0),
            ..Options::default()
        };
        let mut optimizer = Self::new(Box::new(Multi), options, Execution::default())?;
        optimizer.parts = made;
        Ok(optimizer)
    }

    /// The optimizers that this one hands its parameters to, the default one last; none if it is an ordinary one.
    pub fn parts_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.parts.iter_mut().map(|part| &mut part.optimizer)
    }

    /// The same, to read.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &Self> {
        self.parts.iter().map(|part| &part.optimizer)
    }

    /// The place of the part that a path belongs to. A pattern that is the path itself goes before patterns that match it.
    pub(crate) fn part_of(&self, path: &str) -> Result<usize> {
        let named = |part: &Part| part.pattern.as_ref().is_some_and(|(pattern, _)| pattern == path);
        if let Some(index) = self.parts.iter().position(named) {
            return Ok(index);
        }
        let mut matching = self
            .parts
            .iter()
            .enumerate()
            .filter_map(|(index, part)| match &part.pattern {
                Some((pattern, expression)) if expression.is_match(path) => Some((index, pattern)),
                _ => None,
            });
        match (matching.next(), matching.next()) {
            (Some((_, first)), Some((_, second))) => Err(Error::AmbiguousOptimizer {
                path: path.to_owned(),
                first: first.clone(),
                second: second.clone(),
            }),
            (Some((index, _)), None) => Ok(index),
            (None, _) => Ok(self.parts.len().saturating_sub(1)),
        }
    }

    /// The parameters of each part, in the order of the parts.
    fn routed<'p, T: Copy>(&self, all: &[T], path: impl Fn(&T) -> &'p str) -> Result<Vec<Vec<T>>> {
        let mut routed = vec![Vec::new(); self.parts.len()];
        for one in all {
            routed[self.part_of(path(one))?].push(*one);
        }
        Ok(routed)
    }

    /// One step of all parts; everything is checked before the first makes its step.
    pub(crate) fn apply_to_parts(&mut self, parameters: &[Parameter<'_>], scale: f64, finite: bool) -> Result<()> {
        if !self.routes.fit(parameters) {
            self.routes = Routes::default();
            check_paths(parameters)?;
            let routes = parameters.iter().map(|parameter| {
                let part = self.part_of(parameter.path)?;
                Ok((parameter.path.to_owned(), part))
            });
            self.routes.known = routes.collect::<Result<_>>()?;
        }
        let mut lists: Vec<Vec<Parameter<'_>>> = std::mem::take(&mut self.routes.lists)
            .into_iter()
            .map(emptied)
            .collect();
        lists.resize_with(self.parts.len(), Vec::new);
        for (parameter, (_, part)) in parameters.iter().zip(&self.routes.known) {
            lists[*part].push(*parameter);
        }
        let outcome = self.apply_lists(&lists, scale, finite);
        self.routes.lists = lists.into_iter().map(emptied).collect();
        outcome
    }

    fn apply_lists(&mut self, lists: &[Vec<Parameter<'_>>], scale: f64, finite: bool) -> Result<()> {
        let finite_in = |part: &Part| finite && part.optimizer.options.check_finite || self.loss_scale.is_some();
        for (part, parameters) in self.parts.iter().zip(lists) {
            part.optimizer.check(parameters, finite_in(part))?;
        }
        for (part, parameters) in self.parts.iter_mut().zip(lists) {
            if !parameters.is_empty() {
                // What was looked for is not looked for again.
                part.optimizer.apply_scaled(parameters, scale, false)?;
            }
        }
        Ok(())
    }

    /// Everything that can be wrong with a step but its paths, without making it.
    fn check(&self, parameters: &[Parameter<'_>], finite: bool) -> Result<()> {
        self.checked_rates()?;
        for parameter in parameters.iter().filter(|parameter| !self.is_frozen(parameter.path)) {
            parameter.check()?;
            // What the plan of the last step knows was looked at when it was made.
            if !self.plan.knows(parameter, &self.parameters) {
                self.check_state(parameter.path, parameter.var)?;
            }
            if finite && !is_finite(&parameter.gradient.contiguous()?, threads())? {
                return Err(Error::NonFiniteGradient {
                    path: parameter.path.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Calls a function with each part and its variables.
    pub(crate) fn for_each_part<'v>(
        &mut self,
        variables: &[(&'v str, &'v Var)],
        mut function: impl FnMut(&mut Self, &[(&'v str, &'v Var)]) -> Result<()>,
    ) -> Result<()> {
        let routed = self.routed(variables, |(path, _)| path)?;
        let parts = self.parts.iter_mut().zip(&routed);
        parts
            .filter(|(_, variables)| !variables.is_empty())
            .try_for_each(|(part, variables)| function(&mut part.optimizer, variables))
    }

    /// The state of the parts: that of parameters under their paths, counters behind the number of the part.
    pub(crate) fn state_of_parts(&self) -> Result<State> {
        let mut state = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let named = part.optimizer.state()?.into_iter();
            state.extend(named.map(|(key, tensor)| match key.contains('/') {
                true => (key, tensor),
                false => (format!("{}{key}", prefix(index)), tensor),
            }));
        }
        Ok(state)
    }

    /// The parts with another state; none is changed if one does not fit.
    pub(crate) fn parts_with_state<S: AsRef<str>>(&self, state: &[(S, Tensor)]) -> Result<(Vec<Part>, State)> {
        let mut shares: Vec<State> = vec![Vec::new(); self.parts.len()];
        let mut own = Vec::new();
        for (key, tensor) in state {
            let key = key.as_ref();
            let counter = (0..self.parts.len()).find_map(|index| Some((index, key.strip_prefix(&prefix(index))?)));
            match (counter, key.rsplit_once('/')) {
                (Some((index, key)), None) => shares[index].push((key.to_owned(), tensor.clone())),
                (_, Some((path, _))) => shares[self.part_of(path)?].push((key.to_owned(), tensor.clone())),
                (None, None) => own.push((key.to_owned(), tensor.clone())),
            }
        }
        let mut parts = self.parts.clone();
        for ((index, part), share) in parts.iter_mut().enumerate().zip(&shares) {
            part.optimizer.load_state(share).map_err(|error| match error {
                // The name that the entry has in the state of the whole.
                Error::StateMissing { key } if !key.contains('/') => Error::StateMissing {
                    key: format!("{}{key}", prefix(index)),
                },
                other => other,
            })?;
        }
        Ok((parts, own))
    }
}

/// Which parts the parameters of the last step went to, so that the next step with the same ones need not ask again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    /// Path and part of each.
    known: Vec<(String, usize)>,
    /// An empty list for each part, kept for its memory.
    lists: Vec<Vec<Parameter<'static>>>,
}

impl Routes {
    fn fit(&self, parameters: &[Parameter<'_>]) -> bool {
        let mut pairs = self.known.iter().zip(parameters);
        self.known.len() == parameters.len() && pairs.all(|((path, _), parameter)| path == parameter.path)
    }
}

/// What stands before the counters of a part.
fn prefix(index: usize) -> String {
    format!("optimizer_{index}:")
}

/// Reads the configuration of Keras' class.
pub(crate) fn from_config(config: &Value) -> Result<Optimizer> {
    let known = ["name", "loss_scale_factor", "optimizer_map"].map(str::to_owned);
    let given = object(CLASS, config)?;
    if let Some(key) = given.keys().find(|key| !known.contains(key)) {
        return Err(unknown(CLASS, key, &known));
    }
    let invalid = |option: &str, expected: &str, found: &Value| Error::InvalidOption {
        class: CLASS.to_owned(),
        option: option.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
    };
    let map = config.pointer("/optimizer_map/config").and_then(Value::as_object);
    let map = map.ok_or_else(|| {
        let found = given.get("optimizer_map").unwrap_or(&Value::Null);
        invalid(
            "optimizer_map",
            "an OptimizerMap {\"class_name\": ..., \"config\": {...}}",
            found,
        )
    })?;
    let known = ["default_optimizer", "optimizer_map"].map(str::to_owned);
    if let Some(key) = map.keys().find(|key| !known.contains(key)) {
        return Err(unknown("OptimizerMap", key, &known));
    }
    let default = nested(
        CLASS,
        "default_optimizer",
        map.get("default_optimizer").unwrap_or(&Value::Null),
    )?;
    let mut parts = Vec::new();
    for (pattern, value) in map
        .get("optimizer_map")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        parts.push((pattern.clone(), nested(CLASS, "optimizer_map", value)?));
    }
    let mut optimizer = Optimizer::multi(parts, default)?;
    match given.get("name") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) => optimizer.options.name.clone_from(name),
        Some(other) => return Err(invalid("name", "a text", other)),
    }
    match given.get("loss_scale_factor") {
        None | Some(Value::Null) => {}
        Some(factor) => {
            let positive = factor.as_f64().filter(|factor| *factor > 0.0 && factor.is_finite());
            let expected = "a finite number above 0, or null";
            optimizer.options.loss_scale_factor =
                Some(positive.ok_or_else(|| invalid("loss_scale_factor", expected, factor))?);
        }
    }
    Ok(optimizer)
}

/// The configuration of an optimizer that has parts.
pub(crate) fn config(optimizer: &Optimizer) -> Option<Value> {
    let default = optimizer.parts.last()?;
    let serialized_part = |part: &Part| serialized(part.optimizer.class(), part.optimizer.config());
    let map: Map<String, Value> = optimizer
        .parts
        .iter()
        .filter_map(|part| Some((part.pattern.as_ref()?.0.clone(), serialized_part(part))))
        .collect();
    Some(json!({
        "optimizer_map": serialized("OptimizerMap", json!({
            "default_optimizer": serialized_part(default),
            "optimizer_map": map,
        })),
        "loss_scale_factor": optimizer.options.loss_scale_factor,
        "name": optimizer.options.name,
    }))
}

/// Stands in the place of an algorithm where the parts have theirs.
#[derive(Clone, Debug)]
struct Multi;

impl Algorithm for Multi {
    fn class(&self) -> &'static str {
        CLASS
    }

    fn slots(&self, _: &[usize]) -> Vec<SlotSpec> {
        Vec::new()
    }

    fn update(&self, _: &Step<'_>, _: &mut Target<'_>) -> Result<()> {
        Ok(())
    }

    fn hyperparameters(&self) -> Map<String, Value> {
        Map::new()
    }

    fn validate(&self) -> Result<()> {
        Ok(())
    }

    fn boxed(&self) -> Box<dyn Algorithm> {
        Box::new(self.clone())
    }
}
