//! A record of operations, differentiated without candle's graph.
//!
//! candle's `backward()` adds every gradient to a tensor of zeros, on a pool of threads that spins between the operations. Where a step
//! takes a millisecond that is most of it: an MLP trained 2.4 times faster with this record. [`record`] runs a function whose
//! operations of this crate are written down instead of becoming part of candle's graph; [`Tape::backward`] goes through them from the
//! last to the first, hands gradients on without copying, and lets go of every tensor as soon as it is not needed any more.
//!
//! All operations of this crate are written down, those too that are made of candle's, in the formats that it has kernels for (`f32` and
//! `f64` on a CPU). What candle's own operations compute in between has to be wrapped in [`composed`] (or [`reshape`]), which differentiates
//! that piece by candle; otherwise the gradient ends there, and [`Gradients::get`] has none for the variables before.

use std::cell::RefCell;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Shape, Tensor, TensorId, Var};
use indexmap::{IndexMap, IndexSet};

use crate::cpu;
use crate::deferred::Deferred;
use crate::error::Result;

type Candle<T> = candle_core::Result<T>;

thread_local! {
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// What [`record`] wrote down.
#[derive(Default)]
pub struct Tape {
    steps: Vec<Step>,
    /// Results of steps, and so what gradients are wanted of besides variables.
    tracked: IndexSet<TensorId>,
    /// Variables whose gradient may be deferred: what one operation adds to it is all of it.
    deferrable: IndexSet<TensorId>,
    /// What backward passes have deferred.
    deferred: Vec<Deferred>,
}

struct Step {
    operation: Operation,
    /// What was computed (the first output of a composed piece).
    result: Tensor,
}

enum Operation {
    One(Box<dyn CustomOp1>, Tensor),
    Two(Box<dyn CustomOp2>, [Tensor; 2]),
    Three(Box<dyn CustomOp3>, [Tensor; 3]),
    /// The same numbers in another shape.
    Reshape(Tensor),
    /// Computed by candle from `leaves`, which stand for `arguments`; `results` have candle's graph, `outputs` stand for them.
    Composed {
        arguments: Vec<Tensor>,
        leaves: Vec<Tensor>,
        results: Vec<Tensor>,
        outputs: Vec<Tensor>,
    },
}

/// The gradients of a backward pass.
#[derive(Debug, Default)]
pub struct Gradients(IndexMap<TensorId, Tensor>);

impl Gradients {
    /// The gradient of a variable (or of an input); `None` where the loss does not depend on it.
    pub fn get(&self, tensor: &Tensor) -> Option<&Tensor> {
        self.0.get(&tensor.id())
    }

    /// Adds what candle's backward pass found, but for the tensors `except`.
    ///
    /// # Errors
    /// If there is a gradient of the same tensor of another shape or type.
    pub fn merge(&mut self, store: &GradStore, except: &[Tensor]) -> Candle<()> {
        for id in store.get_ids() {
            if except.iter().any(|tensor| tensor.id() == *id) {
                continue;
            }
            if let Some(gradient) = store.get_id(*id) {
                self.accumulate(*id, gradient.clone())?;
            }
        }
        Ok(())
    }

    /// Computes a deferred gradient and adds it.
    ///
    /// # Errors
    /// As [`Gradients::merge`].
    pub fn complete(&mut self, deferred: &Deferred) -> Candle<()> {
        self.accumulate(deferred.weight().id(), deferred.whole()?)
    }

    fn accumulate(&mut self, id: TensorId, gradient: Tensor) -> Candle<()> {
        match self.0.get_mut(&id) {
            Some(sum) => *sum = cpu::sum(sum, &gradient)?,
            None => {
                self.0.insert(id, gradient);
            }
        }
        Ok(())
    }
}

impl From<GradStore> for Gradients {
    fn from(store: GradStore) -> Self {
        let of = |id: &TensorId| Some((*id, store.get_id(*id)?.clone()));
        Self(store.get_ids().filter_map(of).collect())
    }
}

/// Whether [`record`] is running on this thread.
pub fn is_recording() -> bool {
    TAPE.with_borrow(Option::is_some)
}

/// Whether a backward pass has to compute the gradient of a tensor.
pub(crate) fn wants_gradient(tensor: &Tensor) -> bool {
    tensor.track_op() || TAPE.with_borrow(|tape| tape.as_ref().is_some_and(|tape| tape.tracked.contains(&tensor.id())))
}

/// Whether the backward pass that is running may leave the gradient of a variable to [`defer`].
pub(crate) fn defers(variable: &Tensor) -> bool {
    TAPE.with_borrow(|tape| {
        tape.as_ref()
            .is_some_and(|tape| tape.deferrable.contains(&variable.id()))
    })
}

/// Leaves a gradient to who asked for the backward pass, where [`defers`] has allowed it.
pub(crate) fn defer(gradient: Deferred) {
    TAPE.with_borrow_mut(|tape| {
        if let Some(tape) = tape {
            tape.deferred.push(gradient);
        }
    });
}

/// Runs `function` on this thread and writes down the operations of this crate on the way.
///
/// Tensors that depend on a [`Var`] only through recorded operations carry no candle graph.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use kernels::{Activation, linear, tape};
///
/// let x = Tensor::new(&[[1.0f32, 2.0]], &Device::Cpu)?;
/// let kernel = Var::new(&[[3.0f32], [4.0]], &Device::Cpu)?;
/// let (y, tape) = tape::record(|| linear(&x, &kernel, None, Activation::Linear));
/// let y = y?;
/// let gradients = tape.backward([(&y, y.ones_like()?)])?;
/// assert_eq!(gradients.get(&kernel).unwrap().to_vec2::<f32>()?, [[1.0], [2.0]]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn record<R>(function: impl FnOnce() -> R) -> (R, Tape) {
    let (result, tape) = with_tape(Some(Tape::default()), function);
    (result, tape.unwrap_or_default())
}

