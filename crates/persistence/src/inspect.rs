//! What a file holds, without building a network from it.

use std::path::Path;

use crate::Result;
use crate::container::Container;
use crate::native::{OPTIMIZER, TRAINING, read};

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// Its name: the path of a weight, or `@optimizer/` and the name of a part of the optimizer's state, or `@training/` and
    /// the name of what else the training keeps.
    pub name: String,
    /// The number format in safetensors' words, such as `F32`.
    pub dtype: String,
    /// Its shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Bytes of its numbers.
    pub bytes: u64,
}

impl StoredTensor {
    /// Whether it is neither a weight nor the optimizer's, but what else a training keeps to go on.
    pub fn is_training_state(&self) -> bool {
        self.name.starts_with(TRAINING)
    }

    /// Whether it belongs to the optimizer's state.
    pub fn is_optimizer_state(&self) -> bool {
        self.name.starts_with(OPTIMIZER)
    }
}

/// The contents of a safetensors file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Size of the file.
    pub bytes: u64,
    /// Size of the header: names, shapes and metadata.
    pub header_bytes: u64,
    /// The metadata, sorted by key.
    pub metadata: Vec<(String, String)>,
    /// The tensors, sorted by name.
    pub tensors: Vec<StoredTensor>,
    /// The checksum in the header, where there is one and it is right.
    pub sha256: Option<String>,
}

impl Inspection {
    /// Bytes of all tensors.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }
}

/// Lists what is in a safetensors file, also one of another program.
///
/// ```no_run
/// let file = persistence::inspect("digits.safetensors".as_ref())?;
/// for tensor in &file.tensors {
///     println!("{:40} {:5} {:?}", tensor.name, tensor.dtype, tensor.shape);
/// }
/// # Ok::<(), persistence::Error>(())
/// ```
///
/// # Errors
/// [`crate::Error::Read`] or [`crate::Error::Damaged`]. A missing or wrong checksum is no error here: look at
/// [`Inspection::sha256`].
pub fn inspect(path: &Path) -> Result<Inspection> {
    let bytes = read(path)?;
    let file = Container::read(path, &bytes)?;
    let tensors = file.tensors.iter().map(|(name, view)| StoredTensor {
        name: name.clone(),
        dtype: view.dtype().to_string(),
        shape: view.shape().to_vec(),
        bytes: view.data().len() as u64,
    });
    Ok(Inspection {
        bytes: bytes.len() as u64,
        header_bytes: file.header_bytes as u64,
        tensors: tensors.collect(),
        sha256: file.verify(path, &bytes).ok(),
        metadata: file.texts.into_iter().collect(),
    })
}
