//! HDF5's links that lead elsewhere: soft ones to a path, external ones to a path in another file.
//!
//! The crate that reads groups passes over them, so that what they stand for only seems to be missing. They are looked for in all bytes
//! that are not numbers, because a group has three places for its links: its header, a heap, and a symbol table. This serves the
//! message; whether it finds one or not, no link is followed.

use std::ops::Range;

/// Names and paths are not longer than this.
const LONGEST: usize = 1 << 12;

/// A link that leads elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Where in the file it is stored.
    pub(super) byte: usize,
    /// The other file of an external link.
    pub(super) file: Option<String>,
    /// Name and target; `None` where its heap was not found.
    pub(super) name: Option<String>,
    pub(super) target: Option<String>,
}

/// The first link in `bytes`, of which `numbers` (sorted) are not looked at, and no more than `most` others.
pub(super) fn first(bytes: &[u8], numbers: &[Range<usize>], most: usize) -> Option<Link> {
    let end = bytes.len();
    let (mut start, mut left) = (0, most);
    for range in numbers.iter().chain([&(end..end)]) {
        let part = start.min(end)..range.start.min(end).min(start.saturating_add(left));
        left -= part.len();
        if let Some(link) = within(bytes, part) {
            return Some(link);
        }
        start = start.max(range.end);
    }
    None
}

fn within(bytes: &[u8], part: Range<usize>) -> Option<Link> {
    let mut places = part;
    places.find_map(|at| match bytes[at] {
        1 => message(bytes.get(at..)?, at),
        b'S' if bytes[at..].starts_with(b"SNOD\x01\0") => symbol(bytes, at),
        _ => None,
    })
}

