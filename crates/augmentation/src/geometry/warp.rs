//! Reading an image through a projective map, with Keras' fill modes and interpolations.

use serde::{Deserialize, Serialize};

use super::Matrix;
use super::coordinates::{CHUNK, Coordinates, Places};
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::vectors::{LARGEST, Work, widest};

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
        let reading = self.reading.unwrap_or(Reading {
            interpolation: Interpolation::Nearest,
            fill_mode: FillMode::Nearest,
            fill_value: 0.0,
        });
        let fill = P::in_units(reading.fill_value, pixels.range);
        let coordinates = Coordinates::new(self.matrix);
        let ImageShape {
            height,
            width,
            channels,
        } = pixels.shape;
        let framed = (width as u64 + 3) * (height as u64 + 3);
        let countable = framed <= u64::from(u32::MAX) && width.max(height) < LARGEST as usize;
        if !matches!(channels, 1 | 3 | 4) || !countable {
            pixels.scratch.clear();
            pixels.scratch.extend_from_slice(pixels.data);
            let reader = Reader {
                shape: pixels.shape,
                source: pixels.scratch.as_slice(),
                reading,
                fill,
            };
            return reader.warp(&coordinates, pixels.data);
        }
        frame(pixels.data, pixels.shape, P::from_f32(fill), pixels.scratch);
        let (source, size) = (pixels.scratch.as_slice(), (width, height));
        match channels {
            1 => widest(Warping::<P, 1> {
                coordinates,
                reading,
                source,
                size,
                out: pixels.data,
            }),
            3 => widest(Warping::<P, 3> {
                coordinates,
                reading,
                source,
                size,
                out: pixels.data,
            }),
            _ => widest(Warping::<P, 4> {
                coordinates,
                reading,
                source,
                size,
                out: pixels.data,
            }),
        }
    }
}

/// Values behind a framed image, so that eight can be read wherever a pixel begins.
const TAIL: usize = 8;

/// Copies an image into a frame of the fill value: one pixel to the left and above, two to the right and below, so that a place
/// outside is read as one inside.
fn frame<P: Pixel>(data: &[P], shape: ImageShape, fill: P, framed: &mut Vec<P>) {
    let (row, channels) = (shape.width * shape.channels, shape.channels);
    framed.clear();
    framed.reserve((shape.height + 3) * (row + 3 * channels) + TAIL);
    framed.resize(row + 4 * channels, fill);
    for line in data.chunks_exact(row) {
        framed.extend_from_slice(line);
        framed.resize(framed.len() + 3 * channels, fill);
    }
    framed.resize((shape.height + 3) * (row + 3 * channels) + TAIL, fill);
}

/// A warp of an image of `C` channels that lies in a frame.
struct Warping<'a, P, const C: usize> {
    coordinates: Coordinates,
    reading: Reading,
    source: &'a [P],
    /// Width and height.
    size: (usize, usize),
    out: &'a mut [P],
}

impl<P: Pixel, const C: usize> Work for Warping<'_, P, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (width, _) = self.size;
        let how = (self.reading.fill_mode, self.reading.interpolation);
        let bilinear = self.reading.interpolation == Interpolation::Bilinear;
        let keep_rows = self.coordinates.keep_rows();
        // Both as long as the other: one comparison tells for both whether a place is inside.
        let below = &self.source[(width + 3) * C..];
        let source = &self.source[..below.len()];
        let (out, _) = self.out.as_chunks_mut::<C>();
        let height = out.len() / width;
        let (mut xs, mut ys) = ([0f32; CHUNK], [0f32; CHUNK]);
        let (mut places, mut pixels) = (Places::new(), [[P::default(); C]; CHUNK]);
        for y in 0..height {
            for first in (0..width).step_by(CHUNK) {
                let count = CHUNK.min(width - first);
                self.coordinates.chunk(y, first, &mut xs, &mut ys);
                places.locate(&mut xs, &mut ys, self.size, how);
                if bilinear {
                    let in_a_row = keep_rows && P::in_a_row(source, below, &places, count, &mut pixels);
                    if !in_a_row {
                        P::between(source, below, &places, &mut pixels);
                    }
                } else {
                    for (pixel, number) in pixels.iter_mut().zip(places.numbers) {
                        pixel.copy_from_slice(&self.source[number as usize * C..][..C]);
                    }
                }
                let out = &mut out[y * width + first..];
                match out.first_chunk_mut() {
                    // A copy of a length that is known is no call; what is too much is the beginning of the next row, which comes later.
                    Some(whole) => *whole = pixels,
                    None => out[..count].copy_from_slice(&pixels[..count]),
                }
            }
        }
    }
}

