//! The axes that a loss sums over.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One or more axes of a tensor; negative numbers count from the last one.
///
/// ```
/// use training::Axes;
///
/// let axes = Axes::new(&[1, 2, -1]).unwrap();
/// assert_eq!(axes.as_slice(), [1, 2, -1]);
/// assert!(Axes::new(&[0; 9]).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes {
    axes: [i64; Axes::MOST],
    count: usize,
}

impl Axes {
    /// The most axes that can be named; tensors of networks have at most five, an image sequence with its batch and channels.
    pub const MOST: usize = 8;

    /// The axes, if they are not more than [`Axes::MOST`].
    pub fn new(axes: &[i64]) -> Option<Axes> {
        let mut all = [0; Axes::MOST];
        all.get_mut(..axes.len())?.copy_from_slice(axes);
        Some(Axes {
            axes: all,
            count: axes.len(),
        })
    }

    /// The axes in the order in which they were given.
    pub fn as_slice(&self) -> &[i64] {
        &self.axes[..self.count]
    }
}

impl Serialize for Axes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self.as_slice() {
            [axis] => serializer.serialize_i64(axis),
            _ => self.as_slice().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Axes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(i64),
            Several(Vec<i64>),
        }
        let axes = match Written::deserialize(deserializer)? {
            Written::One(axis) => vec![axis],
            Written::Several(axes) => axes,
        };
        Axes::new(&axes)
            .ok_or_else(|| serde::de::Error::custom(format!("{} axes, expected at most {}", axes.len(), Axes::MOST)))
    }
}
