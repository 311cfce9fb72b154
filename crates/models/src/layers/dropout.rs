//! Layers that disturb values in training and pass them on in inference: dropout and noise.

use candle_core::Tensor;
use kernels::Result;
use kernels::random::{Draws, Stream};
use nn_theory::{DataFormat, Dropout};

use crate::call::stream_of;
use crate::network::Mode;

/// `Dropout`: each value is 0 with probability `rate` and divided by `1 - rate` otherwise; one draw serves all values
/// along the axes that `noise_shape` gives the size 1.
pub(crate) fn forward(layer: &Dropout, name: &str, x: &Tensor, mode: Mode) -> Result<Tensor> {
    let Mode::Training(stream) = mode else {
        return Ok(x.clone());
    };
    let stream = stream_of(stream, name, layer.seed);
    match &layer.noise_shape {
        None => drop(x, layer.rate, stream),
        Some(noise_shape) => {
            let sizes = noise_shape.iter().enumerate();
            let sizes: Vec<usize> = sizes
                .map(|(axis, size)| size.or(x.dims().get(axis).copied()).unwrap_or(1))
                .collect();
            shared(x, &sizes, layer.rate, stream)
        }
    }
}

/// `SpatialDropout1D`, `2D`, `3D`: whole channels.
pub(crate) fn spatial(
    rate: f64,
    seed: Option<i64>,
    format: DataFormat,
    name: &str,
    x: &Tensor,
    mode: Mode,
) -> Result<Tensor> {
    let Mode::Training(stream) = mode else {
        return Ok(x.clone());
    };
    let channel = match format {
        DataFormat::ChannelsLast => x.rank().saturating_sub(1),
        DataFormat::ChannelsFirst => 1,
    };
    let sizes = x.dims().iter().enumerate();
    let sizes: Vec<usize> = sizes
        .map(|(axis, &size)| if axis == 0 || axis == channel { size } else { 1 })
        .collect();
    shared(x, &sizes, rate, stream_of(stream, name, seed))
}

/// `GaussianDropout`: times `1 + √(rate / (1 - rate)) z`.
pub(crate) fn gaussian(rate: f64, seed: Option<i64>, name: &str, x: &Tensor, mode: Mode) -> Result<Tensor> {
    match mode {
        Mode::Training(stream) if rate > 0.0 => {
            let stddev = (rate / (1.0 - rate)).sqrt();
            let noise = drawn(x, stream_of(stream, name, seed), |draws| 1.0 + stddev * draws.normal())?;
            Ok((x * noise)?)
        }
        _ => Ok(x.clone()),
    }
}

/// `GaussianNoise`: plus `stddev z`.
pub(crate) fn noise(stddev: f64, seed: Option<i64>, name: &str, x: &Tensor, mode: Mode) -> Result<Tensor> {
    match mode {
        Mode::Training(stream) if stddev > 0.0 => {
            let noise = drawn(x, stream_of(stream, name, seed), |draws| stddev * draws.normal())?;
            Ok((x + noise)?)
        }
        _ => Ok(x.clone()),
    }
}

/// `AlphaDropout`: what is dropped becomes the limit `-1.7581` of SELU; then `a x + b` gives mean and variance back
/// (Klambauer et al., 2017).
pub(crate) fn alpha(rate: f64, seed: Option<i64>, name: &str, x: &Tensor, mode: Mode) -> Result<Tensor> {
    let Mode::Training(stream) = mode else {
        return Ok(x.clone());
    };
    if rate <= 0.0 {
        return Ok(x.clone());
    }
    let limit = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;
    let a = ((1.0 - rate) * (1.0 + rate * limit * limit)).powf(-0.5);
    let kept = drawn(x, stream_of(stream, name, seed), |draws| {
        f64::from(u8::from(draws.uniform() >= rate))
    })?;
    let dropped = kept.affine(-limit, limit)?;
    Ok(((x * kept)? + dropped)?.affine(a, -a * limit * rate)?)
}

/// A mask of this shape for values that are kept with probability `1 - rate`, in the number format of `x`.
pub(crate) fn mask(sizes: &[usize], rate: f64, stream: Stream, x: &Tensor) -> Result<Tensor> {
    drop(&Tensor::ones(sizes, x.dtype(), x.device())?, rate, stream)
}

/// Dropout with a draw for each value of a tensor of `sizes`, which `x` is divided into by broadcasting.
fn shared(x: &Tensor, sizes: &[usize], rate: f64, stream: Stream) -> Result<Tensor> {
    Ok(x.broadcast_mul(&mask(sizes, rate, stream, x)?)?)
}

/// Keras lets a rate of 1 drop everything.
fn drop(x: &Tensor, rate: f64, stream: Stream) -> Result<Tensor> {
    if rate >= 1.0 {
        return Ok(x.zeros_like()?);
    }
    kernels::dropout(x, rate, stream)
}

/// Numbers in the shape of `x`; row `i` of the first axis draws from `stream.sample(i)`.
fn drawn(x: &Tensor, stream: Stream, mut draw: impl FnMut(&mut Draws) -> f64) -> Result<Tensor> {
    let rows = x.dims().first().copied().unwrap_or(1);
    let row = x.elem_count().checked_div(rows).unwrap_or(0);
    let mut numbers = Vec::with_capacity(x.elem_count());
    for index in 0..rows {
        let mut draws = stream.sample(index as u64).draws();
        numbers.extend((0..row).map(|_| draw(&mut draws)));
    }
    let noise = Tensor::from_vec(numbers, x.dims(), &candle_core::Device::Cpu)?;
    Ok(noise.to_dtype(x.dtype())?.to_device(x.device())?)
}
