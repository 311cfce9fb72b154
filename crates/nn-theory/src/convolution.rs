//! Convolution arithmetic: how large the output is, and what 'same' padding adds on either side.
//!
//! With input size `n`, kernel `k`, stride `s` and dilation `d`, the kernel spans `(k - 1) d + 1` values and
//!
//! * `valid`: `out = ⌊(n - span) / s⌋ + 1` (0 when the kernel does not fit),
//! * `same`: `out = ⌈n / s⌉`, with `p = max((out - 1) s + span - n, 0)` zeros added: `⌊p / 2⌋` before and the rest,
//!   so also the odd one, **after** the values,
//! * `causal`: `span - 1` zeros before, so that no output looks ahead,
//! * any zeros `before` and `after` ([`Axis::output_padded`]): `out = ⌊(n + before + after - span) / s⌋ + 1`, of which the
//!   three above are cases.
//!
//! The transposed convolution runs this backwards: every input value stamps the kernel into the output, `s` apart, which
//! gives `(n - 1) s + span` values; the padding is cut off its ends and `output_padding` is added behind
//! ([`Axis::transposed_padded`]), `out = (n - 1) s + span - before - after + output_padding`.
//! [`ReceptiveField`] follows the windows through several layers; [`Axis::explain`] writes each size as a formula.
//!
//! Source: TensorFlow's definition of the padding schemes, which Keras adopts on every backend; Dumoulin and Visin,
//! *A guide to convolution arithmetic for deep learning*, 2016.
//!
//! ```
//! use nn_theory::{Padding, convolution::Axis};
//! let axis = Axis { input: 28, kernel: 5, stride: 2, dilation: 1 };
//! assert_eq!(axis.output(Padding::Valid), Some(12));
//! assert_eq!(axis.output(Padding::Same), Some(14));
//! assert_eq!(axis.padding(Padding::Same), Some((1, 2))); // one column of zeros on the left, two on the right
//! ```

mod receptive_field;
mod retraced;

pub use receptive_field::ReceptiveField;
pub use retraced::OutputSize;

use std::fmt;

/// What is added around the input of a convolution or pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Padding {
    /// Nothing: the kernel stays inside the input.
    #[default]
    Valid,
    /// As many zeros as `⌈n / s⌉` outputs need.
    Same,
    /// Zeros only before the input (one-dimensional convolutions).
    Causal,
}

impl Padding {
    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Same => "same",
            Self::Causal => "causal",
        }
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the channels of an image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum DataFormat {
    /// `(batch, height, width, channels)`
    #[default]
    ChannelsLast,
    /// `(batch, channels, height, width)`
    ChannelsFirst,
}

impl DataFormat {
    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChannelsLast => "channels_last",
            Self::ChannelsFirst => "channels_first",
        }
    }
}

/// One spatial axis of a convolution or pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// Number of values along the axis.
    pub input: u64,
    /// Size of the kernel or of the pooling window, at least 1.
    pub kernel: u64,
    /// Stride, at least 1.
    pub stride: u64,
    /// Dilation, at least 1: the distance between neighbouring values that the kernel looks at.
    pub dilation: u64,
}

impl Axis {
    /// Number of input values between the first and the last one that the kernel looks at, both included:
    /// `(k - 1) d + 1`.
    pub fn span(&self) -> Option<u64> {
        self.kernel.checked_sub(1)?.checked_mul(self.dilation)?.checked_add(1)
    }

    /// Number of outputs; 0 when the kernel does not fit; `None` for a zero kernel, stride or dilation and when a
    /// number leaves 64 bits.
    pub fn output(&self, padding: Padding) -> Option<u64> {
        let span = self.span()?;
        if self.stride == 0 || self.dilation == 0 {
            return None;
        }
        match padding {
            Padding::Valid if self.input < span => Some(0),
            Padding::Valid => Some((self.input - span) / self.stride + 1),
            Padding::Same | Padding::Causal => Some(self.input.div_ceil(self.stride)),
        }
    }

