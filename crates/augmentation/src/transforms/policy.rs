//! The operations that AutoAugment's and TrivialAugment's policies choose from, with the meaning of their magnitudes.

use serde::{Deserialize, Serialize};

use super::{AutoContrast, NoParameters, RandomRotation, RotationParameters};
use crate::color::{grey, need_grey_or_rgb};
use crate::error::{Error, Result};
use crate::geometry::{FillMode, Interpolation, Matrix, Warp};
use crate::image::Image;
use crate::range::ValueRange;
use crate::transform::Transformation;

/// An operation of a policy, as `PIL` and `torchvision` define them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyOperation {
    /// Nothing.
    Identity,
    /// Slanted by so many columns a row.
    ShearX,
    /// Slanted by so many rows a column.
    ShearY,
    /// Moved by so many pixels to the right.
    TranslateX,
    /// Moved by so many pixels down.
    TranslateY,
    /// Turned by so many degrees, counter-clockwise.
    Rotate,
    /// Away from black: values times 1 + magnitude.
    Brightness,
    /// Away from grey.
    Color,
    /// Away from the mean of the grey image.
    Contrast,
    /// Away from the blurred image.
    Sharpness,
    /// So many bits kept.
    Posterize,
    /// Levels from so much on (0 to 255) inverted.
    Solarize,
    /// Each channel stretched to the whole range.
    AutoContrast,
    /// Each channel with levels as even as they can be.
    Equalize,
    /// Black and white exchanged.
    Invert,
}

/// One operation and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyStep {
    /// What is done.
    pub operation: PolicyOperation,
    /// In the unit of the operation; 0 where it has none.
    pub magnitude: f32,
}

/// What one application of a policy is determined by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyParameters {
    /// The operations in their order.
    pub steps: Vec<PolicyStep>,
}

/// How the operations of a policy read and which values they know.
pub(super) struct PolicySettings {
    pub(super) transformation: &'static str,
    pub(super) interpolation: Interpolation,
    pub(super) fill_value: f32,
    pub(super) value_range: ValueRange,
}

impl PolicySettings {
    pub(super) fn apply(&self, image: &mut Image, parameters: &PolicyParameters) -> Result<()> {
        need_grey_or_rgb(self.transformation, image.channels)?;
        parameters.steps.iter().try_for_each(|step| self.step(image, *step))
    }

    fn step(&self, image: &mut Image, PolicyStep { operation, magnitude }: PolicyStep) -> Result<()> {
        let range = self.value_range;
        if !magnitude.is_finite() {
            return Err(Error::Parameters {
                transformation: self.transformation,
                reason: format!("the magnitude {magnitude} is no number"),
            });
        }
        let m = f64::from(magnitude);
        match operation {
            PolicyOperation::Identity => {}
            // About the corner of the image, which is half a pixel before the first pixel.
            PolicyOperation::ShearX => self.warp(image, [1.0, m, m / 2.0], [0.0, 1.0, 0.0]),
            PolicyOperation::ShearY => self.warp(image, [1.0, 0.0, 0.0], [m, 1.0, m / 2.0]),
            PolicyOperation::TranslateX => self.warp(image, [1.0, 0.0, -m.trunc()], [0.0, 1.0, 0.0]),
            PolicyOperation::TranslateY => self.warp(image, [1.0, 0.0, 0.0], [0.0, 1.0, -m.trunc()]),
            PolicyOperation::Rotate => {
                let rotation = RandomRotation {
                    fill_mode: FillMode::Constant,
                    interpolation: self.interpolation,
                    fill_value: self.fill_value,
                    ..Default::default()
                };
                rotation.apply(image, &RotationParameters { angle: m })?;
            }
            PolicyOperation::Brightness => {
                blend(range, &mut image.data, 1.0 + magnitude, |_, _| range.low);
            }
            PolicyOperation::Color => color(range, image, 1.0 + magnitude),
            PolicyOperation::Contrast => {
                let mean = mean_of_grey(image);
                blend(range, &mut image.data, 1.0 + magnitude, |_, _| mean);
            }
            PolicyOperation::Sharpness => {
                let smooth = smooth(image);
                blend(range, &mut image.data, 1.0 + magnitude, |i, _| smooth[i]);
            }
            PolicyOperation::Posterize => {
                let shift = 8 - (magnitude as u8).clamp(1, 8);
                levels(range, &mut image.data, |level| {
                    f32::from((level as u8) >> shift << shift)
                });
            }
            PolicyOperation::Solarize => {
                levels(range, &mut image.data, |level| {
                    if level >= magnitude { 255.0 - level } else { level }
                });
            }
            PolicyOperation::AutoContrast => AutoContrast { value_range: range }.apply(image, &NoParameters {})?,
            PolicyOperation::Equalize => equalize(range, image),
            PolicyOperation::Invert => levels(range, &mut image.data, |level| 255.0 - level),
        }
        Ok(())
    }

    fn warp(&self, image: &mut Image, x: [f64; 3], y: [f64; 3]) {
        let matrix = Matrix::affine(x, y);
        Warp::new(matrix, self.interpolation, FillMode::Constant, self.fill_value).apply(image);
    }
}

