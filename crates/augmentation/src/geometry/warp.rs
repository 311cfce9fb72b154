//! Reading an image through a projective map, with Keras' fill modes and interpolations.

use serde::{Deserialize, Serialize};

use super::Matrix;
use crate::image::Image;

/// What lies outside of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FillMode {
    /// `fill_value`: `kkkk|abcd|kkkk`.
    Constant,
    /// The nearest pixel of the border: `aaaa|abcd|dddd`.
    Nearest,
    /// The image again: `abcd|abcd|abcd`.
    Wrap,
    /// The mirrored image, the border pixel twice: `dcba|abcd|dcba`.
    #[default]
    Reflect,
}

/// How values between the pixels are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The nearest pixel; half-way coordinates round away from zero.
    Nearest,
    /// The weighted mean of the four pixels around.
    #[default]
    Bilinear,
}

/// A warp: where each output pixel comes from and how it is read.
///
/// Coordinates are computed in f32, as Keras does, so that rounding in `nearest` falls on the same side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warp {
    /// The map from output to input pixels.
    pub matrix: Matrix,
    /// How to read; `None` for a warp that only moves whole pixels inside the image (a flip).
    pub reading: Option<Reading>,
}

/// Interpolation and fill of a warp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Between the pixels.
    pub interpolation: Interpolation,
    /// Outside of the image.
    pub fill_mode: FillMode,
    /// The value of [`FillMode::Constant`].
    pub fill_value: f32,
}

impl Warp {
    /// A warp with this map and this way of reading.
    pub fn new(matrix: Matrix, interpolation: Interpolation, fill_mode: FillMode, fill_value: f32) -> Self {
        Self {
            matrix,
            reading: Some(Reading {
                interpolation,
                fill_mode,
                fill_value,
            }),
        }
    }

    /// One warp that does `self` and then `next`, where both read in the same way.
    ///
    /// It interpolates once instead of twice, and knows what the first warp alone would have pushed over the border.
    pub fn then(self, next: Self) -> Option<Self> {
        let reading = match (self.reading, next.reading) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.or(b),
        };
        Some(Self {
            matrix: next.matrix.after(self.matrix),
            reading,
        })
    }

    /// Warps the image.
    pub fn apply(&self, image: &mut Image) {
        let reading = self.reading.unwrap_or(Reading {
            interpolation: Interpolation::Nearest,
            fill_mode: FillMode::Nearest,
            fill_value: 0.0,
        });
        let m = self.matrix.0.map(|v| v as f32);
        let affine = self.matrix.is_affine();
        let mut out = vec![0f32; image.data.len()];
        let (width, channels) = (image.width, image.channels);
        for (y, row) in out.chunks_exact_mut(width * channels).enumerate() {
            let y = y as f32;
            for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
                let x = x as f32;
                let k = if affine { 1.0 } else { m[6] * x + m[7] * y + m[8] };
                if k == 0.0 {
                    // The horizon: every direction at once. Keras fills it.
                    pixel.fill(reading.fill_value);
                    continue;
                }
                let from_x = (m[0] * x + m[1] * y + m[2]) / k;
                let from_y = (m[3] * x + m[4] * y + m[5]) / k;
                let (from_x, from_y) = (
                    fold(from_x, width, reading.fill_mode),
                    fold(from_y, image.height, reading.fill_mode),
                );
                sample(image, from_y, from_x, reading.interpolation, reading.fill_value, pixel);
            }
        }
        image.data = out;
    }
}

