//! Activation functions and their derivatives over slices.

use std::mem::MaybeUninit;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::columns::{Blocks, Columns};
use super::elementary::{Rounding, with_rounding};
use super::place::{Place, elsewhere};
use super::real::{PIECE, Real, for_real, numbers, slice, tensor_like};
use super::rows::LANES;
use super::{columns, rows};
use crate::activation::{Activation, SELU_ALPHA, SELU_SCALE};
use crate::tape::apply1;

/// Whether the derivative can be told from the function's value, so that the argument need not be kept.
pub(super) fn derivative_from_output(activation: Activation) -> bool {
    activation.is_elementwise() && !matches!(activation, Activation::Gelu | Activation::Silu | Activation::Mish)
}

#[inline(always)]
fn map<M: Rounding, T: Real>(place: Place<'_, T>, f: impl Fn(T) -> T + 'static) {
    M::vectorized(
        #[inline(always)]
        || place.map(f),
    );
}

#[inline(always)]
fn scale<M: Rounding, T: Real>(place: Place<'_, T>, at: &[T], derivative: impl Fn(T) -> T + 'static) {
    M::vectorized(
        #[inline(always)]
        || {
            place.map_with(
                at,
                #[inline(always)]
                move |gradient, at| gradient * derivative(at),
            );
        },
    );
}

/// Numbers of the rows that are handled together.
fn together(width: usize) -> usize {
    if columns::are_for(width) { LANES * width } else { width }
}

/// Writes values of rows of `width` numbers: of few numbers by `narrow`, of many by `wide`.
///
/// # Safety
/// Both must write all values.
#[inline(always)]
unsafe fn rows_of<M: Rounding, T: Real>(
    place: Place<'_, T>,
    width: usize,
    narrow: impl Fn(&mut Blocks<T>, usize, &[T], &mut [MaybeUninit<T>]),
    wide: impl Fn(usize, &[T], &mut [MaybeUninit<T>]),
) {
    M::vectorized(
        #[inline(always)]
        || {
            // SAFETY: as the caller promises.
            unsafe {
                if columns::are_for(width) {
                    let mut blocks = [Columns::new(width), Columns::new(width)];
                    place.in_rows(
                        together(width),
                        #[inline(always)]
                        |before, from, to| narrow(&mut blocks, before, from, to),
                    );
                } else {
                    place.in_rows(width, wide);
                }
            }
        },
    );
}

/// `1 / (1 + exp(-x))`; the exponential may be infinite.
#[inline(always)]
fn sigmoid<M: Rounding, T: Real>(x: T) -> T {
    T::one() / (T::one() + (-x).exp::<M>())
}

/// `ln(1 + exp(x))` without overflow.
#[inline(always)]
fn softplus<M: Rounding, T: Real>(x: T) -> T {
    x.larger(T::zero()) + (-x.abs()).exp_of_negative::<M>().ln_1p::<M>()
}

/// `e = exp(x)` and `w = (1 + e)² - 1`, with which `tanh(ln(1 + e)) = w / (w + 2)`; of 20 instead of a larger number, where that is 1.
#[inline(always)]
fn mish_terms<M: Rounding, T: Real>(x: T) -> (T, T) {
    let twenty = T::from_f64(20.0);
    let e = (if x > twenty { twenty } else { x }).exp::<M>();
    (e, e * (e + T::from_f64(2.0)))
}

#[inline(always)]
fn mish<M: Rounding, T: Real>(x: T) -> T {
    let (_, w) = mish_terms::<M, T>(x);
    x * (w / (w + T::from_f64(2.0)))
}

/// `t + x sigmoid(x) (1 - t²)` with `t = w / (w + 2)` and `sigmoid(x) = e / (1 + e)`.
#[inline(always)]
fn mish_derivative<M: Rounding, T: Real>(x: T) -> T {
    let (e, w) = mish_terms::<M, T>(x);
    let all = w + T::from_f64(2.0);
    w / all + x * (T::from_f64(4.0) * e * (T::one() + e) / (all * all))
}

#[inline(always)]
fn silu_derivative<M: Rounding, T: Real>(x: T) -> T {
    let s = sigmoid::<M, T>(x);
    s * (T::one() + x * (T::one() - s))
}

