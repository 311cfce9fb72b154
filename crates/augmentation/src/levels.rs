//! Colours of bytes in whole numbers of 16 bits: twice as many at once as floats, and what is divided by the range of a pixel's
//! channels and multiplied with it again is not divided at all.

use crate::vectors::{Work, nearest, widest};

/// Turns the hue of pixels of three or four channels, in full turns.
pub(crate) fn turn_hue(data: &mut [u8], channels: usize, turn: f32) {
    // Three halves of the circle's six parts in either direction, times 2^13.
    let parts = (turn * 6.0 + 3.0).rem_euclid(6.0) - 3.0;
    let parts = (parts * 8192.0).round() as i16;
    for_each_colour(data, channels, Turned { parts });
}

/// Multiplies the saturation, in `[0, 1]` by its definition, and clips it to `[0, highest]`.
pub(crate) fn multiply_saturation(data: &mut [u8], channels: usize, factor: f32, highest: f32) {
    let factor = factor.max(0.0);
    if factor <= highest && factor < LARGEST_FACTOR {
        let factor = (factor * 8192.0).round() as i16;
        for_each_colour(data, channels, Saturated { factor });
    } else {
        for_each_colour(data, channels, SaturatedAndClipped { factor, highest });
    }
}

/// Times 2^13 it is below 2^15.
const LARGEST_FACTOR: f32 = 3.9;

/// What becomes of a colour; `#[inline(always)]`, as all that vectors are made of.
trait Recolour {
    fn of(&self, rgb: [i16; 3]) -> [i16; 3];
}

/// The upper half of a product.
#[inline(always)]
fn upper(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 16) as i16
}

struct Turned {
    parts: i16,
}

impl Recolour for Turned {
    /// The hue times the range of the channels and 2^4: in `[0, 6)` ranges, of at most 255 each, it fits 16 bits before it is brought
    /// back, too.
    #[inline(always)]
    fn of(&self, [red, green, blue]: [i16; 3]) -> [i16; 3] {
        let (value, least) = (red.max(green).max(blue), red.min(green).min(blue));
        let levels = value - least;
        let range = levels << 4;
        let (difference, third) = if red == value {
            (green - blue, 0)
        } else if green == value {
            (blue - red, 2 * range)
        } else {
            (red - green, 4 * range)
        };
        let hue = (difference << 4) + third + upper(levels << 7, self.parts);
        let hue = if hue < 0 { hue + 6 * range } else { hue };
        let hue = if hue >= 6 * range { hue - 6 * range } else { hue };
        let part = |above: i16| least + ((above.max(0).min(range) + 8) >> 4);
        [
            part((hue - 3 * range).abs() - range),
            part(2 * range - (hue - 2 * range).abs()),
            part(2 * range - (hue - 4 * range).abs()),
        ]
    }
}

struct Saturated {
    factor: i16,
}

impl Recolour for Saturated {
    #[inline(always)]
    fn of(&self, rgb: [i16; 3]) -> [i16; 3] {
        let value = rgb[0].max(rgb[1]).max(rgb[2]);
        // The distance times 2^7, the factor times 2^13: four bits of a fraction.
        let part = |channel: i16| (((value << 4) - upper((value - channel) << 7, self.factor) + 7) >> 4).max(0);
        [part(rgb[0]), part(rgb[1]), part(rgb[2])]
    }
}

struct SaturatedAndClipped {
    factor: f32,
    highest: f32,
}

impl Recolour for SaturatedAndClipped {
    #[inline(always)]
    fn of(&self, rgb: [i16; 3]) -> [i16; 3] {
        let (value, least) = (rgb[0].max(rgb[1]).max(rgb[2]), rgb[0].min(rgb[1]).min(rgb[2]));
        // Grey has a range of 0, infinity or NaN here, and no distances to multiply; `min` takes the number where the other one is NaN.
        let most = self.highest * f32::from(value) / f32::from(value - least);
        let factor = self.factor.min(most);
        let part = |channel: i16| {
            let distance = (f32::from(value - channel) * factor).min(255.0);
            (value - nearest(distance) as i16).max(0)
        };
        [part(rgb[0]), part(rgb[1]), part(rgb[2])]
    }
}

fn for_each_colour(data: &mut [u8], channels: usize, f: impl Recolour) {
    match channels {
        3 => widest(EachColour::<_, 3> { data, f }),
        _ => widest(EachColour::<_, 4> { data, f }),
    }
}

