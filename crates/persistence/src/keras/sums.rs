//! Sums of the parts of `model.weights.h5`, which our own archives have in `metadata.json` under the key `crc32`.
//!
//! An archive has one CRC-32 for a member, and so the first tensor that is used waits until all of them have been read. Parts with sums of
//! their own are compared when they are used, and read once. Nothing new is to be trusted: the sums of the parts must add up to the one
//! that the archive has, else they are left alone. Keras does not look at what else is in `metadata.json`.

use std::io::{self, Write};

use crc32fast::Hasher;
use serde_json::{Value, json};

/// The key in `metadata.json`.
pub(super) const CRC32: &str = "crc32";

/// More parts are neither written nor read: to add up a hundred thousand sums of nothing would take longer than to read a file. The largest
/// model of `keras.applications` has some hundreds of tensors that are parts of their own.
const MOST: usize = 1 << 12;

/// Sums what passes, in parts of given lengths.
pub(super) struct Summing<W> {
    to: W,
    /// The lengths of the parts to come, the next one last.
    lengths: Vec<usize>,
    hash: Hasher,
    /// Bytes of the part that passes now.
    passed: usize,
    sums: Vec<(usize, u32)>,
}

impl<W: Write> Summing<W> {
    /// Parts of no bytes are none.
    pub(super) fn new(to: W, lengths: impl Iterator<Item = usize>) -> Self {
        let mut lengths: Vec<usize> = lengths.filter(|&length| length > 0).collect();
        lengths.reverse();
        Summing {
            to,
            lengths,
            hash: Hasher::new(),
            passed: 0,
            sums: Vec::new(),
        }
    }

    /// Lengths and sums of the parts as `metadata.json` has them.
    pub(super) fn table(self) -> Value {
        let sums = self.sums.iter().take(MOST + 1);
        let table: Vec<Value> = sums
            .map(|(length, sum)| json!([length, format!("{sum:08x}")]))
            .collect();
        if table.len() > MOST {
            Value::Null
        } else {
            Value::Array(table)
        }
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(length) = self.lengths.last() else {
            return self.to.write(bytes);
        };
        let most = bytes.len().min(length - self.passed);
        let count = self.to.write(&bytes[..most])?;
        self.hash.update(&bytes[..count]);
        self.passed += count;
        if self.passed == *length {
            let hash = std::mem::take(&mut self.hash);
            self.sums.push((self.passed, hash.finalize()));
            self.passed = 0;
            self.lengths.pop();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The table that `metadata.json` has, and none where it is no table.
pub(super) fn table_of(metadata: &Value) -> Vec<(usize, u32)> {
    let entry = |value: &Value| -> Option<(usize, u32)> {
        let [length, sum] = value.as_array()?.as_slice() else {
            return None;
        };
        let length = usize::try_from(length.as_u64()?).ok()?;
        Some((length, u32::from_str_radix(sum.as_str()?, 16).ok()?))
    };
    let table = metadata.get(CRC32).and_then(Value::as_array);
    let table = table.filter(|table| table.len() <= MOST);
    table
        .and_then(|table| table.iter().map(entry).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_summed_is_read_back() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut summing = Summing::new(Vec::new(), [30, 0, 1, 69].into_iter());
        for piece in [&bytes[..7], &bytes[7..40], &bytes[40..]] {
            summing.write_all(piece).unwrap();
        }
        assert_eq!(summing.to, bytes);
        let expected = [&bytes[..30], &bytes[30..31], &bytes[31..]].map(|part| (part.len(), crc32fast::hash(part)));
        assert_eq!(table_of(&json!({ CRC32: summing.table() })), expected);
    }

    #[test]
    fn what_is_no_table_is_none() {
        let many = vec![json!([1, "00000000"]); MOST + 1];
        for value in [
            json!(null),
            json!("text"),
            json!([[1, "00000000"], [1]]),
            json!([[-1, "00000000"]]),
            json!([[1, "0x"]]),
            json!([[1, "123456789"]]),
            json!([[1, 5]]),
            json!(many),
        ] {
            assert_eq!(table_of(&json!({ CRC32: value })), [], "{value}");
        }
        let parts = std::iter::repeat_n(1, MOST + 1);
        let mut summing = Summing::new(Vec::new(), parts);
        summing.write_all(&[0; MOST + 1]).unwrap();
        assert_eq!(summing.table(), Value::Null);
    }
}
