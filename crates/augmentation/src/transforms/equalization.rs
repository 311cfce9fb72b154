//! Histogram equalization.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::NoParameters;
use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;
use crate::vectors::{Work, floor, widest};

/// Spreads the values of each channel so that their distribution becomes as even as it can. Keras: `Equalization`.
///
/// $$ y = \operatorname{round}\Bigl(255\,\frac{C(b(x)) - C_{min}}{n - C_{min}}\Bigr) $$ with the cumulated histogram
/// `C` and the bin `b(x)`. Keras takes one histogram over a whole batch, so that an image changes with its company;
/// a pipeline takes that of the image itself. [`Equalization::apply_batch`] does it Keras' way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Equalization {
    /// The values that pixels may have.
    pub value_range: ValueRange,
    /// Bins of the histogram, 2 to 65,536.
    pub bins: usize,
}

impl Default for Equalization {
    fn default() -> Self {
        Self {
            value_range: ValueRange::BYTES,
            bins: 256,
        }
    }
}

impl Equalization {
    /// Equalizes images with one histogram a channel over all of them.
    ///
    /// # Errors
    /// Where the images differ in their number of channels.
    pub fn apply_batch(&self, images: &mut [Image]) -> Result<()> {
        self.check()?;
        let Some(first) = images.first() else { return Ok(()) };
        let channels = first.channels;
        if let Some(other) = images.iter().find(|image| image.channels != channels) {
            let expected = "the same number of channels in all images";
            return Err(Error::Channels {
                transformation: Self::CLASS,
                expected,
                found: other.channels,
            });
        }
        let mut images: Vec<&mut [f32]> = images.iter_mut().map(|image| image.data.as_mut_slice()).collect();
        self.equalize(&mut images, channels);
        Ok(())
    }

    /// Images of so many channels, with the histograms of all of them.
    fn equalize(&self, images: &mut [&mut [f32]], channels: usize) {
        let mut bins = Bins {
            of: vec![0; channels * (AT_ONCE / channels).max(1)],
            count: self.bins,
            range: self.value_range,
        };
        let mut histograms = vec![vec![0u64; self.bins]; channels];
        for image in images.iter() {
            for values in image.chunks(bins.of.len()) {
                count(bins.find(values), &mut histograms);
            }
        }
        let value = |level: f32| self.value_range.unscale_bytes(level);
        let table = |histogram: &Vec<u64>| Some(lookup_table(histogram)?.into_iter().map(value).collect());
        let tables: Vec<Option<Vec<f32>>> = histograms.iter().map(table).collect();
        for image in images.iter_mut() {
            for values in image.chunks_mut(bins.of.len()) {
                look_up(values, bins.find(values), &tables);
            }
        }
    }
}

/// Values whose bins are found at once, about.
const AT_ONCE: usize = 3072;

/// The bins of the histogram that values fall into.
struct Bins {
    of: Vec<u16>,
    count: usize,
    range: ValueRange,
}

impl Bins {
    /// Truncated, with the last bin at 255; NaN and what is below the range is in the first one.
    fn find(&mut self, values: &[f32]) -> &[u16] {
        let (range, last) = (self.range, (self.count - 1) as f32);
        widest(Found {
            bins: &mut self.of[..values.len()],
            values,
            bin: move |value: f32| floor((range.to_bytes(value) * last / 255.0).max(0.0).min(last)) as u16,
        });
        &self.of[..values.len()]
    }
}

struct Found<'a, F> {
    bins: &'a mut [u16],
    values: &'a [f32],
    bin: F,
}

impl<F: Fn(f32) -> u16> Work for Found<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (bin, &value) in self.bins.iter_mut().zip(self.values) {
            *bin = (self.bin)(value);
        }
    }
}

/// Levels of a byte.
const LEVELS: usize = 256;

/// What each bin becomes; `None` where all values lie in one bin.
fn lookup_table(histogram: &[u64]) -> Option<Vec<f32>> {
    let lowest = histogram.iter().copied().find(|&n| n > 0)?;
    let total: u64 = histogram.iter().sum();
    if total == lowest {
        return None;
    }
    let mut cumulated = 0;
    let table = histogram.iter().map(|&n| {
        cumulated += n;
        let part = cumulated.saturating_sub(lowest) as f64 * 255.0 / (total - lowest) as f64;
        part.round_ties_even().clamp(0.0, 255.0) as f32
    });
    Some(table.collect())
}

