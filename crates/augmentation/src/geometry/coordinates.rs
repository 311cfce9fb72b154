//! The places that a row of output pixels reads, many at once.

use super::Matrix;

/// Places that are computed at once.
pub(super) const CHUNK: usize = 32;

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

    /// The places of the output pixels `(first, y)`, `(first + 1, y)`, ...; NaN on the horizon.
    #[inline]
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