/// Runs `function` with a tape (or none) in place, puts the former one back, and returns the one that was in place.
fn with_tape<R>(tape: Option<Tape>, function: impl FnOnce() -> R) -> (R, Option<Tape>) {
    /// Puts the former tape back even if the function panics.
    struct Restore(Option<Option<Tape>>);
    impl Restore {
        fn now(&mut self) -> Option<Tape> {
            self.0.take().and_then(|former| TAPE.replace(former))
        }
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            self.now();
        }
    }
    let mut restore = Restore(Some(TAPE.replace(tape)));
    let result = function();
    (result, restore.now())
}

/// Runs a function of candle's own operations so that the record can go through it.
///
/// The function gets stand-ins for `inputs`; whatever variables it uses get their gradients too. Where nothing is being recorded it is
/// simply called with the inputs.
///
/// # Errors
/// Those of the function.
pub fn composed<E: From<candle_core::Error>>(
    inputs: &[Tensor],
    function: impl FnOnce(&[Tensor]) -> std::result::Result<Vec<Tensor>, E>,
) -> std::result::Result<Vec<Tensor>, E> {
    if !is_recording() {
        return function(inputs);
    }
    let leaves: Vec<Tensor> = inputs
        .iter()
        .map(|input| {
            if wants_gradient(input) {
                Ok(Var::from_tensor(&input.copy()?)?.into_inner())
            } else {
                Ok(input.clone())
            }
        })
        .collect::<Candle<_>>()?;
    let tape = TAPE.take();
    let (results, _) = with_tape(None, || function(&leaves));
    TAPE.set(tape);
    let results = results?;
    let outputs = results
        .iter()
        .map(|result| {
            if result.is_variable() {
                result.copy()
            } else {
                Ok(result.detach())
            }
        })
        .collect::<Candle<Vec<Tensor>>>()?;
    let differentiable = results.iter().any(Tensor::track_op);
    if let Some(first) = outputs.first().filter(|_| differentiable) {
        let operation = Operation::Composed {
            arguments: inputs.to_vec(),
            leaves,
            outputs: outputs.clone(),
            results,
        };
        push(operation, first);
        TAPE.with_borrow_mut(|tape| {
            if let Some(tape) = tape {
                tape.tracked.extend(outputs.iter().map(Tensor::id));
            }
        });
    }
    Ok(outputs)
}

/// [`composed`] for a function of one tensor.
pub(crate) fn composed_of(input: &Tensor, function: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    composed_of_all(&[Some(input)], |inputs| function(&inputs[0]))
}

/// [`composed`] for a function with one result; the inputs that are there reach it in their order.
pub(crate) fn composed_of_all(
    inputs: &[Option<&Tensor>],
    function: impl FnOnce(&[Tensor]) -> Result<Tensor>,
) -> Result<Tensor> {
    let inputs: Vec<Tensor> = inputs.iter().flatten().copied().cloned().collect();
    Ok(composed(&inputs, |inputs| Ok::<_, crate::error::Error>(vec![function(inputs)?]))?.swap_remove(0))
}

