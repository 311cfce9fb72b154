//! Checks that the arguments of a loss belong together.

use candle_core::{DType, Tensor};

use crate::error::{Error, Result, expect_float, expect_shape, shape_error};

/// Adds or drops a last axis of size 1 so that both tensors have the same rank, as Keras does before it compares them.
///
/// A vector gets the axis that the other tensor has; otherwise the axis is dropped. Ranks that differ in another way stay as they are.
///
/// # Errors
/// Where candle cannot reshape.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use kernels::losses::same_rank;
///
/// let column = Tensor::zeros((4, 1), DType::F32, &Device::Cpu)?;
/// let vector = Tensor::zeros(4, DType::U32, &Device::Cpu)?;
/// let (a, b) = same_rank(&column, &vector)?;
/// assert_eq!((a.dims(), b.dims()), ([4, 1].as_slice(), [4, 1].as_slice()));
/// # Ok::<(), kernels::Error>(())
/// ```
pub fn same_rank(a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
    let fit = |longer: &Tensor, shorter: &Tensor| -> Result<(Tensor, Tensor)> {
        if longer.rank() != shorter.rank() + 1 || longer.dims().last() != Some(&1) {
            return Ok((longer.clone(), shorter.clone()));
        }
        if shorter.rank() == 1 {
            Ok((longer.clone(), shorter.unsqueeze(1)?))
        } else {
            Ok((longer.squeeze(shorter.rank())?, shorter.clone()))
        }
    };
    if a.rank() >= b.rank() {
        fit(a, b)
    } else {
        let (b, a) = fit(b, a)?;
        Ok((a, b))
    }
}

/// Outputs and targets of one shape and type; the targets are cut off from the graph.
pub(super) fn pair(op: &'static str, outputs: &Tensor, targets: &Tensor) -> Result<(Tensor, Tensor)> {
    let outputs = predictions(op, outputs)?;
    let (outputs, targets) = same_rank(&outputs, targets)?;
    expect_shape(op, "targets", outputs.dims(), &targets)?;
    let targets = targets.to_dtype(outputs.dtype())?.detach();
    Ok((outputs, targets))
}

/// Floating point numbers of at least one sample with at least one number.
pub(super) fn predictions(op: &'static str, outputs: &Tensor) -> Result<Tensor> {
    expect_float(op, "outputs", outputs)?;
    if !matches!(outputs.dtype(), DType::F64 | DType::F32 | DType::F16 | DType::BF16) {
        return Err(Error::DType {
            op,
            argument: "outputs",
            expected: "f64, f32, f16 or bf16".into(),
            found: outputs.dtype(),
        });
    }
    if outputs.rank() == 0 || outputs.elem_count() == 0 {
        return Err(shape_error(
            op,
            "outputs",
            "(batch, ...) with no dimension of size 0",
            outputs,
        ));
    }
    Ok(outputs.clone())
}

/// An axis counted from the front, from one that may count from the end.
pub(super) fn axis(op: &'static str, axis: i64, of: &Tensor) -> Result<usize> {
    let rank = of.rank() as i64;
    if (-rank..rank).contains(&axis) {
        Ok(axis.rem_euclid(rank) as usize)
    } else {
        Err(option(
            op,
            "axis",
            format!(
                "from {} to {} for outputs of the shape {:?}",
                -rank,
                rank - 1,
                of.dims()
            ),
            axis,
        ))
    }
}

/// Refuses an option outside of a closed range.
pub(super) fn within(op: &'static str, name: &'static str, value: f64, low: f64, high: f64) -> Result<()> {
    if value >= low && value <= high {
        Ok(())
    } else if high == f64::INFINITY {
        Err(option(op, name, format!("at least {low}"), value))
    } else {
        Err(option(op, name, format!("from {low} to {high}"), value))
    }
}

pub(super) fn option(op: &'static str, name: &'static str, expected: String, found: impl ToString) -> Error {
    Error::Option {
        op,
        option: name,
        expected,
        found: found.to_string(),
    }
}