/// An image that is read between its pixels and outside of them: the simple version, for any number of channels.
struct Reader<'a, P> {
    shape: ImageShape,
    source: &'a [P],
    reading: Reading,
    /// The fill value in the units of the pixels.
    fill: f32,
}

impl<P: Pixel> Reader<'_, P> {
    /// One pixel after the other, of any number of channels.
    fn warp(&self, coordinates: &Coordinates, out: &mut [P]) {
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

    /// Reads the pixel at a place that may lie between pixels or outside.
    fn read(&self, y: f32, x: f32, out: &mut [P]) {
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
                let (row, column) = (y.round() as isize, x.round() as isize);
                for (c, value) in out.iter_mut().enumerate() {
                    *value = P::from_f32(self.at(row, column, c));
                }
            }
            Interpolation::Bilinear => {
                let (row, column) = (y.floor() as isize, x.floor() as isize);
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

/// Brings a coordinate back into `[0, n - 1]` according to the fill mode; `constant` leaves it where it is.
#[inline]
pub(super) fn fold(coordinate: f32, n: usize, mode: FillMode) -> f32 {
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

#[cfg(test)]
mod tests {
    use kernels::random::Stream;

    use super::*;

    fn warped<P: Pixel>(data: &[P], shape: ImageShape, warp: Warp, simple: bool) -> Vec<P> {
        let mut out = data.to_vec();
        if simple {
            let reading = warp.reading.unwrap();
            let reader = Reader {
                shape,
                source: data,
                reading,
                fill: reading.fill_value,
            };
            reader.warp(&Coordinates::new(warp.matrix), &mut out);
        } else {
            warp.apply_in_place(&mut PixelsMut {
                shape,
                data: &mut out,
                range: crate::ValueRange::BYTES,
                scratch: &mut Vec::new(),
            });
        }
        out
    }

    #[test]
    fn framed_images_are_read_as_the_simple_version_reads_them() {
        let mut draws = Stream::new(5).op("warps").draws();
        for (height, width, channels) in [(1, 1, 1), (1, 9, 3), (13, 2, 4), (40, 67, 1), (33, 31, 3)] {
            let shape: ImageShape = (height, width, channels).into();
            let bytes: Vec<u8> = (0..height * width * channels).map(|_| draws.below(256) as u8).collect();
            let floats: Vec<f32> = bytes.iter().map(|&v| f32::from(v)).collect();
            for turn in 0..40 {
                let mut near = |middle: f64| middle + draws.uniform_in(-0.6, 0.6);
                let (a, b) = (
                    [near(1.0), near(0.0), 9.0 * near(0.0)],
                    [near(0.0), near(1.0), 9.0 * near(0.0)],
                );
                let mut matrix = Matrix::affine(a, b);
                match turn % 4 {
                    // A horizon that meets pixels, and places far outside.
                    1 => matrix.0[6] = -0.25,
                    2 => matrix.0[2] = 1e9,
                    3 => matrix.0[5] = f64::NAN,
                    _ => {}
                }
                for mode in [FillMode::Constant, FillMode::Nearest, FillMode::Reflect, FillMode::Wrap] {
                    for how in [Interpolation::Nearest, Interpolation::Bilinear] {
                        let warp = Warp::new(matrix, how, mode, 77.0);
                        let (fast, simple) = (warped(&floats, shape, warp, false), warped(&floats, shape, warp, true));
                        // The mean of four fill values may be one bit beside them.
                        let same = fast.iter().zip(&simple).all(|(a, b)| (a - b).abs() < 2e-5);
                        assert!(same, "{shape} {warp:?}");
                        let fast = warped(&bytes, shape, warp, false);
                        let near = fast.iter().zip(&simple).all(|(a, b)| (f32::from(*a) - b).abs() < 0.6);
                        assert!(near, "{shape} {warp:?}");
                    }
                }
            }
        }
    }
}
