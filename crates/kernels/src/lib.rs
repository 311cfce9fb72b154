//! The CPU operations that training spends its time in, with their gradients.
//!
//! Each function takes and returns candle tensors and takes part in candle's `backward()`. On a CPU, for `f32` and `f64`, it is one
//! fused operation (bias and activation inside the matrix product, pooling with stored indices, softmax inside the loss); on CUDA and
//! Metal, and for half precision, the same function is composed of candle's own operations. Names, defaults and semantics are Keras'.
//!
//! Sequences are `(batch, steps, channels)`, images `(batch, height, width, channels)`, volumes `(batch, depth, height, width,
//! channels)`, convolution kernels `(height, width, in, out)`. The same input gives the same bits whatever
//! the number of threads: work is cut by sizes, never by threads, and sums over several pieces are added in a fixed order.
//!
//! **Not for** layers with weights of their own (`models` builds those), or update rules (`optimizers`).
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use kernels::{Activation, linear, sparse_categorical_crossentropy};
//!
//! let x = Tensor::new(&[[1.0f32, 0.0], [0.0, 1.0]], &Device::Cpu)?;
//! let labels = Tensor::new(&[0u32, 1], &Device::Cpu)?;
//! let kernel = Var::zeros((2, 2), candle_core::DType::F32, &Device::Cpu)?;
//!
//! let logits = linear(&x, &kernel, None, Activation::Linear)?;
//! let loss = sparse_categorical_crossentropy(&logits, &labels)?;
//! assert!((loss.to_scalar::<f32>()? - 2f32.ln()).abs() < 1e-6);
//!
//! let gradient = loss.backward()?.get(&kernel).unwrap().to_vec2::<f32>()?;
//! assert_eq!(gradient, [[-0.25, 0.25], [0.25, -0.25]]);
//! # Ok::<(), kernels::Error>(())
//! ```

#![deny(missing_docs)]

mod activation;
mod activation_more;
mod composed;
mod conv2d;
mod conv_transpose;
mod convolution;
mod cpu;
mod deferred;
mod depthwise;
mod dropout;
mod error;
mod gradients;
mod layer_norm;
mod linear;
mod loss;
pub mod losses;
pub mod machine;
pub mod mapping;
pub mod memory;
mod normalization;
mod pooling;
mod pooling_volume;
mod precision;
mod prefetch;
mod product;
pub mod random;
pub mod tape;
pub mod threads;
mod window;

pub use activation::{Activation, activation, log_softmax, softmax};
pub use activation_more::{
    celu, gelu_tanh, glu, hard_shrink, hard_silu, hard_tanh, log_sigmoid, soft_shrink, sparse_plus, sparse_sigmoid,
    sparsemax, squareplus, tanh_shrink, threshold,
};
pub use conv_transpose::{ConvTransposeOptions, conv1d_transpose, conv2d_transpose, conv3d_transpose};
pub use conv2d::{Conv2dOptions, conv2d, conv2d_max_pool2d};
pub use convolution::{Conv1dOptions, Conv3dOptions, ConvOptions, conv1d, conv3d};
pub use deferred::Deferred;
pub use depthwise::{DepthwiseConv2dOptions, depthwise_conv2d, separable_conv2d};
pub use dropout::dropout;
pub use error::{Error, Result};
pub use gradients::gradients_present;
pub use layer_norm::{group_norm, layer_norm, rms_norm, unit_norm};
pub use linear::linear;
pub use loss::{binary_crossentropy, categorical_crossentropy, mean_squared_error, sparse_categorical_crossentropy};
pub use normalization::{BatchNorm, batch_norm};
pub use pooling::{Pool2dOptions, avg_pool2d, global_avg_pool2d, global_max_pool2d, max_pool2d};
pub use pooling_volume::{
    Pool1dOptions, Pool3dOptions, PoolOptions, adaptive_avg_pool, adaptive_max_pool, avg_pool1d, avg_pool3d,
    max_pool1d, max_pool3d,
};
pub use precision::MatmulPrecision;
pub use prefetch::prefetch;
pub use product::{Matrix, TileMemory, product_on_tiles};
pub use window::Padding;

/// The pages whose code runs with the other examples of this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/crates/kernels.md")]
    struct Page;
    #[doc = include_str!("../../../docs/upstream.md")]
    struct Upstream;
}
