//! Where a window that slides over an image starts, and how often it fits.

use crate::{Error, Result};

/// What a window does at the border of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// The window stays inside: $\lfloor (n - k_d) / s \rfloor + 1$ positions, $k_d = (k - 1) d + 1$.
    #[default]
    Valid,
    /// The image is extended so that there are $\lceil n / s \rceil$ positions; of an odd number of added pixels the
    /// larger half comes **after** the image, as TensorFlow and Keras have it.
    Same,
    /// $k_d - 1$ zeros before the image and none after it, so that no position sees what comes later.
    Causal,
    /// So many pixels (before, after) along the height and along the width; a sequence only has a width. Zeros for
    /// convolutions; for pooling, pixels that never win and do not count.
    Explicit([[usize; 2]; 2]),
}

impl Padding {
    /// The padding for one of the two sides of an image: an explicit one names its pair twice.
    fn along(self, side: usize) -> Self {
        match self {
            Self::Explicit(pairs) => Self::Explicit([pairs[side]; 2]),
            other => other,
        }
    }
}

/// The positions of a window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Pixels of the input.
    pub(crate) input: usize,
    /// Positions of the window: pixels of the output.
    pub(crate) output: usize,
    /// Taps of the window.
    pub(crate) window: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    /// Pixels added before and after the input.
    pub(crate) before: usize,
    pub(crate) after: usize,
}

/// Sizes of windows, strides and paddings stay below this, so that sums of them stay far from overflow.
const LARGEST: usize = 1 << 30;

/// `(k - 1) d + 1` pixels, after checking that nothing is 0 or enormous.
fn extent(op: &'static str, window: usize, stride: usize, dilation: usize) -> Result<usize> {
    for (option, value) in [("window", window), ("strides", stride), ("dilation", dilation)] {
        if value == 0 {
            return Err(Error::Option {
                op,
                option,
                expected: "at least 1".into(),
                found: "0".into(),
            });
        }
    }
    (window - 1)
        .checked_mul(dilation)
        .and_then(|extent| extent.checked_add(1))
        .filter(|extent| *extent <= LARGEST && stride <= LARGEST)
        .ok_or_else(|| Error::Option {
            op,
            option: "window",
            expected: "smaller than 2^30 pixels".into(),
            found: format!("{window} taps, dilation {dilation}, stride {stride}"),
        })
}

impl Axis {
    pub(crate) fn new(
        op: &'static str,
        axis: &'static str,
        input: usize,
        window: usize,
        stride: usize,
        dilation: usize,
        padding: Padding,
    ) -> Result<Self> {
        let extent = extent(op, window, stride, dilation)?;
        let (before, after) = match padding {
            Padding::Valid => (0, 0),
            Padding::Same => {
                let output = input.div_ceil(stride);
                let reach = output.saturating_sub(1) * stride + extent;
                let total = if output == 0 { 0 } else { reach.saturating_sub(input) };
                return Ok(Self {
                    input,
                    output,
                    window,
                    stride,
                    dilation,
                    before: total / 2,
                    after: total - total / 2,
                });
            }
            Padding::Causal => (extent - 1, 0),
            Padding::Explicit([[before, after], _]) => {
                if before > LARGEST || after > LARGEST {
                    return Err(Error::Option {
                        op,
                        option: "padding",
                        expected: "smaller than 2^30 pixels".into(),
                        found: format!("({before}, {after})"),
                    });
                }
                (before, after)
            }
        };
        let padded = input + before + after;
        if padded < extent {
            return Err(Error::Window {
                op,
                axis,
                window: extent,
                input: padded,
            });
        }
        Ok(Self {
            input,
            output: (padded - extent) / stride + 1,
            window,
            stride,
            dilation,
            before,
            after,
        })
    }

    /// The axis of a transposed convolution: its `input` pixels are what comes **out**, its positions are the `positions`
    /// pixels that go in. Source of the sizes: Keras' `compute_conv_transpose_output_shape`.
    ///
    /// Without `output_padding` p: valid `n s + max(k - s, 0)`, same `n s`. With it: valid `(n - 1) s + k + p`, same
    /// `(n - 1) s + k - 2 ⌊k / 2⌋ + p`; `k` is the window with its dilation.
    pub(crate) fn transposed(
        op: &'static str,
        positions: usize,
        [window, stride, dilation]: [usize; 3],
        padding: Padding,
        output_padding: Option<usize>,
    ) -> Result<Self> {
        let extent = extent(op, window, stride, dilation)?;
        let refused = |option: &'static str, expected: &str, found: String| Error::Option {
            op,
            option,
            expected: expected.into(),
            found,
        };
        let extra = output_padding.unwrap_or(0);
        if positions > LARGEST || extra > LARGEST {
            let found = format!("{positions} pixels, output_padding {extra}");
            return Err(refused("output_padding", "smaller than 2^30 pixels", found));
        }
        let full = positions.saturating_sub(1) * stride + extent;
        let output = match (padding, output_padding) {
            (Padding::Valid, None) => positions * stride + extent.saturating_sub(stride),
            (Padding::Same, None) => positions * stride,
            (Padding::Valid, Some(extra)) => full + extra,
            (Padding::Same, Some(extra)) => full - 2 * (extent / 2) + extra,
            (other, _) => return Err(refused("padding", "valid or same", format!("{other:?}"))),
        };
        if output == 0 {
            return Err(refused(
                "output_padding",
                "so large that a pixel is left",
                extra.to_string(),
            ));
        }
        let before = match padding {
            Padding::Same => full.saturating_sub(output) / 2,
            _ => 0,
        };
        Ok(Self {
            input: output,
            output: positions,
            window,
            stride,
            dilation,
            before,
            after: full.saturating_sub(output + before),
        })
    }

    /// For each position the (pixel, tap) pairs that it sees.
    pub(crate) fn by_position(&self) -> Vec<Vec<(usize, usize)>> {
        (0..self.output)
            .map(|position| {
                (0..self.window)
                    .filter_map(|tap| self.pixel(position, tap).map(|pixel| (pixel, tap)))
                    .collect()
            })
            .collect()
    }

    /// For each pixel the (position, tap) pairs that see it.
    pub(crate) fn by_pixel(&self) -> Vec<Vec<(usize, usize)>> {
        let mut seen = vec![Vec::new(); self.input];
        for position in 0..self.output {
            for tap in 0..self.window {
                if let Some(pixel) = self.pixel(position, tap) {
                    seen[pixel].push((position, tap));
                }
            }
        }
        seen
    }

    /// The input pixel under a tap at an output position, `None` where it is padding.
    pub(crate) fn pixel(&self, position: usize, tap: usize) -> Option<usize> {
        (position * self.stride + tap * self.dilation)
            .checked_sub(self.before)
            .filter(|pixel| *pixel < self.input)
    }

    /// How many taps lie on the image at an output position.
    pub(crate) fn taps_inside(&self, position: usize) -> usize {
        (0..self.window)
            .filter(|tap| self.pixel(position, *tap).is_some())
            .count()
    }
}

