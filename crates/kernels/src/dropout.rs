//! Dropout whose mask is a function of a name.

use candle_core::Tensor;
use rand::RngCore;
use rayon::prelude::*;

use crate::error::{Error, Result, expect_float};
use crate::random::Stream;
use crate::{composed, cpu};

/// Sets numbers to 0 with probability `rate` and divides the others by `1 - rate` (inverted dropout): Keras' `Dropout`.
///
/// Row $i$ of the first dimension draws its mask from `stream.sample(i)`, so the mask depends neither on the batch size nor on
/// threads, and is the same on every device. For inference do not call it.
///
/// # Errors
/// If `rate` is not in `[0, 1)`, or `x` holds integers.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::{dropout, random::Stream};
///
/// let x = Tensor::ones((4, 100), DType::F32, &Device::Cpu)?;
/// let stream = Stream::new(1).op("dropout").step(0);
/// let y = dropout(&x, 0.5, stream)?.flatten_all()?.to_vec1::<f32>()?;
/// assert!(y.iter().all(|y| *y == 0.0 || *y == 2.0));
/// assert_eq!(y, dropout(&x, 0.5, stream)?.flatten_all()?.to_vec1::<f32>()?);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn dropout(x: &Tensor, rate: f64, stream: Stream) -> Result<Tensor> {
    const OP: &str = "dropout";
    expect_float(OP, "x", x)?;
    if !(0.0..1.0).contains(&rate) {
        return Err(Error::Option {
            op: OP,
            option: "rate",
            expected: "in [0, 1)".into(),
            found: rate.to_string(),
        });
    }
    if rate == 0.0 || x.elem_count() == 0 {
        return Ok(x.clone());
    }
    let mask = mask(x, rate, stream);
    let scale = 1.0 / (1.0 - rate);
    if composed::is_fused(x) {
        return Ok(cpu::dropout(x, mask, scale)?);
    }
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?;
    Ok(((x * mask)? * scale)?)
}

/// 1 where a number stays, 0 where it goes.
fn mask(x: &Tensor, rate: f64, stream: Stream) -> Vec<u8> {
    let rows = x.dims().first().copied().unwrap_or(1);
    let mut mask = vec![0u8; x.elem_count()];
    let row = mask.len() / rows;
    // A number goes when a 32-bit draw is below rate * 2^32.
    let threshold = (rate * 4_294_967_296.0) as u32;
    mask.par_chunks_mut(row).enumerate().for_each(|(index, row)| {
        let mut draws = stream.sample(index as u64).draws();
        for keep in row {
            *keep = u8::from(draws.next_u32() >= threshold);
        }
    });
    mask
}
