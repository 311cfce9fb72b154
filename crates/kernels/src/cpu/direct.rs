//! Convolution without a matrix of patches: tiles of the product read the (padded) image where it lies.
//!
//! Forward: the rows of the left factor are output positions, its runs the rows of the kernel. Gradient of the kernel: the rows are
//! taps, the runs the rows of the output. Gradient of the image, for stride 1: a convolution of the output's gradient with the kernel
//! turned round.

use candle_core::WithDType;
use rayon::prelude::*;

use super::activation::{apply, apply_gradient};
use super::real::{Real, filled, pairwise, vectorized};
use super::simd::{Simd, Vectors, with_simd};
use super::tile::{Left, Panels, tile};
use crate::activation::Activation;
use crate::window::{Axis, Window};

/// A convolution of one group.
#[derive(Clone, Copy)]
pub(super) struct Direct {
    pub(super) window: Window,
    pub(super) channels: usize,
    pub(super) filters: usize,
    pub(super) activation: Activation,
}

/// Where the taps of a kernel lie in an image whose rows have `line` numbers: runs of neighbouring numbers.
fn runs(window: &Window, line: usize, channels: usize) -> (Vec<usize>, usize) {
    let (rows, columns) = (window.rows, window.columns);
    if columns.dilation == 1 {
        let starts = (0..rows.window).map(|tap| tap * rows.dilation * line).collect();
        return (starts, columns.window * channels);
    }
    let taps = (0..rows.window).flat_map(|row| (0..columns.window).map(move |column| (row, column)));
    let starts = taps
        .map(|(row, column)| row * rows.dilation * line + column * columns.dilation * channels)
        .collect();
    (starts, channels)
}

/// The numbers of a vector from its first one that is aligned to 64 bytes; the vector is made long enough.
fn aligned<T: Real>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    let spare = 64 / size_of::<T>();
    buffer.resize(len + spare, T::zero());
    let skip = buffer.as_ptr().align_offset(64).min(spare);
    &mut buffer[skip..skip + len]
}

/// Copies rows `first..` of an image into the middle of a larger, zeroed one: `before` columns of zeros stand before each row.
fn place<T: Real>(image: &[T], row_len: usize, to: &mut [T], line: usize, first: usize, before: usize) {
    for (row, numbers) in image.chunks_exact(row_len).enumerate() {
        to[(first + row) * line + before..][..row_len].copy_from_slice(numbers);
    }
}

impl Direct {
    fn image(&self) -> usize {
        self.window.rows.input * self.window.columns.input * self.channels
    }

    fn output(&self) -> usize {
        self.window.positions() * self.filters
    }

    fn is_padded(&self) -> bool {
        let padded = |axis: Axis| axis.before + axis.after > 0;
        padded(self.window.rows) || padded(self.window.columns)
    }

    /// Numbers of a row of the padded image, and of all its rows.
    fn padded(&self) -> (usize, usize) {
        let sum = |axis: Axis| axis.before + axis.input + axis.after;
        let line = sum(self.window.columns) * self.channels;
        (line, sum(self.window.rows) * line)
    }

    /// The image with its zeros around; the image itself where there are none.
    fn pad<'a, T: Real>(&self, image: &'a [T], padded: &'a mut [T]) -> &'a [T] {
        if !self.is_padded() {
            return image;
        }
        let (rows, columns) = (self.window.rows, self.window.columns);
        let (line, _) = self.padded();
        place(
            image,
            columns.input * self.channels,
            padded,
            line,
            rows.before,
            columns.before * self.channels,
        );
        padded
    }

    /// Whether the gradient of the image is a convolution, too.
    pub(super) fn turns_round(&self) -> bool {
        let fits = |axis: Axis| {
            let reach = (axis.window - 1) * axis.dilation;
            axis.stride == 1 && axis.before <= reach && axis.after <= reach
        };
        fits(self.window.rows) && fits(self.window.columns)
    }

    /// The outputs of all images.
    pub(super) fn forward<T: Vectors>(&self, x: &[T], kernel: &[T], bias: Option<&[T]>) -> Vec<T> {
        with_simd!(T, S => self.forward_with::<S<T>>(x, kernel, bias))
    }

    fn forward_with<S: Simd>(
        &self,
        x: &[S::Scalar],
        kernel: &[S::Scalar],
        bias: Option<&[S::Scalar]>,
    ) -> Vec<S::Scalar> {
        let panels = Panels::new::<S>(self.filters);
        let mut packed = Vec::new();
        let packed = pack::<S>(kernel, self.filters, panels, &mut packed);
        let padded = if self.is_padded() { self.padded().1 } else { 0 };
        let images = x.len() / self.image();
        let row = self.window.columns.output * self.filters;
        // Few images are cut into bands of rows, so that there is work for all threads.
        let bands = 16usize.div_ceil(images.max(1)).min(self.window.rows.output);
        let band = self.window.rows.output.div_ceil(bands);
        filled(images * self.output(), self.output(), |index, y| {
            let mut buffer = Vec::new();
            let image = self.pad(&x[index * self.image()..][..self.image()], aligned(&mut buffer, padded));
            if bands == 1 {
                self.band::<S>(image, packed, panels, 0, y, bias);
            } else {
                y.par_chunks_mut(band * row).enumerate().for_each(|(index, y)| {
                    self.band::<S>(image, packed, panels, index * band, y, bias);
                });
            }
        })
    }

