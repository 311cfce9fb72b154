//! Grey, hue and saturation of RGB pixels.

use crate::error::{Error, Result};

/// Rec. 601's weights of red, green and blue, with the digits that Keras uses.
pub(crate) const GREY: [f32; 3] = [0.2989, 0.5870, 0.1140];

/// The luminance of an RGB pixel.
#[inline]
pub(crate) fn grey(rgb: &[f32]) -> f32 {
    rgb.iter().zip(GREY).map(|(v, w)| v * w).sum()
}

/// Refuses images without colours; a fourth channel is alpha, which transformations of colours leave alone.
pub(crate) fn need_rgb(transformation: &'static str, channels: usize) -> Result<()> {
    if matches!(channels, 3 | 4) {
        Ok(())
    } else {
        Err(Error::Channels {
            transformation,
            expected: "3 channels (RGB) or 4 (with alpha)",
            found: channels,
        })
    }
}

/// Refuses images that are neither grey nor RGB, with or without alpha.
pub(crate) fn need_grey_or_rgb(transformation: &'static str, channels: usize) -> Result<()> {
    if matches!(channels, 1 | 3 | 4) {
        Ok(())
    } else {
        Err(Error::Channels {
            transformation,
            expected: "1 channel (grey), 3 (RGB) or 4 (with alpha)",
            found: channels,
        })
    }
}

/// Hue in [0, 1), saturation, value; the scale of `value` is that of the pixel.
///
/// Choices instead of ways out, so that many pixels are computed at once.
#[inline(always)]
pub(crate) fn rgb_to_hsv([r, g, b]: [f32; 3]) -> [f32; 3] {
    let value = r.max(g).max(b);
    let range = value - r.min(g).min(b);
    let saturation = if value > 0.0 { range / value } else { 0.0 };
    let norm = 1.0 / (6.0 * range);
    let (difference, third) = if r == value {
        (g - b, 0.0)
    } else if g == value {
        (b - r, 2.0 / 6.0)
    } else {
        (r - g, 4.0 / 6.0)
    };
    let hue = norm * difference + third;
    let hue = if hue < 0.0 { hue + 1.0 } else { hue };
    [if range > 0.0 { hue } else { 0.0 }, saturation, value]
}

/// The inverse of [`rgb_to_hsv`]; a saturation above 1 gives negative values, as in Keras.
#[inline(always)]
pub(crate) fn hsv_to_rgb([hue, saturation, value]: [f32; 3]) -> [f32; 3] {
    let h = hue * 6.0;
    let red = ((h - 3.0).abs() - 1.0).clamp(0.0, 1.0);
    let green = (2.0 - (h - 2.0).abs()).clamp(0.0, 1.0);
    let blue = (2.0 - (h - 4.0).abs()).clamp(0.0, 1.0);
    [
        ((1.0 - saturation) + saturation * red) * value,
        ((1.0 - saturation) + saturation * green) * value,
        ((1.0 - saturation) + saturation * blue) * value,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsv_and_back() {
        for rgb in [
            [0.1, 0.5, 0.9],
            [0.9, 0.1, 0.2],
            [0.3, 0.8, 0.3],
            [0.4, 0.4, 0.4],
            [0.0, 0.0, 0.0],
            [1.0, 0.0, 0.5],
        ] {
            let back = hsv_to_rgb(rgb_to_hsv(rgb));
            assert!(
                rgb.iter().zip(back).all(|(a, b)| (a - b).abs() < 1e-6),
                "{rgb:?} -> {back:?}"
            );
        }
    }
}