/// Brings a coordinate back into `[0, n - 1]` according to the fill mode; `constant` leaves it where it is.
fn fold(coordinate: f32, n: usize, mode: FillMode) -> f32 {
    let last = (n - 1) as f32;
    if (0.0..=last).contains(&coordinate) {
        return coordinate;
    }
    let size = n as f32;
    let folded = match mode {
        FillMode::Constant => return coordinate,
        FillMode::Nearest => coordinate,
        FillMode::Reflect => {
            let period = 2.0 * size;
            // -0.5 is the mirror on the left side, size - 0.5 that on the right.
            let mut c = coordinate;
            if c < 0.0 {
                if n == 1 {
                    return 0.0;
                }
                if c < period {
                    c += period * (-c / period).trunc();
                }
                if c < -size { c + period } else { -c - 1.0 }
            } else {
                if n == 1 {
                    return 0.0;
                }
                c -= period * (c / period).trunc();
                if c >= size { period - c - 1.0 } else { c }
            }
        }
        FillMode::Wrap => {
            if n == 1 {
                return 0.0;
            }
            // Keras counts the periods with n - 1, so that between the last and the first pixel nothing is interpolated.
            if coordinate < 0.0 {
                coordinate + size * ((-coordinate / last).trunc() + 1.0)
            } else {
                coordinate - size * (coordinate / last).trunc()
            }
        }
    };
    folded.clamp(0.0, last)
}

/// Reads the pixel at a coordinate that may lie between pixels; neighbours outside of the image read `fill_value`.
fn sample(image: &Image, y: f32, x: f32, how: Interpolation, fill_value: f32, out: &mut [f32]) {
    let (height, width, channels) = (image.height, image.width, image.channels);
    // Far outside (and NaN) nothing can be read; this also keeps the conversions to integers below exact.
    let inside = x > -2.0 && y > -2.0 && x < width as f32 + 1.0 && y < height as f32 + 1.0;
    if !inside {
        out.fill(fill_value);
        return;
    }
    let at = |y: isize, x: isize, c: usize| -> f32 {
        if y >= 0 && x >= 0 && (y as usize) < height && (x as usize) < width {
            image.data[(y as usize * width + x as usize) * channels + c]
        } else {
            fill_value
        }
    };
    match how {
        Interpolation::Nearest => {
            let (row, column) = (round(y), round(x));
            for (c, value) in out.iter_mut().enumerate() {
                *value = at(row, column, c);
            }
        }
        Interpolation::Bilinear => {
            let (row, column) = (floor(y), floor(x));
            let (dy, dx) = (y - row as f32, x - column as f32);
            let interior = row >= 0 && column >= 0 && (row as usize) + 1 < height && (column as usize) + 1 < width;
            if interior {
                let start = (row as usize * width + column as usize) * channels;
                let upper = &image.data[start..start + 2 * channels];
                let lower = &image.data[start + width * channels..start + (width + 2) * channels];
                for (c, value) in out.iter_mut().enumerate() {
                    let above = (1.0 - dx) * upper[c] + dx * upper[c + channels];
                    let below = (1.0 - dx) * lower[c] + dx * lower[c + channels];
                    *value = (1.0 - dy) * above + dy * below;
                }
            } else {
                for (c, value) in out.iter_mut().enumerate() {
                    let above = (1.0 - dx) * at(row, column, c) + dx * at(row, column + 1, c);
                    let below = (1.0 - dx) * at(row + 1, column, c) + dx * at(row + 1, column + 1, c);
                    *value = (1.0 - dy) * above + dy * below;
                }
            }
        }
    }
}

/// The largest integer that is not above a coordinate near the image.
///
/// `f32::floor` and `f32::round` are calls into the C library on processors without SSE 4.1, which is what the default
/// target assumes; a conversion to an integer is one instruction.
fn floor(coordinate: f32) -> isize {
    let whole = coordinate as isize;
    whole - isize::from(whole as f32 > coordinate)
}

/// The nearest integer, half-way away from zero, as `f32::round`.
fn round(coordinate: f32) -> isize {
    let whole = coordinate as isize;
    let rest = coordinate - whole as f32;
    whole + isize::from(rest >= 0.5) - isize::from(rest <= -0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_coordinates_are_those_of_the_standard_library() {
        let mut coordinates: Vec<f32> = (-200..200).map(|i| i as f32 * 0.125).collect();
        coordinates.extend([0.49999997, 0.99999994, -0.49999997, -1e-30, 1e-30, 2.4999998, 20000.5]);
        for c in coordinates {
            assert_eq!(floor(c), c.floor() as isize, "{c}");
            assert_eq!(round(c), c.round() as isize, "{c}");
        }
    }
}
