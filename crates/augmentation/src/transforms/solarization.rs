//! Solarization.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::arithmetic::for_each;
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

/// Inverts the values above a threshold, after adding to them. Keras: `Solarization`.
///
/// $$ z = \operatorname{clip}(x + a), \quad y = \begin{cases} z & z < t \\ 255 - z & \text{else} \end{cases} $$
/// on the scale 0 to 255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Solarization {
    /// `a` in parts of the value range, [0, 1]; one number `f` means `[0, f]`.
    pub addition_factor: Factor,
    /// `t` in parts of the value range, [0, 1].
    pub threshold_factor: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for Solarization {
    fn default() -> Self {
        Self {
            addition_factor: Factor::Single(0.0),
            threshold_factor: Factor::Single(0.0),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one solarization is determined by; both on the scale 0 to 255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolarizationParameters {
    /// What is added.
    pub additions: f32,
    /// The threshold.
    pub thresholds: f32,
}

impl Transformation for Solarization {
    const CLASS: &'static str = "Solarization";
    const NAME: &'static str = "solarize";
    const ABOUT: &'static str = "inverts the values above a threshold";
    const ARGUMENTS: &'static [&'static str] = &["addition_factor", "threshold_factor", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = SolarizationParameters;

    fn check(&self) -> Result<()> {
        self.addition_factor.check(Self::CLASS, "addition_factor", 0.0, 1.0)?;
        self.threshold_factor.check(Self::CLASS, "threshold_factor", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> SolarizationParameters {
        let mut level = |factor: Factor| {
            let (low, high) = factor.bounds(0.0);
            draws.uniform_in(255.0 * low, 255.0 * high) as f32
        };
        SolarizationParameters {
            additions: level(self.addition_factor),
            thresholds: level(self.threshold_factor),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &SolarizationParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &SolarizationParameters,
    ) -> Option<Result<()>> {
        P::units(self.value_range, pixels.range)?;
        let SolarizationParameters { additions, thresholds } = *parameters;
        let range = self.value_range;
        let solarized = move |value: f32| {
            let level = (range.to_bytes(value) + additions).clamp(0.0, 255.0);
            let level = if level < thresholds { level } else { 255.0 - level };
            range.unscale_bytes(level)
        };
        let as_bytes = P::bytes(pixels.data).is_some_and(|bytes| two_ramps(bytes, solarized, pixels.range));
        if !as_bytes {
            pixels.map_values(solarized);
        }
        Some(Ok(()))
    }
}

/// Solarizes bytes with additions that end at 255, up to a level as they are and from there on as negatives, many at once, where that
/// is what the function says of all 256 levels; says whether it is. Looking up one level after the other takes ten times as long.
fn two_ramps(bytes: &mut [u8], solarized: impl Fn(f32) -> f32, range: ValueRange) -> bool {
    let of_level = |level: usize| {
        let value = u8::from_units(level as f32, range);
        u8::from_f32(u8::in_units(solarized(value), range))
    };
    let table: [u8; 256] = std::array::from_fn(of_level);
    let first = table[0];
    let plain = move |level: u8| level.saturating_add(first);
    let Some(threshold) = (0..=255).find(|&level| plain(level) != table[usize::from(level)]) else {
        for_each(bytes, plain);
        return true;
    };
    let second = 255 - table[usize::from(threshold)].saturating_add(threshold);
    let ramps = move |level: u8| {
        let negative = 255 - level.saturating_add(second);
        if level < threshold { plain(level) } else { negative }
    };
    let so_it_is = (0..=255).all(|level| ramps(level) == table[usize::from(level)]);
    if so_it_is {
        for_each(bytes, ramps);
    }
    so_it_is
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_solarized_as_the_table_of_their_levels() {
        let mut draws = kernels::random::Stream::new(3).op("ramps").draws();
        for turn in 0..400 {
            let range = if turn % 2 == 0 {
                ValueRange::BYTES
            } else {
                ValueRange::UNIT
            };
            let threshold = [0.0, 1.0, 255.0, 256.0, draws.uniform_in(0.0, 255.0) as f32][turn % 5];
            let addition = [0.0, 0.5, 51.0, draws.uniform_in(0.0, 255.0) as f32][turn % 4];
            let solarized = |value: f32| {
                let level = (range.to_bytes(value) + addition).clamp(0.0, 255.0);
                let level = if level < threshold { level } else { 255.0 - level };
                range.unscale_bytes(level)
            };
            let mut bytes: Vec<u8> = (0..=255).collect();
            let expected: Vec<u8> = bytes
                .iter()
                .map(|&v| u8::from_f32(u8::in_units(solarized(u8::from_units(f32::from(v), range)), range)))
                .collect();
            if two_ramps(&mut bytes, solarized, range) {
                assert_eq!(bytes, expected, "{addition} {threshold}");
            } else {
                // Only where a half may be rounded either way.
                assert!((addition.fract() - 0.5).abs() < 1e-3, "{addition} {threshold}");
            }
        }
    }
}
