//! The bytes of a file, or of a part of one, without a copy.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use kernels::mapping::MappedFile;

use crate::check::Check;
use crate::pieces::in_pieces;
use crate::{Error, Limits, Result};

/// Smaller files are read at once: a mapping costs more than that, and a file that is read cannot be shortened under our feet.
const MAPPED_FROM: u64 = 1 << 20;

/// A file that is read where it lies: mapped into memory if it is large. Copies share the mapping.
#[derive(Clone)]
pub struct Source {
    path: Arc<Path>,
    bytes: Arc<Bytes>,
    range: Range<usize>,
    limits: Limits,
    check: Option<Arc<Check>>,
}

enum Bytes {
    Read(Vec<u8>),
    Mapped(MappedFile),
}

impl Source {
    /// Opens a file; no more than its first bytes are looked at until somebody asks for more.
    ///
    /// # Errors
    /// [`Error::Read`] for what is no file or cannot be read, [`Error::TooLarge`] for more bytes than the limit.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let failed = |source| Error::Read {
            path: path.to_path_buf(),
            source,
        };
        // Asked before the file is opened: opening a pipe would wait for its other end.
        let about = std::fs::metadata(path).map_err(failed)?;
        if !about.is_file() {
            return Err(failed(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is a folder or a device, not a file",
            )));
        }
        if about.len() > limits.bytes {
            return Err(Error::TooLarge {
                path: path.to_path_buf(),
                bytes: about.len(),
                limit: limits.bytes,
            });
        }
        let file = File::open(path).map_err(failed)?;
        let bytes = if about.len() < MAPPED_FROM {
            let mut bytes = Vec::with_capacity(about.len() as usize);
            file.take(MAPPED_FROM).read_to_end(&mut bytes).map_err(failed)?;
            Bytes::Read(bytes)
        } else {
            Bytes::Mapped(MappedFile::of(&file).map_err(failed)?)
        };
        Ok(Source::new(path, bytes, limits))
    }

    /// Bytes that are in memory already, as if they were a file of this name.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Self {
        Source::new(path, Bytes::Read(bytes), limits)
    }

    fn new(path: &Path, bytes: Bytes, limits: &Limits) -> Self {
        let mut source = Source {
            path: path.into(),
            bytes: Arc::new(bytes),
            range: 0..0,
            limits: limits.clone(),
            check: None,
        };
        source.range = 0..source.whole().len();
        source
    }

    fn whole(&self) -> &[u8] {
        match &*self.bytes {
            Bytes::Read(bytes) => bytes,
            Bytes::Mapped(file) => file,
        }
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        // The range was checked against the length when it was made, and neither changes.
        self.whole().get(self.range.clone()).unwrap_or_default()
    }

    /// A part of it, such as a member of an archive; `None` where it does not lie within.
    pub fn part(&self, range: Range<usize>) -> Option<Source> {
        self.bytes().get(range.clone())?;
        Some(Source {
            range: self.range.start + range.start..self.range.start + range.end,
            ..self.clone()
        })
    }

    /// As [`Source::part`], of the whole file.
    pub(crate) fn at(&self, range: Range<usize>) -> Option<Source> {
        self.whole().get(range.clone())?;
        Some(Source { range, ..self.clone() })
    }

    /// The same bytes, whose CRC-32 is compared when they, or a part of them, are used as numbers for the first time. Where `sums` are
    /// lengths and sums of spans that are together all of them, only the spans that are used are looked at. `wrong` says what is wrong
    /// where another sum is found than the expected one.
    pub(crate) fn checked(
        self,
        crc32: u32,
        sums: &[(usize, u32)],
        wrong: impl Fn(u32, u32) -> Error + Send + Sync + 'static,
    ) -> Self {
        let check = Arc::new(Check::new(self.clone(), crc32, Box::new(wrong)).in_spans(sums));
        Source {
            check: Some(check),
            ..self
        }
    }

    /// Compares the checksum that the bytes have, if they have one that was not compared yet.
    ///
    /// # Errors
    /// Those of the checksum.
    pub(crate) fn verify(&self) -> Result<()> {
        self.check.as_ref().map_or(Ok(()), |check| check.pass(self))
    }

    /// What `read` makes of each piece, as [`in_pieces`] gives them, and the checksum compared on the way.
    ///
    /// # Errors
    /// Those of the checksum.
    pub(crate) fn scan<T: Send>(&self, read: impl Fn(&[u8]) -> T + Sync) -> Result<Vec<T>> {
        match &self.check {
            Some(check) => check.pass_while(self, read),
            None => Ok(in_pieces(self.bytes(), read)),
        }
    }

    /// Where the part that this is begins in its file.
    pub fn offset(&self) -> usize {
        self.range.start
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What may be used in reading it.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Tells the system that the bytes are not needed for now.
    pub fn release(&self) {
        if let Bytes::Mapped(file) = &*self.bytes {
            file.release(self.range.clone());
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{:?}]", self.path.display(), self.range)
    }
}

/// The first bytes of a file, to be shown in a message.
pub(crate) fn glance(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(12)];
    if start.is_empty() {
        "nothing: the file is empty".to_string()
    } else if start.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        format!("the text '{}'", String::from_utf8_lossy(start))
    } else {
        let digits: Vec<String> = start.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("the bytes {}", digits.join(" "))
    }
}

/// At most 64 characters of a text that came from a file; what would move the cursor of a terminal is written as in a program.
pub(crate) fn shorten(text: &str) -> String {
    let mut short = String::new();
    for character in text.chars().take(64) {
        if character.is_control() {
            short.extend(character.escape_debug());
        } else {
            short.push(character);
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn names_from_files_cannot_move_the_cursor() {
        assert_eq!(shorten("dense\n'\u{1b}[2J\u{9b}é'"), "dense\\n'\\u{1b}[2J\\u{9b}é'");
        assert_eq!(shorten(&"é".repeat(70)), "é".repeat(64));
    }
}
