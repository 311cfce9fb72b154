//! Bases of symmetric matrices, in double precision: what SOAP rotates by.

/// A square matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Square {
    pub(crate) size: usize,
    pub(crate) values: Vec<f64>,
}

impl Square {
    pub(crate) fn identity(size: usize) -> Self {
        let values = (0..size * size).map(|at| f64::from(at / size == at % size)).collect();
        Self { size, values }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.size + column]
    }

    /// The columns in another order.
    pub(crate) fn with_columns(&self, order: &[usize]) -> Self {
        let rows = self.values.chunks(self.size.max(1));
        let values = rows.flat_map(|row| order.iter().map(|&column| row[column])).collect();
        Self {
            size: self.size,
            values,
        }
    }
}

/// The eigenvectors of a symmetric matrix as columns, that of the largest eigenvalue first.
///
/// Jacobi's rotations: each makes one pair of entries beside the diagonal 0, until all are. They are slower than other
/// methods and more exact, and are needed once for each weight.
pub(crate) fn eigenvectors(symmetric: &Square) -> Square {
    let size = symmetric.size;
    let mut a = symmetric.clone();
    let mut vectors = Square::identity(size);
    let total: f64 = a.values.iter().map(|x| x * x).sum();
    for _ in 0..30 {
        // Not the total without the diagonal: of that difference half of the digits are lost.
        let entries = a.values.iter().enumerate();
        let beside = entries.filter(|(at, _)| at / size != at % size);
        if beside.map(|(_, x)| x * x).sum::<f64>() <= 1e-28 * total {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&i, &j| a.at(j, j).total_cmp(&a.at(i, i)));
    vectors.with_columns(&order)
}

/// Makes the entries `(p, q)` and `(q, p)` 0.
fn rotate(a: &mut Square, vectors: &mut Square, p: usize, q: usize) {
    let size = a.size;
    let beside = a.at(p, q);
    if beside == 0.0 {
        return;
    }
    let theta = (a.at(q, q) - a.at(p, p)) / (2.0 * beside);
    let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    let mix = |values: &mut Vec<f64>, i: usize, j: usize| {
        let (x, y) = (values[i], values[j]);
        values[i] = cosine * x - sine * y;
        values[j] = sine * x + cosine * y;
    };
    for k in 0..size {
        mix(&mut a.values, k * size + p, k * size + q);
    }
    for k in 0..size {
        mix(&mut a.values, p * size + k, q * size + k);
        mix(&mut vectors.values, k * size + p, k * size + q);
    }
}

/// The orthogonal factor of `matrix = Q R`.
pub(crate) fn orthogonal(matrix: &Square) -> Square {
    let mut q = matrix.clone();
    orthogonalize(&mut q.values, q.size, &mut vec![0.0; working_memory(q.size)]);
    q
}

/// Numbers of working memory for [`orthogonalize`].
pub(crate) const fn working_memory(size: usize) -> usize {
    size * size + size
}

/// Overwrites a square matrix by its orthogonal factor, by Householder's reflections.
pub(crate) fn orthogonalize(matrix: &mut [f64], size: usize, memory: &mut [f64]) {
    let (reflections, products) = memory.split_at_mut(size * size);
    let products = &mut products[..size];
    for k in 0..size {
        let v = &mut reflections[k * size + k..][..size - k];
        for (row, x) in v.iter_mut().enumerate() {
            *x = matrix[(k + row) * size + k];
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v[0] += if v[0] >= 0.0 { norm } else { -norm };
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length > 0.0 {
            v.iter_mut().for_each(|x| *x /= length);
        }
        reflect(matrix, v, k, products);
    }
    for (at, value) in matrix.iter_mut().enumerate() {
        *value = f64::from(at / size == at % size);
    }
    for k in (0..size).rev() {
        reflect(matrix, &reflections[k * size + k..][..size - k], k, products);
    }
}

/// `(1 - 2 v v') matrix` on the rows from `first`.
fn reflect(matrix: &mut [f64], v: &[f64], first: usize, products: &mut [f64]) {
    let size = products.len();
    products.fill(0.0);
    for (row, x) in v.iter().enumerate() {
        let from = &matrix[(first + row) * size..][..size];
        products.iter_mut().zip(from).for_each(|(sum, y)| *sum += x * y);
    }
    for (row, x) in v.iter().enumerate() {
        let to = &mut matrix[(first + row) * size..][..size];
        to.iter_mut().zip(&*products).for_each(|(y, sum)| *y -= 2.0 * x * sum);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Square, eigenvectors, orthogonal};

    fn product(a: &Square, b: &Square, transposed: bool) -> Square {
        let size = a.size;
        let left = |i: usize, k: usize| if transposed { a.at(k, i) } else { a.at(i, k) };
        let value = |at: usize| (0..size).map(|k| left(at / size, k) * b.at(k, at % size)).sum();
        Square {
            size,
            values: (0..size * size).map(value).collect(),
        }
    }

    fn matrix() -> impl Strategy<Value = Square> {
        (1_usize..7).prop_flat_map(|size| {
            prop::collection::vec(-3.0_f64..3.0, size * size).prop_map(move |values| Square { size, values })
        })
    }

    fn distance(a: &Square, b: &Square) -> f64 {
        a.values
            .iter()
            .zip(&b.values)
            .map(|(x, y)| (x - y).abs())
            .fold(0.0, f64::max)
    }

    proptest! {
        #[test]
        fn eigenvectors_make_the_matrix_diagonal_with_falling_values(matrix in matrix()) {
            let symmetric = product(&matrix, &matrix, true);
            let q = eigenvectors(&symmetric);
            prop_assert!(distance(&product(&q, &q, true), &Square::identity(q.size)) < 1e-12);
            let diagonal = product(&q, &product(&symmetric, &q, false), true);
            for i in 0..q.size {
                for j in 0..q.size {
                    prop_assert!(i == j || diagonal.at(i, j).abs() < 1e-10);
                }
                prop_assert!(i == 0 || diagonal.at(i, i) <= diagonal.at(i - 1, i - 1) + 1e-10);
            }
        }

        #[test]
        fn the_orthogonal_factor_leaves_a_triangle(matrix in matrix()) {
            let q = orthogonal(&matrix);
            prop_assert!(distance(&product(&q, &q, true), &Square::identity(q.size)) < 1e-12);
            let r = product(&q, &matrix, true);
            for row in 0..r.size {
                prop_assert!((0..row).all(|column| r.at(row, column).abs() < 1e-12));
            }
        }
    }

    #[test]
    fn a_matrix_of_zeros_has_a_basis_too() {
        let zeros = Square {
            size: 3,
            values: vec![0.0; 9],
        };
        for q in [eigenvectors(&zeros), orthogonal(&zeros)] {
            assert!(distance(&product(&q, &q, true), &Square::identity(3)) < 1e-15);
        }
    }
}
