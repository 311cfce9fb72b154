//! The nearest orthogonal matrix by products alone: what Muon makes of a gradient.

use candle_core::{DType, Tensor};
use kernels::{MatmulPrecision, TileMemory};

use crate::clipping::Square;
use crate::error::Result;
use crate::fused;
use crate::passes::change;
use crate::products::{Factor, Matrix, Workspace};
use crate::rule::Preparation;

/// The precision of the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    /// That of the matrix.
    Own,
    /// Every result is rounded to bfloat16, as PyTorch computes.
    Bfloat16,
}

/// How an iteration is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewtonSchulz {
    pub(crate) coefficients: [f64; 3],
    pub(crate) steps: usize,
    pub(crate) epsilon: f64,
    pub(crate) precision: Precision,
}

impl NewtonSchulz {
    /// `x <- a x + (b x x' + c (x x')^2) x` from `x` over its Frobenius norm, which sends all singular values towards 1.
    pub(crate) fn orthogonalize(&self, matrix: &Tensor) -> Result<Tensor> {
        let round = |x: Tensor| -> Result<Tensor> {
            Ok(match self.precision {
                Precision::Own => x,
                Precision::Bfloat16 => x.to_dtype(DType::BF16)?.to_dtype(x.dtype())?,
            })
        };
        let (rows, columns) = matrix.dims2()?;
        let tall = rows > columns;
        let mut x = round(if tall {
            matrix.t()?.contiguous()?
        } else {
            matrix.clone()
        })?;
        let norm = round(x.sqr()?.sum_all()?.sqrt()?)?;
        let norm = match self.precision {
            Precision::Own => norm.affine(1.0, self.epsilon)?,
            Precision::Bfloat16 => norm.clamp(self.epsilon, f64::INFINITY)?,
        };
        x = round(x.broadcast_div(&norm)?)?;
        let [a, b, c] = self.coefficients;
        for _ in 0..self.steps {
            let gram = round(x.matmul(&x.t()?)?)?;
            let polynomial = round((gram.affine(b, 0.0)? + gram.matmul(&gram)?.affine(c, 0.0)?)?)?;
            x = round((x.affine(a, 0.0)? + polynomial.matmul(&x)?)?)?;
        }
        Ok(if tall { x.t()?.contiguous()? } else { x })
    }

    /// Numbers of working memory for a matrix of this shape.
    pub(crate) fn working_memory<T: Factor>(&self, rows: usize, columns: usize) -> usize {
        let (short, long) = (rows.min(columns), rows.max(columns));
        let products = [(short, long, short), (short, short, short), (rows, short, columns)];
        let of_product = products.map(|(rows, inner, columns)| T::working_memory(rows, inner, columns));
        2 * short * short + rows * columns + of_product.into_iter().max().unwrap_or(0)
    }

