//! Depthwise convolution: every channel with its own kernel, computed where the pixels lie, without copying patches.
//!
//! A product of matrices has nothing to gain here, as each number of the image meets one number of each tap. Vectors run along
//! the channels.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::linear::add;
use super::real::{Real, filled_with, for_real, numbers, slice, vectorized};
use crate::tape::{apply2, apply3, wants_gradient};
use crate::window::Window;

/// Into how many partial sums the kernel's gradient is cut, at most. Fixed, so that threads do not change the bits.
const PARTIAL_SUMS: usize = 16;

#[derive(Clone, Copy)]
struct Op {
    window: Window,
}

/// `x` is `(n, h, w, c)`, `kernel` `(kh, kw, c)`, `bias` `(c)`; none is empty.
pub(crate) fn depthwise(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, window: &Window) -> Result<Tensor> {
    let op = Op { window: *window };
    let (x, kernel) = (x.contiguous()?, kernel.contiguous()?);
    match bias {
        Some(bias) => apply3(&x, &kernel, &bias.contiguous()?, op),
        None => apply2(&x, &kernel, op),
    }
}

/// The pixels of a source that each pixel of a target meets along one axis, and under which tap.
type Meetings = Vec<Vec<(usize, usize)>>;

/// `target = bias + Σ source · tap`: the forward pass, and the gradient of the image with the meetings turned round.
struct Correlation<'a, T> {
    rows: Meetings,
    columns: Meetings,
    source: &'a [T],
    source_size: [usize; 2],
    kernel: &'a [T],
    kernel_width: usize,
    bias: Option<&'a [T]>,
    channels: usize,
}

impl<T: Real> Correlation<'_, T> {
    fn compute(&self, images: usize) -> Vec<T> {
        let (height, width) = (self.rows.len(), self.columns.len());
        let line = width * self.channels;
        // Rows of one image together, so that what they share is read from the cache; few images are shared out row by row.
        let rows = if images < 16 { 1 } else { height };
        filled_with(images * height * line, rows * line, Vec::new, |pairs, piece, pixels| {
            for (index, pixels) in pixels.chunks_exact_mut(line).enumerate() {
                let row = piece * rows + index;
                vectorized(
                    #[inline(always)]
                    || self.row(row / height, row % height, pairs, pixels),
                );
            }
        })
    }

    #[inline(always)]
    fn row(&self, image: usize, row: usize, pairs: &mut Vec<(usize, usize)>, pixels: &mut [T]) {
        let [height, width] = self.source_size;
        for (pixel, columns) in pixels.chunks_exact_mut(self.channels).zip(&self.columns) {
            pairs.clear();
            for &(from_row, tap_row) in &self.rows[row] {
                for &(from_column, tap_column) in columns {
                    let from = (image * height + from_row) * width + from_column;
                    let tap = tap_row * self.kernel_width + tap_column;
                    pairs.push((from * self.channels, tap * self.channels));
                }
            }
            if let Some(bias) = self.bias {
                pixel.copy_from_slice(bias);
            }
            add_products(pixel, pairs, self.source, self.kernel);
        }
    }
}

/// `sums += Σ a[i..] b[j..]` over the pairs `(i, j)`, each from there on as long as `sums`.
///
/// Several products are added at once, so that the sums are read and written seldom; they are added in the order of the pairs.
#[inline(always)]
fn add_products<T: Real>(sums: &mut [T], pairs: &[(usize, usize)], a: &[T], b: &[T]) {
    let (nines, rest) = pairs.as_chunks::<9>();
    nines.iter().for_each(|pairs| products(sums, pairs, a, b));
    let (threes, rest) = rest.as_chunks::<3>();
    threes.iter().for_each(|pairs| products(sums, pairs, a, b));
    let (ones, _) = rest.as_chunks::<1>();
    ones.iter().for_each(|pairs| products(sums, pairs, a, b));
}

#[inline(always)]
fn products<T: Real, const N: usize>(sums: &mut [T], pairs: &[(usize, usize); N], a: &[T], b: &[T]) {
    let len = sums.len();
    let a = pairs.map(|(start, _)| &a[start..start + len]);
    let b = pairs.map(|(_, start)| &b[start..start + len]);
    for index in 0..len {
        let mut sum = sums[index];
        for product in 0..N {
            sum += a[product][index] * b[product][index];
        }
        sums[index] = sum;
    }
}

