//! One pass over memory: a rule runs over the slices of a parameter, its gradient and its state, block by block.
//!
//! The loops are plain Rust over short local arrays, which the compiler turns into vector instructions; `pulp` chooses at
//! run time between the versions for SSE2, AVX2 and AVX-512. Each element is computed from its own index only, and sums
//! are added up block by block in a fixed order, so neither the instruction set nor the number of threads shows in a bit.

use std::array::from_fn;
use std::cell::RefCell;
use std::marker::PhantomData;

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Tensor, Var};
use pulp::{Arch, Simd, WithSimd};

use crate::number::{Real, Scalar};
use crate::rule::{Preparation, Rule, Term};
use crate::slot::Stored;

/// Elements that one thread updates at a time.
const BLOCK: usize = 1 << 16;
/// Below this many elements a second thread costs more than it brings.
const PARALLEL: usize = 1 << 17;
/// Elements in the local arrays; four registers of AVX-512, so that divisions overlap.
const LANES: usize = 64;
/// Elements whose sum is one term of a larger sum.
const SUM_BLOCK: usize = 1 << 14;

/// Applies `rule` to every element.
pub(crate) fn elementwise<T: Real, R: Rule<K>, const K: usize>(
    arch: Arch,
    rule: &R,
    preparation: Preparation,
    w: &mut [T],
    g: &[T],
    slots: [&mut [T]; K],
) {
    if w.len() < PARALLEL {
        arch.dispatch(
            // Inlined, or it would not be compiled for the instruction set that was chosen.
            #[inline(always)]
            || block(rule, preparation, w, g, slots),
        );
    } else {
        split(arch, rule, preparation, w, g, slots);
    }
}

fn split<T: Real, R: Rule<K>, const K: usize>(
    arch: Arch,
    rule: &R,
    preparation: Preparation,
    w: &mut [T],
    g: &[T],
    slots: [&mut [T]; K],
) {
    if w.len() <= BLOCK {
        return arch.dispatch(
            // Inlined, or it would not be compiled for the instruction set that was chosen.
            #[inline(always)]
            || block(rule, preparation, w, g, slots),
        );
    }
    let middle = (w.len() / 2).next_multiple_of(LANES);
    let (w0, w1) = w.split_at_mut(middle);
    let (g0, g1) = g.split_at(middle);
    let mut right: [&mut [T]; K] = from_fn(|_| &mut [][..]);
    let mut rights = right.iter_mut();
    let left = slots.map(|slot| {
        let (head, tail) = slot.split_at_mut(middle);
        if let Some(place) = rights.next() {
            *place = tail;
        }
        head
    });
    rayon::join(
        || split(arch, rule, preparation, w0, g0, left),
        || split(arch, rule, preparation, w1, g1, right),
    );
}

#[inline(always)]
fn block<T: Real, R: Rule<K>, const K: usize>(
    rule: &R,
    preparation: Preparation,
    w: &mut [T],
    g: &[T],
    slots: [&mut [T]; K],
) {
    let rule = *rule;
    let whole = w.len() / LANES * LANES;
    let mut at = 0;
    while at < whole {
        // Local copies tell the compiler that nothing overlaps; with pointers it gives up on three slots.
        let mut local_w = load(w, at);
        let local_g = load(g, at);
        let mut local: [[T; LANES]; K] = from_fn(|k| load(slots[k], at));
        for i in 0..LANES {
            let (new_w, new) = rule.update(
                preparation.weight(Scalar(local_w[i])),
                preparation.gradient(Scalar(local_g[i])),
                from_fn(|k| Scalar(local[k][i])),
            );
            local_w[i] = new_w.0;
            for k in 0..K {
                local[k][i] = new[k].0;
            }
        }
        w[at..at + LANES].copy_from_slice(&local_w);
        for k in 0..K {
            slots[k][at..at + LANES].copy_from_slice(&local[k]);
        }
        at += LANES;
    }
    for i in whole..w.len() {
        let (new_w, new) = rule.update(
            preparation.weight(Scalar(w[i])),
            preparation.gradient(Scalar(g[i])),
            from_fn(|k| Scalar(slots[k][i])),
        );
        w[i] = new_w.0;
        for k in 0..K {
            slots[k][i] = new[k].0;
        }
    }
}

