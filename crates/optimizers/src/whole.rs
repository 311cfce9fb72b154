//! Updates that look at a tensor as a whole: products of matrices, factored means.

use candle_core::{DType, Device, Tensor};

use crate::algorithm::SlotSpec;
use crate::error::Result;
use crate::rule::{Gradient, Target, set};
use crate::slot::Slot;

/// What such an update makes: the new weights and the new state, in the order of the slots.
pub type Updated = (Tensor, Vec<Tensor>);

impl Target<'_> {
    /// A hyper-parameter in the precision of the weights, where Keras rounds it before it computes with it: `1 - beta` is then
    /// another number in `f32`, by up to a hundred-thousandth.
    pub(crate) fn rounded(&self, value: f64) -> f64 {
        match self.var.dtype() {
            DType::F64 => value,
            _ => f64::from(value as f32),
        }
    }

    /// The bias correction `1 - beta^t` as Keras computes it, in the precision of the weights. In `f32` and at the first steps it
    /// has lost four digits, and with it the length of the step.
    pub(crate) fn bias_correction(&self, beta: f64, t: f64) -> f64 {
        1.0 - self.rounded(self.rounded(beta).powf(t))
    }

    /// Updates the parameter by tensor operations, on whatever device it is.
    ///
    /// `update` gets weights and gradient (clipped, the decoupled decay done) and the state in the shapes of `slots`, all in `f32`,
    /// or in `f64` where the weights are; what it returns is rounded to the type of the weights. No gradient flows through.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn whole(
        &mut self,
        slots: &[SlotSpec],
        update: impl FnOnce(Tensor, Tensor, Vec<Tensor>) -> Result<Updated>,
    ) -> Result<()> {
        let preparation = self.preparation;
        self.preparation.decay = 0.0;
        let (dtype, device) = (self.var.dtype(), self.var.device().clone());
        let exact = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
        let mut w = self.var.as_tensor().detach().to_dtype(exact)?;
        if preparation.decay != 0.0 {
            w = w.affine(1.0 - preparation.decay, 0.0)?;
        }
        let g = match self.gradient {
            Gradient::Given(tensor) => tensor.clone(),
            Gradient::Accumulated(slot) => tensor(slot, self.var.dims(), &device)?,
            Gradient::Pieces(pieces) => pieces.whole()?,
        };
        let mut g = g.detach().to_dtype(exact)?.affine(preparation.scale, 0.0)?;
        if preparation.limit.is_finite() {
            g = g.clamp(-preparation.limit, preparation.limit)?;
        }
        let state = self.slots.iter().zip(slots);
        let state = state
            .map(|(slot, spec)| Ok(tensor(slot, &spec.shape, &device)?.to_dtype(exact)?))
            .collect::<Result<Vec<_>>>()?;
        let (w, state) = update(w, g, state)?;
        for (slot, new) in self.slots.iter_mut().zip(state) {
            match slot {
                Slot::F32(values) => *values = new.flatten_all()?.to_vec1()?,
                Slot::F64(values) => *values = new.flatten_all()?.to_vec1()?,
                Slot::Tensor(tensor) => *tensor = new.to_dtype(dtype)?.contiguous()?,
            }
        }
        set(self.var, &w.to_dtype(dtype)?.contiguous()?)
    }
}

fn tensor(slot: &Slot, shape: &[usize], device: &Device) -> Result<Tensor> {
    Ok(match slot {
        Slot::Tensor(tensor) => tensor.clone(),
        vector => vector.to_tensor(shape)?.to_device(device)?,
    })
}

/// The square root of the mean square of all entries.
pub(crate) fn root_mean_square(tensor: &Tensor) -> Result<f64> {
    let mean = tensor.sqr()?.mean_all()?.to_dtype(DType::F64)?;
    Ok(mean.to_scalar::<f64>()?.sqrt())
}
