//! What training makes small.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::Result;

/// A loss between the network's output and integer labels, averaged over the batch.
///
/// Networks end in logits, as the lecture's do: softmax belongs to the loss, where it is stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `-log softmax(z)_y`, the mean over the batch (`keras.losses.SparseCategoricalCrossentropy(from_logits=True)`).
    #[default]
    SparseCategoricalCrossentropy,
    /// `mean (z - onehot(y))²` over classes and batch (`keras.losses.MeanSquaredError` on one-hot labels).
    MeanSquaredError,
}

impl Loss {
    /// The loss of `outputs` (batch, classes) for `labels` (batch, u32): a scalar with a gradient.
    ///
    /// # Errors
    /// [`crate::Error::Kernel`] or [`crate::Error::Lengths`] where the shapes do not belong together or a label is out of
    /// range.
    pub fn mean(self, outputs: &Tensor, labels: &Tensor) -> Result<Tensor> {
        match self {
            Loss::SparseCategoricalCrossentropy => Ok(kernels::sparse_categorical_crossentropy(outputs, labels)?),
            Loss::MeanSquaredError => {
                const OP: &str = "mean_squared_error";
                let (batch, classes) = outputs.dims2()?;
                let labels = labels.to_vec1::<u32>()?;
                if labels.len() != batch {
                    return Err(crate::Error::Lengths {
                        inputs: batch,
                        labels: labels.len(),
                    });
                }
                let mut targets = vec![0.0f64; batch * classes];
                for (index, (label, row)) in labels.into_iter().zip(targets.chunks_mut(classes.max(1))).enumerate() {
                    let target = row.get_mut(label as usize).ok_or(kernels::Error::Label {
                        op: OP,
                        index,
                        label: i64::from(label),
                        classes,
                    })?;
                    *target = 1.0;
                }
                let targets =
                    Tensor::from_vec(targets, (batch, classes), outputs.device())?.to_dtype(outputs.dtype())?;
                Ok(kernels::mean_squared_error(outputs, &targets)?)
            }
        }
    }
}
