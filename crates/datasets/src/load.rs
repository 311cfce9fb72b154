//! From a name or a folder to a data set.

use crate::catalogue::{DIGIT_NAMES, Format, KnownSet, find, unknown};
use crate::cats_dogs::{self, Variant};
use crate::{Dataset, Error, FolderOptions, Progress, Result, cifar, digits, fetch, load_folder_watched, mnist};
use std::path::{Path, PathBuf};

/// Loads a data set by its name, or the images of a folder.
///
/// * A name of the [`catalogue`](crate::catalogue()): read from `data_dir`, which is the folder of the files or holds a
///   sub-folder with the set's name. Without `data_dir`, the [cache folder](crate::cache_dir()) is used, and what is
///   missing there is downloaded. `digits` is part of the program and needs no folder.
/// * The path of a folder (also below `data_dir`): the files of a known set are recognised, anything else is read by
///   [`load_folder`](crate::load_folder()).
///
/// ```
/// let digits = datasets::load("digits", None, &mut datasets::Silent)?;
/// assert_eq!(digits.classes.len(), 10);
/// let error = datasets::load("fashion-mnits", None, &mut datasets::Silent).unwrap_err();
/// assert!(error.to_string().contains("did you mean 'fashion-mnist'?"));
/// # Ok::<(), datasets::Error>(())
/// ```
///
/// # Errors
/// [`Error::UnknownDataset`], or what reading ([`Error::Folder`], [`Error::MissingFile`], [`Error::Malformed`],
/// [`Error::LabelOutOfRange`], ...) or downloading ([`Error::Download`], ...) can report.
pub fn load(name_or_dir: &str, data_dir: Option<&Path>, progress: &mut dyn Progress) -> Result<Dataset> {
    load_with(name_or_dir, data_dir, &FolderOptions::default(), progress)
}

/// As [`load`], with options: how the files of a folder of images are read, and the size that the images of any set are brought to.
/// ([`FolderOptions::color`] is about folders of images only.)
///
/// ```
/// use datasets::{FolderOptions, Silent, load_with};
/// let options = FolderOptions { size: Some((16, 16)), ..Default::default() };
/// assert_eq!(load_with("digits", None, &options, &mut Silent)?.shape(), [16, 16, 1]);
/// # Ok::<(), datasets::Error>(())
/// ```
///
/// # Errors
/// As [`load`]; [`Error::Inconsistent`] for a size that no image can have.
pub fn load_with(
    name_or_dir: &str,
    data_dir: Option<&Path>,
    options: &FolderOptions,
    progress: &mut dyn Progress,
) -> Result<Dataset> {
    let dataset = load_unsized(name_or_dir, data_dir, options, progress)?;
    match options.size {
        Some(size) => dataset.resized(size),
        None => Ok(dataset),
    }
}

/// The data set; images of a folder have the size of the options.
fn load_unsized(
    name_or_dir: &str,
    data_dir: Option<&Path>,
    options: &FolderOptions,
    progress: &mut dyn Progress,
) -> Result<Dataset> {
    if let Some(set) = find(name_or_dir) {
        if set.format == Format::Embedded {
            return Ok(digits());
        }
        let folder = match data_dir {
            Some(data_dir) => locate(set, data_dir)?,
            None => in_cache(set, progress)?,
        };
        return read(set, &folder);
    }
    let given = Path::new(name_or_dir);
    let below = data_dir.map(|data_dir| data_dir.join(given));
    if let Some(folder) = below
        .into_iter()
        .chain([given.to_path_buf()])
        .find(|folder| folder.is_dir())
    {
        return load_unnamed(&folder, options, progress);
    }
    let looks_like_a_path = name_or_dir.contains(['/', '\\']) || name_or_dir.starts_with('.');
    Err(if looks_like_a_path {
        no_folder(given)
    } else {
        unknown(name_or_dir)
    })
}

