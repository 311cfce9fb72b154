//! Square matrices in double precision, and the orthogonal factor of one: what SOAP turns its bases by.

use crate::passes::change;

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

    #[cfg(test)]
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

/// `(1 - 2 v v') matrix` on the rows from `first`, of which the numbers before `first` are 0 or of no interest; `products` has any numbers.
pub(crate) fn reflect(matrix: &mut [f64], v: &[f64], first: usize, products: &mut [f64]) {
    let size = products.len();
    let products = &mut products[first..];
    products.fill(0.0);
    for (row, &x) in v.iter().enumerate() {
        let from = &matrix[(first + row) * size + first..][..size - first];
        change(products, from, move |sum, y| sum + x * y);
    }
    for (row, &x) in v.iter().enumerate() {
        let to = &mut matrix[(first + row) * size + first..][..size - first];
        change(to, products, move |y, sum| y - 2.0 * x * sum);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::{Square, orthogonal};

    pub(crate) fn product(a: &Square, b: &Square, transposed: bool) -> Square {
        let size = a.size;
        let left = |i: usize, k: usize| if transposed { a.at(k, i) } else { a.at(i, k) };
        let value = |at: usize| (0..size).map(|k| left(at / size, k) * b.at(k, at % size)).sum();
        Square {
            size,
            values: (0..size * size).map(value).collect(),
        }
    }

    pub(crate) fn matrix() -> impl Strategy<Value = Square> {
        (1_usize..7).prop_flat_map(|size| {
            prop::collection::vec(-3.0_f64..3.0, size * size).prop_map(move |values| Square { size, values })
        })
    }

    pub(crate) fn distance(a: &Square, b: &Square) -> f64 {
        a.values
            .iter()
            .zip(&b.values)
            .map(|(x, y)| (x - y).abs())
            .fold(0.0, f64::max)
    }

    proptest! {
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
        let q = orthogonal(&Square {
            size: 3,
            values: vec![0.0; 9],
        });
        assert!(distance(&product(&q, &q, true), &Square::identity(3)) < 1e-15);
    }
}
