//! Files that are either the old ones or the new ones, never halves.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use crate::{Error, Result};

/// Writes `bytes` to `path` so that a crash, a full disk or an interrupt leaves the old file or the new one.
///
/// The bytes go to a temporary file in the same folder, are synced, and take the name; then the folder is synced.
/// Nothing else is left behind.
///
/// # Errors
/// [`Error::Write`] with the path and what to do, if the folder is missing or cannot be written, or the disk is full.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("answer.json");
/// report::write_atomically(&path, b"{}")?;
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// assert!(report::write_atomically(folder.path().join("missing/a.json"), b"{}").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_atomically(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    let path = path.as_ref();
    write(path, bytes.as_ref())
        .map_err(system_error)
        .map_err(|source| Error::Write {
            path: path.to_owned(),
            advice: advice(path, source.kind()),
            source,
        })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if path.file_name().is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path does not name a file",
        ));
    }
    let folder = folder(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".part");
    #[cfg(unix)]
    {
        // Temporary files are private; a report is an ordinary file, so it gets what the umask leaves of rw-rw-rw-.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// The error without the temporary name that it may be wrapped with, which says nothing to the reader.
fn system_error(error: io::Error) -> io::Error {
    let wrapped = error.raw_os_error().is_none() && error.get_ref().is_some();
    if wrapped && error.kind() != io::ErrorKind::InvalidInput {
        io::Error::from(error.kind())
    } else {
        error
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the new name survive a power failure; not every platform lets a folder be opened.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

fn advice(path: &Path, kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "create its folder first, or choose another one",
        io::ErrorKind::PermissionDenied => {
            "its folder is not yours to write; choose another folder or change its permissions"
        }
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only; choose a folder on another one",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full; free some space or choose a folder on another disk"
        }
        io::ErrorKind::IsADirectory => "a folder has this name; choose another file name",
        io::ErrorKind::NotADirectory => "a part of its path is a file, not a folder; choose another path",
        _ if !folder(path).is_dir() => "its folder does not exist; create it first, or choose another one",
        _ => "check the folder and the disk, then try again",
    }
}
