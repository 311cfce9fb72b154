//! CIFAR-10's binary format: records of one label byte and 3,072 bytes of image, channel after channel.
//!
//! Source: A. Krizhevsky, *The CIFAR-10 dataset*, "Binary version", <https://www.cs.toronto.edu/~kriz/cifar.html>.

use crate::content::Content;
use crate::{Dataset, Error, Images, Result, Split};
use std::path::{Path, PathBuf};

const SIDE: usize = 32;
const CHANNELS: usize = 3;
const AREA: usize = SIDE * SIDE;
const RECORD: u64 = (1 + AREA * CHANNELS) as u64;
/// More images than all batches together may have; the published ones have 60,000.
const MAX_RECORDS: usize = 200_000;
/// A subset may be cut into any number of batches, within reason.
const MAX_BATCHES: usize = 100;

pub(crate) const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// The training batches that are there, in the order of their numbers, each once (`.bin` before `.bin.gz`).
pub(crate) fn train_files(folder: &Path) -> Vec<PathBuf> {
    (1..=MAX_BATCHES)
        .filter_map(|number| batch(folder, &format!("data_batch_{number}")))
        .collect()
}

/// The test batch, if it is there.
pub(crate) fn test_file(folder: &Path) -> Option<PathBuf> {
    batch(folder, "test_batch")
}

fn batch(folder: &Path, stem: &str) -> Option<PathBuf> {
    ["bin", "bin.gz"]
        .iter()
        .map(|end| folder.join(format!("{stem}.{end}")))
        .find(|path| path.is_file())
}

/// Whether the folder holds at least one of the files.
pub(crate) fn is_here(folder: &Path) -> bool {
    test_file(folder).is_some() || !train_files(folder).is_empty()
}

/// Reads the batches of a folder: any number of training batches, and the test batch.
pub(crate) fn load(folder: &Path, source: &str) -> Result<Dataset> {
    let missing = |expected: &str| Error::MissingFile {
        set: "cifar10".to_string(),
        folder: folder.to_path_buf(),
        expected: expected.to_string(),
        advice: "put it there, or fetch the set: lab data fetch cifar10".to_string(),
    };
    let train_files = train_files(folder);
    if train_files.is_empty() {
        return Err(missing("'data_batch_1.bin' or 'data_batch_1.bin.gz'"));
    }
    let test_file = test_file(folder).ok_or_else(|| missing("'test_batch.bin' or 'test_batch.bin.gz'"))?;
    Ok(Dataset {
        name: "cifar10".to_string(),
        source: source.to_string(),
        classes: CLASSES.map(String::from).to_vec(),
        train: read(&train_files)?,
        test: read(&[test_file])?,
    })
}

/// Reads batches one after the other.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Split> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for path in paths {
        read_batch(path, &mut pixels, &mut labels)?;
    }
    Split::new(Images::new(SIDE, SIDE, CHANNELS, 255, pixels)?, labels)
}

fn read_batch(path: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<u32>) -> Result<()> {
    let mut content = Content::open(path)?;
    let mut records = 0;
    while let Some(record) = content.block_or_end(RECORD, &format!("record {records}"))? {
        if labels.len() == MAX_RECORDS {
            return Err(content.malformed(
                format!("at most {MAX_RECORDS} records in all batches"),
                "more",
                "use fewer batches",
            ));
        }
        let label = u32::from(record[0]);
        if label as usize >= CLASSES.len() {
            let (path, classes) = (path.to_path_buf(), CLASSES.len());
            return Err(Error::LabelOutOfRange {
                path,
                index: records,
                label,
                classes,
            });
        }
        labels.push(label);
        let (red, others) = record[1..].split_at(AREA);
        let (green, blue) = others.split_at(AREA);
        for ((&red, &green), &blue) in red.iter().zip(green).zip(blue) {
            pixels.extend([red, green, blue]);
        }
        records += 1;
    }
    if records == 0 {
        return Err(content.malformed("at least one record", "an empty file", crate::content::FETCH_AGAIN));
    }
    Ok(())
}
