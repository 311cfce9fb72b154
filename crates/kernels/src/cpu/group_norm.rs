//! Normalization by the statistics of each sample: layer, group and root-mean-square normalization in one operation.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::real::{PIECE, Real, cleared, filled, for_real, numbers, slice, vectorized};
use crate::tape;

/// Sums that run side by side along a row, so that they are computed in vectors; fixed, so that the bits are.
const LANES: usize = 16;
/// Into how many partial sums the gradients of gamma and beta are cut, at most.
const PARTIAL_SUMS: usize = 64;

struct GroupNorm {
    groups: usize,
    epsilon: f64,
    /// Whether the mean is subtracted; otherwise the mean square stands for the variance.
    centred: bool,
    /// For each sample the means of its groups, then their `1 / sqrt(variance + epsilon)`.
    statistics: Arc<OnceLock<Vec<f64>>>,
}

/// `x` is `(samples, pixels, channels)`, `gamma` and `beta` are `(channels)`; none is empty.
pub(crate) fn group_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    groups: usize,
    epsilon: f64,
    centred: bool,
) -> Result<Tensor> {
    let op = GroupNorm {
        groups,
        epsilon,
        centred,
        statistics: Arc::new(OnceLock::new()),
    };
    tape::apply3(&x.contiguous()?, &gamma.contiguous()?, &beta.contiguous()?, op)
}

/// Sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    samples: usize,
    pixels: usize,
    channels: usize,
    groups: usize,
}

impl Sizes {
    fn new(op: &GroupNorm, dims: &[usize]) -> Self {
        Self {
            samples: dims[0],
            pixels: dims[1],
            channels: dims[2],
            groups: op.groups,
        }
    }

    fn sample(&self) -> usize {
        self.pixels * self.channels
    }

    fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    /// Numbers of a group of a sample.
    fn group(&self) -> f64 {
        (self.pixels * self.group_channels()) as f64
    }

    /// Two sums over each group of a sample; `term` gets the values at a place, `each` a group and its sums.
    #[inline(always)]
    fn sums<T: Real>(
        &self,
        scratch: &mut Scratch,
        places: Places<'_, T>,
        term: impl Fn(Values) -> (f64, f64),
        mut each: impl FnMut(usize, f64, f64),
    ) {
        let seen = self.group_channels();
        if self.pixels == 1 {
            for group in 0..self.groups {
                let (first, second) = row_sums(places.part(group * seen, group * seen, seen), &term);
                each(group, first, second);
            }
            return;
        }
        let Scratch { first, second } = scratch;
        first.fill(0.0);
        second.fill(0.0);
        for start in (0..self.sample()).step_by(self.channels) {
            let pixel = places.part(start, 0, self.channels);
            let sums = first.iter_mut().zip(second.iter_mut());
            for ((first, second), values) in sums.zip(pixel.values()) {
                let (a, b) = term(values);
                *first += a;
                *second += b;
            }
        }
        let groups = first.chunks_exact(seen).zip(second.chunks_exact(seen));
        for (group, (first, second)) in groups.enumerate() {
            each(group, first.iter().sum(), second.iter().sum());
        }
    }
}

/// The numbers that sums are made of: two of each place, two of its channel.
#[derive(Clone, Copy)]
struct Places<'a, T> {
    x: &'a [T],
    dy: &'a [T],
    mean: &'a [T],
    gamma: &'a [T],
}

/// The numbers of one place.
struct Values {
    x: f64,
    dy: f64,
    mean: f64,
    gamma: f64,
}

impl<'a, T: Real> Places<'a, T> {
    #[inline(always)]
    fn part(self, start: usize, channel: usize, len: usize) -> Self {
        Self {
            x: &self.x[start..start + len],
            dy: &self.dy[start..start + len],
            mean: &self.mean[channel..channel + len],
            gamma: &self.gamma[channel..channel + len],
        }
    }

    #[inline(always)]
    fn values(self) -> impl Iterator<Item = Values> + 'a {
        let numbers = self.x.iter().zip(self.dy).zip(self.mean.iter().zip(self.gamma));
        numbers.map(|((x, dy), (mean, gamma))| Values {
            x: x.to_f64(),
            dy: dy.to_f64(),
            mean: mean.to_f64(),
            gamma: gamma.to_f64(),
        })
    }
}

impl Sizes {
    /// One number a group, for each of its channels.
    #[inline(always)]
    fn spread<T: Real>(&self, groups: &[f64], channels: &mut [T]) {
        for (channels, number) in channels.chunks_exact_mut(self.group_channels()).zip(groups) {
            channels.fill(T::from_f64(*number));
        }
    }
}

