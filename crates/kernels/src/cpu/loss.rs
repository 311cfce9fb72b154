//! Losses with their gradients in one pass.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::columns::{self, Columns};
use super::elementary::{Rounding, with_rounding};
use super::place::{Place, elsewhere};
use super::real::{PIECE, Real, for_real, numbers, pairwise, slice, tensor_like};
use super::rows::{LANES, exponentials, largest_and_sum, sum, sum_in_f64};
use crate::tape::apply1;

/// What the prediction is compared with; it gets no gradient.
enum Target {
    /// Class numbers, checked to be below the number of classes.
    Labels(Vec<usize>),
    /// Distributions over the classes.
    Distributions(Tensor),
    /// Numbers to meet.
    Numbers(Tensor),
    /// Probabilities of one class each.
    Probabilities(Tensor),
}

struct Op(Target);

pub(crate) fn sparse_categorical_crossentropy(logits: &Tensor, labels: Vec<usize>) -> Result<Tensor> {
    apply1(&logits.contiguous()?, Op(Target::Labels(labels)))
}

pub(crate) fn categorical_crossentropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    apply1(&logits.contiguous()?, Op(Target::Distributions(targets.clone())))
}

pub(crate) fn mean_squared_error(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    apply1(&prediction.contiguous()?, Op(Target::Numbers(target.clone())))
}

pub(crate) fn binary_crossentropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    apply1(&logits.contiguous()?, Op(Target::Probabilities(targets.clone())))
}

/// Adds up in f64, piece by piece in a fixed order.
fn total<M: Rounding, T: Real>(len: usize, piece: usize, term: impl Fn(std::ops::Range<usize>) -> f64 + Sync) -> T {
    let pieces = len.div_ceil(piece);
    let parts: Vec<f64> = (0..pieces)
        .into_par_iter()
        .map(|index| {
            M::vectorized(
                #[inline(always)]
                || term(index * piece..((index + 1) * piece).min(len)),
            )
        })
        .collect();
    T::from_f64(parts.iter().sum())
}

/// Rows that one thread handles at a time: whole blocks of columns, where they are used.
fn rows_each(classes: usize) -> usize {
    let rows = (PIECE / classes).max(1);
    if columns::are_for(classes) {
        rows.next_multiple_of(LANES)
    } else {
        rows
    }
}

fn forward<M: Rounding, T: Real>(target: &Target, x: &[T], classes: usize) -> Result<T> {
    let rows = x.len() / classes;
    let numbers = |rows: std::ops::Range<usize>| rows.start * classes..rows.end * classes;
    let per_row = rows_each(classes);
    Ok(match target {
        Target::Labels(labels) => total::<M, T>(
            rows,
            per_row,
            #[inline(always)]
            |range| losses_of_labels::<M, T>(&x[numbers(range.clone())], &labels[range]) / rows as f64,
        ),
        Target::Distributions(targets) => {
            numbers!(targets: T = targets);
            total::<M, T>(
                rows,
                per_row,
                #[inline(always)]
                |range| {
                    let part = numbers(range);
                    losses_of_distributions::<M, T>(&x[part.clone()], &targets[part], classes) / rows as f64
                },
            )
        }
        Target::Numbers(targets) => {
            numbers!(targets: T = targets);
            total::<M, T>(
                x.len(),
                PIECE,
                #[inline(always)]
                |range| {
                    sum_in_f64(
                        &x[range.clone()],
                        &targets[range],
                        #[inline(always)]
                        |x, t| (x - t) * (x - t),
                    ) / x.len() as f64
                },
            )
        }
        Target::Probabilities(targets) => {
            numbers!(targets: T = targets);
            total::<M, T>(
                x.len(),
                PIECE,
                #[inline(always)]
                |range| sum_in_f64(&x[range.clone()], &targets[range], binary_loss::<M, T>) / x.len() as f64,
            )
        }
    })
}

/// The sum of the losses of whole rows.
#[inline(always)]
fn losses_of_labels<M: Rounding, T: Real>(x: &[T], labels: &[usize]) -> f64 {
    let classes = x.len() / labels.len();
    let loss = |logits: &[T], label: usize, largest: T, log_sum: T| (log_sum + (largest - logits[label])).to_f64();
    let mut all = 0.0;
    if !columns::are_for(classes) {
        for (logits, label) in x.chunks_exact(classes).zip(labels) {
            let (largest, sum) = largest_and_sum::<M, T>(logits);
            all += loss(logits, *label, largest, sum.ln_from_1::<M>());
        }
        return all;
    }
    let mut block = Columns::new(classes);
    for (x, labels) in x.chunks(LANES * classes).zip(labels.chunks(LANES)) {
        block.load(x);
        let (largest, log_sums) = block.largest_and_log_sum::<M>();
        for (lane, (logits, label)) in x.chunks_exact(classes).zip(labels).enumerate() {
            all += loss(logits, *label, largest[lane], log_sums[lane]);
        }
    }
    all
}

