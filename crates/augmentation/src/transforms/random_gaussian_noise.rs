//! Gaussian noise.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::noise::Noise;
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

/// Adds independent normal noise to every value and clips.
///
/// $$ y = \operatorname{clip}(x + \sigma (high - low)\, n), \quad n \sim N(0, 1),\; \sigma \sim U(\text{stddev}) $$
/// Not a Keras class: Keras' `GaussianNoise` is a layer of the network, in absolute units and without a clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomGaussianNoise {
    /// Standard deviation in parts of the value range, in [0, 1]; one number `s` means `[0, s]`.
    pub stddev: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomGaussianNoise {
    fn default() -> Self {
        Self {
            stddev: Factor::Single(0.1),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What the noise of one image is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianNoiseParameters {
    /// Standard deviation in parts of the value range.
    pub stddev: f32,
    /// Standard normal numbers, one a value.
    pub noise: Noise,
}

impl Transformation for RandomGaussianNoise {
    const CLASS: &'static str = "RandomGaussianNoise";
    const NAME: &'static str = "gaussian_noise";
    const ABOUT: &'static str = "adds normal noise";
    const ARGUMENTS: &'static [&'static str] = &["stddev", "value_range"];
    const REQUIRED: usize = 1;
    type Parameters = GaussianNoiseParameters;

    fn check(&self) -> Result<()> {
        self.stddev.check(Self::CLASS, "stddev", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> GaussianNoiseParameters {
        let (low, high) = self.stddev.bounds(0.0);
        GaussianNoiseParameters {
            stddev: draws.uniform_in(low, high) as f32,
            noise: Noise::draw(draws),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &GaussianNoiseParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &GaussianNoiseParameters,
    ) -> Option<Result<()>> {
        // What is added to the units of the pixels, where the values of the range are some.
        let units = P::units(self.value_range, pixels.range)?;
        let scale = parameters.stddev * units.width();
        let noise = &parameters.noise;
        let added = noise.join_normal(Self::CLASS, pixels.data, move |value, noise| {
            P::from_f32(units.clip(value.to_f32() + scale * noise))
        });
        Some(added)
    }
}
