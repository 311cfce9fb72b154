//! The eigenvectors of a symmetric matrix, in double precision.

use pulp::{Arch, Simd, WithSimd};

use crate::fused::fork;
use crate::linear_algebra::{Square, reflect};
use crate::passes::change;

/// Columns of a panel of eigenvectors, which a rotation goes through at once.
const LANES: usize = 64;
/// Sweeps for each eigenvalue, at most; two or three are needed.
const SWEEPS: usize = 60;

/// The eigenvectors of a symmetric matrix as columns, that of the largest eigenvalue first.
///
/// Householder's reflections on both sides leave three diagonals; rotations with Wilkinson's shift (the implicit QR method) then make those
/// beside the main one 0. Jacobi's rotations, which need no such form, take a hundred times as long for a layer of 784 inputs. Of a matrix
/// with NaN or infinity, the identity.
///
/// Source: G. Golub, C. Van Loan, *Matrix Computations*, 4th edition, 8.3.
pub(crate) fn eigenvectors(symmetric: &Square) -> Square {
    let size = symmetric.size;
    if size < 2 || !symmetric.values.iter().all(|value| value.is_finite()) {
        return Square::identity(size);
    }
    let (mut diagonal, mut beside, basis) = three_diagonals(symmetric);
    let mut panels = Panels::transposed(&basis);
    rotate_until_diagonal(&mut diagonal, &mut beside, |first, rotations| {
        panels.rotate(first, rotations);
    });
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&i, &j| diagonal[j].total_cmp(&diagonal[i]));
    panels.columns(&order)
}

/// The diagonal of `Q' A Q`, the numbers beside it, and `Q`.
fn three_diagonals(symmetric: &Square) -> (Vec<f64>, Vec<f64>, Square) {
    let size = symmetric.size;
    let mut a = symmetric.values.clone();
    let mut beside = vec![0.0; size - 1];
    let mut reflections: Vec<Vec<f64>> = Vec::with_capacity(size);
    for k in 0..size - 1 {
        let mut v: Vec<f64> = (k + 1..size).map(|row| a[row * size + k]).collect();
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let sign = if v[0] >= 0.0 { 1.0 } else { -1.0 };
        beside[k] = -sign * norm;
        v[0] += sign * norm;
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length > 0.0 {
            v.iter_mut().for_each(|x| *x /= length);
        }
        // With `p = A v` and `u = p - (v' p) v` the matrix becomes `A - 2 v u' - 2 u v'`.
        let row_of = |row: usize| (k + 1 + row) * size + k + 1..(k + 2 + row) * size;
        let mut u = vec![0.0; v.len()];
        for (row, &x) in v.iter().enumerate() {
            change(&mut u, &a[row_of(row)], move |sum, y| sum + x * y);
        }
        let along: f64 = u.iter().zip(&v).map(|(p, x)| p * x).sum();
        change(&mut u, &v, move |p, x| p - along * x);
        for (row, (&x, &y)) in v.iter().zip(&u).enumerate() {
            let numbers = &mut a[row_of(row)];
            change(numbers, &u, move |number, u| number - 2.0 * x * u);
            change(numbers, &v, move |number, v| number - 2.0 * y * v);
        }
        reflections.push(v);
    }
    let diagonal = (0..size).map(|at| a[at * size + at]).collect();
    let mut basis = Square::identity(size);
    let mut products = vec![0.0; size];
    for (k, v) in reflections.iter().enumerate().rev() {
        reflect(&mut basis.values, v, k + 1, &mut products);
    }
    (diagonal, beside, basis)
}

/// Makes the numbers beside the diagonal 0. `turned` gets, sweep by sweep, cosine and sine of the rotations of neighbouring axes, from an
/// axis on.
fn rotate_until_diagonal(diagonal: &mut [f64], beside: &mut [f64], mut turned: impl FnMut(usize, &[(f64, f64)])) {
    let mut rotations = Vec::with_capacity(beside.len());
    let mut last = beside.len();
    for _ in 0..SWEEPS * diagonal.len() {
        for (at, number) in beside[..last].iter_mut().enumerate() {
            if number.abs() <= f64::EPSILON * (diagonal[at].abs() + diagonal[at + 1].abs()) {
                *number = 0.0;
            }
        }
        while last > 0 && beside[last - 1] == 0.0 {
            last -= 1;
        }
        if last == 0 {
            return;
        }
        let first = beside[..last]
            .iter()
            .rposition(|number| *number == 0.0)
            .map_or(0, |at| at + 1);
        sweep(&mut diagonal[first..=last], &mut beside[first..last], &mut rotations);
        turned(first, &rotations);
    }
}

/// One step of the implicit QR method for a matrix of three diagonals without a 0 beside the main one.
fn sweep(diagonal: &mut [f64], beside: &mut [f64], rotations: &mut Vec<(f64, f64)>) {
    let last = beside.len();
    let half = (diagonal[last - 1] - diagonal[last]) / 2.0;
    let corner = beside[last - 1];
    let root = half.hypot(corner);
    let shift = diagonal[last] - corner * corner / (half + if half >= 0.0 { root } else { -root });
    let (mut x, mut z) = (diagonal[0] - shift, beside[0]);
    rotations.clear();
    for k in 0..last {
        let r = x.hypot(z);
        let (cosine, sine) = if r > 0.0 { (x / r, z / r) } else { (1.0, 0.0) };
        if k > 0 {
            beside[k - 1] = r;
        }
        let (p, q, t) = (diagonal[k], beside[k], diagonal[k + 1]);
        diagonal[k] = cosine * cosine * p + 2.0 * cosine * sine * q + sine * sine * t;
        diagonal[k + 1] = sine * sine * p - 2.0 * cosine * sine * q + cosine * cosine * t;
        beside[k] = cosine * sine * (t - p) + (cosine * cosine - sine * sine) * q;
        if k + 1 < last {
            (x, z) = (beside[k], sine * beside[k + 1]);
            beside[k + 1] *= cosine;
        }
        rotations.push((cosine, sine));
    }
}

