//! The nearest orthogonal matrix by products alone: what Muon makes of a gradient.

use candle_core::{DType, Tensor};

use crate::error::Result;

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
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::{NewtonSchulz, Precision};

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
            let iteration = NewtonSchulz {
                coefficients: [3.4445, -4.775, 2.0315],
                steps: 5,
                epsilon: 1e-7,
                precision,
            };
            let x = iteration.orthogonalize(matrix.as_ref().unwrap()).unwrap();
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
