//! The state of an optimizer: named, saved, loaded.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use indexmap::IndexMap;

use crate::algorithm::{Algorithm, Initial, SlotSpec};
use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::optimizer::Optimizer;
use crate::options::Options;
use crate::slot::Slot;

/// The entry that counts the calls of `apply`.
const ITERATIONS: &str = "iterations";
/// The entries of a dynamic loss scale.
const STEP_COUNTER: &str = "step_counter";
const DYNAMIC_SCALE: &str = "dynamic_scale";
const AVERAGE: &str = "average";
const ACCUMULATED: &str = "gradient_accumulator";

/// What is remembered for one parameter: the algorithm's slots first, then the base options' tensors.
#[derive(Clone, Debug)]
pub(crate) struct ParameterState {
    names: Vec<&'static str>,
    shapes: Vec<Vec<usize>>,
    slots: Vec<Slot>,
    /// How many slots belong to the algorithm.
    own: usize,
    dtype: DType,
    /// Whether the form of the slots has been fitted to the parameter; a loaded state waits for it.
    settled: bool,
}

/// The shape of an example parameter, and the tensors that are kept for it.
type Kind = (Vec<usize>, Vec<SlotSpec>);

/// The tensors kept for this parameter.
fn specification(algorithm: &dyn Algorithm, options: &Options, path: &str, shape: &[usize]) -> Vec<SlotSpec> {
    let mut slots = algorithm.slots_of(path, shape);
    if options.gradient_accumulation_steps.is_some() {
        slots.push(SlotSpec::zeros(ACCUMULATED, shape));
    }
    if options.use_ema {
        slots.push(SlotSpec::zeros(AVERAGE, shape));
    }
    slots
}

impl ParameterState {
    pub(crate) fn new(
        algorithm: &dyn Algorithm,
        options: &Options,
        path: &str,
        var: &Var,
        fused: bool,
        learning_rate: f64,
    ) -> Result<Self> {
        let specification = specification(algorithm, options, path, var.dims());
        let filled = |value, slot: &SlotSpec| Slot::filled(value, &slot.shape, var.dtype(), var.device(), fused);
        let slots = specification
            .iter()
            .map(|slot| match slot.initial {
                Initial::Constant(value) => filled(value, slot),
                Initial::LearningRate => filled(learning_rate, slot),
                Initial::Weight => Slot::from_tensor(&var.as_tensor().detach(), var.device(), fused),
            })
            .collect::<candle_core::Result<_>>()?;
        Ok(Self {
            own: algorithm.slots_of(path, var.dims()).len(),
            names: specification.iter().map(|slot| slot.name).collect(),
            shapes: specification.into_iter().map(|slot| slot.shape).collect(),
            slots,
            dtype: var.dtype(),
            settled: true,
        })
    }

    /// Whether this is the state of such a parameter.
    pub(crate) fn check(&self, path: &str, var: &Var, algorithm: &dyn Algorithm) -> Result<()> {
        if self.dtype != var.dtype() {
            return Err(Error::DTypeMismatch {
                what: "the optimizer's state",
                path: path.to_owned(),
                expected: var.dtype().as_str().to_owned(),
                found: self.dtype.as_str().to_owned(),
            });
        }
        let own = algorithm.slots_of(path, var.dims());
        let expected = own
            .iter()
            .map(|slot| slot.shape.as_slice())
            .chain(std::iter::repeat(var.dims()));
        for (found, expected) in self.shapes.iter().zip(expected) {
            if found != expected {
                return Err(Error::ShapeMismatch {
                    what: "the optimizer's state",
                    path: path.to_owned(),
                    expected: expected.to_vec(),
                    found: found.clone(),
                });
            }
        }
        Ok(())
    }

    /// Brings a loaded state into the form that updates of this variable need.
    pub(crate) fn settle(&mut self, var: &Var, fused: bool) -> Result<()> {
        if self.settled {
            return Ok(());
        }
        for (slot, shape) in self.slots.iter_mut().zip(&self.shapes) {
            *slot = Slot::from_tensor(&slot.to_tensor(shape)?, var.device(), fused)?;
        }
        self.settled = true;
        Ok(())
    }

    /// Whether the form of the slots fits the parameter of the last step.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Has the form of the slots fitted again at the next step.
    pub(crate) fn unsettle(&mut self) {
        self.settled = false;
    }

