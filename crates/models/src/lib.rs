//! A [`nn_theory::ModelSpec`] turned into tensors that compute.
//!
//! **For** running a described network on candle: its weights are drawn from Keras' initializers with a seed, keep Keras'
//! layouts and paths, and every layer computes what Keras' layer computes, with gradients that are right (candle's pooling
//! is not used). Graphs may share layers, hold other models, have several inputs and outputs, and hand masks on as Keras
//! does. Regularizers and constraints are those of the description ([`Network::regularization_loss`],
//! [`Network::apply_constraints`]); [`Network::with_policy`] computes in mixed precision; [`Network::freeze`],
//! [`Network::replace_head`] and [`Network::load_weights_by_name`] are for fine-tuning. [`zoo`] holds the built-in
//! descriptions. **Not for** training (that is `training`), for files (`persistence`), or for counting without running
//! (`nn_theory`, which knows more layers than [`RUNNABLE`]).
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use models::{Mode, Network};
//! use nn_theory::{Activation, Dense, ModelSpec};
//!
//! let spec = ModelSpec::sequential("small")
//!     .input([4])
//!     .layer(Dense::new(3).activation(Activation::Relu).name("hidden"))
//!     .layer(Dense::new(2).name("logits"))
//!     .build()?;
//! let network = Network::new(spec, 6020, &Device::Cpu, DType::F32)?;
//! let paths: Vec<&str> = network.weights().map(|weight| weight.path.as_str()).collect();
//! assert_eq!(paths, ["hidden/kernel", "hidden/bias", "logits/kernel", "logits/bias"]);
//! let output = network.forward(&Tensor::ones((5, 4), DType::F32, &Device::Cpu)?, Mode::Inference)?;
//! assert_eq!(output.dims(), [5, 2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod call;
mod constraints;
mod error;
mod graph;
pub mod initializers;
mod layers;
mod network;
mod pooled;
mod regularizers;
mod transfer;
pub mod zoo;

pub use constraints::Constraint;
pub use error::{Error, Result};
pub use layers::RUNNABLE;
pub use network::{MAX_PARAMETERS, Mode, Network, Recorded, Weight};
pub use regularizers::Regularizer;
pub use transfer::{LoadReport, ShapeMismatch};

/// The pages whose code runs with the other examples of this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/crates/models.md")]
    struct Page;
}
