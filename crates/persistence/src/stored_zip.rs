//! A zip archive whose members are stored as they are, aligned, and the same for the same contents.

use std::io::{self, Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// PyTorch and NumPy map members into memory; this is the alignment that both write.
const ALIGNMENT: u16 = 64;

/// Members larger than this need 64-bit sizes.
const LARGE: usize = u32::MAX as usize;

/// An archive under construction.
pub(crate) struct StoredZip<W: Write + Seek> {
    zip: ZipWriter<W>,
}

impl<W: Write + Seek> StoredZip<W> {
    pub(crate) fn new(to: W) -> Self {
        StoredZip {
            zip: ZipWriter::new(to),
        }
    }

    /// Adds a member that consists of these parts.
    pub(crate) fn member(&mut self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            // The time would make two files of the same contents different.
            .last_modified_time(DateTime::default())
            .large_file(size >= LARGE)
            .with_alignment(ALIGNMENT);
        self.zip.start_file(name, options)?;
        parts.iter().try_for_each(|part| self.zip.write_all(part))
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        self.zip.finish()?.flush()
    }
}
