//! Pixels where they lie: floats, or bytes that stand for them.

use crate::arithmetic::{for_each, for_each_pair, for_each_value, sums_of_bytes, sums_of_floats};
use crate::blur::Blurred;
use crate::error::{Error, Result};
use crate::geometry::{CHUNK, Places, of_bytes, of_floats, of_floats_in_a_row};
use crate::image::{Image, ImageShape};
use crate::range::ValueRange;
use crate::vectors::{Work, floor, widest};

mod sealed {
    use super::{Blurred, CHUNK, Places};

    /// What differs between floats and bytes inside of this crate.
    pub trait Sealed: Sized + Blurred {
        /// The mean of each channel.
        fn means(data: &[Self], channels: usize) -> Vec<f32>;

        /// The largest value minus each value, in the units of the pixels.
        fn invert(data: &mut [Self], largest: f32);

        /// The weighted mean of an image, which keeps its weight, and another one.
        fn blend(data: &mut [Self], other: &[Self], weight: f32);

        /// The pixels as bytes, where they are some.
        fn bytes(data: &mut [Self]) -> Option<&mut [u8]>;

        /// The pixels as floats, where they are some.
        fn floats(data: &mut [Self]) -> Option<&mut [f32]>;

        /// The weighted means of four pixels each of a framed image; `below` is the image from its second row on.
        fn between<const C: usize>(source: &[Self], below: &[Self], places: &Places, out: &mut [[Self; C]; CHUNK]);

        /// The same of the first `count` places where they follow each other in a row, if that is faster; says whether it has happened.
        #[inline(always)]
        fn in_a_row<const C: usize>(
            _source: &[Self],
            _below: &[Self],
            _places: &Places,
            _count: usize,
            _out: &mut [[Self; C]; CHUNK],
        ) -> bool {
            false
        }
    }
}

/// What an image can be made of: `f32`, or `u8`, whose 0 and 255 stand for the ends of a value range.
pub trait Pixel: Copy + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static + sealed::Sealed {
    /// The number itself.
    fn to_f32(self) -> f32;

    /// The nearest one of this type; what a byte cannot hold becomes 0 or 255.
    fn from_f32(value: f32) -> Self;

    /// The level of a byte; floats are cut to one.
    #[doc(hidden)]
    fn level(self) -> u8;

    /// Adds the same number to every value and clips; all in the units of the pixels.
    #[doc(hidden)]
    fn add(data: &mut [Self], number: f32, clip: ValueRange);

    /// Multiplies the distance of every value from the mean of its channel and clips; all in the units of the pixels.
    #[doc(hidden)]
    fn stretch(data: &mut [Self], means: &[f32], factor: f32, clip: ValueRange);

    /// A value of the range in the units of these pixels: itself for `f32`, a level of 0 to 255 for `u8`.
    #[doc(hidden)]
    fn in_units(value: f32, range: ValueRange) -> f32;

    /// The value that such a unit stands for.
    #[doc(hidden)]
    fn from_units(unit: f32, range: ValueRange) -> f32;

    /// The range in the units of these pixels, for a transformation that knows values of `known`; none where bytes stand
    /// for another range than the transformation knows.
    #[doc(hidden)]
    fn units(known: ValueRange, range: ValueRange) -> Option<ValueRange>;

    /// Refuses numbers that are not finite.
    #[doc(hidden)]
    fn check(data: &[Self], shape: ImageShape) -> Result<()>;

    /// Whether a pixel holds one of 256 levels, so that what depends on a value alone can be looked up.
    #[doc(hidden)]
    const LEVELS: bool;
}

impl sealed::Sealed for f32 {
    fn means(data: &[Self], channels: usize) -> Vec<f32> {
        let sums = sums_of_floats(data, channels);
        let pixels = (data.len() / channels) as f64;
        sums.into_iter().map(|sum| (sum / pixels) as f32).collect()
    }

    fn invert(data: &mut [Self], largest: f32) {
        for_each(data, move |value| largest - value);
    }

    fn blend(data: &mut [Self], other: &[Self], weight: f32) {
        for_each_pair(data, other, move |value, other| weight * value + (1.0 - weight) * other);
    }

    fn bytes(_data: &mut [Self]) -> Option<&mut [u8]> {
        None
    }

    fn floats(data: &mut [Self]) -> Option<&mut [f32]> {
        Some(data)
    }