fn forward<T: Real>(
    op: Op,
    x: (&CpuStorage, &Layout),
    kernel: (&CpuStorage, &Layout),
    bias: Option<(&CpuStorage, &Layout)>,
) -> Result<(CpuStorage, Shape)> {
    let Window { rows, columns } = op.window;
    let dims = x.1.dims();
    let correlation = Correlation {
        rows: rows.by_position(),
        columns: columns.by_position(),
        source: slice::<T>(x.0, x.1)?,
        source_size: [rows.input, columns.input],
        kernel: slice::<T>(kernel.0, kernel.1)?,
        kernel_width: columns.window,
        bias: bias.map(|(storage, layout)| slice::<T>(storage, layout)).transpose()?,
        channels: dims[3],
    };
    let y = correlation.compute(dims[0]);
    let shape = (dims[0], rows.output, columns.output, dims[3]);
    Ok((T::to_cpu_storage_owned(y), Shape::from(shape)))
}

/// Gradients of `x`, `kernel` and `bias`, each only if it is asked for.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

fn backward<T: Real>(
    op: Op,
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    gradient: &Tensor,
) -> Result<Gradients> {
    let Window { rows, columns } = op.window;
    let (images, channels) = (x.dims()[0], x.dims()[3]);
    numbers!(x_numbers: T = x);
    numbers!(kernel_numbers: T = kernel);
    numbers!(dy_numbers: T = gradient);
    let dx = wants_gradient(x).then(|| {
        let correlation = Correlation {
            rows: rows.by_pixel(),
            columns: columns.by_pixel(),
            source: dy_numbers,
            source_size: [rows.output, columns.output],
            kernel: kernel_numbers,
            kernel_width: columns.window,
            bias: None,
            channels,
        };
        Tensor::from_vec(correlation.compute(images), x.shape(), x.device())
    });
    let dkernel = wants_gradient(kernel).then(|| {
        let (image, output) = (rows.input * columns.input * channels, op.window.positions() * channels);
        let by_row = rows.by_position();
        // For each tap of a row of the kernel the (pixel, position) pairs at which it lies on the image.
        let mut by_tap = vec![Vec::new(); columns.window];
        for (position, seen) in columns.by_position().into_iter().enumerate() {
            for (pixel, tap) in seen {
                by_tap[tap].push((pixel * channels, position * channels));
            }
        }
        let sum = in_pieces(images, kernel.elem_count(), |index, sum| {
            let (x, dy) = (
                &x_numbers[index * image..][..image],
                &dy_numbers[index * output..][..output],
            );
            for (i, seen) in by_row.iter().enumerate() {
                let dy = &dy[i * columns.output * channels..][..columns.output * channels];
                for &(row, tap_row) in seen {
                    let x = &x[row * columns.input * channels..][..columns.input * channels];
                    let taps = &mut sum[tap_row * columns.window * channels..][..columns.window * channels];
                    for (tap, pairs) in taps.chunks_exact_mut(channels).zip(&by_tap) {
                        add_products(tap, pairs, x, dy);
                    }
                }
            }
        });
        Tensor::from_vec(sum, kernel.shape(), kernel.device())
    });
    let dbias = bias.filter(|bias| wants_gradient(bias)).map(|bias| {
        let output = op.window.positions() * channels;
        let sum = in_pieces(images, channels, |index, sum: &mut [T]| {
            for pixel in dy_numbers[index * output..][..output].chunks_exact(channels) {
                add(sum, pixel);
            }
        });
        Tensor::from_vec(sum, bias.shape(), bias.device())
    });
    Ok((dx.transpose()?, dkernel.transpose()?, dbias.transpose()?))
}

/// The sum over the images of what `add` adds for each, piece by piece in a fixed order.
fn in_pieces<T: Real>(images: usize, len: usize, add: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
    let each = images.div_ceil(PARTIAL_SUMS);
    let mut parts = vec![T::zero(); images.div_ceil(each) * len];
    parts.par_chunks_exact_mut(len).enumerate().for_each(|(piece, sum)| {
        vectorized(
            #[inline(always)]
            || {
                for image in piece * each..((piece + 1) * each).min(images) {
                    add(image, sum);
                }
            },
        );
    });
    let (total, rest) = parts.split_at_mut(len);
    for part in rest.chunks_exact(len) {
        super::linear::add(total, part);
    }
    parts.truncate(len);
    parts
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, k: &CpuStorage, lk: &Layout) -> Result<(CpuStorage, Shape)> {
        for_real!(
            x.dtype(),
            "depthwise_conv2d",
            forward::<T>(*self, (x, lx), (k, lk), None)
        )
    }

    fn bwd(&self, x: &Tensor, kernel: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, _) = for_real!(x.dtype(), "depthwise_conv2d", backward::<T>(*self, x, kernel, None, dy))?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        for_real!(
            x.dtype(),
            "depthwise_conv2d",
            forward::<T>(*self, (x, lx), (k, lk), Some((b, lb)))
        )
    }

    fn bwd(&self, x: &Tensor, kernel: &Tensor, bias: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Gradients> {
        for_real!(
            x.dtype(),
            "depthwise_conv2d",
            backward::<T>(*self, x, kernel, Some(bias), dy)
        )
    }
}
