//! What can go wrong between a name and its images, said to the person at the keyboard.

use std::path::{Path, PathBuf};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why images could not be found, read, fetched or checked.
///
/// Every message is one line that names the file (with the byte where it matters), what was expected, what was found,
/// and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is no known data set and no folder.
    #[error("unknown data set '{name}'{}; known are {known}, or give the path of a folder with one sub-folder of images a class",
        .suggestion.as_deref().map(|near| format!(", did you mean '{near}'?")).unwrap_or_default())]
    UnknownDataset {
        /// What was asked for.
        name: String,
        /// The known name that differs least, if one is near.
        suggestion: Option<String>,
        /// All known names, separated by commas.
        known: String,
    },

    /// A folder is missing, or is not a folder.
    #[error("folder '{}' {problem}; {advice}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        advice: String,
    },

    /// A folder lacks a file that its data set consists of.
    #[error("data set '{set}': no file {expected} in '{}'; {advice}", .folder.display())]
    MissingFile {
        /// The data set.
        set: String,
        /// The folder that was searched.
        folder: PathBuf,
        /// The names that would have been accepted.
        expected: String,
        /// What to do.
        advice: String,
    },

    /// The operating system refused.
    #[error("cannot {action} '{}': {source}; {advice}", .path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the operating system.
        source: std::io::Error,
        /// What to do.
        advice: &'static str,
    },

    /// A file does not follow its format.
    #[error("'{}' at byte {offset}: expected {expected}, found {found}; {advice}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, counted in the unpacked content if the file is compressed.
        offset: u64,
        /// What the format asks for at that place.
        expected: String,
        /// What is there.
        found: String,
        /// What to do.
        advice: String,
    },

    /// A label lies outside the classes of its data set.
    #[error("'{}': label {label} of image {index} is out of range, the data set has {classes} classes (0..={}); \
             the file is damaged or belongs to another data set: fetch it again or correct the label", .path.display(), .classes - 1)]
    LabelOutOfRange {
        /// The file.
        path: PathBuf,
        /// Which image, counted from 0.
        index: usize,
        /// The label found.
        label: u32,
        /// How many classes there are.
        classes: usize,
    },

    /// Images, labels or indices that do not belong together.
    #[error("{what}: expected {expected}, found {found}; {advice}")]
    Inconsistent {
        /// Which quantity.
        what: String,
        /// What it has to be.
        expected: String,
        /// What it is.
        found: String,
        /// What to do.
        advice: String,
    },

    /// A download did not succeed.
    #[error("cannot download '{file}' from {url}: {reason}; {advice}")]
    Download {
        /// The name of the file.
        file: String,
        /// Where it was asked for.
        url: String,
        /// What happened.
        reason: String,
        /// What to do, which names `--data-dir`.
        advice: String,
    },

    /// A file is not the one that was published.
    #[error(
        "'{file}' from {url} has the {algorithm} {found}, expected {expected}; it was not kept: try again later, or put \
             a good copy into a folder and name it with --data-dir"
    )]
    Checksum {
        /// The name of the file.
        file: String,
        /// Where it came from.
        url: String,
        /// `SHA-256`, `SHA-256 of the unpacked content` or `MD5`.
        algorithm: &'static str,
        /// The published checksum.
        expected: String,
        /// The checksum of what arrived.
        found: String,
    },

    /// The data set is part of the program or comes from a folder: there is nothing to fetch.
    #[error("data set '{name}' is not downloaded: {reason}")]
    NothingToFetch {
        /// The data set.
        name: String,
        /// Why.
        reason: String,
    },

    /// The caller's [`Progress`](crate::Progress) asked to stop.
    #[error("stopped on request; '{}' keeps what has arrived and the next fetch goes on from there", .part.display())]
    Cancelled {
        /// The unfinished file.
        part: PathBuf,
    },

    /// The caller's [`Progress`](crate::Progress) asked to stop while the images of a folder were read.
    #[error("stopped on request after {images} of {of} images were read")]
    ReadingCancelled {
        /// Images that were read.
        images: usize,
        /// Images of the folder.
        of: usize,
    },
}

impl Error {
    /// An [`Error::Io`] with the advice that fits its kind.
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let advice = match source.kind() {
            ErrorKind::NotFound => "check the path",
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "change its permissions, or choose another folder with --data-dir"
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "free some space, or choose another folder with --data-dir"
            }
            _ => "check the file and the disk, or choose another folder with --data-dir",
        };
        Self::Io {
            action,
            path: path.to_path_buf(),
            source,
            advice,
        }
    }

    /// An [`Error::Inconsistent`].
    pub(crate) fn inconsistent(
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::Inconsistent {
            what: what.into(),
            expected: expected.into(),
            found: found.into(),
            advice: advice.into(),
        }
    }
}
