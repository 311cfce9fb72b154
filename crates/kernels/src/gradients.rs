//! Noticing gradients that got lost.

use candle_core::Var;
use candle_core::backprop::GradStore;

/// Whether each variable has a gradient.
///
/// candle leaves a variable out of the [`GradStore`] when some operation between it and the loss has no backward pass (its
/// `layer_norm` and `softmax_last_dim`, for example); training would then silently leave it as it was. Ask after the first step.
///
/// ```
/// use candle_core::{DType, Device, Var};
/// use kernels::gradients_present;
///
/// let used = Var::ones(2, DType::F32, &Device::Cpu)?;
/// let forgotten = Var::ones(2, DType::F32, &Device::Cpu)?;
/// let gradients = used.as_tensor().sum_all()?.backward()?;
/// assert_eq!(gradients_present(&gradients, [&used, &forgotten]), [true, false]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn gradients_present<'a>(gradients: &GradStore, variables: impl IntoIterator<Item = &'a Var>) -> Vec<bool> {
    variables
        .into_iter()
        .map(|variable| gradients.get(variable.as_tensor()).is_some())
        .collect()
}
