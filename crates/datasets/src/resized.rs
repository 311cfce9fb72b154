//! Images of another size: bilinear, as Keras resizes what it reads from a folder.

use crate::{Error, Images, Result};

/// The largest side of an image that is read or made.
pub const MAX_SIDE: usize = 16_384;
/// What all images of a data set may take together.
pub(crate) const MAX_TOTAL: u64 = 4 << 30;

/// Refuses a size that no image can have.
pub(crate) fn checked_size((height, width): (usize, usize)) -> Result<(usize, usize)> {
    let possible = 1..=MAX_SIDE;
    match [height, width].into_iter().find(|side| !possible.contains(side)) {
        None => Ok((height, width)),
        Some(side) => Err(Error::inconsistent(
            "size to resize to",
            format!("1..={MAX_SIDE}"),
            side.to_string(),
            "choose another size",
        )),
    }
}

/// One row or column of the new image: the two of the old one that it lies between, and how near it is to the second.
#[derive(Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

/// Where the `to` rows (or columns) of the new image lie among the `from` ones of the old.
fn places(from: usize, to: usize) -> Vec<Between> {
    let scale = from as f32 / to as f32;
    let place = |index: usize| {
        let middle = ((index as f32 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f32);
        let first = middle as usize;
        Between {
            first,
            second: (first + 1).min(from - 1),
            share: middle - first as f32,
        }
    };
    (0..to).map(place).collect()
}

impl Images {
    /// The images brought to `(height, width)`; the aspect ratio is not kept.
    ///
    /// Bilinear between the centres of pixels, without a filter against aliasing, and each value rounded to a whole number:
    /// with $u = (i + \frac12) \frac{h}{h'} - \frac12$, cut to $[0, h - 1]$, row $i$ of $h'$ lies $u - \lfloor u \rfloor$ of the way from
    /// row $\lfloor u \rfloor$ to the next one, and columns in the same way. The new white is 255, so that the values in
    /// between are not lost on images with few levels.
    ///
    /// Source: `tf.image.resize(method="bilinear", antialias=False)`, by which `image_dataset_from_directory` of Keras resizes.
    ///
    /// ```
    /// let images = datasets::Images::new(1, 2, 1, 255, vec![0, 100])?;
    /// assert_eq!(images.resized((1, 4))?.pixels(), [0, 25, 75, 100]);
    /// # Ok::<(), datasets::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Inconsistent`] for a side of 0 or above 16,384, or where all images together would take more than 4 GiB.
    pub fn resized(&self, size: (usize, usize)) -> Result<Self> {
        let (height, width) = checked_size(size)?;
        let total = (self.len() as u64).saturating_mul((height * width * self.channels) as u64);
        if total > MAX_TOTAL {
            return Err(Error::inconsistent(
                format!("{} images of {height} x {width} x {}", self.len(), self.channels),
                format!("at most {MAX_TOTAL} bytes"),
                format!("{total} bytes"),
                "resize them to a smaller size, or use fewer images",
            ));
        }
        let (rows, columns) = (places(self.height, height), places(self.width, width));
        let white = 255.0 / f32::from(self.max_value);
        let mut pixels = Vec::with_capacity(total as usize);
        for index in 0..self.len() {
            let image = self.image(index);
            let at = |row: usize, column: usize, channel: usize| {
                f32::from(image[(row * self.width + column) * self.channels + channel])
            };
            for row in &rows {
                for column in &columns {
                    for channel in 0..self.channels {
                        let across = |row: usize| {
                            let first = at(row, column.first, channel);
                            first + (at(row, column.second, channel) - first) * column.share
                        };
                        let top = across(row.first);
                        let value = top + (across(row.second) - top) * row.share;
                        pixels.push((value * white + 0.5) as u8);
                    }
                }
            }
        }
        Images::new(height, width, self.channels, 255, pixels)
    }
}
