//! Models on disk.
//!
//! **For** saving a [`models::Network`] so that it comes back to the bit: description, weights, optimizer, training state and
//! class names in one `.safetensors` file that any reader of safetensors opens, written atomically and checked when
//! read. **Not for** the files of other frameworks (a Keras configuration without weights is read by
//! [`nn_theory::ModelSpec::from_keras_json`]), and not for tensors without a model (use the `safetensors` crate).
//!
//! Nothing in a file is ever executed, names in a file are never used as paths, and no more memory is allocated than the
//! file is large, a few times over.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use models::{Mode, Network, zoo};
//! use persistence::{Contents, Metadata, Precision};
//!
//! let network = Network::new(zoo::cats_vs_dogs()?, 6020, &Device::Cpu, DType::F32)?;
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("cats.safetensors");
//! let metadata = Metadata { classes: vec!["dog".into(), "cat".into()], ..Metadata::default() };
//! persistence::save(&path, &Contents { network: &network, optimizer: None, metadata: &metadata }, Precision::F32)?;
//!
//! let saved = persistence::load(&path, &Device::Cpu)?;
//! let image = Tensor::ones((1, 1024), DType::F32, &Device::Cpu)?;
//! let before = network.forward(&image, Mode::Inference)?.to_vec2::<f32>()?;
//! assert_eq!(before, saved.network.forward(&image, Mode::Inference)?.to_vec2::<f32>()?);
//! assert_eq!(saved.metadata.classes, ["dog", "cat"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod atomic;
mod compare;
mod container;
mod error;
mod inspect;
mod native;
mod precision;

pub use compare::{Difference, weight_differences};
pub use error::{Error, Result};
pub use inspect::{Inspection, StoredTensor, inspect};
pub use native::{Contents, MAX_BYTES, Metadata, SavedModel, TrainingState, VERSION, load, save, save_with, to_bytes};
pub use precision::Precision;
