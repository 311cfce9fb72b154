//! Downloading a known set into a folder.

use crate::catalogue::{Format, known};
use crate::download::Downloader;
use crate::load::places;
use crate::{Error, KnownFile, KnownSet, Progress, Result, archive, checksum, mnist};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Downloads a known data set to `dir/NAME` and returns that folder. What is there already is not asked for again.
///
/// Each file arrives as `FILE.part`, is continued there if the connection broke, and gets its name only when its checksum
/// was right. Its SHA-256 is then recorded in `SHA256SUMS` beside it, where [`verify`](crate::verify) finds it.
/// CIFAR-10's archive is unpacked in memory to the names we know, and removed.
///
/// If `dir` itself or one of its sub-folders holds all files of the set, that folder is returned.
///
/// # Errors
/// [`Error::Download`] without a connection or if the servers do not answer, [`Error::Checksum`] if what they sent is not
/// what was published, [`Error::Cancelled`] if `progress` asks to stop, [`Error::Io`] if the disk is full or read-only,
/// [`Error::UnknownDataset`], and [`Error::NothingToFetch`] for `digits`.
pub fn fetch(name: &str, dir: &Path, progress: &mut dyn Progress) -> Result<PathBuf> {
    Fetcher::new().fetch(name, dir, progress)
}

/// [`fetch`] with settings: another server, more or fewer tries.
///
/// ```
/// use datasets::{Error, Fetcher, Silent};
/// let folder = std::env::temp_dir().join("datasets-fetch-example");
/// let mirror = Fetcher::new().base_url("http://127.0.0.1:9/nothing-listens-here");
/// let error = mirror.fetch("mnist", &folder, &mut Silent).unwrap_err();
/// assert!(matches!(error, Error::Download { .. }));
/// assert!(error.to_string().contains("--data-dir"));
/// # let _ = std::fs::remove_dir_all(folder);
/// ```
pub struct Fetcher {
    downloader: Downloader,
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("base_url", &self.downloader.base_url)
            .finish_non_exhaustive()
    }
}

impl Fetcher {
    /// The published addresses, three tries each (tries that got further do not count), one second apart. A proxy is
    /// taken from the usual environment variables (`HTTPS_PROXY`, ...).
    #[must_use]
    pub fn new() -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("candle-lab-datasets/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_recv_body(Some(Duration::from_secs(1800)))
            .build()
            .into();
        Self {
            downloader: Downloader {
                agent,
                base_url: None,
                tries: 3,
                pause: Duration::from_secs(1),
            },
        }
    }

    /// Asks `base_url/FILE` instead of the published addresses: a mirror of one's own.
    #[must_use]
    pub fn base_url(mut self, base_url: &str) -> Self {
        self.downloader.base_url = Some(base_url.to_string());
        self
    }

    /// How often an address is tried without getting further, at least once, and the pause between two tries.
    #[must_use]
    pub fn tries(mut self, tries: u32, pause: Duration) -> Self {
        self.downloader.tries = tries.max(1);
        self.downloader.pause = pause;
        self
    }

    /// As [`fetch`].
    ///
    /// # Errors
    /// As [`fetch`].
    pub fn fetch(&self, name: &str, dir: &Path, progress: &mut dyn Progress) -> Result<PathBuf> {
        let set = known(name)?;
        let Some(first) = set.folders.first() else {
            let reason = "it is part of the program".to_string();
            return Err(Error::NothingToFetch {
                name: set.name.to_string(),
                reason,
            });
        };
        let whole = |folder: &PathBuf| set.files.iter().all(|file| is_complete(set, file, folder));
        if let Some(folder) = places(set, dir).into_iter().find(whole) {
            return Ok(folder);
        }
        let folder = dir.join(first);
        std::fs::create_dir_all(&folder).map_err(|source| Error::io("make the folder", &folder, source))?;
        for file in set.files.iter().filter(|file| !is_complete(set, file, &folder)) {
            self.fetch_file(file, &folder, progress)?;
        }
        Ok(folder)
    }

    pub(crate) fn fetch_file(&self, file: &KnownFile, folder: &Path, progress: &mut dyn Progress) -> Result<()> {
        let path = folder.join(file.name);
        if path.is_file() {
            // an archive that somebody put there, or that an interrupted fetch left
            let found = checksum::compute(&path, &file.checksum)?;
            if found != file.checksum.digits() {
                let expected = format!("the {} {}", file.checksum.algorithm(), file.checksum.digits());
                let what = format!("'{}'", path.display());
                return Err(Error::inconsistent(
                    what,
                    expected,
                    found,
                    "remove it and fetch it again",
                ));
            }
        } else {
            self.downloader.download(file, &path, progress)?;
        }
        if file.members.is_empty() {
            return checksum::record(folder, file.name, &checksum::sha256(&path)?);
        }
        let missing = archive::unpack(&path, file.members, |member, bytes| {
            checksum::write_atomically(&folder.join(member), bytes)?;
            checksum::record(folder, member, &checksum::sha256_of_bytes(bytes))
        })?;
        if !missing.is_empty() {
            return Err(Error::inconsistent(
                format!("archive '{}'", path.display()),
                file.members.join(", "),
                format!("no {}", missing.join(", ")),
                "remove it and fetch it again",
            ));
        }
        std::fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))
    }
}

/// Whether a file, or what it is unpacked to, is there.
pub(crate) fn is_complete(set: &KnownSet, file: &KnownFile, folder: &Path) -> bool {
    if !file.members.is_empty() {
        let there = |end| move |member: &&str| folder.join(format!("{member}{end}")).is_file();
        return file
            .members
            .iter()
            .all(|member| there("")(member) || there(".gz")(member));
    }
    match (set.format, set.files.iter().position(|other| other.name == file.name)) {
        (Format::Idx, Some(role)) => mnist::find(folder, role).is_some(),
        _ => folder.join(file.name).is_file(),
    }
}

#[cfg(test)]
mod tests;
