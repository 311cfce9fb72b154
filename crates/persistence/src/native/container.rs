//! The safetensors container: 8 bytes of header length, a JSON header, the tensors.
//!
//! The `safetensors` crate reads it; writing is done here, because the crate writes metadata in the order of a hash map (the same
//! model shall give the same bytes) and wants all tensors in memory at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::io::{Seek, SeekFrom, Write};

use safetensors::tensor::{Metadata as Header, SafeTensors};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::source::shorten;
use crate::{Error, Result, Source, StoredTensor};

/// The metadata key of the header's checksum.
pub(super) const SHA256: &str = "sha256";

/// The metadata key of the tensors' checksums: 8 hexadecimal digits each, in the order of their places in the file.
pub(super) const CRC32: &str = "crc32";

/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// Hexadecimal digits of a CRC-32.
const SHORT: usize = 8;

/// Tensors start at a multiple of this, so that a file mapped into memory needs no copy.
const ALIGNMENT: usize = 8;

/// Writes a file with these tensors and texts, and checksums over all of it.
///
/// The tensors are fetched one after the other. Their checksums are known when they are written, so the header is written twice:
/// first to take its place, then with the sums.
pub(super) fn write<W: Write + Seek + Send>(
    out: &mut W,
    tensors: &BTreeMap<String, StoredTensor>,
    mut texts: BTreeMap<String, String>,
    failed: &dyn Fn(std::io::Error) -> Error,
) -> Result<()> {
    // Wide numbers first keeps every tensor aligned; the same order as the crate's.
    let mut order: Vec<(&String, &StoredTensor)> = tensors.iter().collect();
    order.sort_by(|(a, left), (b, right)| right.dtype().cmp(&left.dtype()).then(a.cmp(b)));
    texts.insert(SHA256.to_string(), "0".repeat(DIGITS));
    texts.insert(CRC32.to_string(), "0".repeat(SHORT * order.len()));
    let mut start = header(&order, &texts);
    out.write_all(&start).map_err(failed)?;
    let mut sums = String::with_capacity(SHORT * order.len());
    for (_, tensor) in &order {
        let mut sum = crc32fast::Hasher::new();
        let written = tensor.lend_pieces(|piece| {
            sum.update(piece);
            out.write_all(piece)
        });
        written?.map_err(failed)?;
        // Writing to a String cannot fail.
        let _ = write!(sums, "{:08x}", sum.finalize());
        tensor.release();
    }
    fill_in(&mut start, CRC32, &sums);
    let sum = hex(Sha256::digest(&start));
    fill_in(&mut start, SHA256, &sum);
    out.seek(SeekFrom::Start(0)).map_err(failed)?;
    out.write_all(&start).map_err(failed)
}

/// Puts digits in the place that was kept for them.
fn fill_in(start: &mut [u8], key: &str, digits: &str) {
    // In JSON text a quote within a string is escaped, so this can only be the key itself.
    let key = format!("\"{key}\":\"");
    let place = find(start, &key).map(|at| at + key.len());
    if let Some(kept) = place.and_then(|at| start.get_mut(at..at + digits.len())) {
        kept.copy_from_slice(digits.as_bytes());
    }
}

