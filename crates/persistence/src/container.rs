//! The safetensors container: 8 bytes of header length, a JSON header, the tensors.
//!
//! The `safetensors` crate reads it; writing is done here, because the crate writes metadata in the order of a hash map,
//! and the same model shall give the same bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The metadata key of the checksum.
pub(crate) const SHA256: &str = "sha256";

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// Tensors start at a multiple of this, so that a file mapped into memory needs no copy.
const ALIGNMENT: usize = 8;

/// Number format, shape and little-endian bytes of a tensor.
pub(crate) struct RawTensor {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// The bytes of a file with these tensors and texts, and the checksum over all of it.
pub(crate) fn write(tensors: &BTreeMap<String, RawTensor>, mut texts: BTreeMap<String, String>) -> Vec<u8> {
    texts.insert(SHA256.to_string(), zeros());
    // Wide numbers first keeps every tensor aligned; the same order as the crate's.
    let mut order: Vec<(&String, &RawTensor)> = tensors.iter().collect();
    order.sort_by(|(a, left), (b, right)| right.dtype.cmp(&left.dtype).then(a.cmp(b)));
    let mut header = Map::new();
    header.insert("__metadata__".to_string(), json!(texts));
    let mut offset = 0;
    for (name, tensor) in &order {
        let end = offset + tensor.bytes.len();
        let entry = json!({ "dtype": tensor.dtype.to_string(), "shape": tensor.shape, "data_offsets": [offset, end] });
        header.insert((*name).clone(), entry);
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    let mut bytes = Vec::with_capacity(8 + header.len() + offset);
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&header);
    order
        .iter()
        .for_each(|(_, tensor)| bytes.extend_from_slice(&tensor.bytes));
    // In JSON text a quote within a string is escaped, so this can only be the key itself.
    let key = format!("\"{SHA256}\":\"");
    if let Some(at) = find(&bytes, key.as_bytes()) {
        let digest = hex(Sha256::digest(&bytes));
        bytes[at + key.len()..at + key.len() + DIGITS].copy_from_slice(digest.as_bytes());
    }
    bytes
}

/// What a file holds.
pub(crate) struct Container<'a> {
    pub(crate) header_bytes: usize,
    pub(crate) texts: BTreeMap<String, String>,
    /// Sorted by name.
    pub(crate) tensors: Vec<(String, TensorView<'a>)>,
}

impl<'a> Container<'a> {
    pub(crate) fn read(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        let damaged = |reason: safetensors::SafeTensorError| Error::Damaged {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        };
        let (header_bytes, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let mut tensors = SafeTensors::deserialize(bytes).map_err(damaged)?.tensors();
        tensors.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let texts = header.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Container {
            header_bytes,
            texts,
            tensors,
        })
    }

    /// The checksum of the file; fails where there is none, or another one in the header.
    pub(crate) fn verify(&self, path: &Path, bytes: &[u8]) -> Result<String> {
        let expected = self.text(path, SHA256)?;
        let found = checksum(
            &bytes[..8 + self.header_bytes],
            &bytes[8 + self.header_bytes..],
            expected,
        );
        if found.as_deref() == Some(expected) {
            return Ok(expected.to_string());
        }
        Err(Error::Checksum {
            path: path.to_path_buf(),
            expected: shorten(expected),
            found: found.unwrap_or_else(|| "(the digits are not in the header as they are)".to_string()),
        })
    }

    pub(crate) fn text(&self, path: &Path, key: &'static str) -> Result<&str> {
        self.texts.get(key).map(String::as_str).ok_or_else(|| Error::NoModel {
            path: path.to_path_buf(),
            key,
        })
    }
}

/// The SHA-256 of the file with zeros in the place of the checksum itself (its first occurrence in the header).
fn checksum(header: &[u8], data: &[u8], stated: &str) -> Option<String> {
    if stated.len() != DIGITS {
        return None;
    }
    let at = find(header, stated.as_bytes())?;
    let mut hash = Sha256::new();
    hash.update(&header[..at]);
    hash.update(zeros());
    hash.update(&header[at + DIGITS..]);
    hash.update(data);
    Some(hex(hash.finalize()))
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn zeros() -> String {
    "0".repeat(DIGITS)
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// At most 64 characters of a text that came from a file.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}
