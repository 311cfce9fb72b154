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

#![deny(missing_docs)]

mod archive;
mod atomic;
mod check;
mod checkpointer;
mod compare;
mod error;
mod fault;
mod format;
mod gguf;
mod inspect;
mod json;
mod keras;
mod layout;
mod limits;
mod mapping;
mod metadata;
mod model;
mod native;
mod numpy;
pub mod onnx;
mod output;
mod pieces;
mod precision;
pub mod pytorch;
mod saving;
mod source;
mod stored;
mod stored_zip;

pub use checkpointer::{Better, Checkpointer, Restored, Skipped};
pub use compare::{Difference, weight_differences};
pub use error::{Error, Result};
pub use format::Format;
pub use inspect::{Inspection, ListedTensor, Statistics, inspect};
pub use limits::{Limits, MAX_BYTES, MAX_DEPTH, MAX_ITEMS, MAX_RATIO};
pub use mapping::{WeightPlaces, keras_places};
pub use metadata::{Metadata, Monitored, Preprocessing, TrainingState};
pub use model::{Model, OptimizerState};
pub use native::VERSION;
pub use precision::Precision;
pub use safetensors::Dtype;
pub use saving::{Contents, READ, SavedModel, WRITTEN, load, open, open_with, read, save, save_with, to_bytes, write};
pub use source::Source;
pub use stored::StoredTensor;

/// The pages whose code runs with the other examples of this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/crates/persistence.md")]
    struct Page;
}