fn push(operation: Operation, result: &Tensor) {
    TAPE.with_borrow_mut(|tape| {
        if let Some(tape) = tape {
            tape.tracked.insert(result.id());
            tape.steps.push(Step {
                operation,
                result: result.clone(),
            });
        }
    });
}

/// Applies an operation, as part of the record or of candle's graph.
pub(crate) fn apply1<C: 'static + CustomOp1 + Send + Sync>(x: &Tensor, op: C) -> Candle<Tensor> {
    if !is_recording() {
        return x.apply_op1(op);
    }
    let y = x.apply_op1_no_bwd(&op)?;
    if wants_gradient(x) {
        push(Operation::One(Box::new(op), x.clone()), &y);
    }
    Ok(y)
}

/// As [`apply1`], for two arguments.
pub(crate) fn apply2<C: 'static + CustomOp2 + Send + Sync>(x: &Tensor, y: &Tensor, op: C) -> Candle<Tensor> {
    if !is_recording() {
        return x.apply_op2(y, op);
    }
    let z = x.apply_op2_no_bwd(y, &op)?;
    if wants_gradient(x) || wants_gradient(y) {
        push(Operation::Two(Box::new(op), [x.clone(), y.clone()]), &z);
    }
    Ok(z)
}

/// As [`apply1`], for three arguments.
pub(crate) fn apply3<C: 'static + CustomOp3 + Send + Sync>(
    x: &Tensor,
    y: &Tensor,
    z: &Tensor,
    op: C,
) -> Candle<Tensor> {
    if !is_recording() {
        return x.apply_op3(y, z, op);
    }
    let result = x.apply_op3_no_bwd(y, z, &op)?;
    if wants_gradient(x) || wants_gradient(y) || wants_gradient(z) {
        push(
            Operation::Three(Box::new(op), [x.clone(), y.clone(), z.clone()]),
            &result,
        );
    }
    Ok(result)
}

/// The same numbers in another shape; candle's `reshape` with a record.
///
/// # Errors
/// If the shape has another number of elements.
pub fn reshape(x: &Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
    let shape = shape.into();
    if x.shape() == &shape {
        return Ok(x.clone());
    }
    let y = x.reshape(shape)?;
    if is_recording() && wants_gradient(x) {
        let y = y.detach();
        push(Operation::Reshape(x.clone()), &y);
        return Ok(y);
    }
    Ok(y)
}

impl Tape {
    /// The gradients of variables and inputs, given those of some results.
    ///
    /// # Errors
    /// Those of the operations' own backward passes.
    pub fn backward<'a>(self, seeds: impl IntoIterator<Item = (&'a Tensor, Tensor)>) -> Candle<Gradients> {
        Ok(self.differentiate(seeds)?.0)
    }

    /// As [`Tape::backward`], but some gradients of variables are not computed: they are returned as what they can be computed from, and are
    /// not among the others.
    ///
    /// These are gradients that are worth it and that are complete: of the weights of dense layers that were used once, and only if the record
    /// has no [`composed`] pieces, as nobody knows which variables these use.
    ///
    /// # Errors
    /// As [`Tape::backward`].
    pub fn backward_deferring<'a>(
        mut self,
        seeds: impl IntoIterator<Item = (&'a Tensor, Tensor)>,
    ) -> Candle<(Gradients, Vec<Deferred>)> {
        self.deferrable = self.variables_used_once();
        self.differentiate(seeds)
    }

    /// Variables that are an argument of one step, and of that once.
    fn variables_used_once(&self) -> IndexSet<TensorId> {
        let (mut once, mut more) = (IndexSet::new(), IndexSet::new());
        for step in &self.steps {
            let arguments = match &step.operation {
                Operation::One(_, x) | Operation::Reshape(x) => std::slice::from_ref(x),
                Operation::Two(_, arguments) => arguments.as_slice(),
                Operation::Three(_, arguments) => arguments.as_slice(),
                Operation::Composed { .. } => return IndexSet::new(),
            };
            for argument in arguments.iter().filter(|argument| argument.is_variable()) {
                if !once.insert(argument.id()) {
                    more.insert(argument.id());
                }
            }
        }
        once.retain(|id| !more.contains(id));
        once
    }

    fn differentiate<'a>(
        mut self,
        seeds: impl IntoIterator<Item = (&'a Tensor, Tensor)>,
    ) -> Candle<(Gradients, Vec<Deferred>)> {
        let mut gradients = Gradients::default();
        for (tensor, gradient) in seeds {
            gradients.accumulate(tensor.id(), gradient)?;
        }
        self.deferrable.retain(|id| !gradients.0.contains_key(id));
        let mut steps = std::mem::take(&mut self.steps);
        // The tape is in place so that the backward passes can ask whose gradients are wanted.
        let (outcome, tape) = with_tape(Some(self), || -> Candle<()> {
            while let Some(step) = steps.pop() {
                let found = gradients.0.swap_remove(&step.result.id());
                match step {
                    Step {
                        operation:
                            Operation::Composed {
                                arguments,
                                leaves,
                                results,
                                outputs,
                            },
                        ..
                    } => {
                        let further = outputs
                            .iter()
                            .skip(1)
                            .map(|output| gradients.0.swap_remove(&output.id()));
                        let found: Vec<_> = std::iter::once(found).chain(further).collect();
                        composed_backward(&arguments, &leaves, &results, found, &mut gradients)?;
                    }
                    step => {
                        if let Some(gradient) = found {
                            step.backward(&gradient, &mut gradients)?;
                        }
                    }
                }
            }
            Ok(())
        });
        outcome?;
        Ok((gradients, tape.map(|tape| tape.deferred).unwrap_or_default()))
    }
}