    #[inline(always)]
    fn between<const C: usize>(source: &[Self], below: &[Self], places: &Places, out: &mut [[Self; C]; CHUNK]) {
        of_floats(source, below, places, out);
    }

    #[inline(always)]
    fn in_a_row<const C: usize>(
        source: &[Self],
        below: &[Self],
        places: &Places,
        count: usize,
        out: &mut [[Self; C]; CHUNK],
    ) -> bool {
        of_floats_in_a_row(source, below, places, count, out)
    }
}

impl Pixel for f32 {
    #[inline]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }

    #[inline]
    fn level(self) -> u8 {
        self as u8
    }

    fn add(data: &mut [Self], number: f32, clip: ValueRange) {
        for_each(data, move |value| clip.clip(value + number));
    }

    fn stretch(data: &mut [Self], means: &[f32], factor: f32, clip: ValueRange) {
        for_each_value(data, means, move |value, mean| {
            clip.clip((value - mean) * factor + mean)
        });
    }

    #[inline]
    fn in_units(value: f32, _range: ValueRange) -> f32 {
        value
    }

    #[inline]
    fn from_units(unit: f32, _range: ValueRange) -> f32 {
        unit
    }

    #[inline]
    fn units(known: ValueRange, _range: ValueRange) -> Option<ValueRange> {
        Some(known)
    }

    fn check(data: &[Self], shape: ImageShape) -> Result<()> {
        if widest(Finite(data)) {
            return Ok(());
        }
        let index = data.iter().position(|value| !value.is_finite()).unwrap_or(0);
        let (pixel, channel) = (index / shape.channels, index % shape.channels);
        Err(Error::NotFinite {
            row: pixel / shape.width,
            column: pixel % shape.width,
            channel,
            value: data[index],
        })
    }

    const LEVELS: bool = false;
}

/// Whether all numbers are finite.
struct Finite<'a>(&'a [f32]);

impl Work for Finite<'_> {
    type Output = bool;

    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "all parts have one length")]
    fn run(self) -> bool {
        const LANES: usize = 16;
        const WITHOUT_SIGN: u32 = 0x7fff_ffff;
        /// Places that are read in turns. What an image is checked for first comes from memory, of which a processor fetches more ahead
        /// the more places it sees being read: of one alone half as much a second.
        const PLACES: usize = 8;
        // Without their signs the bits of numbers are in order, those of infinity and NaN last; without a way out of the loop it is
        // vectorised.
        let mut largest = [0u32; LANES];
        let part = self.0.len() / (PLACES * LANES) * LANES;
        let parts: [&[[f32; LANES]]; PLACES] =
            std::array::from_fn(|place| self.0[place * part..][..part].as_chunks().0);
        for i in 0..part / LANES {
            let chunks: [&[f32; LANES]; PLACES] = std::array::from_fn(|place| &parts[place][i]);
            for (lane, largest) in largest.iter_mut().enumerate() {
                for chunk in chunks {
                    *largest = (*largest).max(chunk[lane].to_bits() & WITHOUT_SIGN);
                }
            }
        }
        let rest = &self.0[PLACES * part..];
        let finite = |bits: &u32| *bits < f32::INFINITY.to_bits();
        largest.iter().all(finite) && rest.iter().all(|value| value.is_finite())
    }
}

impl sealed::Sealed for u8 {
    fn means(data: &[Self], channels: usize) -> Vec<f32> {
        let pixels = (data.len() / channels) as f64;
        let sums = sums_of_bytes(data, channels);
        sums.into_iter().map(|sum| (sum as f64 / pixels) as f32).collect()
    }

    fn invert(data: &mut [Self], _largest: f32) {
        for_each(data, |value| !value);
    }

    fn blend(data: &mut [Self], other: &[Self], weight: f32) {
        // The difference times 2^7, the weight times 2^15, of the product the upper half: six bits of a fraction.
        let weight = (weight.clamp(0.0, 1.0) * 32767.0).round() as i16;
        for_each_pair(data, other, |value, other| {
            let difference = (i16::from(value) - i16::from(other)) << 7;
            let part = ((i32::from(difference) * i32::from(weight)) >> 16) as i16;
            (i16::from(other) + ((part + 32) >> 6)) as u8
        });
    }

    fn bytes(data: &mut [Self]) -> Option<&mut [u8]> {
        Some(data)
    }

    fn floats(_data: &mut [Self]) -> Option<&mut [f32]> {
        None
    }

