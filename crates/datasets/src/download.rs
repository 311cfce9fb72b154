//! One file over HTTP: resumed, bounded, checked, and only then given its name.

use crate::{Error, KnownFile, Progress, Result, checksum};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How one file is asked for.
pub(crate) struct Downloader {
    pub(crate) agent: ureq::Agent,
    pub(crate) base_url: Option<String>,
    /// Tries of one address when the connection breaks; tries that got further do not count.
    pub(crate) tries: u32,
    /// Pause before another try.
    pub(crate) pause: Duration,
}

/// Why a try ended before the file was complete.
enum Interruption {
    /// Another try may succeed.
    Passing(String),
    /// This address will not give the file.
    Lasting(String),
    /// Nothing will.
    Fatal(Error),
}

impl Downloader {
    /// Downloads `file` to `target`; an unfinished `target.part` is continued.
    pub(crate) fn download(&self, file: &KnownFile, target: &Path, progress: &mut dyn Progress) -> Result<()> {
        let part = part_of(target);
        let mut handle = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&part)
            .map_err(|source| Error::io("write", &part, source))?;
        // Where locks are not supported, two fetches at once may spoil the part; the checksum finds that out.
        if let Err(TryLockError::WouldBlock) = handle.try_lock() {
            return Err(self.failed(
                file,
                &self.addresses(file)[0],
                "another fetch of this file is running".into(),
                &part,
            ));
        }
        let mut last = None;
        for url in self.addresses(file) {
            match self.from(&url, file, &mut handle, &part, progress) {
                Ok(()) => {
                    handle.sync_all().map_err(|source| Error::io("write", &part, source))?;
                    drop(handle);
                    std::fs::rename(&part, target).map_err(|source| Error::io("rename", &part, source))?;
                    progress.finished(file.name);
                    return Ok(());
                }
                Err(error @ (Error::Download { .. } | Error::Checksum { .. })) => last = Some(error),
                Err(fatal) => {
                    remove_if_empty(&part);
                    return Err(fatal);
                }
            }
        }
        remove_if_empty(&part);
        Err(last.unwrap_or_else(|| self.failed(file, "nowhere", "no address is known".into(), &part)))
    }

    fn addresses(&self, file: &KnownFile) -> Vec<String> {
        match &self.base_url {
            Some(base) => vec![format!("{}/{}", base.trim_end_matches('/'), file.name)],
            None => file.urls.iter().map(ToString::to_string).collect(),
        }
    }

    /// All tries of one address, and the check of what came.
    fn from(
        &self,
        url: &str,
        file: &KnownFile,
        handle: &mut File,
        part: &Path,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let io = |source| Error::io("write", part, source);
        let mut resumed = handle.metadata().map_err(io)?.len() > 0;
        let mut failures = 0;
        loop {
            if progress.cancelled() {
                return Err(Error::Cancelled {
                    part: part.to_path_buf(),
                });
            }
            let before = handle.metadata().map_err(io)?.len();
            let reason = match self.once(url, file, handle, part, progress) {
                Ok(()) => match self.check(url, file, handle, part) {
                    Ok(()) => return Ok(()),
                    Err(error) => {
                        handle.set_len(0).map_err(io)?;
                        if !resumed {
                            return Err(error);
                        }
                        // the beginning was of another version, or spoilt: once more from the start
                        resumed = false;
                        progress.retrying(file.name, "the continued file has a wrong checksum");
                        continue;
                    }
                },
                Err(Interruption::Fatal(error)) => return Err(error),
                Err(Interruption::Lasting(reason)) => return Err(self.failed(file, url, reason, part)),
                Err(Interruption::Passing(reason)) => reason,
            };
            let after = handle.metadata().map_err(io)?.len();
            failures = if after > before { 1 } else { failures + 1 };
            resumed |= after > 0;
            if failures >= self.tries {
                return Err(self.failed(file, url, reason, part));
            }
            progress.retrying(file.name, &reason);
            std::thread::sleep(self.pause);
        }
    }

    /// One request; what arrives is appended to the part.
    fn once(
        &self,
        url: &str,
        file: &KnownFile,
        handle: &mut File,
        part: &Path,
        progress: &mut dyn Progress,
    ) -> std::result::Result<(), Interruption> {
        let io = |source| Interruption::Fatal(Error::io("write", part, source));
        let mut done = handle.seek(SeekFrom::End(0)).map_err(io)?;
        let mut request = self.agent.get(url).header("Accept-Encoding", "identity");
        if done > 0 {
            request = request.header("Range", format!("bytes={done}-"));
        }
        let response = request.call().map_err(|error| match error {
            ureq::Error::Timeout(_) => Interruption::Passing(error.to_string()),
            ureq::Error::Io(error) if hung_up(&error) => Interruption::Passing(error.to_string()),
            error => Interruption::Lasting(format!("no connection ({error})")),
        })?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let length = header("content-length").and_then(|value| value.parse::<u64>().ok());
        let total = match response.status().as_u16() {
            206 if header("content-range").and_then(range_start) == Some(done) => length.map(|length| done + length),
            200 | 206 => {
                // the server does not continue files: everything comes again
                handle.set_len(0).and_then(|()| handle.rewind()).map_err(io)?;
                if response.status() == 206 {
                    return Err(Interruption::Passing(
                        "the server sent another range than asked for".to_string(),
                    ));
                }
                done = 0;
                length
            }
            416 => {
                // the part is complete already, or longer than the file: its checksum tells
                return if self.check(url, file, handle, part).is_ok() {
                    Ok(())
                } else {
                    handle.set_len(0).map_err(io)?;
                    Err(Interruption::Passing(
                        "the unfinished file did not fit, it was dropped".to_string(),
                    ))
                };
            }
            status if status >= 500 || status == 429 => {
                return Err(Interruption::Passing(format!(
                    "the server answered {}",
                    response.status()
                )));
            }
            _ => {
                return Err(Interruption::Lasting(format!(
                    "the server answered {}",
                    response.status()
                )));
            }
        };
        let limit = file.bytes.saturating_mul(2).saturating_add(1 << 20);
        if total.is_some_and(|total| total > limit) {
            return Err(Interruption::Lasting(format!(
                "{} bytes instead of {}",
                total.unwrap_or(0),
                file.bytes
            )));
        }
        progress.started(file.name, done, total);
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if progress.cancelled() {
                return Err(Interruption::Fatal(Error::Cancelled {
                    part: part.to_path_buf(),
                }));
            }
            let count = body
                .read(&mut buffer)
                .map_err(|error| Interruption::Passing(broken(done, total, &error)))?;
            if count == 0 {
                break;
            }
            handle.write_all(&buffer[..count]).map_err(io)?;
            done += count as u64;
            if done > limit {
                handle.set_len(0).map_err(io)?;
                return Err(Interruption::Lasting(format!(
                    "more than {limit} bytes instead of {}",
                    file.bytes
                )));
            }
            progress.advanced(done, total);
        }
        match total {
            Some(total) if done < total => Err(Interruption::Passing(broken(done, Some(total), &"the end came early"))),
            _ => Ok(()),
        }
    }

    fn check(&self, url: &str, file: &KnownFile, handle: &File, part: &Path) -> Result<()> {
        let mismatch = |found| Error::Checksum {
            file: file.name.to_string(),
            url: url.to_string(),
            algorithm: file.checksum.algorithm(),
            expected: file.checksum.digits().to_string(),
            found,
        };
        // Windows lets nobody read a locked file, not even its owner by another handle.
        let _ = handle.unlock();
        let computed = checksum::compute(part, &file.checksum);
        let _ = handle.try_lock();
        match computed {
            Ok(found) if found == file.checksum.digits() => Ok(()),
            Ok(found) => Err(mismatch(found)),
            Err(Error::Malformed { found, offset, .. }) => Err(mismatch(format!("none: {found} at byte {offset}"))),
            Err(other) => Err(other),
        }
    }

    fn failed(&self, file: &KnownFile, url: &str, reason: String, part: &Path) -> Error {
        let kept = std::fs::metadata(part).map_or(0, |part| part.len());
        let kept = if kept > 0 {
            format!(" ({kept} bytes are kept and will be continued)")
        } else {
            String::new()
        };
        Error::Download {
            file: file.name.to_string(),
            url: url.to_string(),
            reason,
            advice: format!(
                "check the network and try again{kept}, or put '{}' into a folder yourself and name it with --data-dir",
                file.name
            ),
        }
    }
}

fn part_of(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!("{name}.part"))
}

fn remove_if_empty(part: &Path) {
    if std::fs::metadata(part).is_ok_and(|part| part.len() == 0) {
        let _ = std::fs::remove_file(part); // an empty file left behind does no harm
    }
}

fn broken(done: u64, total: Option<u64>, reason: &dyn std::fmt::Display) -> String {
    match total {
        Some(total) => format!("the connection broke after {done} of {total} bytes ({reason})"),
        None => format!("the connection broke after {done} bytes ({reason})"),
    }
}

/// Whether there was a server that let go of the line.
fn hung_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

/// `bytes 100-199/200` starts at 100.
fn range_start(value: &str) -> Option<u64> {
    value.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
