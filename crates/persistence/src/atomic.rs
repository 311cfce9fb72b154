//! Writing a file so that a crash leaves the old one or the new one, never half of one.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::output::Output;
use crate::{Error, Result};

/// Lets `fill` write to a temporary file beside `path`, syncs it, renames it, and syncs the folder. Returns its size in bytes.
///
/// Errors of the system within `fill` are to be made ours by the function that it is given.
pub(crate) fn write(
    path: &Path,
    fill: impl FnOnce(&mut Output, &dyn Fn(io::Error) -> Error) -> Result<()>,
) -> Result<u64> {
    let failed = |source: io::Error| Error::Write {
        path: path.to_path_buf(),
        // tempfile adds the temporary name, which says nothing to the reader
        source: if source.raw_os_error().is_none() {
            source.kind().into()
        } else {
            source
        },
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    {
        // Temporary files are private; a model is an ordinary file, so it gets what the umask leaves of rw-rw-rw-.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder).map_err(failed)?;
    let mut output = Output::of(file.as_file()).map_err(failed)?;
    fill(&mut output, &failed)?;
    let size = output.finish().map_err(failed)?;
    #[cfg(unix)]
    let replaced = replaced(path);
    file.persist(path).map_err(|error| failed(error.error))?;
    // The rename itself is on disk once the folder is; not every system lets a folder be opened.
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)?;
    #[cfg(unix)]
    if let Some(replaced) = replaced {
        // Where there is no thread to be had, it is closed here.
        let _ = std::thread::Builder::new().spawn(move || drop(replaced));
    }
    Ok(size)
}

/// The file that is about to be replaced, if it is a large one. While it is open, its blocks are not freed; that takes a system about a
/// fifth of a second for 400 MB, for which nobody has to wait. (A crash meanwhile frees them when the disk is mounted.)
#[cfg(unix)]
fn replaced(path: &Path) -> Option<File> {
    const LARGE: u64 = 1 << 20;
    // Asked before it is opened: opening a pipe would wait for its other end.
    let about = std::fs::symlink_metadata(path).ok()?;
    let is_large = about.is_file() && about.len() >= LARGE;
    is_large.then(|| File::open(path).ok()).flatten()
}

/// How temporary files begin. A program that is killed leaves one; [`crate::Checkpointer`] clears them away.
pub(crate) const PREFIX: &str = ".saving-";