    /// The same as [`orthogonalize`](Self::orthogonalize), of a matrix that is overwritten by the result.
    ///
    /// A tall matrix is not turned round: `(p x')' = x p` with a symmetric polynomial `p`. Where products are rounded to bfloat16, so are
    /// their factors, and one product of tiles of bfloat16 is exact but for the order of the sum.
    pub(crate) fn orthogonalize_in<T: Factor>(
        &self,
        x: &mut [T],
        rows: usize,
        columns: usize,
        memory: &mut [T],
        tiles: &mut TileMemory,
    ) {
        let is_rounded = self.precision == Precision::Bfloat16;
        let round = move |x: T| if is_rounded { x.to_bfloat16() } else { x };
        let short = rows.min(columns);
        let (step, memory) = memory.split_at_mut(rows * columns);
        let (gram, memory) = memory.split_at_mut(short * short);
        let (square, numbers) = memory.split_at_mut(short * short);
        let mut workspace = Workspace {
            numbers,
            tiles,
            precision: if is_rounded {
                MatmulPrecision::Medium
            } else {
                MatmulPrecision::Highest
            },
        };
        if is_rounded {
            change(x, &[], move |x, _| round(x));
        }
        let norm = T::from_f64(fused::sum(&Square, Preparation::NONE, x, x, []).sqrt());
        let norm = match self.precision {
            Precision::Own => norm + T::from_f64(self.epsilon),
            Precision::Bfloat16 => T::from_f64(norm.to_bfloat16().to_f64().max(self.epsilon)),
        };
        change(x, &[], move |x, _| round(x / norm));
        let [a, b, c] = self.coefficients.map(T::from_f64);
        for _ in 0..self.steps {
            let of_x = Matrix::new(x, rows, columns);
            let wide = if rows > columns { of_x.transposed() } else { of_x };
            T::multiply(wide, wide.transposed(), gram, &mut workspace);
            if is_rounded {
                change(gram, &[], move |gram, _| round(gram));
            }
            let of_gram = Matrix::new(gram, short, short);
            T::multiply(of_gram, of_gram, square, &mut workspace);
            change(square, gram, move |square, gram| round(b * gram + c * square));
            let polynomial = Matrix::new(square, short, short);
            if rows > columns {
                T::multiply(of_x, polynomial, step, &mut workspace);
            } else {
                T::multiply(polynomial, of_x, step, &mut workspace);
            }
            change(x, step, move |x, step| round(a * x + step));
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};
    use kernels::TileMemory;

    use super::{NewtonSchulz, Precision};
    use crate::products::Factor;

    fn numbers<T: Factor>(count: usize) -> Vec<T> {
        let numbers = (0..count).map(|i| ((i * 7919) % 1009) as f64 / 1009.0 - 0.4);
        numbers.map(T::from_f64).collect()
    }

    fn iteration(precision: Precision) -> NewtonSchulz {
        NewtonSchulz {
            coefficients: [3.4445, -4.775, 2.0315],
            steps: 5,
            epsilon: 1e-7,
            precision,
        }
    }

    fn in_place<T: Factor>(precision: Precision, rows: usize, columns: usize) -> Vec<T> {
        let (mut found, iteration) = (numbers::<T>(rows * columns), iteration(precision));
        let mut memory = vec![T::from_f64(f64::NAN); iteration.working_memory::<T>(rows, columns)];
        iteration.orthogonalize_in(&mut found, rows, columns, &mut memory, &mut TileMemory::default());
        found
    }

    #[test]
    fn slices_give_what_tensors_give() {
        for (rows, columns) in [(1, 1), (5, 3), (3, 40), (64, 64), (70, 33)] {
            for precision in [Precision::Own, Precision::Bfloat16] {
                let values = numbers::<f64>(rows * columns);
                let matrix = Tensor::from_slice(&values, (rows, columns), &Device::Cpu).unwrap();
                let expected = iteration(precision).orthogonalize(&matrix).unwrap();
                let expected = expected.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                // candle rounds `f64` by its upper half, which takes a number just above a middle for the middle.
                let tolerance = if precision == Precision::Own { 1e-9 } else { 1e-2 };
                for (found, expected) in in_place::<f64>(precision, rows, columns).iter().zip(&expected) {
                    let difference = (found - expected).abs();
                    assert!(
                        difference < tolerance,
                        "{rows} x {columns}, {precision:?}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn large_matrices_of_f32_give_what_double_precision_gives() {
        for (rows, columns) in [(70, 90), (150, 64), (100, 100)] {
            for (precision, tolerance) in [(Precision::Own, 2e-5), (Precision::Bfloat16, 3e-2)] {
                let (found, expected) = (
                    in_place::<f32>(precision, rows, columns),
                    in_place::<f64>(precision, rows, columns),
                );
                let pairs = found.iter().zip(&expected);
                let worst = pairs.map(|(found, expected)| (f64::from(*found) - expected).abs());
                let worst = worst.fold(0.0, f64::max);
                assert!(worst < tolerance, "{rows} x {columns}, {precision:?}: {worst}");
            }
        }
    }

    #[test]
    fn singular_values_come_near_one() {
        // Columns are orthogonal with lengths 3, 1 and 0.2, so the singular values are known.
        let matrix = Tensor::new(
            &[
                [3.0_f64, 0.0, 0.0],
                [0.0, 0.6, 0.16],
                [0.0, 0.8, -0.12],
                [0.0, 0.0, 0.0],
            ],
            &Device::Cpu,
        );
        for precision in [Precision::Own, Precision::Bfloat16] {
            let x = iteration(precision).orthogonalize(matrix.as_ref().unwrap()).unwrap();
            let gram = x
                .t()
                .unwrap()
                .matmul(&x)
                .unwrap()
                .to_dtype(DType::F64)
                .unwrap()
                .to_vec2::<f64>()
                .unwrap();
            for (i, row) in gram.iter().enumerate() {
                for (j, value) in row.iter().enumerate() {
                    if i == j {
                        assert!((0.45..1.45).contains(value), "{precision:?} {gram:?}");
                    } else {
                        assert!(value.abs() < 0.05, "{precision:?} {gram:?}");
                    }
                }
            }
        }
    }
}