/// `other + factor (value - other)`, clipped: 0 gives the other value, 1 changes nothing, more exaggerates.
fn blend(range: ValueRange, values: &mut [f32], factor: f32, other: impl Fn(usize, f32) -> f32) {
    for (i, value) in values.iter_mut().enumerate() {
        let other = other(i, *value);
        *value = range.clip(other + factor * (*value - other));
    }
}

/// Every value as a level of 0 to 255.
fn levels(range: ValueRange, values: &mut [f32], f: impl Fn(f32) -> f32) {
    for value in values {
        *value = range.unscale_bytes(f(range.to_bytes(*value)));
    }
}

fn color(range: ValueRange, image: &mut Image, factor: f32) {
    if image.channels < 3 {
        return;
    }
    for pixel in image.data.chunks_exact_mut(image.channels) {
        let grey = grey(pixel);
        // Three colours; an alpha channel stays.
        blend(range, &mut pixel[..3], factor, |_, _| grey);
    }
}

fn mean_of_grey(image: &Image) -> f32 {
    let grey = |pixel: &[f32]| if pixel.len() < 3 { pixel[0] } else { grey(pixel) };
    let pixels = image.data.chunks_exact(image.channels);
    let sum: f64 = pixels.map(|pixel| f64::from(grey(pixel))).sum();
    (sum / (image.height * image.width) as f64) as f32
}

/// The mean of the pixels around, the middle one five times; border pixels stay.
fn smooth(image: &Image) -> Vec<f32> {
    let mut out = image.data.clone();
    let (width, channels) = (image.width, image.channels);
    let row = width * channels;
    if image.height < 3 || width < 3 {
        return out;
    }
    for y in 1..image.height - 1 {
        for i in channels..row - channels {
            let at = y * row + i;
            let of_row =
                |middle: usize| image.data[middle - channels] + image.data[middle] + image.data[middle + channels];
            let sum = of_row(at - row) + of_row(at) + of_row(at + row) + 4.0 * image.data[at];
            out[at] = sum / 13.0;
        }
    }
    out
}

/// PIL's equalization, which differs from Keras' in its steps: whole numbers of pixels a level.
fn equalize(range: ValueRange, image: &mut Image) {
    // `as usize` is 0 for negative numbers.
    let level = |value: f32| (range.to_bytes(value) as usize).min(255);
    for channel in 0..image.channels {
        let mut histogram = [0usize; 256];
        for &value in image.data.iter().skip(channel).step_by(image.channels) {
            histogram[level(value)] += 1;
        }
        let last = histogram.iter().rev().copied().find(|&n| n > 0).unwrap_or(0);
        let step = (histogram.iter().sum::<usize>() - last) / 255;
        if step == 0 {
            continue;
        }
        let mut before = step / 2;
        let table = histogram.map(|n| {
            let level = before / step;
            before += n;
            level.min(255) as f32
        });
        for value in image.data.iter_mut().skip(channel).step_by(image.channels) {
            *value = range.unscale_bytes(table[level(*value)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> PolicySettings {
        PolicySettings {
            transformation: "test",
            interpolation: Interpolation::Nearest,
            fill_value: 0.0,
            value_range: ValueRange::BYTES,
        }
    }

    #[track_caller]
    fn check(operation: PolicyOperation, magnitude: f32, expected: [f32; 9]) {
        let mut image = Image::new(3, 3, 1, (0..9).map(|i| 30.0 * i as f32).collect()).unwrap();
        settings()
            .step(&mut image, PolicyStep { operation, magnitude })
            .unwrap();
        assert_eq!(image.data, expected, "{operation:?} {magnitude}");
    }

    #[test]
    fn operations_on_a_ramp() {
        use PolicyOperation::*;
        check(
            Identity,
            0.0,
            [0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0, 210.0, 240.0],
        );
        check(TranslateX, 1.9, [0.0, 0.0, 30.0, 0.0, 90.0, 120.0, 0.0, 180.0, 210.0]);
        check(
            TranslateY,
            -1.0,
            [90.0, 120.0, 150.0, 180.0, 210.0, 240.0, 0.0, 0.0, 0.0],
        );
        check(
            Brightness,
            0.5,
            [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 255.0, 255.0, 255.0],
        );
        check(Contrast, -1.0, [120.0; 9]);
        // The mean of a plane is its middle, so nothing is sharper.
        check(
            Sharpness,
            0.9,
            [0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0, 210.0, 240.0],
        );
        check(Posterize, 2.0, [0.0, 0.0, 0.0, 64.0, 64.0, 128.0, 128.0, 192.0, 192.0]);
        check(Solarize, 120.0, [0.0, 30.0, 60.0, 90.0, 135.0, 105.0, 75.0, 45.0, 15.0]);
        check(
            Invert,
            0.0,
            [255.0, 225.0, 195.0, 165.0, 135.0, 105.0, 75.0, 45.0, 15.0],
        );
        check(Color, 0.9, [0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0, 210.0, 240.0]);
    }

    #[test]
    fn a_magnitude_that_is_no_number_is_refused() {
        let mut image = Image::new(1, 1, 1, vec![1.0]).unwrap();
        let step = PolicyStep {
            operation: PolicyOperation::Rotate,
            magnitude: f32::NAN,
        };
        assert!(settings().step(&mut image, step).is_err());
    }
}
