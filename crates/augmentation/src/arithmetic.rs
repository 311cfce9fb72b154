//! What is computed of every value of an image, written for vectors.

#![expect(
    clippy::needless_range_loop,
    reason = "one counter for arrays of one length is what becomes vectors"
)]

use crate::pixels::Pixel;
use crate::vectors::{Work, widest};

/// Values at once: a multiple of 1, 2, 3 and 4 channels, and of the lanes of every register.
const LANES: usize = 192;

/// Calls `f` with each value and what belongs to its channel.
pub(crate) fn for_each_value<P: Pixel, T: Copy>(data: &mut [P], of_channel: &[T], f: impl Fn(P, T) -> P) {
    widest(EachValue { data, of_channel, f });
}

struct EachValue<'a, P, T, F> {
    data: &'a mut [P],
    of_channel: &'a [T],
    f: F,
}

impl<P: Pixel, T: Copy, F: Fn(P, T) -> P> Work for EachValue<'_, P, T, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let channels = self.of_channel.len();
        if !LANES.is_multiple_of(channels) {
            for pixel in self.data.chunks_exact_mut(channels) {
                for (value, of_channel) in pixel.iter_mut().zip(self.of_channel) {
                    *value = (self.f)(*value, *of_channel);
                }
            }
            return;
        }
        let Some(&first) = self.of_channel.first() else { return };
        // Counted: a division for each lane, or copies of one value, are most of the time that a small image takes.
        let (mut pattern, mut channel) = ([first; LANES], 0);
        for lane in pattern.iter_mut().filter(|_| channels > 1) {
            *lane = self.of_channel[channel];
            channel = if channel + 1 == channels { 0 } else { channel + 1 };
        }
        let (chunks, rest) = self.data.as_chunks_mut::<LANES>();
        for chunk in chunks {
            for i in 0..LANES {
                chunk[i] = (self.f)(chunk[i], pattern[i]);
            }
        }
        for (value, of_channel) in rest.iter_mut().zip(pattern) {
            *value = (self.f)(*value, of_channel);
        }
    }
}

/// Calls `f` with each value.
pub(crate) fn for_each<P: Pixel>(data: &mut [P], f: impl Fn(P) -> P) {
    widest(Each { data, f });
}

struct Each<'a, P, F> {
    data: &'a mut [P],
    f: F,
}

impl<P: Pixel, F: Fn(P) -> P> Work for Each<'_, P, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for value in self.data {
            *value = (self.f)(*value);
        }
    }
}

/// Calls `f` with each value and that of another image.
pub(crate) fn for_each_pair<P: Pixel>(data: &mut [P], other: &[P], f: impl Fn(P, P) -> P) {
    widest(EachPair { data, other, f });
}

struct EachPair<'a, P, F> {
    data: &'a mut [P],
    other: &'a [P],
    f: F,
}

impl<P: Pixel, F: Fn(P, P) -> P> Work for EachPair<'_, P, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (value, other) in self.data.iter_mut().zip(self.other) {
            *value = (self.f)(*value, *other);
        }
    }
}

/// What becomes of a colour; `#[inline(always)]`, as all that vectors are made of.
pub(crate) trait Recolour {
    fn of(&self, rgb: [f32; 3]) -> [f32; 3];
}

/// Changes the first three channels of each pixel of three or four, in f32.
pub(crate) fn for_each_colour<P: Pixel>(data: &mut [P], channels: usize, f: impl Recolour) {
    match channels {
        3 => widest(EachColour::<P, _, 3> { data, f }),
        _ => widest(EachColour::<P, _, 4> { data, f }),
    }
}

struct EachColour<'a, P, F, const C: usize> {
    data: &'a mut [P],
    f: F,
}

/// Pixels whose colours are laid out as planes at once.
const PIXELS: usize = 64;

