//! Gradients of weights that are handed over while they are made.
//!
//! An optimizer that waits for all gradients finds them written to memory, and reads them back. [`crate::tape::Tape::backward_deferring`]
//! leaves the gradient of a dense layer's weight to the optimizer, which gets it in pieces, each still in the cache of the thread that
//! computed it. The numbers are those of the whole gradient to the bit.
//!
//! ```
//! use std::sync::Mutex;
//!
//! use candle_core::{DType, Device, Tensor, Var};
//! use kernels::{Activation, linear, tape};
//!
//! let x = Tensor::ones((64, 512), DType::F32, &Device::Cpu)?;
//! let kernel = Var::zeros((512, 32), DType::F32, &Device::Cpu)?;
//! let (y, tape) = tape::record(|| linear(&x, &kernel, None, Activation::Linear));
//! let y = y?;
//! let (gradients, deferred) = tape.backward_deferring([(&y, y.ones_like()?)])?;
//! // Where the processor has no tiles, nothing is deferred.
//! assert_eq!(gradients.get(&kernel).is_some(), deferred.is_empty());
//! for gradient in &deferred {
//!     let sum = Mutex::new(0.0);
//!     gradient.in_pieces(&|_| {}, &|_, piece| *sum.lock().unwrap() += piece.iter().sum::<f32>())?;
//!     assert_eq!(sum.into_inner().unwrap(), 64.0 * 512.0 * 32.0);
//! }
//! # Ok::<(), kernels::Error>(())
//! ```

use candle_core::{Result, Tensor};

use crate::cpu;
use crate::precision::MatmulPrecision;

/// The gradient of a weight `(inputs, units)` that was not computed yet: `x^T dz`.
pub struct Deferred {
    pub(crate) weight: Tensor,
    /// `(rows, inputs)`.
    pub(crate) x: Tensor,
    /// Gradient of the layer's sums, `(rows, units)`.
    pub(crate) of_sums: Tensor,
    pub(crate) precision: MatmulPrecision,
}

impl Deferred {
    /// The weight.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// Numbers in a piece: whole rows of the gradient; the last piece may have fewer.
    pub fn piece(&self) -> usize {
        let units = self.of_sums.dims().last().copied().unwrap_or(1);
        cpu::ROWS_OF_PIECE * units
    }

    /// Calls `prepare` with the number of a piece before it is computed and `take` with its numbers afterwards, for all pieces, on several
    /// threads.
    ///
    /// # Errors
    /// If the tensors are not on the CPU.
    pub fn in_pieces(&self, prepare: &(dyn Fn(usize) + Sync), take: &(dyn Fn(usize, &[f32]) + Sync)) -> Result<()> {
        cpu::kernel_gradient_in_pieces(&self.x, &self.of_sums, self.precision, prepare, take)
    }

    /// Whether all of it is finite for sure: a bound from the largest numbers of its factors, which are much smaller than it is.
    ///
    /// # Errors
    /// As [`Deferred::in_pieces`].
    pub fn is_surely_finite(&self) -> Result<bool> {
        let rows = self.of_sums.dims().first().copied().unwrap_or(0) as f64;
        let bound = cpu::largest_size(&self.x)? * cpu::largest_size(&self.of_sums)? * rows;
        // Half of it, as sums are rounded.
        Ok(bound < f64::from(f32::MAX) / 2.0)
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`Deferred::in_pieces`].
    pub fn whole(&self) -> Result<Tensor> {
        cpu::kernel_gradient(&self.x, &self.of_sums, self.precision)
    }
}
