//! `UpSampling1D`, `2D`, `3D`: larger sequences, images and volumes.

use candle_core::{Device, Tensor};
use kernels::Result;
use nn_theory::DataFormat;

/// How the values between the pixels are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Interpolation {
    Nearest,
    Bilinear,
    Bicubic,
    /// The windowed sine of this radius.
    Lanczos(f64),
}

impl Interpolation {
    /// Keras' name of it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "nearest" => Self::Nearest,
            "bilinear" => Self::Bilinear,
            "bicubic" => Self::Bicubic,
            "lanczos3" => Self::Lanczos(3.0),
            "lanczos5" => Self::Lanczos(5.0),
            _ => return None,
        })
    }
}

/// Each spatial axis made larger by its factor.
pub(crate) fn forward(sizes: &[usize], format: DataFormat, interpolation: Interpolation, x: &Tensor) -> Result<Tensor> {
    let first = if format == DataFormat::ChannelsLast { 1 } else { 2 };
    let mut y = x.clone();
    for (axis, &factor) in sizes.iter().enumerate() {
        y = match interpolation {
            Interpolation::Nearest => repeated(&y, first + axis, factor)?,
            other => resized(&y, first + axis, factor, other)?,
        };
    }
    Ok(y)
}

/// Every entry of an axis several times in a row.
pub(crate) fn repeated(x: &Tensor, axis: usize, count: usize) -> Result<Tensor> {
    let mut sizes = x.dims().to_vec();
    sizes.insert(axis + 1, count);
    let y = x.unsqueeze(axis + 1)?.broadcast_as(sizes)?.contiguous()?;
    let mut sizes = x.dims().to_vec();
    sizes[axis] *= count;
    Ok(y.reshape(sizes)?)
}

/// The axis multiplied by the matrix of the interpolation.
fn resized(x: &Tensor, axis: usize, factor: usize, interpolation: Interpolation) -> Result<Tensor> {
    let length = x.dim(axis)?;
    let last = x.rank() - 1;
    let matrix = matrix(length, length * factor, interpolation);
    let matrix = Tensor::from_vec(matrix, (length * factor, length), &Device::Cpu)?;
    let matrix = matrix.to_dtype(x.dtype())?.to_device(x.device())?;
    let moved = x.transpose(axis, last)?.contiguous()?;
    let mut sizes = moved.dims().to_vec();
    let rows = moved.elem_count().checked_div(length).unwrap_or(0);
    let y = moved.reshape((rows, length))?.matmul(&matrix.t()?.contiguous()?)?;
    sizes[last] = length * factor;
    Ok(y.reshape(sizes)?.transpose(axis, last)?.contiguous()?)
}

/// The share of each input pixel in each output pixel, row by row, as `tf.image.resize` computes it.
fn matrix(input: usize, output: usize, interpolation: Interpolation) -> Vec<f64> {
    let mut matrix = vec![0.0; input * output];
    let scale = input as f64 / output as f64;
    for (row, weights) in matrix.chunks_exact_mut(input).enumerate() {
        // Pixels have their values in their middles.
        let place = (row as f64 + 0.5) * scale - 0.5;
        let below = place.floor();
        match interpolation {
            Interpolation::Nearest => weights[((row as f64 + 0.5) * scale) as usize] = 1.0,
            Interpolation::Bilinear => {
                let clamp = |index: f64| (index.max(0.0) as usize).min(input - 1);
                weights[clamp(below)] += 1.0 - (place - below);
                weights[clamp(below + 1.0)] += place - below;
            }
            Interpolation::Bicubic => {
                // TensorFlow looks the weights up in a table of 1024 steps.
                let fraction = ((place - below) * 1024.0).round() / 1024.0;
                spread(weights, below, 2, |index| keys(fraction - index));
            }
            Interpolation::Lanczos(radius) => {
                spread(weights, below, radius as i64 + 1, |index| {
                    lanczos(place - below - index, radius)
                });
            }
        }
    }
    matrix
}

/// Weights of the pixels around `below`; those outside of the image are left out, and the rest sums to 1.
fn spread(weights: &mut [f64], below: f64, reach: i64, weight: impl Fn(f64) -> f64) {
    for offset in 1 - reach..=reach {
        let index = below as i64 + offset;
        if let Some(place) = usize::try_from(index).ok().and_then(|index| weights.get_mut(index)) {
            *place = weight(offset as f64);
        }
    }
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
}

/// The cubic convolution of Keys (1981) with `a = -1/2`.
fn keys(x: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

fn lanczos(x: f64, radius: f64) -> f64 {
    if x.abs() >= radius {
        return 0.0;
    }
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { x.sin() / x };
    let x = x * std::f64::consts::PI;
    sinc(x) * sinc(x / radius)
}
