//! Taking known files out of a `.tar.gz`, in memory.
//!
//! Only regular files whose last path component is a name that the caller expects come out, under that name: no path
//! of the archive ever reaches the file system, and links, devices and everything else are stepped over.
//!
//! Source: POSIX.1-1988 (ustar), <https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html>.

use crate::Result;
use crate::content::{Content, FETCH_AGAIN};
use std::path::Path;

const BLOCK: u64 = 512;
/// The largest file that is taken out; CIFAR-10's have 30,730,000 bytes.
const MAX_MEMBER: u64 = 64 << 20;
/// What all members together may unpack to.
const MAX_ARCHIVE: u64 = 1 << 30;

/// Hands each of `wanted` that the archive holds to `take`, and returns the names that it did not hold.
pub(crate) fn unpack<'a>(
    path: &Path,
    wanted: &[&'a str],
    mut take: impl FnMut(&'a str, &[u8]) -> Result<()>,
) -> Result<Vec<&'a str>> {
    let mut content = Content::open(path)?;
    let mut missing = wanted.to_vec();
    while let Some(header) = content.block_or_end(BLOCK, "a tar header")? {
        if header.iter().all(|&byte| byte == 0) {
            break; // two empty blocks end an archive, the first is enough
        }
        if checksum_of(&header) != octal(&header[148..156]) {
            return Err(content.malformed("a tar header with a valid checksum", "another one", FETCH_AGAIN));
        }
        let size = octal(&header[124..136]).filter(|size| content.offset().saturating_add(*size) <= MAX_ARCHIVE);
        let Some(size) = size else {
            return Err(content.malformed(format!("at most {MAX_ARCHIVE} unpacked bytes"), "more", FETCH_AGAIN));
        };
        let padding = size.next_multiple_of(BLOCK) - size;
        let regular = matches!(header[156], b'0' | 0);
        let name = last_component(&header[..100]);
        match missing
            .iter()
            .position(|wanted| wanted.as_bytes() == name)
            .filter(|_| regular)
        {
            Some(position) if size <= MAX_MEMBER => {
                let name = missing.remove(position);
                let bytes = content.take(size, name)?;
                take(name, &bytes)?;
                content.take(padding, "the padding of a tar member")?;
            }
            Some(_) => {
                let found = format!("{size} bytes");
                return Err(content.malformed(format!("a member of at most {MAX_MEMBER} bytes"), found, FETCH_AGAIN));
            }
            None => skip(&mut content, size + padding)?,
        }
    }
    Ok(missing)
}

fn skip(content: &mut Content, mut count: u64) -> Result<()> {
    while count > 0 {
        let step = count.min(64 * 1024);
        content.take(step, "a tar member")?;
        count -= step;
    }
    Ok(())
}

/// The sum of the header's bytes, its own field counted as spaces.
fn checksum_of(header: &[u8]) -> Option<u64> {
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    Some(sum(&header[..148]) + 8 * u64::from(b' ') + sum(&header[156..]))
}

/// Octal digits, padded with spaces or zero bytes.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(|letter| letter == ' ' || letter == '\0'), 8).ok()
}

fn last_component(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    field[..end].rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}
