//! Another size: separable resampling with half-pixel centres, as TensorFlow's resize operations compute it.

use serde::{Deserialize, Serialize};

use crate::image::Image;

/// How a resized image reads between the pixels of the original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResizeInterpolation {
    /// The pixel at `floor((i + 0.5) * scale)`.
    Nearest,
    /// Triangle of radius 1.
    #[default]
    Bilinear,
    /// Keys' cubic with a = -0.5, radius 2.
    Bicubic,
    /// Lanczos' windowed sinc of radius 3.
    Lanczos3,
    /// Lanczos' windowed sinc of radius 5.
    Lanczos5,
    /// The mean of the area that an output pixel covers.
    Area,
}

impl ResizeInterpolation {
    fn radius(self) -> f64 {
        match self {
            Self::Nearest | Self::Area => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos3 => 3.0,
            Self::Lanczos5 => 5.0,
        }
    }

    fn kernel(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Self::Nearest | Self::Area => f64::from(u8::from(x <= 0.5)),
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic => keys(x),
            Self::Lanczos3 | Self::Lanczos5 => {
                let radius = self.radius();
                if x > radius {
                    0.0
                } else if x <= 1e-3 {
                    1.0
                } else {
                    let angle = std::f64::consts::PI * x;
                    radius * angle.sin() * (angle / radius).sin() / (angle * angle)
                }
            }
        }
    }
}

/// Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5.
fn keys(x: f64) -> f64 {
    if x >= 2.0 {
        0.0
    } else if x >= 1.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        (1.5 * x - 2.5) * x * x + 1.0
    }
}

/// What one output position reads: the first input position and the weights from there on.
struct Taps {
    start: usize,
    weights: Vec<f32>,
}

fn taps(how: ResizeInterpolation, antialias: bool, from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            match how {
                ResizeInterpolation::Nearest => Taps {
                    start: (centre.floor() as usize).min(from - 1),
                    weights: vec![1.0],
                },
                ResizeInterpolation::Area => area(i as f64 * scale, (i + 1) as f64 * scale, from),
                ResizeInterpolation::Bicubic if !antialias => {
                    // The weights come from a table of 1024 steps between two pixels.
                    let left = (centre - 0.5).floor();
                    let fraction = ((centre - 0.5 - left) * 1024.0).round_ties_even() / 1024.0;
                    let first = left as isize - 1;
                    normalised(first, (0..4).map(|k| keys((k as f64 - 1.0 - fraction).abs())), from)
                }
                _ => {
                    let stretch = if antialias { scale.max(1.0) } else { 1.0 };
                    let reach = how.radius() * stretch;
                    let first = (centre - reach - 0.5).ceil() as isize;
                    let last = (centre + reach - 0.5).floor() as isize;
                    let weight = |j: isize| how.kernel((j as f64 + 0.5 - centre) / stretch);
                    normalised(first, (first..=last).map(weight), from)
                }
            }
        })
        .collect()
}

/// Drops the weights outside of `0..n` and makes the others sum to 1.
fn normalised(first: isize, weights: impl Iterator<Item = f64>, n: usize) -> Taps {
    let inside: Vec<(usize, f64)> = (first..)
        .zip(weights)
        .filter_map(|(j, w)| usize::try_from(j).ok().filter(|&j| j < n).map(|j| (j, w)))
        .collect();
    let sum: f64 = inside.iter().map(|&(_, w)| w).sum();
    let start = inside.first().map_or(0, |&(j, _)| j);
    Taps {
        start,
        weights: inside.into_iter().map(|(_, w)| (w / sum) as f32).collect(),
    }
}

/// Each input pixel weighs what `[low, high)` covers of it.
fn area(low: f64, high: f64, n: usize) -> Taps {
    let first = low.floor() as usize;
    let last = (high.ceil() as usize).clamp(first + 1, n);
    let covered = |j: usize| (high.min((j + 1) as f64) - low.max(j as f64)).max(0.0);
    normalised(first as isize, (first..last).map(covered), n)
}

/// The image in another size; rows first, then columns.
pub(crate) fn resample(image: &Image, height: usize, width: usize, how: ResizeInterpolation, antialias: bool) -> Image {
    let channels = image.channels;
    let row_length = image.width * channels;
    let mut tall = vec![0f32; height * row_length];
    for (out, taps) in tall
        .chunks_exact_mut(row_length)
        .zip(taps(how, antialias, image.height, height))
    {
        for (k, &weight) in taps.weights.iter().enumerate() {
            let start = (taps.start + k) * row_length;
            for (value, &input) in out.iter_mut().zip(&image.data[start..start + row_length]) {
                *value += weight * input;
            }
        }
    }
    let columns = taps(how, antialias, image.width, width);
    let mut data = vec![0f32; height * width * channels];
    for (out, row) in data
        .chunks_exact_mut(width * channels)
        .zip(tall.chunks_exact(row_length))
    {
        for (pixel, taps) in out.chunks_exact_mut(channels).zip(&columns) {
            for (k, &weight) in taps.weights.iter().enumerate() {
                let start = (taps.start + k) * channels;
                for (value, &input) in pixel.iter_mut().zip(&row[start..start + channels]) {
                    *value += weight * input;
                }
            }
        }
    }
    Image {
        height,
        width,
        channels,
        data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_image_stays_constant_in_every_size() {
        use ResizeInterpolation::*;
        let image = Image {
            height: 5,
            width: 4,
            channels: 2,
            data: vec![3.0; 40],
        };
        for how in [Nearest, Bilinear, Bicubic, Lanczos3, Lanczos5, Area] {
            for (h, w) in [(1, 1), (3, 9), (5, 4), (12, 2)] {
                for antialias in [false, true] {
                    let out = resample(&image, h, w, how, antialias);
                    assert!(
                        out.data.iter().all(|v| (v - 3.0).abs() < 1e-5),
                        "{how:?} {h}x{w} {antialias}"
                    );
                }
            }
        }
    }

    #[test]
    fn bilinear_doubling_puts_weights_of_a_quarter() {
        let image = Image {
            height: 1,
            width: 2,
            channels: 1,
            data: vec![0.0, 4.0],
        };
        let out = resample(&image, 1, 4, ResizeInterpolation::Bilinear, false);
        assert_eq!(out.data, [0.0, 1.0, 3.0, 4.0]);
    }
}