/// Where a known set may be: in the sub-folders that have its name, or in `data_dir` itself, unless that has the name of
/// another set (idx files do not say of which set they are).
pub(crate) fn places(set: &KnownSet, data_dir: &Path) -> Vec<PathBuf> {
    let name = data_dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let of_another = crate::catalogue()
        .iter()
        .filter(|other| other.format == set.format && other.name != set.name)
        .any(|other| other.folders.iter().any(|folder| Some(*folder) == name.as_deref()));
    let below = set.folders.iter().map(|name| data_dir.join(name));
    below.chain((!of_another).then(|| data_dir.to_path_buf())).collect()
}

/// The folder of a known set: one of the sub-folders it may have, or `data_dir` itself.
pub(crate) fn locate(set: &KnownSet, data_dir: &Path) -> Result<PathBuf> {
    if !data_dir.is_dir() {
        return Err(no_folder(data_dir));
    }
    if let Some(folder) = places(set, data_dir).into_iter().find(|folder| is_here(set, folder)) {
        return Ok(folder);
    }
    Err(Error::MissingFile {
        set: set.name.to_string(),
        folder: data_dir.to_path_buf(),
        expected: format!("'{}' (also not in a sub-folder '{}')", example(set), set.folders[0]),
        advice: format!(
            "name its folder with --data-dir, or fetch the set: lab data fetch {}",
            set.name
        ),
    })
}

/// Whether the folder holds at least one file of the set.
pub(crate) fn is_here(set: &KnownSet, folder: &Path) -> bool {
    match set.format {
        Format::Embedded => false,
        Format::Idx => mnist::is_here(folder),
        Format::Cifar => cifar::is_here(folder),
        Format::CatsDogs(variant) => cats_dogs::is_here(folder, variant),
    }
}

fn example(set: &KnownSet) -> &'static str {
    match set.format {
        Format::Cifar => "data_batch_1.bin",
        _ => set.files.first().map_or("", |file| file.name),
    }
}

fn in_cache(set: &KnownSet, progress: &mut dyn Progress) -> Result<PathBuf> {
    let cache = crate::cache_dir()?;
    fetch(set.name, &cache, progress)
}

pub(crate) fn read(set: &KnownSet, folder: &Path) -> Result<Dataset> {
    match set.format {
        Format::Embedded => Ok(digits()),
        Format::Idx => mnist::load(folder, set.name, &set.source(), set.classes),
        Format::Cifar => cifar::load(folder, &set.source()),
        Format::CatsDogs(variant) => cats_dogs::load(folder, variant, &set.source()),
    }
}

/// A folder that is given by its path: what it is is told by the files in it.
fn load_unnamed(folder: &Path, options: &FolderOptions, progress: &mut dyn Progress) -> Result<Dataset> {
    let name = folder
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    if let Some(set) = find(&name).filter(|set| is_here(set, folder)) {
        return read(set, folder);
    }
    if mnist::is_here(folder) {
        let source = format!("the idx files in '{}'", folder.display());
        return mnist::load(folder, &name, &source, DIGIT_NAMES);
    }
    let by_content = crate::catalogue().iter().filter(|set| set.format != Format::Idx);
    // the wavelet images stand before the originals in the catalogue, and are what the lecture begins with
    match by_content.into_iter().find(|set| is_here(set, folder)) {
        Some(set) => read(set, folder),
        None => load_folder_watched(folder, options, progress),
    }
}

fn no_folder(path: &Path) -> Error {
    let problem = if path.exists() {
        "is no folder"
    } else {
        "does not exist"
    };
    Error::Folder {
        path: path.to_path_buf(),
        problem: problem.to_string(),
        advice: "check the path, and name the folder of the data with --data-dir".to_string(),
    }
}

/// The names under which the variant's files are known, for [`verify`](crate::verify).
pub(crate) fn cats_dogs_label(variant: Variant, file: &str) -> Option<usize> {
    variant.files().iter().position(|(name, _)| *name == file)
}
