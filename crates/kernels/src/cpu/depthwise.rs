//! Depthwise convolution: every channel with its own kernel, computed where the pixels lie, without copying patches.
//!
//! A product of matrices has nothing to gain here, as each number of the image meets one number of each tap. Vectors run along
//! the channels.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::activation::{activation as apply_activation, apply, apply_gradient, derivative_from_output};
use super::correlation::{Correlation, Geometry, Pixels, add_products};
use super::linear::add;
use super::real::{for_real, numbers, slice};
use super::simd::Vectors;
use crate::activation::Activation;
use crate::tape::{apply2, apply3, wants_gradient};
use crate::window::Window;

/// Into how many partial sums the gradients of kernel and bias are cut, at most. Fixed, so that threads do not change the bits.
const PARTIAL_SUMS: usize = 16;

#[derive(Clone, Copy)]
struct Op {
    window: Window,
    activation: Activation,
}

/// `x` is `(n, h, w, c)`, `kernel` `(kh, kw, c)`, `bias` `(c)`; none is empty.
pub(crate) fn depthwise(
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    window: &Window,
    activation: Activation,
) -> Result<Tensor> {
    let fused = derivative_from_output(activation);
    let op = Op {
        window: *window,
        activation: if fused { activation } else { Activation::Linear },
    };
    let (x, kernel) = (x.contiguous()?, kernel.contiguous()?);
    let y = match bias {
        Some(bias) => apply3(&x, &kernel, &bias.contiguous()?, op)?,
        None => apply2(&x, &kernel, op)?,
    };
    if fused { Ok(y) } else { apply_activation(&y, activation) }
}

fn forward<T: Vectors>(
    op: Op,
    x: (&CpuStorage, &Layout),
    kernel: (&CpuStorage, &Layout),
    bias: Option<(&CpuStorage, &Layout)>,
) -> Result<(CpuStorage, Shape)> {
    let Window { rows, columns } = op.window;
    let dims = x.1.dims();
    let channels = dims[3];
    let geometry = Geometry {
        rows: rows.by_position(),
        columns: columns.by_position(),
        every: 1,
        step: columns.stride,
        source_width: columns.input,
        kernel_width: columns.window,
    };
    let bias = bias.map(|(storage, layout)| slice::<T>(storage, layout)).transpose()?;
    let correlation = Correlation::new(geometry, slice::<T>(kernel.0, kernel.1)?, bias, channels);
    let y = correlation.compute(slice::<T>(x.0, x.1)?, dims[0], |row| {
        apply(row, channels, op.activation);
    });
    let shape = (dims[0], rows.output, columns.output, channels);
    Ok((T::to_cpu_storage_owned(y), Shape::from(shape)))
}

/// Gradients of `x`, `kernel` and `bias`, each only if it is asked for.
type Gradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

