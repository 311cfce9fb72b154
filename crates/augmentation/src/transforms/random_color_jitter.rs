//! Brightness, contrast, saturation and hue at once.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::{
    BrightnessParameters, ContrastParameters, HueParameters, RandomBrightness, RandomContrast, RandomHue,
    RandomSaturation, SaturationParameters,
};
use crate::error::Result;
use crate::image::{Image, ImageShape};
use crate::range::{Factor, ValueRange};
use crate::transform::Transformation;

/// Brightness, contrast, saturation and hue, in this order, each where its factor is given. Keras: `RandomColorJitter`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomColorJitter {
    /// See [`RandomBrightness`].
    pub brightness_factor: Option<Factor>,
    /// See [`RandomContrast`].
    pub contrast_factor: Option<Factor>,
    /// See [`RandomSaturation`].
    pub saturation_factor: Option<Factor>,
    /// See [`RandomHue`].
    pub hue_factor: Option<Factor>,
    /// The values that pixels may have.
    pub value_range: ValueRange,
}

/// What one jitter is determined by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColorJitterParameters {
    /// Of the brightness.
    pub brightness: Option<BrightnessParameters>,
    /// Of the contrast.
    pub contrast: Option<ContrastParameters>,
    /// Of the saturation.
    pub saturation: Option<SaturationParameters>,
    /// Of the hue.
    pub hue: Option<HueParameters>,
}

impl RandomColorJitter {
    fn brightness(&self) -> Option<RandomBrightness> {
        self.brightness_factor.map(|factor| RandomBrightness {
            factor,
            value_range: self.value_range,
        })
    }

    fn contrast(&self) -> Option<RandomContrast> {
        self.contrast_factor.map(|factor| RandomContrast {
            factor,
            value_range: self.value_range,
        })
    }

    fn saturation(&self) -> Option<RandomSaturation> {
        self.saturation_factor.map(|factor| RandomSaturation {
            factor,
            value_range: self.value_range,
        })
    }

    fn hue(&self) -> Option<RandomHue> {
        self.hue_factor.map(|factor| RandomHue {
            factor,
            value_range: self.value_range,
        })
    }
}

impl Transformation for RandomColorJitter {
    const CLASS: &'static str = "RandomColorJitter";
    const NAME: &'static str = "color_jitter";
    const ABOUT: &'static str = "brightness, contrast, saturation and hue at once (RGB)";
    const ARGUMENTS: &'static [&'static str] = &[
        "brightness_factor",
        "contrast_factor",
        "saturation_factor",
        "hue_factor",
        "value_range",
    ];
    const REQUIRED: usize = 0;
    type Parameters = ColorJitterParameters;

    fn check(&self) -> Result<()> {
        let class = Self::CLASS;
        self.brightness_factor
            .map_or(Ok(()), |f| f.check(class, "brightness_factor", -1.0, 1.0))?;
        self.contrast_factor
            .map_or(Ok(()), |f| f.check(class, "contrast_factor", 0.0, 1.0))?;
        self.saturation_factor
            .map_or(Ok(()), |f| f.check(class, "saturation_factor", -1.0, 1.0))?;
        self.hue_factor
            .map_or(Ok(()), |f| f.check(class, "hue_factor", 0.0, 1.0))?;
        self.value_range.check(class)
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> ColorJitterParameters {
        ColorJitterParameters {
            brightness: self.brightness().map(|t| t.draw(draws, shape)),
            contrast: self.contrast().map(|t| t.draw(draws, shape)),
            saturation: self.saturation().map(|t| t.draw(draws, shape)),
            hue: self.hue().map(|t| t.draw(draws, shape)),
        }
    }

    fn apply(&self, image: &mut Image, parameters: &ColorJitterParameters) -> Result<()> {
        if let (Some(t), Some(p)) = (self.brightness(), &parameters.brightness) {
            t.apply(image, p)?;
        }
        if let (Some(t), Some(p)) = (self.contrast(), &parameters.contrast) {
            t.apply(image, p)?;
        }
        if let (Some(t), Some(p)) = (self.saturation(), &parameters.saturation) {
            t.apply(image, p)?;
        }
        if let (Some(t), Some(p)) = (self.hue(), &parameters.hue) {
            t.apply(image, p)?;
        }
        Ok(())
    }
}
