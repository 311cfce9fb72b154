//! The arguments that many transformations share: factors and value ranges.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How strong a transformation may be: one number or a pair `[low, high]` to draw between, as Keras takes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Factor {
    /// `f`: the range from `max(-f, lowest)` to `f`, where `lowest` is the smallest allowed factor.
    Single(f64),
    /// `[low, high]`.
    Pair([f64; 2]),
}

impl Factor {
    /// The range to draw from, where `lowest` is the smallest allowed factor.
    pub fn bounds(self, lowest: f64) -> (f64, f64) {
        match self {
            Self::Single(f) => ((-f.abs()).max(lowest), f.abs()),
            Self::Pair([a, b]) => (a.min(b), a.max(b)),
        }
    }

    /// Refuses numbers outside of `[lowest, highest]` and NaN.
    pub(crate) fn check(
        self,
        transformation: &'static str,
        argument: &'static str,
        lowest: f64,
        highest: f64,
    ) -> Result<()> {
        let inside = |f: f64| (lowest..=highest).contains(&f);
        let ok = match self {
            Self::Single(f) => inside(f),
            Self::Pair([a, b]) => inside(a) && inside(b),
        };
        if ok {
            return Ok(());
        }
        Err(Error::Argument {
            transformation,
            argument,
            found: self.to_string(),
            expected: format!("a number (or a pair of numbers) between {lowest} and {highest}"),
        })
    }
}

impl From<f64> for Factor {
    fn from(f: f64) -> Self {
        Self::Single(f)
    }
}

impl From<[f64; 2]> for Factor {
    fn from(pair: [f64; 2]) -> Self {
        Self::Pair(pair)
    }
}

impl std::fmt::Display for Factor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Single(x) => write!(f, "{x}"),
            Self::Pair([a, b]) => write!(f, "[{a}, {b}]"),
        }
    }
}

/// The values that pixels may have, `[low, high]`; `[0, 255]` unless said otherwise, as in Keras.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f32; 2]", into = "[f32; 2]")]
pub struct ValueRange {
    /// Black.
    pub low: f32,
    /// White.
    pub high: f32,
}

impl ValueRange {
    /// Values of bytes, `[0, 255]`.
    pub const BYTES: Self = Self { low: 0.0, high: 255.0 };
    /// Values of `[0, 1]`.
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };

    /// `high - low`.
    #[inline]
    pub fn width(self) -> f32 {
        self.high - self.low
    }

    /// The value inside the range that is nearest to `value`.
    #[inline]
    pub fn clip(self, value: f32) -> f32 {
        value.max(self.low).min(self.high)
    }

    /// From this range to `[0, 255]`.
    #[inline]
    pub(crate) fn to_bytes(self, value: f32) -> f32 {
        if self == Self::BYTES {
            value
        } else if self.width() == 1.0 {
            // The same bits; a division is most of the time of a loop that has one.
            (value - self.low) * 255.0
        } else {
            (value - self.low) / self.width() * 255.0
        }
    }

    /// From `[0, 255]` to this range.
    #[inline]
    pub(crate) fn unscale_bytes(self, value: f32) -> f32 {
        if self == Self::BYTES {
            value
        } else {
            value / 255.0 * self.width() + self.low
        }
    }

    pub(crate) fn check(self, transformation: &'static str) -> Result<()> {
        if self.low.is_finite() && self.high.is_finite() && self.low < self.high {
            return Ok(());
        }
        Err(Error::Argument {
            transformation,
            argument: "value_range",
            found: format!("[{}, {}]", self.low, self.high),
            expected: "two finite numbers, the smaller first, such as [0, 255] or [0, 1]".into(),
        })
    }
}

impl Default for ValueRange {
    fn default() -> Self {
        Self::BYTES
    }
}

impl From<[f32; 2]> for ValueRange {
    fn from([low, high]: [f32; 2]) -> Self {
        Self { low, high }
    }
}

impl From<ValueRange> for [f32; 2] {
    fn from(range: ValueRange) -> Self {
        [range.low, range.high]
    }
}
