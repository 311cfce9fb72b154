//! The gradient of an image of few channels: each position adds to the pixels that it has seen.
//!
//! A convolution with the kernel turned round has a column for each channel, and few channels leave most of a vector empty. The pixels that a
//! position sees in one row of the kernel, with all of their channels, are neighbours in the image and fill vectors: they get the
//! position's gradient times that row of the kernel. Positions below each other see different rows of the image, so that a tile of the
//! product ([`super::tile`]) adds to as many of them as it has rows. It serves any stride.

use super::direct::Direct;
use super::factor::Packed;
use super::real::Real;
use super::simd::{MAX_ROWS, Simd};
use super::tile::{Left, Panel, Panels, tile};
use super::tiles::{Convolution, Lines};
use crate::window::{Axis, Window};

/// A kernel, row by row of taps, with a line of pixels for each filter.
pub(super) struct Scattered<T> {
    window: Window,
    channels: usize,
    filters: usize,
    kernel: Packed<T>,
}

impl<T: Real> Scattered<T> {
    /// `None` where turning the kernel round is the better way; `turned` are the lines that tiles would read then.
    pub(super) fn new<S: Simd<Scalar = T>>(direct: &Direct, kernel: &[T], turned: Lines<'_>) -> Option<Self> {
        let Direct {
            window,
            channels,
            filters,
            precision,
            ..
        } = *direct;
        let Window { rows, columns } = window;
        if !S::MASKED || columns.dilation > 1 || channels >= S::LANES {
            return None;
        }
        // In multiply-adds of vectors; loading and storing the sums of a tile takes about as long as three of them each.
        let seen = columns.window * channels;
        let panels = Panels::new::<S>(seen);
        let vectors = panels.count() * panels.width() / S::LANES;
        let scattered = window.positions() * rows.window * vectors * (filters + 3);
        let turned = Convolution::work::<T>(precision, channels, turned)
            .unwrap_or(rows.input * columns.input * window.taps() * filters);
        if scattered + scattered / 4 > turned {
            return None;
        }
        Some(Self::of::<S>(direct, kernel))
    }

    fn of<S: Simd<Scalar = T>>(direct: &Direct, kernel: &[T]) -> Self {
        let Direct {
            window,
            channels,
            filters,
            precision,
            ..
        } = *direct;
        let seen = window.columns.window * channels;
        let mut lines = vec![T::zero(); kernel.len()];
        let taps = kernel.chunks_exact(seen * filters);
        for (taps, lines) in taps.zip(lines.chunks_exact_mut(seen * filters)) {
            for (number, of_filters) in taps.chunks_exact(filters).enumerate() {
                for (filter, tap) in of_filters.iter().enumerate() {
                    lines[filter * seen + number] = *tap;
                }
            }
        }
        Self {
            window,
            channels,
            filters,
            kernel: Packed::new::<S>(&T::rounded(&lines, precision), seen),
        }
    }

    /// Numbers of the image with what lies around it.
    pub(super) fn len(&self) -> usize {
        let (rows, line) = self.padded();
        rows * line
    }

    /// Rows, and numbers of a row, of the image with what lies around it.
    fn padded(&self) -> (usize, usize) {
        let Window { rows, columns } = self.window;
        let sum = |axis: Axis| axis.before + axis.input + axis.after;
        (sum(rows), sum(columns) * self.channels)
    }

    /// Adds the gradient `dz` of an image's outputs to `dx`, which is zero; `around` is room for [`Scattered::len`] numbers.
    pub(super) fn image_gradient<S: Simd<Scalar = T>>(&self, dz: &[T], around: &mut [T], dx: &mut [T]) {
        let Window { rows, columns } = self.window;
        let (_, line) = self.padded();
        let row_len = columns.input * self.channels;
        if line == row_len && self.len() == dx.len() {
            return self.scatter::<S>(dz, dx);
        }
        around.fill(T::zero());
        self.scatter::<S>(dz, around);
        let first = rows.before * line + columns.before * self.channels;
        for (row, dx) in dx.chunks_exact_mut(row_len).enumerate() {
            dx.copy_from_slice(&around[first + row * line..][..row_len]);
        }
    }