impl Step {
    fn backward(self, gradient: &Tensor, gradients: &mut Gradients) -> Candle<()> {
        let mut hand_on = |argument: &Tensor, gradient: Option<Tensor>| match gradient {
            Some(gradient) if wants_gradient(argument) => gradients.accumulate(argument.id(), gradient),
            _ => Ok(()),
        };
        match self.operation {
            Operation::One(op, x) => hand_on(&x, op.bwd(&x, &self.result, gradient)?),
            Operation::Two(op, [x, y]) => {
                let (dx, dy) = op.bwd(&x, &y, &self.result, gradient)?;
                hand_on(&x, dx)?;
                hand_on(&y, dy)
            }
            Operation::Three(op, [x, y, z]) => {
                let (dx, dy, dz) = op.bwd(&x, &y, &z, &self.result, gradient)?;
                hand_on(&x, dx)?;
                hand_on(&y, dy)?;
                hand_on(&z, dz)
            }
            Operation::Reshape(x) => {
                let dx = gradient.reshape(x.shape())?;
                hand_on(&x, Some(dx))
            }
            Operation::Composed { .. } => unreachable!("handled by the tape"),
        }
    }
}

/// The backward pass of a composed piece, given the gradients of its results (`None` where nothing depends on one).
fn composed_backward(
    arguments: &[Tensor],
    leaves: &[Tensor],
    results: &[Tensor],
    found: Vec<Option<Tensor>>,
    gradients: &mut Gradients,
) -> Candle<()> {
    let mut total: Option<Tensor> = None;
    for (result, gradient) in results.iter().zip(found) {
        if let Some(gradient) = gradient.filter(|_| result.track_op()) {
            let seed = result.apply_op1(Seed(gradient))?;
            total = Some(match total {
                Some(total) => (total + seed)?,
                None => seed,
            });
        }
    }
    let Some(total) = total else { return Ok(()) };
    let store = total.backward()?;
    let stands_for = |id: TensorId| leaves.iter().position(|leaf| leaf.id() == id);
    for id in store.get_ids() {
        let Some(gradient) = store.get_id(*id) else { continue };
        match stands_for(*id) {
            None => gradients.accumulate(*id, gradient.clone())?,
            Some(_) => {
                for (argument, leaf) in arguments.iter().zip(leaves) {
                    if leaf.id() == *id && wants_gradient(argument) {
                        gradients.accumulate(argument.id(), gradient.clone())?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// A scalar whose gradient with respect to its argument is what is given: where candle's backward pass starts.
struct Seed(Tensor);

impl CustomOp1 for Seed {
    fn name(&self) -> &'static str {
        "seed"
    }

    fn cpu_fwd(&self, _storage: &CpuStorage, _layout: &Layout) -> Candle<(CpuStorage, Shape)> {
        // Nobody reads it, so its type does not matter.
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, _gradient: &Tensor) -> Candle<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}
