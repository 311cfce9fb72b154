//! Activation functions and their derivatives over slices.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::real::{PIECE, Real, changed, for_real, numbers, pairwise, slice, tensor_like, vectorized};
use super::rows::{log_softmax_gradient, log_softmax_row, softmax_gradient, softmax_row};
use crate::activation::{Activation, SELU_ALPHA, SELU_SCALE};
use crate::tape::apply1;

/// Whether the derivative can be told from the function's value, so that the argument need not be kept.
pub(super) fn derivative_from_output(activation: Activation) -> bool {
    activation.is_elementwise() && !matches!(activation, Activation::Gelu | Activation::Silu | Activation::Mish)
}

/// `f` owns what it uses: numbers behind a reference might be among the values, for all that the compiler knows, and then nothing
/// becomes vectors.
#[inline(always)]
fn map<T: Real>(values: &mut [T], f: impl Fn(T) -> T + 'static) {
    vectorized(
        #[inline(always)]
        move || {
            for value in values {
                *value = f(*value);
            }
        },
    );
}

#[inline(always)]
fn scale<T: Real>(gradient: &mut [T], at: &[T], derivative: impl Fn(T) -> T + 'static) {
    vectorized(
        #[inline(always)]
        move || {
            pairwise(gradient, at, |gradient, at| *gradient *= derivative(*at));
        },
    );
}

#[inline(always)]
fn rows<T: Real>(values: &mut [T], width: usize, change: impl Fn(&mut [T])) {
    vectorized(
        #[inline(always)]
        || values.chunks_exact_mut(width).for_each(change),
    );
}

#[inline(always)]
fn pairs_of_rows<T: Real>(gradient: &mut [T], y: &[T], width: usize, change: impl Fn(&mut [T], &[T])) {
    vectorized(
        #[inline(always)]
        || {
            for (gradient, y) in gradient.chunks_exact_mut(width).zip(y.chunks_exact(width)) {
                change(gradient, y);
            }
        },
    );
}

/// `1 / (1 + exp(-x))` without overflow.
#[inline(always)]
pub(super) fn sigmoid<T: Real>(x: T) -> T {
    let e = (-x.abs()).exp();
    if x >= T::zero() {
        T::one() / (T::one() + e)
    } else {
        e / (T::one() + e)
    }
}

/// `ln(1 + exp(x))` without overflow.
#[inline(always)]
pub(super) fn softplus<T: Real>(x: T) -> T {
    x.larger(T::zero()) + (-x.abs()).exp().ln_1p()
}

/// Replaces every number by the function's value; rows of `width` numbers for the functions over an axis.
pub(super) fn apply<T: Real>(values: &mut [T], width: usize, activation: Activation) {
    let (zero, one, number) = (T::zero(), T::one(), T::from_f64);
    let (alpha, selu, half) = (number(SELU_ALPHA * SELU_SCALE), number(SELU_SCALE), number(0.5));
    let (three, six, slope) = (number(3.0), number(6.0), number(0.2));
    let sqrt_half = number(std::f64::consts::FRAC_1_SQRT_2);
    match activation {
        Activation::Linear => {}
        Activation::Relu => map(values, move |x| if x <= zero { zero } else { x }),
        Activation::Relu6 => map(values, move |x| if x <= zero { zero } else { x.smaller(six) }),
        Activation::LeakyRelu => map(values, move |x| if x > zero { x } else { x * slope }),
        Activation::Tanh => map(values, T::tanh),
        Activation::Sigmoid => map(values, sigmoid),
        Activation::HardSigmoid => map(values, move |x| (x + three).larger(zero).smaller(six) / six),
        Activation::Elu => map(values, move |x| if x > zero { x } else { x.exp_m1() }),
        Activation::Selu => map(values, move |x| if x > zero { x * selu } else { alpha * x.exp_m1() }),
        Activation::Gelu => map(values, move |x| half * x * (one + (x * sqrt_half).erf())),
        Activation::Silu => map(values, move |x| x * sigmoid(x)),
        Activation::Softplus => map(values, softplus),
        Activation::Softsign => map(values, move |x| x / (one + x.abs())),
        Activation::Exponential => map(values, T::exp),
        Activation::Mish => map(values, move |x| x * softplus(x).tanh()),
        Activation::Softmax => rows(values, width, softmax_row),
        Activation::LogSoftmax => rows(values, width, log_softmax_row),
    }
}

