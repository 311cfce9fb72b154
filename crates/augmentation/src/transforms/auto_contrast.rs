//! Contrast stretched to the whole range.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::NoParameters;
use crate::arithmetic::{extremes_of_bytes, for_each_value};
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::ValueRange;
use crate::transform::Transformation;

/// Stretches each channel so that its smallest value becomes black and its largest white. Keras: `AutoContrast`.
///
/// $$ y = low + (high - low) \frac{x - \min}{\max - \min} $$ A constant channel stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoContrast {
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Transformation for AutoContrast {
    const CLASS: &'static str = "AutoContrast";
    const NAME: &'static str = "auto_contrast";
    const ABOUT: &'static str = "stretches each channel to the whole range of values";
    const ARGUMENTS: &'static [&'static str] = &["value_range"];
    const REQUIRED: usize = 0;
    type Parameters = NoParameters;

    fn check(&self) -> Result<()> {
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, _draws: &mut Draws, _shape: ImageShape) -> NoParameters {
        NoParameters {}
    }

    fn apply(&self, image: &mut Image, _parameters: &NoParameters) -> Result<()> {
        for channel in 0..image.channels {
            let values = || image.data.iter().skip(channel).step_by(image.channels);
            let (low, high) = values()
                .map(|&v| self.value_range.to_bytes(v))
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
                    (low.min(v), high.max(v))
                });
            if low >= high {
                continue;
            }
            let scale = 255.0 / (high - low);
            for value in image.data.iter_mut().skip(channel).step_by(image.channels) {
                let level = (self.value_range.to_bytes(*value) * scale - low * scale).clamp(0.0, 255.0);
                *value = self.value_range.unscale_bytes(level);
            }
        }
        Ok(())
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        _parameters: &NoParameters,
    ) -> Option<Result<()>> {
        P::units(self.value_range, pixels.range)?;
        let channels = pixels.shape.channels;
        let bytes = P::bytes(pixels.data)?;
        let line = |(low, high): (u8, u8)| {
            let scale = 255.0 / (f32::from(high) - f32::from(low));
            if low < high {
                (scale, f32::from(low) * scale)
            } else {
                (1.0, 0.0)
            }
        };
        let lines: Vec<(f32, f32)> = extremes_of_bytes(bytes, channels).into_iter().map(line).collect();
        for_each_value(bytes, &lines, |value, (scale, shift)| {
            u8::from_f32(f32::from(value) * scale - shift)
        });
        Some(Ok(()))
    }
}