    /// Number of outputs with `before` and `after` zeros around the values: `⌊(n + before + after - span) / s⌋ + 1`, 0 when
    /// the kernel does not fit; `None` as for [`Axis::output`].
    ///
    /// ```
    /// use nn_theory::convolution::Axis;
    /// // PyTorch's Conv2d(kernel_size=7, stride=2, padding=3) on 224 pixels
    /// let axis = Axis { input: 224, kernel: 7, stride: 2, dilation: 1 };
    /// assert_eq!(axis.output_padded(3, 3), Some(112));
    /// ```
    pub fn output_padded(&self, before: u64, after: u64) -> Option<u64> {
        let padded = Self {
            input: self.input.checked_add(before)?.checked_add(after)?,
            ..*self
        };
        padded.output(Padding::Valid)
    }

    /// Zeros added before and after the values.
    pub fn padding(&self, padding: Padding) -> Option<(u64, u64)> {
        match padding {
            Padding::Valid => Some((0, 0)),
            Padding::Causal => Some((self.span()? - 1, 0)),
            Padding::Same => {
                let steps = self.output(padding)?.saturating_sub(1);
                let needed = steps.checked_mul(self.stride)?.checked_add(self.span()?)?;
                let total = needed.saturating_sub(self.input);
                Some((total / 2, total - total / 2))
            }
        }
    }

    /// Number of outputs of the transposed convolution (`Conv2DTranspose`).
    ///
    /// Without `output_padding`: valid `n s + max(span - s, 0)`, same `n s`. With `output_padding` p:
    /// valid `(n - 1) s + span + p`, same `(n - 1) s + span - 2 ⌊span / 2⌋ + p`.
    pub fn transposed_output(&self, padding: Padding, output_padding: Option<u64>) -> Option<u64> {
        let span = self.span()?;
        if self.stride == 0 || self.dilation == 0 {
            return None;
        }
        match (padding, output_padding) {
            (Padding::Valid | Padding::Causal, None) => self
                .input
                .checked_mul(self.stride)?
                .checked_add(span.saturating_sub(self.stride)),
            (Padding::Same, None) => self.input.checked_mul(self.stride),
            (padding, Some(extra)) => {
                let cut = if padding == Padding::Same { 2 * (span / 2) } else { 0 };
                self.input
                    .checked_sub(1)?
                    .checked_mul(self.stride)?
                    .checked_add(span - cut)?
                    .checked_add(extra)
            }
        }
    }

    /// Number of outputs of the transposed convolution whose full result loses `before` and `after` values and gains
    /// `output_padding` behind: `(n - 1) s + span - before - after + output_padding`, the inverse of
    /// [`Axis::output_padded`]; `None` when that is negative or leaves 64 bits.
    ///
    /// ```
    /// use nn_theory::convolution::Axis;
    /// // PyTorch's ConvTranspose2d(kernel_size=3, stride=2, padding=1, output_padding=1) on 14 pixels
    /// let axis = Axis { input: 14, kernel: 3, stride: 2, dilation: 1 };
    /// assert_eq!(axis.transposed_padded(1, 1, 1), Some(28));
    /// ```
    pub fn transposed_padded(&self, before: u64, after: u64, output_padding: u64) -> Option<u64> {
        if self.stride == 0 || self.dilation == 0 {
            return None;
        }
        self.input
            .checked_sub(1)?
            .checked_mul(self.stride)?
            .checked_add(self.span()?)?
            .checked_add(output_padding)?
            .checked_sub(before.checked_add(after)?)
    }

    /// How many values of the full result `(n - 1) s + span` Keras' transposed convolution cuts off before, and how many
    /// after; where it is longer than the full result (`output_padding`, or a stride above the span) nothing is cut there.
    ///
    /// 'same' cuts in front what a forward convolution of the output would pad there: `⌊p / 2⌋`.
    pub fn transposed_cut(&self, padding: Padding, output_padding: Option<u64>) -> Option<(u64, u64)> {
        let output = self.transposed_output(padding, output_padding)?;
        let full = self.transposed_padded(0, 0, 0)?;
        let before = match padding {
            Padding::Same => {
                let forward = Self { input: output, ..*self };
                forward.padding(Padding::Same)?.0
            }
            Padding::Valid | Padding::Causal => 0,
        };
        Some((before, full.saturating_sub(output.checked_add(before)?)))
    }
}
