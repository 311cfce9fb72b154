//! A picture to try transformations on, where there is no other.

use crate::image::Image;

/// A house under the sun, drawn in any size: `(side, side, 3)` with values of 0 to 255.
///
/// Left and right, top and bottom differ, it has plain and shaded areas, straight and round edges, dark and pale
/// colours: enough to see what a transformation does.
///
/// ```
/// let house = augmentation::picture(64);
/// assert_eq!((house.height, house.width, house.channels), (64, 64, 3));
/// ```
pub fn picture(side: usize) -> Image {
    let side = side.clamp(1, 4096);
    let mut data = Vec::with_capacity(side * side * 3);
    for y in 0..side {
        for x in 0..side {
            let place = |i: usize| (i as f32 + 0.5) / side as f32;
            data.extend(colour(place(x), place(y)));
        }
    }
    Image {
        height: side,
        width: side,
        channels: 3,
        data,
    }
}

/// The colour at a place, both coordinates in [0, 1].
fn colour(x: f32, y: f32) -> [f32; 3] {
    let distance = |cx: f32, cy: f32| ((x - cx).powi(2) + (y - cy).powi(2)).sqrt();
    let inside = |left: f32, top: f32, right: f32, bottom: f32| x >= left && x < right && y >= top && y < bottom;
    let hill = 0.72 - 0.1 * (x * 4.0 + 0.6).sin();
    if inside(0.42, 0.62, 0.5, 0.8) {
        return [80.0, 45.0, 30.0];
    }
    if inside(0.24, 0.56, 0.35, 0.67) {
        // Panes.
        let frame = (x - 0.295).abs() < 0.008 || (y - 0.615).abs() < 0.008;
        return if frame {
            [240.0, 240.0, 235.0]
        } else {
            [70.0, 110.0, 160.0]
        };
    }
    if inside(0.18, 0.48, 0.58, 0.8) {
        // The wall is darker towards the right.
        let shade = 1.0 - 0.35 * (x - 0.18);
        return [225.0 * shade, 200.0 * shade, 160.0 * shade];
    }
    if y < 0.48 && y > 0.26 + 0.9 * (x - 0.38).abs() {
        let tile = if ((x * 28.0) as i32 + (y * 28.0) as i32) % 2 == 0 {
            1.0
        } else {
            0.85
        };
        return [190.0 * tile, 60.0 * tile, 50.0 * tile];
    }
    // The tree.
    if distance(0.8, 0.52) < 0.13 {
        let light = 1.0 - 1.8 * distance(0.76, 0.47);
        return [40.0 * light, 130.0 * light, 60.0 * light];
    }
    if inside(0.785, 0.6, 0.815, 0.8) {
        return [100.0, 70.0, 45.0];
    }
    if y > hill {
        let near = (y - hill) / (1.0 - hill);
        return [110.0 - 50.0 * near, 175.0 - 70.0 * near, 80.0 - 40.0 * near];
    }
    if distance(0.82, 0.17) < 0.09 {
        return [255.0, 225.0, 90.0];
    }
    [120.0 + 90.0 * y, 175.0 + 60.0 * y, 235.0 + 15.0 * y]
}
