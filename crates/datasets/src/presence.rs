//! Whether the files of a known set are there, without reading them.

use crate::KnownSet;
use crate::catalogue::Format;
use crate::fetch::is_complete;
use crate::load::{is_here, places};
use std::path::{Path, PathBuf};

/// How much of a known set a folder holds. The files themselves are looked into by [`verify`](crate::verify).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Presence {
    /// The set is part of the program.
    Embedded,
    /// All files are there.
    Complete {
        /// Where.
        folder: PathBuf,
    },
    /// Some files are there.
    Partial {
        /// Where.
        folder: PathBuf,
        /// The downloads that are missing.
        missing: Vec<String>,
    },
    /// Nothing is there.
    Absent,
}

/// Looks for a known set in a folder, or in its sub-folder of the set's name; a folder that does not exist holds nothing.
///
/// ```
/// use datasets::{Presence, known, presence};
///
/// assert_eq!(presence(known("digits")?, "nowhere".as_ref()), Presence::Embedded);
/// assert_eq!(presence(known("mnist")?, "nowhere".as_ref()), Presence::Absent);
/// # Ok::<(), datasets::Error>(())
/// ```
#[must_use]
pub fn presence(set: &KnownSet, dir: &Path) -> Presence {
    if set.format == Format::Embedded {
        return Presence::Embedded;
    }
    let missing = |folder: &Path| -> Vec<String> {
        let files = set.files.iter().filter(|file| !is_complete(set, file, folder));
        files.map(|file| file.name.to_string()).collect()
    };
    let mut found = Presence::Absent;
    for folder in places(set, dir).into_iter().filter(|folder| is_here(set, folder)) {
        let missing = missing(&folder);
        if missing.is_empty() {
            return Presence::Complete { folder };
        }
        if found == Presence::Absent {
            found = Presence::Partial { folder, missing };
        }
    }
    found
}