    /// The algorithm's slots, and the accumulated gradient if there is one.
    pub(crate) fn parts(&mut self) -> (&mut [Slot], Option<&Slot>) {
        let accumulated = self.names.get(self.own) == Some(&ACCUMULATED);
        let (own, others) = self.slots.split_at_mut(self.own);
        (own, others.first().filter(|_| accumulated))
    }

    /// The gradient that an update reads: the accumulated one if there is one.
    pub(crate) fn gradient<'a>(&'a self, given: &'a Tensor) -> crate::rule::Gradient<'a> {
        match self.names.iter().position(|name| *name == ACCUMULATED) {
            Some(index) => crate::rule::Gradient::Accumulated(&self.slots[index]),
            None => crate::rule::Gradient::Given(given),
        }
    }

    fn named_mut(&mut self, name: &str) -> Option<&mut Slot> {
        self.names
            .iter()
            .position(|other| *other == name)
            .map(|index| &mut self.slots[index])
    }

    pub(crate) fn average_mut(&mut self) -> Option<&mut Slot> {
        self.named_mut(AVERAGE)
    }

    /// The weights to evaluate with: the moving average if there is one, else what the algorithm keeps.
    pub(crate) fn evaluation_mut(&mut self, algorithm: &dyn Algorithm) -> Option<&mut Slot> {
        let moving = self.names.contains(&AVERAGE).then_some(AVERAGE);
        self.named_mut(moving.or(algorithm.average_slot())?)
    }

