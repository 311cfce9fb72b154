//! The numbers that can be put into an expression: `f64`, which rounds, and fractions, which do not.

use std::fmt::Debug;

use super::expr::Function;
use super::rational::Rational;

/// What evaluating needs of a kind of number; `None` where a value does not exist in it.
pub trait Arithmetic: Copy + Debug {
    /// A fraction.
    fn fraction(value: Rational) -> Self;
    /// A whole number.
    fn whole(value: usize) -> Option<Self>;
    /// `self + other`.
    fn plus(self, other: Self) -> Option<Self>;
    /// `self · other`.
    fn times(self, other: Self) -> Option<Self>;
    /// `selfⁿ`.
    fn power(self, n: i32) -> Option<Self>;
    /// `f(self)`.
    fn function(self, f: Function) -> Option<Self>;
    /// Whether it is neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

impl Arithmetic for f64 {
    fn fraction(value: Rational) -> Self {
        value.value()
    }
    fn whole(value: usize) -> Option<Self> {
        Some(value as f64)
    }
    fn plus(self, other: Self) -> Option<Self> {
        Some(self + other)
    }
    fn times(self, other: Self) -> Option<Self> {
        Some(self * other)
    }
    fn power(self, n: i32) -> Option<Self> {
        Some(self.powi(n))
    }
    fn function(self, f: Function) -> Option<Self> {
        Some(f.value(self))
    }
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Arithmetic for Rational {
    fn fraction(value: Rational) -> Self {
        value
    }
    fn whole(value: usize) -> Option<Self> {
        i64::try_from(value).ok().map(Rational::integer)
    }
    fn plus(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }
    fn times(self, other: Self) -> Option<Self> {
        self.checked_mul(other)
    }
    fn power(self, n: i32) -> Option<Self> {
        self.checked_pow(n)
    }
    fn function(self, f: Function) -> Option<Self> {
        f.exact(self)
    }
    fn is_finite(self) -> bool {
        true
    }
}
