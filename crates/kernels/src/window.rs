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

impl Axis {
    fn new(
        op: &'static str,
        axis: &'static str,
        input: usize,
        window: usize,
        stride: usize,
        dilation: usize,
        padding: Padding,
    ) -> Result<Self> {
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
        let extent = (window - 1)
            .checked_mul(dilation)
            .and_then(|extent| extent.checked_add(1))
            .filter(|extent| *extent <= 1 << 30 && stride <= 1 << 30)
            .ok_or_else(|| Error::Option {
                op,
                option: "window",
                expected: "smaller than 2^30 pixels".into(),
                found: format!("{window} taps, dilation {dilation}, stride {stride}"),
            })?;
        let (output, total) = match padding {
            Padding::Valid => {
                if input < extent {
                    return Err(Error::Window {
                        op,
                        axis,
                        window: extent,
                        input,
                    });
                }
                ((input - extent) / stride + 1, 0)
            }
            Padding::Same => {
                let output = input.div_ceil(stride);
                let reach = output.saturating_sub(1) * stride + extent;
                (output, if output == 0 { 0 } else { reach.saturating_sub(input) })
            }
        };
        let before = total / 2;
        Ok(Self {
            input,
            output,
            window,
            stride,
            dilation,
            before,
            after: total - before,
        })
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
            rows: Axis::new(op, "height", image[0], window[0], strides[0], dilation[0], padding)?,
            columns: Axis::new(op, "width", image[1], window[1], strides[1], dilation[1], padding)?,
        })
    }

    /// Positions in one image.
    pub(crate) fn positions(&self) -> usize {
        self.rows.output * self.columns.output
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