/// The positions of a window over images of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) rows: Axis,
    pub(crate) columns: Axis,
}

impl Window {
    pub(crate) fn new(
        op: &'static str,
        image: [usize; 2],
        window: [usize; 2],
        strides: [usize; 2],
        dilation: [usize; 2],
        padding: Padding,
    ) -> Result<Self> {
        Ok(Self {
            rows: Axis::new(
                op,
                "height",
                image[0],
                window[0],
                strides[0],
                dilation[0],
                padding.along(0),
            )?,
            columns: Axis::new(
                op,
                "width",
                image[1],
                window[1],
                strides[1],
                dilation[1],
                padding.along(1),
            )?,
        })
    }

    /// Positions in one image.
    pub(crate) fn positions(&self) -> usize {
        self.rows.output * self.columns.output
    }

    /// Whether each position sees one pixel, and each pixel is seen once.
    pub(crate) fn sees_single_pixels(&self) -> bool {
        let single = |axis: Axis| axis.window == 1 && axis.stride == 1 && axis.before + axis.after == 0;
        single(self.rows) && single(self.columns)
    }

    /// Taps of the window.
    pub(crate) fn taps(&self) -> usize {
        self.rows.window * self.columns.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        input: usize,
        window: usize,
        stride: usize,
        dilation: usize,
        padding: Padding,
        expected: (usize, usize, usize),
    ) {
        let axis = Axis::new("test", "height", input, window, stride, dilation, padding).unwrap();
        assert_eq!((axis.output, axis.before, axis.after), expected);
    }

    #[test]
    fn output_sizes_and_padding_are_tensorflows() {
        check(28, 3, 1, 1, Padding::Valid, (26, 0, 0));
        check(11, 2, 2, 1, Padding::Valid, (5, 0, 0));
        check(11, 2, 2, 1, Padding::Same, (6, 0, 1));
        check(28, 3, 1, 1, Padding::Same, (28, 1, 1));
        check(28, 3, 2, 1, Padding::Same, (14, 0, 1));
        check(7, 2, 1, 1, Padding::Same, (7, 0, 1));
        check(7, 3, 1, 2, Padding::Same, (7, 2, 2));
        check(7, 1, 3, 1, Padding::Same, (3, 0, 0));
        check(0, 3, 1, 1, Padding::Same, (0, 0, 0));
        check(9, 3, 1, 2, Padding::Causal, (9, 4, 0));
        check(9, 3, 2, 1, Padding::Causal, (5, 2, 0));
        check(5, 3, 2, 1, Padding::Explicit([[0, 1]; 2]), (2, 0, 1));
    }

    #[test]
    fn transposed_output_sizes_are_keras() {
        // (n, k, s, d, padding, output_padding) -> (pixels, cut before)
        for (n, sizes, padding, extra, expected) in [
            (4, [3, 1, 1], Padding::Valid, None, (6, 0)),
            (4, [3, 1, 1], Padding::Same, None, (4, 1)),
            (4, [3, 2, 1], Padding::Valid, None, (9, 0)),
            (4, [3, 2, 1], Padding::Same, None, (8, 0)),
            (4, [4, 2, 1], Padding::Same, None, (8, 1)),
            (4, [2, 3, 1], Padding::Valid, None, (12, 0)),
            (4, [2, 3, 1], Padding::Same, None, (12, 0)),
            (4, [3, 2, 1], Padding::Same, Some(1), (8, 0)),
            (4, [3, 2, 1], Padding::Valid, Some(0), (9, 0)),
        ] {
            let axis = Axis::transposed("test", n, sizes, padding, extra).unwrap();
            assert_eq!(
                (axis.input, axis.before),
                expected,
                "{n} {sizes:?} {padding:?} {extra:?}"
            );
        }
        assert!(Axis::transposed("test", 1, [2, 1, 1], Padding::Same, Some(0)).is_err());
        assert!(Axis::transposed("test", 4, [2, 1, 1], Padding::Causal, None).is_err());
    }

    #[test]
    fn a_window_that_does_not_fit_says_so() {
        let error = Axis::new("conv2d", "width", 4, 3, 1, 2, Padding::Valid)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("conv2d") && error.contains("5 pixels") && error.contains("4 pixels"),
            "{error}"
        );
        assert!(Axis::new("conv2d", "width", 4, 0, 1, 1, Padding::Valid).is_err());
        assert!(Axis::new("conv2d", "width", 4, usize::MAX, 1, 2, Padding::Same).is_err());
    }
}
