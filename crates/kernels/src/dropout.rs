//! Dropout whose mask is a function of a name.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::cpu::Mask;
use crate::cpu::draws::at_least;
use crate::error::{Error, Result, expect_float};
use crate::random::Stream;
use crate::tape;
use crate::{composed, cpu};

/// Draws that one thread makes at a time: a multiple of those that are made together.
const DRAWS: usize = 1 << 14;

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
    let mask = Tensor::from_vec(mask.bytes(), x.shape(), x.device())?.to_dtype(x.dtype())?;
    tape::composed_of(x, |x| Ok(((x * mask)? * scale)?))
}

/// Which numbers stay.
fn mask(x: &Tensor, rate: f64, stream: Stream) -> Mask {
    let rows = x.dims().first().copied().unwrap_or(1);
    let row = x.elem_count() / rows;
    let words = Mask::words(row);
    let mut bits = vec![0; rows * words];
    // A number goes when a 32-bit draw is below rate * 2^32.
    let threshold = (rate * 4_294_967_296.0) as u32;
    bits.par_chunks_mut(words)
        .with_min_len((DRAWS / row).max(1))
        .enumerate()
        .for_each(|(index, bits)| {
            let key = stream.sample(index as u64).key();
            bits.par_chunks_mut(DRAWS / 16)
                .enumerate()
                .for_each(|(piece, bits)| at_least(&key, piece * DRAWS, threshold, bits));
        });
    Mask::new(bits, row)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use rand::RngCore;

    use super::*;

    /// One draw after the other, as the documentation says.
    #[test]
    fn each_row_draws_from_its_own_stream() {
        for dims in [[3, 5], [4, 16], [7, 33], [2, 20_000], [300, 1]] {
            let x = Tensor::ones((dims[0], dims[1]), DType::F32, &Device::Cpu).unwrap();
            let stream = Stream::new(3).op("dropout");
            let found = dropout(&x, 0.3, stream).unwrap().to_vec2::<f32>().unwrap();
            let threshold = (0.3 * 4_294_967_296.0) as u32;
            for (index, row) in found.iter().enumerate() {
                let mut draws = stream.sample(index as u64).draws();
                for y in row {
                    let kept = draws.next_u32() >= threshold;
                    assert_eq!(*y, if kept { (1.0f64 / 0.7) as f32 } else { 0.0 });
                }
            }
        }
    }
}
