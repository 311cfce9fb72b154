//! Normalization of each channel by the statistics of the batch.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::real::{Real, for_real, numbers, slice};

/// Rows that are added up before their sum is put aside; a constant, so that threads do not change the bits.
const ROWS: usize = 256;

/// Statistics of a batch: mean, biased variance and `1 / sqrt(variance + epsilon)` of each channel.
struct Statistics {
    mean: Vec<f64>,
    variance: Vec<f64>,
    inverse: Vec<f64>,
}

impl Statistics {
    fn of<T: Real>(x: &[T], channels: usize, epsilon: f64) -> Self {
        let rows = (x.len() / channels) as f64;
        let mut mean = channel_sums(x.len(), channels, |at, channel| (x[at + channel].to_f64(), 0.0)).0;
        mean.iter_mut().for_each(|mean| *mean /= rows);
        // A second pass over the differences, as the squares of large numbers would cancel.
        let mut variance = channel_sums(x.len(), channels, |at, channel| {
            let difference = x[at + channel].to_f64() - mean[channel];
            (difference * difference, 0.0)
        })
        .0;
        variance.iter_mut().for_each(|variance| *variance /= rows);
        let inverse = variance
            .iter()
            .map(|variance| 1.0 / (variance + epsilon).sqrt())
            .collect();
        Self {
            mean,
            variance,
            inverse,
        }
    }
}

/// Two sums over the rows for each channel, in f64 and in a fixed order. `term` gets the start of a row and a channel.
fn channel_sums(len: usize, channels: usize, term: impl Fn(usize, usize) -> (f64, f64) + Sync) -> (Vec<f64>, Vec<f64>) {
    let parts: Vec<(Vec<f64>, Vec<f64>)> = (0..(len / channels).div_ceil(ROWS))
        .into_par_iter()
        .map(|piece| {
            let (mut first, mut second) = (vec![0.0; channels], vec![0.0; channels]);
            let end = ((piece + 1) * ROWS * channels).min(len);
            for start in (piece * ROWS * channels..end).step_by(channels) {
                for (channel, (first, second)) in first.iter_mut().zip(&mut second).enumerate() {
                    let (a, b) = term(start, channel);
                    *first += a;
                    *second += b;
                }
            }
            (first, second)
        })
        .collect();
    let (mut first, mut second) = (vec![0.0; channels], vec![0.0; channels]);
    for (a, b) in parts {
        first.iter_mut().zip(a).for_each(|(sum, a)| *sum += a);
        second.iter_mut().zip(b).for_each(|(sum, b)| *sum += b);
    }
    (first, second)
}

/// The numbers of each row, changed channel by channel.
fn by_channel<T: Real>(x: &[T], channels: usize, f: impl Fn(usize, T) -> T + Sync) -> Vec<T> {
    let mut y = x.to_vec();
    y.par_chunks_mut(ROWS * channels).for_each(|rows| {
        for row in rows.chunks_exact_mut(channels) {
            for (channel, x) in row.iter_mut().enumerate() {
                *x = f(channel, *x);
            }
        }
    });
    y
}

struct Normalize {
    epsilon: f64,
    statistics: std::sync::Arc<OnceLock<Statistics>>,
}

/// `x` is `(rows, channels)`; returns the normalized tensor and the mean and variance of the batch.
pub(crate) fn batch_norm_training(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Tensor, Tensor)> {
    let statistics = std::sync::Arc::new(OnceLock::new());
    let op = Normalize {
        epsilon,
        statistics: statistics.clone(),
    };
    let y = x
        .contiguous()?
        .apply_op3(&gamma.contiguous()?, &beta.contiguous()?, op)?;
    let Some(statistics) = statistics.get() else {
        candle_core::bail!("batch_norm: no statistics after the forward pass");
    };
    let tensor = |numbers: &[f64]| Tensor::new(numbers, x.device())?.to_dtype(x.dtype());
    Ok((y, tensor(&statistics.mean)?, tensor(&statistics.variance)?))
}

fn forward<T: Real>(
    op: &Normalize,
    x: (&CpuStorage, &Layout),
    gamma: (&CpuStorage, &Layout),
    beta: (&CpuStorage, &Layout),
) -> Result<CpuStorage> {
    let channels = x.1.dims()[1];
    let x = slice::<T>(x.0, x.1)?;
    let (gamma, beta) = (slice::<T>(gamma.0, gamma.1)?, slice::<T>(beta.0, beta.1)?);
    let statistics = op.statistics.get_or_init(|| Statistics::of(x, channels, op.epsilon));
    let mean: Vec<T> = statistics.mean.iter().map(|mean| T::from_f64(*mean)).collect();
    let scale: Vec<T> = statistics
        .inverse
        .iter()
        .zip(gamma)
        .map(|(inverse, gamma)| T::from_f64(inverse * gamma.to_f64()))
        .collect();
    Ok(T::to_cpu_storage_owned(by_channel(x, channels, |c, x| {
        (x - mean[c]) * scale[c] + beta[c]
    })))
}

