//! Checksums that are compared when the bytes behind them are used for the first time.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crc32fast::Hasher;

use crate::pieces::{PIECE, in_pieces};
use crate::{Error, Result, Source};

/// So many bytes are gone through before those that nobody asked for are given back.
const STRETCH: usize = 16 * PIECE;

/// What the bytes of a part of a file must add up to.
pub(crate) struct Check {
    /// What was summed: a tensor, or a member of an archive with all that is in it.
    region: Source,
    crc32: u32,
    /// One behind the other, all of the region.
    spans: Vec<Span>,
    wrong: Box<Wrong>,
}

/// Says what is wrong, given the sum that was found, and the one that was expected.
pub(crate) type Wrong = dyn Fn(u32, u32) -> Error + Send + Sync;

/// Bytes that have a sum of their own.
struct Span {
    bytes: Source,
    crc32: u32,
    passed: AtomicBool,
}

impl Check {
    pub(crate) fn new(region: Source, crc32: u32, wrong: Box<Wrong>) -> Self {
        let span = Span {
            bytes: region.clone(),
            crc32,
            passed: AtomicBool::new(false),
        };
        Check {
            region,
            crc32,
            spans: vec![span],
            wrong,
        }
    }

    /// The same in spans of these lengths and sums, each of which is compared when it is used: what is read once must not wait for the sum
    /// of all. Unchanged where the sums do not add up to that of the region: then they are those of other bytes.
    pub(crate) fn in_spans(self, sums: &[(usize, u32)]) -> Self {
        let (mut spans, mut start, mut whole) = (Vec::with_capacity(sums.len()), 0usize, Hasher::new());
        for &(length, crc32) in sums {
            let end = start.checked_add(length);
            let Some(bytes) = end.and_then(|end| self.region.part(start..end)) else {
                return self;
            };
            whole.combine(&Hasher::new_with_initial_len(crc32, length as u64));
            start += length;
            spans.push(Span {
                bytes,
                crc32,
                passed: AtomicBool::new(false),
            });
        }
        if start != self.region.bytes().len() || whole.finalize() != self.crc32 {
            return self;
        }
        Check { spans, ..self }
    }

    /// Compares the sums of `part`, unless that was done before. Its bytes are about to be used; others do not stay in memory.
    pub(crate) fn pass(&self, part: &Source) -> Result<()> {
        self.touched(part).try_for_each(|span| self.pass_span(span, part))
    }

    /// The spans that have bytes of a part; those around an empty one.
    fn touched(&self, part: &Source) -> impl Iterator<Item = &Span> {
        let used = place(part);
        let touches = move |span: &&Span| {
            let here = place(&span.bytes);
            here.start <= used.start && used.end <= here.end || here.start < used.end && used.start < here.end
        };
        self.spans.iter().filter(touches)
    }

    fn pass_span(&self, span: &Span, part: &Source) -> Result<()> {
        if span.passed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (here, used) = (place(&span.bytes), place(part));
        let bytes = span.bytes.bytes();
        let mut sums = Vec::new();
        for start in (0..bytes.len()).step_by(STRETCH) {
            let end = bytes.len().min(start + STRETCH);
            sums.extend(in_pieces(&bytes[start..end], sum_of));
            // From the beginning: the system maps pages around those that are looked at, also some of the stretch before.
            let end = here.start + end;
            for unused in [here.start..end.min(used.start), here.start.max(used.end)..end] {
                if let Some(unused) = self.region.at(unused) {
                    unused.release();
                }
            }
        }
        self.compare(span, sums)
    }

    /// Compares the sum while `read` goes through the bytes of `part`: they come from memory once and not twice.
    ///
    /// Nothing that was read counts before the sum is known to be right.
    pub(crate) fn pass_while<T: Send>(&self, part: &Source, read: impl Fn(&[u8]) -> T + Sync) -> Result<Vec<T>> {
        let used = place(part);
        let span = self.touched(part).find(|span| {
            let here = place(&span.bytes);
            here.start <= used.start && used.end <= here.end && here.len() - used.len() <= PIECE
        });
        let Some(span) = span.filter(|span| !span.passed.load(Ordering::Relaxed)) else {
            self.pass(part)?;
            return Ok(in_pieces(part.bytes(), read));
        };
        let (bytes, start) = (span.bytes.bytes(), place(&span.bytes).start);
        let (mut sums, mut values) = (vec![sum_of(&bytes[..used.start - start])], Vec::new());
        for (sum, value) in in_pieces(part.bytes(), |piece| (sum_of(piece), read(piece))) {
            sums.push(sum);
            values.push(value);
        }
        sums.push(sum_of(&bytes[used.end - start..]));
        self.compare(span, sums)?;
        Ok(values)
    }

