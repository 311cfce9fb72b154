//! Padded, and cropped back.

use kernels::random::Draws;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::geometry::FillMode;
use crate::image::{Image, ImageShape};
use crate::pixels::{Pixel, PixelsMut};
use crate::transform::{Transformation, on_image};

/// The widest padding, in pixels.
const WIDEST: usize = 4096;

/// Pads an image on all sides and cuts a window of its size out at a random place: a shift by whole pixels.
///
/// $$ y(i, j) = x(i + d_y, j + d_x), \quad d \in \{-p, \dots, p\} $$ the standard augmentation of CIFAR-10 with 4 pixels.
/// Not a Keras class; torchvision calls it `RandomCrop(padding=p)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomPadAndCrop {
    /// `p`, the pixels on each side, 0 to 4096.
    pub padding: usize,
    /// What lies in the padding.
    pub fill_mode: FillMode,
    /// The value of fill mode `constant`.
    pub fill_value: f32,
}

impl Default for RandomPadAndCrop {
    fn default() -> Self {
        Self {
            padding: 4,
            fill_mode: FillMode::Constant,
            fill_value: 0.0,
        }
    }
}

/// What one shift is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PadAndCropParameters {
    /// `[y, x]`: where the window begins, in pixels of the image before it was padded.
    pub start: [i64; 2],
}

impl Transformation for RandomPadAndCrop {
    const CLASS: &'static str = "RandomPadAndCrop";
    const NAME: &'static str = "pad_and_crop";
    const ABOUT: &'static str = "shifts by whole pixels: padded and cropped back";
    const ARGUMENTS: &'static [&'static str] = &["padding", "fill_mode", "fill_value"];
    const REQUIRED: usize = 1;
    type Parameters = PadAndCropParameters;

    fn check(&self) -> Result<()> {
        if self.padding > WIDEST {
            return Err(Error::Argument {
                transformation: Self::CLASS,
                argument: "padding",
                found: self.padding.to_string(),
                expected: format!("a whole number between 0 and {WIDEST}"),
            });
        }
        super::trivial_augment::check_fill(Self::CLASS, self.fill_value)
    }

    fn draw(&self, draws: &mut Draws, _shape: ImageShape) -> PadAndCropParameters {
        let mut start = || draws.below(2 * self.padding + 1) as i64 - self.padding as i64;
        PadAndCropParameters {
            start: [start(), start()],
        }
    }

    fn apply(&self, image: &mut Image, parameters: &PadAndCropParameters) -> Result<()> {
        on_image(self, image, parameters)
    }

    fn apply_in_place<P: Pixel>(
        &self,
        pixels: &mut PixelsMut<'_, P>,
        parameters: &PadAndCropParameters,
    ) -> Option<Result<()>> {
        let [dy, dx] = parameters.start;
        if dy.unsigned_abs() > WIDEST as u64 || dx.unsigned_abs() > WIDEST as u64 {
            return Some(Err(Error::Parameters {
                transformation: Self::CLASS,
                reason: format!("a window that begins at ({dy}, {dx}), more than {WIDEST} pixels outside"),
            }));
        }
        let ImageShape {
            height,
            width,
            channels,
        } = pixels.shape;
        let row = width * channels;
        if self.fill_mode == FillMode::Constant {
            let fill = P::from_f32(P::in_units(self.fill_value, pixels.range));
            shift(pixels.data, pixels.shape, [dy, dx], fill);
            return Some(Ok(()));
        }
        pixels.scratch.clear();
        pixels.scratch.extend_from_slice(pixels.data);
        let source: &[P] = pixels.scratch;
        let fill = P::from_f32(P::in_units(self.fill_value, pixels.range));
        // Where each output column comes from; the columns in the middle are copied in one piece.
        let columns: Vec<Option<usize>> = (0..width)
            .map(|x| folded(x as i64 + dx, width, self.fill_mode))
            .collect();
        let first = dx.min(0).unsigned_abs().min(width as u64) as usize;
        let last = (width as i64 - dx.max(0)).max(first as i64) as usize;
        for (y, out) in pixels.data.chunks_exact_mut(row).enumerate() {
            let Some(y) = folded(y as i64 + dy, height, self.fill_mode) else {
                out.fill(fill);
                continue;
            };
            let from = &source[y * row..(y + 1) * row];
            if let Some(&Some(start)) = columns.get(first).filter(|_| first < last) {
                let length = (last - first) * channels;
                out[first * channels..][..length].copy_from_slice(&from[start * channels..][..length]);
            }
            for x in (0..first).chain(last..width) {
                let out = &mut out[x * channels..][..channels];
                match columns[x] {
                    Some(column) => out.copy_from_slice(&from[column * channels..][..channels]),
                    None => out.fill(fill),
                }
            }
        }
        Some(Ok(()))
    }
}

/// Moves an image by whole pixels where it lies; what comes in from outside is filled.
fn shift<P: Pixel>(data: &mut [P], shape: ImageShape, [dy, dx]: [i64; 2], fill: P) {
    let (height, row) = (shape.height, shape.width * shape.channels);
    let columns = (dx.unsigned_abs() as usize).min(shape.width) * shape.channels;
    let (from, to) = if dx < 0 { (0, columns) } else { (columns, 0) };
    let mut line = |y: usize| {
        let source = y as i64 + dy;
        let out = y * row;
        if !(0..height as i64).contains(&source) {
            data[out..out + row].fill(fill);
            return;
        }
        let start = source as usize * row + from;
        data.copy_within(start..start + row - columns, out + to);
        let outside = if dx < 0 { 0 } else { row - columns };
        data[out + outside..out + outside + columns].fill(fill);
    };
    // In the order in which no row is written before it is read.
    if dy < 0 {
        (0..height).rev().for_each(&mut line);
    } else {
        (0..height).for_each(&mut line);
    }
}

/// The pixel at a place that may be outside of the image; `None` where the fill value is.
fn folded(place: i64, size: usize, mode: FillMode) -> Option<usize> {
    let n = size as i64;
    let inside = match mode {
        FillMode::Constant => return usize::try_from(place).ok().filter(|&i| i < size),
        FillMode::Nearest => place.clamp(0, n - 1),
        FillMode::Wrap => place.rem_euclid(n),
        FillMode::Reflect => {
            let i = place.rem_euclid(2 * n);
            if i < n { i } else { 2 * n - 1 - i }
        }
    };
    Some(inside as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fill_mode: FillMode, start: [i64; 2], expected: [f32; 6]) {
        let mut image = Image::new(2, 3, 1, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let shift = RandomPadAndCrop {
            fill_mode,
            fill_value: 9.0,
            ..Default::default()
        };
        shift.apply(&mut image, &PadAndCropParameters { start }).unwrap();
        assert_eq!(image.data, expected, "{fill_mode:?} {start:?}");
    }

    #[test]
    fn what_lies_in_the_padding() {
        check(FillMode::Constant, [0, 0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        check(FillMode::Constant, [1, -1], [9.0, 4.0, 5.0, 9.0, 9.0, 9.0]);
        check(FillMode::Constant, [0, 7], [9.0; 6]);
        check(FillMode::Nearest, [-1, 2], [3.0, 3.0, 3.0, 3.0, 3.0, 3.0]);
        check(FillMode::Wrap, [1, 1], [5.0, 6.0, 4.0, 2.0, 3.0, 1.0]);
        check(FillMode::Reflect, [0, -2], [2.0, 1.0, 1.0, 5.0, 4.0, 4.0]);
    }
}