/// Two sums for each channel.
struct Scratch {
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Scratch {
    /// A sample of one pixel needs none.
    fn new(sizes: Sizes) -> Self {
        let len = if sizes.pixels == 1 { 0 } else { sizes.channels };
        Self {
            first: vec![0.0; len],
            second: vec![0.0; len],
        }
    }
}

/// Two sums over a row, in lanes.
#[inline(always)]
fn row_sums<T: Real>(row: Places<'_, T>, term: impl Fn(Values) -> (f64, f64)) -> (f64, f64) {
    let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
    let len = row.x.len();
    for start in (0..len).step_by(LANES) {
        let part = row.part(start, start, LANES.min(len - start));
        for ((first, second), values) in first.iter_mut().zip(&mut second).zip(part.values()) {
            let (a, b) = term(values);
            *first += a;
            *second += b;
        }
    }
    (first.iter().sum(), second.iter().sum())
}

/// Means of the groups of a sample and `1 / sqrt(variance + epsilon)`, into `kept`; the means also into `mean`, one a channel.
#[inline(always)]
fn statistics<T: Real>(
    op: &GroupNorm,
    sizes: Sizes,
    [x, gamma]: [&[T]; 2],
    scratch: &mut Scratch,
    mean: &mut [T],
    kept: &mut [f64],
) {
    let count = sizes.group();
    let (means, inverses) = kept.split_at_mut(sizes.groups);
    if op.centred {
        let places = Places { x, dy: x, mean, gamma };
        let of_values = |at: Values| (at.x, 0.0);
        sizes.sums(scratch, places, of_values, |group, sum, _| means[group] = sum / count);
    }
    sizes.spread(means, mean);
    // A second pass over the differences, as the squares of large numbers would cancel.
    sizes.sums(
        scratch,
        Places { x, dy: x, mean, gamma },
        |at| {
            let difference = at.x - at.mean;
            (difference * difference, difference)
        },
        |group, square, difference| {
            // The mean was rounded for the differences; what is left of it does not belong to the variance.
            let variance = (square - difference * difference / count) / count;
            inverses[group] = 1.0 / (if op.centred { variance.max(0.0) } else { square / count } + op.epsilon).sqrt();
        },
    );
}

/// Samples that one thread handles at a time.
fn samples_each(sizes: Sizes) -> usize {
    (PIECE / sizes.sample()).max(1)
}

fn forward<T: Real>(
    op: &GroupNorm,
    x: (&CpuStorage, &Layout),
    gamma: (&CpuStorage, &Layout),
    beta: (&CpuStorage, &Layout),
) -> Result<CpuStorage> {
    let sizes = Sizes::new(op, x.1.dims());
    let x = slice::<T>(x.0, x.1)?;
    let (gamma, beta) = (slice::<T>(gamma.0, gamma.1)?, slice::<T>(beta.0, beta.1)?);
    let sample = sizes.sample();
    let mut kept = vec![0.0; sizes.samples * 2 * sizes.groups];
    let mut y = Vec::with_capacity(x.len());
    let each = samples_each(sizes);
    y.spare_capacity_mut()[..x.len()]
        .par_chunks_mut(each * sample)
        .zip(kept.par_chunks_mut(each * 2 * sizes.groups))
        .zip(x.par_chunks(each * sample))
        .for_each(|((y, kept), x)| {
            let y = cleared(y);
            vectorized(
                #[inline(always)]
                || {
                    let mut scratch = Scratch::new(sizes);
                    let (mut mean, mut factor) = (vec![T::zero(); sizes.channels], gamma.to_vec());
                    let samples = y.chunks_exact_mut(sample).zip(x.chunks_exact(sample));
                    for ((y, x), kept) in samples.zip(kept.chunks_exact_mut(2 * sizes.groups)) {
                        statistics(op, sizes, [x, gamma], &mut scratch, &mut mean, kept);
                        sizes.spread(&kept[sizes.groups..], &mut factor);
                        factor
                            .iter_mut()
                            .zip(gamma)
                            .for_each(|(factor, gamma)| *factor *= *gamma);
                        for (y, x) in y.chunks_exact_mut(sizes.channels).zip(x.chunks_exact(sizes.channels)) {
                            let channels = mean.iter().zip(&factor).zip(beta);
                            for ((y, x), ((mean, factor), beta)) in y.iter_mut().zip(x).zip(channels) {
                                *y = (*x - *mean) * *factor + *beta;
                            }
                        }
                    }
                },
            );
        });
    // SAFETY: the capacity is at least that of `x`, and the parts, all of which were cleared, are so many numbers.
    unsafe { y.set_len(x.len()) };
    // A second forward call of the same operation would find the same statistics.
    let _ = op.statistics.set(kept);
    Ok(T::to_cpu_storage_owned(y))
}

type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

/// With `g = dy gamma` and `x^ = (x - mean) inverse`, a group of N numbers has
/// `dx = inverse (g - mean(g) - x^ mean(g x^))`; without centring the second term is missing.
fn backward<T: Real>(op: &GroupNorm, x: &Tensor, gamma: &Tensor, beta: &Tensor, dy: &Tensor) -> Result<Gradients> {
    let Some(kept) = op.statistics.get() else {
        candle_core::bail!("group_norm: backward without forward");
    };
    let sizes = Sizes::new(op, x.dims());
    let (sample, count) = (sizes.sample(), sizes.group());
    numbers!(x_numbers: T = x);
    numbers!(gamma_numbers: T = gamma);
    numbers!(dy_numbers: T = dy);
    let of_sample = |index: usize| {
        let (means, inverses) = kept[index * 2 * sizes.groups..][..2 * sizes.groups].split_at(sizes.groups);
        let part = index * sample..(index + 1) * sample;
        (&x_numbers[part.clone()], &dy_numbers[part], means, inverses)
    };
    let input_gradient = || {
        let each = samples_each(sizes);
        let dx = filled(x_numbers.len(), each * sample, |piece, dx| {
            vectorized(
                #[inline(always)]
                || {
                    let mut scratch = Scratch::new(sizes);
                    let (mut shifts, mut slopes) = (vec![0.0; sizes.groups], vec![0.0; sizes.groups]);
                    let [mut mean, mut inverse, mut shift, mut slope] =
                        [(); 4].map(|()| vec![T::zero(); sizes.channels]);
                    for (index, dx) in dx.chunks_exact_mut(sample).enumerate() {
                        let (x, dy, means, inverses) = of_sample(piece * each + index);
                        sizes.spread(means, &mut mean);
                        let gamma = gamma_numbers;
                        let mean = mean.as_slice();
                        sizes.sums(
                            &mut scratch,
                            Places { x, dy, mean, gamma },
                            |at| {
                                let g = at.dy * at.gamma;
                                (g, g * (at.x - at.mean))
                            },
                            |group, g, gx| {
                                shifts[group] = if op.centred { g / count } else { 0.0 };
                                slopes[group] = gx / count * inverses[group] * inverses[group];
                            },
                        );
                        sizes.spread(inverses, &mut inverse);
                        sizes.spread(&shifts, &mut shift);
                        sizes.spread(&slopes, &mut slope);
                        for start in (0..sample).step_by(sizes.channels) {
                            let at = start..start + sizes.channels;
                            let (dx, x, dy) = (&mut dx[at.clone()], &x[at.clone()], &dy[at]);
                            let terms = shift.iter().zip(&slope).zip(mean.iter().zip(&inverse)).zip(gamma);
                            for (((dx, x), dy), (((shift, slope), (mean, inverse)), gamma)) in
                                dx.iter_mut().zip(x).zip(dy).zip(terms)
                            {
                                *dx = (*dy * *gamma - *shift - (*x - *mean) * *slope) * *inverse;
                            }
                        }
                    }
                },
            );
        });
        Tensor::from_vec(dx, x.shape(), x.device())
    };
    let dx = tape::wants_gradient(x).then(input_gradient).transpose()?;
    if !tape::wants_gradient(gamma) && !tape::wants_gradient(beta) {
        return Ok((dx, None, None));
    }
    let each = sizes.samples.div_ceil(PARTIAL_SUMS);
    let parts: Vec<(Vec<f64>, Vec<f64>)> = (0..sizes.samples.div_ceil(each))
        .into_par_iter()
        .map(|piece| {
            let (mut dgamma, mut dbeta) = (vec![0.0; sizes.channels], vec![0.0; sizes.channels]);
            vectorized(
                #[inline(always)]
                || {
                    let (mut mean, mut inverse) = (vec![0.0; sizes.channels], vec![0.0; sizes.channels]);
                    for index in piece * each..((piece + 1) * each).min(sizes.samples) {
                        let (x, dy, means, inverses) = of_sample(index);
                        sizes.spread(means, &mut mean);
                        sizes.spread(inverses, &mut inverse);
                        for (x, dy) in x.chunks_exact(sizes.channels).zip(dy.chunks_exact(sizes.channels)) {
                            let sums = dgamma.iter_mut().zip(dbeta.iter_mut());
                            let channels = mean.iter().zip(&inverse);
                            for (((dgamma, dbeta), (x, dy)), (mean, inverse)) in
                                sums.zip(x.iter().zip(dy)).zip(channels)
                            {
                                *dgamma += dy.to_f64() * (x.to_f64() - *mean) * *inverse;
                                *dbeta += dy.to_f64();
                            }
                        }
                    }
                },
            );
            (dgamma, dbeta)
        })
        .collect();
    let (mut dgamma, mut dbeta) = (vec![0.0; sizes.channels], vec![0.0; sizes.channels]);
    for (a, b) in parts {
        dgamma.iter_mut().zip(a).for_each(|(sum, a)| *sum += a);
        dbeta.iter_mut().zip(b).for_each(|(sum, b)| *sum += b);
    }
    let tensor = |numbers: Vec<f64>| Tensor::new(numbers, x.device())?.to_dtype(x.dtype());
    Ok((dx, Some(tensor(dgamma)?), Some(tensor(dbeta)?)))
}

impl CustomOp3 for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
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
            "group_norm",
            forward::<T>(self, (x, lx), (gamma, lg), (beta, lb))
        )?;
        Ok((y, lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, gamma: &Tensor, beta: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Gradients> {
        for_real!(x.dtype(), "group_norm", backward::<T>(self, x, gamma, beta, dy))
    }
}
