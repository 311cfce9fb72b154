//! Whether what came back is what was saved: number by number, to the bit.

use candle_core::{DType, Device};
use models::Network;

use crate::Result;

/// How two lists of numbers differ.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// Numbers that were compared; those of the longer list.
    pub values: usize,
    /// How many of them have the same bits.
    pub equal: usize,
    /// The largest distance; 0 where all are equal, infinite where one list is longer or only one of two is not a number.
    pub largest: f64,
    /// The mean distance.
    pub mean: f64,
}

impl Difference {
    /// Compares number by number.
    ///
    /// Numbers of smaller formats are widened to `f64` first, which changes none of them. `0` and `-0` have different
    /// bits and no distance; a NaN equals a NaN.
    ///
    /// ```
    /// use persistence::Difference;
    ///
    /// let difference = Difference::between(&[1.0, 2.0], &[1.0, 2.5]);
    /// assert_eq!((difference.values, difference.equal, difference.largest), (2, 1, 0.5));
    /// assert!(!difference.is_none());
    /// ```
    pub fn between(left: &[f64], right: &[f64]) -> Self {
        let values = left.len().max(right.len());
        let (mut equal, mut largest, mut total) = (0, 0.0f64, 0.0);
        for (a, b) in left.iter().zip(right) {
            if a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) {
                equal += 1;
                continue;
            }
            let distance = (a - b).abs();
            let distance = if distance.is_nan() { f64::INFINITY } else { distance };
            largest = largest.max(distance);
            total += distance;
        }
        if left.len() != right.len() {
            (largest, total) = (f64::INFINITY, f64::INFINITY);
        }
        Difference {
            values,
            equal,
            largest,
            mean: total / values.max(1) as f64,
        }
    }

    /// Whether all numbers have the same bits.
    pub fn is_none(&self) -> bool {
        self.equal == self.values
    }

    /// The difference of both parts together.
    pub fn and(self, other: Difference) -> Difference {
        let values = self.values + other.values;
        let total = self.mean * self.values as f64 + other.mean * other.values as f64;
        Difference {
            values,
            equal: self.equal + other.equal,
            largest: self.largest.max(other.largest),
            mean: total / values.max(1) as f64,
        }
    }
}

/// Compares the weights of two networks; a weight that only one of them has differs in all its numbers.
///
/// # Errors
/// [`crate::Error::Candle`] where the weights cannot be brought to the CPU.
pub fn weight_differences(left: &Network, right: &Network) -> Result<Vec<(String, Difference)>> {
    let values = |network: &Network, path: &str| -> Result<Vec<f64>> {
        let Some(weight) = network.weight(path) else {
            return Ok(Vec::new());
        };
        let flat = weight.var.as_tensor().to_device(&Device::Cpu)?.flatten_all()?;
        Ok(flat.to_dtype(DType::F64)?.to_vec1()?)
    };
    let only_right = right.weights().filter(|weight| left.weight(&weight.path).is_none());
    left.weights()
        .chain(only_right)
        .map(|weight| {
            let path = &weight.path;
            let difference = Difference::between(&values(left, path)?, &values(right, path)?);
            Ok((path.clone(), difference))
        })
        .collect()
}