    #[inline(always)]
    fn between<const C: usize>(source: &[Self], below: &[Self], places: &Places, out: &mut [[Self; C]; CHUNK]) {
        of_bytes(source, below, places, out);
    }
}

impl Pixel for u8 {
    #[inline]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    #[inline(always)]
    #[expect(clippy::manual_clamp, reason = "`clamp` keeps NaN, which becomes 0 here")]
    fn from_f32(value: f32) -> Self {
        // NaN becomes 0. `as u8` would do the same, for one number after the other.
        floor(value.max(0.0).min(255.0) + 0.5) as u8
    }

    #[inline]
    fn level(self) -> u8 {
        self
    }

    fn add(data: &mut [Self], number: f32, _clip: ValueRange) {
        let whole = u8::from_f32(number.abs());
        if number < 0.0 {
            for_each(data, move |value| value.saturating_sub(whole));
        } else {
            for_each(data, move |value| value.saturating_add(whole));
        }
    }

    fn stretch(data: &mut [Self], means: &[f32], factor: f32, clip: ValueRange) {
        if !(0.0..3.9).contains(&factor) {
            let exact = move |value: u8, mean: f32| u8::from_f32(clip.clip((value.to_f32() - mean) * factor + mean));
            return for_each_value(data, means, exact);
        }
        // In 16 bits: the level times 2^7, the factor times 2^13, of the product the upper half: four bits of a fraction.
        let factor_13 = (factor * 8192.0).round() as i16;
        let shifts: Vec<i16> = means
            .iter()
            .map(|mean| (mean * (1.0 - factor) * 16.0).round() as i16 + 8)
            .collect();
        for_each_value(data, &shifts, |value, shift| {
            let product = ((i32::from(i16::from(value) << 7) * i32::from(factor_13)) >> 16) as i16;
            ((product + shift) >> 4).clamp(0, 255) as u8
        });
    }

    #[inline]
    fn in_units(value: f32, range: ValueRange) -> f32 {
        range.to_bytes(value)
    }

    #[inline]
    fn from_units(unit: f32, range: ValueRange) -> f32 {
        range.unscale_bytes(unit)
    }

    #[inline]
    fn units(known: ValueRange, range: ValueRange) -> Option<ValueRange> {
        (known == range).then_some(ValueRange::BYTES)
    }

    fn check(_data: &[Self], _shape: ImageShape) -> Result<()> {
        Ok(())
    }

    const LEVELS: bool = true;
}

/// The pixels of one image in a buffer of somebody else, such as a batch.
#[derive(Debug)]
pub struct PixelsMut<'a, P: Pixel> {
    /// Height, width and channels.
    pub shape: ImageShape,
    /// `height * width * channels` values.
    pub data: &'a mut [P],
    /// What 0 and 255 stand for where the pixels are bytes.
    pub range: ValueRange,
    /// A buffer that may be used meanwhile, so that not each image needs a new one.
    pub scratch: &'a mut Vec<P>,
}

impl<'a> PixelsMut<'a, f32> {
    /// The pixels of an image.
    pub fn of(image: &'a mut Image, scratch: &'a mut Vec<f32>) -> Self {
        Self {
            shape: image.shape(),
            data: &mut image.data,
            range: ValueRange::BYTES,
            scratch,
        }
    }
}

