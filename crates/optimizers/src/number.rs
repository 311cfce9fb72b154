//! The little arithmetic that an update rule is written in, so that one text of the formula runs over numbers and over tensors.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// What an update rule may do with a weight, a gradient or an entry of its state.
///
/// Operations with an `f64` take a hyper-parameter; it is rounded once to the precision of the weights.
///
/// ```
/// use optimizers::{Number, Scalar};
///
/// fn momentum<A: Number>(m: A, g: A) -> A {
///     m * 0.9 + g * 0.1
/// }
/// assert_eq!(momentum(Scalar(1.0_f32), Scalar(2.0)).0, 1.0 * 0.9 + 2.0 * 0.1);
/// ```
pub trait Number:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
{
    /// The square root.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// The larger of the two.
    fn max(self, other: Self) -> Self;
    /// The value limited to `low..=high`; NaN stays NaN.
    fn clamp(self, low: f64, high: f64) -> Self;
    /// -1, 0 or 1; the sign of 0 is 0.
    fn sign(self) -> Self;
    /// The value to a constant power.
    fn powf(self, exponent: f64) -> Self;
    /// The value times itself.
    #[inline(always)]
    fn square(self) -> Self {
        self * self
    }
}

/// A floating-point type that weights on a CPU are updated in: `f32` and `f64`.
pub trait Real:
    Copy
    + Send
    + Sync
    + 'static
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// The smallest positive number that is not subnormal.
    const MIN_POSITIVE: Self;
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// The same value in double precision.
    fn to_f64(self) -> f64;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// The value to a power.
    fn powf(self, exponent: Self) -> Self;
    /// The value times another plus a third, rounded once.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
}

macro_rules! real {
    ($($float:ty),*) => {$(
        impl Real for $float {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const MIN_POSITIVE: Self = <$float>::MIN_POSITIVE;
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $float
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$float>::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$float>::abs(self)
            }
            #[inline(always)]
            fn powf(self, exponent: Self) -> Self {
                <$float>::powf(self, exponent)
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, summand: Self) -> Self {
                <$float>::mul_add(self, factor, summand)
            }
        }
    )*};
}
real!(f32, f64);

/// One element of a tensor, as a [`Number`].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Scalar<T>(pub T);

macro_rules! operators {
    ($($trait:ident $method:ident $op:tt),*) => {$(
        impl<T: Real> $trait for Scalar<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Scalar(self.0 $op other.0)
            }
        }
    )*};
}
operators!(Add add +, Sub sub -, Mul mul *, Div div /);

macro_rules! constant_operators {
    ($($trait:ident $method:ident $op:tt),*) => {$(
        impl<T: Real> $trait<f64> for Scalar<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, constant: f64) -> Self {
                Scalar(self.0 $op T::from_f64(constant))
            }
        }
    )*};
}
constant_operators!(Add add +, Sub sub -, Mul mul *);

impl<T: Real> Neg for Scalar<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Scalar(-self.0)
    }
}

impl<T: Real> Number for Scalar<T> {
    #[inline(always)]
    fn sqrt(self) -> Self {
        Scalar(self.0.sqrt())
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Scalar(self.0.abs())
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self.0 > other.0 { self } else { other }
    }
    #[inline(always)]
    fn clamp(self, low: f64, high: f64) -> Self {
        let (low, high) = (T::from_f64(low), T::from_f64(high));
        // Not the standard library's clamp: that one panics on reversed limits, a branch that keeps the loop from being vectorized.
        let raised = if self.0 < low { low } else { self.0 };
        Scalar(if raised > high { high } else { raised })
    }
    #[inline(always)]
    fn sign(self) -> Self {
        let positive = if self.0 > T::ZERO { T::ONE } else { T::ZERO };
        let negative = if self.0 < T::ZERO { T::ONE } else { T::ZERO };
        Scalar(positive - negative)
    }
    #[inline(always)]
    fn powf(self, exponent: f64) -> Self {
        if exponent == 0.5 {
            self.sqrt()
        } else {
            Scalar(self.0.powf(T::from_f64(exponent)))
        }
    }
}
