//! What a convolution kernel sees at each position, as a matrix (im2col), and the way back (col2im).

use super::real::Real;
use crate::window::Window;

/// The matrix has a row a position and a column for each tap and channel, tap by tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Rows of the matrix lie one behind the other: long runs are copied where there are many channels.
    PositionMajor,
    /// Columns of the matrix lie one behind the other: long runs are copied where there are few channels.
    TapMajor,
}

/// Some channels of the images that a window slides over.
#[derive(Clone, Copy)]
pub(super) struct Patches {
    pub(super) window: Window,
    /// Channels of the image.
    pub(super) channels: usize,
    /// First channel that is seen, and how many.
    pub(super) first: usize,
    pub(super) seen: usize,
}

impl Patches {
    /// Columns of the matrix.
    pub(super) fn depth(&self) -> usize {
        self.window.taps() * self.seen
    }

    pub(super) fn order(&self) -> Order {
        if self.seen < 8 {
            Order::TapMajor
        } else {
            Order::PositionMajor
        }
    }

    /// Whether the matrix of a whole image is the image itself: a 1 x 1 kernel with stride 1 that sees all channels.
    pub(super) fn is_image(&self) -> bool {
        let plain = |axis: &crate::window::Axis| axis.window == 1 && axis.stride == 1;
        plain(&self.window.rows) && plain(&self.window.columns) && self.seen == self.channels
    }

    /// Strides of the matrix (position, column) for `positions` rows.
    pub(super) fn strides(&self, positions: usize) -> (usize, usize) {
        match self.order() {
            Order::PositionMajor => (self.depth(), 1),
            Order::TapMajor => (1, positions),
        }
    }

    /// Copies the patches of the output rows `rows` out of an image.
    pub(super) fn gather<T: Real>(&self, image: &[T], rows: std::ops::Range<usize>, matrix: &mut [T]) {
        let Window {
            rows: vertical,
            columns: horizontal,
        } = self.window;
        let (width, depth, positions) = (horizontal.output, self.depth(), rows.len() * horizontal.output);
        for (index, row) in rows.enumerate() {
            for tap_row in 0..vertical.window {
                let line = vertical.pixel(row, tap_row).map(|pixel| {
                    &image[pixel * horizontal.input * self.channels..(pixel + 1) * horizontal.input * self.channels]
                });
                for tap_column in 0..horizontal.window {
                    let column = (tap_row * horizontal.window + tap_column) * self.seen;
                    let inside = inside(&self.window, tap_column);
                    match self.order() {
                        Order::PositionMajor => {
                            let start = index * width * depth + column;
                            for j in 0..width {
                                let patch = &mut matrix[start + j * depth..][..self.seen];
                                match line {
                                    Some(line) if inside.contains(&j) => {
                                        let pixel = j * horizontal.stride + tap_column * horizontal.dilation
                                            - horizontal.before;
                                        let start = pixel * self.channels + self.first;
                                        patch.copy_from_slice(&line[start..start + self.seen]);
                                    }
                                    _ => patch.fill(T::zero()),
                                }
                            }
                        }
                        Order::TapMajor => {
                            for channel in 0..self.seen {
                                let start = (column + channel) * positions + index * width;
                                let out = &mut matrix[start..start + width];
                                let Some(line) = line.filter(|_| !inside.is_empty()) else {
                                    out.fill(T::zero());
                                    continue;
                                };
                                let first = inside.start * horizontal.stride + tap_column * horizontal.dilation
                                    - horizontal.before;
                                let step = horizontal.stride * self.channels;
                                let line = &line[first * self.channels + self.first + channel..];
                                out[..inside.start].fill(T::zero());
                                out[inside.end..].fill(T::zero());
                                let out = &mut out[inside.clone()];
                                if step == 1 {
                                    out.copy_from_slice(&line[..out.len()]);
                                } else {
                                    for (out, pixel) in out.iter_mut().zip(line.iter().step_by(step)) {
                                        *out = *pixel;
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Adds the patches of the output rows `rows` to an image: the transpose of [`Patches::gather`].
    pub(super) fn scatter_add<T: Real>(&self, matrix: &[T], rows: std::ops::Range<usize>, image: &mut [T]) {
        let Window {
            rows: vertical,
            columns: horizontal,
        } = self.window;
        let (width, depth, positions) = (horizontal.output, self.depth(), rows.len() * horizontal.output);
        for (index, row) in rows.enumerate() {
            for tap_row in 0..vertical.window {
                let Some(pixel) = vertical.pixel(row, tap_row) else {
                    continue;
                };
                let length = horizontal.input * self.channels;
                let line = &mut image[pixel * length..(pixel + 1) * length];
                for tap_column in 0..horizontal.window {
                    let column = (tap_row * horizontal.window + tap_column) * self.seen;
                    for j in inside(&self.window, tap_column) {
                        let pixel = j * horizontal.stride + tap_column * horizontal.dilation - horizontal.before;
                        let start = pixel * self.channels + self.first;
                        let target = &mut line[start..start + self.seen];
                        match self.order() {
                            Order::PositionMajor => {
                                let start = (index * width + j) * depth + column;
                                for (target, term) in target.iter_mut().zip(&matrix[start..start + self.seen]) {
                                    *target += *term;
                                }
                            }
                            Order::TapMajor => {
                                for (channel, target) in target.iter_mut().enumerate() {
                                    *target += matrix[(column + channel) * positions + index * width + j];
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The positions along a row at which a tap lies on the image; they are neighbours.
fn inside(window: &Window, tap_column: usize) -> std::ops::Range<usize> {
    let axis = window.columns;
    let offset = tap_column * axis.dilation;
    let start = axis
        .before
        .saturating_sub(offset)
        .div_ceil(axis.stride)
        .min(axis.output);
    let end = match (axis.input + axis.before).checked_sub(offset + 1) {
        Some(last) => (last / axis.stride + 1).min(axis.output),
        None => 0,
    };
    start..end.max(start)
}
