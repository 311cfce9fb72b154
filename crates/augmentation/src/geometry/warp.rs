//! Reading an image through a projective map, with Keras' fill modes and interpolations.

use serde::{Deserialize, Serialize};

use super::Matrix;
use super::coordinates::{CHUNK, Coordinates};
use super::warp_bytes;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};

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
        self.apply_in_place(&mut PixelsMut::of(image, &mut Vec::new()));
    }

    /// Warps pixels where they lie; bytes are rounded to the nearest level.
    pub fn apply_in_place<P: Pixel>(&self, pixels: &mut PixelsMut<'_, P>) {
        if self.matrix == Matrix::IDENTITY {
            return;
        }
        pixels.scratch.clear();
        pixels.scratch.extend_from_slice(pixels.data);
        let reading = self.reading.unwrap_or(Reading {
            interpolation: Interpolation::Nearest,
            fill_mode: FillMode::Nearest,
            fill_value: 0.0,
        });
        let reader = Reader {
            shape: pixels.shape,
            source: pixels.scratch.as_slice(),
            reading,
            fill: P::in_units(reading.fill_value, pixels.range),
        };
        let coordinates = Coordinates::new(self.matrix);
        match pixels.shape.channels {
            1 => reader.warp::<1>(&coordinates, pixels.data),
            3 => reader.warp::<3>(&coordinates, pixels.data),
            4 => reader.warp::<4>(&coordinates, pixels.data),
            _ => reader.warp_any(&coordinates, pixels.data),
        }
    }
}

/// An image that is read between its pixels and outside of them.
pub(super) struct Reader<'a, P> {
    pub(super) shape: ImageShape,
    pub(super) source: &'a [P],
    pub(super) reading: Reading,
    /// The fill value in the units of the pixels.
    pub(super) fill: f32,
}

impl<P: Pixel> Reader<'_, P> {
    fn warp_any(&self, coordinates: &Coordinates, out: &mut [P]) {
        let ImageShape { width, channels, .. } = self.shape;
        let (mut xs, mut ys) = ([0f32; CHUNK], [0f32; CHUNK]);
        for (y, row) in out.chunks_exact_mut(width * channels).enumerate() {
            for (i, part) in row.chunks_mut(CHUNK * channels).enumerate() {
                coordinates.chunk(y, i * CHUNK, &mut xs, &mut ys);
                for ((pixel, x), y) in part.chunks_exact_mut(channels).zip(xs).zip(ys) {
                    self.read(y, x, pixel);
                }
            }
        }
    }

    fn warp<const C: usize>(&self, coordinates: &Coordinates, out: &mut [P]) {
        if self.reading.interpolation == Interpolation::Bilinear && P::LEVELS && C != 4 {
            return warp_bytes::warp::<P, C>(self, coordinates, out);
        }
        let (width, height) = (self.shape.width, self.shape.height);
        let (source, _) = self.source.as_chunks::<C>();
        let (out, _) = out.as_chunks_mut::<C>();
        let (last_x, last_y) = ((width - 1) as f32, (height - 1) as f32);
        let bilinear = self.reading.interpolation == Interpolation::Bilinear;
        let (mut xs, mut ys) = ([0f32; CHUNK], [0f32; CHUNK]);
        let (mut dxs, mut dys, mut places) = ([0f32; CHUNK], [0f32; CHUNK], [0u32; CHUNK]);
        for (y, row) in out.chunks_exact_mut(width).enumerate() {
            for (i, part) in row.chunks_mut(CHUNK).enumerate() {
                coordinates.chunk(y, i * CHUNK, &mut xs, &mut ys);
                if bilinear {
                    split(&xs, &ys, width, &mut dxs, &mut dys, &mut places);
                }
                for (j, pixel) in part.iter_mut().enumerate() {
                    let (x, y) = (xs[j], ys[j]);
                    if bilinear && x >= 0.0 && y >= 0.0 && x < last_x && y < last_y {
                        let at = places[j] as usize;
                        let (upper, lower) = (&source[at..at + 2], &source[at + width..at + width + 2]);
                        *pixel = between(upper, lower, dxs[j], dys[j]);
                    } else {
                        self.read(y, x, pixel);
                    }
                }
            }
        }
    }

    /// Reads the pixel at a place that may lie between pixels or outside.
    #[inline(never)]
    pub(super) fn read(&self, y: f32, x: f32, out: &mut [P]) {
        let (height, width) = (self.shape.height, self.shape.width);
        let mode = self.reading.fill_mode;
        // Where no neighbour can be inside there is nothing to compute.
        let near = x > -1.0 && y > -1.0 && x < width as f32 && y < height as f32;
        if mode == FillMode::Constant && !near {
            out.fill(P::from_f32(self.fill));
            return;
        }
        let (y, x) = (fold(y, height, mode), fold(x, width, mode));
        // Far outside (and NaN) nothing can be read; this also keeps the conversions to integers below exact.
        let inside = x > -2.0 && y > -2.0 && x < width as f32 + 1.0 && y < height as f32 + 1.0;
        if !inside {
            out.fill(P::from_f32(self.fill));
            return;
        }
        match self.reading.interpolation {
            Interpolation::Nearest => {
                let (row, column) = (round(y), round(x));
                for (c, value) in out.iter_mut().enumerate() {
                    *value = P::from_f32(self.at(row, column, c));
                }
            }
            Interpolation::Bilinear => {
                let (row, column) = (floor(y), floor(x));
                let (dy, dx) = (y - row as f32, x - column as f32);
                for (c, value) in out.iter_mut().enumerate() {
                    let above = (1.0 - dx) * self.at(row, column, c) + dx * self.at(row, column + 1, c);
                    let below = (1.0 - dx) * self.at(row + 1, column, c) + dx * self.at(row + 1, column + 1, c);
                    *value = P::from_f32((1.0 - dy) * above + dy * below);
                }
            }
        }
    }

    /// A value of the image, or the fill value outside of it.
    #[inline]
    fn at(&self, y: isize, x: isize, c: usize) -> f32 {
        let ImageShape {
            height,
            width,
            channels,
        } = self.shape;
        if y >= 0 && x >= 0 && (y as usize) < height && (x as usize) < width {
            self.source[(y as usize * width + x as usize) * channels + c].to_f32()
        } else {
            self.fill
        }
    }
}