type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

fn backward<T: Real>(op: &Normalize, x: &Tensor, gamma: &Tensor, gradient: &Tensor) -> Result<Gradients> {
    let Some(Statistics { mean, inverse, .. }) = op.statistics.get() else {
        candle_core::bail!("batch_norm: backward without forward");
    };
    let (rows, channels) = x.dims2()?;
    numbers!(x_numbers: T = x);
    numbers!(gamma_numbers: T = gamma);
    numbers!(dy: T = gradient);
    let (dbeta, dgamma) = channel_sums(dy.len(), channels, |at, c| {
        let g = dy[at + c].to_f64();
        (g, g * (x_numbers[at + c].to_f64() - mean[c]) * inverse[c])
    });
    let dx = x.track_op().then(|| {
        // dx = gamma / sigma (dy - mean(dy) - normalized x * mean(dy * normalized x))
        let number = |value: f64| T::from_f64(value);
        let factor: Vec<T> = (0..channels)
            .map(|c| number(gamma_numbers[c].to_f64() * inverse[c]))
            .collect();
        let slope: Vec<T> = (0..channels)
            .map(|c| number(dgamma[c] / rows as f64 * inverse[c]))
            .collect();
        let shift: Vec<T> = (0..channels).map(|c| number(dbeta[c] / rows as f64)).collect();
        let mean: Vec<T> = mean.iter().map(|mean| number(*mean)).collect();
        let mut dx = dy.to_vec();
        let piece = ROWS * channels;
        dx.par_chunks_mut(piece)
            .zip(x_numbers.par_chunks(piece))
            .for_each(|(dx, x)| {
                for (dx, x) in dx.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    for (c, (dx, x)) in dx.iter_mut().zip(x).enumerate() {
                        *dx = (*dx - shift[c] - (*x - mean[c]) * slope[c]) * factor[c];
                    }
                }
            });
        Tensor::from_vec(dx, x.shape(), x.device())
    });
    let tensor = |numbers: Vec<f64>| Tensor::new(numbers, x.device())?.to_dtype(x.dtype());
    Ok((dx.transpose()?, Some(tensor(dgamma)?), Some(tensor(dbeta)?)))
}

impl CustomOp3 for Normalize {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        gamma: &CpuStorage,
        lg: &Layout,
        beta: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = for_real!(
            x.dtype(),
            "batch_norm",
            forward::<T>(self, (x, lx), (gamma, lg), (beta, lb))
        )?;
        Ok((y, lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, gamma: &Tensor, _beta: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Gradients> {
        for_real!(x.dtype(), "batch_norm", backward::<T>(self, x, gamma, dy))
    }
}

struct Affine;

/// `x * scale + shift` for each channel; `x` is `(rows, channels)`.
pub(crate) fn channel_affine(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    x.contiguous()?
        .apply_op3(&scale.contiguous()?, &shift.contiguous()?, Affine)
}

fn affine_forward<T: Real>(
    x: (&CpuStorage, &Layout),
    scale: (&CpuStorage, &Layout),
    shift: (&CpuStorage, &Layout),
) -> Result<CpuStorage> {
    let (scale, shift) = (slice::<T>(scale.0, scale.1)?, slice::<T>(shift.0, shift.1)?);
    let y = by_channel(slice::<T>(x.0, x.1)?, x.1.dims()[1], |c, x| x * scale[c] + shift[c]);
    Ok(T::to_cpu_storage_owned(y))
}

fn affine_backward<T: Real>(x: &Tensor, scale: &Tensor, gradient: &Tensor) -> Result<Gradients> {
    let channels = x.dim(1)?;
    numbers!(x_numbers: T = x);
    numbers!(scale_numbers: T = scale);
    numbers!(dy: T = gradient);
    let dx = x
        .track_op()
        .then(|| by_channel(dy, channels, |c, dy| dy * scale_numbers[c]));
    let dx = dx.map(|dx| Tensor::from_vec(dx, x.shape(), x.device())).transpose()?;
    let (dshift, dscale) = channel_sums(dy.len(), channels, |at, c| {
        let g = dy[at + c].to_f64();
        (g, g * x_numbers[at + c].to_f64())
    });
    let tensor = |numbers: Vec<f64>| Tensor::new(numbers, x.device())?.to_dtype(x.dtype());
    Ok((dx, Some(tensor(dscale)?), Some(tensor(dshift)?)))
}

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "channel_affine"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        scale: &CpuStorage,
        ls: &Layout,
        shift: &CpuStorage,
        lh: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = for_real!(
            x.dtype(),
            "channel_affine",
            affine_forward::<T>((x, lx), (scale, ls), (shift, lh))
        )?;
        Ok((y, lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, scale: &Tensor, _shift: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Gradients> {
        for_real!(x.dtype(), "channel_affine", affine_backward::<T>(x, scale, dy))
    }
}
