//! Operations on volumes, depthwise convolution and normalization of samples, composed of candle's own operations.

use candle_core::Tensor;

use super::{Result, pad, tap, taps};
use crate::cpu::Boxes;
use crate::window::{Axis, Window};

/// Every `stride`-th slice along a dimension: `count` of them, from `start` on.
///
/// candle has no strided slice: pad to a multiple of the stride, fold, take the first of each group.
pub(crate) fn strided(x: &Tensor, dim: usize, start: usize, count: usize, stride: usize) -> Result<Tensor> {
    let reach = (count - 1) * stride + 1;
    let x = x.narrow(dim, start, reach)?;
    if stride == 1 {
        return Ok(x);
    }
    let x = x.pad_with_zeros(dim, 0, count * stride - reach)?;
    let mut folded = x.dims().to_vec();
    folded[dim] = count;
    folded.insert(dim + 1, stride);
    x.reshape(folded)?.narrow(dim + 1, 0, 1)?.squeeze(dim + 1)
}

/// One product for each tap; `kernel` is `(kernel height, kernel width, channels)`.
pub(crate) fn depthwise(x: &Tensor, kernel: &Tensor, bias: Option<&Tensor>, window: &Window) -> Result<Tensor> {
    let padded = pad(x, window, 0.0)?;
    let mut sum: Option<Tensor> = None;
    for (row, column) in taps(window) {
        let weights = kernel.narrow(0, row, 1)?.narrow(1, column, 1)?;
        let term = tap(&padded, window, row, column)?.broadcast_mul(&weights)?;
        sum = Some(match sum {
            Some(sum) => (sum + term)?,
            None => term,
        });
    }
    let y = sum.unwrap_or_else(|| x.clone());
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// `patches` is `(batch, positions, taps * channels)`; see the fused operation of this name.
pub(crate) fn fold(patches: &Tensor, axes: &[Axis; 3], channels: usize) -> Result<Tensor> {
    let images = patches.dim(0)?;
    let [depths, rows, columns] = axes.map(|axis| axis.window);
    let mut sum: Option<Tensor> = None;
    for index in 0..depths * rows * columns {
        let taps = [index / (rows * columns), index / columns % rows, index % columns];
        let dims = [images, axes[0].output, axes[1].output, axes[2].output, channels];
        let mut term = patches
            .narrow(2, index * channels, channels)?
            .contiguous()?
            .reshape(dims.to_vec())?;
        for (side, (axis, tap)) in axes.iter().zip(taps).enumerate() {
            term = spread(&term, side + 1, axis, tap)?;
        }
        sum = Some(match sum {
            Some(sum) => (sum + term)?,
            None => term,
        });
    }
    let mut y = sum.unwrap_or_else(|| patches.clone());
    for (side, axis) in axes.iter().enumerate() {
        let full = y.dim(side + 1)?;
        let kept = axis.input.min(full - axis.before);
        y = y
            .narrow(side + 1, axis.before, kept)?
            .pad_with_zeros(side + 1, 0, axis.input - kept)?;
    }
    Ok(y)
}

/// Puts what a tap sends out at every position where it goes, along one axis without its cuts.
fn spread(x: &Tensor, dim: usize, axis: &Axis, tap: usize) -> Result<Tensor> {
    let reach = (axis.output - 1) * axis.stride + 1;
    let mut x = x.clone();
    if axis.stride > 1 {
        let mut dims = x.dims().to_vec();
        x = x.unsqueeze(dim + 1)?.pad_with_zeros(dim + 1, 0, axis.stride - 1)?;
        dims[dim] *= axis.stride;
        x = x.reshape(dims)?.narrow(dim, 0, reach)?;
    }
    let extent = (axis.window - 1) * axis.dilation;
    x.pad_with_zeros(dim, tap * axis.dilation, extent - tap * axis.dilation)
}

/// The largest number of each box, axis by axis, the earlier one on a tie: that is the first one in row-major order.
pub(crate) fn max_boxes(x: &Tensor, boxes: &Boxes) -> Result<Tensor> {
    let mut y = x.clone();
    for side in (0..3).rev() {
        let mut best: Option<Tensor> = None;
        for step in 0..longest(boxes, side) {
            // Beyond its end a range repeats its last pixel, which wins against nobody.
            let seen = y.index_select(&pixels(boxes, side, step, x)?, side + 1)?;
            best = Some(match best {
                Some(best) => seen.gt(&best)?.where_cond(&seen, &best)?,
                None => seen,
            });
        }
        y = best.unwrap_or(y);
    }
    Ok(y)
}

/// The mean over a box is the mean over its depth of the means over its height of the means over its width.
pub(crate) fn avg_boxes(x: &Tensor, boxes: &Boxes) -> Result<Tensor> {
    let mut y = x.clone();
    for side in (0..3).rev() {
        let mut sum: Option<Tensor> = None;
        for step in 0..longest(boxes, side) {
            let seen = y.index_select(&pixels(boxes, side, step, x)?, side + 1)?;
            let inside = boxes[side].iter().map(|range| f32::from(u8::from(step < range.len())));
            let term = seen.broadcast_mul(&along(inside.collect(), side, x)?)?;
            sum = Some(match sum {
                Some(sum) => (sum + term)?,
                None => term,
            });
        }
        let counts = boxes[side].iter().map(|range| range.len() as f32);
        y = sum.unwrap_or(y).broadcast_div(&along(counts.collect(), side, x)?)?;
    }
    Ok(y)
}

/// Whole numbers along one side of a volume, for broadcasting.
fn along(numbers: Vec<f32>, side: usize, like: &Tensor) -> Result<Tensor> {
    let mut dims = vec![1; 5];
    dims[side + 1] = numbers.len();
    Tensor::from_vec(numbers, dims, like.device())?.to_dtype(like.dtype())
}

fn longest(boxes: &Boxes, side: usize) -> usize {
    boxes[side].iter().map(ExactSizeIterator::len).max().unwrap_or(0)
}

/// The pixel that each range has at a step.
fn pixels(boxes: &Boxes, side: usize, step: usize, like: &Tensor) -> Result<Tensor> {
    let pixels: Vec<u32> = boxes[side]
        .iter()
        .map(|range| (range.start + step).min(range.end - 1) as u32)
        .collect();
    Tensor::new(pixels, like.device())
}

/// `x` is `(samples, pixels, channels)`, `gamma` and `beta` are `(channels)`.
pub(crate) fn group_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    groups: usize,
    epsilon: f64,
    centred: bool,
) -> Result<Tensor> {
    let (samples, pixels, channels) = x.dims3()?;
    let grouped = x.reshape((samples, pixels, groups, channels / groups))?;
    let mean = |x: &Tensor| x.mean_keepdim(3)?.mean_keepdim(1);
    let centred = if centred {
        grouped.broadcast_sub(&mean(&grouped)?)?
    } else {
        grouped
    };
    let deviation = (mean(&centred.sqr()?)? + epsilon)?.sqrt()?;
    centred
        .broadcast_div(&deviation)?
        .reshape(x.shape())?
        .broadcast_mul(gamma)?
        .broadcast_add(beta)
}

