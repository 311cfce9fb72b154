//! What can go wrong between a model and its file.

use std::io;
use std::path::{Path, PathBuf};

use crate::Precision;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was wrong, in which file and where in it, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file could not be written; whatever was there before is as it was.
    #[error("{}: cannot be written: {source}; nothing was changed. Choose a folder with space that you may write to", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The name does not say a format that can be written.
    #[error("{}: the ending '{found}' is no format that can be written; use .safetensors", .path.display())]
    Ending {
        /// The file.
        path: PathBuf,
        /// Its ending.
        found: String,
    },
    /// The file is larger than what is read.
    #[error("{}: {bytes} bytes, more than the {limit} that are read at most", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is not a safetensors file, or is damaged.
    #[error("{}: not a whole safetensors file: {reason}; save the model again or use another copy", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The checksum of the file is not the one in its header.
    #[error("{}: the file has the SHA-256 {found}, its header says {expected}; it was changed or damaged, use another copy", .path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The sum in the header.
        expected: String,
        /// The sum of the bytes.
        found: String,
    },
    /// A safetensors file of another program.
    #[error(
        "{}: holds tensors but no description of a model (the key '{key}' is missing from its metadata); \
         it was not written by this program", .path.display()
    )]
    NoModel {
        /// The file.
        path: PathBuf,
        /// The missing key.
        key: &'static str,
    },
    /// A version of the format that this program does not know.
    #[error("{}: format version {found}, this program reads version {expected}; use a newer program", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: String,
        /// The version that is read.
        expected: u32,
    },
    /// A part of the metadata cannot be understood.
    #[error("{}: the metadata '{key}' cannot be understood: {reason}", .path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// Why.
        reason: String,
    },
    /// A weight of the described model is not in the file.
    #[error("{}: the weight '{weight}' of the described model is missing", .path.display())]
    MissingWeight {
        /// The file.
        path: PathBuf,
        /// Path of the weight.
        weight: String,
    },
    /// The file holds a tensor that belongs to nothing.
    #[error("{}: the tensor '{tensor}' belongs to no weight of the described model", .path.display())]
    ExtraTensor {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor has another shape than its weight.
    #[error("{}: the tensor '{tensor}' has the shape {found:?}, the described model needs {expected:?}", .path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Shape of the weight.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor has a number format that weights do not have.
    #[error("{}: the tensor '{tensor}' has the number format {found}; weights are F16, BF16, F32 or F64", .path.display())]
    NumberFormat {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Its format.
        found: String,
    },
    /// A weight is too large for the number format it is to be saved in.
    #[error("the weight '{weight}' holds {value:e}, for which {precision} has no number; save in another precision")]
    Overflow {
        /// Path of the weight.
        weight: String,
        /// The number.
        value: f64,
        /// The number format.
        precision: Precision,
    },
    /// A weight has a name that the format needs for itself.
    #[error("the weight '{weight}' has a name that the file format uses itself; give its layer another name")]
    ReservedName {
        /// Path of the weight.
        weight: String,
    },
    /// What the file describes cannot be made; the source says why.
    #[error("{}: {source}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// The described model cannot be run.
    #[error(transparent)]
    Model(Box<models::Error>),
    /// The described model is wrong.
    #[error(transparent)]
    Spec(Box<nn_theory::Error>),
    /// The state of the optimizer cannot be restored.
    #[error(transparent)]
    Optimizer(Box<optimizers::Error>),
    /// candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// Says which file an error of another crate is about; errors that say it already stay as they are.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Error::Model(_) | Error::Spec(_) | Error::Optimizer(_) | Error::Candle(_) => Error::Content {
                path: path.to_path_buf(),
                source: Box::new(self),
            },
            other => other,
        }
    }
}

impl From<models::Error> for Error {
    fn from(error: models::Error) -> Self {
        Error::Model(Box::new(error))
    }
}

impl From<nn_theory::Error> for Error {
    fn from(error: nn_theory::Error) -> Self {
        Error::Spec(Box::new(error))
    }
}

impl From<optimizers::Error> for Error {
    fn from(error: optimizers::Error) -> Self {
        Error::Optimizer(Box::new(error))
    }
}