impl<P: Pixel, F: Recolour, const C: usize> Work for EachColour<'_, P, F, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (pixels, _) = self.data.as_chunks_mut::<C>();
        let mut planes = [[0f32; PIXELS]; 3];
        let mut levels = [[P::default(); PIXELS]; 3];
        let (chunks, rest) = pixels.as_chunks_mut::<PIXELS>();
        let mut last = [[P::default(); C]; PIXELS];
        last[..rest.len()].copy_from_slice(rest);
        for chunk in chunks.iter_mut().chain(std::iter::once(&mut last)) {
            // Apart first and converted then: bytes are taken apart many at once, but not on their way to floats.
            for i in 0..PIXELS {
                for (c, plane) in levels.iter_mut().enumerate() {
                    plane[i] = chunk[i][c];
                }
            }
            for (plane, levels) in planes.iter_mut().zip(&levels) {
                for i in 0..PIXELS {
                    plane[i] = levels[i].to_f32();
                }
            }
            for i in 0..PIXELS {
                let [red, green, blue] = self.f.of([planes[0][i], planes[1][i], planes[2][i]]);
                planes[0][i] = red;
                planes[1][i] = green;
                planes[2][i] = blue;
            }
            for (plane, levels) in planes.iter().zip(&mut levels) {
                for i in 0..PIXELS {
                    levels[i] = P::from_f32(plane[i]);
                }
            }
            for i in 0..PIXELS {
                for (c, plane) in levels.iter().enumerate() {
                    chunk[i][c] = plane[i];
                }
            }
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// The smallest and the largest byte of each channel.
pub(crate) fn extremes_of_bytes(data: &[u8], channels: usize) -> Vec<(u8, u8)> {
    let (first, smaller, larger) = ((u8::MAX, u8::MIN), u8::min, u8::max);
    widest(Extremes {
        data,
        channels,
        first,
        smaller,
        larger,
    })
}

/// The smallest and the largest float of each channel; NaN is neither.
pub(crate) fn extremes_of_floats(data: &[f32], channels: usize) -> Vec<(f32, f32)> {
    let (first, smaller, larger) = ((f32::INFINITY, f32::NEG_INFINITY), f32::min, f32::max);
    widest(Extremes {
        data,
        channels,
        first,
        smaller,
        larger,
    })
}

struct Extremes<'a, P, S, L> {
    data: &'a [P],
    channels: usize,
    /// The extremes of nothing.
    first: (P, P),
    smaller: S,
    larger: L,
}

impl<P: Pixel, S: Fn(P, P) -> P, L: Fn(P, P) -> P> Work for Extremes<'_, P, S, L> {
    type Output = Vec<(P, P)>;

    #[inline(always)]
    fn run(self) -> Vec<(P, P)> {
        let channels = self.channels;
        let add = |of_channel: &mut (P, P), low: P, high: P| {
            *of_channel = ((self.smaller)(of_channel.0, low), (self.larger)(of_channel.1, high));
        };
        let mut extremes = vec![self.first; channels];
        let mut rest = self.data;
        if LANES.is_multiple_of(channels) {
            let (mut low, mut high) = ([self.first.0; LANES], [self.first.1; LANES]);
            let (chunks, others) = self.data.as_chunks::<LANES>();
            rest = others;
            for chunk in chunks {
                for i in 0..LANES {
                    low[i] = (self.smaller)(low[i], chunk[i]);
                    high[i] = (self.larger)(high[i], chunk[i]);
                }
            }
            for (low, high) in low.chunks_exact(channels).zip(high.chunks_exact(channels)) {
                for (of_channel, (&low, &high)) in extremes.iter_mut().zip(low.iter().zip(high)) {
                    add(of_channel, low, high);
                }
            }
        }
        for pixel in rest.chunks_exact(channels) {
            for (of_channel, &value) in extremes.iter_mut().zip(pixel) {
                add(of_channel, value, value);
            }
        }
        extremes
    }
}

/// The sum of the floats of each channel, in f64.
pub(crate) fn sums_of_floats(data: &[f32], channels: usize) -> Vec<f64> {
    widest(SumsOfFloats { data, channels })
}

struct SumsOfFloats<'a> {
    data: &'a [f32],
    channels: usize,
}

impl Work for SumsOfFloats<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run(self) -> Vec<f64> {
        /// Sums that do not wait for each other: a multiple of 1, 2, 3 and 4 channels, in so many registers that additions overlap.
        const SUMS: usize = 48;
        let channels = self.channels;
        let mut sums = vec![0f64; channels];
        let mut rest = self.data;
        if SUMS.is_multiple_of(channels) {
            let mut lanes = [0f64; SUMS];
            let (chunks, others) = self.data.as_chunks::<SUMS>();
            rest = others;
            for chunk in chunks {
                for i in 0..SUMS {
                    lanes[i] += f64::from(chunk[i]);
                }
            }
            for pixel in lanes.chunks_exact(channels) {
                for (sum, lane) in sums.iter_mut().zip(pixel) {
                    *sum += lane;
                }
            }
        }
        for pixel in rest.chunks_exact(channels) {
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum += f64::from(*value);
            }
        }
        sums
    }
}

