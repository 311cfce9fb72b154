//! Class numbers.

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};

/// The class numbers that a tensor holds, in row-major order, each in `0..classes` or equal to `ignored`.
///
/// They may be integers of any type, or floating point numbers without a fraction, as tables often have them.
///
/// # Errors
/// [`Error::Label`] for the first number that is not one of the classes, [`Error::DType`] for a fraction.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::losses::class_numbers;
///
/// let labels = Tensor::new(&[2i64, -1, 0], &Device::Cpu)?;
/// assert_eq!(class_numbers("loss", &labels, 3, Some(-1))?, [2, -1, 0]);
/// let error = class_numbers("loss", &labels, 3, None).unwrap_err();
/// assert!(error.to_string().contains("label -1 at index 1"));
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn class_numbers(op: &'static str, labels: &Tensor, classes: usize, ignored: Option<i64>) -> Result<Vec<i64>> {
    let numbers = whole_numbers(op, labels)?;
    let wrong = |label: i64| !(0..classes as i64).contains(&label) && ignored != Some(label);
    match numbers.iter().position(|&label| wrong(label)) {
        None => Ok(numbers),
        Some(index) => Err(Error::Label {
            op,
            index,
            label: numbers[index],
            classes,
        }),
    }
}

/// The numbers of a tensor in row-major order, refused where they have a fraction.
pub(super) fn whole_numbers(op: &'static str, labels: &Tensor) -> Result<Vec<i64>> {
    let labels = labels.flatten_all()?;
    if labels.dtype().is_int() {
        Ok(labels.to_dtype(DType::I64)?.to_vec1::<i64>()?)
    } else {
        let values = labels.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        if values.iter().any(|value| value.fract() != 0.0) {
            return Err(Error::DType {
                op,
                argument: "labels",
                expected: "whole numbers, one class number each".into(),
                found: labels.dtype(),
            });
        }
        Ok(values.into_iter().map(|value| value as i64).collect())
    }
}

/// Rows with a 1 at the class: `(batch, ...)` becomes `(batch, ..., classes)`, of the type `dtype`.
///
/// # Errors
/// As [`class_numbers`].
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::losses::one_hot;
///
/// let labels = Tensor::new(&[1u32, 0], &Device::Cpu)?;
/// assert_eq!(one_hot("loss", &labels, 2, DType::F32)?.to_vec2::<f32>()?, [[0.0, 1.0], [1.0, 0.0]]);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn one_hot(op: &'static str, labels: &Tensor, classes: usize, dtype: DType) -> Result<Tensor> {
    let numbers = class_numbers(op, labels, classes, None)?;
    let mut rows = vec![0f32; numbers.len() * classes];
    for (row, class) in rows.chunks_exact_mut(classes.max(1)).zip(numbers) {
        row[class as usize] = 1.0;
    }
    let mut shape = labels.dims().to_vec();
    shape.push(classes);
    Ok(Tensor::from_vec(rows, shape, &Device::Cpu)?
        .to_dtype(dtype)?
        .to_device(labels.device())?)
}
