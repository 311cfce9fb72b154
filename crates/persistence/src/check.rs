//! Checksums that are compared when the bytes behind them are used for the first time.

use std::sync::atomic::{AtomicBool, Ordering};

use crc32fast::Hasher;

use crate::pieces::{PIECE, in_pieces};
use crate::{Error, Result, Source};

/// What the bytes of a part of a file must add up to.
pub(crate) struct Check {
    /// What was summed: a tensor, or a member of an archive with all that is in it.
    region: Source,
    crc32: u32,
    /// Says what is wrong, given the sum that was found.
    wrong: Box<dyn Fn(u32) -> Error + Send + Sync>,
    passed: AtomicBool,
}

impl Check {
    pub(crate) fn new(region: Source, crc32: u32, wrong: impl Fn(u32) -> Error + Send + Sync + 'static) -> Self {
        Check {
            region,
            crc32,
            wrong: Box::new(wrong),
            passed: AtomicBool::new(false),
        }
    }

    /// Compares the sum, unless that was done before. The bytes of `part` are about to be used; others do not stay in memory.
    pub(crate) fn pass(&self, part: &Source) -> Result<()> {
        if self.passed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let begin = self.region.offset();
        let used = part.offset()..part.offset() + part.bytes().len();
        let bytes = self.region.bytes();
        let sums = in_pieces(bytes, |piece, start| {
            let sum = sum_of(piece);
            let here = begin + start..begin + start + piece.len();
            if here.end <= used.start || used.end <= here.start {
                self.release(start..start + piece.len());
            }
            sum
        });
        self.compare(sums)
    }

    /// Compares the sum while `read` goes through the bytes of `part`: they come from memory once and not twice.
    ///
    /// Nothing that was read counts before the sum is known to be right.
    pub(crate) fn pass_while<T: Send>(&self, part: &Source, read: impl Fn(&[u8]) -> T + Sync) -> Result<Vec<T>> {
        let region = self.region.bytes();
        let start = part.offset().saturating_sub(self.region.offset());
        let end = start + part.bytes().len();
        let (Some(before), Some(behind)) = (region.get(..start), region.get(end..)) else {
            self.pass(part)?;
            return Ok(in_pieces(part.bytes(), |piece, _| read(piece)));
        };
        if self.passed.load(Ordering::Relaxed) || before.len() + behind.len() > PIECE {
            self.pass(part)?;
            return Ok(in_pieces(part.bytes(), |piece, _| read(piece)));
        }
        let (mut sums, mut values) = (vec![sum_of(before)], Vec::new());
        for (sum, value) in in_pieces(part.bytes(), |piece, _| (sum_of(piece), read(piece))) {
            sums.push(sum);
            values.push(value);
        }
        sums.push(sum_of(behind));
        self.compare(sums)?;
        Ok(values)
    }

    fn release(&self, range: std::ops::Range<usize>) {
        if let Some(part) = self.region.part(range) {
            part.release();
        }
    }

    /// The sums of pieces that follow each other.
    fn compare(&self, sums: Vec<Hasher>) -> Result<()> {
        let mut whole = Hasher::new();
        sums.iter().for_each(|sum| whole.combine(sum));
        let found = whole.finalize();
        if found != self.crc32 {
            return Err((self.wrong)(found));
        }
        self.passed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn sum_of(bytes: &[u8]) -> Hasher {
    let mut hash = Hasher::new();
    hash.update(bytes);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use std::path::Path;

    fn checked(flipped: Option<usize>) -> Source {
        let mut bytes: Vec<u8> = (0..PIECE as u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
        let crc32 = crc32fast::hash(&bytes);
        if let Some(at) = flipped {
            bytes[at] ^= 1;
        }
        let source = Source::from_bytes(Path::new("file"), bytes, &Limits::default());
        source.checked(crc32, |found| Error::NotWritten {
            path: "file".into(),
            format: crate::Format::Npz,
            what: format!("{found:08x}"),
            reason: "wrong".to_string(),
        })
    }

    #[test]
    fn a_bit_anywhere_in_the_region_is_found_by_every_part_of_it() {
        for flipped in [0, 5 * PIECE / 2, 4 * PIECE - 1] {
            let source = checked(Some(flipped));
            for range in [0..4 * PIECE, 100..4 * PIECE - 7, 0..0, PIECE..PIECE + 9] {
                let part = source.part(range).unwrap();
                assert!(
                    part.verify().is_err() && part.scan(<[u8]>::len).is_err(),
                    "{flipped} {part:?}"
                );
            }
        }
    }

    #[test]
    fn a_scan_sees_every_byte_of_its_part() {
        for range in [0..4 * PIECE, 100..4 * PIECE - 7, 0..0, PIECE..2 * PIECE + 9] {
            let part = checked(None).part(range.clone()).unwrap();
            let seen: usize = part.scan(<[u8]>::len).unwrap().into_iter().sum();
            assert_eq!(seen, range.len());
            part.verify().unwrap();
        }
    }
}
