//! Normalization of each channel by the statistics of the batch.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::real::{Real, filled, for_real, numbers, slice, vectorized};
use crate::tape::{apply3, wants_gradient};

/// Rows that are added up before their sum is put aside; a constant, so that threads do not change the bits.
const ROWS: usize = 256;
/// Numbers whose sums are in registers together.
const BLOCK: usize = 32;
/// Short rows are taken together until they have so many numbers, so that loops over them become vectors.
const LONG: usize = 256;

/// Statistics of a batch: mean, biased variance and `1 / sqrt(variance + epsilon)` of each channel.
struct Statistics {
    mean: Vec<f64>,
    variance: Vec<f64>,
    inverse: Vec<f64>,
}

impl Statistics {
    /// Both from one pass over the differences to the first row: where squares are as large as their sum over all rows at most, nothing is
    /// lost in f64 when that of the mean is taken from it.
    fn of<T: Real>(x: &[T], channels: usize, epsilon: f64) -> Self {
        let rows = (x.len() / channels) as f64;
        let first: Vec<f64> = x[..channels].iter().map(|x| x.to_f64()).collect();
        let (sums, squares) = channel_sums(x, x, channels, &first, |x, _, first| {
            (x - first, (x - first) * (x - first))
        });
        let shift: Vec<f64> = sums.iter().map(|sum| sum / rows).collect();
        let mean = first.iter().zip(&shift).map(|(first, shift)| first + shift).collect();
        let variance: Vec<f64> = squares
            .iter()
            .zip(&shift)
            .map(|(squares, shift)| (squares / rows - shift * shift).max(0.0))
            .collect();
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

/// How many rows of `channels` numbers are one long row.
fn together(channels: usize) -> usize {
    LONG.div_ceil(channels)
}

/// The numbers of the channels, again and again for rows that are taken together.
fn repeated<N: Copy>(of_channel: &[N]) -> Vec<N> {
    of_channel.repeat(together(of_channel.len()))
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
    let of_channel = repeated(of_channel);
    let row = of_channel.len();
    let parts: Vec<(Vec<f64>, Vec<f64>)> = x
        .par_chunks(ROWS * channels)
        .zip(y.par_chunks(ROWS * channels))
        .map(|(x, y)| {
            let (mut first, mut second) = (vec![0.0; row], vec![0.0; row]);
            vectorized(
                #[inline(always)]
                || {
                    for start in (0..row).step_by(BLOCK) {
                        let columns = start..(start + BLOCK).min(row);
                        let sums = (&mut first[columns.clone()], &mut second[columns.clone()]);
                        add_columns((x, y), row, start, &of_channel[columns], sums, &term);
                    }
                },
            );
            (first, second)
        })
        .collect();
    let (mut first, mut second) = (vec![0.0; channels], vec![0.0; channels]);
    for (a, b) in parts {
        for (a, b) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
            first.iter_mut().zip(a).for_each(|(sum, a)| *sum += a);
            second.iter_mut().zip(b).for_each(|(sum, b)| *sum += b);
        }
    }
    (first, second)
}

/// The sums of some columns of rows of `row` numbers, of which the last one may end early.
#[inline(always)]
fn add_columns<T: Real>(
    (x, y): (&[T], &[T]),
    row: usize,
    start: usize,
    of_channel: &[f64],
    (first, second): (&mut [f64], &mut [f64]),
    term: &impl Fn(f64, f64, f64) -> (f64, f64),
) {
    let whole = if of_channel.len() == BLOCK {
        x.len() / row * row
    } else {
        0
    };
    if let Some(of_channel) = of_channel.first_chunk::<BLOCK>() {
        let (mut sums, mut others) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (x, y) in x[..whole].chunks_exact(row).zip(y[..whole].chunks_exact(row)) {
            let (Some(x), Some(y)) = (x[start..].first_chunk::<BLOCK>(), y[start..].first_chunk::<BLOCK>()) else {
                continue;
            };
            for lane in 0..BLOCK {
                let (a, b) = term(x[lane].to_f64(), y[lane].to_f64(), of_channel[lane]);
                sums[lane] += a;
                others[lane] += b;
            }
        }
        first.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
        second.iter_mut().zip(others).for_each(|(to, sum)| *to += sum);
    }
    for (x, y) in x[whole..].chunks(row).zip(y[whole..].chunks(row)) {
        let numbers = x.iter().zip(y).skip(start).zip(of_channel);
        for (((x, y), c), (first, second)) in numbers.zip(first.iter_mut().zip(second.iter_mut())) {
            let (a, b) = term(x.to_f64(), y.to_f64(), *c);
            *first += a;
            *second += b;
        }
    }
}

/// Rows that are filled by one task, so that they and what they are made of stay in an L1 cache.
fn rows_of_task(row: usize) -> usize {
    (1usize << 12).div_ceil(row)
}

/// `(x - mean) * scale + shift` for each channel.
fn by_channel<T: Real>(x: &[T], mean: Option<&[T]>, scale: &[T], shift: Option<&[T]>) -> Vec<T> {
    let zeros = vec![T::zero(); scale.len()];
    let [mean, scale, shift] = [mean.unwrap_or(&zeros), scale, shift.unwrap_or(&zeros)].map(repeated);
    let row = scale.len();
    let piece = rows_of_task(row) * row;
    filled(x.len(), piece, |index, y| {
        let x = &x[index * piece..][..y.len()];
        vectorized(
            #[inline(always)]
            || {
                for (y, x) in y.chunks_mut(row).zip(x.chunks(row)) {
                    let of_channel = mean.iter().zip(&scale).zip(&shift);
                    for ((y, x), ((mean, scale), shift)) in y.iter_mut().zip(x).zip(of_channel) {
                        *y = (*x - *mean) * *scale + *shift;
                    }
                }
            },
        );
    })
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
        let of_channel = |value: &dyn Fn(usize) -> f64| -> Vec<T> {
            repeated(&(0..channels).map(|c| number(value(c))).collect::<Vec<T>>())
        };
        let factor = of_channel(&|c| gamma_numbers[c].to_f64() * inverse[c]);
        let slope = of_channel(&|c| dgamma[c] / rows as f64 * inverse[c]);
        let shift = of_channel(&|c| dbeta[c] / rows as f64);
        let mean = of_channel(&|c| mean[c]);
        let row = factor.len();
        let piece = rows_of_task(row) * row;
        let dx = filled(dy.len(), piece, |index, dx| {
            let part = index * piece..index * piece + dx.len();
            let (dy, x) = (&dy[part.clone()], &x_numbers[part]);
            vectorized(
                #[inline(always)]
                || {
                    for (dx, (dy, x)) in dx.chunks_mut(row).zip(dy.chunks(row).zip(x.chunks(row))) {
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
