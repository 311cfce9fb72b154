//! Solarization.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

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
        pixels.map_values(move |value| {
            let level = (range.to_bytes(value) + additions).clamp(0.0, 255.0);
            let level = if level < thresholds { level } else { 255.0 - level };
            range.unscale_bytes(level)
        });
        Some(Ok(()))
    }
}
