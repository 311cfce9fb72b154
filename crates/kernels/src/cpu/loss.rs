//! Losses with their gradients in one pass.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::activation::sigmoid;
use super::real::{PIECE, Real, changed, for_real, numbers, pairwise, slice, tensor_like, vectorized};
use super::rows::{largest_and_sum, softmax_row, sum};
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
fn total<T: Real>(len: usize, piece: usize, term: impl Fn(std::ops::Range<usize>) -> f64 + Sync) -> T {
    let pieces = len.div_ceil(piece);
    let parts: Vec<f64> = (0..pieces)
        .into_par_iter()
        .map(|index| {
            vectorized(
                #[inline(always)]
                || term(index * piece..((index + 1) * piece).min(len)),
            )
        })
        .collect();
    T::from_f64(parts.iter().sum())
}

fn forward<T: Real>(target: &Target, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    let x = slice::<T>(storage, layout)?;
    let classes = layout.dims().last().copied().unwrap_or(1);
    let rows = x.len() / classes;
    let rows_each = (PIECE / classes).max(1);
    let loss: T = match target {
        Target::Labels(labels) => total(
            rows,
            rows_each,
            #[inline(always)]
            |range| {
                let of_row = |row: usize| {
                    let logits = &x[row * classes..(row + 1) * classes];
                    let (largest, sum) = largest_and_sum(logits);
                    (sum.ln() + (largest - logits[labels[row]])).to_f64() / rows as f64
                };
                range.map(of_row).sum()
            },
        ),
        Target::Distributions(targets) => {
            numbers!(targets: T = targets);
            total(
                rows,
                rows_each,
                #[inline(always)]
                |range| {
                    let of_row = |row: usize| {
                        let row = row * classes..(row + 1) * classes;
                        let logits = &x[row.clone()];
                        let (largest, exponentials) = largest_and_sum(logits);
                        let log_sum = exponentials.ln();
                        sum(logits, &targets[row], 0.0, |x, t| {
                            (t * (log_sum + (largest - x))).to_f64()
                        }) / rows as f64
                    };
                    range.map(of_row).sum()
                },
            )
        }
        Target::Numbers(targets) => {
            numbers!(targets: T = targets);
            total(
                x.len(),
                PIECE,
                #[inline(always)]
                |range| {
                    sum(&x[range.clone()], &targets[range], 0.0, |x, t| {
                        ((x - t) * (x - t)).to_f64()
                    }) / x.len() as f64
                },
            )
        }
        Target::Probabilities(targets) => {
            numbers!(targets: T = targets);
            total(
                x.len(),
                PIECE,
                #[inline(always)]
                |range| {
                    sum(&x[range.clone()], &targets[range], 0.0, |x, t| {
                        binary_loss(x, t).to_f64()
                    }) / x.len() as f64
                },
            )
        }
    };
    Ok(T::to_cpu_storage_owned(vec![loss]))
}

/// `max(z, 0) - z t + ln(1 + exp(-|z|))`, written so that large terms cancel exactly for t = 0 and t = 1.
#[inline(always)]
fn binary_loss<T: Real>(logit: T, target: T) -> T {
    let (zero, rest) = (T::zero(), (-logit.abs()).exp().ln_1p());
    target * ((-logit).larger(zero) + rest) + (T::one() - target) * (logit.larger(zero) + rest)
}

fn backward<T: Real>(target: &Target, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    numbers!(x_numbers: T = x);
    numbers!(upstream: T = gradient);
    let upstream = upstream[0];
    let classes = x.dims().last().copied().unwrap_or(1);
    let rows_each = (PIECE / classes).max(1);
    let scale = upstream / T::from_f64((x_numbers.len() / classes) as f64);
    let scale_all = upstream / T::from_f64(x_numbers.len() as f64);
    let piece = match target {
        Target::Labels(_) | Target::Distributions(_) => rows_each * classes,
        Target::Numbers(_) | Target::Probabilities(_) => PIECE,
    };
    let dx = |change: &(dyn Fn(std::ops::Range<usize>, &mut [T]) + Sync)| {
        changed(x_numbers, piece, |index, dx| {
            change(index * piece..index * piece + dx.len(), dx);
        })
    };
    let dx = match target {
        Target::Labels(labels) => dx(&|range, dx| {
            let labels = &labels[range.start / classes..range.end / classes];
            vectorized(
                #[inline(always)]
                || {
                    for (row, label) in dx.chunks_exact_mut(classes).zip(labels) {
                        softmax_row(row);
                        row[*label] -= T::one();
                        row.iter_mut().for_each(|x| *x *= scale);
                    }
                },
            );
        }),
        Target::Distributions(targets) => {
            numbers!(targets: T = targets);
            dx(&|range, dx| {
                vectorized(
                    #[inline(always)]
                    || {
                        let targets = targets[range.clone()].chunks_exact(classes);
                        for (row, targets) in dx.chunks_exact_mut(classes).zip(targets) {
                            softmax_row(row);
                            // The targets of a row need not sum to 1.
                            let weight = sum(targets, targets, T::zero(), |t, _| t);
                            pairwise(row, targets, |x, t| *x = (*x * weight - *t) * scale);
                        }
                    },
                );
            })
        }
        Target::Numbers(targets) => {
            numbers!(targets: T = targets);
            let factor = scale_all + scale_all;
            dx(&|range, dx| {
                vectorized(
                    #[inline(always)]
                    || pairwise(dx, &targets[range.clone()], |x, t| *x = (*x - *t) * factor),
                );
            })
        }
        Target::Probabilities(targets) => {
            numbers!(targets: T = targets);
            dx(&|range, dx| {
                vectorized(
                    #[inline(always)]
                    || {
                        pairwise(dx, &targets[range.clone()], |x, t| {
                            // sigmoid(x) - t, without cancelling for t = 1.
                            *x = ((T::one() - *t) * sigmoid(*x) - *t * sigmoid(-*x)) * scale_all;
                        });
                    },
                );
            })
        }
    };
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
        let loss = for_real!(storage.dtype(), self.name(), forward::<T>(&self.0, storage, layout))?;
        Ok((loss, Shape::from(())))
    }

    fn bwd(&self, x: &Tensor, _loss: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        for_real!(x.dtype(), self.name(), backward::<T>(&self.0, x, gradient)).map(Some)
    }
}
