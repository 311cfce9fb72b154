//! A patch erased.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::image::{Image, ImageShape};
use crate::noise::Noise;
use crate::pixels::{Pixel, PixelsMut};
use crate::range::{Factor, ValueRange};
use crate::transform::{Transformation, on_image};

/// Replaces a random rectangle by a value or by noise, with a probability. Keras: `RandomErasing`.
///
/// The sides are $ h \sqrt{u_1} $ and $ w \sqrt{u_2} $ with $ u \sim U(\text{scale}) $, the place is uniform.
/// Zhong et al., "Random Erasing Data Augmentation", 2017.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomErasing {
    /// The probability, in [0, 1], itself drawn from this range; one number `f` means `[0, f]`, on average `f / 2`.
    pub factor: Factor,
    /// The range of the squares of the sides, as parts of height and width, in [0, 1].
    pub scale: Factor,
    /// One value, one for each of three channels, or none for normal noise.
    pub fill_value: Option<super::PerChannel>,
    /// The values that pixels may have; the fill is clipped to it.
    pub value_range: ValueRange,
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self {
            factor: Factor::Single(1.0),
            scale: Factor::Pair([0.02, 0.33]),
            fill_value: None,
            value_range: ValueRange::BYTES,
        }
    }
}

/// What the patch is filled with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasingFill {
    /// One value for all, one a channel, or one for each value of the image.
    Value(Vec<f32>),
    /// Standard normal numbers times the upper end of the value range, clipped, one for each value of the patch: half of
    /// it is black.
    Noise(Noise),
}

/// What one erasing is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasingParameters {
    /// Whether anything happens.
    pub apply_erasing: bool,
    /// First column (inclusive) of the patch, in pixels.
    pub x0: f64,
    /// Last column (exclusive).
    pub x1: f64,
    /// First row (inclusive).
    pub y0: f64,
    /// Last row (exclusive).
    pub y1: f64,
    /// What the patch is filled with.
    pub fill: ErasingFill,
}

impl Transformation for RandomErasing {
    const CLASS: &'static str = "RandomErasing";
    const NAME: &'static str = "erase";
    const ABOUT: &'static str = "replaces a rectangle by a value or by noise with a probability";
    const ARGUMENTS: &'static [&'static str] = &["factor", "scale", "fill_value", "value_range"];
    const REQUIRED: usize = 0;
    type Parameters = ErasingParameters;

    fn check(&self) -> Result<()> {
        self.factor.check(Self::CLASS, "factor", 0.0, 1.0)?;
        self.scale.check(Self::CLASS, "scale", 0.0, 1.0)?;
        if let Some(value) = &self.fill_value {
            value.check(Self::CLASS, "fill_value", f64::MIN)?;
        }
        self.value_range.check(Self::CLASS)
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> ErasingParameters {
        let (low, high) = self.scale.bounds(0.0);
        let mut side = |n: usize| {
            let length = draws.uniform_in(low, high).sqrt() * n as f64;
            let start = draws.uniform() * (n as f64 - length);
            (start, start + length)
        };
        let ((x0, x1), (y0, y1)) = (side(shape.width), side(shape.height));
        let (low, high) = self.factor.bounds(0.0);
        let probability = draws.uniform_in(low, high);
        let apply_erasing = draws.bernoulli(probability);
        let clip = |v: &f64| self.value_range.clip(*v as f32);
        let fill = match &self.fill_value {
            None => ErasingFill::Noise(Noise::draw(draws)),
            Some(super::PerChannel::All(value)) => ErasingFill::Value(vec![clip(value)]),
            Some(super::PerChannel::Each(values)) => ErasingFill::Value(values.iter().map(clip).collect()),
        };
        ErasingParameters {
            apply_erasing,
            x0,
            x1,
            y0,
            y1,
            fill,
        }
    }

    fn apply(&self, image: &mut Image, parameters: &ErasingParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &ErasingParameters,
    ) -> Option<Result<()>> {
        if !parameters.apply_erasing {
            return Some(Ok(()));
        }
        let ImageShape {
            height,
            width,
            channels,
        } = pixels.shape;
        // Pixels that are at or behind the first number and before the second.
        let span = |low: f64, high: f64, n: usize| {
            (low.ceil().max(0.0) as usize).min(n)..(high.ceil().max(0.0) as usize).min(n)
        };
        let (rows, columns) = (
            span(parameters.y0, parameters.y1, height),
            span(parameters.x0, parameters.x1, width),
        );
        let size = rows.len() * columns.len() * channels;
        let fill: Vec<f32> = match &parameters.fill {
            ErasingFill::Value(values) if [1, channels, pixels.data.len()].contains(&values.len()) => values.clone(),
            ErasingFill::Value(values) => {
                let reason = format!("{} fill values for {channels} channels", values.len());
                return Some(Err(Error::Parameters {
                    transformation: Self::CLASS,
                    reason,
                }));
            }
            ErasingFill::Noise(noise) => match noise.normal(Self::CLASS, size) {
                Ok(noise) => noise
                    .into_iter()
                    .map(|n| self.value_range.clip(n * self.value_range.high))
                    .collect(),
                Err(error) => return Some(Err(error)),
            },
        };
        let fill: Vec<P> = fill
            .iter()
            .map(|&v| P::from_f32(P::in_units(v, pixels.range)))
            .collect();
        let of_patch = matches!(parameters.fill, ErasingFill::Noise(_));
        let of_image = !of_patch && fill.len() == pixels.data.len();
        let (row, first) = (width * channels, columns.start * channels);
        for (i, y) in rows.enumerate() {
            let out = &mut pixels.data[y * row + first..][..columns.len() * channels];
            if of_patch {
                out.copy_from_slice(&fill[i * out.len()..][..out.len()]);
            } else if of_image {
                out.copy_from_slice(&fill[y * row + first..][..out.len()]);
            } else if let [value] = fill[..] {
                out.fill(value);
            } else {
                out.chunks_exact_mut(channels)
                    .for_each(|pixel| pixel.copy_from_slice(&fill));
            }
        }
        Some(Ok(()))
    }
}