/// A link message, as newer groups have it in their header or in a heap.
///
/// Version 1; flags (0 and 1: width of the length of the name, 2: creation order, 3: kind, 4: character set), kind (1 is soft, 64
/// external), creation order, character set, length and name, length and target.
fn message(bytes: &[u8], at: usize) -> Option<Link> {
    let mut rest = bytes;
    let mut take = |count: usize| {
        let (part, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(part)
    };
    let &[1, flags, kind @ (1 | 64)] = take(3)? else {
        return None;
    };
    if flags & 0b1110_1000 != 0b0000_1000 {
        return None;
    }
    if flags & 0b0100 != 0 {
        take(8)?;
    }
    if flags & 0b1_0000 != 0 && take(1)? > &[1][..] {
        return None;
    }
    let width = 1 << (flags & 0b11);
    let length = little_endian(take(width)?);
    let name = text(take(length.filter(|&length| length <= LONGEST)?)?)?;
    let length = little_endian(take(2)?)?;
    let target = take(length)?;
    let (target, file) = match kind {
        1 => (text(target)?, None),
        // Version and flags, then file and path, each with a zero behind it.
        _ => {
            let mut parts = target.strip_prefix(b"\0")?.split(|&byte| byte == 0);
            let (file, path) = (text(parts.next()?)?, text(parts.next()?)?);
            (path, Some(file))
        }
    };
    Some(Link {
        byte: at,
        file,
        name: Some(name),
        target: Some(target),
    })
}

/// A soft link in a node of a symbol table, as older groups have it: 40 bytes an entry, of which these hold addresses of 8 bytes.
fn symbol(bytes: &[u8], node: usize) -> Option<Link> {
    let count = little_endian(bytes.get(node + 6..node + 8)?)?;
    let entries = bytes.get(node + 8..)?.as_chunks::<40>().0.iter().take(count);
    // Kind 2 is a soft link; 4 bytes of nothing follow.
    let (number, entry) = entries
        .enumerate()
        .find(|(_, entry)| entry[16..24] == [2, 0, 0, 0, 0, 0, 0, 0])?;
    let heap = heap_of(bytes, node);
    let at = |offset: Option<usize>| {
        let rest = bytes.get(heap?.checked_add(offset?)?..)?;
        text(rest.split(|&byte| byte == 0).next()?)
    };
    Some(Link {
        byte: node + 8 + 40 * number,
        file: None,
        name: at(little_endian(&entry[..8])),
        target: at(little_endian(&entry[24..28])),
    })
}

/// The names of the group whose symbol table has this node: the group's header names the tree above the node, and beside it the heap.
fn heap_of(bytes: &[u8], node: usize) -> Option<usize> {
    let address = |at: usize| little_endian(bytes.get(at..at.checked_add(8)?)?);
    let trees = bytes
        .windows(6)
        .enumerate()
        .filter(|(_, window)| *window == b"TREE\0\0");
    for (tree, _) in trees {
        let count = little_endian(bytes.get(tree + 6..tree + 8)?)?;
        let mut children = (0..count).map_while(|child| address(tree + 32 + 16 * child));
        if !children.any(|child| child == node) {
            continue;
        }
        let named = (tree as u64).to_le_bytes();
        let headers = bytes.windows(8).enumerate().filter(|(_, window)| *window == named);
        for (header, _) in headers {
            let heap = address(header + 8)?;
            if bytes.get(heap..).is_some_and(|rest| rest.starts_with(b"HEAP\0")) {
                return address(heap + 24);
            }
        }
    }
    None
}

fn little_endian(bytes: &[u8]) -> Option<usize> {
    let number = bytes
        .iter()
        .rev()
        .fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    usize::try_from(number).ok()
}

/// What can be the name of something.
fn text(bytes: &[u8]) -> Option<String> {
    let text = str::from_utf8(bytes).ok()?;
    let is_name = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    is_name.then(|| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flags, kind, and what follows, with the width of a name's length of one byte.
    fn link(flags: u8, kind: u8, before: &[u8], name: &[u8], target: &[u8]) -> Vec<u8> {
        let head = [&[1, flags, kind], before, &[name.len() as u8], name].concat();
        [&head, &(target.len() as u16).to_le_bytes()[..], target].concat()
    }

    fn found(bytes: &[u8]) -> Option<(String, String)> {
        let link = first(bytes, &[], usize::MAX)?;
        Some((link.name?, link.target?))
    }

    #[test]
    fn soft_and_external_links_are_found_and_hard_ones_are_none() {
        let soft = link(8, 1, &[], b"kernel", b"/elsewhere");
        assert_eq!(found(&soft), Some(("kernel".into(), "/elsewhere".into())));
        let with_order = link(8 | 4 | 16, 1, &[9, 0, 0, 0, 0, 0, 0, 0, 1], b"kernel", b"/elsewhere");
        assert_eq!(found(&with_order), found(&soft));
        let external = link(8, 64, &[], b"kernel", b"\0/etc/passwd\0/root\0");
        let file = first(&external, &[], usize::MAX).and_then(|link| link.file);
        assert_eq!(file.as_deref(), Some("/etc/passwd"));
        assert_eq!(found(&external), Some(("kernel".into(), "/root".into())));
        for other in [
            link(8, 0, &[], b"kernel", &[7; 8]),
            link(0, 1, &[], b"kernel", b"/elsewhere"),
            link(8, 1, &[], b"", b"/elsewhere"),
            link(8, 1, &[], b"ker\0nel", b"/elsewhere"),
            soft[..soft.len() - 1].to_vec(),
        ] {
            assert_eq!(found(&other), None, "{other:?}");
        }
    }

    #[test]
    fn numbers_are_not_looked_at() {
        let soft = link(8, 1, &[], b"kernel", b"/elsewhere");
        let bytes = [&soft, &[0; 100][..], &soft].concat();
        let second = soft.len() + 100;
        assert_eq!(first(&bytes, &[], usize::MAX).map(|link| link.byte), Some(0));
        assert_eq!(
            first(&bytes, std::slice::from_ref(&(0..soft.len())), usize::MAX).map(|link| link.byte),
            Some(second)
        );
        assert_eq!(first(&bytes, &[0..soft.len(), second..bytes.len()], usize::MAX), None);
        assert_eq!(first(&bytes, std::slice::from_ref(&(0..soft.len())), 50), None);
        assert_eq!(
            first(&bytes, std::slice::from_ref(&(0..bytes.len() + 9)), usize::MAX),
            None
        );
    }
}
