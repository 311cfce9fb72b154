//! Shot noise.

use kernels::random::{Draws, Stream};
use rand_distr::{Distribution, Poisson};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::noise;
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Counts photons: dark places are little noisy, bright ones more.
///
/// $$ y = \operatorname{clip}\bigl(\sigma^2\, \text{Poisson}(x / \sigma^2)\bigr), \quad \sigma \sim U(\text{stddev}) $$
/// on values of `[0, 1]`, so that white has the standard deviation `σ` and black none. Not a Keras class; the corruption
/// `shot_noise` of ImageNet-C is the same with $ 1 / \sigma^2 $ photons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomShotNoise {
    /// Standard deviation at white in parts of the value range, in [0, 1]; one number `s` means `[0, s]`.
    pub stddev: Factor,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

impl Default for RandomShotNoise {
    fn default() -> Self {
        Self {
            stddev: Factor::Single(0.15),
            value_range: ValueRange::BYTES,
        }
    }
}

/// What the noise of one image is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShotNoiseParameters {
    /// Standard deviation at white in parts of the value range.
    pub stddev: f32,
    /// Seed of the photons.
    pub seed: u64,
}

impl Transformation for RandomShotNoise {
    const CLASS: &'static str = "RandomShotNoise";
    const NAME: &'static str = "shot_noise";
    const ABOUT: &'static str = "counts photons: noise that grows with the brightness";
    const ARGUMENTS: &'static [&'static str] = &["stddev", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = ShotNoiseParameters;

    fn check(&self) -> Result<()> {
        self.stddev.check(Self::CLASS, "stddev", 0.0, 1.0)?;
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> ShotNoiseParameters {
        let (low, high) = self.stddev.bounds(0.0);
        ShotNoiseParameters {
            stddev: draws.uniform_in(low, high) as f32,
            seed: noise::seed(draws),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &ShotNoiseParameters) -> Result<()> {
        let grain = f64::from(parameters.stddev).powi(2);
        // Below a tenth of a grey level there is nothing to see, and as many photons as nobody has to count.
        if grain < 1e-7 {
            return Ok(());
        }
        let mut draws = Stream::new(parameters.seed).op("noise").draws();
        let range = self.value_range;
        for value in &mut image.data {
            let light = f64::from((*value - range.low) / range.width());
            // No light, no photons.
            let photons = Poisson::new(light / grain).map_or(0.0, |poisson| poisson.sample(&mut draws));
            *value = range.clip((photons * grain) as f32 * range.width() + range.low);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variance_grows_with_the_light() {
        let shot = RandomShotNoise {
            value_range: ValueRange::UNIT,
            ..Default::default()
        };
        let parameters = ShotNoiseParameters { stddev: 0.1, seed: 5 };
        for light in [0.0, 0.25, 0.5] {
            let mut image = Image::new(80, 50, 1, vec![light; 4000]).unwrap();
            shot.apply(&mut image, &parameters).unwrap();
            let mean = image.data.iter().sum::<f32>() / 4000.0;
            let variance = image.data.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 4000.0;
            assert!((mean - light).abs() < 0.005, "{light}: mean {mean}");
            // Of a Poisson number: the mean times the size of a grain.
            assert!((variance - 0.01 * light).abs() < 0.0008, "{light}: variance {variance}");
        }
    }
}
