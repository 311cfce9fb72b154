//! Noise that a record can hold: as the seed it came from, or value by value.

use kernels::random::{Draws, Stream};
use rand::RngCore as _;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::pixels::Pixel;
use crate::vectors::{Work, widest};

/// Random numbers, one a pixel or one a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// The numbers that this seed gives; a record of a few bytes.
    Seed(u64),
    /// The numbers themselves, to replay noise that was drawn elsewhere.
    Values(Vec<f32>),
}

/// A seed for numbers that are drawn when they are needed.
pub(crate) fn seed(draws: &mut Draws) -> u64 {
    // 53 bits: JSON readers that keep numbers as doubles do not change it.
    (draws.uniform() * (1u64 << 53) as f64) as u64
}

impl Noise {
    /// A seed, drawn.
    pub(crate) fn draw(draws: &mut Draws) -> Self {
        Self::Seed(seed(draws))
    }

    /// `n` numbers: those recorded, or of the standard normal distribution.
    pub(crate) fn normal(&self, transformation: &'static str, n: usize) -> Result<Vec<f32>> {
        let mut values = vec![0f32; n];
        self.join_normal(transformation, &mut values, |_, noise| noise)?;
        Ok(values)
    }

    /// Joins each value with a number: one of those recorded, or of the standard normal distribution.
    pub(crate) fn join_normal<P: Pixel>(
        &self,
        transformation: &'static str,
        data: &mut [P],
        join: impl Fn(P, f32) -> P,
    ) -> Result<()> {
        match self {
            Self::Seed(seed) => {
                let draws = self.stream(*seed).draws();
                widest(Normal { draws, data, join });
            }
            Self::Values(values) if values.len() == data.len() => {
                for (value, noise) in data.iter_mut().zip(values) {
                    *value = join(*value, *noise);
                }
            }
            Self::Values(values) => {
                let reason = format!("the noise has {} values, the image needs {}", values.len(), data.len());
                return Err(Error::Parameters { transformation, reason });
            }
        }
        Ok(())
    }

    /// `n` numbers: those recorded, or uniform in [0, 1).
    pub(crate) fn uniform(&self, transformation: &'static str, n: usize) -> Result<Vec<f32>> {
        match self {
            Self::Seed(seed) => {
                let mut values = vec![0f32; n];
                self.stream(*seed).draws().fill_uniform(&mut values, 0.0, 1.0);
                Ok(values)
            }
            Self::Values(_) => self.normal(transformation, n),
        }
    }

    fn stream(&self, seed: u64) -> Stream {
        Stream::new(seed).op("noise")
    }
}

/// Joins values with standard normal numbers, two from two times 32 bits (Box and Muller, "A note on the generation of random normal
/// deviates", 1958): \( \sqrt{-2 \ln u} \) away from 0 in a uniform direction.
///
/// A generator that rejects some of its numbers takes four times as long, because it makes one after the other.
struct Normal<'a, P, F> {
    draws: Draws,
    data: &'a mut [P],
    join: F,
}

impl<P: Pixel, F: Fn(P, f32) -> P> Work for Normal<'_, P, F> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        /// Pairs at once.
        const PAIRS: usize = 128;
        let mut bytes = [0u8; 8 * PAIRS];
        let mut bits = [[0u32; PAIRS]; 2];
        let mut noise = [[0f32; PAIRS]; 2];
        for chunk in self.data.chunks_mut(2 * PAIRS) {
            self.draws.fill_bytes(&mut bytes);
            for (word, four) in bits.as_flattened_mut().iter_mut().zip(bytes.as_chunks().0) {
                *word = u32::from_le_bytes(*four);
            }
            for i in 0..PAIRS {
                let (length, (x, y)) = (length(bits[0][i]), direction(bits[1][i]));
                noise[0][i] = length * x;
                noise[1][i] = length * y;
            }
            for (value, noise) in chunk.iter_mut().zip(noise.as_flattened()) {
                *value = (self.join)(*value, *noise);
            }
        }
    }
}

