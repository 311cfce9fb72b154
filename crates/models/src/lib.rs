//! A [`nn_theory::ModelSpec`] turned into tensors that compute.
//!
//! **For** running a described network on candle: its weights are drawn from Keras' initializers with a seed, keep Keras'
//! layouts and paths, and every layer computes what Keras' layer computes, with gradients that are right (candle's pooling
//! is not used). [`zoo`] holds the built-in descriptions. **Not for** training (that is `training`), for files
//! (`persistence`), or for counting without running (`nn_theory`, which knows many more layers than [`RUNNABLE`]).
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

mod error;
pub mod initializers;
mod layers;
mod network;
pub mod zoo;

pub use error::{Error, Result};
pub use layers::RUNNABLE;
pub use network::{MAX_PARAMETERS, Mode, Network, Weight};
