//! Normalization of each channel by the statistics of the batch.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::real::{Real, for_real, numbers, slice, vectorized};
use crate::tape::{apply3, wants_gradient};

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
        let mut mean = channel_sums(x, x, channels, &vec![0.0; channels], |x, _, _| (x, 0.0)).0;
        mean.iter_mut().for_each(|mean| *mean /= rows);
        // A second pass over the differences, as the squares of large numbers would cancel.
        let mut variance = channel_sums(x, x, channels, &mean, |x, _, mean| ((x - mean) * (x - mean), 0.0)).0;
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

/// Two sums over the rows for each channel, in f64 and in a fixed order. `term` gets a number of `x`, one of `y`, and that of
/// the channel.
fn channel_sums<T: Real>(
    x: &[T],
    y: &[T],
    channels: usize,
    of_channel: &[f64],
    term: impl Fn(f64, f64, f64) -> (f64, f64) + Sync,
) -> (Vec<f64>, Vec<f64>) {
    let parts: Vec<(Vec<f64>, Vec<f64>)> = x
        .par_chunks(ROWS * channels)
        .zip(y.par_chunks(ROWS * channels))
        .map(|(x, y)| {
            let (mut first, mut second) = (vec![0.0; channels], vec![0.0; channels]);
            vectorized(
                #[inline(always)]
                || {
                    for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact(channels)) {
                        let sums = first.iter_mut().zip(second.iter_mut());
                        for (((first, second), (x, y)), c) in sums.zip(x.iter().zip(y)).zip(of_channel) {
                            let (a, b) = term(x.to_f64(), y.to_f64(), *c);
                            *first += a;
                            *second += b;
                        }
                    }
                },
            );
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

/// `(x - mean) * scale + shift` for each channel.
fn by_channel<T: Real>(x: &[T], mean: Option<&[T]>, scale: &[T], shift: Option<&[T]>) -> Vec<T> {
    let channels = scale.len();
    let zeros = vec![T::zero(); channels];
    let (mean, shift) = (mean.unwrap_or(&zeros), shift.unwrap_or(&zeros));
    let mut y = vec![T::zero(); x.len()];
    y.par_chunks_mut(ROWS * channels)
        .zip(x.par_chunks(ROWS * channels))
        .for_each(|(y, x)| {
            vectorized(
                #[inline(always)]
                || {
                    for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                        let of_channel = mean.iter().zip(scale).zip(shift);
                        for ((y, x), ((mean, scale), shift)) in y.iter_mut().zip(x).zip(of_channel) {
                            *y = (*x - *mean) * *scale + *shift;
                        }
                    }
                },
            );
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
    let y = apply3(&x.contiguous()?, &gamma.contiguous()?, &beta.contiguous()?, op)?;
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
    Ok(T::to_cpu_storage_owned(by_channel(x, Some(&mean), &scale, Some(beta))))
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
    let (dbeta, mut dgamma) = channel_sums(x_numbers, dy, channels, mean, |x, dy, mean| (dy, dy * (x - mean)));
    dgamma
        .iter_mut()
        .zip(inverse)
        .for_each(|(sum, inverse)| *sum *= inverse);
    let dx = wants_gradient(x).then(|| {
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
        let mut dx = vec![T::zero(); dy.len()];
        let piece = ROWS * channels;
        dx.par_chunks_mut(piece)
            .zip(dy.par_chunks(piece).zip(x_numbers.par_chunks(piece)))
            .for_each(|(dx, (dy, x))| {
                vectorized(
                    #[inline(always)]
                    || {
                        let rows = dy.chunks_exact(channels).zip(x.chunks_exact(channels));
                        for (dx, (dy, x)) in dx.chunks_exact_mut(channels).zip(rows) {
                            let of_channel = shift.iter().zip(&mean).zip(slope.iter().zip(&factor));
                            for ((dx, (dy, x)), ((shift, mean), (slope, factor))) in
                                dx.iter_mut().zip(dy.iter().zip(x)).zip(of_channel)
                            {
                                *dx = (*dy - *shift - (*x - *mean) * *slope) * *factor;
                            }
                        }
                    },
                );
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
    apply3(&x.contiguous()?, &scale.contiguous()?, &shift.contiguous()?, Affine)
}

fn affine_forward<T: Real>(
    x: (&CpuStorage, &Layout),
    scale: (&CpuStorage, &Layout),
    shift: (&CpuStorage, &Layout),
) -> Result<CpuStorage> {
    let (scale, shift) = (slice::<T>(scale.0, scale.1)?, slice::<T>(shift.0, shift.1)?);
    let y = by_channel(slice::<T>(x.0, x.1)?, None, scale, Some(shift));
    Ok(T::to_cpu_storage_owned(y))
}

fn affine_backward<T: Real>(x: &Tensor, scale: &Tensor, gradient: &Tensor) -> Result<Gradients> {
    let channels = x.dim(1)?;
    numbers!(x_numbers: T = x);
    numbers!(scale_numbers: T = scale);
    numbers!(dy: T = gradient);
    let dx = wants_gradient(x).then(|| by_channel(dy, None, scale_numbers, None));
    let dx = dx.map(|dx| Tensor::from_vec(dx, x.shape(), x.device())).transpose()?;
    let (dshift, dscale) = channel_sums(x_numbers, dy, channels, &vec![0.0; channels], |x, dy, _| (dy, dy * x));
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
