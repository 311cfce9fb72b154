//! The smallest matrix that the chapters of this crate share: `f64`, row-major, checked shapes.

use candle_core::{Device, Tensor};

use crate::error::{Result, shape};

/// Products of up to this many multiplications are computed by three loops that one can read; beyond, candle multiplies, whose
/// blocks and vectors are worth two copies. Only the multiplication is candle's: nothing here is differentiated by it.
const SMALL: usize = 1 << 15;

/// A matrix of `f64`; a vector is a matrix of one column.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f64>,
}

impl Matrix {
    /// A matrix of `rows x columns` from its numbers, row by row.
    ///
    /// ```
    /// use backprop::Matrix;
    /// let a = Matrix::new(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// assert_eq!(a.at(1, 0), 4.0);
    /// assert!(Matrix::new(2, 3, vec![1.0]).is_err());
    /// # Ok::<(), backprop::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the number of numbers is not `rows * columns`.
    pub fn new(rows: usize, columns: usize, data: Vec<f64>) -> Result<Self> {
        if rows.checked_mul(columns) != Some(data.len()) {
            return Err(shape(
                "matrix",
                format!("{rows} x {columns} numbers"),
                format!("{} numbers", data.len()),
            ));
        }
        Ok(Matrix { rows, columns, data })
    }

    /// A column vector.
    pub fn column(numbers: &[f64]) -> Self {
        Matrix {
            rows: numbers.len(),
            columns: 1,
            data: numbers.to_vec(),
        }
    }

    /// All zeros, in the shape of another matrix.
    pub fn zeros_like(other: &Matrix) -> Self {
        Matrix {
            data: vec![0.0; other.data.len()],
            ..*other
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The numbers, row by row.
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// The numbers, row by row, to be changed.
    pub fn data_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }

    /// One row.
    ///
    /// # Panics
    /// Like a slice, if there is no such row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.data[row * self.columns..(row + 1) * self.columns]
    }

    /// One number.
    ///
    /// # Panics
    /// Like a slice, if there is no such element.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.row(row)[column]
    }

    /// `"2x3"`.
    pub fn shape(&self) -> String {
        format!("{}x{}", self.rows, self.columns)
    }

    /// `self · other`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless `self` has as many columns as `other` has rows.
    pub fn matmul(&self, other: &Matrix) -> Result<Matrix> {
        if self.columns != other.rows {
            return Err(shape(
                "matrix product",
                format!("{} rows on the right", self.columns),
                other.shape(),
            ));
        }
        if self.rows * self.columns * other.columns > SMALL {
            return Self::from_tensor(&self.tensor()?.matmul(&other.tensor()?)?);
        }
        let mut data = vec![0.0; self.rows * other.columns];
        for i in 0..self.rows {
            let out = &mut data[i * other.columns..(i + 1) * other.columns];
            // Row by row of `other`, so that memory is read in order.
            for (k, &a) in self.row(i).iter().enumerate() {
                for (o, &b) in out.iter_mut().zip(other.row(k)) {
                    *o += a * b;
                }
            }
        }
        Ok(Matrix {
            rows: self.rows,
            columns: other.columns,
            data,
        })
    }

    /// `self · otherᵀ`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless both have as many columns.
    pub fn matmul_transposed(&self, other: &Matrix) -> Result<Matrix> {
        if self.columns == other.columns && self.rows * self.columns * other.rows > SMALL {
            return Self::from_tensor(&self.tensor()?.matmul(&other.tensor()?.t()?)?);
        }
        self.matmul(&other.transposed())
    }

    /// `selfᵀ · other`.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) unless both have as many rows.
    pub fn transposed_matmul(&self, other: &Matrix) -> Result<Matrix> {
        if self.rows == other.rows && self.rows * self.columns * other.columns > SMALL {
            return Self::from_tensor(&self.tensor()?.t()?.matmul(&other.tensor()?)?);
        }
        self.transposed().matmul(other)
    }

    fn tensor(&self) -> Result<Tensor> {
        Ok(Tensor::from_slice(&self.data, (self.rows, self.columns), &Device::Cpu)?)
    }

    fn from_tensor(tensor: &Tensor) -> Result<Matrix> {
        let (rows, columns) = tensor.dims2()?;
        Matrix::new(rows, columns, tensor.flatten_all()?.to_vec1()?)
    }

    /// The transposed matrix.
    pub fn transposed(&self) -> Matrix {
        let data = (0..self.columns)
            .flat_map(|j| (0..self.rows).map(move |i| (i, j)))
            .map(|(i, j)| self.at(i, j));
        Matrix {
            rows: self.columns,
            columns: self.rows,
            data: data.collect(),
        }
    }

    /// `f` applied to every number.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Matrix {
        Matrix {
            data: self.data.iter().map(|&x| f(x)).collect(),
            ..*self
        }
    }

    /// `f` applied to the pairs of two matrices of one shape.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if the shapes differ.
    pub fn zip(&self, other: &Matrix, f: impl Fn(f64, f64) -> f64) -> Result<Matrix> {
        if (self.rows, self.columns) != (other.rows, other.columns) {
            return Err(shape("elementwise operation", self.shape(), other.shape()));
        }
        Ok(Matrix {
            data: self.data.iter().zip(&other.data).map(|(&a, &b)| f(a, b)).collect(),
            ..*self
        })
    }

    /// The rows, one after the other.
    pub fn rows_of(&self) -> impl Iterator<Item = &[f64]> {
        self.data.chunks(self.columns.max(1))
    }

    /// The sum of each column.
    pub fn column_sums(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.columns];
        for row in self.rows_of() {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        sums
    }

    /// The sum of all numbers.
    pub fn sum(&self) -> f64 {
        self.data.iter().sum()
    }
}
