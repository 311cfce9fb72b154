//! One image: `(height, width, channels)` values of f32, channel last.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::pixels::Pixel as _;

/// The most values that one image may have: 2^31, a gigapixel in colour does not pass, a 20,000 x 20,000 photo does.
pub const MAX_VALUES: usize = 1 << 31;

/// Height, width and channels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values a pixel, 1 for grey, 3 for colour.
    pub channels: usize,
}

impl ImageShape {
    /// Number of values, checked.
    ///
    /// # Errors
    /// [`Error::EmptyImage`] where a side is 0, [`Error::TooLarge`] above [`MAX_VALUES`].
    pub fn values(self) -> Result<usize> {
        let Self {
            height,
            width,
            channels,
        } = self;
        if height == 0 || width == 0 || channels == 0 {
            return Err(Error::EmptyImage {
                height,
                width,
                channels,
            });
        }
        height
            .checked_mul(width)
            .and_then(|n| n.checked_mul(channels))
            .filter(|&n| n <= MAX_VALUES)
            .ok_or(Error::TooLarge {
                height,
                width,
                channels,
                limit: MAX_VALUES,
            })
    }
}

impl std::fmt::Display for ImageShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {} x {}", self.height, self.width, self.channels)
    }
}

impl From<(usize, usize, usize)> for ImageShape {
    fn from((height, width, channels): (usize, usize, usize)) -> Self {
        Self {
            height,
            width,
            channels,
        }
    }
}

/// An image of f32 values, row by row, the channels of a pixel side by side.
///
/// ```
/// let image = augmentation::Image::new(2, 3, 1, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])?;
/// assert_eq!(image.pixel(1, 2), [5.0]);
/// # Ok::<(), augmentation::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values a pixel.
    pub channels: usize,
    /// `height * width * channels` values.
    pub data: Vec<f32>,
}

impl Image {
    /// An image of these values.
    ///
    /// # Errors
    /// Where a side is 0 or the number of values is not `height * width * channels`.
    pub fn new(height: usize, width: usize, channels: usize, data: Vec<f32>) -> Result<Self> {
        let image = Self {
            height,
            width,
            channels,
            data,
        };
        image.check_shape()?;
        Ok(image)
    }

    /// An image of bytes, values 0 to 255 as they are.
    ///
    /// # Errors
    /// As [`Image::new`].
    pub fn from_u8(height: usize, width: usize, channels: usize, bytes: &[u8]) -> Result<Self> {
        Self::new(height, width, channels, bytes.iter().map(|&b| f32::from(b)).collect())
    }

    /// The values as bytes, rounded and clamped to 0..=255; with `scale` 255 from values of [0, 1], with 1 from bytes.
    pub fn to_u8(&self, scale: f32) -> Vec<u8> {
        // `as u8` saturates and turns NaN into 0.
        self.data.iter().map(|&v| (v * scale).round() as u8).collect()
    }

    /// Height, width and channels.
    pub fn shape(&self) -> ImageShape {
        ImageShape {
            height: self.height,
            width: self.width,
            channels: self.channels,
        }
    }

    /// The values of the pixel in row `y` and column `x`.
    ///
    /// # Panics
    /// Where the pixel is outside of the image.
    pub fn pixel(&self, y: usize, x: usize) -> &[f32] {
        let start = (y * self.width + x) * self.channels;
        &self.data[start..start + self.channels]
    }

    /// Whether shape and buffer agree and no side is 0.
    pub(crate) fn check_shape(&self) -> Result<()> {
        let Self {
            height,
            width,
            channels,
            ..
        } = *self;
        if self.shape().values()? == self.data.len() {
            Ok(())
        } else {
            Err(Error::WrongLength {
                height,
                width,
                channels,
                found: self.data.len(),
            })
        }
    }

    /// Whether shape and buffer agree and every value is finite.
    ///
    /// # Errors
    /// [`Error::EmptyImage`], [`Error::WrongLength`], or [`Error::NotFinite`] with the place of the first such value.
    pub fn check(&self) -> Result<()> {
        self.check_shape()?;
        f32::check(&self.data, self.shape())
    }
}
