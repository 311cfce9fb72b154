//! Which class an output means, read from the numbers where they lie.

use candle_core::{CpuStorage, DType, Storage, Tensor};

use crate::{Loss, LossFunction, Result};

/// Index of the largest value; the first of equal ones.
pub(crate) fn arg_max<T: PartialOrd + Copy>(row: &[T]) -> usize {
    let mut best = 0;
    for (i, &value) in row.iter().enumerate() {
        if value > row[best] {
            best = i;
        }
    }
    best
}

/// Above which value the one output of a network that tells two classes apart means the second one: 0 where the loss
/// takes logits, else 1/2.
pub(crate) fn threshold(loss: &Loss) -> f64 {
    match loss.function {
        LossFunction::BinaryCrossentropy { from_logits: true, .. }
        | LossFunction::BinaryFocalCrossentropy { from_logits: true, .. }
        | LossFunction::Hinge
        | LossFunction::SquaredHinge => 0.0,
        _ => 0.5,
    }
}

/// Calls `each` with the class of every row of `outputs` `(batch, classes)`, in order: the largest output, or for a single
/// output whether it is above the threshold.
pub(crate) fn classes(outputs: &Tensor, threshold: f64, mut each: impl FnMut(usize)) -> Result<()> {
    let width = outputs.dims().last().copied().unwrap_or(1).max(1);
    {
        // Copying the outputs would cost more than looking at them.
        let (storage, layout) = outputs.storage_and_layout();
        if let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) = (&*storage, layout.contiguous_offsets()) {
            let values = &values[start..end];
            if width == 1 {
                values
                    .iter()
                    .for_each(|&value| each(usize::from(f64::from(value) > threshold)));
            } else {
                values.chunks(width).for_each(|row| each(arg_max(row)));
            }
            return Ok(());
        }
    }
    let values = outputs.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
    if width == 1 {
        values.iter().for_each(|&value| each(usize::from(value > threshold)));
    } else {
        values.chunks(width).for_each(|row| each(arg_max(row)));
    }
    Ok(())
}

/// How many rows of `outputs` mean the class of their label.
pub(crate) fn count_right(outputs: &Tensor, threshold: f64, labels: impl IntoIterator<Item = u32>) -> Result<u64> {
    let (mut right, mut labels) = (0, labels.into_iter());
    classes(outputs, threshold, |class| {
        right += u64::from(labels.next() == Some(class as u32));
    })?;
    Ok(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_first_of_equal_outputs_is_predicted() {
        assert_eq!(arg_max(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(arg_max(&[0.0, 0.0, 0.0]), 0);
        assert_eq!(arg_max(&[-2.0, -1.0, -3.0]), 1);
    }

    #[test]
    fn every_layout_and_number_format_is_read() {
        let outputs = Tensor::new(&[[0.1f32, 0.9, 0.0], [3.0, 2.0, 1.0]], &Device::Cpu).unwrap();
        let turned = outputs.t().unwrap().contiguous().unwrap().t().unwrap();
        let part = Tensor::cat(&[&outputs, &outputs], 0).unwrap().narrow(0, 2, 2).unwrap();
        for outputs in [outputs.clone(), turned, part, outputs.to_dtype(DType::F64).unwrap()] {
            assert_eq!(count_right(&outputs, 0.0, [1, 0]).unwrap(), 2);
            assert_eq!(count_right(&outputs, 0.0, [1, 1]).unwrap(), 1);
        }
        let one = Tensor::new(&[[0.3f32], [0.7], [-1.0]], &Device::Cpu).unwrap();
        assert_eq!(count_right(&one, 0.0, [1, 1, 0]).unwrap(), 3);
        assert_eq!(count_right(&one, 0.5, [0, 1, 0]).unwrap(), 3);
    }
}
