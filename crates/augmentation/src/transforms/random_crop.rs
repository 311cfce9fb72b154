//! Crops at a random place.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::resizing::{check_target, crop};
use crate::error::{Error, Result};
use crate::geometry::{ResizeInterpolation, resample};
use crate::image::{Image, ImageShape};
use crate::transform::Transformation;

/// Cuts a window of `height` x `width` out at a random place. Keras: `RandomCrop`.
///
/// An image that is not larger than the window in both directions gives its largest window of the same aspect ratio,
/// from the middle, resized bilinearly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomCrop {
    /// Rows of the window.
    pub height: usize,
    /// Columns of the window.
    pub width: usize,
}

impl Default for RandomCrop {
    fn default() -> Self {
        Self { height: 24, width: 24 }
    }
}

/// What one crop is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropParameters {
    /// First row of the window.
    pub h_start: usize,
    /// First column of the window.
    pub w_start: usize,
}

impl Transformation for RandomCrop {
    const CLASS: &'static str = "RandomCrop";
    const NAME: &'static str = "crop";
    const ABOUT: &'static str = "cuts a window out at a random place";
    const ARGUMENTS: &'static [&'static str] = &["height", "width"];
    const REQUIRED: usize = 2;
    type Parameters = CropParameters;

    fn check(&self) -> Result<()> {
        check_target(Self::CLASS, self.height, self.width)
    }

    fn draw(&self, draws: &mut Draws, shape: ImageShape) -> CropParameters {
        if shape.height > self.height && shape.width > self.width {
            CropParameters {
                h_start: draws.below(shape.height - self.height + 1),
                w_start: draws.below(shape.width - self.width + 1),
            }
        } else {
            let crop_height = (shape.width * self.height / self.width.max(1)).min(shape.height).max(1);
            let crop_width = (shape.height * self.width / self.height.max(1)).min(shape.width).max(1);
            CropParameters {
                h_start: (shape.height - crop_height) / 2,
                w_start: (shape.width - crop_width) / 2,
            }
        }
    }

    fn apply(&self, image: &mut Image, parameters: &CropParameters) -> Result<()> {
        self.check()?;
        let CropParameters { h_start, w_start } = *parameters;
        if h_start >= image.height || w_start >= image.width {
            return Err(Error::Parameters {
                transformation: Self::CLASS,
                reason: format!(
                    "the window starts at ({h_start}, {w_start}), outside of an image of {}",
                    image.shape()
                ),
            });
        }
        // A window that runs over the border is shorter and is stretched afterwards.
        let height = self.height.min(image.height - h_start);
        let width = self.width.min(image.width - w_start);
        let window = crop(image, h_start, w_start, height, width);
        *image = if (height, width) == (self.height, self.width) {
            window
        } else {
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
