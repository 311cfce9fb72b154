//! A strict reader for one thing in MATLAB 5.0 files: a real matrix whose values are whole numbers of 0..=255.
//!
//! Source: MathWorks, *MAT-File Format*, chapter "Level 5 MAT-File Format". A header of 128 bytes, then elements: a tag
//! (type and size, 4 bytes each; or both in 4 bytes, with up to 4 bytes of data behind them) and the data, padded to 8
//! bytes. A variable is an element of type 14 that holds flags, dimensions, name and values; type 15 is any of these
//! compressed with zlib. The values may be stored narrower than the variable's class: MATLAB writes a matrix of doubles
//! that are all small whole numbers as bytes, which is what the wavelet images of cats and dogs look like.
//!
//! The crate `matfile` was tried: it unpacks compressed variables without bound, multiplies dimensions unchecked, and
//! prints to stderr.

use crate::content::{Content, DEFLATE_MAX_RATIO, FETCH_AGAIN};
use crate::{Error, Result};
use flate2::read::ZlibDecoder;
use std::io::Read;
use std::path::Path;

/// The largest file and the largest variable that are read.
const MAX_BYTES: u64 = 64 << 20;
const HEADER: usize = 128;

const TYPE_MATRIX: u32 = 14;
const TYPE_COMPRESSED: u32 = 15;
const TYPE_INT8: u32 = 1;
const TYPE_INT32: u32 = 5;
const TYPE_UINT32: u32 = 6;

/// A matrix, column after column as MATLAB stores it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<u8>,
}

impl Matrix {
    /// The values of one column.
    pub(crate) fn column(&self, index: usize) -> &[u8] {
        &self.values[index * self.rows..(index + 1) * self.rows]
    }
}

/// Reads the variable `name`.
pub(crate) fn read_matrix(path: &Path, name: &str) -> Result<Matrix> {
    let bytes = Content::open(path)?.rest(MAX_BYTES)?;
    let little_endian = check_header(path, &bytes)?;
    let mut file = Cursor {
        path,
        bytes: &bytes,
        at: HEADER,
        base: 0,
        little_endian,
        inside: "",
    };
    let mut others = Vec::new();
    let mut budget = MAX_BYTES;
    while file.at < bytes.len() {
        let element = file.element("a variable")?;
        let found = match element.kind {
            TYPE_MATRIX => matrix(file.within(&element), name, &mut others)?,
            TYPE_COMPRESSED => {
                let unpacked = unpack(&file, &element, &mut budget)?;
                let base = file.base + element.start as u64;
                let inside = ", in the variable unpacked from there";
                let mut inner = Cursor {
                    path,
                    bytes: &unpacked,
                    at: 0,
                    base,
                    little_endian,
                    inside,
                };
                let element = inner.element("a variable")?;
                if element.kind == TYPE_MATRIX {
                    matrix(inner.within(&element), name, &mut others)?
                } else {
                    None
                }
            }
            _ => None,
        };
        if let Some(matrix) = found {
            return Ok(matrix);
        }
    }
    let found = match others.len() {
        0 => "no variable".to_string(),
        count if count > 8 => format!("{count} others"),
        _ => others.join(", "),
    };
    Err(file.malformed(
        HEADER,
        format!("a variable '{name}'"),
        found,
        "this is another file: fetch the right one",
    ))
}

fn check_header(path: &Path, bytes: &[u8]) -> Result<bool> {
    let malformed = |offset: u64, expected: &str, found: String, advice: &str| Error::Malformed {
        path: path.to_path_buf(),
        offset,
        expected: expected.to_string(),
        found,
        advice: advice.to_string(),
    };
    let Some(header) = bytes.get(..HEADER) else {
        let found = format!("a file of {} bytes", bytes.len());
        return Err(malformed(0, "a MATLAB 5.0 header of 128 bytes", found, FETCH_AGAIN));
    };
    match &header[124..128] {
        [0, 1, b'I', b'M'] => Ok(true),
        [1, 0, b'M', b'I'] => Ok(false),
        [0, 2, b'I', b'M'] => {
            let advice = "save it again with save(..., '-v7')";
            Err(malformed(124, "MATLAB 5.0", "MATLAB 7.3 (HDF5)".to_string(), advice))
        }
        other => Err(malformed(
            124,
            "00 01 'IM' (MATLAB 5.0)",
            format!("{other:02x?}"),
            "this is no MATLAB 5.0 file",
        )),
    }
}

