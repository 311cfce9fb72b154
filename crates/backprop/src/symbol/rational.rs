//! Exact fractions: the ½ of a derivation stays ½.

use std::cmp::Ordering;
use std::fmt;

use crate::{Error, Result};

/// A fraction in lowest terms with a positive denominator.
///
/// Arithmetic is checked: where a result would not fit into 64 bits the operation returns `None` and the expression
/// keeps its two numbers side by side, which is longer but never wrong.
///
/// ```
/// use backprop::symbol::Rational;
/// assert_eq!(Rational::new(2, -4)?.to_string(), "-1/2");
/// assert!(Rational::new(1, 0).is_err());
/// # Ok::<(), backprop::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rational {
    numerator: i64,
    denominator: i64,
}

impl Rational {
    /// 0.
    pub const ZERO: Rational = Rational::integer(0);
    /// 1.
    pub const ONE: Rational = Rational::integer(1);
    /// −1.
    pub const MINUS_ONE: Rational = Rational::integer(-1);

    /// `numerator / denominator`, reduced.
    ///
    /// # Errors
    /// [`Error::Fraction`] for a denominator of 0, or where the reduced fraction does not fit into 64 bits.
    pub fn new(numerator: i64, denominator: i64) -> Result<Self> {
        Self::reduced(numerator.into(), denominator.into()).ok_or(Error::Fraction { numerator, denominator })
    }

    /// A whole number.
    pub const fn integer(value: i64) -> Self {
        Rational {
            numerator: value,
            denominator: 1,
        }
    }

    /// The number above the line; it carries the sign.
    pub const fn numerator(self) -> i64 {
        self.numerator
    }

    /// The number below the line, at least 1.
    pub const fn denominator(self) -> i64 {
        self.denominator
    }

    /// The nearest `f64`.
    pub fn value(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    pub(crate) fn is_negative(self) -> bool {
        self.numerator < 0
    }

    fn reduced(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 {
            return None;
        }
        let divisor = gcd(numerator.unsigned_abs(), denominator.unsigned_abs()) as i128 * denominator.signum();
        let numerator = i64::try_from(numerator / divisor).ok()?;
        let denominator = i64::try_from(denominator / divisor).ok()?;
        // i64::MIN has no absolute value; leaving it out keeps negation total.
        (numerator != i64::MIN).then_some(Rational { numerator, denominator })
    }

    pub(crate) fn checked_add(self, other: Self) -> Option<Self> {
        let (a, b) = (i128::from(self.numerator), i128::from(self.denominator));
        let (c, d) = (i128::from(other.numerator), i128::from(other.denominator));
        Self::reduced((a * d).checked_add(c * b)?, b * d)
    }

    pub(crate) fn checked_mul(self, other: Self) -> Option<Self> {
        Self::reduced(
            i128::from(self.numerator) * i128::from(other.numerator),
            i128::from(self.denominator) * i128::from(other.denominator),
        )
    }

    pub(crate) fn checked_pow(self, exponent: i32) -> Option<Self> {
        let n = i128::from(self.numerator).checked_pow(exponent.unsigned_abs())?;
        let d = i128::from(self.denominator).checked_pow(exponent.unsigned_abs())?;
        if exponent < 0 {
            Self::reduced(d, n)
        } else {
            Self::reduced(n, d)
        }
    }

    pub(crate) fn negated(self) -> Self {
        Rational {
            numerator: self.numerator.wrapping_neg(),
            denominator: self.denominator,
        }
    }

    pub(crate) fn absolute(self) -> Self {
        if self.is_negative() { self.negated() } else { self }
    }

    /// The largest fraction of which both are whole multiples: `gcd(a/b, c/d) = gcd(a d, c b) / (b d)`.
    pub(crate) fn common_divisor(self, other: Self) -> Option<Self> {
        let (a, b) = (i128::from(self.numerator), i128::from(self.denominator));
        let (c, d) = (i128::from(other.numerator), i128::from(other.denominator));
        Self::reduced(
            gcd((a * d).unsigned_abs(), (c * b).unsigned_abs()).try_into().ok()?,
            b * d,
        )
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

impl From<i64> for Rational {
    /// A whole number (`i64::MIN`, which has no negative, is stored as `-i64::MAX`).
    fn from(value: i64) -> Self {
        Rational::integer(value.max(-i64::MAX))
    }
}

impl Ord for Rational {
    fn cmp(&self, other: &Self) -> Ordering {
        let left = i128::from(self.numerator) * i128::from(other.denominator);
        left.cmp(&(i128::from(other.numerator) * i128::from(self.denominator)))
    }
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl serde::Serialize for Rational {
    /// As text, such as `"-1/2"`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            d => write!(f, "{}/{d}", self.numerator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_exact_and_never_overflow() {
        let half = Rational::new(1, 2).unwrap();
        assert_eq!(half.checked_add(Rational::new(1, 3).unwrap()), Rational::new(5, 6).ok());
        assert_eq!(half.checked_pow(-3), Some(Rational::integer(8)));
        assert_eq!(
            half.common_divisor(Rational::new(3, 4).unwrap()),
            Rational::new(1, 4).ok()
        );
        assert_eq!(Rational::from(i64::MAX).checked_add(Rational::ONE), None);
        assert_eq!(Rational::ZERO.checked_pow(-1), None);
        assert!(Rational::new(i64::MIN, 1).is_err() && Rational::new(i64::MIN, -1).is_err());
        assert!(half.negated() < Rational::ZERO);
    }
}
