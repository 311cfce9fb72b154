//! Norms of gradients, and what clipping makes of them.

use candle_core::{DType, Tensor};

use crate::error::Result;
use crate::fused::{self, are_finite};
use crate::lending::lend_read;
use crate::number::Number;
use crate::options::Options;
use crate::rule::{Gradient, Preparation, Term};
use crate::slot::{Slot, Stored};

/// How gradients are clipped.
#[derive(Clone, Copy)]
pub(crate) enum Clip {
    None,
    Norm(f64),
    GlobalNorm(f64),
    Value(f64),
}

impl Clip {
    /// Keras' precedence; the builder refuses more than one.
    pub(crate) fn of(options: &Options) -> Self {
        match (options.clipnorm, options.global_clipnorm, options.clipvalue) {
            (Some(norm), _, _) => Self::Norm(norm),
            (_, Some(norm), _) => Self::GlobalNorm(norm),
            (_, _, Some(value)) => Self::Value(value),
            _ => Self::None,
        }
    }

    /// Whether it depends on the norms of the gradients.
    pub(crate) fn needs_norms(self) -> bool {
        matches!(self, Self::Norm(_) | Self::GlobalNorm(_))
    }
}

/// What a gradient of this norm is multiplied by, so that its norm is at most `limit`.
pub(crate) fn factor(norm: f64, limit: f64) -> f64 {
    if norm > limit { limit / norm } else { 1.0 }
}

/// The square of a gradient.
#[derive(Clone, Copy)]
pub(crate) struct Square;

impl Term<0> for Square {
    #[inline(always)]
    fn value<A: Number>(&self, _: A, g: A, []: [A; 0]) -> A {
        g.square()
    }
}

/// The sum of the squares of all entries of a contiguous gradient.
pub(crate) fn sum_of_squares(gradient: Gradient<'_>) -> Result<f64> {
    match gradient {
        Gradient::Given(tensor) | Gradient::Accumulated(Slot::Tensor(tensor)) => sum(tensor, Square),
        Gradient::Accumulated(Slot::F32(values)) => Ok(sum_of(values, Square)),
        Gradient::Accumulated(Slot::F64(values)) => Ok(sum_of(values, Square)),
        Gradient::Pieces(pieces) => sum(&pieces.whole()?, Square),
    }
}

/// Whether a contiguous tensor, whose elements this many threads share, has neither NaN nor infinity in it.
pub(crate) fn is_finite(tensor: &Tensor, threads: usize) -> Result<bool> {
    Ok(match tensor.dtype() {
        DType::F32 if tensor.device().is_cpu() => lend_read(tensor, |values: &[f32]| are_finite(values, threads))?,
        DType::F64 if tensor.device().is_cpu() => lend_read(tensor, |values: &[f64]| are_finite(values, threads))?,
        _ => {
            // Zero for a finite entry, NaN for any other.
            let defects = (tensor.to_dtype(DType::F32)? * 0.0)?;
            defects.sum_all()?.to_scalar::<f32>()? == 0.0
        }
    })
}

fn sum_of<T: Stored>(values: &[T], term: impl Term<0>) -> f64 {
    // A sum over gradients alone: they stand in for the weights, too.
    fused::sum(&term, Preparation::NONE, values, values, [])
}

fn sum(tensor: &Tensor, term: impl Term<0>) -> Result<f64> {
    Ok(match tensor.dtype() {
        DType::F32 if tensor.device().is_cpu() => lend_read(tensor, |values: &[f32]| sum_of(values, term))?,
        DType::F64 if tensor.device().is_cpu() => lend_read(tensor, |values: &[f64]| sum_of(values, term))?,
        _ => {
            // Half precision overflows in a sum of squares; single precision does not for any gradient of use.
            let tensor = tensor.to_dtype(DType::F32)?;
            let tape = crate::tape::Tape::new();
            let g = tape.leaf(&tensor);
            tape.take(term.value(g, g, []))?.sum_all()?.to_scalar::<f32>()?.into()
        }
    })
}
