//! Crops from the middle.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::NoParameters;
use super::resizing::{check_target, crop, crop_to_aspect_ratio};
use crate::error::Result;
use crate::geometry::{ResizeInterpolation, resample};
use crate::image::{Image, ImageShape};
use crate::transform::Transformation;

/// Cuts a window of `height` x `width` out of the middle. Keras: `CenterCrop`.
///
/// Where the window is larger than the image in either direction, the largest window of its aspect ratio is cut out
/// and resized bilinearly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CenterCrop {
    /// Rows of the window.
    pub height: usize,
    /// Columns of the window.
    pub width: usize,
}

impl Default for CenterCrop {
    fn default() -> Self {
        Self { height: 24, width: 24 }
    }
}

impl Transformation for CenterCrop {
    const CLASS: &'static str = "CenterCrop";
    const NAME: &'static str = "center_crop";
    const ABOUT: &'static str = "cuts a window out of the middle";
    const ARGUMENTS: &'static [&'static str] = &["height", "width"];
    const REQUIRED: usize = 2;
    type Parameters = NoParameters;

    fn check(&self) -> Result<()> {
        check_target(Self::CLASS, self.height, self.width)
    }

    fn draw(&self, _draws: &mut Draws, _shape: ImageShape) -> NoParameters {
        NoParameters {}
    }

    fn apply(&self, image: &mut Image, _parameters: &NoParameters) -> Result<()> {
        self.check()?;
        *image = if self.height <= image.height && self.width <= image.width {
            let (top, left) = ((image.height - self.height) / 2, (image.width - self.width) / 2);
            crop(image, top, left, self.height, self.width)
        } else {
            let window = crop_to_aspect_ratio(image, self.height, self.width);
            resample(&window, self.height, self.width, ResizeInterpolation::Bilinear, false)
        };
        Ok(())
    }

    fn output_shape(&self, shape: ImageShape) -> ImageShape {
        ImageShape {
            height: self.height,
            width: self.width,
            ..shape
        }
    }
}
