//! The moving average of a parameter (`use_ema`), and the sum of accumulated gradients.

use candle_core::{Tensor, Var};

use crate::error::Result;
use crate::fused;
use crate::lending::{Weights, lend_read};
use crate::number::Number;
use crate::rule::{Preparation, Rule, set};
use crate::slot::{Slot, Stored};

/// `average <- momentum * average + (1 - momentum) * w`.
pub(crate) fn follow(var: &Var, average: &mut Slot, momentum: f64) -> Result<()> {
    match average {
        Slot::F32(values) => follow_slice(var, values, momentum),
        Slot::F64(values) => follow_slice(var, values, momentum),
        Slot::Tensor(tensor) => {
            *tensor = (tensor.affine(momentum, 0.0)? + var.affine(1.0 - momentum, 0.0)?)?.detach();
            Ok(())
        }
    }
}

fn follow_slice<T: Stored>(var: &Var, average: &mut [T], momentum: f64) -> Result<()> {
    let rule = Follow {
        keep: momentum,
        take: 1.0 - momentum,
    };
    Ok(lend_read(var, |w: &[T]| {
        fused::elementwise(&rule, Preparation::NONE, average, w, []);
    })?)
}

/// The average stands in the place of the weight, and the weight in that of the gradient.
#[derive(Clone, Copy)]
struct Follow {
    keep: f64,
    take: f64,
}

impl Rule<0> for Follow {
    #[inline(always)]
    fn update<A: Number>(&self, average: A, w: A, []: [A; 0]) -> (A, [A; 0]) {
        (average * self.keep + w * self.take, [])
    }
}

/// `w <- average`; `weights` are the elements of `var` where it is updated in place.
pub(crate) fn overwrite(var: &Var, weights: Option<&Weights>, average: &Slot) -> Result<()> {
    match (average, weights) {
        (Slot::F32(values), Some(weights)) => Ok(weights.lend(|w: &mut [f32]| w.copy_from_slice(values))?),
        (Slot::F64(values), Some(weights)) => Ok(weights.lend(|w: &mut [f64]| w.copy_from_slice(values))?),
        (Slot::Tensor(tensor), _) => set(var, tensor),
        (Slot::F32(_) | Slot::F64(_), None) => overwrite(var, Some(&Weights::of(var)?), average),
    }
}

/// `w <-> average`.
pub(crate) fn exchange(var: &Var, average: &mut Slot) -> Result<()> {
    match average {
        Slot::F32(values) => Ok(Weights::of(var)?.lend(|w: &mut [f32]| w.swap_with_slice(values))?),
        Slot::F64(values) => Ok(Weights::of(var)?.lend(|w: &mut [f64]| w.swap_with_slice(values))?),
        Slot::Tensor(tensor) => {
            let w = var.as_tensor().copy()?;
            set(var, tensor)?;
            *tensor = w;
            Ok(())
        }
    }
}

/// `sum <- sum + scale * gradient`, for gradients that are accumulated.
pub(crate) fn add<T: Stored>(sum: &mut [T], gradient: &Tensor, scale: f64) -> Result<()> {
    let preparation = Preparation {
        scale,
        ..Preparation::NONE
    };
    Ok(lend_read(gradient, |g: &[T]| {
        fused::elementwise(&Add, preparation, sum, g, []);
    })?)
}

/// The sum stands in the place of the weight.
#[derive(Clone, Copy)]
struct Add;

impl Rule<0> for Add {
    #[inline(always)]
    fn update<A: Number>(&self, sum: A, g: A, []: [A; 0]) -> (A, [A; 0]) {
        (sum + g, [])
    }
}
