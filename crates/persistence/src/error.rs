//! What can go wrong between a model and its file.

use std::io;
use std::path::{Path, PathBuf};

use crate::source::Source;
use crate::{Format, Precision};

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
    #[error("{}: the ending '{found}' is no format that can be written; use {}", .path.display(), writable())]
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
    /// The file is damaged, or not what it looks like.
    #[error("{}: not a whole {format} file: {place}: {reason}; save the model again or use another copy", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The format that it is read as.
        format: &'static str,
        /// Where in the file: a byte, a member, a data set.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The file holds something that is never done or read here, for it could do harm.
    #[error("{}: {place}: {what} is refused: {reason}", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        place: String,
        /// What was found.
        what: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// The first bytes are those of no format that is known here.
    #[error(
        "{}: is no model file that is known here: it begins with {found}{}", .path.display(),
        match .named { Some(format) => format!(", and a {format} file does not; use another copy"), None => String::new() }
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: String,
        /// The format that its name says.
        named: Option<Format>,
    },
    /// Files of this format are not read as models.
    #[error("{}: {format} files are not read as models; use {}", .path.display(), readable())]
    NotRead {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
    },
    /// The file holds weights without saying of what network.
    #[error(
        "{}: this {format} file holds tensors but no description of a network; give the description beside it \
         (--config FILE with Keras' JSON configuration, or a built-in name)", .path.display()
    )]
    NoDescription {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: Format,
    },
    /// Something of the model has no place in the format.
    #[error("{}: {what} cannot be written as {format}: {reason}", .path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The format.
        format: Format,
        /// What has no place in it.
        what: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The checksum is not that of the bytes.
    #[error("{}: {place} has the checksum {found}, the file says {expected}; it was changed or damaged, use another copy", .path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// What the checksum is of.
        place: String,
        /// The sum in the header.
        expected: String,
        /// The sum of the bytes.
        found: String,
    },
    /// A key of the native format is missing.
    #[error(
        "{}: the key '{key}' is missing from the metadata; the file was not written by this program, or is damaged", .path.display()
    )]
    NoModel {
        /// The file.
        path: PathBuf,
        /// The missing key.
        key: &'static str,
    },
    /// A version of the format that this program does not know.
    #[error("{}: format version {found}, this program reads up to version {expected}; use a newer program", .path.display())]
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

/// The endings of the formats that are written.
fn writable() -> String {
    let endings = crate::WRITTEN.map(|format| format!(".{}", format.ending()));
    endings.join(", ")
}

/// The formats that are read.
fn readable() -> String {
    crate::READ.map(|format| format.to_string()).join(", ")
}

impl Error {
    /// Something is wrong at a place of a file.
    pub(crate) fn malformed(
        source: &Source,
        format: &'static str,
        place: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Error::Malformed {
            path: source.path().to_path_buf(),
            format,
            place: place.into(),
            reason: reason.into(),
        }
    }

    /// Something at a place of a file is refused.
    pub(crate) fn refused(
        source: &Source,
        place: impl Into<String>,
        what: impl Into<String>,
        reason: &'static str,
    ) -> Self {
        Error::Refused {
            path: source.path().to_path_buf(),
            place: place.into(),
            what: what.into(),
            reason,
        }
    }

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
