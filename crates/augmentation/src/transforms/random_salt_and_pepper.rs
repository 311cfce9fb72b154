//! Salt-and-pepper noise.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::noise::Noise;
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Makes a random part of the pixels white or black, half of them each.
///
/// Each pixel (all of its channels) turns white with probability `a / 2` and black with `a / 2`, where
/// $ a \sim U(\text{amount}) $. Not a Keras class; skimage calls it `random_noise(mode="s&p")`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomSaltAndPepper {
    /// The part of the pixels, in [0, 1]; one number `a` means `[0, a]`.
    pub amount: Factor,
    /// Black and white.
    pub value_range: ValueRange,
}

impl Default for RandomSaltAndPepper {
    fn default() -> Self {
        Self {
            amount: Factor::Single(0.05),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What the noise of one image is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaltAndPepperParameters {
    /// The part of the pixels.
    pub amount: f32,
    /// Uniform numbers, one a pixel.
    pub noise: Noise,
}

impl Transformation for RandomSaltAndPepper {
    const CLASS: &'static str = "RandomSaltAndPepper";
    const NAME: &'static str = "salt_and_pepper";
    const ABOUT: &'static str = "makes a part of the pixels white or black";
    const ARGUMENTS: &'static [&'static str] = &["amount", "value_range"];
    const REQUIRED: usize = 1;
    type Parameters = SaltAndPepperParameters;

    fn check(&self) -> Result<()> {
        self.amount.check(Self::CLASS, "amount", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> SaltAndPepperParameters {
        let (low, high) = self.amount.bounds(0.0);
        SaltAndPepperParameters {
            amount: draws.uniform_in(low, high) as f32,
            noise: Noise::draw(draws),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &SaltAndPepperParameters) -> Result<()> {
        let noise = parameters.noise.uniform(Self::CLASS, image.height * image.width)?;
        for (pixel, noise) in image.data.chunks_exact_mut(image.channels).zip(noise) {
            if noise < parameters.amount / 2.0 {
                pixel.fill(self.value_range.low);
            } else if noise < parameters.amount {
                pixel.fill(self.value_range.high);
            }
        }
        Ok(())
    }
}