    /// Adds `gradient * scale` to the accumulated gradient.
    pub(crate) fn accumulate(&mut self, gradient: &Tensor, scale: f64, fused: bool) -> Result<()> {
        match self.named_mut(ACCUMULATED) {
            Some(Slot::F32(sum)) if fused => crate::average::add(sum, gradient, scale),
            Some(Slot::F64(sum)) if fused => crate::average::add(sum, gradient, scale),
            Some(Slot::Tensor(sum)) => {
                *sum = (&*sum + gradient.detach().affine(scale, 0.0)?)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn clear_accumulated(&mut self) -> Result<()> {
        self.named_mut(ACCUMULATED).map_or(Ok(()), Slot::clear)
    }

    pub(crate) fn bytes(&self) -> usize {
        let elements: usize = self.shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
        elements * self.dtype.size_in_bytes()
    }
}

impl Optimizer {
    /// Creates the state of parameters before their first step (Keras' `build`). From then on, a state that is loaded must
    /// fit exactly these.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] or [`Error::DTypeMismatch`] if there is a state under the path that does not fit.
    pub fn build_state(&mut self, variables: &[(&str, &Var)]) -> Result<()> {
        if !self.parts.is_empty() {
            return self.for_each_part(variables, |part, variables| part.build_state(variables));
        }
        for (path, var) in variables {
            if let Some(state) = self.parameters.get(*path) {
                state.check(path, var, self.algorithm.as_ref())?;
            }
        }
        variables
            .iter()
            .try_for_each(|(path, var)| self.ensure_state(path, var))
    }

    /// All state as named tensors: `iterations`, numbers of the algorithm, then `path/slot` for each parameter.
    ///
    /// The tensors are copies. Learning rate and options are not part of it, see [`config`](Self::config).
    ///
    /// # Errors
    /// [`Error::Candle`] if a copy fails.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let count = i64::try_from(self.applied).unwrap_or(i64::MAX);
        let mut state = vec![(ITERATIONS.to_owned(), Tensor::new(count, &Device::Cpu)?)];
        if let Some(dynamic) = &self.loss_scale {
            let counter = i64::try_from(dynamic.counter).unwrap_or(i64::MAX);
            state.push((STEP_COUNTER.to_owned(), Tensor::new(counter, &Device::Cpu)?));
            state.push((DYNAMIC_SCALE.to_owned(), Tensor::new(dynamic.scale, &Device::Cpu)?));
        }
        state.extend(self.state_of_parts()?);
        for ((name, _), value) in self.algorithm.scalars().into_iter().zip(&self.scalars) {
            state.push((name.to_owned(), Tensor::new(*value, &Device::Cpu)?));
        }
        for (path, parameter) in &self.parameters {
            for ((name, shape), slot) in parameter.names.iter().zip(&parameter.shapes).zip(&parameter.slots) {
                state.push((format!("{path}/{name}"), slot.to_tensor(shape)?));
            }
        }
        Ok(state)
    }

    /// Puts a saved state in the place of the present one; the next step is then, to the bit, the one that would have
    /// followed the saving.
    ///
    /// If this optimizer has state already (a step was made, or [`build_state`](Self::build_state) called), the entries must
    /// be those of the same parameters; a fresh optimizer takes the parameters from the names.
    ///
    /// # Errors
    /// [`Error::StateMissing`], [`Error::StateUnexpected`] or [`Error::StateInvalid`]; nothing is changed then.
    pub fn load_state<S: AsRef<str>>(&mut self, state: &[(S, Tensor)]) -> Result<()> {
        if self.parts.is_empty() {
            return self.load_own_state(state);
        }
        let (parts, own) = self.parts_with_state(state)?;
        self.load_own_state(&own)?;
        self.parts = parts;
        Ok(())
    }

    fn load_own_state<S: AsRef<str>>(&mut self, state: &[(S, Tensor)]) -> Result<()> {
        let mut entries: BTreeMap<&str, &Tensor> = BTreeMap::new();
        let mut order: Vec<&str> = Vec::new();
        for (key, tensor) in state {
            if entries.insert(key.as_ref(), tensor).is_some() {
                return Err(invalid(key.as_ref(), "given once", "given twice"));
            }
            order.push(key.as_ref());
        }
        let mut take = |key: &str| {
            entries
                .remove(key)
                .ok_or_else(|| Error::StateMissing { key: key.to_owned() })
        };
        let count = counter(ITERATIONS, take(ITERATIONS)?)?;
        let loss_scale = match self.loss_scale {
            None => None,
            Some(present) => {
                let scale = number(DYNAMIC_SCALE, take(DYNAMIC_SCALE)?)?;
                if !(scale > 0.0 && scale.is_finite()) {
                    return Err(invalid(DYNAMIC_SCALE, "a finite number above 0", &scale.to_string()));
                }
                let counter = counter(STEP_COUNTER, take(STEP_COUNTER)?)?;
                Some(crate::loss_scale::LossScale {
                    scale,
                    counter,
                    ..present
                })
            }
        };
        let mut scalars = Vec::new();
        for (name, _) in self.algorithm.scalars() {
            scalars.push(number(name, take(name)?)?);
        }
        let parameters = if self.parameters.is_empty() {
            self.parse(&mut entries, &order)?
        } else {
            self.fit(&mut entries)?
        };
        if let Some(key) = order.into_iter().find(|key| entries.contains_key(key)) {
            return Err(self.unexpected(key));
        }
        self.applied = count;
        self.loss_scale = loss_scale;
        self.scalars = scalars;
        self.parameters = parameters;
        Ok(())
    }

    /// New state for the parameters that this optimizer knows.
    fn fit(&self, entries: &mut BTreeMap<&str, &Tensor>) -> Result<IndexMap<String, ParameterState>> {
        let mut parameters = self.parameters.clone();
        for (path, parameter) in &mut parameters {
            let names = parameter.names.iter().zip(&parameter.shapes);
            for ((name, shape), slot) in names.zip(&mut parameter.slots) {
                let key = format!("{path}/{name}");
                let Some(tensor) = entries.remove(key.as_str()) else {
                    return Err(Error::StateMissing { key });
                };
                if tensor.dims() != shape || tensor.dtype() != parameter.dtype {
                    return Err(invalid(
                        &key,
                        &format!("{shape:?} of {}", parameter.dtype.as_str()),
                        &describe(tensor),
                    ));
                }
                *slot = match slot {
                    Slot::Tensor(old) => Slot::from_tensor(tensor, old.device(), false)?,
                    _ => Slot::from_tensor(tensor, &Device::Cpu, true)?,
                };
            }
        }
        Ok(parameters)
    }

    /// State for parameters known by the names of the entries only; shapes are checked again at the first step.
    fn parse(&self, entries: &mut BTreeMap<&str, &Tensor>, order: &[&str]) -> Result<IndexMap<String, ParameterState>> {
        let names = |(_, slots): &Kind| slots.iter().map(|slot| slot.name).collect::<Vec<_>>();
        let mut parameters = IndexMap::new();
        for key in order {
            let Some((path, last)) = key.rsplit_once('/').filter(|_| entries.contains_key(key)) else {
                continue;
            };
            let kinds = self.kinds(path);
            let given = |name: &&str| entries.contains_key(format!("{path}/{name}").as_str());
            let complete = |kind: &&Kind| !kind.1.is_empty() && names(kind).iter().all(given);
            let Some((shape, slots)) = kinds.iter().find(complete) else {
                let missing = kinds.iter().filter(|kind| names(kind).contains(&last)).flat_map(names);
                return Err(match missing.into_iter().find(|name| !given(name)) {
                    Some(name) => Error::StateMissing {
                        key: format!("{path}/{name}"),
                    },
                    None => self.unexpected(key),
                });
            };
            let own = slots
                .iter()
                .filter(|slot| slot.name != AVERAGE && slot.name != ACCUMULATED)
                .count();
            let mut state = ParameterState {
                names: Vec::new(),
                shapes: Vec::new(),
                slots: Vec::new(),
                own,
                dtype: DType::F32,
                settled: false,
            };
            let mut whole: Option<Vec<usize>> = None;
            for slot in slots {
                let key = format!("{path}/{}", slot.name);
                let tensor = entries
                    .remove(key.as_str())
                    .ok_or_else(|| Error::StateMissing { key: key.clone() })?;
                if state.names.is_empty() {
                    state.dtype = tensor.dtype();
                }
                if tensor.dtype() != state.dtype || !state.dtype.is_float() {
                    let expected = format!(
                        "of one floating-point type with '{}' ({})",
                        slots[0].name,
                        state.dtype.as_str()
                    );
                    return Err(invalid(&key, &expected, &describe(tensor)));
                }
                // Tensors of the parameter's own shape must agree about it; the rest is checked at the first step.
                if slot.shape == *shape {
                    let expected = whole.get_or_insert_with(|| tensor.dims().to_vec());
                    if expected.as_slice() != tensor.dims() {
                        return Err(invalid(
                            &key,
                            &format!("{expected:?} as its neighbours"),
                            &describe(tensor),
                        ));
                    }
                }
                state.names.push(slot.name);
                state.shapes.push(tensor.dims().to_vec());
                state.slots.push(Slot::Tensor(tensor.copy()?));
            }
            parameters.insert(path.to_owned(), state);
        }
        Ok(parameters)
    }

    /// What may be kept for a parameter, the longest list first: an algorithm may treat vectors and matrices differently
    /// (Adafactor and Muon do). The lengths of the axes differ, so that a slot of the parameter's shape is known as such.
    fn kinds(&self, path: &str) -> Vec<Kind> {
        let shapes: [&[usize]; 2] = [&[2], &[2, 3]];
        let mut kinds = shapes.map(|shape| {
            let slots = specification(self.algorithm.as_ref(), &self.options, path, shape);
            (shape.to_vec(), slots)
        });
        kinds.sort_by_key(|(_, slots)| std::cmp::Reverse(slots.len()));
        kinds.into()
    }

    fn unexpected(&self, key: &str) -> Error {
        let scalars = self.algorithm.scalars();
        let kinds = self.kinds(key.rsplit_once('/').map_or("", |(path, _)| path));
        let slots = kinds.iter().flat_map(|(_, slots)| slots);
        let known: Vec<String> = match key.rsplit_once('/') {
            Some((path, _)) => slots.map(|slot| format!("{path}/{}", slot.name)).collect(),
            None => scalars
                .iter()
                .map(|(name, _)| *name)
                .chain([ITERATIONS])
                .map(str::to_owned)
                .collect(),
        };
        Error::StateUnexpected {
            key: key.to_owned(),
            class: self.algorithm.class().to_owned(),
            suggestion: nearest(key, known.iter().map(String::as_str)),
        }
    }
}

/// A counter of steps.
fn counter(key: &str, tensor: &Tensor) -> Result<u64> {
    let count = match (tensor.dtype(), tensor.dims()) {
        (DType::I64, []) => u64::try_from(tensor.to_scalar::<i64>()?).ok(),
        _ => None,
    };
    count.ok_or_else(|| invalid(key, "an i64 scalar that is 0 or larger", "something else"))
}

/// A number of the whole optimizer.
fn number(key: &str, tensor: &Tensor) -> Result<f64> {
    if tensor.dtype() != DType::F64 || !tensor.dims().is_empty() {
        return Err(invalid(key, "an f64 scalar", &describe(tensor)));
    }
    Ok(tensor.to_scalar::<f64>()?)
}

fn describe(tensor: &Tensor) -> String {
    format!("{:?} of {}", tensor.dims(), tensor.dtype().as_str())
}

fn invalid(key: &str, expected: &str, found: &str) -> Error {
    Error::StateInvalid {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}
