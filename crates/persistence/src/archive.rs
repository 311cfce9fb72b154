//! The members of a zip archive, read in memory under limits; nothing is ever extracted.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::Source;
use crate::fault::{Fault, Result, quoted};

/// Members up to this size may have any ratio: a page of blanks packs well and harms nobody.
const SMALL: u64 = 1 << 20;

struct Member {
    start: usize,
    stored: usize,
    size: u64,
    deflated: bool,
    crc32: u32,
}

/// When the CRC-32 of a stored member is compared, for which all of its bytes are looked at.
#[derive(Clone, Copy)]
pub(crate) enum Checked<'a> {
    /// Before anything is read.
    Now,
    /// When it, or a part of it, is used as numbers for the first time.
    InUse {
        /// For the message.
        format: &'static str,
        /// Lengths and sums of its parts, where they are known.
        sums: &'a [(usize, u32)],
    },
    /// By nobody: PyTorch does not either.
    Never,
}

/// An archive whose directory was read and checked.
pub(crate) struct Archive {
    source: Source,
    members: BTreeMap<String, Member>,
    /// The names in the order of the directory.
    order: Vec<String>,
}

impl Archive {
    pub(crate) fn read(source: &Source) -> Result<Self> {
        let (bytes, limits) = (source.bytes(), source.limits());
        let broken = |error: zip::result::ZipError| Fault::new("the zip directory", error.to_string());
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        if zip.has_duplicate_names() {
            return Err(Fault::new("the zip directory", "two members have the same name"));
        }
        if zip.len() > limits.items {
            let reason = format!("{} members, at most {} are read", zip.len(), limits.items);
            return Err(Fault::new("the zip directory", reason));
        }
        let mut archive = Archive {
            source: source.clone(),
            members: BTreeMap::new(),
            order: Vec::with_capacity(zip.len()),
        };
        let mut sum = 0u64;
        for index in 0..zip.len() {
            let member = zip.by_index_raw(index).map_err(broken)?;
            let name = String::from_utf8(member.name_raw().to_vec())
                .map_err(|_| Fault::new(format!("member {index}"), "its name is not UTF-8"))?;
            let refused = |reason: String| Fault::new(format!("member '{}'", quoted(&name)), reason);
            if member.is_dir() {
                continue;
            }
            if member.encrypted() {
                return Err(refused("is encrypted; save the file without a password".to_string()));
            }
            let deflated = match member.compression() {
                CompressionMethod::Stored => false,
                CompressionMethod::DEFLATE => true,
                other => {
                    return Err(refused(format!(
                        "is compressed by {other}; stored and deflated ones are read"
                    )));
                }
            };
            let (size, stored) = (member.size(), member.compressed_size());
            if size > SMALL && size / limits.ratio.max(1) > stored {
                return Err(refused(format!(
                    "{stored} bytes that claim to unpack to {size}, more than {} times as many",
                    limits.ratio
                )));
            }
            if !deflated && size != stored {
                return Err(refused(format!(
                    "is stored with {stored} bytes, its size is given as {size}"
                )));
            }
            sum = sum.saturating_add(size);
            // In sum as well: several members may claim the same stored bytes.
            let limit = limits
                .bytes
                .min((bytes.len() as u64).saturating_mul(limits.ratio).saturating_add(SMALL));
            if sum > limit {
                let reason =
                    format!("the members up to here unpack to {sum} bytes, more than the {limit} that are read");
                return Err(refused(reason));
            }
            let start = member.data_start().and_then(|start| usize::try_from(start).ok());
            let range = start.zip(usize::try_from(stored).ok());
            let inside =
                range.filter(|&(start, stored)| start.checked_add(stored).is_some_and(|end| end <= bytes.len()));
            let Some((start, stored)) = inside else {
                return Err(refused(format!("its {stored} bytes lie outside of the file")));
            };
            let member = Member {
                start,
                stored,
                size,
                deflated,
                crc32: member.crc32(),
            };
            archive.members.insert(name.clone(), member);
            archive.order.push(name);
        }
        Ok(archive)
    }

    /// The names of the members in the order of the directory.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// How many bytes a member unpacks to.
    pub(crate) fn size(&self, name: &str) -> Option<u64> {
        self.members.get(name).map(|member| member.size)
    }

    /// The bytes of a member: those of the file where they are stored as they are.
    ///
    /// What is unpacked is compared with its CRC-32 while that is done; `checked` says when it is for a member that is stored as it is.
    pub(crate) fn member(&self, name: &str, checked: Checked<'_>) -> Result<Option<Source>> {
        let Some(member) = self.members.get(name) else {
            return Ok(None);
        };
        let part = self.source.part(member.start..member.start + member.stored);
        let part = part.ok_or_else(|| Fault::new(format!("member '{}'", quoted(name)), "lies outside of the file"))?;
        let place = || format!("member '{}'", quoted(name));
        let check = |size: u64, crc32: u32| {
            if size != member.size {
                let found = if size > member.size { "more" } else { "fewer" };
                let reason = format!("unpacks to {found} than the {} bytes it claims", member.size);
                return Err(Fault::new(place(), reason));
            }
            if crc32 == member.crc32 {
                Ok(())
            } else {
                Err(another_sum(name, crc32, member.crc32))
            }
        };
        if !member.deflated {
            match checked {
                Checked::Now => check(member.size, crc32fast::hash(part.bytes()))?,
                Checked::InUse { format, sums } => {
                    let (name, path) = (name.to_string(), part.path().to_path_buf());
                    let wrong = move |found, expected| another_sum(&name, found, expected).in_file(&path, format);
                    return Ok(Some(part.checked(member.crc32, sums, wrong)));
                }
                Checked::Never => {}
            }
            return Ok(Some(part));
        }
        let unpack = |keep: &mut dyn FnMut(&[u8])| {
            let found = unpacked(part.bytes(), member.size, keep);
            found.map_err(|error| Fault::new(place(), format!("cannot be unpacked: {error}")))
        };
        if member.size > SMALL {
            // Memory is not asked for on the word of the directory: the first time through only counts.
            let (size, crc32) = unpack(&mut |_| {})?;
            check(size, crc32)?;
        }
        let mut bytes = Vec::with_capacity(member.size as usize);
        let (size, crc32) = unpack(&mut |piece| bytes.extend_from_slice(piece))?;
        check(size, crc32)?;
        Ok(Some(Source::from_bytes(
            self.source.path(),
            bytes,
            self.source.limits(),
        )))
    }
}

/// Unpacks piece by piece, at most one byte more than `most`; how many bytes came out, and their CRC-32.
fn unpacked(stored: &[u8], most: u64, keep: &mut dyn FnMut(&[u8])) -> std::io::Result<(u64, u32)> {
    let mut unpacking = DeflateDecoder::new(stored).take(most.saturating_add(1));
    let mut piece = [0; 1 << 14];
    let (mut size, mut hash) = (0, crc32fast::Hasher::new());
    loop {
        match unpacking.read(&mut piece)? {
            0 => return Ok((size, hash.finalize())),
            count => {
                size += count as u64;
                hash.update(&piece[..count]);
                keep(&piece[..count]);
            }
        }
    }
}

fn another_sum(name: &str, found: u32, expected: u32) -> Fault {
    let reason = format!("has the CRC-32 {found:08x}, the directory says {expected:08x}");
    Fault::new(format!("member '{}'", quoted(name)), reason)
}
