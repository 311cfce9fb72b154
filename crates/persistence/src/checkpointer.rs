//! A folder of checkpoints: the last ones and the best one, and the way back to the newest that is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use candle_core::Device;

use crate::{Error, Model, Result, SavedModel, atomic, open};

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Better {
    /// The smaller one, as of a loss.
    #[default]
    Smaller,
    /// The larger one, as of an accuracy.
    Larger,
}

impl Better {
    /// Whether `new` is better than `old`; what is not a number is never better, and anything is better than it.
    pub fn than(self, new: f64, old: f64) -> bool {
        match self {
            Better::Smaller => new < old || (old.is_nan() && !new.is_nan()),
            Better::Larger => new > old || (old.is_nan() && !new.is_nan()),
        }
    }
}

/// Keeps the last checkpoints of a training and the best one in a folder.
///
/// The files are `checkpoint-NUMBER.safetensors`, and the best one also `best-NUMBER.safetensors`. Each is written beside its place and
/// renamed, and old ones are deleted after that: whenever the program ends, a whole checkpoint is there if there ever was one.
///
/// ```
/// use candle_core::{DType, Device};
/// use models::{Network, zoo};
/// use persistence::{Checkpointer, Contents, Metadata, Model};
///
/// let folder = tempfile::tempdir()?;
/// let network = Network::new(zoo::cats_vs_dogs()?, 6020, &Device::Cpu, DType::F32)?;
/// let metadata = Metadata::default();
/// let model = Model::of(&Contents { network: &network, optimizer: None, metadata: &metadata })?;
/// let checkpointer = Checkpointer::new(folder.path())?.keep_last(2);
/// for number in 1..=5 {
///     checkpointer.save(number, &model)?;
/// }
/// assert_eq!(checkpointer.numbers()?, [4, 5]);
/// assert_eq!(checkpointer.restore(&Device::Cpu)?.unwrap().number, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Checkpointer {
    folder: PathBuf,
    keep: usize,
    better: Option<Better>,
}

/// A checkpoint that was read.
pub struct Restored {
    /// Its number.
    pub number: u64,
    /// Its file.
    pub path: PathBuf,
    /// What is in it.
    pub saved: SavedModel,
    /// Newer ones that could not be read, the newest first: to be told to whoever waits for them.
    pub skipped: Vec<Skipped>,
}

