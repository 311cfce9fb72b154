//! Cats vs. dogs: 80 cats and 80 dogs in MATLAB files, an image a column.

use crate::mat5::{self, Matrix};
use crate::{Dataset, Error, Images, Result, Split};
use std::path::Path;

/// The first so many columns of each animal are for training, the others for testing.
const TRAIN_COLUMNS: usize = 40;

/// Which of the two versions of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Edges found with wavelets, 32 x 32.
    Wavelet,
    /// The photographs, 64 x 64, grey.
    Original,
}

impl Variant {
    /// File and variable of label 0 (dogs) and label 1 (cats).
    pub(crate) fn files(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::Wavelet => [("dogData_w.mat", "dog_wave"), ("catData_w.mat", "cat_wave")],
            Self::Original => [("dogData.mat", "dog"), ("catData.mat", "cat")],
        }
    }

    pub(crate) fn side(self) -> usize {
        match self {
            Self::Wavelet => 32,
            Self::Original => 64,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Wavelet => "cats-dogs",
            Self::Original => "cats-dogs-original",
        }
    }
}

/// Whether the folder holds at least one of the files.
pub(crate) fn is_here(folder: &Path, variant: Variant) -> bool {
    variant.files().iter().any(|(file, _)| folder.join(file).is_file())
}

/// Reads both files: dogs (label 0) before cats (label 1) in each part.
pub(crate) fn load(folder: &Path, variant: Variant, source: &str) -> Result<Dataset> {
    let side = variant.side();
    let (mut train, mut test) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for (label, (file, _)) in variant.files().iter().enumerate() {
        if !folder.join(file).is_file() {
            return Err(Error::MissingFile {
                set: variant.name().to_string(),
                folder: folder.to_path_buf(),
                expected: format!("'{file}'"),
                advice: format!("put it there, or fetch the set: lab data fetch {}", variant.name()),
            });
        }
        let animals = read_animals(folder, variant, label)?;
        for column in 0..animals.columns {
            let part = if column < TRAIN_COLUMNS { &mut train } else { &mut test };
            upright(animals.column(column), side, &mut part.0);
            part.1.push(label as u32);
        }
    }
    let split = |(pixels, labels)| Split::new(Images::new(side, side, 1, 255, pixels)?, labels);
    Ok(Dataset {
        name: variant.name().to_string(),
        source: source.to_string(),
        classes: vec!["dog".to_string(), "cat".to_string()],
        train: split(train)?,
        test: split(test)?,
    })
}

/// The matrix of one animal, an image a column.
pub(crate) fn read_animals(folder: &Path, variant: Variant, label: usize) -> Result<Matrix> {
    let (file, variable) = variant.files()[label];
    let path = folder.join(file);
    let animals = mat5::read_matrix(&path, variable)?;
    let rows = variant.side() * variant.side();
    if animals.rows != rows || animals.columns <= TRAIN_COLUMNS {
        return Err(Error::inconsistent(
            format!("variable '{variable}' in '{}'", path.display()),
            format!("{rows} rows and more than {TRAIN_COLUMNS} columns (an image a column)"),
            format!("{} x {}", animals.rows, animals.columns),
            "this is another file: fetch the right one",
        ));
    }
    Ok(animals)
}

/// MATLAB writes a picture column by column; the rows of the upright picture come out of the transpose.
fn upright(column: &[u8], side: usize, pixels: &mut Vec<u8>) {
    pixels.extend((0..side * side).map(|at| column[at % side * side + at / side]));
}