    /// The rows of the output from `first` on.
    fn band<S: Simd>(
        &self,
        image: &[S::Scalar],
        packed: &[S::Scalar],
        panels: Panels,
        first: usize,
        y: &mut [S::Scalar],
        bias: Option<&[S::Scalar]>,
    ) {
        let (line, _) = self.padded();
        let (rows, columns) = (self.window.rows, self.window.columns);
        let (starts, length) = runs(&self.window, line, self.channels);
        let start = |position: usize| {
            let (i, j) = (first + position / columns.output, position % columns.output);
            i * rows.stride * line + j * columns.stride * self.channels
        };
        products::<S>(image, &starts, length, start, packed, panels, y);
        finish(y, self.filters, bias, self.activation);
    }

    /// Adds the gradients that some images make to `dw` and `db`, and writes that of the images into `dx`; what is empty is not wanted.
    pub(super) fn backward<T: Vectors>(
        &self,
        piece: Images<'_, T>,
        kernel: &[T],
        dx: &mut [T],
        dw: &mut [T],
        db: &mut [T],
    ) {
        with_simd!(T, S => self.backward_with::<S<T>>(piece, kernel, dx, dw, db));
    }

    fn backward_with<S: Simd>(
        &self,
        piece: Images<'_, S::Scalar>,
        kernel: &[S::Scalar],
        dx: &mut [S::Scalar],
        dw: &mut [S::Scalar],
        db: &mut [S::Scalar],
    ) {
        let zero = S::Scalar::from_f64(0.0);
        let panels = Panels::new::<S>(self.filters);
        let positions = self.window.positions();
        let padded_len = if self.is_padded() { self.padded().1 } else { 0 };
        let (mut padded, mut packed, mut dz, mut around, mut turned) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let padded = aligned(&mut padded, padded_len);
        let packed = aligned(&mut packed, if dw.is_empty() { 0 } else { panels.len(positions) });
        let activates = self.activation != Activation::Linear;
        dz.resize(if activates { self.output() } else { 0 }, zero);
        let turning = (!dx.is_empty()).then(|| Turned::new::<S>(self, kernel, &mut turned));
        let around = aligned(&mut around, turning.as_ref().map_or(0, |turned| turned.len));
        let mut dx = dx.chunks_exact_mut(self.image());
        let images = piece.x.chunks_exact(self.image());
        let outputs = piece
            .y
            .chunks_exact(self.output())
            .zip(piece.dy.chunks_exact(self.output()));
        for (image, (y, dy)) in images.zip(outputs) {
            let dz: &[S::Scalar] = if activates {
                dz.copy_from_slice(dy);
                apply_gradient(&mut dz, &[], y, self.filters, self.activation);
                &dz
            } else {
                dy
            };
            if !db.is_empty() {
                vectorized(
                    #[inline(always)]
                    || {
                        for pixel in dz.chunks_exact(self.filters) {
                            pairwise(db, pixel, |sum, term| *sum += *term);
                        }
                    },
                );
            }
            if !dw.is_empty() {
                vectorized(
                    #[inline(always)]
                    || {
                        for (position, pixel) in dz.chunks_exact(self.filters).enumerate() {
                            panels.put(position, positions, pixel, packed);
                        }
                    },
                );
                self.kernel_gradient::<S>(self.pad(image, padded), packed, panels, dw);
            }
            if let (Some(turned), Some(dx)) = (&turning, dx.next()) {
                turned.image_gradient::<S>(dz, around, dx);
            }
        }
    }

    /// `dw += patches^T dz` of one image.
    fn kernel_gradient<S: Simd>(
        &self,
        image: &[S::Scalar],
        packed: &[S::Scalar],
        panels: Panels,
        dw: &mut [S::Scalar],
    ) {
        let (line, _) = self.padded();
        let (rows, columns) = (self.window.rows, self.window.columns);
        let (starts, length) = runs(&self.window, line, self.channels);
        let lines: Vec<usize> = (0..rows.output).map(|i| i * rows.stride * line).collect();
        // The rows of the product, taps and channels, in the order of the kernel. Tiles of nearly the same number of them, also across
        // the runs, which are short where there are few channels.
        let taps: Vec<usize> = starts
            .iter()
            .flat_map(|start| (0..length).map(move |tap| start + tap))
            .collect();
        let height = taps.len().div_ceil(taps.len().div_ceil(S::ROWS));
        let panel_len = packed.len() / panels.count();
        for (panel, right) in packed.chunks_exact(panel_len).enumerate() {
            for (index, rows) in taps.chunks(height).enumerate() {
                let left = Left {
                    data: image,
                    rows,
                    starts: &lines,
                    length: columns.output,
                    step: columns.stride * self.channels,
                };
                let to = &mut dw[index * height * self.filters + panel * panels.width()..];
                let valid = panels.valid(panel);
                if rows[rows.len() - 1] - rows[0] + 1 == rows.len() {
                    tile::<S, true>(left, panels, right, to, self.filters, valid, true);
                } else {
                    tile::<S, false>(left, panels, right, to, self.filters, valid, true);
                }
            }
        }
    }
}