/// The distribution function of the normal distribution and `x` times its density.
#[inline(always)]
fn gelu_derivative<M: Rounding, T: Real>(x: T) -> T {
    // 1 / √(2π)
    let density = T::from_f64(std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 * 0.5);
    x.normal_distribution::<M>() + x * density * (T::from_f64(-0.5) * x * x).exp_of_negative::<M>()
}

/// Replaces every number by the function's value; rows of `width` numbers for the functions over an axis.
pub(super) fn apply<T: Real>(values: &mut [T], width: usize, activation: Activation) {
    with_rounding!(M => write::<M, T>(Place::Same(values), width, activation));
}

/// Writes the function's value of every number.
fn write<M: Rounding, T: Real>(place: Place<'_, T>, width: usize, activation: Activation) {
    let (zero, one, number) = (T::zero(), T::one(), T::from_f64);
    let (alpha, selu) = (number(SELU_ALPHA * SELU_SCALE), number(SELU_SCALE));
    let (three, six, slope) = (number(3.0), number(6.0), number(0.2));
    match activation {
        Activation::Linear => map::<M, T>(place, |x| x),
        Activation::Relu => map::<M, T>(place, move |x| if x <= zero { zero } else { x }),
        Activation::Relu6 => map::<M, T>(place, move |x| if x <= zero { zero } else { x.smaller(six) }),
        Activation::LeakyRelu => map::<M, T>(place, move |x| if x > zero { x } else { x * slope }),
        Activation::Tanh => map::<M, T>(place, T::tanh::<M>),
        Activation::Sigmoid => map::<M, T>(place, sigmoid::<M, T>),
        Activation::HardSigmoid => map::<M, T>(place, move |x| (x + three).larger(zero).smaller(six) / six),
        Activation::Elu => map::<M, T>(place, move |x| if x > zero { x } else { x.exp_m1::<M>() }),
        Activation::Selu => map::<M, T>(
            place,
            move |x| {
                if x > zero { x * selu } else { alpha * x.exp_m1::<M>() }
            },
        ),
        Activation::Gelu => map::<M, T>(place, |x| x * x.normal_distribution::<M>()),
        Activation::Silu => map::<M, T>(place, |x| x * sigmoid::<M, T>(x)),
        Activation::Softplus => map::<M, T>(place, softplus::<M, T>),
        Activation::Softsign => map::<M, T>(place, move |x| x / (one + x.abs())),
        Activation::Exponential => map::<M, T>(place, T::exp::<M>),
        Activation::Mish => map::<M, T>(place, mish::<M, T>),
        // SAFETY: the functions of `columns` and `rows` write all values, here and below.
        Activation::Softmax => unsafe {
            rows_of::<M, T>(
                place,
                width,
                #[inline(always)]
                |blocks, _, x, y| columns::softmax::<M, T>(blocks, x, y),
                #[inline(always)]
                |_, x, y| rows::softmax_row::<M, T>(x, y),
            );
        },
        // SAFETY: see above.
        Activation::LogSoftmax => unsafe {
            rows_of::<M, T>(
                place,
                width,
                #[inline(always)]
                |blocks, _, x, y| columns::log_softmax::<M, T>(blocks, x, y),
                #[inline(always)]
                |_, x, y| rows::log_softmax_row::<M, T>(x, y),
            );
        },
    }
}

/// Multiplies a gradient by the derivative, told from the function's argument `x` and value `y`.
///
/// `x` is read only where [`derivative_from_output`] says no.
pub(super) fn apply_gradient<T: Real>(gradient: &mut [T], x: &[T], y: &[T], width: usize, activation: Activation) {
    with_rounding!(M => write_gradient::<M, T>(Place::Same(gradient), x, y, width, activation));
}

