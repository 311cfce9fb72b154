//! Tensors as arrays of f64, and how their numbers become one a sample.

use candle_core::{DType, Tensor};
use kernels::losses::same_rank;

use crate::loss::{spread, values};
use crate::{Error, Result};

/// Numbers with a shape, row-major.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f64>,
}

impl Numbers {
    pub(super) fn of(tensor: &Tensor) -> Result<Self> {
        Ok(Numbers {
            shape: tensor.dims().to_vec(),
            data: tensor.detach().to_dtype(DType::F64)?.flatten_all()?.to_vec1()?,
        })
    }

    /// One number from each row of the last axis.
    pub(super) fn per_row(&self, f: impl Fn(&[f64]) -> f64) -> Numbers {
        let (width, shape) = self
            .shape
            .split_last()
            .map_or((1, &[][..]), |(&width, rest)| (width, rest));
        Numbers {
            shape: shape.to_vec(),
            data: self.data.chunks_exact(width.max(1)).map(f).collect(),
        }
    }
}

/// Outputs and targets of one shape: class numbers become one-hot rows, a last axis of size 1 is added or dropped.
pub(super) fn pair(op: &'static str, outputs: &Tensor, targets: &Tensor) -> Result<(Tensor, Tensor)> {
    let targets = values(op, outputs, targets)?;
    let (outputs, targets) = same_rank(outputs, &targets)?;
    same_shape(op, &outputs, &targets)?;
    Ok((outputs, targets))
}

/// Refuses targets of another shape than the outputs.
pub(super) fn same_shape(op: &'static str, outputs: &Tensor, targets: &Tensor) -> Result<()> {
    if outputs.dims() == targets.dims() {
        return Ok(());
    }
    Err(Error::Kernel(kernels::Error::Shape {
        op,
        argument: "targets",
        expected: format!("{:?}", outputs.dims()),
        found: targets.dims().to_vec(),
    }))
}

/// Refuses outputs that are not rows.
pub(super) fn rows(op: &'static str, outputs: &Tensor) -> Result<(usize, usize)> {
    match *outputs.dims() {
        [rows, columns] if columns > 0 => Ok((rows, columns)),
        _ => Err(Error::Kernel(kernels::Error::Shape {
            op,
            argument: "outputs",
            expected: "(batch, outputs)".into(),
            found: outputs.dims().to_vec(),
        })),
    }
}

/// The tensor with an axis moved to the end; negative numbers count from the end.
pub(super) fn axis_last(op: &'static str, tensor: &Tensor, axis: i64) -> Result<Tensor> {
    let rank = tensor.rank() as i64;
    if !(-rank..rank).contains(&axis) {
        return Err(Error::Kernel(kernels::Error::Option {
            op,
            option: "axis",
            expected: format!("an axis of the shape {:?}", tensor.dims()),
            found: axis.to_string(),
        }));
    }
    let moved = axis.rem_euclid(rank) as usize;
    let order: Vec<usize> = (0..tensor.rank()).filter(|&i| i != moved).chain([moved]).collect();
    Ok(tensor.permute(order)?)
}

/// The place of the largest number, the first of equal ones; NaN is larger than nothing.
pub(super) fn arg_max(row: &[f64]) -> usize {
    let mut best = 0;
    for (place, value) in row.iter().enumerate() {
        if *value > row[best] || (row[best].is_nan() && !value.is_nan()) {
            best = place;
        }
    }
    best
}

/// One weight for each number of an array of this shape.
///
/// # Errors
/// [`Error::SampleWeight`] where they do not fit.
pub(super) fn weights_for(shape: &[usize], weights: &Tensor) -> Result<Vec<f64>> {
    let mut weights = weights.clone();
    while weights.rank() > shape.len().max(1) && weights.dims().last() == Some(&1) {
        weights = weights.squeeze(weights.rank() - 1)?;
    }
    let like = Tensor::zeros(1, DType::U8, weights.device())?.broadcast_as(shape)?;
    Ok(Numbers::of(&spread(&like, &weights)?.broadcast_as(shape)?)?.data)
}

/// How the numbers of one sample become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    Mean,
    Sum,
}

impl Within {
    fn of(self, block: &[f64]) -> f64 {
        let sum = block.iter().sum::<f64>();
        match self {
            Within::Mean => sum / block.len() as f64,
            Within::Sum => sum,
        }
    }
}

/// One number a sample, multiplied by its weight; and the weights.
pub(super) fn samplewise(
    values: Numbers,
    weights: Option<&Tensor>,
    within: Within,
) -> Result<(Vec<f64>, Option<Vec<f64>>)> {
    let samples = values.shape.first().copied().unwrap_or(1);
    let blocks = |data: &[f64], count: usize| -> Vec<f64> {
        data.chunks_exact((data.len() / count.max(1)).max(1))
            .map(|block| within.of(block))
            .collect()
    };
    let Some(weights) = weights else {
        return Ok((blocks(&values.data, samples), None));
    };
    let mut shape = values.shape.clone();
    shape.truncate(weights.rank().max(1));
    let mut reduced = blocks(&values.data, shape.iter().product());
    let weights = weights_for(&shape, weights)?;
    reduced
        .iter_mut()
        .zip(&weights)
        .for_each(|(value, weight)| *value *= weight);
    Ok((blocks(&reduced, samples), Some(blocks(&weights, samples))))
}