/// The file up to its first tensor.
fn header(order: &[(&String, &StoredTensor)], texts: &BTreeMap<String, String>) -> Vec<u8> {
    let mut header = Map::new();
    header.insert("__metadata__".to_string(), json!(texts));
    let mut offset = 0;
    for (name, tensor) in order {
        let end = offset + tensor.byte_len();
        let entry = json!({
            "dtype": tensor.dtype().to_string(), "shape": tensor.shape(), "data_offsets": [offset, end],
        });
        header.insert((*name).clone(), entry);
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    let mut bytes = Vec::with_capacity(8 + header.len());
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes
}

/// What a file holds.
pub(super) struct Container {
    pub(super) source: Source,
    /// Where the tensors begin.
    pub(super) data: usize,
    pub(super) texts: BTreeMap<String, String>,
    /// Sorted by place.
    pub(super) tensors: Vec<(String, StoredTensor)>,
}

impl Container {
    pub(super) fn read(source: &Source) -> Result<Self> {
        let bytes = source.bytes();
        let damaged = |place: &str, reason: String| Error::malformed(source, "safetensors", place, reason);
        let (header_bytes, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| damaged(place_of(bytes, &error), error.to_string()))?;
        let data = 8 + header_bytes;
        if let Some(name) = repeated_name(&bytes[8..data]) {
            return Err(damaged(
                "the header",
                format!("the name '{}' is there twice", shorten(&name)),
            ));
        }
        let mut infos: Vec<_> = header.tensors().into_iter().collect();
        let items = source.limits().items;
        if infos.len() > items {
            return Err(damaged(
                "the header",
                format!("{} tensors, at most {items} are read", infos.len()),
            ));
        }
        infos.sort_unstable_by(|(a, left), (b, right)| left.data_offsets.cmp(&right.data_offsets).then(a.cmp(b)));
        let end = infos.last().map_or(0, |(_, info)| info.data_offsets.1);
        if end != bytes.len() - data {
            let reason = format!("the tensors take {end} bytes, the file has {}", bytes.len() - data);
            return Err(damaged(&format!("the data (from byte {data})"), reason));
        }
        let mut tensors = Vec::with_capacity(infos.len());
        for (name, info) in infos {
            let (start, end) = info.data_offsets;
            let part = source.part(data + start..data + end);
            let tensor = part.and_then(|part| StoredTensor::in_file(info.dtype, info.shape.clone(), part));
            let Some(tensor) = tensor else {
                let place = format!("the tensor '{}'", shorten(&name));
                return Err(damaged(
                    &place,
                    format!("{:?} {} do not take {} bytes", info.shape, info.dtype, end - start),
                ));
            };
            tensors.push((name, tensor));
        }
        Ok(Container {
            source: source.clone(),
            data,
            texts: texts(&header),
            tensors,
        })
    }

    /// The file up to its first tensor.
    fn start(&self) -> &[u8] {
        &self.source.bytes()[..self.data]
    }

    /// Compares the checksum over header and data, as version 1 has it.
    pub(super) fn verify_whole(&self) -> Result<()> {
        self.verify(&self.source.bytes()[self.data..], "the file")
    }

    /// Compares the checksum of the header, and gives each tensor its own.
    pub(super) fn verify_header(&mut self) -> Result<()> {
        self.verify(&[], "the header")?;
        let sums = self.text(CRC32)?;
        let wrong = || Error::Metadata {
            path: self.source.path().to_path_buf(),
            key: CRC32,
            reason: format!(
                "it is not {SHORT} hexadecimal digits for each of the {} tensors",
                self.tensors.len()
            ),
        };
        if sums.len() != SHORT * self.tensors.len() || !sums.is_ascii() {
            return Err(wrong());
        }
        let sums = sums.as_bytes().chunks(SHORT).map(|digits| {
            let digits = str::from_utf8(digits).unwrap_or_default();
            u32::from_str_radix(digits, 16).map_err(|_| wrong())
        });
        let sums: Vec<u32> = sums.collect::<Result<_>>()?;
        for ((name, tensor), sum) in self.tensors.iter_mut().zip(sums) {
            *tensor = tensor.clone().with_checksum(name, sum);
        }
        Ok(())
    }

    fn verify(&self, behind: &[u8], place: &str) -> Result<()> {
        let expected = self.text(SHA256)?;
        let found = checksum(self.start(), behind, expected);
        if found.as_deref() == Some(expected) {
            return Ok(());
        }
        Err(Error::Checksum {
            path: self.source.path().to_path_buf(),
            place: place.to_string(),
            expected: shorten(expected),
            found: found.unwrap_or_else(|| "(the digits are not in the header as they are)".to_string()),
        })
    }

    pub(super) fn text(&self, key: &'static str) -> Result<&str> {
        self.texts.get(key).map(String::as_str).ok_or_else(|| Error::NoModel {
            path: self.source.path().to_path_buf(),
            key,
        })
    }
}

fn texts(header: &Header) -> BTreeMap<String, String> {
    header.metadata().clone().unwrap_or_default().into_iter().collect()
}

/// Where in the file the crate found something wrong.
fn place_of(bytes: &[u8], error: &safetensors::SafeTensorError) -> &'static str {
    use safetensors::SafeTensorError as E;
    match error {
        E::HeaderTooSmall | E::HeaderTooLarge | E::InvalidHeaderLength if bytes.len() < 8 => {
            "bytes 0 to 7, the length of the header"
        }
        E::HeaderTooSmall | E::HeaderTooLarge | E::InvalidHeaderLength => "bytes 0 to 7, the length of the header",
        E::MetadataIncompleteBuffer => "the data behind the header",
        _ => "the header, from byte 8",
    }
}

/// A key that the header's object has twice; JSON readers take one of them without a word.
fn repeated_name(header: &[u8]) -> Option<String> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut seen, mut twice) = (BTreeSet::new(), None);
            while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
                if !seen.insert(name.clone()) {
                    twice = Some(name);
                }
            }
            Ok(twice)
        }
    }
    // What is no object is no header either; the crate has said so before.
    serde_json::Deserializer::from_slice(header)
        .deserialize_map(Names)
        .unwrap_or(None)
}

/// The SHA-256 with zeros in the place of the checksum itself (its first occurrence in the header).
fn checksum(header: &[u8], data: &[u8], stated: &str) -> Option<String> {
    if stated.len() != DIGITS {
        return None;
    }
    let at = find(header, stated)?;
    let mut hash = Sha256::new();
    hash.update(&header[..at]);
    hash.update("0".repeat(DIGITS));
    hash.update(&header[at + DIGITS..]);
    hash.update(data);
    Some(hex(hash.finalize()))
}

/// Where a text is in the file up to its first tensor: behind the length of the header, which is UTF-8.
fn find(start: &[u8], text: &str) -> Option<usize> {
    let (length, header) = start.split_first_chunk::<8>()?;
    Some(length.len() + std::str::from_utf8(header).ok()?.find(text)?)
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
