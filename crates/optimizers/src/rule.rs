//! Where an update rule meets a parameter: the same rule runs fused over slices or as tensor operations.

use std::array::from_fn;

use candle_core::{DType, Tensor, Var};

use crate::error::Result;
use crate::fused;
use crate::lending::Weights;
use crate::number::Number;
use crate::pieces::Pieces;
use crate::slot::{Scratch, Slot, Stored};
use crate::tape::Tape;

/// An update that treats every element alike, with `K` numbers of state each.
///
/// The rule is written once, for any [`Number`]; [`Target::elementwise`] runs it.
pub trait Rule<const K: usize>: Copy + Sync {
    /// The new weight and the new state, from the weight `w`, its gradient `g` and the state.
    fn update<A: Number>(&self, w: A, g: A, slots: [A; K]) -> (A, [A; K]);
}

/// A quantity of every element that is added up over a tensor, such as the square of a norm.
pub trait Term<const K: usize>: Copy + Sync {
    /// The summand of one element.
    fn value<A: Number>(&self, w: A, g: A, slots: [A; K]) -> A;
}

/// What happens to gradient and weight before the rule sees them, in the same pass:
/// `g <- clamp(g * scale, -limit, limit)` and `w <- w - w * decay`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Preparation {
    pub(crate) scale: f64,
    pub(crate) limit: f64,
    pub(crate) decay: f64,
}

impl Preparation {
    pub(crate) const NONE: Self = Self {
        scale: 1.0,
        limit: f64::INFINITY,
        decay: 0.0,
    };

    #[inline(always)]
    pub(crate) fn gradient<A: Number>(&self, g: A) -> A {
        (g * self.scale).clamp(-self.limit, self.limit)
    }

    #[inline(always)]
    pub(crate) fn weight<A: Number>(&self, w: A) -> A {
        w - w * self.decay
    }
}

/// Where the gradient of a step is read from.
#[derive(Clone, Copy)]
pub(crate) enum Gradient<'a> {
    Given(&'a Tensor),
    Accumulated(&'a Slot),
    /// Made while it is used; only for algorithms that are one rule, without clipping.
    Pieces(&'a dyn Pieces),
}

/// A parameter during a step: its weights, gradient and state.
pub struct Target<'a> {
    pub(crate) path: &'a str,
    pub(crate) var: &'a Var,
    /// The elements of `var`, where they are updated in place.
    pub(crate) weights: Option<&'a Weights>,
    pub(crate) gradient: Gradient<'a>,
    pub(crate) slots: &'a mut [Slot],
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) preparation: Preparation,
}