impl<P: Pixel> PixelsMut<'_, P> {
    /// The same pixels for a while.
    pub fn reborrow(&mut self) -> PixelsMut<'_, P> {
        PixelsMut {
            shape: self.shape,
            data: self.data,
            range: self.range,
            scratch: self.scratch,
        }
    }

    /// A copy as an image of floats in the units of the value range.
    pub fn to_image(&self) -> Image {
        let ImageShape {
            height,
            width,
            channels,
        } = self.shape;
        let value = |pixel: &P| P::from_units(pixel.to_f32(), self.range);
        Image {
            height,
            width,
            channels,
            data: self.data.iter().map(value).collect(),
        }
    }

    /// Writes an image of the same shape over the pixels.
    pub fn overwrite(&mut self, image: &Image) {
        for (pixel, &value) in self.data.iter_mut().zip(&image.data) {
            *pixel = P::from_f32(P::in_units(value, self.range));
        }
    }

    /// Replaces each pixel by what a function makes of the value it stands for; bytes are looked up.
    pub(crate) fn map_values(&mut self, f: impl Fn(f32) -> f32) {
        let range = self.range;
        // Moved, as all that a loop needs: what is borrowed might be what it writes to, for all that the compiler knows.
        let of_unit = move |unit: f32| P::from_f32(P::in_units(f(P::from_units(unit, range)), range));
        if P::LEVELS && self.data.len() > 256 {
            let table: [P; 256] = std::array::from_fn(|level| of_unit(level as f32));
            for pixel in self.data.iter_mut() {
                *pixel = table[usize::from(pixel.level())];
            }
        } else {
            for_each(self.data, move |pixel| of_unit(pixel.to_f32()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::Sealed as _;
    use super::*;

    #[test]
    fn means_of_every_number_of_channels() {
        for channels in 1..7 {
            let data: Vec<f32> = (0..channels * 11)
                .map(|i| (i % channels) as f32 + (i / channels) as f32)
                .collect();
            let expected: Vec<f32> = (0..channels).map(|c| c as f32 + 5.0).collect();
            assert_eq!(f32::means(&data, channels), expected);
            let bytes: Vec<u8> = data.iter().map(|v| *v as u8).collect();
            assert_eq!(u8::means(&bytes, channels), expected);
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_found_wherever_they_are() {
        let shape = ImageShape {
            height: 5,
            width: 4,
            channels: 2,
        };
        for (place, value) in [(0, f32::NAN), (17, f32::INFINITY), (39, f32::NEG_INFINITY)] {
            let mut data = vec![f32::MAX; 40];
            assert!(f32::check(&data, shape).is_ok());
            data[place] = value;
            let error = f32::check(&data, shape).unwrap_err();
            assert!(
                matches!(error, Error::NotFinite { row, column, channel, .. } if (row * 4 + column) * 2 + channel == place),
                "{error}"
            );
        }
    }

    #[test]
    fn bytes_are_stretched_and_moved_as_floats_are_within_half_a_level() {
        let levels: Vec<u8> = (0..=255).cycle().take(771).collect();
        let floats: Vec<f32> = levels.iter().map(|&v| f32::from(v)).collect();
        for means in [vec![130.4f32], vec![20.0, 99.7, 250.0], vec![0.0; 7]] {
            let n = 771 / means.len() * means.len();
            for factor in [0.0, 0.3, 1.0, 1.37, 2.0, 3.5, 10.0] {
                let (mut bytes, mut exact) = (levels[..n].to_vec(), floats[..n].to_vec());
                u8::stretch(&mut bytes, &means, factor, ValueRange::BYTES);
                f32::stretch(&mut exact, &means, factor, ValueRange::BYTES);
                for (a, b) in bytes.iter().zip(&exact) {
                    assert!((f32::from(*a) - b).abs() < 0.65, "{factor}: {a} for {b}");
                }
            }
        }
        for number in [-300.0, -17.3, 0.0, 12.5, 255.0] {
            let (mut bytes, mut exact) = (levels.clone(), floats.clone());
            u8::add(&mut bytes, number, ValueRange::BYTES);
            f32::add(&mut exact, number, ValueRange::BYTES);
            assert!(
                bytes.iter().zip(&exact).all(|(a, b)| (f32::from(*a) - b).abs() <= 0.5),
                "{number}"
            );
        }
    }

    #[test]
    fn bytes_are_blended_as_floats_are_within_half_a_level() {
        let (first, second): (Vec<u8>, Vec<u8>) = (0..=65535u32).map(|i| ((i % 256) as u8, (i / 256) as u8)).unzip();
        for weight in [0.0, 0.01, 0.25, 0.5, 0.777, 1.0] {
            let mut bytes = first.clone();
            u8::blend(&mut bytes, &second, weight);
            for ((blend, &a), &b) in bytes.iter().zip(&first).zip(&second) {
                let exact = weight * f32::from(a) + (1.0 - weight) * f32::from(b);
                assert!((f32::from(*blend) - exact).abs() < 0.54, "{weight} {a} {b}: {blend}");
            }
        }
    }

    #[test]
    fn bytes_stand_for_a_range() {
        let mut bytes = [0u8, 51, 255];
        let mut pixels = PixelsMut {
            shape: (1, 3, 1).into(),
            data: &mut bytes,
            range: ValueRange::UNIT,
            scratch: &mut Vec::new(),
        };
        assert_eq!(pixels.to_image().data, [0.0, 0.2, 1.0]);
        pixels.map_values(|value| 1.0 - value);
        assert_eq!(bytes, [255, 204, 0]);
    }
}