/// Images with what came out of them and its gradient.
#[derive(Clone, Copy)]
pub(super) struct Images<'a, T> {
    pub(super) x: &'a [T],
    pub(super) y: &'a [T],
    pub(super) dy: &'a [T],
}

/// The convolution that brings the gradient of the output back to the image: with the taps in reverse order, and inputs and outputs
/// exchanged.
struct Turned<'a, T> {
    direct: &'a Direct,
    kernel: &'a [T],
    panels: Panels,
    /// Numbers of the gradient with zeros around, and of a row of it.
    len: usize,
    line: usize,
}

impl<'a, T: Real> Turned<'a, T> {
    fn new<S: Simd<Scalar = T>>(direct: &'a Direct, kernel: &[T], buffer: &'a mut Vec<T>) -> Self {
        let (channels, filters, taps) = (direct.channels, direct.filters, direct.window.taps());
        let panels = Panels::new::<S>(channels);
        let packed = aligned(buffer, panels.len(taps * filters));
        let mut row = vec![T::zero(); channels];
        for tap in 0..taps {
            let former = &kernel[(taps - 1 - tap) * channels * filters..][..channels * filters];
            for filter in 0..filters {
                for (channel, number) in row.iter_mut().enumerate() {
                    *number = former[channel * filters + filter];
                }
                panels.put(tap * filters + filter, taps * filters, &row, packed);
            }
        }
        let reach = |axis: Axis| (axis.window - 1) * axis.dilation;
        let line = (direct.window.columns.input + reach(direct.window.columns)) * filters;
        Self {
            direct,
            kernel: packed,
            panels,
            len: (direct.window.rows.input + reach(direct.window.rows)) * line,
            line,
        }
    }

    fn image_gradient<S: Simd<Scalar = T>>(&self, dz: &[T], around: &mut [T], dx: &mut [T]) {
        let Direct { window, filters, .. } = *self.direct;
        let offset = |axis: Axis| (axis.window - 1) * axis.dilation - axis.before;
        let row_len = window.columns.output * filters;
        place(
            dz,
            row_len,
            around,
            self.line,
            offset(window.rows),
            offset(window.columns) * filters,
        );
        let (starts, length) = runs(&window, self.line, filters);
        let width = window.columns.input;
        let start = |position: usize| position / width * self.line + position % width * filters;
        products::<S>(around, &starts, length, start, self.kernel, self.panels, dx);
    }
}

/// A matrix (rows x columns) in panels.
fn pack<'a, S: Simd>(
    matrix: &[S::Scalar],
    columns: usize,
    panels: Panels,
    buffer: &'a mut Vec<S::Scalar>,
) -> &'a [S::Scalar] {
    let rows = matrix.len() / columns;
    let packed = aligned(buffer, panels.len(rows));
    for (row, numbers) in matrix.chunks_exact(columns).enumerate() {
        panels.put(row, rows, numbers, packed);
    }
    packed
}

/// `out = left right`, where row `r` of the left factor starts at `start(r)` and has the runs, and `right` is packed.
fn products<S: Simd>(
    data: &[S::Scalar],
    starts: &[usize],
    length: usize,
    start: impl Fn(usize) -> usize,
    right: &[S::Scalar],
    panels: Panels,
    out: &mut [S::Scalar],
) {
    let columns = panels.columns;
    let count = out.len() / columns;
    let height = count.div_ceil(count.div_ceil(S::ROWS).max(1));
    let places: Vec<usize> = (0..count).map(start).collect();
    let panel_len = panels.width() * starts.len() * length;
    for (panel, right) in right.chunks_exact(panel_len).enumerate() {
        for (index, rows) in places.chunks(height).enumerate() {
            let left = Left {
                data,
                rows,
                starts,
                length,
                step: 1,
            };
            let to = &mut out[index * height * columns + panel * panels.width()..];
            tile::<S, false>(left, panels, right, to, columns, panels.valid(panel), false);
        }
    }
}

/// Adds the bias to every pixel and applies the activation.
fn finish<T: Real>(y: &mut [T], filters: usize, bias: Option<&[T]>, activation: Activation) {
    let Some(bias) = bias else {
        return apply(y, filters, activation);
    };
    let (zero, relu) = (T::zero(), activation == Activation::Relu);
    vectorized(
        #[inline(always)]
        || {
            for pixel in y.chunks_exact_mut(filters) {
                if relu {
                    pairwise(pixel, bias, |y, bias| {
                        let sum = *y + *bias;
                        *y = if sum <= zero { zero } else { sum };
                    });
                } else {
                    pairwise(pixel, bias, |y, bias| *y += *bias);
                }
            }
        },
    );
    if !relu {
        apply(y, filters, activation);
    }
}