    /// The sums of pieces that follow each other.
    fn compare(&self, span: &Span, sums: Vec<Hasher>) -> Result<()> {
        let mut whole = Hasher::new();
        sums.iter().for_each(|sum| whole.combine(sum));
        let found = whole.finalize();
        if found != span.crc32 {
            return Err((self.wrong)(found, span.crc32));
        }
        span.passed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Where in its file a part lies.
fn place(part: &Source) -> Range<usize> {
    part.offset()..part.offset() + part.bytes().len()
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

    /// Four pieces and what they add up to, as a whole and in spans of these lengths.
    fn checked_in(lengths: &[usize], flipped: Option<usize>) -> Source {
        let mut bytes: Vec<u8> = (0..PIECE as u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
        let crc32 = crc32fast::hash(&bytes);
        let (mut sums, mut rest) = (Vec::new(), &bytes[..]);
        for &length in lengths {
            sums.push((length, crc32fast::hash(&rest[..length])));
            rest = &rest[length..];
        }
        if let Some(at) = flipped {
            bytes[at] ^= 1;
        }
        let source = Source::from_bytes(Path::new("file"), bytes, &Limits::default());
        let wrong = |found, expected| Error::NotWritten {
            path: "file".into(),
            format: crate::Format::Npz,
            what: format!("{found:08x}, not {expected:08x}"),
            reason: "wrong".to_string(),
        };
        source.checked(crc32, &sums, wrong)
    }

    fn checked(flipped: Option<usize>) -> Source {
        checked_in(&[], flipped)
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

    const SPANS: [usize; 4] = [1000, 2 * PIECE, 0, 2 * PIECE - 1000];

    #[test]
    fn a_span_is_compared_without_the_others() {
        let ranges = [0..1000, 1000..1000 + 2 * PIECE, 1000 + 2 * PIECE..4 * PIECE];
        for (damaged, range) in ranges.iter().enumerate() {
            for flipped in [range.start, range.end - 1] {
                let source = checked_in(&SPANS, Some(flipped));
                for (index, range) in ranges.iter().enumerate() {
                    let (all, some) = (source.part(range.clone()), source.part(range.start + 7..range.end - 9));
                    for part in [all.unwrap(), some.unwrap()] {
                        assert_eq!(part.scan(<[u8]>::len).is_ok(), index != damaged, "{flipped} {part:?}");
                        assert_eq!(part.verify().is_ok(), index != damaged, "{flipped} {part:?}");
                    }
                }
                assert!(source.verify().is_err() && source.scan(<[u8]>::len).is_err());
            }
        }
        let seen = checked_in(&SPANS, None).scan(<[u8]>::len).unwrap();
        assert_eq!(seen.iter().sum::<usize>(), 4 * PIECE);
    }

    #[test]
    fn sums_of_other_bytes_are_not_used() {
        let crc32 = crc32fast::hash(&[1; 100]);
        let parts = |lengths: &[usize]| -> Vec<(usize, u32)> {
            lengths
                .iter()
                .map(|&length| (length, crc32fast::hash(&vec![1; length])))
                .collect()
        };
        let count = |sums: &[(usize, u32)]| {
            let source = Source::from_bytes(Path::new("file"), vec![1; 100], &Limits::default());
            let wrong = |_, _| unreachable!("nothing is compared");
            Check::new(source, crc32, Box::new(wrong)).in_spans(sums).spans.len()
        };
        assert_eq!(count(&parts(&[30, 70])), 2);
        for sums in [
            parts(&[]),
            parts(&[30, 69]),
            parts(&[30, 71]),
            vec![(30, 1), (70, 2)],
            vec![(usize::MAX, 1), (70, 2)],
        ] {
            assert_eq!(count(&sums), 1, "{sums:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_only_checked_does_not_stay_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checked");
        let bytes = vec![7; 2 * STRETCH + PIECE + 1000];
        std::fs::write(&path, &bytes).unwrap();
        let source = Source::open(&path, &Limits::default()).unwrap();
        let source = source.checked(crc32fast::hash(&bytes), &[], |_, _| unreachable!("they are right"));
        source.part(STRETCH - 100..STRETCH + PIECE).unwrap().verify().unwrap();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (_, map) = maps.split_once(path.to_str().unwrap()).unwrap();
        let resident = map.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        let resident: usize = resident.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(resident << 10 <= 2 * PIECE, "{resident} kB");
    }
}
