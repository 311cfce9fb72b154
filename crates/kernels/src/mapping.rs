//! Files mapped into memory, to be read without a copy.
//!
//! The only `unsafe` that reading large files needs, behind a safe door: [`MappedFile`] is a slice of bytes that the system fetches from
//! the file (or finds in its cache) when they are looked at, and may drop again when memory is short.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};

use memmap2::{Mmap, UncheckedAdvice};

/// A file whose bytes are read when they are looked at.
///
/// **Another program must not shorten the file meanwhile**: the system ends a program that looks behind the end of a mapped file
/// (SIGBUS), and no program can catch that in a useful way. Programs that replace a file by renaming a new one over it, as every
/// writer here does, do no harm: the mapping keeps the old file.
///
/// ```
/// use std::io::Write as _;
///
/// let mut file = tempfile::tempfile()?;
/// file.write_all(b"weights")?;
/// let mapped = kernels::mapping::MappedFile::of(&file)?;
/// assert_eq!(&mapped[..], b"weights");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct MappedFile(Mmap);

impl MappedFile {
    /// Maps the whole of an open file; it may be closed afterwards.
    ///
    /// # Errors
    /// What the system says, where the file cannot be mapped (a pipe, a folder, no address space left).
    pub fn of(file: &File) -> io::Result<Self> {
        // SAFETY: the map is private to this type and read only. Bytes that another program changes meanwhile are read as they are
        // found: every reader checks what it reads and no reader relies on reading the same byte twice. A file that is shortened
        // ends the program, as the documentation of this type says, but does not touch other memory.
        unsafe { Mmap::map(file) }.map(MappedFile)
    }

    /// Tells the system that these bytes are not needed for now: they no longer count as memory of this program. They are
    /// fetched again when they are looked at.
    pub fn release(&self, range: Range<usize>) {
        // Whole pages within the range: what shares a page with other bytes stays.
        let start = range.start.next_multiple_of(PAGE);
        let end = range.end.min(self.0.len()) / PAGE * PAGE;
        if start < end {
            // SAFETY: the mapping is read only and backed by the file, so that dropped pages come back with the same bytes. An
            // error means that the pages stay, which does no harm.
            let _ = unsafe {
                self.0
                    .unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
            };
        }
    }
}

/// The largest size of pages in use; a multiple of it is a multiple of every smaller one.
const PAGE: usize = 1 << 16;

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn released_bytes_come_back() {
        let bytes: Vec<u8> = (0..5 * PAGE as u32 + 17).map(|i| (i / 7) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let mapped = MappedFile::of(&file).unwrap();
        drop(file);
        for range in [0..bytes.len(), 3..9, 1..2 * PAGE, bytes.len() - 5..usize::MAX] {
            mapped.release(range);
            assert!(mapped[..] == bytes);
        }
    }

    #[test]
    fn an_empty_file_is_an_empty_slice() {
        let mapped = MappedFile::of(&tempfile::tempfile().unwrap()).unwrap();
        mapped.release(0..1);
        assert!(mapped.is_empty());
    }
}
