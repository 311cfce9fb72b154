//! The zip archive of a `.keras` file: members are found and read in memory, nothing is ever extracted.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::source::shorten;
use crate::{Error, Result, Source};

const NAME: &str = "Keras archive";

/// Members that unpack to no more than this may do so in any ratio: a page of blanks packs well and harms nobody.
const HARMLESS: u64 = 1 << 20;

/// An archive whose directory was read.
pub(super) struct Archive {
    source: Source,
    members: BTreeMap<String, Member>,
}

struct Member {
    start: usize,
    packed: usize,
    size: u64,
    crc32: u32,
    stored: bool,
}

impl Archive {
    pub(super) fn read(source: &Source) -> Result<Self> {
        const DIRECTORY: &str = "the directory at the end";
        let wrong = |place: &str, reason: String| Error::malformed(source, NAME, place, reason);
        let mut zip =
            ZipArchive::new(Cursor::new(source.bytes())).map_err(|error| wrong(DIRECTORY, error.to_string()))?;
        let items = source.limits().items;
        if zip.len() > items {
            return Err(wrong(
                DIRECTORY,
                format!("{} members, at most {items} are read", zip.len()),
            ));
        }
        let mut members = BTreeMap::new();
        let mut sum = 0u64;
        for index in 0..zip.len() {
            let file = zip
                .by_index_raw(index)
                .map_err(|error| wrong(&format!("the member {index}"), error.to_string()))?;
            // Names are keys: none is ever used as a path, whatever it says.
            let name = String::from_utf8_lossy(file.name_raw()).into_owned();
            let place = format!("the member '{}'", shorten(&name));
            if file.encrypted() {
                return Err(wrong(&place, "it is encrypted".to_string()));
            }
            let stored = match file.compression() {
                CompressionMethod::STORE => true,
                CompressionMethod::DEFLATE => false,
                other => {
                    return Err(wrong(
                        &place,
                        format!("it is packed by {other}, which is not read here; pack it anew with zip"),
                    ));
                }
            };
            let start = file
                .data_start()
                .ok_or_else(|| wrong(&place, "it begins nowhere".to_string()))?;
            sum = sum.saturating_add(file.size());
            let limits = source.limits();
            if sum > limits.bytes {
                return Err(wrong(
                    &place,
                    format!("the members unpack to more than {} bytes", limits.bytes),
                ));
            }
            if file.size() > HARMLESS.max(file.compressed_size().saturating_mul(limits.ratio)) {
                let reason = format!(
                    "it unpacks from {} to {} bytes, more than {} times",
                    file.compressed_size(),
                    file.size(),
                    limits.ratio
                );
                return Err(wrong(&place, reason));
            }
            if stored && file.size() != file.compressed_size() {
                return Err(wrong(
                    &place,
                    "it is stored as it is, and yet has two sizes".to_string(),
                ));
            }
            let member = Member {
                start: usize::try_from(start).unwrap_or(usize::MAX),
                packed: usize::try_from(file.compressed_size()).unwrap_or(usize::MAX),
                size: file.size(),
                crc32: file.crc32(),
                stored,
            };
            if members.insert(name, member).is_some() {
                return Err(wrong(&place, "it is there twice".to_string()));
            }
        }
        Ok(Archive {
            source: source.clone(),
            members,
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// A member; a stored one stays where it is. `checked` compares its CRC-32 now, which means to look at all of its bytes.
    pub(super) fn member(&self, name: &str, checked: bool) -> Result<Source> {
        let place = format!("the member '{name}'");
        let wrong = |reason: String| Error::malformed(&self.source, NAME, &*place, reason);
        let member = self.members.get(name).ok_or_else(|| {
            let there: Vec<_> = self.names().take(8).map(shorten).collect();
            wrong(format!("it is missing; there are {}", there.join(", ")))
        })?;
        let part = member
            .start
            .checked_add(member.packed)
            .and_then(|end| self.source.part(member.start..end));
        let part = part.ok_or_else(|| wrong("it goes beyond the end of the file".to_string()))?;
        let unpacked = if member.stored {
            part
        } else {
            let mut bytes = Vec::new();
            let unpacked = DeflateDecoder::new(part.bytes())
                .take(member.size + 1)
                .read_to_end(&mut bytes);
            unpacked.map_err(|error| wrong(format!("it cannot be unpacked: {error}")))?;
            if bytes.len() as u64 != member.size {
                return Err(wrong(format!(
                    "it unpacks to {} bytes or more, the directory says {}",
                    bytes.len(),
                    member.size
                )));
            }
            Source::from_bytes(self.source.path(), bytes, self.source.limits())
        };
        if checked || !member.stored {
            let found = checksum(&unpacked);
            if found != member.crc32 {
                return Err(Error::Checksum {
                    path: self.source.path().to_path_buf(),
                    place,
                    expected: format!("{:08x}", member.crc32),
                    found: format!("{found:08x}"),
                });
            }
        }
        Ok(unpacked)
    }

    /// A member that is text.
    pub(super) fn text(&self, name: &str, most: usize) -> Result<String> {
        let wrong = |reason: String| Error::malformed(&self.source, NAME, format!("the member '{name}'"), reason);
        if let Some(member) = self.members.get(name)
            && member.size > most as u64
        {
            return Err(wrong(format!("it has {} bytes, at most {most} are read", member.size)));
        }
        let member = self.member(name, true)?;
        let text = std::str::from_utf8(member.bytes()).map_err(|error| wrong(format!("it is not UTF-8: {error}")))?;
        Ok(text.to_string())
    }
}

/// The CRC-32 of a member, which never lies in memory as a whole for it.
fn checksum(member: &Source) -> u32 {
    const PIECE: usize = 4 << 20;
    let mut hash = crc32fast::Hasher::new();
    let length = member.bytes().len();
    for start in (0..length).step_by(PIECE) {
        if let Some(piece) = member.part(start..length.min(start + PIECE)) {
            hash.update(piece.bytes());
            piece.release();
        }
    }
    hash.finalize()
}