#[cfg(test)]
mod tests {
    //! The fused operations against these, values and gradients.

    use super::super::tests::{agree, var};
    use super::*;
    use crate::cpu;
    use crate::window::Padding;

    #[test]
    fn depthwise_convolution() {
        let (x, kernel, bias) = (var("x", &[3, 7, 6, 35]), var("kernel", &[3, 2, 35]), var("bias", &[35]));
        for (strides, dilation, padding) in [
            ([1, 1], [1, 1], Padding::Valid),
            ([2, 1], [1, 2], Padding::Same),
            ([3, 2], [2, 1], Padding::Explicit([[0, 3], [2, 1]])),
        ] {
            let window = Window::new("test", [7, 6], [3, 2], strides, dilation, padding).unwrap();
            agree(
                cpu::depthwise(&x, &kernel, Some(&bias), &window, crate::Activation::Linear),
                depthwise(&x, &kernel, Some(&bias), &window),
                &[&x, &kernel, &bias],
            );
        }
    }

    #[test]
    fn folding() {
        for (padding, extra, strides, dilation) in [
            (Padding::Valid, None, [1, 2, 3], [1, 1, 1]),
            (Padding::Same, None, [2, 1, 2], [1, 2, 2]),
            (Padding::Same, Some(1), [2, 3, 1], [1, 1, 1]),
            (Padding::Valid, Some(2), [1, 2, 1], [2, 1, 1]),
        ] {
            let axis = |side: usize, positions: usize, window: usize| {
                Axis::transposed(
                    "test",
                    positions,
                    [window, strides[side], dilation[side]],
                    padding,
                    extra,
                )
                .unwrap()
            };
            let axes = [axis(0, 2, 2), axis(1, 3, 1), axis(2, 4, 3)];
            let patches = var("patches", &[2, 24, 2 * 3 * 5]);
            agree(cpu::fold(&patches, &axes, 5), fold(&patches, &axes, 5), &[&patches]);
        }
    }

    #[test]
    fn pooling_of_boxes() {
        let x = var("x", &[2, 3, 5, 6, 3]);
        let boxes = || -> Boxes { [vec![0..3, 1..2], vec![0..2, 1..4, 4..5], vec![0..6, 2..3]] };
        agree(cpu::max_boxes(&x, boxes()), max_boxes(&x, &boxes()), &[&x]);
        agree(cpu::avg_boxes(&x, boxes()), avg_boxes(&x, &boxes()), &[&x]);
    }

    #[test]
    fn normalization_of_samples() {
        for (dims, groups) in [([3, 5, 6], 2), ([3, 5, 6], 6), ([4, 1, 39], 1), ([4, 1, 40], 2)] {
            let (x, gamma, beta) = (var("x", &dims), var("gamma", &dims[2..]), var("beta", &dims[2..]));
            for centred in [true, false] {
                agree(
                    cpu::group_norm(&x, &gamma, &beta, groups, 1e-3, centred),
                    group_norm(&x, &gamma, &beta, groups, 1e-3, centred),
                    &[&x, &gamma, &beta],
                );
            }
        }
    }
}
