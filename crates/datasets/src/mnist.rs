//! MNIST, Fashion-MNIST and their relatives: four idx files in a folder.

use crate::{Dataset, Error, Result, Split, idx};
use std::path::{Path, PathBuf};

/// The four files: a name for each role, and the beginnings that are accepted (MNIST calls its test part `t10k`).
pub(crate) const ROLES: [(&str, [&str; 2]); 4] = [
    ("train-images-idx3-ubyte", ["train-images", "train_images"]),
    ("train-labels-idx1-ubyte", ["train-labels", "train_labels"]),
    ("t10k-images-idx3-ubyte", ["t10k-images", "test-images"]),
    ("t10k-labels-idx1-ubyte", ["t10k-labels", "test-labels"]),
];

/// The file of a role: `train-images-idx3-ubyte`, `train-images.idx3-ubyte`, with or without `.gz`, the first that is
/// there. Whether it is compressed is told by its content.
pub(crate) fn find(folder: &Path, role: usize) -> Option<PathBuf> {
    let (canonical, beginnings) = ROLES[role];
    let kind = &canonical[canonical.len() - "idx3-ubyte".len()..];
    beginnings
        .iter()
        .flat_map(|beginning| ['-', '.', '_'].map(|between| format!("{beginning}{between}{kind}")))
        .flat_map(|name| [folder.join(&name), folder.join(format!("{name}.gz"))])
        .find(|path| path.is_file())
}

/// Whether the folder holds at least one of the files.
pub(crate) fn is_here(folder: &Path) -> bool {
    (0..ROLES.len()).any(|role| find(folder, role).is_some())
}

/// Reads the four files of a folder.
pub(crate) fn load(folder: &Path, set: &str, source: &str, classes: &[&str]) -> Result<Dataset> {
    let train = read_split(folder, set, 0, classes.len())?;
    let test = read_split(folder, set, 2, classes.len())?;
    if train.images.shape() != test.images.shape() {
        let ([a, b, _], [c, d, _]) = (train.images.shape(), test.images.shape());
        return Err(Error::inconsistent(
            format!("test images in '{}'", folder.display()),
            format!("{a} x {b} as the training images"),
            format!("{c} x {d}"),
            "the files belong to different data sets: keep each set in a folder of its own",
        ));
    }
    Ok(Dataset {
        name: set.to_string(),
        source: source.to_string(),
        classes: classes.iter().map(ToString::to_string).collect(),
        train,
        test,
    })
}

fn read_split(folder: &Path, set: &str, role: usize, classes: usize) -> Result<Split> {
    let images_path = required(folder, set, role)?;
    let labels_path = required(folder, set, role + 1)?;
    let images = idx::read_images(&images_path)?;
    let labels = idx::read_labels(&labels_path, classes)?;
    if images.is_empty() {
        return Err(Error::inconsistent(
            format!("'{}'", images_path.display()),
            "at least one image",
            "none",
            "fetch the file again",
        ));
    }
    if images.len() != labels.len() {
        return Err(Error::inconsistent(
            format!("labels in '{}'", labels_path.display()),
            format!(
                "one for each of the {} images in '{}'",
                images.len(),
                images_path.display()
            ),
            format!("{} labels", labels.len()),
            "the two files belong to different data sets or parts: fetch both again",
        ));
    }
    Split::new(images, labels)
}

fn required(folder: &Path, set: &str, role: usize) -> Result<PathBuf> {
    find(folder, role).ok_or_else(|| Error::MissingFile {
        set: set.to_string(),
        folder: folder.to_path_buf(),
        expected: format!("'{0}.gz' or '{0}'", ROLES[role].0),
        advice: format!("put it there, or fetch the set: lab data fetch {set}"),
    })
}
