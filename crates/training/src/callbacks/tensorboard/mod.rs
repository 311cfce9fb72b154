//! Logs that TensorBoard opens.

mod event;
mod records;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use candle_core::DType;

use self::event::{Content, Histogram, Payload, Value, event};
use super::{Callback, Control, EpochEnd, TrainBegin};
use crate::{Error, Result};

/// Writes event files for TensorBoard (`keras.callbacks.TensorBoard`), without TensorFlow.
///
/// The folder gets a `train` and, where there are validation samples, a `validation` folder, in each a file
/// `events.out.tfevents.…` with the scalars `epoch_loss`, `epoch_accuracy`, …, `epoch_learning_rate`. The step of an epoch
/// is its number counted from 0, as in Keras. A resumed training adds a file; TensorBoard reads all of a folder.
///
/// ```no_run
/// use training::callbacks::TensorBoard;
///
/// let mut board = TensorBoard::new("logs/first").histogram_freq(5);
/// # let _: &mut dyn training::Callback = &mut board;
/// // tensorboard --logdir logs
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    histogram_freq: usize,
    train: Option<File>,
    validation: Option<File>,
}

/// What TensorFlow writes into the first event of a file.
const FILE_VERSION: &str = "brain.Event:2";

impl TensorBoard {
    /// Writes into a folder, which is made where it is missing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        TensorBoard {
            folder: folder.into(),
            histogram_freq: 0,
            train: None,
            validation: None,
        }
    }

    /// Every so many epochs a histogram of each weight is written; 0, the default, is never.
    pub fn histogram_freq(mut self, epochs: usize) -> Self {
        self.histogram_freq = epochs;
        self
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Log {
            path: self.folder.clone(),
            source,
        }
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// A new event file in `folder`, with its first event.
fn begin(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let seconds = now();
    for number in 0.. {
        // TensorBoard reads the files of a folder in the order of their names, which begin with the time.
        let name = format!(
            "events.out.tfevents.{:010}.candle-lab.{}.{number}",
            seconds as u64,
            std::process::id()
        );
        match File::create_new(folder.join(name)) {
            Ok(mut file) => {
                file.write_all(&records::framed(&event(
                    seconds,
                    0,
                    &Payload::FileVersion(FILE_VERSION),
                )))?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    unreachable!("a number below 2³¹ is free")
}

fn write(file: &mut Option<File>, folder: &Path, step: usize, values: &[Value<'_>]) -> io::Result<()> {
    let file = match file {
        Some(file) => file,
        None => file.insert(begin(folder)?),
    };
    // One write a record, so that a reader sees whole records.
    file.write_all(&records::framed(&event(now(), step as i64, &Payload::Summary(values))))
}

impl Callback for TensorBoard {
    fn on_train_begin(&mut self, _begin: &TrainBegin<'_>) -> Result<()> {
        (self.train, self.validation) = (None, None);
        self.train = Some(begin(&self.folder.join("train")).map_err(|error| self.failed(error))?);
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> Result<Control> {
        let step = epoch.record.epoch - 1;
        let logs = epoch.record.logs();
        let scalars = |validation: bool| -> Vec<(String, f32)> {
            let own = logs.iter().filter(|(name, _)| name.starts_with("val_") == validation);
            own.map(|(name, &value)| (format!("epoch_{}", name.trim_start_matches("val_")), value as f32))
                .collect()
        };
        let (of_train, of_validation) = (scalars(false), scalars(true));
        let mut histograms = Vec::new();
        if self.histogram_freq > 0 && epoch.record.epoch.is_multiple_of(self.histogram_freq) {
            for weight in epoch.network.weights() {
                let values = weight.var.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
                if let Some(histogram) = Histogram::of(&values) {
                    histograms.push(Value {
                        tag: &weight.path,
                        content: Content::Histogram(histogram),
                    });
                }
            }
        }
        fn values(scalars: &[(String, f32)]) -> Vec<Value<'_>> {
            scalars
                .iter()
                .map(|(tag, number)| Value {
                    tag,
                    content: Content::Scalar(*number),
                })
                .collect()
        }
        let mut train = values(&of_train);
        train.extend(histograms);
        let written = write(&mut self.train, &self.folder.join("train"), step, &train).and_then(|()| {
            if of_validation.is_empty() {
                return Ok(());
            }
            let folder = self.folder.join("validation");
            write(&mut self.validation, &folder, step, &values(&of_validation))
        });
        written.map_err(|error| self.failed(error))?;
        Ok(Control::Continue)
    }
}
