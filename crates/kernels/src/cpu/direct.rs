//! Convolution without a matrix of patches: tiles of the product read the (padded) image where it lies.
//!
//! Forward: the rows of the left factor are output positions, its runs the rows of the kernel. Gradient of the kernel: the rows are
//! taps, the runs the rows of the output. Gradient of the image, for stride 1: a convolution of the output's gradient with the kernel
//! turned round.

use candle_core::WithDType;
use rayon::prelude::*;

use super::activation::{apply, apply_gradient};
use super::factor::{Factor, Places, aligned};
use super::real::{Real, filled, filled_pair, filled_with, pairwise, vectorized};
use super::scattered::Scattered;
use super::simd::{Simd, Vectors, with_simd};
use super::tile::{Left, Panel, Panels, are_neighbours, tile};
use super::tiles::{KernelGradient, Lines};
use super::whole_pools::{maxima, to_winners};
use crate::activation::Activation;
use crate::precision::MatmulPrecision;
use crate::window::{Axis, Window};

/// A convolution of one group.
#[derive(Clone, Copy)]
pub(super) struct Direct {
    pub(super) window: Window,
    pub(super) channels: usize,
    pub(super) filters: usize,
    pub(super) activation: Activation,
    pub(super) precision: MatmulPrecision,
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
        let (starts, length) = runs(&self.window, self.padded().0, self.channels);
        let lines = self.steps_by_one().then(|| self.lines(&starts, length));
        let right = Factor::new::<S>(self.precision, kernel, self.filters, lines);
        let images = x.len() / self.image();
        filled(images * self.output(), self.output(), |index, y| {
            self.image_forward::<S>(images, &x[index * self.image()..][..self.image()], &right, bias, y);
        })
    }

    /// The maxima of the outputs of all images over pools and, where they are kept, the taps of the pools at which they stand.
    pub(super) fn forward_pooled<T: Vectors>(
        &self,
        x: &[T],
        kernel: &[T],
        bias: Option<&[T]>,
        pool: &Window,
        keep: bool,
    ) -> (Vec<T>, Vec<T>) {
        with_simd!(T, S => self.forward_pooled_with::<S<T>>(x, kernel, bias, pool, keep))
    }

    fn forward_pooled_with<S: Simd>(
        &self,
        x: &[S::Scalar],
        kernel: &[S::Scalar],
        bias: Option<&[S::Scalar]>,
        pool: &Window,
        keep: bool,
    ) -> (Vec<S::Scalar>, Vec<S::Scalar>)
    where
        S::Scalar: Vectors,
    {
        let (starts, length) = runs(&self.window, self.padded().0, self.channels);
        let lines = self.steps_by_one().then(|| self.lines(&starts, length));
        let right = Factor::new::<S>(self.precision, kernel, self.filters, lines);
        let images = x.len() / self.image();
        let pooled = pool.positions() * self.filters;
        let one = |outputs: &mut Vec<S::Scalar>, index: usize, y: &mut [S::Scalar], winners: &mut [S::Scalar]| {
            // One image's outputs stay in the cache until they have been pooled.
            outputs.resize(self.output(), S::Scalar::from_f64(0.0));
            let image = &x[index * self.image()..][..self.image()];
            self.image_forward::<S>(images, image, &right, bias, outputs);
            maxima(pool, self.filters, outputs, y, winners);
        };
        let len = images * pooled;
        if keep {
            filled_pair(len, pooled, Vec::new, one)
        } else {
            let y = filled_with(len, pooled, Vec::new, |outputs, index, y| {
                one(outputs, index, y, &mut [])
            });
            (y, Vec::new())
        }
    }

    /// The outputs of one of `images` images.
    fn image_forward<S: Simd>(
        &self,
        images: usize,
        image: &[S::Scalar],
        kernel: &Factor<S::Scalar>,
        bias: Option<&[S::Scalar]>,
        y: &mut [S::Scalar],
    ) {
        let padded = if self.is_padded() { self.padded().1 } else { 0 };
        let mut buffer = Vec::new();
        let image = self.pad(image, aligned(&mut buffer, padded));
        // Few images are cut into bands of rows, so that there is work for all threads.
        let bands = 16usize.div_ceil(images.max(1)).min(self.window.rows.output);
        if bands == 1 {
            return self.band::<S>(image, kernel, 0, y, bias);
        }
        let band = self.window.rows.output.div_ceil(bands);
        let row = self.window.columns.output * self.filters;
        y.par_chunks_mut(band * row).enumerate().for_each(|(index, y)| {
            self.band::<S>(image, kernel, index * band, y, bias);
        });
    }

    /// The rows of the output from `first` on.
    fn band<S: Simd>(
        &self,
        image: &[S::Scalar],
        kernel: &Factor<S::Scalar>,
        first: usize,
        y: &mut [S::Scalar],
        bias: Option<&[S::Scalar]>,
    ) {
        let (line, _) = self.padded();
        let (rows, columns) = (self.window.rows, self.window.columns);
        let (starts, length) = runs(&self.window, line, self.channels);
        match kernel {
            Factor::Tiles(kernel) => {
                let lines = Lines {
                    rows: y.len() / (columns.output * self.filters),
                    ..self.lines(&starts, length)
                };
                kernel.apply(&image[first * line..], lines, y);
            }
            Factor::Panels(kernel) => {
                let places = Places {
                    width: columns.output,
                    first: first * rows.stride * line,
                    line: rows.stride * line,
                    step: columns.stride * self.channels,
                };
                kernel.products::<S>(image, &starts, length, places, y);
            }
        }
        finish(y, self.filters, bias, self.activation);
    }

    /// The lines of the padded image, as the tiles of [`super::tiles`] read them.
    fn lines<'a>(&self, starts: &'a [usize], length: usize) -> Lines<'a> {
        Lines {
            starts,
            length,
            channels: self.channels,
            width: self.padded().0 / self.channels,
            columns: self.window.columns.output,
            rows: self.window.rows.output,
        }
    }

    /// The lines of the output's gradient with zeros around, where it is what is convolved.
    fn turned_lines<'a>(&self, starts: &'a [usize], length: usize, line: usize) -> Lines<'a> {
        Lines {
            starts,
            length,
            channels: self.filters,
            width: line / self.filters,
            columns: self.window.columns.input,
            rows: self.window.rows.input,
        }
    }

    /// Numbers of a row of the output's gradient with zeros around.
    fn turned_line(&self) -> usize {
        let columns = self.window.columns;
        (columns.input + (columns.window - 1) * columns.dilation) * self.filters
    }

    /// Where the taps of the kernel lie in the padded image, in pixels.
    fn taps(&self) -> Vec<usize> {
        let (rows, columns) = (self.window.rows, self.window.columns);
        let width = self.padded().0 / self.channels;
        let place = |row: usize, column: usize| row * rows.dilation * width + column * columns.dilation;
        let places = (0..rows.window).flat_map(|row| (0..columns.window).map(move |column| place(row, column)));
        places.collect()
    }

    /// Whether each output lies one pixel beside the one before.
    fn steps_by_one(&self) -> bool {
        self.window.rows.stride == 1 && self.window.columns.stride == 1
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
    ) where
        S::Scalar: Vectors,
    {
        let zero = S::Scalar::from_f64(0.0);
        let panels = Panels::new::<S>(self.filters);
        let positions = self.window.positions();
        let padded_len = if self.is_padded() { self.padded().1 } else { 0 };
        let (mut padded, mut packed, mut dz, mut around) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let padded = aligned(&mut padded, padded_len);
        let (starts, length) = runs(&self.window, self.padded().0, self.channels);
        let lines = self.steps_by_one().then(|| self.lines(&starts, length));
        let mut on_tiles = lines
            .filter(|_| !dw.is_empty())
            .and_then(|lines| KernelGradient::new::<S::Scalar>(self.precision, lines, self.taps(), self.filters));
        let packs = !dw.is_empty() && on_tiles.is_none();
        let packed = aligned(&mut packed, if packs { panels.len(positions) } else { 0 });
        let activates = self.activation != Activation::Linear;
        let output = piece
            .pooled
            .map_or(self.output(), |(pool, _)| pool.positions() * self.filters);
        // Of the biases' gradients, for a few pixels beside each other.
        let mut sums = vec![zero; self.filters * pixels_at_once(self.filters)];
        let mut before = vec![zero; if activates { output } else { 0 }];
        // What lies in no pool stays zero.
        dz.resize(if piece.pooled.is_some() { self.output() } else { 0 }, zero);
        let backwards = (!dx.is_empty()).then(|| Backwards::new::<S>(self, kernel));
        let around = aligned(&mut around, backwards.as_ref().map_or(0, Backwards::len));
        let mut dx = dx.chunks_exact_mut(self.image());
        let images = piece.x.chunks_exact(self.image());
        let outputs = piece.y.chunks_exact(output).zip(piece.dy.chunks_exact(output));
        for (index, (image, (y, dy))) in images.zip(outputs).enumerate() {
            let mut before_activation = dy;
            if activates {
                before.copy_from_slice(dy);
                apply_gradient(&mut before, &[], y, self.filters, self.activation);
                before_activation = &before;
            }
            if let Some((pool, winners)) = &piece.pooled {
                let winners = &winners[index * output..][..output];
                to_winners(pool, self.filters, winners, before_activation, &mut dz);
            }
            let dz = if piece.pooled.is_some() { &dz } else { before_activation };
            if !db.is_empty() {
                vectorized(
                    #[inline(always)]
                    || {
                        for pixels in dz.chunks(sums.len()) {
                            pairwise(&mut sums[..pixels.len()], pixels, |sum, term| *sum += *term);
                        }
                    },
                );
            }
            if let Some(gradient) = &mut on_tiles {
                gradient.add(self.pad(image, padded), dz, dw);
            } else if !dw.is_empty() {
                vectorized(
                    #[inline(always)]
                    || {
                        panels.put_all::<S>(dz, positions, packed);
                    },
                );
                self.kernel_gradient::<S>(self.pad(image, padded), packed, panels, dw);
            }
            match (&backwards, dx.next()) {
                (Some(Backwards::Turned(kernel)), Some(dx)) => kernel.image_gradient::<S>(dz, around, dx),
                (Some(Backwards::Scattered(kernel)), Some(dx)) => kernel.image_gradient::<S>(dz, around, dx),
                _ => {}
            }
        }
        if !db.is_empty() {
            for pixel in sums.chunks_exact(self.filters) {
                pairwise(db, pixel, |sum, term| *sum += *term);
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
        let left = Left::new(image, &lines, columns.output, columns.stride * self.channels);
        for (panel, numbers) in packed.chunks_exact(panel_len).enumerate() {
            let right = Panel {
                panels,
                numbers,
                columns: panels.valid(panel),
            };
            for (index, rows) in taps.chunks(height).enumerate() {
                let to = &mut dw[index * height * self.filters + panel * panels.width()..];
                if are_neighbours(rows) {
                    tile::<S, true>(left, rows, right, to, self.filters, true);
                } else {
                    tile::<S, false>(left, rows, right, to, self.filters, true);
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
    /// Where `y` are the maxima of pools: these, and the taps at which the maxima stand.
    pub(super) pooled: Option<(Window, &'a [T])>,
}

/// How the gradient of the output becomes that of the image.
enum Backwards<'a, T> {
    Turned(Turned<'a, T>),
    Scattered(Scattered<T>),
}

impl<'a, T: Real> Backwards<'a, T> {
    fn new<S: Simd<Scalar = T>>(direct: &'a Direct, kernel: &[T]) -> Self {
        let line = direct.turned_line();
        let (starts, length) = runs(&direct.window, line, direct.filters);
        let lines = direct.turned_lines(&starts, length, line);
        match Scattered::new::<S>(direct, kernel, lines) {
            Some(scattered) => Backwards::Scattered(scattered),
            None => Backwards::Turned(Turned::new::<S>(direct, kernel)),
        }
    }

    /// Numbers of the room that it needs.
    fn len(&self) -> usize {
        match self {
            Backwards::Turned(kernel) if kernel.len == kernel.direct.output() => 0,
            Backwards::Turned(kernel) => kernel.len,
            Backwards::Scattered(kernel) => kernel.len(),
        }
    }
}

/// The convolution that brings the gradient of the output back to the image: with the taps in reverse order, and inputs and outputs
/// exchanged.
struct Turned<'a, T> {
    direct: &'a Direct,
    kernel: Factor<T>,
    /// Numbers of the gradient with zeros around, and of a row of it.
    len: usize,
    line: usize,
}

impl<'a, T: Real> Turned<'a, T> {
    fn new<S: Simd<Scalar = T>>(direct: &'a Direct, kernel: &[T]) -> Self {
        let (channels, filters, taps) = (direct.channels, direct.filters, direct.window.taps());
        let mut turned = vec![T::zero(); kernel.len()];
        for (tap, turned) in turned.chunks_exact_mut(channels * filters).enumerate() {
            let former = &kernel[(taps - 1 - tap) * channels * filters..][..channels * filters];
            for (channel, numbers) in former.chunks_exact(filters).enumerate() {
                for (filter, number) in numbers.iter().enumerate() {
                    turned[filter * channels + channel] = *number;
                }
            }
        }
        let reach = |axis: Axis| (axis.window - 1) * axis.dilation;
        let line = direct.turned_line();
        let (starts, length) = runs(&direct.window, line, filters);
        let lines = direct.turned_lines(&starts, length, line);
        Self {
            direct,
            kernel: Factor::new::<S>(direct.precision, &turned, channels, Some(lines)),
            len: (direct.window.rows.input + reach(direct.window.rows)) * line,
            line,
        }
    }

    fn image_gradient<S: Simd<Scalar = T>>(&self, dz: &[T], around: &mut [T], dx: &mut [T]) {
        let Direct { window, filters, .. } = *self.direct;
        let offset = |axis: Axis| (axis.window - 1) * axis.dilation - axis.before;
        let row_len = window.columns.output * filters;
        let around = if self.len == dz.len() {
            dz
        } else {
            place(
                dz,
                row_len,
                around,
                self.line,
                offset(window.rows),
                offset(window.columns) * filters,
            );
            around
        };
        let (starts, length) = runs(&window, self.line, filters);
        match &self.kernel {
            Factor::Tiles(kernel) => kernel.apply(around, self.direct.turned_lines(&starts, length, self.line), dx),
            Factor::Panels(kernel) => {
                let places = Places {
                    width: window.columns.input,
                    first: 0,
                    line: self.line,
                    step: filters,
                };
                kernel.products::<S>(around, &starts, length, places, dx);
            }
        }
    }
}

/// Pixels of so many channels that go through a loop together, so that it has enough numbers.
fn pixels_at_once(channels: usize) -> usize {
    64usize.div_ceil(channels)
}

/// Adds the bias to every pixel and applies the activation.
fn finish<T: Real>(y: &mut [T], filters: usize, bias: Option<&[T]>, activation: Activation) {
    let Some(bias) = bias else {
        return apply(y, filters, activation);
    };
    let biases = bias.repeat(pixels_at_once(filters));
    let (zero, relu) = (T::zero(), activation == Activation::Relu);
    vectorized(
        #[inline(always)]
        || {
            for pixels in y.chunks_mut(biases.len()) {
                let biases = &biases[..pixels.len()];
                if relu {
                    pairwise(pixels, biases, |y, bias| {
                        let sum = *y + *bias;
                        *y = if sum <= zero { zero } else { sum };
                    });
                } else {
                    pairwise(pixels, biases, |y, bias| *y += *bias);
                }
            }
        },
    );
    if !relu {
        apply(y, filters, activation);
    }
}
