//! The content of a file, plain or gzip, read with a bound on every step.

use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

/// Deflate cannot shrink anything more than this: no honest file unpacks to more (zlib's technical notes, "Maximum
/// compression factor").
pub(crate) const DEFLATE_MAX_RATIO: u64 = 1032;

/// What to do about a file that breaks off or is garbled.
pub(crate) const FETCH_AGAIN: &str = "the file is incomplete or damaged: fetch it again";

/// A file read from its beginning to its end; what it is packed with is told by its first bytes, not by its name.
pub(crate) struct Content {
    path: PathBuf,
    reader: Box<dyn Read>,
    offset: u64,
    at_most: u64,
}

impl Content {
    /// Opens a file and looks whether it starts as gzip does (1f 8b).
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::io("read", path, source);
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(io(std::io::Error::new(
                std::io::ErrorKind::IsADirectory,
                "it is not a regular file",
            )));
        }
        let mut magic = Vec::with_capacity(2);
        file.by_ref().take(2).read_to_end(&mut magic).map_err(io)?;
        file.rewind().map_err(io)?;
        let buffered = BufReader::with_capacity(64 * 1024, file);
        let (reader, at_most): (Box<dyn Read>, u64) = if magic == [0x1f, 0x8b] {
            (
                Box::new(MultiGzDecoder::new(buffered)),
                metadata.len().saturating_mul(DEFLATE_MAX_RATIO),
            )
        } else {
            (Box::new(buffered), metadata.len())
        };
        Ok(Self {
            path: path.to_path_buf(),
            reader,
            offset: 0,
            at_most,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes have been read.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads exactly `count` bytes of `what`. A count that the file cannot hold is refused before memory is taken.
    pub(crate) fn take(&mut self, count: u64, what: &str) -> Result<Vec<u8>> {
        let possible = self.at_most.saturating_sub(self.offset);
        if count > possible {
            let found = if possible == 0 {
                "the end of the file".into()
            } else {
                format!("at most {possible} more bytes")
            };
            return Err(self.malformed(format!("{what} ({count} bytes)"), found, FETCH_AGAIN));
        }
        let mut bytes = Vec::new();
        self.take_into(count, what, &mut bytes)?;
        Ok(bytes)
    }

    fn take_into(&mut self, count: u64, what: &str, bytes: &mut Vec<u8>) -> Result<()> {
        // Grows with what arrives, so that a small file that promises much costs what it holds.
        let mut limited = self.reader.by_ref().take(count);
        let outcome = limited.read_to_end(bytes);
        let arrived = count - limited.limit();
        let start = self.offset;
        self.offset += arrived;
        if let Err(source) = outcome {
            return Err(self.unreadable(source));
        }
        if arrived < count {
            self.offset = start;
            let found = if arrived == 0 {
                "the end of the file".to_string()
            } else {
                format!("only {arrived} bytes")
            };
            return Err(self.malformed(format!("{what} ({count} bytes)"), found, FETCH_AGAIN));
        }
        Ok(())
    }

    /// Reads one block of `count` bytes, or nothing at the end of the file.
    pub(crate) fn block_or_end(&mut self, count: u64, what: &str) -> Result<Option<Vec<u8>>> {
        let mut first = Vec::with_capacity(1);
        let mut one = self.reader.by_ref().take(1);
        if let Err(source) = one.read_to_end(&mut first) {
            return Err(self.unreadable(source));
        }
        if first.is_empty() {
            return Ok(None);
        }
        self.offset += 1;
        match self.take_into(count - 1, what, &mut first) {
            Ok(()) => Ok(Some(first)),
            Err(Error::Malformed {
                path,
                offset,
                found,
                advice,
                ..
            }) => {
                let expected = format!("{what} ({count} bytes)");
                Err(Error::Malformed {
                    path,
                    offset: offset - 1,
                    expected,
                    found,
                    advice,
                })
            }
            Err(other) => Err(other),
        }
    }

    /// Reads everything, refusing more than `limit` bytes.
    pub(crate) fn rest(&mut self, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let outcome = self
            .reader
            .by_ref()
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes);
        self.offset += bytes.len() as u64;
        match outcome {
            Err(source) => Err(self.unreadable(source)),
            Ok(_) if bytes.len() as u64 > limit => Err(self.malformed(
                format!("at most {limit} bytes"),
                "more",
                "this is not a file of this data set",
            )),
            Ok(_) => Ok(bytes),
        }
    }

    /// Reads up to a buffer full of what comes next; 0 is the end.
    pub(crate) fn chunk(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Ok(count) => {
                    self.offset += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable(error)),
            }
        }
    }

    /// A big-endian number of four bytes.
    pub(crate) fn u32_be(&mut self, what: &str) -> Result<u32> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Fails unless everything has been read.
    pub(crate) fn expect_end(&mut self) -> Result<()> {
        match self.block_or_end(1, "nothing more")? {
            None => Ok(()),
            Some(_) => {
                self.offset -= 1;
                Err(self.malformed(
                    "the end of the file",
                    "more bytes",
                    "the header announces less than the file holds; fetch it again",
                ))
            }
        }
    }

    /// An error at the present offset.
    pub(crate) fn malformed(
        &self,
        expected: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Error {
        Error::Malformed {
            path: self.path.clone(),
            offset: self.offset,
            expected: expected.into(),
            found: found.into(),
            advice: advice.into(),
        }
    }

    fn unreadable(&self, source: std::io::Error) -> Error {
        use std::io::ErrorKind;
        match source.kind() {
            // flate2 reports damage as these two kinds
            ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                self.malformed("gzip data", format!("damage ({source})"), FETCH_AGAIN)
            }
            ErrorKind::UnexpectedEof => self.malformed(
                "more gzip data (bytes are counted unpacked)",
                "the end of the file",
                FETCH_AGAIN,
            ),
            _ => Error::io("read", &self.path, source),
        }
    }
}
