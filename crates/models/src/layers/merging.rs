//! Layers that make one tensor of several.

use candle_core::Tensor;
use kernels::Result;
use nn_theory::{Concatenate, Dot};

/// Combines the inputs from left to right.
fn fold(inputs: &[Tensor], mut f: impl FnMut(&Tensor, &Tensor) -> candle_core::Result<Tensor>) -> Result<Tensor> {
    let mut result = inputs[0].clone();
    for input in &inputs[1..] {
        result = f(&result, input)?;
    }
    Ok(result)
}

pub(crate) fn add(inputs: &[Tensor]) -> Result<Tensor> {
    fold(inputs, |a, b| a.broadcast_add(b))
}

pub(crate) fn subtract(inputs: &[Tensor]) -> Result<Tensor> {
    fold(inputs, |a, b| a.broadcast_sub(b))
}

pub(crate) fn multiply(inputs: &[Tensor]) -> Result<Tensor> {
    fold(inputs, |a, b| a.broadcast_mul(b))
}

pub(crate) fn average(inputs: &[Tensor]) -> Result<Tensor> {
    Ok((add(inputs)? / inputs.len() as f64)?)
}

/// The larger value; where both are equal the gradient goes to the first input, as in TensorFlow.
pub(crate) fn maximum(inputs: &[Tensor]) -> Result<Tensor> {
    fold(inputs, |a, b| {
        let (a, b) = same_shape(a, b)?;
        a.ge(&b)?.where_cond(&a, &b)
    })
}

/// The smaller value; where both are equal the gradient goes to the first input, as in TensorFlow.
pub(crate) fn minimum(inputs: &[Tensor]) -> Result<Tensor> {
    fold(inputs, |a, b| {
        let (a, b) = same_shape(a, b)?;
        a.le(&b)?.where_cond(&a, &b)
    })
}

fn same_shape(a: &Tensor, b: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
    if a.shape() == b.shape() {
        return Ok((a.clone(), b.clone()));
    }
    let shape = a.shape().broadcast_shape_binary_op(b.shape(), "maximum")?;
    Ok((
        a.broadcast_as(&shape)?.contiguous()?,
        b.broadcast_as(&shape)?.contiguous()?,
    ))
}

/// The place of an axis that may count from the end.
fn place(axis: i64, x: &Tensor) -> Result<usize> {
    let from_front = if axis < 0 {
        axis.saturating_add(x.rank() as i64)
    } else {
        axis
    };
    let place = usize::try_from(from_front).ok().filter(|&place| place < x.rank());
    Ok(place.ok_or_else(|| candle_core::Error::Msg(format!("there is no axis {axis}")))?)
}

pub(crate) fn concatenate(layer: &Concatenate, inputs: &[Tensor]) -> Result<Tensor> {
    Ok(Tensor::cat(inputs, place(layer.axis, &inputs[0])?)?)
}

/// Sums of products along one axis of each input, which lies behind the batch.
pub(crate) fn dot(layer: &Dot, inputs: &[Tensor]) -> Result<Tensor> {
    let [a, b] = inputs else {
        return Err(candle_core::Error::Msg(format!("two inputs are needed, found {}", inputs.len())).into());
    };
    let (first, second) = (place(layer.axes[0], a)?, place(layer.axes[1], b)?);
    let normalized = |x: &Tensor, axis: usize| -> Result<Tensor> {
        Ok(match layer.normalize {
            true => crate::regularizers::unit_length(x, axis)?,
            false => x.clone(),
        })
    };
    let (a, b) = (normalized(a, first)?, normalized(b, second)?);
    // The other axes behind the batch: rows of the first input, columns of the second.
    let others = |x: &Tensor, axis: usize| (1..x.rank()).filter(|&other| other != axis).collect::<Vec<usize>>();
    let (rows, columns) = (others(&a, first), others(&b, second));
    let size = |x: &Tensor, axes: &[usize]| axes.iter().map(|&axis| x.dims()[axis]).collect::<Vec<usize>>();
    let (row_sizes, column_sizes) = (size(&a, &rows), size(&b, &columns));
    let (batch, length) = (a.dim(0)?, a.dim(first)?);
    let left = a.permute([&[0], rows.as_slice(), &[first]].concat())?.contiguous()?;
    let right = b.permute([&[0, second], columns.as_slice()].concat())?.contiguous()?;
    let left = left.reshape((batch, row_sizes.iter().product::<usize>(), length))?;
    let right = right.reshape((batch, length, column_sizes.iter().product::<usize>()))?;
    let y = left.matmul(&right)?;
    let mut sizes = [vec![batch], row_sizes, column_sizes].concat();
    if sizes.len() == 1 {
        sizes.push(1);
    }
    Ok(y.reshape(sizes)?)
}