impl Transformation for Equalization {
    const CLASS: &'static str = "Equalization";
    const NAME: &'static str = "equalize";
    const ABOUT: &'static str = "spreads the values of each channel evenly";
    const ARGUMENTS: &'static [&'static str] = &["value_range", "bins"];
    const REQUIRED: usize = 0;
    type Parameters = NoParameters;

    fn check(&self) -> Result<()> {
        Factor::Single(self.bins as f64).check(Self::CLASS, "bins", 2.0, 65536.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, _draws: &mut Draws, _shape: ImageShape) -> NoParameters {
        NoParameters {}
    }

    fn apply(&self, image: &mut Image, _parameters: &NoParameters) -> Result<()> {
        self.apply_batch(std::slice::from_mut(image))
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        _parameters: &NoParameters,
    ) -> Option<Result<()>> {
        P::units(self.value_range, pixels.range)?;
        let channels = pixels.shape.channels;
        if let Some(floats) = P::floats(pixels.data) {
            self.equalize(&mut [floats], channels);
            return Some(Ok(()));
        }
        let bytes = P::bytes(pixels.data).filter(|_| self.bins == LEVELS)?;
        let mut histograms = vec![vec![0u64; LEVELS]; channels];
        count(bytes, &mut histograms);
        let table = |histogram: &Vec<u64>| -> [u8; LEVELS] {
            let table = lookup_table(histogram);
            std::array::from_fn(|level| table.as_ref().map_or(level as u8, |table| table[level] as u8))
        };
        let tables: Vec<[u8; LEVELS]> = histograms.iter().map(table).collect();
        match channels {
            1 => look_up_bytes::<1>(bytes, &tables),
            3 => look_up_bytes::<3>(bytes, &tables),
            4 => look_up_bytes::<4>(bytes, &tables),
            _ => {
                for pixel in bytes.chunks_exact_mut(channels) {
                    for (value, table) in pixel.iter_mut().zip(&tables) {
                        *value = table[usize::from(*value)];
                    }
                }
            }
        }
        Some(Ok(()))
    }
}

/// Counts how often each bin occurs in each channel.
fn count<B: Copy + Into<usize>>(bins: &[B], histograms: &mut [Vec<u64>]) {
    match histograms.len() {
        1 => count_of::<B, 1>(bins, histograms),
        3 => count_of::<B, 3>(bins, histograms),
        4 => count_of::<B, 4>(bins, histograms),
        channels => {
            for pixel in bins.chunks_exact(channels) {
                for (histogram, &bin) in histograms.iter_mut().zip(pixel) {
                    histogram[bin.into()] += 1;
                }
            }
        }
    }
}

/// For a number of channels that is known, the histograms' places are, too.
fn count_of<B: Copy + Into<usize>, const C: usize>(bins: &[B], histograms: &mut [Vec<u64>]) {
    let Some(histograms) = histograms.first_chunk_mut::<C>() else {
        return;
    };
    let histograms = histograms.each_mut().map(Vec::as_mut_slice);
    for pixel in bins.as_chunks::<C>().0 {
        for c in 0..C {
            histograms[c][pixel[c].into()] += 1;
        }
    }
}

/// Replaces each value by that of its bin in the table of its channel, where that has one.
fn look_up(values: &mut [f32], bins: &[u16], tables: &[Option<Vec<f32>>]) {
    match tables.len() {
        1 => look_up_of::<1>(values, bins, tables),
        3 => look_up_of::<3>(values, bins, tables),
        4 => look_up_of::<4>(values, bins, tables),
        channels => {
            for (pixel, bins) in values.chunks_exact_mut(channels).zip(bins.chunks_exact(channels)) {
                for ((value, &bin), table) in pixel.iter_mut().zip(bins).zip(tables) {
                    if let Some(table) = table {
                        *value = table[usize::from(bin)];
                    }
                }
            }
        }
    }
}

fn look_up_of<const C: usize>(values: &mut [f32], bins: &[u16], tables: &[Option<Vec<f32>>]) {
    let Some(tables) = tables.first_chunk::<C>() else {
        return;
    };
    let tables: [Option<&[f32]>; C] = tables.each_ref().map(Option::as_deref);
    for (pixel, bins) in values.as_chunks_mut::<C>().0.iter_mut().zip(bins.as_chunks::<C>().0) {
        for c in 0..C {
            if let Some(table) = tables[c] {
                pixel[c] = table[usize::from(bins[c])];
            }
        }
    }
}

fn look_up_bytes<const C: usize>(bytes: &mut [u8], tables: &[[u8; LEVELS]]) {
    let Some(tables) = tables.first_chunk::<C>() else {
        return;
    };
    for pixel in bytes.as_chunks_mut::<C>().0 {
        for c in 0..C {
            pixel[c] = tables[c][usize::from(pixel[c])];
        }
    }
}