/// The element that a compressed one holds, refused before it is unpacked if it claims more than it can hold, or than is
/// left of the budget for the whole file.
fn unpack(file: &Cursor<'_>, element: &Element, budget: &mut u64) -> Result<Vec<u8>> {
    let packed = &file.bytes[element.start..element.start + element.size];
    let damaged = |error: std::io::Error| {
        file.malformed(
            element.start,
            "zlib data".into(),
            format!("damage ({error})"),
            FETCH_AGAIN,
        )
    };
    let mut decoder = ZlibDecoder::new(packed);
    let mut bytes = Vec::new();
    decoder.by_ref().take(8).read_to_end(&mut bytes).map_err(damaged)?;
    let inner = Cursor {
        bytes: &bytes,
        at: 0,
        base: file.base + element.start as u64,
        ..*file
    };
    let declared = u64::from(inner.u32_at(4, "the tag of the unpacked variable")?);
    let possible = (packed.len() as u64).saturating_mul(DEFLATE_MAX_RATIO).min(*budget);
    if declared > possible {
        let expected = format!("at most {possible} unpacked bytes");
        return Err(file.malformed(element.start, expected, format!("{declared} announced"), FETCH_AGAIN));
    }
    *budget -= declared;
    decoder.take(declared).read_to_end(&mut bytes).map_err(damaged)?;
    Ok(bytes)
}

/// The matrix in an element, if it has the wanted name.
fn matrix(mut fields: Cursor<'_>, wanted: &str, others: &mut Vec<String>) -> Result<Option<Matrix>> {
    let start = fields.at;
    let flags = fields.element_of("the array flags", TYPE_UINT32)?;
    let class = fields.u32_at(flags.start, "the array flags")?;
    let dimensions = fields.element_of("the dimensions", TYPE_INT32)?;
    let name = fields.element_of("the name", TYPE_INT8)?;
    let name = String::from_utf8_lossy(&fields.bytes[name.start..name.start + name.size]).into_owned();
    if name != wanted {
        others.push(format!("'{}'", name.escape_default()));
        return Ok(None);
    }
    let complex = class & 0x800 != 0;
    if !(6..=15).contains(&(class & 0xff)) || complex {
        let found = format!("class {} with flags {:#x}", class & 0xff, class >> 8);
        return Err(fields.malformed(start, "a real numeric matrix".into(), found, "this is another file"));
    }
    if dimensions.size != 8 {
        let found = format!("{} dimensions", dimensions.size / 4);
        return Err(fields.malformed(dimensions.start, "2 dimensions".into(), found, "this is another file"));
    }
    let rows = fields.u32_at(dimensions.start, "the number of rows")?;
    let columns = fields.u32_at(dimensions.start + 4, "the number of columns")?;
    let values = fields.element("the values")?;
    let bytes = &fields.bytes[values.start..values.start + values.size];
    let count = u64::from(rows) * u64::from(columns);
    let width = match values.kind {
        1 | 2 => 1,
        3 | 4 => 2,
        5..=7 => 4,
        9 | 12 | 13 => 8,
        other => {
            let expected = "values of a numeric type".to_string();
            return Err(fields.malformed(values.start, expected, format!("type {other}"), "this is another file"));
        }
    };
    if count.checked_mul(width) != Some(values.size as u64) {
        let expected = format!("{rows} x {columns} values of {width} bytes");
        return Err(fields.malformed(values.start, expected, format!("{} bytes", values.size), FETCH_AGAIN));
    }
    let mut pixels = Vec::with_capacity(bytes.len() / width as usize);
    for (index, value) in bytes.chunks_exact(width as usize).enumerate() {
        match byte_value(values.kind, value, fields.little_endian) {
            Some(value) => pixels.push(value),
            None => {
                let at = values.start + index * width as usize;
                let expected = "a whole number of 0..=255".to_string();
                return Err(fields.malformed(at, expected, "another value".into(), "this is no matrix of pixels"));
            }
        }
    }
    Ok(Some(Matrix {
        rows: rows as usize,
        columns: columns as usize,
        values: pixels,
    }))
}

