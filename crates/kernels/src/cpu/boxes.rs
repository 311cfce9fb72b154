//! Pooling over boxes of any size and place: volumes and adaptive pooling.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::real::{Real, for_real, numbers, slice, tensor_like};
use crate::tape;

/// For each position along depth, height and width the pixels that it sees; never none.
pub(crate) type Boxes = [Vec<Range<usize>>; 3];

#[derive(Clone)]
struct Max {
    boxes: Arc<Boxes>,
    /// For each number of the output the place of its maximum in its volume; kept only where a gradient may be asked for.
    places: Arc<OnceLock<Vec<u32>>>,
    keep: bool,
}

struct Average {
    boxes: Arc<Boxes>,
}

/// `x` is `(n, d, h, w, c)`, not empty, with less than 2^32 numbers in a volume.
pub(crate) fn max_boxes(x: &Tensor, boxes: Boxes) -> Result<Tensor> {
    let keep = tape::wants_gradient(x);
    let op = Max {
        boxes: Arc::new(boxes),
        places: Arc::new(OnceLock::new()),
        keep,
    };
    tape::apply1(&x.contiguous()?, op)
}

pub(crate) fn avg_boxes(x: &Tensor, boxes: Boxes) -> Result<Tensor> {
    tape::apply1(&x.contiguous()?, Average { boxes: Arc::new(boxes) })
}

/// What one position sees.
struct Seen {
    /// Number of the position in its volume, in row-major order.
    position: usize,
    box_: [Range<usize>; 3],
}

impl Seen {
    fn pixels(&self) -> usize {
        self.box_.iter().map(ExactSizeIterator::len).product()
    }

    /// The pixels in row-major order, as numbers in a volume of this height and width.
    fn each(&self, [_, height, width]: [usize; 3]) -> impl Iterator<Item = usize> + '_ {
        let [depths, rows, columns] = &self.box_;
        depths.clone().flat_map(move |d| {
            rows.clone()
                .flat_map(move |i| columns.clone().map(move |j| (d * height + i) * width + j))
        })
    }
}

fn positions(boxes: &Boxes) -> impl Iterator<Item = Seen> + '_ {
    let [depths, rows, columns] = boxes;
    let all = depths
        .iter()
        .flat_map(move |d| rows.iter().flat_map(move |i| columns.iter().map(move |j| [d, i, j])));
    all.enumerate().map(|(position, box_)| Seen {
        position,
        box_: box_.map(Clone::clone),
    })
}

fn volume(dims: &[usize]) -> [usize; 3] {
    [dims[1], dims[2], dims[3]]
}

/// Numbers of one volume before and after pooling.
fn sizes(boxes: &Boxes, dims: &[usize]) -> (usize, usize) {
    (
        dims[1..].iter().product(),
        boxes.iter().map(Vec::len).product::<usize>() * dims[4],
    )
}

fn output_shape(boxes: &Boxes, layout: &Layout) -> Shape {
    let dims = layout.dims();
    Shape::from(vec![dims[0], boxes[0].len(), boxes[1].len(), boxes[2].len(), dims[4]])
}

fn max_forward<T: Real>(op: &Max, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    let (x, dims) = (slice::<T>(storage, layout)?, layout.dims());
    let (input, output) = sizes(&op.boxes, dims);
    let channels = dims[4];
    let mut y = vec![T::zero(); dims[0] * output];
    let mut places = vec![0u32; if op.keep { y.len() } else { dims[0] }];
    let kept = places.len() / dims[0];
    y.par_chunks_exact_mut(output)
        .zip(places.par_chunks_exact_mut(kept))
        .zip(x.par_chunks_exact(input))
        .for_each(|((y, places), x)| {
            for seen in positions(&op.boxes) {
                let at = seen.position * channels;
                let best = &mut y[at..at + channels];
                for (index, pixel) in seen.each(volume(dims)).enumerate() {
                    let x = &x[pixel * channels..(pixel + 1) * channels];
                    for (channel, (best, x)) in best.iter_mut().zip(x).enumerate() {
                        // The first pixel always counts, so that a box of NaN or minus infinity has a place too.
                        if index == 0 || *x > *best {
                            *best = *x;
                            if op.keep {
                                places[at + channel] = (pixel * channels + channel) as u32;
                            }
                        }
                    }
                }
            }
        });
    if op.keep {
        // A second forward call of the same operation would find the same places.
        let _ = op.places.set(places);
    }
    Ok(T::to_cpu_storage_owned(y))
}

fn max_backward<T: Real>(op: &Max, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let Some(places) = op.places.get() else {
        candle_core::bail!("max pooling: backward without forward");
    };
    let (input, output) = sizes(&op.boxes, x.dims());
    numbers!(dy: T = gradient);
    let mut dx = vec![T::zero(); x.elem_count()];
    dx.par_chunks_exact_mut(input)
        .zip(places.par_chunks_exact(output).zip(dy.par_chunks_exact(output)))
        .for_each(|(dx, (places, dy))| {
            for (place, dy) in places.iter().zip(dy) {
                dx[*place as usize] += *dy;
            }
        });
    tensor_like(dx, x)
}

fn average_forward<T: Real>(op: &Average, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    let (x, dims) = (slice::<T>(storage, layout)?, layout.dims());
    let (input, output) = sizes(&op.boxes, dims);
    let channels = dims[4];
    let mut y = vec![T::zero(); dims[0] * output];
    y.par_chunks_exact_mut(output)
        .zip(x.par_chunks_exact(input))
        .for_each(|(y, x)| {
            for seen in positions(&op.boxes) {
                let sums = &mut y[seen.position * channels..(seen.position + 1) * channels];
                for pixel in seen.each(volume(dims)) {
                    let x = &x[pixel * channels..(pixel + 1) * channels];
                    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += *x);
                }
                let share = T::one() / T::from_f64(seen.pixels() as f64);
                sums.iter_mut().for_each(|sum| *sum *= share);
            }
        });
    Ok(T::to_cpu_storage_owned(y))
}

fn average_backward<T: Real>(op: &Average, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let dims = x.dims();
    let (input, output) = sizes(&op.boxes, dims);
    let channels = dims[4];
    numbers!(dy: T = gradient);
    let mut dx = vec![T::zero(); x.elem_count()];
    dx.par_chunks_exact_mut(input)
        .zip(dy.par_chunks_exact(output))
        .for_each(|(dx, dy)| {
            for seen in positions(&op.boxes) {
                let share = T::one() / T::from_f64(seen.pixels() as f64);
                let dy = &dy[seen.position * channels..(seen.position + 1) * channels];
                for pixel in seen.each(volume(dims)) {
                    let dx = &mut dx[pixel * channels..(pixel + 1) * channels];
                    dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += *dy * share);
                }
            }
        });
    tensor_like(dx, x)
}

impl CustomOp1 for Max {
    fn name(&self) -> &'static str {
        "max_boxes"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = for_real!(storage.dtype(), "max_boxes", max_forward::<T>(self, storage, layout))?;
        Ok((y, output_shape(&self.boxes, layout)))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        for_real!(x.dtype(), "max_boxes", max_backward::<T>(self, x, gradient)).map(Some)
    }
}

impl CustomOp1 for Average {
    fn name(&self) -> &'static str {
        "avg_boxes"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = for_real!(
            storage.dtype(),
            "avg_boxes",
            average_forward::<T>(self, storage, layout)
        )?;
        Ok((y, output_shape(&self.boxes, layout)))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        for_real!(x.dtype(), "avg_boxes", average_backward::<T>(self, x, gradient)).map(Some)
    }
}
