//! Number formats on the way to disk.

use std::fmt;

use candle_core::DType;
use serde::{Deserialize, Serialize};

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

    pub(crate) fn dtype(self) -> DType {
        match self {
            Precision::Bf16 => DType::BF16,
            Precision::F16 => DType::F16,
            Precision::F32 => DType::F32,
            Precision::F64 => DType::F64,
        }
    }
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