    fn scatter<S: Simd<Scalar = T>>(&self, dz: &[T], image: &mut [T]) {
        let Window { rows, columns } = self.window;
        let (panels, filters) = (self.kernel.panels(), self.filters);
        let (_, line) = self.padded();
        let left = Left::new(dz, &[0], filters, 1);
        let of_tap = panels.width() * filters;
        // Positions below each other, in tiles of nearly the same number of them.
        let height = rows.output.div_ceil(rows.output.div_ceil(S::ROWS));
        for column in 0..columns.output {
            for first in (0..rows.output).step_by(height) {
                let mut places = [0; MAX_ROWS];
                let places = &mut places[..height.min(rows.output - first)];
                for (row, place) in places.iter_mut().enumerate() {
                    *place = ((first + row) * columns.output + column) * filters;
                }
                let start = first * rows.stride * line + column * columns.stride * self.channels;
                for (panel, kernel) in self.kernel.numbers().chunks_exact(rows.window * of_tap).enumerate() {
                    for (tap, numbers) in kernel.chunks_exact(of_tap).enumerate() {
                        let right = Panel {
                            panels,
                            numbers,
                            columns: panels.valid(panel),
                        };
                        let to = &mut image[start + tap * rows.dilation * line + panel * panels.width()..];
                        tile::<S, false>(left, places, right, to, rows.stride * line, true);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::WithDType;

    use super::*;
    use crate::activation::Activation;
    use crate::cpu::simd::{Plain, Vectors};
    use crate::precision::MatmulPrecision;
    use crate::window::Padding;

    /// What every position adds to every pixel that it sees, written out.
    fn plain(direct: &Direct, kernel: &[f64], dz: &[f64]) -> Vec<f64> {
        let Window { rows, columns } = direct.window;
        let (channels, filters) = (direct.channels, direct.filters);
        let mut dx = vec![0.0; rows.input * columns.input * channels];
        for (i, j) in (0..rows.output).flat_map(|i| (0..columns.output).map(move |j| (i, j))) {
            for (u, v) in (0..rows.window).flat_map(|u| (0..columns.window).map(move |v| (u, v))) {
                let (Some(row), Some(column)) = (rows.pixel(i, u), columns.pixel(j, v)) else {
                    continue;
                };
                for (channel, filter) in (0..channels).flat_map(|c| (0..filters).map(move |f| (c, f))) {
                    dx[(row * columns.input + column) * channels + channel] += dz
                        [(i * columns.output + j) * filters + filter]
                        * kernel[((u * columns.window + v) * channels + channel) * filters + filter];
                }
            }
        }
        dx
    }

    fn check<S: Simd>(direct: &Direct) {
        if !S::detected() {
            return;
        }
        // Small integers, so that no sum is rounded.
        let numbers = |len: usize| -> Vec<f64> { (0..len).map(|i| ((i * 37) % 19) as f64 - 9.0).collect() };
        let as_scalars =
            |numbers: &[f64]| -> Vec<S::Scalar> { numbers.iter().map(|x| S::Scalar::from_f64(*x)).collect() };
        let Window { rows, columns } = direct.window;
        let kernel = numbers(direct.window.taps() * direct.channels * direct.filters);
        let dz = numbers(direct.window.positions() * direct.filters);
        let expected = plain(direct, &kernel, &dz);
        let scattered = Scattered::of::<S>(direct, &as_scalars(&kernel));
        let zero = S::Scalar::from_f64(0.0);
        let mut around = vec![zero; scattered.len()];
        let mut dx = vec![zero; rows.input * columns.input * direct.channels];
        // A second image finds what the first one left.
        for _ in 0..2 {
            dx.fill(zero);
            scattered.image_gradient::<S>(&as_scalars(&dz), &mut around, &mut dx);
            let found: Vec<f64> = dx.iter().map(|x| x.to_f64()).collect();
            assert_eq!(
                found, expected,
                "{:?} {} {}",
                direct.window, direct.channels, direct.filters
            );
        }
    }

    #[test]
    fn every_position_adds_to_what_it_has_seen() {
        for (image, taps, strides, padding) in [
            ([14, 14], [5, 5], [1, 1], Padding::Valid),
            ([9, 31], [3, 4], [1, 1], Padding::Same),
            ([17, 8], [3, 3], [2, 2], Padding::Same),
            ([20, 7], [2, 3], [3, 1], Padding::Valid),
        ] {
            for (channels, filters) in [(1, 1), (3, 5), (6, 16), (7, 20)] {
                let direct = Direct {
                    window: Window::new("test", image, taps, strides, [1, 1], padding).unwrap(),
                    channels,
                    filters,
                    activation: Activation::Linear,
                    precision: MatmulPrecision::Highest,
                };
                check::<<f32 as Vectors>::Widest>(&direct);
                check::<<f64 as Vectors>::Widest>(&direct);
                check::<<f32 as Vectors>::Wide>(&direct);
                check::<Plain<f64>>(&direct);
            }
        }
    }
}