#[inline(always)]
fn load<T: Real>(from: &[T], at: usize) -> [T; LANES] {
    let mut to = [T::ZERO; LANES];
    to.copy_from_slice(&from[at..at + LANES]);
    to
}

/// Adds up `term` over all elements, in double precision from block to block.
pub(crate) fn sum<T: Real, R: Term<K>, const K: usize>(
    arch: Arch,
    term: &R,
    preparation: Preparation,
    w: &[T],
    g: &[T],
    slots: [&[T]; K],
) -> f64 {
    let blocks = w.len().div_ceil(SUM_BLOCK);
    let one = |index: usize| -> f64 {
        let range = index * SUM_BLOCK..w.len().min((index + 1) * SUM_BLOCK);
        let (w, g, slots) = (
            &w[range.clone()],
            &g[range.clone()],
            slots.map(|slot| &slot[range.clone()]),
        );
        arch.dispatch(SumOfBlock {
            term: *term,
            preparation,
            w,
            g,
            slots,
        })
    };
    if w.len() < PARALLEL {
        (0..blocks).map(one).sum()
    } else {
        use rayon::prelude::*;
        // Collected and then added in order, because a parallel sum would depend on how the work was split.
        (0..blocks)
            .into_par_iter()
            .map(one)
            .collect::<Vec<f64>>()
            .into_iter()
            .sum()
    }
}

/// Whether none of the values is NaN or infinite.
pub(crate) fn are_finite<T: Real>(values: &[T]) -> bool {
    let arch = Arch::new();
    let one = |values: &[T]| arch.dispatch(Finite(values));
    if values.len() < PARALLEL {
        one(values)
    } else {
        use rayon::prelude::*;
        values.par_chunks(BLOCK).all(one)
    }
}

/// A finite number times zero is zero, everything else is NaN, and NaN stays in a sum. Not a closure, as [`SumOfBlock`].
struct Finite<'a, T>(&'a [T]);

impl<T: Real> WithSimd for Finite<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let mut sums = [T::ZERO; LANES];
        let (groups, rest) = self.0.as_chunks::<LANES>();
        for group in groups {
            for (sum, value) in sums.iter_mut().zip(group) {
                *sum = (Scalar(*sum) + Scalar(*value) * 0.0).0;
            }
        }
        sums.iter().all(|sum| *sum == T::ZERO) && rest.iter().all(|value| (Scalar(*value) * 0.0).0 == T::ZERO)
    }
}

/// The sum over a block. A closure that only reads would be called through a function of the standard library that is not compiled for
/// the instruction set that was chosen.
struct SumOfBlock<'a, T, R, const K: usize> {
    term: R,
    preparation: Preparation,
    w: &'a [T],
    g: &'a [T],
    slots: [&'a [T]; K],
}

impl<T: Real, R: Term<K>, const K: usize> WithSimd for SumOfBlock<'_, T, R, K> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        sum_block(self.term, self.preparation, self.w, self.g, self.slots)
    }
}

#[inline(always)]
fn sum_block<T: Real, R: Term<K>, const K: usize>(
    term: R,
    preparation: Preparation,
    w: &[T],
    g: &[T],
    slots: [&[T]; K],
) -> f64 {
    const SUMS: usize = 16;
    let mut sums = [0.0_f64; SUMS];
    let value = |i: usize| {
        term.value(
            preparation.weight(Scalar(w[i])),
            preparation.gradient(Scalar(g[i])),
            from_fn(|k| Scalar(slots[k][i])),
        )
        .0
        .to_f64()
    };
    let whole = w.len() / SUMS * SUMS;
    for at in (0..whole).step_by(SUMS) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += value(at + lane);
        }
    }
    (whole..w.len()).map(value).chain(sums).sum()
}

