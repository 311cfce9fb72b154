//! Losses on logits, each one number for the whole batch.

use candle_core::{DType, Tensor};

use crate::error::{Error, Result, expect_dtype, expect_float, expect_shape, shape_error};
use crate::{composed, cpu};

/// Cross-entropy of class numbers: $\frac{1}{n} \sum_i \ln \sum_j e^{z_{ij}} - z_{i t_i}$, a scalar.
///
/// `logits` $z$ has the shape `(n, classes)`; `labels` $t$ `(n)` holds `u32` (also `u8` or `i64`) in `0..classes`. This is Keras'
/// `SparseCategoricalCrossentropy(from_logits=True)`: the softmax is part of the loss, its gradient `softmax - one_hot` is
/// formed in one pass, and logits of $\pm 10^4$ are no danger.
///
/// # Errors
/// If the shapes do not fit, the batch is empty, or a label names no class (the error says which and where).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::sparse_categorical_crossentropy;
///
/// let logits = Tensor::new(&[[0.0f32, 0.0], [1e4, -1e4]], &Device::Cpu)?;
/// let labels = Tensor::new(&[0u32, 0], &Device::Cpu)?;
/// let loss = sparse_categorical_crossentropy(&logits, &labels)?.to_scalar::<f32>()?;
/// assert!((loss - 2f32.ln() / 2.0).abs() < 1e-7);
///
/// let error = sparse_categorical_crossentropy(&logits, &Tensor::new(&[0u32, 2], &Device::Cpu)?).unwrap_err();
/// assert!(error.to_string().contains("label 2 at index 1"));
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn sparse_categorical_crossentropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    const OP: &str = "sparse_categorical_crossentropy";
    let (rows, classes) = batch_of_logits(OP, logits)?;
    expect_shape(OP, "labels", &[rows], labels)?;
    let values: Vec<i64> = match labels.dtype() {
        DType::U8 => labels.to_vec1::<u8>()?.into_iter().map(i64::from).collect(),
        DType::U32 => labels.to_vec1::<u32>()?.into_iter().map(i64::from).collect(),
        DType::I64 => labels.to_vec1::<i64>()?,
        found => {
            return Err(Error::DType {
                op: OP,
                argument: "labels",
                expected: "u32 (or u8, i64)".into(),
                found,
            });
        }
    };
    if let Some((index, &label)) = values
        .iter()
        .enumerate()
        .find(|(_, label)| **label < 0 || **label >= classes as i64)
    {
        return Err(Error::Label {
            op: OP,
            index,
            label,
            classes,
        });
    }
    if composed::is_fused(logits) {
        let labels = values.into_iter().map(|label| label as usize).collect();
        return Ok(cpu::sparse_categorical_crossentropy(logits, labels)?);
    }
    Ok(composed::sparse_categorical_crossentropy(
        logits,
        &labels.to_dtype(DType::U32)?,
    )?)
}

/// Cross-entropy of distributions: $-\frac{1}{n} \sum_{ij} t_{ij} \ln \mathrm{softmax}(z)_{ij}$, a scalar.
///
/// `logits` $z$ and `targets` $t$ have the shape `(n, classes)`; the rows of `targets` are one-hot, smoothed or mixed labels.
/// Keras' `CategoricalCrossentropy(from_logits=True)`. The targets get no gradient.
///
/// # Errors
/// If the shapes or types differ, or the batch is empty.
pub fn categorical_crossentropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    const OP: &str = "categorical_crossentropy";
    batch_of_logits(OP, logits)?;
    let targets = same(OP, logits, targets)?;
    if composed::is_fused(logits) {
        return Ok(cpu::categorical_crossentropy(logits, &targets)?);
    }
    Ok(composed::categorical_crossentropy(logits, &targets)?)
}

/// $\frac{1}{N} \sum (p - t)^2$ over all $N$ numbers, a scalar: Keras' `MeanSquaredError`. The target gets no gradient.
///
/// # Errors
/// If the shapes or types differ, or the tensors are empty.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::mean_squared_error;
///
/// let prediction = Tensor::new(&[[1.0f64, 2.0]], &Device::Cpu)?;
/// let target = Tensor::new(&[[0.0f64, 4.0]], &Device::Cpu)?;
/// assert_eq!(mean_squared_error(&prediction, &target)?.to_scalar::<f64>()?, 2.5);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn mean_squared_error(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    const OP: &str = "mean_squared_error";
    let target = same(OP, prediction, target)?;
    if composed::is_fused(prediction) {
        return Ok(cpu::mean_squared_error(prediction, &target)?);
    }
    Ok(composed::mean_squared_error(prediction, &target)?)
}

/// $\frac{1}{N} \sum \max(z, 0) - z t + \ln(1 + e^{-|z|})$, a scalar: Keras' `BinaryCrossentropy(from_logits=True)`.
///
/// `logits` $z$ and `targets` $t \in [0, 1]$ have the same shape. Finite for logits of any size. The targets get no gradient.
///
/// # Errors
/// If the shapes or types differ, or the tensors are empty.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use kernels::binary_crossentropy;
///
/// let logits = Tensor::new(&[0.0f32, 100.0, -1e4], &Device::Cpu)?;
/// let targets = Tensor::new(&[1.0f32, 1.0, 0.0], &Device::Cpu)?;
/// let loss = binary_crossentropy(&logits, &targets)?.to_scalar::<f32>()?;
/// assert!((loss - 2f32.ln() / 3.0).abs() < 1e-7);
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn binary_crossentropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    const OP: &str = "binary_crossentropy";
    let targets = same(OP, logits, targets)?;
    if composed::is_fused(logits) {
        return Ok(cpu::binary_crossentropy(logits, &targets)?);
    }
    Ok(composed::binary_crossentropy(logits, &targets)?)
}

fn batch_of_logits(op: &'static str, logits: &Tensor) -> Result<(usize, usize)> {
    expect_float(op, "logits", logits)?;
    match *logits.dims() {
        [rows, classes] if rows > 0 && classes > 0 => Ok((rows, classes)),
        _ => Err(shape_error(
            op,
            "logits",
            "(batch, classes) with at least one of each",
            logits,
        )),
    }
}

/// The target, checked and cut off from the graph.
fn same(op: &'static str, prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    expect_float(op, "prediction", prediction)?;
    expect_dtype(op, "target", prediction.dtype(), target)?;
    expect_shape(op, "target", prediction.dims(), target)?;
    if prediction.elem_count() == 0 {
        return Err(shape_error(
            op,
            "prediction",
            "a shape with no dimension of size 0",
            prediction,
        ));
    }
    Ok(target.detach())
}
