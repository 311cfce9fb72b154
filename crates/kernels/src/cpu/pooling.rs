//! Pooling image by image; the maxima's places are kept for the gradient.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::linear::add;
use super::real::{Real, filled, filled_pair, for_real, numbers, slice, tensor_like, vectorized};
use super::simd::Vectors;
use super::whole_pools::{are_counted, are_whole, maxima, means, spread, to_winners};
use crate::tape::{apply1, wants_gradient};
use crate::window::Window;

struct Max {
    window: Window,
    /// For each number of the output the place of its maximum in its image; kept only where a gradient may be asked for.
    places: OnceLock<Vec<u32>>,
    /// For pools that are whole and apart instead: the number of the tap at which the maximum stands, of the image's type so that it is
    /// compared as fast as a number.
    winners: OnceLock<CpuStorage>,
    keep: bool,
}

struct Average {
    window: Window,
}

pub(crate) fn max_pool2d(x: &Tensor, window: &Window) -> Result<Tensor> {
    let keep = wants_gradient(x);
    let op = Max {
        window: *window,
        places: OnceLock::new(),
        winners: OnceLock::new(),
        keep,
    };
    apply1(&x.contiguous()?, op)
}

pub(crate) fn avg_pool2d(x: &Tensor, window: &Window) -> Result<Tensor> {
    apply1(&x.contiguous()?, Average { window: *window })
}

/// Calls `see(output pixel, input pixel)` for every tap that lies on the image, in row-major order of outputs, then of taps.
#[inline(always)]
fn for_each_tap(window: &Window, mut see: impl FnMut(usize, usize)) {
    let Window { rows, columns } = *window;
    for i in 0..rows.output {
        for j in 0..columns.output {
            for tap_row in 0..rows.window {
                let Some(row) = rows.pixel(i, tap_row) else { continue };
                for tap_column in 0..columns.window {
                    let Some(column) = columns.pixel(j, tap_column) else {
                        continue;
                    };
                    see(i * columns.output + j, row * columns.input + column);
                }
            }
        }
    }
}

/// Numbers of one image before and after pooling.
fn sizes(window: &Window, channels: usize) -> (usize, usize) {
    (
        window.rows.input * window.columns.input * channels,
        window.positions() * channels,
    )
}

fn output_shape(window: &Window, layout: &Layout) -> Shape {
    let dims = layout.dims();
    Shape::from((dims[0], window.rows.output, window.columns.output, dims[3]))
}

fn max_forward<T: Vectors>(op: &Max, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    let x = slice::<T>(storage, layout)?;
    let (images, channels) = (layout.dims()[0], layout.dims()[3]);
    let (image, output) = sizes(&op.window, channels);
    if are_whole(&op.window) && (are_counted(&op.window) || !op.keep) {
        if !op.keep {
            let y = filled(images * output, output, |index, y| {
                maxima(&op.window, channels, &x[index * image..][..image], y, &mut []);
            });
            return Ok(T::to_cpu_storage_owned(y));
        }
        let (y, winners) = filled_pair(
            images * output,
            output,
            || (),
            |(), index, y, winners| {
                maxima(&op.window, channels, &x[index * image..][..image], y, winners);
            },
        );
        let _ = op.winners.set(T::to_cpu_storage_owned(winners));
        return Ok(T::to_cpu_storage_owned(y));
    }
    // Every pool sees at least one pixel of the image, so no infinity is left in the end.
    let mut y = vec![T::from_f64(f64::NEG_INFINITY); images * output];
    if !op.keep {
        y.par_chunks_exact_mut(output)
            .zip(x.par_chunks_exact(image))
            .for_each(|(y, x)| {
                vectorized(
                    #[inline(always)]
                    || {
                        for_each_tap(&op.window, |to, from| {
                            let best = &mut y[to * channels..(to + 1) * channels];
                            for (best, x) in best.iter_mut().zip(&x[from * channels..(from + 1) * channels]) {
                                *best = x.larger(*best);
                            }
                        });
                    },
                );
            });
        return Ok(T::to_cpu_storage_owned(y));
    }
    let mut places = vec![u32::MAX; images * output];
    y.par_chunks_exact_mut(output)
        .zip(places.par_chunks_exact_mut(output))
        .zip(x.par_chunks_exact(image))
        .for_each(|((y, places), x)| {
            vectorized(
                #[inline(always)]
                || {
                    for_each_tap(&op.window, |to, from| {
                        let best = &mut y[to * channels..(to + 1) * channels];
                        let places = &mut places[to * channels..(to + 1) * channels];
                        let x = &x[from * channels..(from + 1) * channels];
                        for (index, ((best, place), x)) in best.iter_mut().zip(places).zip(x).enumerate() {
                            // A pool of nothing but minus infinity or NaN still has a place: its first pixel.
                            let wins = *x > *best || *place == u32::MAX;
                            *place = if wins { (from * channels + index) as u32 } else { *place };
                            *best = if wins { *x } else { *best };
                        }
                    });
                },
            );
        });
    // A second forward call of the same operation would find the same places.
    let _ = op.places.set(places);
    Ok(T::to_cpu_storage_owned(y))
}