/// Lends the elements of a variable on the CPU, and those of its gradient, to a function.
pub(crate) fn lend<T: Stored, O>(
    var: &Var,
    gradient: &Tensor,
    function: impl FnOnce(&mut [T], &[T]) -> O,
) -> candle_core::Result<O> {
    let lending = Lending {
        function: RefCell::new(Some(function)),
        output: RefCell::new(None),
        element: PhantomData::<T>,
    };
    if shares_storage(var, gradient) {
        var.inplace_op2(&gradient.copy()?, &lending)?;
    } else {
        var.inplace_op2(gradient, &lending)?;
    }
    lending.output.into_inner().ok_or_else(not_lent)
}

/// Lends the elements of a variable on the CPU to a function.
pub(crate) fn lend_weights<T: Stored, O>(var: &Var, function: impl FnOnce(&mut [T]) -> O) -> candle_core::Result<O> {
    let lending = LendingWeights {
        function: RefCell::new(Some(function)),
        output: RefCell::new(None),
        element: PhantomData::<T>,
    };
    var.inplace_op1(&lending)?;
    lending.output.into_inner().ok_or_else(not_lent)
}

/// Lends the elements of a contiguous tensor on the CPU for reading.
pub(crate) fn lend_read<T: Stored, O>(tensor: &Tensor, function: impl FnOnce(&[T]) -> O) -> candle_core::Result<O> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(storage) => {
            let (from, to) = layout.contiguous_offsets().ok_or_else(not_lent)?;
            Ok(function(&T::of_storage(storage).ok_or_else(not_lent)?[from..to]))
        }
        _ => Err(not_lent()),
    }
}

/// Whether both are views of one allocation; candle would then wait for itself.
fn shares_storage(a: &Tensor, b: &Tensor) -> bool {
    let address = |tensor: &Tensor| std::ptr::from_ref(&*tensor.storage_and_layout().0).addr();
    address(a) == address(b)
}

fn not_lent() -> candle_core::Error {
    candle_core::Error::Msg("the tensor is not a contiguous f32 or f64 tensor on the CPU".into())
}

struct Lending<T, F, O> {
    function: RefCell<Option<F>>,
    output: RefCell<Option<O>>,
    element: PhantomData<T>,
}

impl<T: Stored, O, F: FnOnce(&mut [T], &[T]) -> O> InplaceOp2 for Lending<T, F, O> {
    fn name(&self) -> &'static str {
        "optimizer-step"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        weights_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (w0, w1) = weights_layout.contiguous_offsets().ok_or_else(not_lent)?;
        let (g0, g1) = gradient_layout.contiguous_offsets().ok_or_else(not_lent)?;
        let w = &mut T::of_storage_mut(weights).ok_or_else(not_lent)?[w0..w1];
        let g = &T::of_storage(gradient).ok_or_else(not_lent)?[g0..g1];
        *self.output.borrow_mut() = self.function.borrow_mut().take().map(|function| function(w, g));
        Ok(())
    }
}

struct LendingWeights<T, F, O> {
    function: RefCell<Option<F>>,
    output: RefCell<Option<O>>,
    element: PhantomData<T>,
}

impl<T: Stored, O, F: FnOnce(&mut [T]) -> O> InplaceOp1 for LendingWeights<T, F, O> {
    fn name(&self) -> &'static str {
        "optimizer-write"
    }

    fn cpu_fwd(&self, weights: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (from, to) = layout.contiguous_offsets().ok_or_else(not_lent)?;
        let w = &mut T::of_storage_mut(weights).ok_or_else(not_lent)?[from..to];
        *self.output.borrow_mut() = self.function.borrow_mut().take().map(|function| function(w));
        Ok(())
    }
}