fn backward<T: Vectors>(
    op: Op,
    x: &Tensor,
    kernel: &Tensor,
    bias: Option<&Tensor>,
    y: &Tensor,
    gradient: &Tensor,
) -> Result<Gradients> {
    let Window { rows, columns } = op.window;
    let (images, channels, kernel_len) = (x.dims()[0], x.dims()[3], kernel.elem_count());
    numbers!(x_numbers: T = x);
    numbers!(kernel_numbers: T = kernel);
    numbers!(y_numbers: T = y);
    numbers!(dy_numbers: T = gradient);
    let image = rows.input * columns.input * channels;
    let line = columns.output * channels;
    let output = rows.output * line;
    let to_image = wants_gradient(x).then(|| {
        // A pixel that is a stride further meets the next position under the same taps.
        let geometry = Geometry {
            rows: rows.by_pixel(),
            columns: columns.by_pixel(),
            every: columns.stride,
            step: 1,
            source_width: columns.output,
            kernel_width: columns.window,
        };
        Correlation::new(geometry, kernel_numbers, None, channels)
    });
    let to_kernel = wants_gradient(kernel).then(|| KernelGradient::new(&op.window, channels));
    let want_bias = bias.is_some_and(wants_gradient);

    let each = images.div_ceil(PARTIAL_SUMS);
    let pieces = images.div_ceil(each);
    let dx_len = if to_image.is_some() { images * image } else { 0 };
    let mut dx = Vec::with_capacity(dx_len);
    let mut dkernel = vec![T::zero(); if to_kernel.is_some() { pieces * kernel_len } else { 0 }];
    let mut dbias = vec![T::zero(); if want_bias { pieces * channels } else { 0 }];
    let mut dx_parts = dx.spare_capacity_mut()[..dx_len].chunks_mut(each * image);
    let mut dkernel_parts = dkernel.chunks_mut(kernel_len);
    let mut dbias_parts = dbias.chunks_mut(channels);
    let work: Vec<_> = (0..pieces)
        .map(|piece| {
            let parts = (
                dx_parts.next().unwrap_or_default(),
                dkernel_parts.next().unwrap_or_default(),
                dbias_parts.next().unwrap_or_default(),
            );
            (piece * each..((piece + 1) * each).min(images), parts)
        })
        .collect();
    work.into_par_iter()
        .with_max_len(1)
        .for_each(|(images, (dx, dkernel, dbias))| {
            let mut before = vec![T::zero(); if op.activation == Activation::Linear { 0 } else { output }];
            // Of the bias' gradient, column by column: rows are longer than pixels.
            let mut sums = vec![T::zero(); if want_bias { line } else { 0 }];
            let mut dx = dx.chunks_mut(image);
            for index in images {
                let mut dy = &dy_numbers[index * output..][..output];
                if op.activation != Activation::Linear {
                    before.copy_from_slice(dy);
                    let y = &y_numbers[index * output..][..output];
                    apply_gradient(&mut before, &[], y, channels, op.activation);
                    dy = &before;
                }
                if let (Some(correlation), Some(dx)) = (&to_image, dx.next()) {
                    correlation.image(dy, dx);
                }
                if let Some(gradient) = &to_kernel {
                    gradient.add(&x_numbers[index * image..][..image], dy, dkernel);
                }
                if want_bias {
                    dy.chunks_exact(line).for_each(|row| add(&mut sums, row));
                }
            }
            if want_bias {
                sums.chunks_exact(channels).for_each(|pixel| add(dbias, pixel));
            }
        });
    // SAFETY: the parts of all pieces are the first `dx_len` numbers, and each image of them was cleared.
    unsafe { dx.set_len(dx_len) };

    let sum = |mut parts: Vec<T>, len: usize, like: &Tensor| {
        let (total, rest) = parts.split_at_mut(len);
        rest.chunks_exact(len).for_each(|part| add(total, part));
        parts.truncate(len);
        Tensor::from_vec(parts, like.shape(), like.device())
    };
    let dx = to_image.map(|_| Tensor::from_vec(dx, x.shape(), x.device()));
    let dkernel = to_kernel.map(|_| sum(dkernel, kernel_len, kernel));
    let dbias = bias.filter(|_| want_bias).map(|bias| sum(dbias, channels, bias));
    Ok((dx.transpose()?, dkernel.transpose()?, dbias.transpose()?))
}

/// The way from an image and the gradient of its output to the kernel's.
struct KernelGradient {
    rows: Vec<Vec<(usize, usize)>>,
    /// For each tap of a row of the kernel the first position at which it lies on the image, the pixel there, and how many there are.
    taps: Vec<(usize, usize, usize)>,
    width: usize,
    output_width: usize,
    stride: usize,
    channels: usize,
}

impl KernelGradient {
    fn new(window: &Window, channels: usize) -> Self {
        let Window { rows, columns } = *window;
        let positions = |tap| {
            let mut seen = (0..columns.output).filter_map(|position| Some((position, columns.pixel(position, tap)?)));
            match seen.next() {
                Some((position, pixel)) => (position, pixel, 1 + seen.count()),
                None => (0, 0, 0),
            }
        };
        Self {
            rows: rows.by_position(),
            taps: (0..columns.window).map(positions).collect(),
            width: columns.input,
            output_width: columns.output,
            stride: columns.stride,
            channels,
        }
    }

    fn add<T: Vectors>(&self, x: &[T], dy: &[T], sums: &mut [T]) {
        let channels = self.channels;
        for (position_row, seen) in self.rows.iter().enumerate() {
            for &(row, tap_row) in seen {
                let sums = &mut sums[tap_row * self.taps.len() * channels..][..self.taps.len() * channels];
                for (sums, &(position, pixel, count)) in sums.chunks_exact_mut(channels).zip(&self.taps) {
                    let x = Pixels {
                        numbers: x,
                        first: (row * self.width + pixel) * channels,
                        step: self.stride * channels,
                    };
                    let dy = Pixels {
                        numbers: dy,
                        first: (position_row * self.output_width + position) * channels,
                        step: channels,
                    };
                    add_products(sums, x, dy, count);
                }
            }
        }
    }
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

    fn bwd(&self, x: &Tensor, kernel: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, _) = for_real!(
            x.dtype(),
            "depthwise_conv2d",
            backward::<T>(*self, x, kernel, None, y, dy)
        )?;
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

    fn bwd(&self, x: &Tensor, kernel: &Tensor, bias: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Gradients> {
        for_real!(
            x.dtype(),
            "depthwise_conv2d",
            backward::<T>(*self, x, kernel, Some(bias), y, dy)
        )
    }
}
