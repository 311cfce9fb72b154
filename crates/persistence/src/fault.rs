//! What is wrong with a file, and at which place of it.

use std::path::Path;

use crate::Error;

/// The result of reading bytes of a file whose name the reader does not know.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// What is wrong and where; the file's name is added by [`Fault::in_file`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Member, tensor, node or byte.
    pub(crate) place: String,
    /// What was found and what was expected there.
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Fault {
            place: place.into(),
            reason: reason.into(),
        }
    }

    /// The same fault, found inside of something larger.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        self.place = format!("{outer}: {}", self.place);
        self
    }

    /// The error for the person who named the file.
    pub(crate) fn in_file(self, path: &Path, format: &'static str) -> Error {
        Error::Malformed {
            path: path.to_path_buf(),
            format,
            place: self.place,
            reason: self.reason,
        }
    }
}

/// At most 80 characters of a text that came from a file, without what would move a cursor.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        quoted.push('…');
    }
    quoted
}