struct EachColour<'a, F, const C: usize> {
    data: &'a mut [u8],
    f: F,
}

/// Pixels whose colours are laid out as planes at once.
const PIXELS: usize = 64;

impl<F: Recolour, const C: usize> Work for EachColour<'_, F, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (pixels, _) = self.data.as_chunks_mut::<C>();
        let (chunks, rest) = pixels.as_chunks_mut::<PIXELS>();
        for chunk in chunks {
            recolour(chunk, &self.f);
        }
        let mut last = [[0u8; C]; PIXELS];
        last[..rest.len()].copy_from_slice(rest);
        recolour(&mut last, &self.f);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[inline(always)]
fn recolour<const C: usize>(chunk: &mut [[u8; C]; PIXELS], f: &impl Recolour) {
    // Planes of bytes first: taking them apart and widening them at once is done pixel by pixel.
    let (mut red, mut green, mut blue) = ([0u8; PIXELS], [0u8; PIXELS], [0u8; PIXELS]);
    for i in 0..PIXELS {
        red[i] = chunk[i][0];
        green[i] = chunk[i][1];
        blue[i] = chunk[i][2];
    }
    for i in 0..PIXELS {
        let new = f.of([i16::from(red[i]), i16::from(green[i]), i16::from(blue[i])]);
        red[i] = new[0] as u8;
        green[i] = new[1] as u8;
        blue[i] = new[2] as u8;
    }
    for i in 0..PIXELS {
        chunk[i][0] = red[i];
        chunk[i][1] = green[i];
        chunk[i][2] = blue[i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::{hsv_to_rgb, rgb_to_hsv};

    /// Colours of all kinds: grey, on the borders of the circle's parts, and between.
    fn colours() -> Vec<[u8; 3]> {
        let levels = [0u8, 1, 2, 63, 100, 127, 128, 200, 254, 255];
        let all = |red| {
            levels
                .into_iter()
                .flat_map(move |green| levels.map(|blue| [red, green, blue]))
        };
        levels.into_iter().flat_map(all).collect()
    }

    #[track_caller]
    fn check(name: &str, change: impl Fn(&mut [u8], usize), exact: impl Fn([f32; 3]) -> [f32; 3]) {
        let mut three: Vec<u8> = colours().concat();
        let mut four: Vec<u8> = colours().iter().flat_map(|&[r, g, b]| [r, g, b, 77]).collect();
        change(&mut three, 3);
        change(&mut four, 4);
        for (i, colour) in colours().into_iter().enumerate() {
            let expected = exact(colour.map(f32::from)).map(|v| v.clamp(0.0, 255.0));
            let found = &three[3 * i..3 * i + 3];
            assert_eq!(four[4 * i..4 * i + 4], [found[0], found[1], found[2], 77]);
            let near = found.iter().zip(expected).all(|(&a, b)| (f32::from(a) - b).abs() < 0.7);
            assert!(near, "{name}: {colour:?} became {found:?} and not {expected:?}");
        }
    }

    #[test]
    fn hues_turn_as_those_of_floats() {
        for turn in [0.0f32, 0.5, -0.5, 0.1, -0.1, 0.333, 0.499, -0.25, 1.4, -3.2] {
            let exact = |rgb: [f32; 3]| {
                let [hue, saturation, value] = rgb_to_hsv(rgb);
                hsv_to_rgb([(hue + turn).rem_euclid(1.0), saturation, value])
            };
            check(
                &format!("turn {turn}"),
                |data, channels| turn_hue(data, channels, turn),
                exact,
            );
        }
    }

    #[test]
    fn saturations_are_multiplied_as_those_of_floats() {
        for highest in [1.0f32, 3.0, 255.0] {
            for factor in [-0.5f32, 0.0, 0.3, 0.8, 1.0, 1.2, 2.0, 3.9, 17.0, 1e7] {
                let exact = |rgb: [f32; 3]| {
                    let [hue, saturation, value] = rgb_to_hsv(rgb);
                    hsv_to_rgb([hue, (saturation * factor).max(0.0).min(highest), value])
                };
                let change = |data: &mut [u8], channels| multiply_saturation(data, channels, factor, highest);
                check(&format!("factor {factor} up to {highest}"), change, exact);
            }
        }
    }
}