/// Whole parts, as the number of the upper left pixel, and fractions of places inside of the image.
pub(super) fn split(
    xs: &[f32; CHUNK],
    ys: &[f32; CHUNK],
    width: usize,
    dxs: &mut [f32; CHUNK],
    dys: &mut [f32; CHUNK],
    places: &mut [u32; CHUNK],
) {
    for j in 0..CHUNK {
        // Places outside become some number that nobody uses.
        let (whole_x, whole_y) = (xs[j] as i32, ys[j] as i32);
        dxs[j] = xs[j] - whole_x as f32;
        dys[j] = ys[j] - whole_y as f32;
        places[j] = (whole_y as u32).wrapping_mul(width as u32).wrapping_add(whole_x as u32);
    }
}

/// The weighted mean of two pixels above and two below.
#[inline(always)]
fn between<P: Pixel, const C: usize>(upper: &[[P; C]], lower: &[[P; C]], dx: f32, dy: f32) -> [P; C] {
    std::array::from_fn(|c| {
        let above = (1.0 - dx) * upper[0][c].to_f32() + dx * upper[1][c].to_f32();
        let below = (1.0 - dx) * lower[0][c].to_f32() + dx * lower[1][c].to_f32();
        P::from_f32((1.0 - dy) * above + dy * below)
    })
}

/// Brings a coordinate back into `[0, n - 1]` according to the fill mode; `constant` leaves it where it is.
#[inline]
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
            // The nearest mirror images, where dividing by the period gives 0.
            if coordinate >= -size && coordinate < 0.0 {
                return (-coordinate - 1.0).clamp(0.0, last);
            }
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

/// The largest integer that is not above a coordinate near the image.
///
/// `f32::floor` and `f32::round` are calls into the C library on processors without SSE 4.1, which is what the default
/// target assumes; a conversion to an integer is one instruction.
#[inline]
fn floor(coordinate: f32) -> isize {
    let whole = coordinate as isize;
    whole - isize::from(whole as f32 > coordinate)
}

/// The nearest integer, half-way away from zero, as `f32::round`.
#[inline]
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
