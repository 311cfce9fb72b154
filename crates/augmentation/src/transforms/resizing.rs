//! Another size.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use super::NoParameters;
use crate::error::{Error, Result};
use crate::geometry::{ResizeInterpolation, resample};
use crate::image::{Image, ImageShape, MAX_VALUES};
use crate::transform::Transformation;

/// Resizes an image. Keras: `Resizing`.
///
/// Pixels are areas with half-pixel centres. The aspect ratio changes unless one of the two options keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resizing {
    /// Rows wanted.
    pub height: usize,
    /// Columns wanted.
    pub width: usize,
    /// Between the pixels.
    pub interpolation: ResizeInterpolation,
    /// Cut to the wanted aspect ratio first.
    pub crop_to_aspect_ratio: bool,
    /// Pad to the wanted aspect ratio first.
    pub pad_to_aspect_ratio: bool,
    /// Value of the padding.
    pub fill_value: f32,
    /// Average over all that an output pixel covers when shrinking.
    pub antialias: bool,
}

impl Default for Resizing {
    fn default() -> Self {
        Self {
            height: 32,
            width: 32,
            interpolation: ResizeInterpolation::Bilinear,
            crop_to_aspect_ratio: false,
            pad_to_aspect_ratio: false,
            fill_value: 0.0,
            antialias: false,
        }
    }
}

impl Transformation for Resizing {
    const CLASS: &'static str = "Resizing";
    const NAME: &'static str = "resize";
    const ABOUT: &'static str = "gives every image the same size";
    const ARGUMENTS: &'static [&'static str] = &[
        "height",
        "width",
        "interpolation",
        "crop_to_aspect_ratio",
        "pad_to_aspect_ratio",
        "fill_value",
        "antialias",
    ];
    const REQUIRED: usize = 2;
    type Parameters = NoParameters;

    fn check(&self) -> Result<()> {
        check_target(Self::CLASS, self.height, self.width)?;
        if self.crop_to_aspect_ratio && self.pad_to_aspect_ratio {
            return Err(Error::Argument {
                transformation: Self::CLASS,
                argument: "pad_to_aspect_ratio",
                found: "true together with crop_to_aspect_ratio".into(),
                expected: "one of the two".into(),
            });
        }
        Ok(())
    }

    fn draw(&self, _draws: &mut Draws, _shape: ImageShape) -> NoParameters {
        NoParameters {}
    }

    fn apply(&self, image: &mut Image, _parameters: &NoParameters) -> Result<()> {
        self.check()?;
        if self.crop_to_aspect_ratio {
            *image = crop_to_aspect_ratio(image, self.height, self.width);
        } else if self.pad_to_aspect_ratio {
            *image = pad_to_aspect_ratio(image, self.height, self.width, self.fill_value)?;
        }
        *image = resample(image, self.height, self.width, self.interpolation, self.antialias);
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

/// Refuses sizes that are empty or could not be allocated (for four channels).
pub(super) fn check_target(transformation: &'static str, height: usize, width: usize) -> Result<()> {
    for (argument, size) in [("height", height), ("width", width)] {
        if size == 0 || size > 1 << 16 {
            let expected = "a number of pixels between 1 and 65,536".to_owned();
            return Err(Error::Argument {
                transformation,
                argument,
                found: size.to_string(),
                expected,
            });
        }
    }
    if height * width > MAX_VALUES / 4 {
        return Err(Error::TooLarge {
            height,
            width,
            channels: 4,
            limit: MAX_VALUES,
        });
    }
    Ok(())
}

/// The window of an image, which must lie inside.
pub(super) fn crop(image: &Image, top: usize, left: usize, height: usize, width: usize) -> Image {
    let channels = image.channels;
    let mut data = Vec::with_capacity(height * width * channels);
    for row in image.data.chunks_exact(image.width * channels).skip(top).take(height) {
        data.extend_from_slice(&row[left * channels..(left + width) * channels]);
    }
    Image {
        height,
        width,
        channels,
        data,
    }
}

/// The largest window in the middle with the aspect ratio `height : width`.
pub(super) fn crop_to_aspect_ratio(image: &Image, height: usize, width: usize) -> Image {
    let crop_height = (image.width * height / width).clamp(1, image.height);
    let crop_width = (image.height * width / height).clamp(1, image.width);
    crop(
        image,
        (image.height - crop_height) / 2,
        (image.width - crop_width) / 2,
        crop_height,
        crop_width,
    )
}

/// The image in the middle of `fill_value`; an odd remainder is lost, as in Keras, where both sides get the same.
fn pad_to_aspect_ratio(image: &Image, height: usize, width: usize, fill_value: f32) -> Result<Image> {
    let pad = |size: usize, padded: usize| (padded.max(size) - size) / 2;
    let top = pad(image.height, image.width * height / width);
    let left = pad(image.width, image.height * width / height);
    let shape = ImageShape {
        height: image.height + 2 * top,
        width: image.width + 2 * left,
        channels: image.channels,
    };
    let mut data = vec![fill_value; shape.values()?];
    let rows = data.chunks_exact_mut(shape.width * shape.channels).skip(top);
    for (out, row) in rows.zip(image.data.chunks_exact(image.width * image.channels)) {
        out[left * shape.channels..][..row.len()].copy_from_slice(row);
    }
    Ok(Image {
        height: shape.height,
        width: shape.width,
        channels: shape.channels,
        data,
    })
}
