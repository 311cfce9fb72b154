//! Numbers to compute with: integers and fractions exactly, `f64` as IEEE 754 has it.

use std::fmt::{self, Debug};

use super::{Error, Result};

/// A number that the evaluations of this module compute with.
pub trait Scalar: Clone + PartialEq + Debug {
    /// 0.
    fn zero() -> Self;
    /// `self + other`.
    ///
    /// # Errors
    /// [`Error::Overflow`] of exact numbers.
    fn plus(&self, other: &Self) -> Result<Self>;
    /// `self · other`.
    ///
    /// # Errors
    /// [`Error::Overflow`] of exact numbers.
    fn times(&self, other: &Self) -> Result<Self>;
}

impl Scalar for f64 {
    fn zero() -> Self {
        0.0
    }
    fn plus(&self, other: &Self) -> Result<Self> {
        Ok(self + other)
    }
    fn times(&self, other: &Self) -> Result<Self> {
        Ok(self * other)
    }
}

impl Scalar for i128 {
    fn zero() -> Self {
        0
    }
    fn plus(&self, other: &Self) -> Result<Self> {
        self.checked_add(*other).ok_or_else(|| Error::overflow("a sum"))
    }
    fn times(&self, other: &Self) -> Result<Self> {
        self.checked_mul(*other).ok_or_else(|| Error::overflow("a product"))
    }
}

/// An exact fraction in lowest terms with a positive denominator.
///
/// ```
/// use nn_theory::generic::{Rational, Scalar};
/// let sum = Rational::new(1, 2)?.plus(&Rational::new(1, -3)?)?;
/// assert_eq!(sum.to_string(), "1/6");
/// # Ok::<(), nn_theory::generic::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rational {
    numerator: i128,
    denominator: i128,
}

impl Rational {
    /// `numerator / denominator`.
    ///
    /// # Errors
    /// [`Error::ZeroDenominator`]; [`Error::Overflow`] if the reduced fraction has no place in `i128`.
    pub fn new(numerator: i128, denominator: i128) -> Result<Self> {
        if denominator == 0 {
            return Err(Error::ZeroDenominator { numerator });
        }
        let divisor = gcd(numerator.unsigned_abs(), denominator.unsigned_abs());
        let signed = |magnitude: u128, negative: bool| {
            let value = if negative {
                0i128.checked_sub_unsigned(magnitude)
            } else {
                i128::try_from(magnitude).ok()
            };
            value.ok_or_else(|| Error::overflow("a fraction"))
        };
        Ok(Self {
            numerator: signed(numerator.unsigned_abs() / divisor, (numerator < 0) != (denominator < 0))?,
            denominator: signed(denominator.unsigned_abs() / divisor, false)?,
        })
    }

    /// The numerator, with the sign.
    pub fn numerator(&self) -> i128 {
        self.numerator
    }

    /// The denominator, at least 1.
    pub fn denominator(&self) -> i128 {
        self.denominator
    }

    /// The nearest `f64`, up to the rounding of both parts.
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// `self / divisor`.
    ///
    /// # Errors
    /// [`Error::ZeroDenominator`], [`Error::Overflow`].
    pub fn over(&self, divisor: &Self) -> Result<Self> {
        self.times(&Self::new(divisor.denominator, divisor.numerator)?)
    }

    /// `self − other`.
    ///
    /// # Errors
    /// [`Error::Overflow`].
    pub fn minus(&self, other: &Self) -> Result<Self> {
        let numerator = other
            .numerator
            .checked_neg()
            .ok_or_else(|| Error::overflow("a difference"))?;
        self.plus(&Self {
            numerator,
            denominator: other.denominator,
        })
    }
}

impl From<i64> for Rational {
    fn from(value: i64) -> Self {
        Self {
            numerator: i128::from(value),
            denominator: 1,
        }
    }
}

impl Scalar for Rational {
    fn zero() -> Self {
        Self {
            numerator: 0,
            denominator: 1,
        }
    }
    fn plus(&self, other: &Self) -> Result<Self> {
        // Over the least common multiple, so that equal denominators never grow.
        let divisor = gcd(self.denominator.unsigned_abs(), other.denominator.unsigned_abs()) as i128;
        let (left, right) = (other.denominator / divisor, self.denominator / divisor);
        let numerator = self.numerator.times(&left)?.plus(&other.numerator.times(&right)?)?;
        Self::new(numerator, self.denominator.times(&left)?)
    }
    fn times(&self, other: &Self) -> Result<Self> {
        // Reduced crosswise first: the product overflows only if its reduced form does.
        let left = Self::new(self.numerator, other.denominator)?;
        let right = Self::new(other.numerator, self.denominator)?;
        Self::new(
            left.numerator.times(&right.numerator)?,
            left.denominator.times(&right.denominator)?,
        )
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == 1 {
            write!(f, "{}", self.numerator)
        } else {
            write!(f, "{}/{}", self.numerator, self.denominator)
        }
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