/// One stored number as a byte, if it is one.
fn byte_value(kind: u32, stored: &[u8], little_endian: bool) -> Option<u8> {
    let mut bytes = [0u8; 8];
    for (index, &byte) in stored.iter().enumerate() {
        bytes[if little_endian { index } else { stored.len() - 1 - index }] = byte;
    }
    let bits = u64::from_le_bytes(bytes);
    let whole = |value: f64| ((0.0..=255.0).contains(&value) && value.fract() == 0.0).then_some(value as u8);
    match kind {
        7 => whole(f64::from(f32::from_bits(bits as u32))),
        9 => whole(f64::from_bits(bits)),
        1 if bits > 127 => None,
        // a negative number is far above 255 when its bits are read without sign
        _ => u8::try_from(bits).ok(),
    }
}

struct Element {
    kind: u32,
    start: usize,
    size: usize,
}

/// A place in the file, or in a variable that was unpacked from it.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` starts in the file.
    base: u64,
    little_endian: bool,
    /// Says that offsets count unpacked bytes.
    inside: &'static str,
}

impl<'a> Cursor<'a> {
    /// Reads a tag and steps over the element; its data lies inside the file.
    fn element(&mut self, what: &str) -> Result<Element> {
        let start = self.at;
        let first = self.u32_at(start, what)?;
        let small = first >> 16 != 0;
        let (kind, size, data) = if small {
            (first & 0xffff, (first >> 16) as usize, start + 4)
        } else {
            (first, self.u32_at(start + 4, what)? as usize, start + 8)
        };
        if small && size > 4 {
            let expected = format!("{what} with at most 4 bytes in its tag");
            return Err(self.malformed(start, expected, format!("{size} bytes"), FETCH_AGAIN));
        }
        let left = self.bytes.len().saturating_sub(data);
        if size > left {
            let expected = format!("{what} of {size} bytes");
            return Err(self.malformed(start, expected, format!("only {left} bytes"), FETCH_AGAIN));
        }
        // compressed elements are the only ones without padding
        let step = match (small, kind) {
            (true, _) => 8,
            (false, TYPE_COMPRESSED) => 8 + size,
            (false, _) => 8 + size.next_multiple_of(8),
        };
        self.at = start + step;
        Ok(Element {
            kind,
            start: data,
            size,
        })
    }

    fn element_of(&mut self, what: &str, kind: u32) -> Result<Element> {
        let start = self.at;
        let element = self.element(what)?;
        if element.kind == kind {
            return Ok(element);
        }
        Err(self.malformed(
            start,
            format!("{what} (type {kind})"),
            format!("type {}", element.kind),
            FETCH_AGAIN,
        ))
    }

    /// The inside of an element.
    fn within(&self, element: &Element) -> Self {
        Self {
            bytes: &self.bytes[..element.start + element.size],
            at: element.start,
            ..*self
        }
    }

    fn u32_at(&self, at: usize, what: &str) -> Result<u32> {
        match self.bytes.get(at..at + 4) {
            Some(&[a, b, c, d]) if self.little_endian => Ok(u32::from_le_bytes([a, b, c, d])),
            Some(&[a, b, c, d]) => Ok(u32::from_be_bytes([a, b, c, d])),
            _ => Err(self.malformed(at, what.to_string(), "the end of the file".to_string(), FETCH_AGAIN)),
        }
    }

    fn malformed(&self, at: usize, expected: String, found: String, advice: &str) -> Error {
        let (offset, expected) = if self.inside.is_empty() {
            (self.base + at as u64, expected)
        } else {
            (self.base, format!("{expected} at its byte {at}{}", self.inside))
        };
        Error::Malformed {
            path: self.path.to_path_buf(),
            offset,
            expected,
            found,
            advice: advice.to_string(),
        }
    }
}