/// Multiplies a gradient by the derivative, told from the function's argument `x` and value `y`.
///
/// `x` is read only where [`derivative_from_output`] says no.
pub(super) fn apply_gradient<T: Real>(gradient: &mut [T], x: &[T], y: &[T], width: usize, activation: Activation) {
    let (zero, one, number) = (T::zero(), T::one(), T::from_f64);
    let (alpha, selu, half) = (number(SELU_ALPHA * SELU_SCALE), number(SELU_SCALE), number(0.5));
    let (six, sixth, slope) = (number(6.0), number(1.0 / 6.0), number(0.2));
    let sqrt_half = number(std::f64::consts::FRAC_1_SQRT_2);
    let density = number(std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 * 0.5);
    match activation {
        Activation::Linear => {}
        Activation::Relu => scale(gradient, y, move |y| if y > zero { one } else { zero }),
        Activation::Relu6 => scale(gradient, y, move |y| if y > zero && y < six { one } else { zero }),
        Activation::LeakyRelu => scale(gradient, y, move |y| if y > zero { one } else { slope }),
        Activation::Tanh => scale(gradient, y, move |y| (one - y) * (one + y)),
        Activation::Sigmoid => scale(gradient, y, move |y| y * (one - y)),
        Activation::HardSigmoid => scale(gradient, y, move |y| if y > zero && y < one { sixth } else { zero }),
        Activation::Elu => scale(gradient, y, move |y| if y < zero { y + one } else { one }),
        Activation::Selu => scale(gradient, y, move |y| if y < zero { y + alpha } else { selu }),
        Activation::Gelu => scale(gradient, x, move |x| {
            half * (one + (x * sqrt_half).erf()) + x * density * (-half * x * x).exp()
        }),
        Activation::Silu => scale(gradient, x, move |x| {
            let s = sigmoid(x);
            s * (one + x * (one - s))
        }),
        Activation::Softplus => scale(gradient, y, move |y| -(-y).exp_m1()),
        Activation::Softsign => scale(gradient, y, move |y| (one - y.abs()) * (one - y.abs())),
        Activation::Exponential => scale(gradient, y, move |y| y),
        Activation::Mish => scale(gradient, x, move |x| {
            let t = softplus(x).tanh();
            t + x * sigmoid(x) * (one - t) * (one + t)
        }),
        Activation::Softmax => pairs_of_rows(gradient, y, width, softmax_gradient),
        Activation::LogSoftmax => pairs_of_rows(gradient, y, width, log_softmax_gradient),
    }
}

struct Op(Activation);

/// Applies an activation to a tensor.
pub(crate) fn activation(x: &Tensor, activation: Activation) -> Result<Tensor> {
    apply1(&x.contiguous()?, Op(activation))
}

/// How many numbers one thread takes: whole rows.
fn piece(width: usize) -> usize {
    PIECE.div_ceil(width) * width
}

fn width(shape: &Shape) -> usize {
    shape.dims().last().copied().unwrap_or(1).max(1)
}

fn forward<T: Real>(activation: Activation, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    let width = width(layout.shape());
    let y = changed(slice::<T>(storage, layout)?, piece(width), |_, y| {
        apply(y, width, activation);
    });
    Ok(T::to_cpu_storage_owned(y))
}

fn backward<T: Real>(activation: Activation, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let width = width(x.shape());
    numbers!(x_numbers: T = x);
    numbers!(y_numbers: T = y);
    numbers!(gradient_numbers: T = gradient);
    let piece = piece(width);
    let dx = changed(gradient_numbers, piece, |index, dx| {
        let part = index * piece..index * piece + dx.len();
        apply_gradient(dx, &x_numbers[part.clone()], &y_numbers[part], width, activation);
    });
    tensor_like(dx, x)
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
