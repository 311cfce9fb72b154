//! Number formats on the way to disk.

use std::fmt;

use safetensors::Dtype;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The number format in which weights are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 16 bits: 1 sign, 8 exponent, 7 fraction; the range of float32 with 3 decimal digits.
    Bf16,
    /// 16 bits: 1 sign, 5 exponent, 10 fraction; 4 decimal digits, largest value 65,504.
    F16,
    /// 32 bits: 1 sign, 8 exponent, 23 fraction; what networks are trained in.
    #[default]
    F32,
    /// 64 bits: 1 sign, 11 exponent, 52 fraction.
    F64,
}

impl Precision {
    /// All formats, from the smallest to the largest.
    pub const ALL: [Precision; 4] = [Precision::Bf16, Precision::F16, Precision::F32, Precision::F64];

    /// Bytes of one number.
    pub fn bytes(self) -> u64 {
        match self {
            Precision::Bf16 | Precision::F16 => 2,
            Precision::F32 => 4,
            Precision::F64 => 8,
        }
    }

    /// The largest relative error of rounding to this format, where numbers are neither too large nor too small for it:
    /// half of the distance from 1 to the next number.
    ///
    /// ```
    /// assert_eq!(persistence::Precision::F16.unit_roundoff(), 2f64.powi(-11));
    /// ```
    pub fn unit_roundoff(self) -> f64 {
        let fraction_bits = match self {
            Precision::Bf16 => 7,
            Precision::F16 => 10,
            Precision::F32 => 23,
            Precision::F64 => 52,
        };
        2f64.powi(-(fraction_bits + 1))
    }

    /// The number format in the words of safetensors.
    pub fn stored(self) -> Dtype {
        match self {
            Precision::Bf16 => Dtype::BF16,
            Precision::F16 => Dtype::F16,
            Precision::F32 => Dtype::F32,
            Precision::F64 => Dtype::F64,
        }
    }

    /// The precision of a number format; `None` for integers and what weights are not.
    pub fn of(dtype: Dtype) -> Option<Self> {
        Precision::ALL.into_iter().find(|precision| precision.stored() == dtype)
    }

    /// Rounds numbers of `from` to the nearest of this format, ties to even.
    ///
    /// # Errors
    /// [`Error::Overflow`] where a finite number becomes infinite: a network must not be broken by being saved.
    pub(crate) fn round(self, name: &str, from: Dtype, bytes: &[u8]) -> Result<Vec<u8>> {
        match from {
            Dtype::F64 => self.round_each(name, bytes, f64::from_le_bytes),
            Dtype::F32 => self.round_each(name, bytes, |number| f32::from_le_bytes(number).into()),
            Dtype::F16 => self.round_each(name, bytes, |number| half::f16::from_le_bytes(number).into()),
            Dtype::BF16 => self.round_each(name, bytes, |number| half::bf16::from_le_bytes(number).into()),
            _ => Ok(bytes.to_vec()),
        }
    }

    fn round_each<const N: usize>(self, name: &str, bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Result<Vec<u8>> {
        let numbers = bytes.as_chunks::<N>().0.iter().map(|&chunk| number(chunk));
        match self {
            Precision::Bf16 => self.collect(
                name,
                numbers,
                |x| half::bf16::from_f32(to_odd(x)),
                |x| x.to_f64(),
                half::bf16::to_le_bytes,
            ),
            Precision::F16 => self.collect(
                name,
                numbers,
                |x| half::f16::from_f32(to_odd(x)),
                |x| x.to_f64(),
                half::f16::to_le_bytes,
            ),
            Precision::F32 => self.collect(name, numbers, |x| x as f32, f64::from, f32::to_le_bytes),
            Precision::F64 => self.collect(name, numbers, |x| x, |x| x, f64::to_le_bytes),
        }
    }

    fn collect<T: Copy, const N: usize>(
        self,
        name: &str,
        numbers: impl ExactSizeIterator<Item = f64>,
        round: impl Fn(f64) -> T,
        back: impl Fn(T) -> f64,
        to: impl Fn(T) -> [u8; N],
    ) -> Result<Vec<u8>> {
        let mut rounded = Vec::with_capacity(numbers.len() * N);
        for number in numbers {
            let short = round(number);
            if number.is_finite() && !back(short).is_finite() {
                return Err(Error::Overflow {
                    weight: name.to_string(),
                    value: number,
                    precision: self,
                });
            }
            rounded.extend_from_slice(&to(short));
        }
        Ok(rounded)
    }
}

/// The number as `f32`, and where it is none, the one of its two neighbours whose last bit is 1: what is rounded from there to a shorter format is
/// rounded as from the number itself (Boldo and Melquiond, *When double rounding is odd*, 2005). `half` looks at the upper half of an `f64` only,
/// and takes what lies just beside the middle of two short numbers for the middle.
fn to_odd(number: f64) -> f32 {
    let nearest = number as f32;
    let found = f64::from(nearest);
    if found == number || !found.is_finite() {
        return nearest;
    }
    let towards_zero = nearest.to_bits() - u32::from(found.abs() > number.abs());
    f32::from_bits(towards_zero | 1)
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::Bf16 => "bfloat16",
            Precision::F16 => "float16",
            Precision::F32 => "float32",
            Precision::F64 => "float64",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Just above and just below the middle of two short numbers, and the middle itself, which goes to the even one.
    #[test]
    fn what_lies_beside_the_middle_goes_to_the_nearer_number() {
        let round = |precision: Precision, number: f64| -> f64 {
            let bytes = precision.round("a", Dtype::F64, &number.to_le_bytes()).unwrap();
            let short = [bytes[0], bytes[1]];
            match precision {
                Precision::Bf16 => half::bf16::from_le_bytes(short).to_f64(),
                _ => half::f16::from_le_bytes(short).to_f64(),
            }
        };
        for (precision, digits) in [(Precision::Bf16, 7), (Precision::F16, 10)] {
            let (unit, little) = (0.5f64.powi(digits), 0.5f64.powi(45));
            for sign in [1.0, -1.0] {
                assert_eq!(round(precision, sign * (1.0 + unit / 2.0)), sign);
                assert_eq!(
                    round(precision, sign * (1.0 + unit / 2.0 + little)),
                    sign * (1.0 + unit)
                );
                assert_eq!(
                    round(precision, sign * (1.0 + unit * 1.5 - little)),
                    sign * (1.0 + unit)
                );
                assert_eq!(round(precision, sign * (1.0 + unit * 1.5)), sign * (1.0 + 2.0 * unit));
            }
        }
    }
}
