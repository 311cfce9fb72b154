//! Contrast stretched to the whole range.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::NoParameters;
use crate::arithmetic::{extremes_of_bytes, extremes_of_floats, for_each_value};
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::ValueRange;
use crate::transform::{Transformation, on_image};

/// Stretches each channel so that its smallest value becomes black and its largest white. Keras: `AutoContrast`.
///
/// $$ y = low + (high - low) \frac{x - \min}{\max - \min} $$ A constant channel stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoContrast {
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl AutoContrast {
    /// Floats, channel by channel; a constant one is left as it is to the bit.
    fn stretch(&self, data: &mut [f32], channels: usize) {
        let range = self.value_range;
        let line = |(low, high): (f32, f32)| {
            let (low, high) = (range.to_bytes(low), range.to_bytes(high));
            let scale = 255.0 / (high - low);
            (low < high).then_some((scale, low * scale))
        };
        let lines: Vec<Option<(f32, f32)>> = extremes_of_floats(data, channels).into_iter().map(line).collect();
        let stretched = move |value: f32, scale: f32, shift: f32| -> f32 {
            range.unscale_bytes((range.to_bytes(value) * scale - shift).clamp(0.0, 255.0))
        };
        match lines.iter().copied().collect::<Option<Vec<_>>>() {
            Some(lines) => for_each_value(data, &lines, move |value, (scale, shift)| {
                stretched(value, scale, shift)
            }),
            None => for_each_value(data, &lines, move |value, line| {
                line.map_or(value, |(scale, shift)| stretched(value, scale, shift))
            }),
        }
    }
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

    fn apply(&self, image: &mut Image, parameters: &NoParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        _parameters: &NoParameters,
    ) -> Option<Result<()>> {
        P::units(self.value_range, pixels.range)?;
        let channels = pixels.shape.channels;
        if let Some(floats) = P::floats(pixels.data) {
            self.stretch(floats, channels);
            return Some(Ok(()));
        }
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