impl Target<'_> {
    /// The path of the parameter.
    pub fn path(&self) -> &str {
        self.path
    }

    /// The shape of the parameter.
    pub fn shape(&self) -> &[usize] {
        self.var.dims()
    }

    /// Runs a rule over all elements. The number of state tensors that the algorithm declared must be `K`.
    pub fn elementwise<R: Rule<K>, const K: usize>(&mut self, rule: R) -> Result<()> {
        let preparation = self.preparation;
        // Weight decay is part of the first pass over the weights, and of no other.
        self.preparation.decay = 0.0;
        if let Gradient::Pieces(pieces) = self.gradient {
            return self.elementwise_in_pieces(rule, preparation, pieces);
        }
        match self.var.dtype() {
            DType::F32 if self.weights.is_some() => self.elementwise_fused::<f32, R, K>(rule, preparation),
            DType::F64 if self.weights.is_some() => self.elementwise_fused::<f64, R, K>(rule, preparation),
            _ => self.elementwise_on_tensors(rule, preparation),
        }
    }

    fn elementwise_fused<T: Stored, R: Rule<K>, const K: usize>(
        &mut self,
        rule: R,
        preparation: Preparation,
    ) -> Result<()> {
        self.with_slices::<T, (), K>(|w, g, slots| {
            fused::elementwise(&rule, preparation, w, g, slots);
        })
    }

    fn elementwise_on_tensors<R: Rule<K>, const K: usize>(&mut self, rule: R, preparation: Preparation) -> Result<()> {
        let tape = Tape::new();
        let (weights, gradient, state) = self.tensors::<K>()?;
        let w = tape.leaf(&weights);
        let g = tape.leaf(&gradient);
        // Most steps prepare nothing; on tensors that saves a pass over memory each.
        let w = if preparation.decay == 0.0 {
            w
        } else {
            preparation.weight(w)
        };
        let g = if preparation.scale == 1.0 {
            g.clamp(-preparation.limit, preparation.limit)
        } else {
            preparation.gradient(g)
        };
        let (w, new) = rule.update(w, g, from_fn(|k| tape.leaf(&state[k])));
        let w = tape.take(w)?;
        for (slot, node) in self.slots.iter_mut().zip(new) {
            *slot = Slot::Tensor(tape.take(node)?);
        }
        set(self.var, &w)
    }

    /// Adds up a quantity over all elements.
    pub fn sum<R: Term<K>, const K: usize>(&mut self, term: R) -> Result<f64> {
        let preparation = self.preparation;
        match self.var.dtype() {
            DType::F32 if self.weights.is_some() => self.with_slices::<f32, f64, K>(|w, g, slots| {
                fused::sum(&term, preparation, w, g, slots.map(|slot| &*slot))
            }),
            DType::F64 if self.weights.is_some() => self.with_slices::<f64, f64, K>(|w, g, slots| {
                fused::sum(&term, preparation, w, g, slots.map(|slot| &*slot))
            }),
            _ => {
                let tape = Tape::new();
                let (weights, gradient, state) = self.tensors::<K>()?;
                let w = preparation.weight(tape.leaf(&weights));
                let g = preparation.gradient(tape.leaf(&gradient));
                let value = term.value(w, g, from_fn(|k| tape.leaf(&state[k])));
                Ok(tape
                    .take(value)?
                    .to_dtype(DType::F32)?
                    .sum_all()?
                    .to_scalar::<f32>()?
                    .into())
            }
        }
    }

    /// Lends weights, gradient and state as slices, if this target is updated in place.
    pub(crate) fn with_slices<T: Stored, O, const K: usize>(
        &mut self,
        function: impl FnOnce(&mut [T], &[T], [&mut [T]; K]) -> O,
    ) -> Result<O> {
        self.with_scratch(0, |w, g, slots, _| function(w, g, slots))
    }

    /// The same, and working memory of this length beside it, with any numbers in it.
    pub(crate) fn with_scratch<T: Stored, O, const K: usize>(
        &mut self,
        length: usize,
        function: impl FnOnce(&mut [T], &[T], [&mut [T]; K], &mut [T]) -> O,
    ) -> Result<O> {
        let slots: &mut [Slot; K] = self.slots.try_into().map_err(|_| wrong_state())?;
        let mut complete = true;
        let slices = slots.each_mut().map(|slot| {
            T::of_slot_mut(slot).unwrap_or_else(|| {
                complete = false;
                &mut []
            })
        });
        if !complete {
            return Err(wrong_state());
        }
        let scratch = T::of_scratch(self.scratch);
        if scratch.len() < length {
            scratch.resize(length, T::ZERO);
        }
        let scratch = &mut scratch[..length];
        let weights = self.weights.ok_or_else(wrong_state)?;
        Ok(match self.gradient {
            Gradient::Given(gradient) => weights.lend_with(gradient, |w, g| function(w, g, slices, scratch))?,
            Gradient::Accumulated(slot) => {
                let g = T::of_slot(slot).ok_or_else(wrong_state)?;
                weights.lend(|w| function(w, g, slices, scratch))?
            }
            Gradient::Pieces(_) => return Err(wrong_state()),
        })
    }

    /// Weights, gradient and state as tensors, if this target is updated by tensor operations.
    pub(crate) fn tensors<const K: usize>(&self) -> Result<(Tensor, Tensor, [Tensor; K])> {
        let tensor = |slot: &Slot| match slot {
            Slot::Tensor(tensor) => Ok(tensor.clone()),
            _ => Err(wrong_state()),
        };
        let gradient = match self.gradient {
            Gradient::Given(tensor) => tensor.clone(),
            Gradient::Accumulated(slot) => tensor(slot)?,
            Gradient::Pieces(_) => return Err(wrong_state()),
        };
        let state = self.slots.iter().map(tensor).collect::<Result<Vec<_>>>()?;
        let state = state.try_into().map_err(|_| wrong_state())?;
        Ok((self.var.as_tensor().clone(), gradient, state))
    }
}

/// Sets a variable, also to a tensor that is a view of it.
pub(crate) fn set(var: &Var, value: &Tensor) -> Result<()> {
    match var.set(value) {
        Err(candle_core::Error::WithBacktrace { .. } | candle_core::Error::CannotSetVar { .. }) => {
            Ok(var.set(&value.copy()?)?)
        }
        other => Ok(other?),
    }
}

pub(crate) fn wrong_state() -> crate::Error {
    candle_core::Error::Msg("the algorithm's rule uses another number or kind of state tensors than it declares".into())
        .into()
}
