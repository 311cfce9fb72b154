//! A table of all epochs that grows while training runs.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Callback, Control, EpochEnd, TrainBegin};
use crate::{CallbackState, Error, Result};

/// Writes one line an epoch into a CSV file, in the form of `keras.callbacks.CSVLogger`.
///
/// The columns are `epoch` (counted from 0, as in Keras) and all figures in the order of their names; a figure that an epoch lacks is `NA`,
/// lines end in CR LF. The file is begun anew, or with [`CsvLogger::append`] goes on. A training that is resumed always
/// goes on, and lines of epochs that its checkpoint did not see are cut off.
///
/// ```no_run
/// use training::callbacks::CsvLogger;
///
/// let mut log = CsvLogger::new("training.csv").append(true);
/// # let _: &mut dyn training::Callback = &mut log;
/// ```
#[derive(Debug)]
pub struct CsvLogger {
    path: PathBuf,
    separator: char,
    append: bool,
    file: Option<File>,
    memory: Memory,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// The columns behind `epoch`; empty before the first line.
    columns: Vec<String>,
    /// Length of the file.
    bytes: u64,
}

impl CsvLogger {
    /// Writes to `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        CsvLogger {
            path: path.into(),
            separator: ',',
            append: false,
            file: None,
            memory: Memory::default(),
        }
    }

    /// Separates columns by another character.
    pub fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// Whether lines are added to what the file has.
    pub fn append(mut self, append: bool) -> Self {
        self.append = append;
        self
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Log {
            path: self.path.clone(),
            source,
        }
    }

    /// Opens the file; `keep` is how much of it stays, `None` for all.
    fn open(&self, keep: Option<u64>) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(&self.path)?;
        if let Some(keep) = keep
            && file.metadata()?.len() > keep
        {
            file.set_len(keep)?;
        }
        Ok(file)
    }

    /// The columns of a file that has a header.
    fn header(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut line = String::new();
        match File::open(path) {
            Ok(file) => BufReader::new(file).read_line(&mut line)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let columns = line.trim_end().split(self.separator).skip(1);
        Ok(columns.map(str::to_string).collect())
    }

    fn line(&mut self, epoch: &EpochEnd<'_>) -> io::Result<()> {
        let separator = self.separator;
        let logs = epoch.record.logs();
        let mut text = String::new();
        if self.memory.columns.is_empty() {
            let mut columns: Vec<String> = logs.keys().map(|name| name.to_string()).collect();
            columns.sort_unstable();
            // The first epoch may be one that is not validated.
            if !columns.iter().any(|name| name.starts_with("val_")) {
                let validated: Vec<String> = columns.iter().map(|name| format!("val_{name}")).collect();
                columns.extend(validated);
            }
            self.memory.columns = columns;
            text += &format!(
                "epoch{separator}{}\r\n",
                self.memory.columns.join(&separator.to_string())
            );
        }
        text += &(epoch.record.epoch - 1).to_string();
        for name in &self.memory.columns {
            text.push(separator);
            match logs.get(name.as_str()) {
                Some(value) => text += &value.to_string(),
                None => text += "NA",
            }
        }
        text += "\r\n";
        if let Some(file) = &mut self.file {
            file.write_all(text.as_bytes())?;
            file.flush()?;
            self.memory.bytes = file.metadata()?.len();
        }
        Ok(())
    }
}

impl Callback for CsvLogger {
    fn key(&self) -> Option<&'static str> {
        Some("csv_logger")
    }

    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState {
            values: serde_json::to_value(&self.memory).unwrap_or_default(),
            ..CallbackState::default()
        })
    }

    fn load_state(&mut self, state: &CallbackState) -> Result<()> {
        self.memory = serde_json::from_value(state.values.clone()).map_err(|error| Error::CallbackState {
            callback: "csv_logger",
            reason: error.to_string(),
        })?;
        let opened = self.open(Some(self.memory.bytes));
        let opened = opened.and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = opened.map_err(|error| self.failed(error))?;
        if bytes == 0 {
            // Another file than before: it begins with a header of its own.
            self.memory = Memory::default();
        }
        self.file = Some(file);
        Ok(())
    }

    fn on_train_begin(&mut self, begin: &TrainBegin<'_>) -> Result<()> {
        let resumed = !begin.history.epochs.is_empty() || begin.history.position.is_some();
        let append = self.append || resumed;
        self.memory = Memory::default();
        if append {
            self.memory.columns = self.header(&self.path).map_err(|error| self.failed(error))?;
        }
        let keep = (!append).then_some(0);
        self.file = Some(self.open(keep).map_err(|error| self.failed(error))?);
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> Result<Control> {
        self.line(epoch).map_err(|error| self.failed(error))?;
        Ok(Control::Continue)
    }
}
