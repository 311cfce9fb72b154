//! Grey.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::arithmetic::{Recolour, for_each_colour};
use crate::color::{GREY, need_grey_or_rgb};
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::Factor;
use crate::transform::{Transformation, on_image};
use crate::vectors::{Work, widest};

/// Replaces the colours of RGB images by grey with a probability. Keras: `RandomGrayscale`.
///
/// $$ y = 0.2989 R + 0.5870 G + 0.1140 B $$ in all three channels. A grey image stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomGrayscale {
    /// The probability, in [0, 1].
    pub factor: f64,
}

impl Default for RandomGrayscale {
    fn default() -> Self {
        Self { factor: 0.5 }
    }
}

/// What one application is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrayscaleParameters {
    /// Whether the image turns grey.
    pub should_apply: bool,
}

impl Transformation for RandomGrayscale {
    const CLASS: &'static str = "RandomGrayscale";
    const NAME: &'static str = "grayscale";
    const ABOUT: &'static str = "replaces colours by grey with a probability (RGB)";
    const ARGUMENTS: &'static [&'static str] = &["factor"];
    const REQUIRED: usize = 0;
    type Parameters = GrayscaleParameters;

    fn check(&self) -> Result<()> {
        Factor::Single(self.factor).check(Self::CLASS, "factor", 0.0, 1.0)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> GrayscaleParameters {
        GrayscaleParameters {
            should_apply: draws.bernoulli(self.factor),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &GrayscaleParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &GrayscaleParameters,
    ) -> Option<Result<()>> {
        let channels = pixels.shape.channels;
        if let Err(error) = need_grey_or_rgb(Self::CLASS, channels) {
            return Some(Err(error));
        }
        if !parameters.should_apply || channels < 3 {
            return Some(Ok(()));
        }
        // The weights do not quite sum to 1, so that levels are weighed like values only where both begin with 0.
        if P::LEVELS && pixels.range.low != 0.0 {
            return None;
        }
        match (P::bytes(pixels.data), channels) {
            (Some(bytes), 3) => widest(GreyBytes::<3>(bytes)),
            (Some(bytes), _) => widest(GreyBytes::<4>(bytes)),
            (None, _) => for_each_colour(pixels.data, channels, Greyed),
        }
        Some(Ok(()))
    }
}

/// Of bytes, in whole numbers of 16 bits.
struct GreyBytes<'a, const C: usize>(&'a mut [u8]);

impl<const C: usize> GreyBytes<'_, C> {
    /// Bits of a weight, and of these those that are multiplied apart from the others.
    const BITS: (u32, u32) = (14, 6);

    /// The weights: their first bits, and their last.
    const WEIGHTS: [(u16, u16); 3] = {
        let (mut weights, mut c) = ([(0, 0); 3], 0);
        while c < 3 {
            let weight = (GREY[c] * (1 << Self::BITS.0) as f32 + 0.5) as u16;
            weights[c] = (weight >> Self::BITS.1, weight & ((1 << Self::BITS.1) - 1));
            c += 1;
        }
        weights
    };
}

impl<const C: usize> Work for GreyBytes<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        /// Pixels at once.
        const PIXELS: usize = 64;
        let (pixels, _) = self.0.as_chunks_mut::<C>();
        let (chunks, rest) = pixels.as_chunks_mut::<PIXELS>();
        let mut last = [[0u8; C]; PIXELS];
        last[..rest.len()].copy_from_slice(rest);
        let mut planes = [[0u8; PIXELS]; 3];
        for chunk in chunks.iter_mut().chain(std::iter::once(&mut last)) {
            for i in 0..PIXELS {
                for (c, plane) in planes.iter_mut().enumerate() {
                    plane[i] = chunk[i][c];
                }
            }
            let mut grey = [0u8; PIXELS];
            for i in 0..PIXELS {
                // Products of 16 bits: those of 32 that a whole weight would need take ten times as long.
                let (mut first, mut last) = (128, 0);
                for (plane, (of_first, of_last)) in planes.iter().zip(Self::WEIGHTS) {
                    first += u16::from(plane[i]) * of_first;
                    last += u16::from(plane[i]) * of_last;
                }
                grey[i] = ((first + (last >> Self::BITS.1)) >> 8) as u8;
            }
            // Three assignments: filling a slice would be done for one pixel after the other.
            for i in 0..PIXELS {
                chunk[i][0] = grey[i];
                chunk[i][1] = grey[i];
                chunk[i][2] = grey[i];
            }
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

struct Greyed;

impl Recolour for Greyed {
    #[inline(always)]
    fn of(&self, [red, green, blue]: [f32; 3]) -> [f32; 3] {
        [red * GREY[0] + green * GREY[1] + blue * GREY[2]; 3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn_grey<P: Pixel>(data: &mut [P], shape: ImageShape) {
        let mut pixels = PixelsMut {
            shape,
            data,
            range: crate::ValueRange::BYTES,
            scratch: &mut Vec::new(),
        };
        let parameters = GrayscaleParameters { should_apply: true };
        let outcome = RandomGrayscale::default().apply_in_place(&mut pixels, &parameters);
        outcome.unwrap().unwrap();
    }

    #[test]
    fn every_colour_of_bytes_turns_as_grey_as_that_of_floats() {
        for channels in [3, 4] {
            // 40 levels of each colour, the first and the last among them.
            let level = |i: usize| (i * 255 / 39) as u8;
            let colour = |i: usize| [level(i % 40), level(i / 40 % 40), level(i / 1600), 7];
            let mut bytes: Vec<u8> = (0..64_000).flat_map(|i| colour(i).into_iter().take(channels)).collect();
            let mut floats: Vec<f32> = bytes.iter().map(|&v| f32::from(v)).collect();
            let shape: ImageShape = (200, 320, channels).into();
            turn_grey(&mut bytes, shape);
            turn_grey(&mut floats, shape);
            let worst = bytes
                .iter()
                .zip(&floats)
                .map(|(&byte, value)| (f32::from(byte) - value).abs())
                .fold(0.0, f32::max);
            assert!(worst < 0.51, "{worst}");
        }
    }
}
