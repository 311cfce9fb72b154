//! Checksums of files, and the list of them that is kept beside downloaded data.

use crate::content::Content;
use crate::{Checksum, Error, Result};
use md5::Md5;
use sha2::Sha256;
use sha2::digest::Digest;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// The list beside the data, in the format of `sha256sum`, which can check it as well: `sha256sum -c SHA256SUMS`.
pub(crate) const LIST: &str = "SHA256SUMS";
/// More than a list of a few files can be.
const MAX_LIST: u64 = 1 << 20;
/// More than any known file unpacks to.
const MAX_UNPACKED: u64 = 4 << 30;

/// Computes the kind of checksum that `like` is.
pub(crate) fn compute(path: &Path, like: &Checksum) -> Result<String> {
    match like {
        Checksum::Sha256(_) => sha256(path),
        Checksum::Md5(_) => of_file::<Md5>(path),
        Checksum::Sha256Unpacked(_) => {
            let mut content = Content::open(path)?;
            let (mut digest, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
            loop {
                match content.chunk(&mut buffer)? {
                    0 => return Ok(hexadecimal(&digest.finalize())),
                    count => digest.update(&buffer[..count]),
                }
                if content.offset() > MAX_UNPACKED {
                    let expected = format!("at most {MAX_UNPACKED} unpacked bytes");
                    return Err(content.malformed(expected, "more", "this is another file"));
                }
            }
        }
    }
}

/// SHA-256 of a file as it is.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    of_file::<Sha256>(path)
}

/// SHA-256 of bytes.
pub(crate) fn sha256_of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn of_file<D: Digest>(path: &Path) -> Result<String> {
    let io = |source| Error::io("read", path, source);
    let mut file = File::open(path).map_err(io)?;
    let (mut digest, mut buffer) = (D::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(hexadecimal(&digest.finalize())),
            count => digest.update(&buffer[..count]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The recorded SHA-256 of each file name; empty if there is no list. Lines of another form are passed over.
pub(crate) fn recorded(folder: &Path) -> Result<BTreeMap<String, String>> {
    let path = folder.join(LIST);
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    let bytes = Content::open(&path)?.rest(MAX_LIST)?;
    let line = |line: &str| {
        let (digits, name) = line.split_once(char::is_whitespace)?;
        let name = name.trim_start().trim_start_matches('*');
        (digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .then(|| (name.to_string(), digits.to_ascii_lowercase()))
    };
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(line).collect())
}

/// Adds a file's SHA-256 to the list.
pub(crate) fn record(folder: &Path, name: &str, digits: &str) -> Result<()> {
    let mut list = recorded(folder)?;
    list.insert(name.to_string(), digits.to_string());
    let text: String = list
        .iter()
        .map(|(name, digits)| format!("{digits}  {name}\n"))
        .collect();
    write_atomically(&folder.join(LIST), text.as_bytes())
}

/// Writes to a temporary name in the same folder, waits for the disk, and renames: nobody sees half a file.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!("{name}.{}.tmp", std::process::id()));
    let io = |source| Error::io("write", path, source);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary); // it may not even exist; the first error is the one to report
    }
    written.map_err(io)
}
