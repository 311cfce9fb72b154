//! Which outputs are right: 1 or 0 for each sample.

use candle_core::Tensor;
use kernels::losses::same_rank;

use super::numbers::{Numbers, arg_max, pair, same_shape};
use crate::Result;

/// Outputs that are equal to their targets.
pub(super) fn equal(outputs: &Tensor, targets: &Tensor) -> Result<Numbers> {
    let (outputs, targets) = same_rank(outputs, targets)?;
    same_shape("accuracy", &outputs, &targets)?;
    matches(&Numbers::of(&outputs)?, &Numbers::of(&targets)?)
}

/// Outputs above a threshold whose target is 1, and others whose target is 0.
pub(super) fn binary(outputs: &Tensor, targets: &Tensor, threshold: f64) -> Result<Numbers> {
    let (outputs, targets) = pair("binary_accuracy", outputs, targets)?;
    let mut found = Numbers::of(&outputs)?;
    for value in &mut found.data {
        // In single precision, as Keras compares.
        *value = f64::from(u8::from(*value as f32 > threshold as f32));
    }
    matches(&found, &Numbers::of(&targets)?)
}

/// Rows whose largest output is where the largest target is.
pub(super) fn categorical(outputs: &Tensor, targets: &Tensor) -> Result<Numbers> {
    let (outputs, targets) = pair("categorical_accuracy", outputs, targets)?;
    matches(&classes(&outputs)?, &classes(&targets)?)
}

/// Rows whose largest output is at the class number.
pub(super) fn sparse(outputs: &Tensor, targets: &Tensor) -> Result<Numbers> {
    let labels = class_numbers("sparse_categorical_accuracy", outputs, targets)?;
    matches(&classes(outputs)?, &labels)
}

/// Rows in which less than `k` outputs are larger than that of the largest target.
pub(super) fn top_k(outputs: &Tensor, targets: &Tensor, k: usize) -> Result<Numbers> {
    let (outputs, targets) = pair("top_k_categorical_accuracy", outputs, targets)?;
    among_first(&Numbers::of(&outputs)?, classes(&targets)?, k)
}

/// Rows in which less than `k` outputs are larger than that of the class number.
pub(super) fn sparse_top_k(outputs: &Tensor, targets: &Tensor, k: usize, from_sorted_ids: bool) -> Result<Numbers> {
    let labels = class_numbers("sparse_top_k_categorical_accuracy", outputs, targets)?;
    let outputs = Numbers::of(outputs)?;
    if !from_sorted_ids {
        return among_first(&outputs, labels, k);
    }
    let width = outputs.shape.last().copied().unwrap_or(1).max(1);
    let rows = outputs.data.chunks_exact(width).zip(&labels.data);
    let data = rows
        .map(|(row, label)| f64::from(u8::from(row.iter().take(k).any(|id| id == label))))
        .collect();
    Ok(Numbers {
        shape: labels.shape,
        data,
    })
}

/// Keras' choice for the name `accuracy`: by the shapes of outputs and targets.
pub(super) fn by_shape(outputs: &Tensor, targets: &Tensor) -> Result<Numbers> {
    let (wide, narrow) = (outputs.dims().last(), targets.dims().last());
    // A vector of scores is one output a sample; Keras has always a last axis for it.
    if wide == Some(&1) || outputs.rank() <= 1 {
        binary(outputs, targets, 0.5)
    } else if targets.rank() < outputs.rank() || narrow == Some(&1) {
        sparse(outputs, targets)
    } else {
        categorical(outputs, targets)
    }
}

fn matches(found: &Numbers, wanted: &Numbers) -> Result<Numbers> {
    let same = found
        .data
        .iter()
        .zip(&wanted.data)
        .map(|(a, b)| f64::from(u8::from(a == b)));
    Ok(Numbers {
        shape: found.shape.clone(),
        data: same.collect(),
    })
}

fn classes(rows: &Tensor) -> Result<Numbers> {
    Ok(Numbers::of(rows)?.per_row(|row| arg_max(row) as f64))
}

/// Class numbers of the outputs' shape without its last axis.
fn class_numbers(op: &'static str, outputs: &Tensor, targets: &Tensor) -> Result<Numbers> {
    let batch = &outputs.dims()[..outputs.rank().saturating_sub(1)];
    let labels = if targets.rank() == outputs.rank() && targets.dims().last() == Some(&1) && targets.rank() > 1 {
        targets.squeeze(targets.rank() - 1)?
    } else {
        targets.clone()
    };
    if outputs.rank() == 0 || labels.dims() != batch {
        return Err(crate::Error::Kernel(kernels::Error::Shape {
            op,
            argument: "targets",
            expected: format!(
                "{batch:?}, one class number for each row of the outputs {:?}",
                outputs.dims()
            ),
            found: targets.dims().to_vec(),
        }));
    }
    Numbers::of(&labels)
}

fn among_first(outputs: &Numbers, labels: Numbers, k: usize) -> Result<Numbers> {
    let width = outputs.shape.last().copied().unwrap_or(1).max(1);
    let rows = outputs.data.chunks_exact(width).zip(&labels.data);
    let data = rows.map(|(row, &label)| {
        // TensorFlow counts a row with a number that is not finite as wrong.
        let known = label >= 0.0 && (label as usize) < width && row.iter().all(|value| value.is_finite());
        let first = known && row.iter().filter(|&&value| value > row[label as usize]).count() < k;
        f64::from(u8::from(first))
    });
    Ok(Numbers {
        data: data.collect(),
        shape: labels.shape,
    })
}
