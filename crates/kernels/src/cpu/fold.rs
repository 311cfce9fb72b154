//! Patches added up to volumes (col2im), the heart of a transposed convolution; its gradient takes patches out of volumes.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::real::{Real, for_real, numbers, slice, vectorized};
use crate::window::Axis;

/// Windows that slide over volumes of `channels`; images are volumes of depth 1, sequences images of height 1.
#[derive(Clone, Copy)]
struct Fold {
    axes: [Axis; 3],
    channels: usize,
}

/// `patches` is `(batch, positions, taps * channels)`, the result `(batch, depth, height, width, channels)`; none is empty.
///
/// Each pixel of the result is the sum over all taps that lie on it.
pub(crate) fn fold(patches: &Tensor, axes: &[Axis; 3], channels: usize) -> Result<Tensor> {
    patches.contiguous()?.apply_op1(Fold { axes: *axes, channels })
}

impl Fold {
    /// Numbers of one patch.
    fn depth(&self) -> usize {
        self.axes.iter().map(|axis| axis.window).product::<usize>() * self.channels
    }

    /// Where in a patch the channels of a tap start.
    fn place(&self, taps: [usize; 3]) -> usize {
        ((taps[0] * self.axes[1].window + taps[1]) * self.axes[2].window + taps[2]) * self.channels
    }
}

/// Works row by row of the result, so that no two threads write the same pixel.
fn forward<T: Real>(op: &Fold, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    let patches = slice::<T>(storage, layout)?;
    let images = layout.dims()[0];
    let Fold { axes, channels } = *op;
    let seen_by = axes.map(|axis| axis.by_pixel());
    let (depth, line) = (op.depth(), axes[2].output * op.depth());
    let [_, height, width] = axes.map(|axis| axis.input);
    let mut volumes = vec![T::zero(); images * axes[0].input * height * width * channels];
    volumes
        .par_chunks_exact_mut(width * channels)
        .enumerate()
        .for_each(|(row, pixels)| {
            let (slab, i) = (row / height, row % height);
            let (image, d) = (slab / axes[0].input, slab % axes[0].input);
            vectorized(
                #[inline(always)]
                || {
                    for &(p0, t0) in &seen_by[0][d] {
                        for &(p1, t1) in &seen_by[1][i] {
                            let start = ((image * axes[0].output + p0) * axes[1].output + p1) * line;
                            let patches = &patches[start..start + line];
                            for (pixel, seen_by) in pixels.chunks_exact_mut(channels).zip(&seen_by[2]) {
                                for &(p2, t2) in seen_by {
                                    let start = p2 * depth + op.place([t0, t1, t2]);
                                    for (sum, term) in pixel.iter_mut().zip(&patches[start..start + channels]) {
                                        *sum += *term;
                                    }
                                }
                            }
                        }
                    }
                },
            );
        });
    Ok(T::to_cpu_storage_owned(volumes))
}

/// The transpose: every patch copies the pixels under its taps.
fn backward<T: Real>(op: &Fold, patches: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    numbers!(volumes: T = gradient);
    let Fold { axes, channels } = *op;
    let sees = axes.map(|axis| axis.by_position());
    let (depth, line) = (op.depth(), axes[2].output * op.depth());
    let [slabs, height, width] = axes.map(|axis| axis.input);
    let mut taken = vec![T::zero(); patches.elem_count()];
    taken.par_chunks_exact_mut(line).enumerate().for_each(|(row, taken)| {
        let (slab, p1) = (row / axes[1].output, row % axes[1].output);
        let (image, p0) = (slab / axes[0].output, slab % axes[0].output);
        for &(d, t0) in &sees[0][p0] {
            for &(i, t1) in &sees[1][p1] {
                let start = ((image * slabs + d) * height + i) * width * channels;
                let pixels = &volumes[start..start + width * channels];
                for (patch, sees) in taken.chunks_exact_mut(depth).zip(&sees[2]) {
                    for &(j, t2) in sees {
                        let start = op.place([t0, t1, t2]);
                        patch[start..start + channels].copy_from_slice(&pixels[j * channels..(j + 1) * channels]);
                    }
                }
            }
        }
    });
    Tensor::from_vec(taken, patches.shape(), patches.device())
}

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let volumes = for_real!(storage.dtype(), "fold", forward::<T>(self, storage, layout))?;
        let [depth, height, width] = self.axes.map(|axis| axis.input);
        let dims = [layout.dims()[0], depth, height, width, self.channels];
        Ok((volumes, Shape::from(dims.to_vec())))
    }

    fn bwd(&self, patches: &Tensor, _volumes: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        for_real!(patches.dtype(), "fold", backward::<T>(self, patches, gradient)).map(Some)
    }
}
