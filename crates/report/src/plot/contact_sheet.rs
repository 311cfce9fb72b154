//! A contact sheet as pixels: a PNG file that needs no browser.

use super::glyphs;

/// The largest side of a picture on the sheet.
const LARGEST: usize = 224;

/// The side up to which small pictures are enlarged, by whole factors.
const ENLARGED: usize = 128;

/// Between pictures, and around them.
const GAP: usize = 8;

/// Pixels of a letter with the space behind it.
const LETTER: usize = glyphs::WIDTH + 1;

/// Rows of a label with the space below it.
const LINE: usize = glyphs::HEIGHT + 5;

/// The most pixels of a sheet.
const MOST: usize = 1 << 26;

/// A picture of bytes: `height * width * channels` values, row by row; 1 channel is grey, 3 are red, green, blue, and of 4
/// the last is alpha, which is shown over white.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1, 3 or 4.
    pub channels: usize,
    /// The values.
    pub bytes: Vec<u8>,
}

/// Pictures of any sizes in rows, each with a label below it.
///
/// ```
/// use report::plot::{ContactSheet, Picture};
///
/// let picture = Picture { height: 2, width: 2, channels: 1, bytes: vec![0, 255, 255, 0] };
/// let mut sheet = ContactSheet::new();
/// sheet.row([("original".to_string(), picture)]);
/// assert!(sheet.to_png()?.starts_with(b"\x89PNG"));
/// # Ok::<(), report::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ContactSheet {
    rows: Vec<Vec<(String, Picture)>>,
}

impl ContactSheet {
    /// An empty sheet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row of pictures with their labels.
    pub fn row(&mut self, pictures: impl IntoIterator<Item = (String, Picture)>) -> &mut Self {
        self.rows.push(pictures.into_iter().collect());
        self
    }

    /// The sheet as a PNG file. Pictures are enlarged by whole factors or shrunk to fit their cells; a label that is longer
    /// than its cell is cut.
    ///
    /// # Errors
    /// [`crate::Error::Picture`] for a picture without pixels or whose bytes do not fit its size, and for a sheet that is
    /// too large.
    pub fn to_png(&self) -> crate::Result<Vec<u8>> {
        let mut rows: Vec<Vec<(&str, Picture)>> = Vec::new();
        for row in &self.rows {
            let scaled = row
                .iter()
                .map(|(label, picture)| Ok((label.as_str(), scaled(picture)?)));
            rows.push(scaled.collect::<crate::Result<_>>()?);
        }
        let cell =
            |row: &[(&str, Picture)], of: fn(&Picture) -> usize| row.iter().map(|(_, p)| of(p)).max().unwrap_or(0);
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = rows
            .iter()
            .map(|row| cell(row, |p| p.width))
            .max()
            .unwrap_or(0)
            .max(12 * LETTER);
        let width = GAP + columns * (widest + GAP);
        let heights: Vec<usize> = rows.iter().map(|row| cell(row, |p| p.height)).collect();
        let height = GAP + heights.iter().map(|height| height + LINE + GAP).sum::<usize>();
        if width.saturating_mul(height) > MOST {
            return Err(crate::Error::Picture {
                problem: format!("a sheet of {height} x {width} pixels is too large; put fewer pictures on it"),
            });
        }
        let mut canvas = Canvas {
            width,
            bytes: vec![255; width * height * 3],
        };
        let mut top = GAP;
        for (row, height) in rows.iter().zip(&heights) {
            for (column, (label, picture)) in row.iter().enumerate() {
                let left = GAP + column * (widest + GAP);
                canvas.paste(top, left, picture);
                canvas.write(top + height + 3, left, label, widest / LETTER);
            }
            top += height + LINE + GAP;
        }
        encode(width, height, &canvas.bytes)
    }
}

