//! Elements of candle's tensors, lent to a function as slices.

use std::cell::RefCell;
use std::marker::PhantomData;

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Tensor, Var};

use crate::slot::Stored;

/// The elements of a contiguous variable on the CPU.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// Its first element. Before candle lends a storage for writing, it allocates a list of the axes that are longer than 1, and sorts
    /// it; a view without such an axis gives the whole storage, too.
    first: Tensor,
    from: usize,
    to: usize,
}

impl Weights {
    /// The elements of a variable that has some.
    pub(crate) fn of(var: &Var) -> candle_core::Result<Self> {
        let (from, to) = var.layout().contiguous_offsets().ok_or_else(not_lent)?;
        Ok(Self {
            first: var.flatten_all()?.narrow(0, 0, 1)?.detach(),
            from,
            to,
        })
    }

    /// Lends them to a function.
    pub(crate) fn lend<T: Stored, O>(&self, function: impl FnOnce(&mut [T]) -> O) -> candle_core::Result<O> {
        let lending = self.lending(|w: &mut [T], _: &[T]| function(w));
        self.first.inplace_op1(&lending)?;
        lending.output.into_inner().ok_or_else(not_lent)
    }

    /// Lends them, and those of a gradient, to a function. The gradient must not be a view of the variable.
    pub(crate) fn lend_with<T: Stored, O>(
        &self,
        gradient: &Tensor,
        function: impl FnOnce(&mut [T], &[T]) -> O,
    ) -> candle_core::Result<O> {
        let lending = self.lending(function);
        self.first.inplace_op2(gradient, &lending)?;
        lending.output.into_inner().ok_or_else(not_lent)
    }

    fn lending<T: Stored, O, F: FnOnce(&mut [T], &[T]) -> O>(&self, function: F) -> Lending<T, F, O> {
        Lending {
            from: self.from,
            to: self.to,
            function: RefCell::new(Some(function)),
            output: RefCell::new(None),
            element: PhantomData,
        }
    }
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

/// Where a tensor's storage lies: the same number for all views of one allocation.
pub(crate) fn storage_address(tensor: &Tensor) -> usize {
    std::ptr::from_ref(&*tensor.storage_and_layout().0).addr()
}

fn not_lent() -> candle_core::Error {
    candle_core::Error::Msg("the tensor is not a contiguous f32 or f64 tensor on the CPU".into())
}

struct Lending<T, F, O> {
    from: usize,
    to: usize,
    function: RefCell<Option<F>>,
    output: RefCell<Option<O>>,
    element: PhantomData<T>,
}

impl<T: Stored, O, F: FnOnce(&mut [T], &[T]) -> O> Lending<T, F, O> {
    fn call(&self, weights: &mut CpuStorage, gradient: &[T]) -> candle_core::Result<()> {
        let weights = T::of_storage_mut(weights).and_then(|all| all.get_mut(self.from..self.to));
        let weights = weights.ok_or_else(not_lent)?;
        *self.output.borrow_mut() = self
            .function
            .borrow_mut()
            .take()
            .map(|function| function(weights, gradient));
        Ok(())
    }
}

impl<T: Stored, O, F: FnOnce(&mut [T], &[T]) -> O> InplaceOp1 for Lending<T, F, O> {
    fn name(&self) -> &'static str {
        "optimizer-write"
    }

    fn cpu_fwd(&self, weights: &mut CpuStorage, _: &Layout) -> candle_core::Result<()> {
        self.call(weights, &[])
    }
}

impl<T: Stored, O, F: FnOnce(&mut [T], &[T]) -> O> InplaceOp2 for Lending<T, F, O> {
    fn name(&self) -> &'static str {
        "optimizer-step"
    }

    fn cpu_fwd(
        &self,
        weights: &mut CpuStorage,
        _: &Layout,
        gradient: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<()> {
        let (from, to) = layout.contiguous_offsets().ok_or_else(not_lent)?;
        self.call(weights, &T::of_storage(gradient).ok_or_else(not_lent)?[from..to])
    }
}
