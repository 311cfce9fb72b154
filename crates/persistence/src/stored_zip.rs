//! A zip archive whose members are stored as they are, aligned, and the same for the same contents.

use std::borrow::Cow;
use std::io::{self, Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::{Error, Result, StoredTensor};

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

    /// Adds a member of these bytes.
    pub(crate) fn member(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.start(name, bytes.len())?;
        self.zip.write_all(bytes)
    }

    /// Adds a member of a header and the numbers of a tensor behind it, made by `convert` of each piece; `size` is that of all.
    ///
    /// The archive sums what it is given: piece by piece that finds the bytes in the cache.
    pub(crate) fn numbers(
        &mut self,
        name: &str,
        size: usize,
        header: &[u8],
        tensor: &StoredTensor,
        convert: fn(&[u8]) -> Cow<'_, [u8]>,
        failed: &dyn Fn(io::Error) -> Error,
    ) -> Result<()>
    where
        W: Send,
    {
        self.start(name, size)
            .and_then(|()| self.zip.write_all(header))
            .map_err(failed)?;
        let zip = &mut self.zip;
        tensor
            .lend_pieces(|piece| zip.write_all(&convert(piece)))?
            .map_err(failed)?;
        tensor.release();
        Ok(())
    }

    fn start(&mut self, name: &str, size: usize) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            // The time would make two files of the same contents different.
            .last_modified_time(DateTime::default())
            .large_file(size >= LARGE)
            .with_alignment(ALIGNMENT);
        Ok(self.zip.start_file(name, options)?)
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        self.zip.finish()?.flush()
    }
}