/// A checkpoint that could not be read.
#[derive(Debug)]
pub struct Skipped {
    /// Its file.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

const LAST: &str = "checkpoint-";
const BEST: &str = "best-";
const ENDING: &str = ".safetensors";

impl Checkpointer {
    /// Checkpoints in a folder, which is made if it is not there. What a killed program left half-written is deleted.
    ///
    /// # Errors
    /// [`Error::Write`] where the folder cannot be made or read.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        let checkpointer = Checkpointer {
            folder,
            keep: 3,
            better: None,
        };
        fs::create_dir_all(&checkpointer.folder).map_err(|source| checkpointer.failed(source))?;
        for entry in fs::read_dir(&checkpointer.folder).map_err(|source| checkpointer.failed(source))? {
            let entry = entry.map_err(|source| checkpointer.failed(source))?;
            if entry.file_name().to_string_lossy().starts_with(atomic::PREFIX) {
                // Another program may have been faster; what is left then is no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(checkpointer)
    }

    /// How many of the last checkpoints are kept: 3 where nothing is said, at least 1.
    pub fn keep_last(mut self, count: usize) -> Self {
        self.keep = count.max(1);
        self
    }

    /// Keeps also the checkpoint whose monitored figure ([`crate::Metadata::monitored`]) is the best.
    pub fn keep_best(mut self, better: Better) -> Self {
        self.better = Some(better);
        self
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Write {
            path: self.folder.clone(),
            source,
        }
    }

    fn place(&self, kind: &str, number: u64) -> PathBuf {
        self.folder.join(format!("{kind}{number:09}{ENDING}"))
    }

    fn listed(&self, kind: &str) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(|source| self.failed(source))? {
            let name = entry.map_err(|source| self.failed(source))?.file_name();
            let name = name.to_string_lossy();
            let number = name.strip_prefix(kind).and_then(|rest| rest.strip_suffix(ENDING));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The numbers of the checkpoints that are there, ascending.
    ///
    /// # Errors
    /// [`Error::Write`] where the folder cannot be read.
    pub fn numbers(&self) -> Result<Vec<u64>> {
        self.listed(LAST)
    }

    /// The file of the best checkpoint so far.
    ///
    /// # Errors
    /// [`Error::Write`] where the folder cannot be read.
    pub fn best(&self) -> Result<Option<PathBuf>> {
        Ok(self.listed(BEST)?.last().map(|&number| self.place(BEST, number)))
    }

    /// Saves a checkpoint under a number, which grows with every one (of the epoch, or of the step), and deletes those that are not
    /// kept.
    ///
    /// # Errors
    /// As [`crate::write`]; older checkpoints are as they were then.
    pub fn save(&self, number: u64, model: &Model) -> Result<PathBuf> {
        let path = self.place(LAST, number);
        crate::write(&path, model)?;
        if let Some(better) = self.better {
            self.keep_if_best(better, number, &path, model)?;
        }
        // Files with higher numbers are of a training that this one took the place of.
        let numbers = self.numbers()?;
        let older: Vec<u64> = numbers.into_iter().filter(|&other| other <= number).collect();
        for &old in older.iter().rev().skip(self.keep) {
            self.delete(LAST, old)?;
        }
        Ok(path)
    }

    fn keep_if_best(&self, better: Better, number: u64, path: &Path, model: &Model) -> Result<()> {
        let figure = |model: &Model| model.metadata.monitored.as_ref().and_then(|monitored| monitored.value);
        let Some(new) = figure(model) else { return Ok(()) };
        let bests = self.listed(BEST)?;
        // A best one that cannot be read is worth less than any that can.
        let old = bests
            .last()
            .and_then(|&best| open(&self.place(BEST, best)).ok())
            .as_ref()
            .and_then(figure);
        if !better.than(new, old.unwrap_or(f64::NAN)) {
            return Ok(());
        }
        let place = self.place(BEST, number);
        let _ = fs::remove_file(&place);
        // The same file under a second name; where there are no such names, a second file.
        if fs::hard_link(path, &place).is_err() {
            crate::write(&place, model)?;
        }
        for old in bests.into_iter().filter(|&old| old != number) {
            self.delete(BEST, old)?;
        }
        Ok(())
    }

    fn delete(&self, kind: &str, number: u64) -> Result<()> {
        match fs::remove_file(self.place(kind, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(error)),
            _ => Ok(()),
        }
    }

    /// Reads the newest checkpoint that is whole; [`Restored::skipped`] says which newer ones were not. `None` where there is none.
    ///
    /// # Errors
    /// That of the newest checkpoint, where there are some and none is whole.
    pub fn restore(&self, device: &Device) -> Result<Option<Restored>> {
        let mut skipped: Vec<Skipped> = Vec::new();
        let last = self
            .numbers()?
            .into_iter()
            .map(|number| (number, self.place(LAST, number)));
        let best = self
            .listed(BEST)?
            .into_iter()
            .map(|number| (number, self.place(BEST, number)));
        // The best one is the last resort.
        for (number, path) in best.chain(last).rev() {
            match crate::load(&path, device) {
                Ok(saved) => {
                    return Ok(Some(Restored {
                        number,
                        path,
                        saved,
                        skipped,
                    }));
                }
                Err(error) => skipped.push(Skipped { path, error }),
            }
        }
        match skipped.into_iter().next() {
            Some(newest) => Err(newest.error),
            None => Ok(None),
        }
    }
}
