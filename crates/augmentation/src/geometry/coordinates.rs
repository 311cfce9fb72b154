//! The places that a row of output pixels reads, many at once.

use super::Matrix;
use super::warp::{FillMode, Interpolation, fold};
use crate::vectors::{floor, rounded};

/// Places that are computed at once: as many as a number has bits.
pub(crate) const CHUNK: usize = 32;

/// 0, 1, 2, ...: converting counters one by one costs more than the map itself.
const STEPS: [f32; CHUNK] = {
    let mut steps = [0.0; CHUNK];
    let mut i = 1;
    while i < CHUNK {
        steps[i] = steps[i - 1] + 1.0;
        i += 1;
    }
    steps
};

/// The same in whole numbers.
const COUNTED: [u32; CHUNK] = {
    let mut counted = [0; CHUNK];
    let mut i = 1;
    while i < CHUNK {
        counted[i] = i as u32;
        i += 1;
    }
    counted
};

/// Where each output pixel comes from, in f32, as Keras computes it, so that rounding in `nearest` falls on the same side.
pub(super) struct Coordinates {
    m: [f32; 9],
    affine: bool,
}

impl Coordinates {
    pub(super) fn new(matrix: Matrix) -> Self {
        Self {
            m: matrix.0.map(|v| v as f32),
            affine: matrix.is_affine(),
        }
    }

    /// Whether neighbours in a row come from neighbours in a row.
    pub(super) fn keep_rows(&self) -> bool {
        self.affine && self.m[0] == 1.0 && self.m[3] == 0.0
    }

    /// The places of the output pixels `(first, y)`, `(first + 1, y)`, ...; NaN on the horizon.
    #[inline(always)]
    pub(super) fn chunk(&self, y: usize, first: usize, xs: &mut [f32; CHUNK], ys: &mut [f32; CHUNK]) {
        let (m, y) = (&self.m, y as f32);
        // A whole number below 2^24 in every step, so that adding is counting.
        let first = first as f32;
        let (x_of_row, y_of_row) = (m[1] * y, m[4] * y);
        for i in 0..CHUNK {
            let (to_x, to_y) = (&mut xs[i], &mut ys[i]);
            let x = first + STEPS[i];
            *to_x = m[0] * x + x_of_row + m[2];
            *to_y = m[3] * x + y_of_row + m[5];
        }
        if self.affine {
            return;
        }
        let k_of_row = m[7] * y;
        for i in 0..CHUNK {
            let (to_x, to_y) = (&mut xs[i], &mut ys[i]);
            let k = m[6] * (first + STEPS[i]) + k_of_row + m[8];
            // The horizon: every direction at once. Keras fills it.
            let k = if k == 0.0 { f32::NAN } else { k };
            *to_x /= k;
            *to_y /= k;
        }
    }
}

/// Pixels of an image in a frame, and what remains of the places behind the whole pixels.
#[derive(Clone, Copy)]
pub struct Places {
    /// Numbers of pixels of the framed image: those read, or the upper left of the four that are read.
    pub(crate) numbers: [u32; CHUNK],
    /// Fractions to the right and down.
    pub(crate) right: [f32; CHUNK],
    pub(crate) down: [f32; CHUNK],
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            numbers: [0; CHUNK],
            right: [0.0; CHUNK],
            down: [0.0; CHUNK],
        }
    }

    /// Of the first `count` places, those that do not follow from the one in the middle by counting, as the ones of a number, and the
    /// number of the first pixel by that count; none where it is below 0, or more than a few do not follow.
    #[inline(always)]
    pub(crate) fn counted(&self, count: usize) -> Option<(u32, u32)> {
        const FEW: u32 = 6;
        let middle = count / 2;
        let first = self.numbers[middle].checked_sub(middle as u32)?;
        let mut strangers = 0;
        for (&number, counted) in self.numbers.iter().zip(COUNTED) {
            strangers |= u32::from(number != first.wrapping_add(counted)) << counted;
        }
        let strangers = strangers & (u32::MAX >> (CHUNK - count));
        (strangers.count_ones() <= FEW).then_some((first, strangers))
    }

    /// Where coordinates are found in an image with a frame of one pixel to the left and above, and of two to the right and below.
    /// Everything outside of the image (and NaN) becomes a place in the frame.
    #[inline(always)]
    pub(super) fn locate(
        &mut self,
        xs: &mut [f32; CHUNK],
        ys: &mut [f32; CHUNK],
        (width, height): (usize, usize),
        (mode, interpolation): (FillMode, Interpolation),
    ) {
        if mode != FillMode::Constant {
            bring_back(xs, width, mode);
            bring_back(ys, height, mode);
        }
        let stride = (width + 3) as u32;
        let (width, height) = (width as f32, height as f32);
        for i in 0..CHUNK {
            // `max` takes the number where the other one is NaN.
            xs[i] = xs[i].max(-1.0).min(width);
            ys[i] = ys[i].max(-1.0).min(height);
        }
        if interpolation == Interpolation::Nearest {
            for i in 0..CHUNK {
                self.numbers[i] = number(rounded(xs[i]), rounded(ys[i]), stride);
            }
            return;
        }
        for i in 0..CHUNK {
            let (x, y) = (floor(xs[i]), floor(ys[i]));
            self.right[i] = xs[i] - x as f32;
            self.down[i] = ys[i] - y as f32;
            self.numbers[i] = number(x, y, stride);
        }
    }
}

#[inline(always)]
fn number(x: i32, y: i32, stride: u32) -> u32 {
    ((y + 1) as u32).wrapping_mul(stride).wrapping_add((x + 1) as u32)
}

/// Folds what lies outside.
#[inline(always)]
fn bring_back(coordinates: &mut [f32; CHUNK], size: usize, mode: FillMode) {
    let (last, size_f32) = ((size - 1) as f32, size as f32);
    // Counted without a way out of the loop, so that it is vectorised: inside of the image nothing is folded.
    let outside: u32 = coordinates.iter().map(|c| u32::from(!(*c >= 0.0 && *c <= last))).sum();
    if outside == 0 {
        return;
    }
    // The nearest mirror images, as `fold` finds them; farther away (and for NaN) one coordinate after the other.
    let near = |c: f32| c >= -size_f32 && c < 2.0 * size_f32;
    let far: u32 = coordinates.iter().map(|c| u32::from(!near(*c))).sum();
    if mode == FillMode::Reflect && far == 0 {
        for c in coordinates {
            let left = if *c < 0.0 { -*c - 1.0 } else { *c };
            let mirrored = if *c >= size_f32 {
                2.0 * size_f32 - *c - 1.0
            } else {
                left
            };
            *c = mirrored.max(0.0).min(last);
        }
    } else {
        coordinates.iter_mut().for_each(|c| *c = fold(*c, size, mode));
    }
}