/// The sum of the losses of whole rows.
#[inline(always)]
fn losses_of_distributions<M: Rounding, T: Real>(x: &[T], targets: &[T], classes: usize) -> f64 {
    let mut all = 0.0;
    if !columns::are_for(classes) {
        for (logits, targets) in x.chunks_exact(classes).zip(targets.chunks_exact(classes)) {
            let (largest, exponentials) = largest_and_sum::<M, T>(logits);
            let log_sum = exponentials.ln_from_1::<M>();
            all += sum_in_f64(
                logits,
                targets,
                #[inline(always)]
                |x, t| t * (log_sum + (largest - x)),
            );
        }
        return all;
    }
    let (mut block, mut others) = (Columns::new(classes), Columns::new(classes));
    let together = LANES * classes;
    for (x, targets) in x.chunks(together).zip(targets.chunks(together)) {
        block.load(x);
        others.load(targets);
        let (largest, log_sums) = block.largest_and_log_sum::<M>();
        let mut losses = [T::zero(); LANES];
        for (x, t) in block.all().iter().zip(others.all()) {
            for lane in 0..LANES {
                losses[lane] += t[lane] * (log_sums[lane] + (largest[lane] - x[lane]));
            }
        }
        all += losses[..x.len() / classes]
            .iter()
            .map(|loss| loss.to_f64())
            .sum::<f64>();
    }
    all
}

/// `max(z, 0) - z t + ln(1 + exp(-|z|))`, written so that large terms cancel exactly for t = 0 and t = 1.
#[inline(always)]
fn binary_loss<M: Rounding, T: Real>(logit: T, target: T) -> T {
    let (zero, rest) = (T::zero(), (-logit.abs()).exp_of_negative::<M>().ln_1p::<M>());
    target * (-logit).larger(zero) + (T::one() - target) * logit.larger(zero) + rest
}