/// `sqrt(-2 ln u)` for a uniform `u` in (0, 1], of which the bits are a whole number of steps; at most 6.8.
#[inline(always)]
fn length(bits: u32) -> f32 {
    const STEP: f32 = 1.0 / 4_294_967_296.0;
    const HALF: u32 = f32::to_bits(std::f32::consts::FRAC_1_SQRT_2);
    const FRACTION_BITS: u32 = 23;
    let u = bits as f32 * STEP + 0.5 * STEP;
    // u = 2^exponent (1 + f), 1 + f between sqrt(1/2) and sqrt(2).
    let exponent = (u.to_bits() as i32 - HALF as i32) >> FRACTION_BITS;
    let f = f32::from_bits((u.to_bits() as i32 - (exponent << FRACTION_BITS)) as u32) - 1.0;
    // The polynomial of `logf` in Moshier's Cephes, within 1e-7.
    let z = f * f;
    let mut p = 7.037_683_6e-2;
    for coefficient in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p * f + coefficient;
    }
    let ln = f + (p * f * z - 0.5 * z) + exponent as f32 * std::f32::consts::LN_2;
    // Where u was rounded to 1, the sum may be the last bit above 0.
    (-2.0 * ln).max(0.0).sqrt()
}

/// A uniform point of the unit circle: of a quarter, turned and mirrored by the two highest bits.
#[inline(always)]
fn direction(bits: u32) -> (f32, f32) {
    const STEP: f32 = 1.0 / 1_073_741_824.0;
    let angle = ((bits & 0x3fff_ffff) as i32 as f32 * STEP - 0.5) * std::f32::consts::FRAC_PI_2;
    // The polynomials of `sinf` and `cosf` in Moshier's Cephes, between -45 and 45 degrees.
    let z = angle * angle;
    let sin = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1) * z * angle + angle;
    let cos = ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    let cos = f32::from_bits(cos.to_bits() ^ (bits & 0x8000_0000));
    if bits & 0x4000_0000 == 0 {
        (cos, sin)
    } else {
        (sin, cos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_directions_are_those_of_the_standard_library() {
        let mut draws = Stream::new(2).op("bits").draws();
        let drawn: Vec<u32> = (0..20_000).map(|_| draws.next_u32()).collect();
        for bits in [0, 1, 2, 1 << 31, u32::MAX - 1, u32::MAX].into_iter().chain(drawn) {
            let u = (f64::from(bits) + 0.5) / 4_294_967_296.0;
            let exact = (-2.0 * u.ln()).sqrt();
            // Near 1, numbers of 24 bits lie far apart for a logarithm.
            let most = if u < 0.99 { 3e-6 } else { 4e-4 };
            let found = f64::from(length(bits));
            assert!((found - exact).abs() < most, "{bits}: {found} {exact}");
            let (x, y) = direction(bits);
            assert!((x.hypot(y) - 1.0).abs() < 1e-6, "{bits}: {x} {y}");
        }
    }

    #[test]
    fn numbers_are_normal() {
        const N: usize = 400_000;
        let mut numbers = Noise::Seed(11).normal("test", N).unwrap();
        let n = N as f64;
        let moment = |power: i32| numbers.iter().map(|&v| f64::from(v).powi(power)).sum::<f64>() / n;
        // Moments of the normal distribution with five times their standard errors.
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let (found, error) = (moment(power), 5.0 * (variance / n).sqrt());
            assert!((found - expected).abs() < error, "moment {power}: {found}");
        }
        // Neighbours, and the two numbers of a pair, which lie 128 apart, have nothing in common.
        for lag in [1, 128] {
            let pairs = numbers.iter().zip(&numbers[lag..]);
            let sum: f64 = pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            assert!((sum / n).abs() < 5.0 / n.sqrt(), "lag {lag}: {}", sum / n);
        }
        // Kolmogorov and Smirnov, against the distribution itself, one chance in a thousand.
        numbers.sort_by(f32::total_cmp);
        let distance = numbers
            .iter()
            .enumerate()
            .map(|(i, &v)| (below(f64::from(v)) - (i as f64 + 0.5) / n).abs());
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 1.95 / n.sqrt(), "{distance}");
    }

    /// The chance of a smaller number (Marsaglia, "Evaluating the normal distribution", 2004).
    fn below(x: f64) -> f64 {
        let (mut sum, mut term, mut k) = (x, x, 1.0);
        while term.abs() > 1e-15 {
            k += 2.0;
            term *= x * x / k;
            sum += term;
        }
        0.5 + sum * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }
}