/// A picture in colours and in the size that it has on the sheet.
fn scaled(picture: &Picture) -> crate::Result<Picture> {
    let Picture {
        height,
        width,
        channels,
        ref bytes,
    } = *picture;
    let expected = height.checked_mul(width).and_then(|area| area.checked_mul(channels));
    if !matches!(channels, 1 | 3 | 4) || bytes.is_empty() || expected != Some(bytes.len()) {
        return Err(crate::Error::Picture {
            problem: format!(
                "{} bytes are no picture of {height} x {width} pixels with {channels} channels; a picture has pixels, and 1, 3 or 4 \
                 channels",
                bytes.len()
            ),
        });
    }
    let larger = height.max(width);
    let colour = |y: usize, x: usize| -> [u32; 3] {
        let pixel = &bytes[(y * width + x) * channels..][..channels];
        match *pixel {
            [grey] => [u32::from(grey); 3],
            [r, g, b, alpha] => {
                let over_white = |v: u8| (u32::from(v) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 127) / 255;
                [over_white(r), over_white(g), over_white(b)]
            }
            _ => [u32::from(pixel[0]), u32::from(pixel[1]), u32::from(pixel[2])],
        }
    };
    let (new_height, new_width) = if larger > LARGEST {
        ((height * LARGEST / larger).max(1), (width * LARGEST / larger).max(1))
    } else {
        let factor = (ENLARGED / larger).max(1);
        (height * factor, width * factor)
    };
    // The pixels that an output pixel covers: at least one, which is repeated where the picture grows.
    let covered = |i: usize, new: usize, old: usize| {
        let first = i * old / new;
        first..((i + 1) * old / new).max(first + 1)
    };
    let mut out = Vec::with_capacity(new_height * new_width * 3);
    for y in 0..new_height {
        for x in 0..new_width {
            let (rows, columns) = (covered(y, new_height, height), covered(x, new_width, width));
            let count = (rows.len() * columns.len()) as u32;
            let mut sum = [0u32; 3];
            for y in rows {
                for x in columns.clone() {
                    sum.iter_mut().zip(colour(y, x)).for_each(|(sum, value)| *sum += value);
                }
            }
            out.extend(sum.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    Ok(Picture {
        height: new_height,
        width: new_width,
        channels: 3,
        bytes: out,
    })
}

struct Canvas {
    width: usize,
    bytes: Vec<u8>,
}

impl Canvas {
    fn paste(&mut self, top: usize, left: usize, picture: &Picture) {
        for (y, row) in picture.bytes.chunks_exact(picture.width * 3).enumerate() {
            let at = ((top + y) * self.width + left) * 3;
            self.bytes[at..at + row.len()].copy_from_slice(row);
        }
    }

    /// Writes at most `most` letters.
    fn write(&mut self, top: usize, left: usize, text: &str, most: usize) {
        for (i, letter) in text.chars().take(most).enumerate() {
            for (y, row) in glyphs::rows(letter).into_iter().enumerate() {
                for x in (0..glyphs::WIDTH).filter(|x| row >> (glyphs::WIDTH - 1 - x) & 1 == 1) {
                    let at = ((top + y) * self.width + left + i * LETTER + x) * 3;
                    self.bytes[at..at + 3].fill(40);
                }
            }
        }
    }
}

fn encode(width: usize, height: usize, bytes: &[u8]) -> crate::Result<Vec<u8>> {
    let fail = |error: png::EncodingError| crate::Error::Picture {
        problem: error.to_string(),
    };
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(fail)?;
    writer.write_image_data(bytes).map_err(fail)?;
    writer.finish().map_err(fail)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(height: usize, width: usize, value: u8) -> Picture {
        Picture {
            height,
            width,
            channels: 1,
            bytes: vec![value; height * width],
        }
    }

    #[test]
    fn small_pictures_grow_by_whole_factors_and_large_ones_shrink() {
        for ((height, width), (new_height, new_width)) in [
            ((1, 1), (128, 128)),
            ((28, 28), (112, 112)),
            ((100, 130), (100, 130)),
            ((1000, 500), (224, 112)),
            ((1, 5000), (1, 224)),
        ] {
            let found = scaled(&grey(height, width, 77)).unwrap();
            assert_eq!(
                (found.height, found.width),
                (new_height, new_width),
                "{height} x {width}"
            );
            assert!(found.bytes.iter().all(|&v| v == 77));
        }
    }

    #[test]
    fn alpha_is_shown_over_white() {
        let picture = Picture {
            height: 1,
            width: 2,
            channels: 4,
            bytes: vec![10, 20, 30, 255, 10, 20, 30, 0],
        };
        let found = scaled(&picture).unwrap();
        assert_eq!(
            (found.bytes[..3].to_vec(), found.bytes[found.bytes.len() - 3..].to_vec()),
            (vec![10, 20, 30], vec![255; 3])
        );
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for picture in [
            grey(0, 3, 1),
            Picture {
                channels: 2,
                ..grey(2, 2, 1)
            },
            Picture {
                height: 9,
                ..grey(2, 2, 1)
            },
        ] {
            let error = ContactSheet::new()
                .row([("x".to_string(), picture)])
                .to_png()
                .unwrap_err();
            assert!(error.to_string().contains("no picture"), "{error}");
        }
    }
}
