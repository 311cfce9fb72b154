//! Shadows.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Darkens a band that runs through the image from top to bottom, or from left to right.
///
/// $$ y = low + (1 - s)(x - low) $$ inside of the band, with $ s \sim U(\text{strength}) $. Its ends are drawn on both
/// borders independently. Not a Keras class; albumentations calls it `RandomShadow`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomShadow {
    /// How much of the light is lost, in [0, 1]; one number `s` means `[0, s]`.
    pub strength: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomShadow {
    fn default() -> Self {
        Self {
            strength: Factor::Single(0.6),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What one shadow is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowParameters {
    /// How much of the light is lost.
    pub strength: f32,
    /// From left to right instead of from top to bottom.
    pub sideways: bool,
    /// Where the band begins and ends on the first border, in parts of it.
    pub first: [f32; 2],
    /// The same on the other border.
    pub last: [f32; 2],
}

impl Transformation for RandomShadow {
    const CLASS: &'static str = "RandomShadow";
    const NAME: &'static str = "shadow";
    const ABOUT: &'static str = "darkens a band through the image";
    const ARGUMENTS: &'static [&'static str] = &["strength", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = ShadowParameters;

    fn check(&self) -> Result<()> {
        self.strength.check(Self::CLASS, "strength", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> ShadowParameters {
        let (low, high) = self.strength.bounds(0.0);
        let strength = draws.uniform_in(low, high) as f32;
        let sideways = draws.bernoulli(0.5);
        let mut ends = || {
            let (a, b) = (draws.uniform() as f32, draws.uniform() as f32);
            [a.min(b), a.max(b)]
        };
        ShadowParameters {
            strength,
            sideways,
            first: ends(),
            last: ends(),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &ShadowParameters) -> Result<()> {
        let (height, width) = (image.height as f32, image.width as f32);
        let keep = 1.0 - parameters.strength;
        let low = self.value_range.low;
        let colours = if image.channels == 4 { 3 } else { image.channels };
        for (i, pixel) in image.data.chunks_exact_mut(image.channels).enumerate() {
            let (y, x) = ((i / image.width) as f32 + 0.5, (i % image.width) as f32 + 0.5);
            // Along the band, and across it.
            let (along, across) = if parameters.sideways {
                (x / width, y / height)
            } else {
                (y / height, x / width)
            };
            let edge = |i: usize| parameters.first[i] + along * (parameters.last[i] - parameters.first[i]);
            if (edge(0)..edge(1)).contains(&across) {
                for value in &mut pixel[..colours] {
                    *value = self.value_range.clip(low + keep * (*value - low));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_runs_from_border_to_border() {
        let parameters = ShadowParameters {
            strength: 0.5,
            sideways: false,
            first: [0.0, 0.5],
            last: [0.5, 1.0],
        };
        let mut image = Image::new(4, 4, 1, vec![200.0; 16]).unwrap();
        RandomShadow::default().apply(&mut image, &parameters).unwrap();
        let dark: Vec<bool> = image.data.iter().map(|&v| v == 100.0).collect();
        let rows = ["##..", ".##.", ".##.", "..##"];
        let expected: Vec<bool> = rows.iter().flat_map(|row| row.bytes().map(|c| c == b'#')).collect();
        assert_eq!(dark, expected);
    }
}