/// The transposed of a square matrix, cut into panels of [`LANES`] columns, each row by row.
struct Panels {
    size: usize,
    numbers: Vec<f64>,
}

impl Panels {
    fn transposed(square: &Square) -> Self {
        let size = square.size;
        let mut numbers = vec![0.0; size.next_multiple_of(LANES) * size];
        for (column, values) in square.values.chunks_exact(size).enumerate() {
            let panel = &mut numbers[column / LANES * LANES * size..];
            for (row, value) in values.iter().enumerate() {
                panel[row * LANES + column % LANES] = *value;
            }
        }
        Self { size, numbers }
    }

    /// Turns neighbouring rows, from the first on.
    fn rotate(&mut self, first: usize, rotations: &[(f64, f64)]) {
        rotate_panels(&mut self.numbers, self.size, first, rotations);
    }

    /// The rows in this order, as columns.
    fn columns(&self, order: &[usize]) -> Square {
        let size = self.size;
        let at = |row: usize, column: usize| self.numbers[column / LANES * LANES * size + row * LANES + column % LANES];
        let rows = (0..size).flat_map(|column| order.iter().map(move |&row| (row, column)));
        Square {
            size,
            values: rows.map(|(row, column)| at(row, column)).collect(),
        }
    }
}

fn rotate_panels(numbers: &mut [f64], size: usize, first: usize, rotations: &[(f64, f64)]) {
    let panels = numbers.len() / (size * LANES);
    if panels == 1 {
        let rows = &mut numbers[first * LANES..(first + rotations.len() + 1) * LANES];
        return Arch::new().dispatch(Rotate { rows, rotations });
    }
    let (left, right) = numbers.split_at_mut(panels / 2 * size * LANES);
    fork(
        || rotate_panels(left, size, first, rotations),
        || rotate_panels(right, size, first, rotations),
    );
}

/// Not a closure: see `fused.rs`.
struct Rotate<'a> {
    rows: &'a mut [f64],
    rotations: &'a [(f64, f64)],
}

impl WithSimd for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (rows, _) = self.rows.as_chunks_mut::<LANES>();
        for (pair, &(cosine, sine)) in self.rotations.iter().enumerate() {
            let (rows, below) = rows.split_at_mut(pair + 1);
            for (x, y) in rows[pair].iter_mut().zip(&mut below[0]) {
                (*x, *y) = (cosine * *x + sine * *y, cosine * *y - sine * *x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::eigenvectors;
    use crate::linear_algebra::{
        Square,
        tests::{distance, matrix, product},
    };

    fn check(symmetric: &Square, tolerance: f64) {
        let q = eigenvectors(symmetric);
        assert!(distance(&product(&q, &q, true), &Square::identity(q.size)) < 1e-12);
        let diagonal = product(&q, &product(symmetric, &q, false), true);
        let at = |row: usize, column: usize| diagonal.values[row * q.size + column];
        for i in 0..q.size {
            for j in 0..q.size {
                assert!(i == j || at(i, j).abs() < tolerance, "({i}, {j}): {}", at(i, j));
            }
            assert!(i == 0 || at(i, i) <= at(i - 1, i - 1) + tolerance);
        }
    }

    proptest! {
        #[test]
        fn they_make_the_matrix_diagonal_with_falling_values(matrix in matrix()) {
            check(&product(&matrix, &matrix, true), 1e-10);
        }
    }

    /// More than a panel, and less than the rank that the size would allow: many eigenvalues are 0.
    #[test]
    fn large_matrices_of_low_rank_have_eigenvectors_too() {
        let size = 150;
        let number = |i: usize| ((i * 7919) % 1009) as f64 / 1009.0 - 0.5;
        let values = (0..size * size).map(|at| if at % size < 40 { number(at) } else { 0.0 });
        let low = Square {
            size,
            values: values.collect(),
        };
        let transposed = Square {
            size,
            values: (0..size * size)
                .map(|at| low.values[at % size * size + at / size])
                .collect(),
        };
        check(&product(&transposed, &transposed, true), 1e-10);
    }

    #[test]
    fn special_matrices_have_a_basis() {
        let zeros = Square {
            size: 3,
            values: vec![0.0; 9],
        };
        assert!(distance(&eigenvectors(&zeros), &Square::identity(3)) < 1e-15);
        let swapped = Square {
            size: 2,
            values: vec![0.0, 1.0, 1.0, 0.0],
        };
        check(&swapped, 1e-15);
        let broken = Square {
            size: 2,
            values: vec![f64::NAN, 1.0, 1.0, 0.0],
        };
        assert_eq!(eigenvectors(&broken), Square::identity(2));
        assert_eq!(
            eigenvectors(&Square {
                size: 1,
                values: vec![-3.0]
            }),
            Square::identity(1)
        );
    }
}