fn max_backward<T: Vectors>(op: &Max, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if let Some(winners) = op.winners.get().filter(|_| op.keep) {
        let winners = T::cpu_storage_as_slice(winners)?;
        let channels = x.dims()[3];
        let (image, output) = sizes(&op.window, channels);
        numbers!(dy: T = gradient);
        let dx = filled(x.elem_count(), image, |index, dx| {
            let outputs = index * output..(index + 1) * output;
            to_winners(&op.window, channels, &winners[outputs.clone()], &dy[outputs], dx);
        });
        return tensor_like(dx, x);
    }
    let Some(places) = op.places.get() else {
        candle_core::bail!("max_pool2d: backward without forward");
    };
    let (image, output) = sizes(&op.window, x.dims()[3]);
    numbers!(gradient_numbers: T = gradient);
    let mut dx = vec![T::zero(); x.elem_count()];
    dx.par_chunks_exact_mut(image)
        .zip(
            places
                .par_chunks_exact(output)
                .zip(gradient_numbers.par_chunks_exact(output)),
        )
        .for_each(|(dx, (places, gradient))| {
            for (place, gradient) in places.iter().zip(gradient) {
                dx[*place as usize] += *gradient;
            }
        });
    tensor_like(dx, x)
}

/// One over the number of pixels that each pool sees on the image.
fn weights<T: Real>(window: &Window) -> Vec<T> {
    (0..window.positions())
        .map(|position| {
            let (i, j) = (position / window.columns.output, position % window.columns.output);
            T::one() / T::from_f64((window.rows.taps_inside(i) * window.columns.taps_inside(j)) as f64)
        })
        .collect()
}

fn average_forward<T: Vectors>(window: &Window, storage: &CpuStorage, layout: &Layout) -> Result<CpuStorage> {
    let x = slice::<T>(storage, layout)?;
    let (images, channels) = (layout.dims()[0], layout.dims()[3]);
    let (image, output) = sizes(window, channels);
    let weights = weights::<T>(window);
    let y = filled(images * output, output, |index, y| {
        let x = &x[index * image..][..image];
        if are_whole(window) {
            return means(window, channels, x, y);
        }
        for_each_tap(window, |to, from| {
            add(
                &mut y[to * channels..(to + 1) * channels],
                &x[from * channels..(from + 1) * channels],
            );
        });
        for (y, weight) in y.chunks_exact_mut(channels).zip(&weights) {
            y.iter_mut().for_each(|y| *y *= *weight);
        }
    });
    Ok(T::to_cpu_storage_owned(y))
}

fn average_backward<T: Vectors>(window: &Window, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let channels = x.dims()[3];
    let (image, output) = sizes(window, channels);
    numbers!(gradient_numbers: T = gradient);
    let weights = weights::<T>(window);
    let dx = filled(x.elem_count(), image, |index, dx| {
        let gradient = &gradient_numbers[index * output..][..output];
        if are_whole(window) {
            return spread(window, channels, gradient, dx);
        }
        for_each_tap(window, |from, to| {
            let weight = weights[from];
            let gradient = &gradient[from * channels..(from + 1) * channels];
            for (dx, gradient) in dx[to * channels..(to + 1) * channels].iter_mut().zip(gradient) {
                *dx += *gradient * weight;
            }
        });
    });
    tensor_like(dx, x)
}

impl CustomOp1 for Max {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = for_real!(storage.dtype(), "max_pool2d", max_forward::<T>(self, storage, layout))?;
        Ok((y, output_shape(&self.window, layout)))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        for_real!(x.dtype(), "max_pool2d", max_backward::<T>(self, x, gradient)).map(Some)
    }
}

impl CustomOp1 for Average {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = for_real!(
            storage.dtype(),
            "avg_pool2d",
            average_forward::<T>(&self.window, storage, layout)
        )?;
        Ok((y, output_shape(&self.window, layout)))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        for_real!(
            x.dtype(),
            "avg_pool2d",
            average_backward::<T>(&self.window, x, gradient)
        )
        .map(Some)
    }
}
