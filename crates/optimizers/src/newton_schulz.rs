//! The nearest orthogonal matrix by products alone: what Muon makes of a gradient.

use candle_core::{DType, Tensor};

use crate::error::Result;
use crate::number::Real;
use crate::products::{Factor, Matrix};

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
        let products = [(long, short), (short, short), (short, long)];
        let of_product = products.map(|(inner, columns)| T::working_memory(short, inner, columns));
        2 * short * (short + long) + of_product.into_iter().max().unwrap_or(0)
    }

    /// The same as [`orthogonalize`](Self::orthogonalize), of a matrix that is overwritten by the result.
    pub(crate) fn orthogonalize_in<T: Factor>(&self, matrix: &mut [T], rows: usize, columns: usize, memory: &mut [T]) {
        let round = |x: &mut [T]| {
            if self.precision == Precision::Bfloat16 {
                x.iter_mut().for_each(|x| *x = to_bfloat16(*x));
            }
        };
        let tall = rows > columns;
        let (short, long) = (rows.min(columns), rows.max(columns));
        let (x, memory) = memory.split_at_mut(short * long);
        let (step, memory) = memory.split_at_mut(short * long);
        let (gram, memory) = memory.split_at_mut(short * short);
        let (square, memory) = memory.split_at_mut(short * short);
        if tall {
            transpose(matrix, columns, x);
        } else {
            x.copy_from_slice(matrix);
        }
        round(x);
        let norm = x.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>().sqrt();
        let norm = T::from_f64(norm);
        let norm = match self.precision {
            Precision::Own => norm + T::from_f64(self.epsilon),
            Precision::Bfloat16 => T::from_f64(to_bfloat16(norm).to_f64().max(self.epsilon)),
        };
        x.iter_mut().for_each(|x| *x = *x / norm);
        round(x);
        let [a, b, c] = self.coefficients.map(T::from_f64);
        for _ in 0..self.steps {
            let wide = Matrix::new(x, short, long);
            T::multiply(wide, wide.transposed(), gram, memory);
            round(gram);
            let of_gram = Matrix::new(gram, short, short);
            T::multiply(of_gram, of_gram, square, memory);
            for (square, &gram) in square.iter_mut().zip(&*gram) {
                *square = b * gram + c * *square;
            }
            round(square);
            T::multiply(Matrix::new(square, short, short), wide, step, memory);
            for (x, &step) in x.iter_mut().zip(&*step) {
                *x = a * *x + step;
            }
            round(x);
        }
        if tall {
            transpose(x, rows, matrix);
        } else {
            matrix.copy_from_slice(x);
        }
    }
}

/// Writes a matrix, row by row of `columns` numbers, turned round.
fn transpose<T: Copy>(from: &[T], columns: usize, to: &mut [T]) {
    let rows = from.len() / columns.max(1);
    for (row, numbers) in from.chunks_exact(columns.max(1)).enumerate() {
        for (column, &number) in numbers.iter().enumerate() {
            to[column * rows + row] = number;
        }
    }
}

/// The nearest number of bfloat16, the even one of two; NaN stays NaN.
fn to_bfloat16<T: Real>(x: T) -> T {
    let exact = x.to_f64();
    let near = exact as f32;
    let bits = near.to_bits();
    // What `f32` has rounded onto the middle between two numbers lies on one side of it.
    let middle = bits & 0xFFFF == 0x8000;
    let (above, below) = (f64::from(near).abs() < exact.abs(), f64::from(near).abs() > exact.abs());
    let bits = bits + u32::from(middle & above) - u32::from(middle & below);
    let is_number = bits & 0x7FFF_FFFF <= 0x7F80_0000;
    let nearest = bits.wrapping_add(0x7FFF + (bits >> 16 & 1));
    let bits = if is_number { nearest & 0xFFFF_0000 } else { bits };
    T::from_f64(f32::from_bits(bits).into())
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::{NewtonSchulz, Precision, to_bfloat16};

    #[test]
    fn slices_give_what_tensors_give() {
        for (rows, columns) in [(1, 1), (5, 3), (3, 40), (64, 64), (70, 33)] {
            let values: Vec<f64> = (0..rows * columns)
                .map(|i| ((i * 7919) % 1009) as f64 / 1009.0 - 0.4)
                .collect();
            for precision in [Precision::Own, Precision::Bfloat16] {
                let iteration = NewtonSchulz {
                    coefficients: [3.4445, -4.775, 2.0315],
                    steps: 5,
                    epsilon: 1e-7,
                    precision,
                };
                let matrix = Tensor::from_slice(&values, (rows, columns), &Device::Cpu).unwrap();
                let expected = iteration.orthogonalize(&matrix).unwrap();
                let expected = expected.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                let mut found = values.clone();
                let mut memory = vec![f64::NAN; iteration.working_memory::<f64>(rows, columns)];
                iteration.orthogonalize_in(&mut found, rows, columns, &mut memory);
                // candle rounds `f64` by its upper half, which takes a number just above a middle for the middle.
                let tolerance = if precision == Precision::Own { 1e-9 } else { 1e-2 };
                for (found, expected) in found.iter().zip(&expected) {
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
    fn bfloat16_is_rounded_to_the_nearest_even() {
        let numbers = [
            0.0_f32,
            1.0,
            1.003_906_2,
            1.011_718_8,
            3.4e38,
            -0.1,
            1e-40,
            f32::INFINITY,
            0.333_333_34,
        ];
        for number in numbers {
            let rounded = Tensor::new(number, &Device::Cpu)
                .unwrap()
                .to_dtype(DType::BF16)
                .unwrap();
            let expected = rounded.to_dtype(DType::F32).unwrap().to_scalar::<f32>().unwrap();
            assert_eq!(to_bfloat16(number), expected, "{number}");
            assert_eq!(to_bfloat16(f64::from(number)), f64::from(expected));
        }
        assert!(to_bfloat16(f32::NAN).is_nan());
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