/// The sum of the bytes of each channel.
pub(crate) fn sums_of_bytes(data: &[u8], channels: usize) -> Vec<u64> {
    widest(SumsOfBytes { data, channels })
}

struct SumsOfBytes<'a> {
    data: &'a [u8],
    channels: usize,
}

impl Work for SumsOfBytes<'_> {
    type Output = Vec<u64>;

    #[inline(always)]
    fn run(self) -> Vec<u64> {
        /// So many bytes have a sum of 16 bits.
        const AT_ONCE: usize = 256;
        /// A multiple of every number of channels that lanes have, and a part of their number.
        const FEWER: usize = 48;
        let channels = self.channels;
        let mut sums = vec![0u64; channels];
        let mut rest = self.data;
        if FEWER.is_multiple_of(channels) {
            let (chunks, others) = self.data.as_chunks::<LANES>();
            rest = others;
            for chunks in chunks.chunks(AT_ONCE) {
                let mut lanes = [0u16; LANES];
                for chunk in chunks {
                    for i in 0..LANES {
                        lanes[i] += u16::from(chunk[i]);
                    }
                }
                // One by one they would take longer than all additions of a small image.
                let mut fewer = [0u32; FEWER];
                for part in lanes.as_chunks::<FEWER>().0 {
                    for i in 0..FEWER {
                        fewer[i] += u32::from(part[i]);
                    }
                }
                for pixel in fewer.chunks_exact(channels) {
                    for (sum, &lane) in sums.iter_mut().zip(pixel) {
                        *sum += u64::from(lane);
                    }
                }
            }
        }
        for pixel in rest.chunks_exact(channels) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += u64::from(value);
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_meets_its_channel() {
        for channels in 1..7 {
            let mut data = vec![1.0f32; channels * 129];
            let numbers: Vec<f32> = (0..channels).map(|c| c as f32).collect();
            for_each_value(&mut data, &numbers, |value, number| value + number);
            assert!(
                data.iter().enumerate().all(|(i, v)| *v == 1.0 + (i % channels) as f32),
                "{channels}"
            );
        }
    }

    #[test]
    fn sums_are_those_of_the_bytes_one_by_one() {
        for (channels, pixels) in [(1, 70_000), (3, 40_001), (4, 9), (5, 300), (2, 0)] {
            let data: Vec<u8> = (0..channels * pixels)
                .map(|i| (255 - i % 7 * (i % channels)) as u8)
                .collect();
            let of = |c: usize| {
                data.iter()
                    .skip(c)
                    .step_by(channels)
                    .map(|&v| u64::from(v))
                    .sum::<u64>()
            };
            assert_eq!(
                sums_of_bytes(&data, channels),
                (0..channels).map(of).collect::<Vec<_>>()
            );
            let values = |c: usize| data.iter().skip(c).step_by(channels).copied();
            let of = |c: usize| (values(c).min().unwrap_or(u8::MAX), values(c).max().unwrap_or(u8::MIN));
            assert_eq!(
                extremes_of_bytes(&data, channels),
                (0..channels).map(of).collect::<Vec<_>>()
            );
        }
    }

    struct Turned;

    impl Recolour for Turned {
        fn of(&self, [red, green, blue]: [f32; 3]) -> [f32; 3] {
            [blue + 1.0, green, red]
        }
    }

    #[test]
    fn an_alpha_channel_stays_and_colours_are_those_of_their_pixel() {
        for pixels in [1, 63, 64, 200] {
            let mut data: Vec<f32> = (0..pixels * 4).map(|i| i as f32).collect();
            for_each_colour(&mut data, 4, Turned);
            for (i, pixel) in data.chunks(4).enumerate() {
                let first = (4 * i) as f32;
                assert_eq!(pixel, [first + 3.0, first + 1.0, first, first + 3.0]);
            }
        }
    }
}
