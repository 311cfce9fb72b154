//! How much of the input one value of a deep layer can see.

use super::{Axis, Padding};

/// The part of the input that a value of some layer depends on, along one axis.
///
/// Through a layer with a kernel that spans `m = (k − 1) d + 1` values, stride `s` and `before` zeros in front,
///
/// * `size' = size + (m − 1) jump`: each of the `m` values sees `size` inputs, `jump` apart,
/// * `jump' = jump · s`: neighbouring outputs are `s` values apart,
/// * `start' = start − before · jump`: place of the first input that the first output sees (negative: padding).
///
/// Source: Araujo, Norris and Sim, *Computing Receptive Fields of Convolutional Neural Networks*, Distill, 2019.
///
/// ```
/// use nn_theory::{Padding, convolution::{Axis, ReceptiveField}};
/// // The first layers of ResNet-50: 7x7 with stride 2, pooling of 3x3 with stride 2, 3x3.
/// let layer = |input, kernel, stride| Axis { input, kernel, stride, dilation: 1 };
/// let field = ReceptiveField::of_input()
///     .through(&layer(224, 7, 2), Padding::Same)
///     .and_then(|field| field.through(&layer(112, 3, 2), Padding::Same))
///     .and_then(|field| field.through(&layer(56, 3, 1), Padding::Same))
///     .unwrap();
/// assert_eq!((field.size, field.jump), (19, 4));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceptiveField {
    /// Number of inputs from the first to the last one seen.
    pub size: u64,
    /// Distance of the inputs seen by neighbouring values.
    pub jump: u64,
    /// Place of the first input seen by the first value; negative where that is padding.
    pub start: i64,
}

serialize_fields!(ReceptiveField { size, jump, start });

impl ReceptiveField {
    /// An input sees itself.
    pub fn of_input() -> Self {
        Self {
            size: 1,
            jump: 1,
            start: 0,
        }
    }

    /// The field after one more convolution or pooling; `None` when a number leaves 64 bits.
    pub fn through(self, axis: &Axis, padding: Padding) -> Option<Self> {
        let before = i64::try_from(axis.padding(padding)?.0).ok()?;
        let reach = (axis.span()? - 1).checked_mul(self.jump)?;
        let shift = before.checked_mul(i64::try_from(self.jump).ok()?)?;
        Some(Self {
            size: self.size.checked_add(reach)?,
            jump: self.jump.checked_mul(axis.stride)?,
            start: self.start.checked_sub(shift)?,
        })
    }

    /// First and last place of the input that value `index` sees; outside of the input that is padding.
    pub fn of_value(self, index: u64) -> Option<(i64, i64)> {
        let first = self
            .start
            .checked_add(i64::try_from(index.checked_mul(self.jump)?).ok()?)?;
        Some((first, first.checked_add(i64::try_from(self.size - 1).ok()?)?))
    }
}
