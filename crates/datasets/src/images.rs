//! Images of one size in one block of bytes.

use crate::{Error, Result};

/// Images of one size, one byte a value, in one block: `(image, row, column, channel)` in C order (NHWC).
///
/// Pixels stay integers, as the files have them: a quarter of the memory of `f32`, and exact. [`Images::to_f32`] scales
/// them to 0..=1.
///
/// ```
/// let images = datasets::Images::new(2, 2, 1, 255, vec![0, 51, 102, 255])?;
/// assert_eq!(images.len(), 1);
/// assert_eq!(images.to_f32(), [0.0, 0.2, 0.4, 1.0]);
/// # Ok::<(), datasets::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Images {
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Values a pixel: 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// The value that means white: 255 as a rule, 16 for the digits.
    pub max_value: u8,
    pixels: Vec<u8>,
}

impl Images {
    /// Images from their bytes.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if a side or `max_value` is 0, if the bytes are no whole number of images, or if a byte is
    /// above `max_value`.
    pub fn new(height: usize, width: usize, channels: usize, max_value: u8, pixels: Vec<u8>) -> Result<Self> {
        let size = height
            .checked_mul(width)
            .and_then(|area| area.checked_mul(channels))
            .unwrap_or(0);
        if size == 0 || max_value == 0 {
            return Err(Error::inconsistent(
                "images",
                "height, width, channels and max_value of at least 1",
                format!("{height} x {width} x {channels}, max_value {max_value}"),
                "give the size of one image",
            ));
        }
        if !pixels.len().is_multiple_of(size) {
            return Err(Error::inconsistent(
                format!("pixels of {height} x {width} x {channels} images"),
                format!("a multiple of {size} bytes"),
                format!("{} bytes", pixels.len()),
                "check the size of the images",
            ));
        }
        if max_value < u8::MAX
            && let Some(at) = pixels.iter().position(|&value| value > max_value)
        {
            return Err(Error::inconsistent(
                format!("pixel value {} of image {}", at % size, at / size),
                format!("at most {max_value}"),
                pixels[at].to_string(),
                "correct max_value or the data",
            ));
        }
        Ok(Self {
            height,
            width,
            channels,
            max_value,
            pixels,
        })
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pixels.len() / self.image_len()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// The bytes of one image: height x width x channels.
    #[must_use]
    pub fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// `(height, width, channels)`, the input shape of a network.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }

    /// All bytes, image after image.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The bytes of image `index`, row by row, channels together.
    ///
    /// # Panics
    /// If `index` is not below [`Images::len`], as indexing a slice does.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.image_len();
        &self.pixels[index * size..(index + 1) * size]
    }

    /// The images at `indices`, in that order; an index may occur more than once.
    ///
    /// # Panics
    /// If an index is not below [`Images::len`], as indexing a slice does.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_len());
        for &index in indices {
            pixels.extend_from_slice(self.image(index));
        }
        Self { pixels, ..*self }
    }

    /// All values divided by [`Images::max_value`]: `f32` in 0..=1, in the same order.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        let white = f32::from(self.max_value);
        self.pixels.iter().map(|&value| f32::from(value) / white).collect()
    }

    /// The mean of the scaled values and their standard deviation (divisor n) over all images, channel by channel.
    ///
    /// The sums are exact integers, so the result does not depend on the order of the images. Empty images give zeros.
    #[must_use]
    pub fn mean_and_deviation(&self) -> Vec<(f64, f64)> {
        let mut sums = vec![(0u64, 0u64); self.channels];
        for pixel in self.pixels.chunks_exact(self.channels) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                sum.0 += u64::from(value);
                sum.1 += u64::from(value) * u64::from(value);
            }
        }
        let count = (self.pixels.len() / self.channels).max(1) as f64;
        let white = f64::from(self.max_value);
        sums.iter()
            .map(|&(sum, squares)| {
                let mean = sum as f64 / count;
                let variance = (squares as f64 / count - mean * mean).max(0.0);
                (mean / white, variance.sqrt() / white)
            })
            .collect()
    }
}

impl std::fmt::Debug for Images {
    /// Sizes only: nobody wants to read fifty million bytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Images({} of {} x {} x {}, 0..={})",
            self.len(),
            self.height,
            self.width,
            self.channels,
            self.max_value
        )
    }
}
