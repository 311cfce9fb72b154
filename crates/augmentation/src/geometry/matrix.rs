//! Projective maps of the plane from output pixels to input pixels.

/// A 3 x 3 matrix, row by row, that maps output pixel `(x, y)` to input pixel
/// `((m0 x + m1 y + m2) / k, (m3 x + m4 y + m5) / k)` with `k = m6 x + m7 y + m8`.
///
/// Pixel indices are the coordinates (no half-pixel offset), as in Keras' `affine_transform`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matrix(pub [f64; 9]);

impl Matrix {
    /// Every pixel comes from its own place.
    pub const IDENTITY: Self = Self([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);

    /// The affine map `(a0 x + a1 y + a2, b0 x + b1 y + b2)`.
    pub fn affine(a: [f64; 3], b: [f64; 3]) -> Self {
        Self([a[0], a[1], a[2], b[0], b[1], b[2], 0.0, 0.0, 1.0])
    }

    /// The map that reads through `self` what was read through `before`:
    /// the image is first warped with `before`, then with `self`.
    #[must_use]
    pub fn after(self, before: Self) -> Self {
        let (a, b) = (before.0, self.0);
        let mut product = [0.0; 9];
        for (i, value) in product.iter_mut().enumerate() {
            let (row, column) = (3 * (i / 3), i % 3);
            *value = a[row] * b[column] + a[row + 1] * b[column + 3] + a[row + 2] * b[column + 6];
        }
        Self(product)
    }

    /// Whether there is no perspective.
    pub fn is_affine(self) -> bool {
        self.0[6] == 0.0 && self.0[7] == 0.0 && self.0[8] == 1.0
    }

    /// The input pixel of an output pixel.
    pub fn map(self, x: f64, y: f64) -> (f64, f64) {
        let m = self.0;
        let k = m[6] * x + m[7] * y + m[8];
        ((m[0] * x + m[1] * y + m[2]) / k, (m[3] * x + m[4] * y + m[5]) / k)
    }

    /// The map that takes each output point `to[i]` to the input point `from[i]`; `None` where three of the points lie
    /// on one line.
    pub fn from_points(from: [[f64; 2]; 4], to: [[f64; 2]; 4]) -> Option<Self> {
        // Two equations a point: x' (c0 x + c1 y + 1) = a0 x + a1 y + a2, the same for y'.
        let mut rows = [[0.0f64; 9]; 8];
        for i in 0..4 {
            let ([u, v], [x, y]) = (from[i], to[i]);
            rows[2 * i] = [x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u];
            rows[2 * i + 1] = [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v];
        }
        // Gauss-Jordan elimination with partial pivoting.
        for column in 0..8 {
            let pivot = (column..8).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
            if rows[pivot][column].abs() <= 1e-12 || rows[pivot][column].is_nan() {
                return None;
            }
            rows.swap(column, pivot);
            let pivot_row = rows[column];
            for (i, row) in rows.iter_mut().enumerate() {
                if i != column {
                    let scale = row[column] / pivot_row[column];
                    for (value, p) in row.iter_mut().zip(pivot_row) {
                        *value -= scale * p;
                    }
                }
            }
        }
        let solution: [f64; 8] = std::array::from_fn(|i| rows[i][8] / rows[i][i]);
        let [a0, a1, a2, b0, b1, b2, c0, c1] = solution;
        Some(Self([a0, a1, a2, b0, b1, b2, c0, c1, 1.0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_points_determine_the_map() {
        let corners = [[0.0, 0.0], [9.0, 0.0], [0.0, 6.0], [9.0, 6.0]];
        let moved = [[0.5, 0.2], [8.0, 0.5], [1.0, 7.0], [9.5, 5.0]];
        let map = Matrix::from_points(corners, moved).expect("no three points on a line");
        for (from, to) in corners.into_iter().zip(moved) {
            let (x, y) = map.map(to[0], to[1]);
            assert!((x - from[0]).abs() < 1e-9 && (y - from[1]).abs() < 1e-9);
        }
        assert_eq!(Matrix::from_points(corners, [[0.0, 0.0]; 4]), None);
    }

    #[test]
    fn composition_is_application_one_after_the_other() {
        let shift = Matrix::affine([1.0, 0.0, 2.0], [0.0, 1.0, -1.0]);
        let scale = Matrix::affine([0.5, 0.0, 0.0], [0.0, 2.0, 0.0]);
        // Shifted first, then scaled: the output asks `scale`, which asks `shift`.
        let (x, y) = scale.map(4.0, 3.0);
        assert_eq!(scale.after(shift).map(4.0, 3.0), shift.map(x, y));
    }
}
