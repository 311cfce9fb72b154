//! How outputs and targets go together along an axis.

use candle_core::Tensor;
use kernels::losses::EPSILON;

use super::numbers::{Numbers, axis_last, pair};
use crate::Result;

/// Pearson's correlation of outputs and targets along an axis; NaN where one of them does not vary.
pub(super) fn pearson(outputs: &Tensor, targets: &Tensor, axis: i64) -> Result<Numbers> {
    along("pearson_correlation", outputs, targets, axis, |x| {
        x.covariance / (x.output_variance.sqrt() * x.target_variance.sqrt())
    })
}

/// Lin's concordance of outputs and targets along an axis: Pearson's correlation lessened by a shift or another scale.
pub(super) fn concordance(outputs: &Tensor, targets: &Tensor, axis: i64) -> Result<Numbers> {
    along("concordance_correlation", outputs, targets, axis, |x| {
        2.0 * x.covariance / (x.output_variance + x.target_variance + x.shift * x.shift + EPSILON)
    })
}

struct Moments {
    output_variance: f64,
    target_variance: f64,
    covariance: f64,
    /// Difference of the means.
    shift: f64,
}

fn along(
    op: &'static str,
    outputs: &Tensor,
    targets: &Tensor,
    axis: i64,
    figure: impl Fn(&Moments) -> f64,
) -> Result<Numbers> {
    let (outputs, targets) = pair(op, outputs, targets)?;
    let outputs = Numbers::of(&axis_last(op, &outputs, axis)?)?;
    let targets = Numbers::of(&axis_last(op, &targets, axis)?)?;
    let width = outputs.shape.last().copied().unwrap_or(1).max(1);
    let data = outputs
        .data
        .chunks_exact(width)
        .zip(targets.data.chunks_exact(width))
        .map(|(p, t)| {
            let mean = |x: &[f64]| x.iter().sum::<f64>() / width as f64;
            let (p_mean, t_mean) = (mean(p), mean(t));
            let product = |x: &[f64], x_mean: f64, y: &[f64], y_mean: f64| {
                let terms = x.iter().zip(y).map(|(x, y)| (x - x_mean) * (y - y_mean));
                terms.sum::<f64>() / width as f64
            };
            figure(&Moments {
                output_variance: product(p, p_mean, p, p_mean),
                target_variance: product(t, t_mean, t, t_mean),
                covariance: product(p, p_mean, t, t_mean),
                shift: t_mean - p_mean,
            })
        });
    Ok(Numbers {
        data: data.collect(),
        shape: outputs.shape[..outputs.shape.len() - 1].to_vec(),
    })
}
