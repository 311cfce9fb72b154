//! Looking after the files of a known set: are they there, whole, and the published ones?

use crate::catalogue::{Format, known};
use crate::checksum::{self, compute, recorded};
use crate::load::{cats_dogs_label, locate};
use crate::{Checksum, Error, KnownFile, KnownSet, Result, cats_dogs, cifar, digits, idx, mnist};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What [`verify`] found out about one file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum FileState {
    /// It is the published file, or the one that was recorded when it was fetched.
    Ok {
        /// Which checksum agreed.
        algorithm: String,
        /// The checksum.
        digits: String,
    },
    /// It can be read, but there is nothing to compare it with.
    Unchecked {
        /// Its SHA-256.
        sha256: String,
        /// Why it was not compared.
        reason: String,
    },
    /// It is another file than the published or recorded one.
    Mismatch {
        /// Which checksum differs.
        algorithm: String,
        /// The published or recorded checksum.
        expected: String,
        /// The checksum of the file.
        found: String,
    },
    /// It cannot be read as what it should be.
    Unreadable {
        /// The message of the error.
        reason: String,
    },
    /// It is not there.
    Missing,
}

/// One file of a data set.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FileReport {
    /// Its name in the catalogue, without regard to how it is spelt or packed in the folder.
    pub name: String,
    /// Where it was found.
    pub path: Option<PathBuf>,
    /// Its size on disk.
    pub bytes: Option<u64>,
    /// How it is.
    pub state: FileState,
    /// How many images or labels it holds, if it can be read.
    pub records: Option<usize>,
    /// The smallest and the largest label in it, if it has labels.
    pub labels: Option<(u32, u32)>,
}

/// The files of a data set.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verification {
    /// The data set.
    pub set: String,
    /// The folder that was looked at; none for the embedded set.
    pub folder: Option<PathBuf>,
    /// One report a file.
    pub files: Vec<FileReport>,
}

impl Verification {
    /// Whether no file is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.files.iter().all(|file| file.state != FileState::Missing)
    }

    /// Whether every file that is there can be read and is the right one as far as is known.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.files
            .iter()
            .all(|file| !matches!(file.state, FileState::Mismatch { .. } | FileState::Unreadable { .. }))
    }
}

/// Checks the files of a known set in a folder (or in its sub-folder of the set's name), without changing anything.
///
/// Each file is read to its end, and compared with its published checksum, or with the one that
/// [`fetch`](crate::fetch) recorded in `SHA256SUMS`. A damaged file is a report, not an error.
///
/// ```
/// let report = datasets::verify("digits", ".".as_ref())?;
/// assert!(report.is_complete() && report.is_sound());
/// assert_eq!(report.files[0].records, Some(1797));
/// # Ok::<(), datasets::Error>(())
/// ```
///
/// # Errors
/// [`Error::UnknownDataset`], or [`Error::Folder`] if the folder does not exist.
pub fn verify(name: &str, dir: &Path) -> Result<Verification> {
    let set = known(name)?;
    let report = |folder, files| Verification {
        set: set.name.to_string(),
        folder,
        files,
    };
    if set.format == Format::Embedded {
        return Ok(report(None, vec![embedded()]));
    }
    let folder = match locate(set, dir) {
        Ok(folder) => folder,
        Err(Error::MissingFile { folder, .. }) => folder,
        Err(other) => return Err(other),
    };
    let list = recorded(&folder)?;
    let files = match set.format {
        Format::Cifar => batches(set, &folder, &list),
        _ => set
            .files
            .iter()
            .enumerate()
            .map(|(role, file)| file_report(set, role, file, &folder, &list))
            .collect(),
    };
    Ok(report(Some(folder), files))
}

/// What a file holds: records, and the range of the labels.
type Contents = (usize, Option<(u32, u32)>);

fn range(labels: &[u32]) -> Option<(u32, u32)> {
    labels.iter().min().copied().zip(labels.iter().max().copied())
}

