//! Shapes with free dimensions, as Keras prints them.

use crate::error::Problem;
use std::fmt;

/// The shape of a tensor, batch first; `None` is a dimension that is only known when data arrives.
///
/// ```
/// use nn_theory::Shape;
/// let shape = Shape::batched([28, 28, 1]);
/// assert_eq!(shape.to_string(), "(None, 28, 28, 1)");
/// assert_eq!(Shape::from([Some(4)]).to_string(), "(4,)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Shape(pub Vec<Option<u64>>);

/// As the list of its dimensions.
impl serde_core::Serialize for Shape {
    fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Shape {
    /// The shape with a free batch dimension in front of `sample`, the shape of one sample.
    pub fn batched(sample: impl Into<Self>) -> Self {
        let mut dims = vec![None];
        dims.extend(sample.into().0);
        Self(dims)
    }

    /// All dimensions, batch first.
    pub fn dims(&self) -> &[Option<u64>] {
        &self.0
    }

    /// Number of dimensions, the batch included.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The dimensions of one sample (all but the first).
    pub fn sample(&self) -> &[Option<u64>] {
        self.0.get(1..).unwrap_or(&[])
    }

    /// The last dimension: the channels of an image in `channels_last`, the features of a vector.
    pub fn last(&self) -> Option<u64> {
        self.0.last().copied().flatten()
    }

    /// Dimension `axis`; a negative axis counts from the end. `None` when the axis does not exist.
    pub fn dim(&self, axis: i64) -> Option<Option<u64>> {
        self.axis(axis).map(|axis| self.0[axis])
    }

    /// The position of `axis`, where a negative axis counts from the end.
    pub fn axis(&self, axis: i64) -> Option<usize> {
        let rank = i64::try_from(self.rank()).ok()?;
        let axis = if axis < 0 { axis.checked_add(rank)? } else { axis };
        (0..rank).contains(&axis).then_some(axis as usize)
    }

    /// Number of values of one sample; `None` if a dimension is free or the product leaves 64 bits.
    ///
    /// ```
    /// use nn_theory::Shape;
    /// assert_eq!(Shape::batched([28, 28, 1]).sample_size(), Some(784));
    /// ```
    pub fn sample_size(&self) -> Option<u64> {
        self.sample()
            .iter()
            .try_fold(1u64, |product, dim| product.checked_mul((*dim)?))
    }

    /// Whether `other` can be put where `self` was declared: same rank, and every dimension known on both sides equal.
    pub fn is_compatible(&self, other: &Self) -> bool {
        self.rank() == other.rank()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(a, b)| a.is_none() || b.is_none() || a == b)
    }

    pub(crate) fn with_last(&self, last: Option<u64>) -> Self {
        let mut dims = self.0.clone();
        if let Some(slot) = dims.last_mut() {
            *slot = last;
        }
        Self(dims)
    }

    /// The value of a dimension that a layer must know to make its weights.
    pub(crate) fn required(&self, axis: i64, what: &str) -> Result<u64, Problem> {
        match self.dim(axis) {
            Some(Some(size)) => Ok(size),
            Some(None) => Err(Problem::shape(format!(
                "{what} (axis {axis} of the input {self}) must be known to count the weights; give the input layer a full shape"
            ))),
            None => Err(Problem::shape(format!(
                "the input {self} has no axis {axis} for {what}"
            ))),
        }
    }

    pub(crate) fn expect_rank(&self, rank: usize, form: &str) -> Result<(), Problem> {
        if self.rank() == rank {
            return Ok(());
        }
        Err(Problem::shape(format!(
            "expects an input of rank {rank} {form}, found rank {}: {self}",
            self.rank()
        )))
    }
}

/// Product of dimensions; free if one of them is free (and none is zero).
pub(crate) fn product(dims: &[Option<u64>], what: &str) -> Result<Option<u64>, Problem> {
    let mut result = 1u64;
    for dim in dims {
        match dim {
            Some(dim) => result = result.checked_mul(*dim).ok_or_else(|| Problem::too_large(what))?,
            None => return Ok(None),
        }
    }
    Ok(Some(result))
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, dim) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match dim {
                Some(dim) => write!(f, "{dim}")?,
                None => f.write_str("None")?,
            }
        }
        f.write_str(if self.0.len() == 1 { ",)" } else { ")" })
    }
}

impl<const N: usize> From<[u64; N]> for Shape {
    fn from(dims: [u64; N]) -> Self {
        Self(dims.into_iter().map(Some).collect())
    }
}

impl<const N: usize> From<[Option<u64>; N]> for Shape {
    fn from(dims: [Option<u64>; N]) -> Self {
        Self(dims.to_vec())
    }
}

impl From<Vec<u64>> for Shape {
    fn from(dims: Vec<u64>) -> Self {
        Self(dims.into_iter().map(Some).collect())
    }
}

impl From<&[u64]> for Shape {
    fn from(dims: &[u64]) -> Self {
        Self(dims.iter().copied().map(Some).collect())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self(dims.iter().map(|&dim| Some(dim as u64)).collect())
    }
}

impl From<Vec<Option<u64>>> for Shape {
    fn from(dims: Vec<Option<u64>>) -> Self {
        Self(dims)
    }
}
