//! The moving average of a parameter (`use_ema`).

use candle_core::Var;

use crate::error::Result;
use crate::fused::lend_weights;
use crate::rule::set;
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
    let (keep, take) = (T::from_f64(momentum), T::from_f64(1.0 - momentum));
    Ok(lend_weights(var, |w: &mut [T]| {
        for (average, &mut w) in average.iter_mut().zip(w) {
            *average = keep * *average + take * w;
        }
    })?)
}

/// `w <- average`.
pub(crate) fn overwrite(var: &Var, average: &Slot) -> Result<()> {
    match average {
        Slot::F32(values) => Ok(lend_weights(var, |w: &mut [f32]| w.copy_from_slice(values))?),
        Slot::F64(values) => Ok(lend_weights(var, |w: &mut [f64]| w.copy_from_slice(values))?),
        Slot::Tensor(tensor) => set(var, tensor),
    }
}

/// `w <-> average`.
pub(crate) fn exchange(var: &Var, average: &mut Slot) -> Result<()> {
    match average {
        Slot::F32(values) => Ok(lend_weights(var, |w: &mut [f32]| w.swap_with_slice(values))?),
        Slot::F64(values) => Ok(lend_weights(var, |w: &mut [f64]| w.swap_with_slice(values))?),
        Slot::Tensor(tensor) => {
            let w = var.as_tensor().copy()?;
            set(var, tensor)?;
            *tensor = w;
            Ok(())
        }
    }
}