fn embedded() -> FileReport {
    let digits = digits();
    let labels: Vec<u32> = digits.train.labels.iter().chain(&digits.test.labels).copied().collect();
    FileReport {
        name: "digits.csv.gz (embedded)".to_string(),
        path: None,
        bytes: Some(crate::digits::DIGITS_CSV_GZ.len() as u64),
        state: FileState::Ok {
            algorithm: "SHA-256".to_string(),
            digits: checksum::sha256_of_bytes(crate::digits::DIGITS_CSV_GZ),
        },
        records: Some(labels.len()),
        labels: range(&labels),
    }
}

fn file_report(
    set: &KnownSet,
    role: usize,
    file: &KnownFile,
    folder: &Path,
    list: &BTreeMap<String, String>,
) -> FileReport {
    let path = match set.format {
        Format::Idx => mnist::find(folder, role),
        _ => Some(folder.join(file.name)).filter(|path| path.is_file()),
    };
    let read = |path: &Path| -> Result<Contents> {
        match set.format {
            Format::Idx if role.is_multiple_of(2) => Ok((idx::read_images(path)?.len(), None)),
            Format::Idx => {
                let labels = idx::read_labels(path, set.classes.len())?;
                Ok((labels.len(), range(&labels)))
            }
            Format::CatsDogs(variant) => {
                let label = cats_dogs_label(variant, file.name).unwrap_or_default();
                Ok((cats_dogs::read_animals(folder, variant, label)?.columns, None))
            }
            Format::Cifar | Format::Embedded => Ok((0, None)),
        }
    };
    let published = |path: &Path| {
        // an MD5 is of the packed file: it says nothing about one that was unpacked
        let packed = path.extension().is_some_and(|end| end == "gz");
        (packed || !matches!(file.checksum, Checksum::Md5(_))).then_some(file.checksum)
    };
    report(file.name, path, read, published, list)
}

/// CIFAR-10: the members of the archive; all but those of which the folder has none may be missing.
fn batches(set: &KnownSet, folder: &Path, list: &BTreeMap<String, String>) -> Vec<FileReport> {
    let there: Vec<PathBuf> = cifar::train_files(folder)
        .into_iter()
        .chain(cifar::test_file(folder))
        .collect();
    let read = |path: &Path| {
        let split = cifar::read(&[path.to_path_buf()])?;
        Ok((split.len(), range(&split.labels)))
    };
    let is_of = |path: &Path, member: &str| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.trim_end_matches(".gz") == member)
    };
    let members = set.files.iter().flat_map(|file| file.members);
    members
        .map(|member| {
            let path = there.iter().find(|path| is_of(path, member)).cloned();
            report(member, path, read, |_| None, list)
        })
        .collect()
}

fn report(
    name: &str,
    path: Option<PathBuf>,
    read: impl Fn(&Path) -> Result<Contents>,
    published: impl Fn(&Path) -> Option<Checksum>,
    list: &BTreeMap<String, String>,
) -> FileReport {
    let mut report = FileReport {
        name: name.to_string(),
        path,
        bytes: None,
        state: FileState::Missing,
        records: None,
        labels: None,
    };
    let Some(path) = report.path.clone() else {
        return report;
    };
    report.bytes = std::fs::metadata(&path).ok().map(|metadata| metadata.len());
    let state = read(&path).and_then(|(records, labels)| {
        report.records = Some(records);
        report.labels = labels;
        compare(&path, published(&path), list)
    });
    report.state = state.unwrap_or_else(|error| FileState::Unreadable {
        reason: error.to_string(),
    });
    report
}

fn compare(path: &Path, published: Option<Checksum>, list: &BTreeMap<String, String>) -> Result<FileState> {
    let outcome = |algorithm: &str, expected: &str, found: String| {
        let algorithm = algorithm.to_string();
        if found == expected {
            FileState::Ok {
                algorithm,
                digits: found,
            }
        } else {
            FileState::Mismatch {
                algorithm,
                expected: expected.to_string(),
                found,
            }
        }
    };
    if let Some(published) = published {
        return Ok(outcome(
            published.algorithm(),
            published.digits(),
            compute(path, &published)?,
        ));
    }
    let sha256 = checksum::sha256(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(match list.get(name.as_ref()) {
        Some(expected) => outcome("SHA-256 recorded when it was fetched", expected, sha256),
        None => FileState::Unchecked {
            sha256,
            reason: format!(
                "no checksum of this form of the file is published, and {} has none",
                checksum::LIST
            ),
        },
    })
}
