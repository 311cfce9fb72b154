//! Losses of segmentations: how much of two areas they do not share.

use candle_core::Tensor;

use super::EPSILON;
use super::operands::{axis, option, pair};
use crate::error::Result;
use crate::tape::composed_of;

/// $1 - 2 \sum t p / (\sum t + \sum p + 10^{-7})$: Keras' `Dice` without its reduction.
///
/// The sums run over `axes`, which go; `None` means all axes (the result is one number), as in Keras.
///
/// # Errors
/// If the shapes differ, the batch is empty, or there is no such axis.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::losses::dice;
///
/// let found = Tensor::new(&[[1f64, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]], &Device::Cpu)?;
/// let wanted = Tensor::new(&[[1f64, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]], &Device::Cpu)?;
/// let losses = dice(&found, &wanted, Some(&[1]))?.to_vec1::<f64>()?;
/// assert!(losses[0].abs() < 1e-7 && (losses[1] - 0.5).abs() < 1e-7);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn dice(outputs: &Tensor, targets: &Tensor, axes: Option<&[i64]>) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        const OP: &str = "dice";
        let (outputs, targets) = pair(OP, outputs, targets)?;
        let axes = all(OP, axes, &outputs)?;
        let sum = |x: &Tensor| x.sum(axes.as_slice());
        let shared = sum(&(&targets * &outputs)?)?;
        let whole = ((sum(&targets)? + sum(&outputs)?)? + EPSILON)?;
        Ok((1.0 - ((shared * 2.0)? / whole)?)?)
    })
}

/// $1 - s / (s + \alpha \sum t (1 - p) + \beta \sum (1 - t) p + 10^{-7})$, $s = \sum t p$: Keras' `Tversky` without its reduction.
///
/// Salehi et al., «Tversky loss function for image segmentation using 3D fully convolutional deep networks», 2017. As in Keras, $\alpha$
/// weighs what is missing from the outputs and $\beta$ what they have too much. Axes as for [`dice`], which this is for
/// $\alpha = \beta = \tfrac12$.
///
/// # Errors
/// As [`dice`]; if `alpha` or `beta` is not finite.
pub fn tversky(outputs: &Tensor, targets: &Tensor, alpha: f64, beta: f64, axes: Option<&[i64]>) -> Result<Tensor> {
    composed_of(outputs, |outputs| {
        const OP: &str = "tversky";
        for (name, value) in [("alpha", alpha), ("beta", beta)] {
            if !value.is_finite() {
                return Err(option(OP, name, "a finite number".into(), value));
            }
        }
        let (outputs, targets) = pair(OP, outputs, targets)?;
        let axes = all(OP, axes, &outputs)?;
        let sum = |x: Tensor| x.sum(axes.as_slice());
        let shared = sum((&targets * &outputs)?)?;
        let missing = sum((&targets * (1.0 - &outputs)?)?)?;
        let surplus = sum(((1.0 - &targets)? * &outputs)?)?;
        let whole = (((&shared + (missing * alpha)?)? + (surplus * beta)?)? + EPSILON)?;
        Ok((1.0 - (shared / whole)?)?)
    })
}

fn all(op: &'static str, axes: Option<&[i64]>, of: &Tensor) -> Result<Vec<usize>> {
    let Some(axes) = axes else {
        return Ok((0..of.rank()).collect());
    };
    let mut places = axes.iter().map(|&one| axis(op, one, of)).collect::<Result<Vec<_>>>()?;
    places.sort_unstable();
    if places.windows(2).any(|two| two[0] == two[1]) {
        return Err(option(
            op,
            "axis",
            "a list of different axes".into(),
            format!("{axes:?}"),
        ));
    }
    Ok(places)
}
