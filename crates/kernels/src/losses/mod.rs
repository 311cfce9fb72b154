//! The losses of Keras, one value a sample.
//!
//! Each function compares `outputs` with `targets` and reduces the axis that belongs to one sample, so that `(batch, ..., classes)`
//! becomes `(batch, ...)`; whoever calls it sums or averages the rest. They are composed of operations whose gradients are right, on every
//! device and for every type of floating point numbers; for the mean over a batch of logits the fused
//! [`sparse_categorical_crossentropy`](crate::sparse_categorical_crossentropy), [`categorical_crossentropy`](crate::categorical_crossentropy),
//! [`binary_crossentropy`](crate::binary_crossentropy) and [`mean_squared_error`](crate::mean_squared_error) are faster.
//!
//! Targets may be of any type of number and get no gradient. As in Keras, a last axis of size 1 that one of the two arguments has and the
//! other has not is added or dropped. Shapes that differ otherwise are refused, not broadcast.
//!
//! Where a loss has a kink, its derivative there is the one that Keras has on TensorFlow.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use kernels::losses::{CrossentropyOptions, huber, sparse_categorical_crossentropy};
//!
//! let outputs = Tensor::new(&[[0.0f32, 3.0], [1.0, 1.0]], &Device::Cpu)?;
//! let targets = Tensor::new(&[[0.5f32, 0.0], [1.0, 1.0]], &Device::Cpu)?;
//! assert_eq!(huber(&outputs, &targets, 1.0)?.to_vec1::<f32>()?, [1.3125, 0.0]);
//!
//! let labels = Tensor::new(&[1u32, 0], &Device::Cpu)?;
//! let losses = sparse_categorical_crossentropy(&outputs, &labels, true, None)?.to_vec1::<f32>()?;
//! assert!((losses[1] - 2f32.ln()).abs() < 1e-6);
//! # Ok::<(), kernels::Error>(())
//! ```

mod binary;
mod categorical;
mod circle;
mod hinge;
mod kinks;
mod labels;
mod operands;
mod overlap;
mod probability;
mod regression;

pub use binary::{BinaryFocalOptions, binary_crossentropy, binary_focal_crossentropy};
pub use categorical::{
    CategoricalFocalOptions, CrossentropyOptions, categorical_crossentropy, categorical_focal_crossentropy,
    categorical_generalized_cross_entropy, sparse_categorical_crossentropy,
};
pub use circle::{CircleOptions, circle};
pub use hinge::{categorical_hinge, hinge, squared_hinge};
pub use labels::{class_numbers, one_hot};
pub use operands::same_rank;
pub use overlap::{dice, tversky};
pub use probability::{kl_divergence, poisson};
pub use regression::{
    cosine_similarity, huber, log_cosh, mean_absolute_error, mean_absolute_percentage_error, mean_squared_error,
    mean_squared_logarithmic_error,
};

/// What Keras calls epsilon: probabilities are kept this far from 0 and 1, and divisors from 0.
pub const EPSILON: f64 = 1e-7;