/// Writes a gradient multiplied by the derivative.
fn write_gradient<M: Rounding, T: Real>(place: Place<'_, T>, x: &[T], y: &[T], width: usize, activation: Activation) {
    let (zero, one, number) = (T::zero(), T::one(), T::from_f64);
    let (alpha, selu) = (number(SELU_ALPHA * SELU_SCALE), number(SELU_SCALE));
    let (six, sixth, slope) = (number(6.0), number(1.0 / 6.0), number(0.2));
    match activation {
        Activation::Linear => map::<M, T>(place, |gradient| gradient),
        Activation::Relu => scale::<M, T>(place, y, move |y| if y > zero { one } else { zero }),
        Activation::Relu6 => scale::<M, T>(place, y, move |y| if y > zero && y < six { one } else { zero }),
        Activation::LeakyRelu => scale::<M, T>(place, y, move |y| if y > zero { one } else { slope }),
        Activation::Tanh => scale::<M, T>(place, y, move |y| (one - y) * (one + y)),
        Activation::Sigmoid => scale::<M, T>(place, y, move |y| y * (one - y)),
        Activation::HardSigmoid => {
            scale::<M, T>(place, y, move |y| if y > zero && y < one { sixth } else { zero });
        }
        Activation::Elu => scale::<M, T>(place, y, move |y| if y < zero { y + one } else { one }),
        Activation::Selu => scale::<M, T>(place, y, move |y| if y < zero { y + alpha } else { selu }),
        Activation::Gelu => scale::<M, T>(place, x, gelu_derivative::<M, T>),
        Activation::Silu => scale::<M, T>(place, x, silu_derivative::<M, T>),
        Activation::Softplus => scale::<M, T>(place, y, |y| -(-y).exp_m1::<M>()),
        Activation::Softsign => scale::<M, T>(place, y, move |y| (one - y.abs()) * (one - y.abs())),
        Activation::Exponential => scale::<M, T>(place, y, |y| y),
        Activation::Mish => scale::<M, T>(place, x, mish_derivative::<M, T>),
        // SAFETY: the functions of `columns` and `rows` write all values, here and below.
        Activation::Softmax => unsafe {
            rows_of::<M, T>(
                place,
                width,
                #[inline(always)]
                |blocks, before, dy, dx| columns::softmax_gradient::<T>(blocks, dy, &y[before..before + dy.len()], dx),
                #[inline(always)]
                |before, dy, dx| rows::softmax_gradient::<T>(dy, &y[before..before + dy.len()], dx),
            );
        },
        // SAFETY: see above.
        Activation::LogSoftmax => unsafe {
            rows_of::<M, T>(
                place,
                width,
                #[inline(always)]
                |blocks, before, dy, dx| {
                    columns::log_softmax_gradient::<M, T>(blocks, dy, &y[before..before + dy.len()], dx)
                },
                #[inline(always)]
                |before, dy, dx| rows::log_softmax_gradient::<M, T>(dy, &y[before..before + dy.len()], dx),
            );
        },
    }
}

struct Op(Activation);

/// Applies an activation to a tensor.
pub(crate) fn activation(x: &Tensor, activation: Activation) -> Result<Tensor> {
    apply1(&x.contiguous()?, Op(activation))
}

/// How many numbers one thread takes: whole groups of rows.
fn piece(width: usize) -> usize {
    PIECE.next_multiple_of(together(width))
}

fn width(shape: &Shape) -> usize {
    shape.dims().last().copied().unwrap_or(1).max(1)
}

fn forward<T: Real>(activation: Activation, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    let width = width(layout.shape());
    let x = slice::<T>(storage, layout)?;
    with_rounding!(M => {
        // SAFETY: every function is written by a method of `Place`.
        let y = unsafe { elsewhere(x, piece(width), |_, place| write::<M, T>(place, width, activation)) };
        Ok(T::to_cpu_storage_owned(y))
    })
}

fn backward<T: Real>(activation: Activation, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let width = width(x.shape());
    numbers!(x_numbers: T = x);
    numbers!(y_numbers: T = y);
    numbers!(gradient_numbers: T = gradient);
    let piece = piece(width);
    let len = gradient_numbers.len();
    with_rounding!(M => {
        let of_piece = |before: usize, place: Place<'_, T>| {
            let part = before..(before + piece).min(len);
            write_gradient::<M, T>(place, &x_numbers[part.clone()], &y_numbers[part], width, activation);
        };
        // SAFETY: every gradient is written by a method of `Place`.
        let dx = unsafe { elsewhere(gradient_numbers, piece, of_piece) };
        tensor_like(dx, x)
    })
}

impl CustomOp1 for Op {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = for_real!(storage.dtype(), self.name(), forward::<T>(self.0, storage, layout))?;
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        for_real!(x.dtype(), self.name(), backward::<T>(self.0, x, y, gradient)).map(Some)
    }
}