fn backward<M: Rounding, T: Real>(target: &Target, x: &[T], upstream: T, classes: usize) -> Result<Vec<T>> {
    let piece = match target {
        Target::Labels(_) | Target::Distributions(_) => rows_each(classes) * classes,
        Target::Numbers(_) | Target::Probabilities(_) => PIECE,
    };
    let scale = upstream / T::from_f64((x.len() / classes) as f64);
    let scale_all = upstream / T::from_f64(x.len() as f64);
    let dx = |write: &(dyn Fn(std::ops::Range<usize>, Place<'_, T>) + Sync)| {
        // SAFETY: each of the functions below uses a method of `Place`.
        unsafe {
            elsewhere(x, piece, |start, place| {
                write(start..(start + piece).min(x.len()), place)
            })
        }
    };
    Ok(match target {
        Target::Labels(labels) => dx(&|range, place| {
            let labels = &labels[range.start / classes..range.end / classes];
            M::vectorized(
                #[inline(always)]
                || gradients_of_labels::<M, T>(place, labels, classes, scale),
            );
        }),
        Target::Distributions(targets) => {
            numbers!(targets: T = targets);
            dx(&|range, place| {
                M::vectorized(
                    #[inline(always)]
                    || gradients_of_distributions::<M, T>(place, &targets[range.clone()], classes, scale),
                );
            })
        }
        Target::Numbers(targets) => {
            numbers!(targets: T = targets);
            let factor = scale_all + scale_all;
            dx(&|range, place| {
                M::vectorized(
                    #[inline(always)]
                    || {
                        place.map_with(
                            &targets[range.clone()],
                            #[inline(always)]
                            move |x, t| (x - t) * factor,
                        )
                    },
                );
            })
        }
        Target::Probabilities(targets) => {
            numbers!(targets: T = targets);
            dx(&|range, place| {
                M::vectorized(
                    #[inline(always)]
                    || {
                        place.map_with(
                            &targets[range.clone()],
                            #[inline(always)]
                            move |x, t| {
                                // sigmoid(x) - t, without cancelling for t = 1: (1 - t) sigmoid(x) - t sigmoid(-x), with one exponential.
                                let e = (-x.abs()).exp_of_negative::<M>();
                                let large = T::one() / (T::one() + e);
                                let small = e * large;
                                let (of_x, of_minus_x) = if x >= T::zero() { (large, small) } else { (small, large) };
                                ((T::one() - t) * of_x - t * of_minus_x) * scale_all
                            },
                        );
                    },
                );
            })
        }
    })
}

/// Writes `(softmax - one_hot) scale` of logits.
#[inline(always)]
fn gradients_of_labels<M: Rounding, T: Real>(place: Place<'_, T>, labels: &[usize], classes: usize, scale: T) {
    // SAFETY: `exponentials` and `Columns::store` write all values.
    unsafe {
        if columns::are_for(classes) {
            let mut block = Columns::new(classes);
            place.in_rows(
                LANES * classes,
                #[inline(always)]
                |before, x, to| {
                    block.load(x);
                    let sums = block.exponentials::<M>();
                    block.scale(sums.map(|sum| scale / sum));
                    for (lane, label) in labels[before / classes..].iter().take(LANES).enumerate() {
                        block.all_mut()[*label][lane] -= scale;
                    }
                    block.store(to);
                },
            );
        } else {
            place.in_rows(
                classes,
                #[inline(always)]
                |before, x, to| {
                    let (sum, row) = exponentials::<M, T>(x, to);
                    let factor = scale / sum;
                    row.iter_mut().for_each(|x| *x *= factor);
                    row[labels[before / classes]] -= scale;
                },
            );
        }
    }
}

/// Writes `(softmax - targets) scale` of logits; the targets of a row need not sum to 1.
#[inline(always)]
fn gradients_of_distributions<M: Rounding, T: Real>(place: Place<'_, T>, targets: &[T], classes: usize, scale: T) {
    // SAFETY: `exponentials` and `Columns::store` write all values.
    unsafe {
        if columns::are_for(classes) {
            let (mut block, mut others) = (Columns::new(classes), Columns::new(classes));
            place.in_rows(
                LANES * classes,
                #[inline(always)]
                |before, x, to| {
                    block.load(x);
                    others.load(&targets[before..before + x.len()]);
                    let sums = block.exponentials::<M>();
                    let mut factors = others.sum(
                        &others,
                        #[inline(always)]
                        |t, _| t,
                    );
                    for lane in 0..LANES {
                        factors[lane] /= sums[lane];
                    }
                    block.combine(
                        &others,
                        #[inline(always)]
                        |lane, x, t| (x * factors[lane] - t) * scale,
                    );
                    block.store(to);
                },
            );
        } else {
            place.in_rows(
                classes,
                #[inline(always)]
                |before, x, to| {
                    let targets = &targets[before..before + classes];
                    let weight = sum(
                        targets,
                        targets,
                        #[inline(always)]
                        |t, _| t,
                    );
                    let (sum, row) = exponentials::<M, T>(x, to);
                    let factor = weight / sum;
                    pairwise(
                        row,
                        targets,
                        #[inline(always)]
                        |x, t| *x = (*x * factor - *t) * scale,
                    );
                },
            );
        }
    }
}

fn classes(dims: &[usize]) -> usize {
    dims.last().copied().unwrap_or(1)
}

fn loss<T: Real>(target: &Target, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    let x = slice::<T>(storage, layout)?;
    let loss = with_rounding!(M => forward::<M, T>(target, x, classes(layout.dims())))?;
    Ok(T::to_cpu_storage_owned(vec![loss]))
}

fn gradient_of_logits<T: Real>(target: &Target, x: &Tensor, upstream: &Tensor) -> Result<Tensor> {
    numbers!(numbers: T = x);
    numbers!(upstream: T = upstream);
    let dx = with_rounding!(M => backward::<M, T>(target, numbers, upstream[0], classes(x.dims())))?;
    tensor_like(dx, x)
}

impl CustomOp1 for Op {
    fn name(&self) -> &'static str {
        match self.0 {
            Target::Labels(_) => "sparse_categorical_crossentropy",
            Target::Distributions(_) => "categorical_crossentropy",
            Target::Numbers(_) => "mean_squared_error",
            Target::Probabilities(_) => "binary_crossentropy",
        }
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let loss = for_real!(storage.dtype(), self.name(), loss::<T>(&self.0, storage, layout))?;
        Ok((loss, Shape::from(())))
    }

    fn bwd(&self, x: &Tensor, _loss: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        for_real!(x.dtype(), self.name(), gradient_of_logits::<T>(&self.0, x, gradient)).map(Some)
    }
}
