//! Saving training as it stands, and going on from there to the same bits.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use models::Network;
use optimizers::Optimizer;
use persistence::{
    Better, Checkpointer, Contents, Metadata, Model, Monitored, Precision, Skipped, StoredTensor, TrainingState,
};

use crate::callbacks::{Callback, Moment, Monitor, SavePoint, TrainBegin};
use crate::{Error, History, Result};

/// A callback that writes all that training needs to go on: network, optimizer, history, the position within the epoch, and
/// the state of the callbacks.
///
/// It writes after every epoch, when training is interrupted (after the step in progress), when at the end the weights of
/// an earlier epoch were brought back, and where it is told to every so many steps. The file is replaced as a whole or
/// not at all, so a crash costs at most what was done since the last writing.
///
/// Where the optimizer keeps moving averages of the weights, these are the weights in the file, so that the network is
/// the one that was measured; those of the last step are in the place of the averages in the optimizer's state.
pub struct Checkpoint {
    place: Place,
    metadata: Metadata,
    steps: Option<usize>,
}

/// Where checkpoints go.
enum Place {
    /// One file, always replaced.
    File(PathBuf),
    /// The last ones and the best one by a figure.
    Folder(Checkpointer, Monitor),
}

impl Checkpoint {
    /// Saves to `path`; `metadata` names the classes and how training was set up, its history is filled in.
    pub fn new(path: impl Into<PathBuf>, metadata: Metadata) -> Self {
        Checkpoint {
            place: Place::File(path.into()),
            metadata,
            steps: None,
        }
    }

    /// Saves into a folder of which the last checkpoints and the best one are kept; `monitor` says by which figure of an epoch. They
    /// are numbered by the steps of the optimizer. [`resume`] takes the folder.
    pub fn in_folder(checkpointer: Checkpointer, monitor: Monitor, metadata: Metadata) -> Self {
        Checkpoint {
            place: Place::Folder(checkpointer, monitor),
            metadata,
            steps: None,
        }
    }

    fn path(&self) -> PathBuf {
        match &self.place {
            Place::File(path) => path.clone(),
            Place::Folder(checkpointer, _) => checkpointer.folder().to_path_buf(),
        }
    }

    /// Saves also after every so many steps of an epoch; 0 is never.
    pub fn every_steps(mut self, steps: usize) -> Self {
        self.steps = (steps > 0).then_some(steps);
        self
    }
}

impl Callback for Checkpoint {
    fn on_train_begin(&mut self, begin: &TrainBegin<'_>) -> Result<()> {
        if let Place::Folder(checkpointer, monitor) = &mut self.place {
            monitor.begin(begin.validation)?;
            let better = if monitor.is_max()? {
                Better::Larger
            } else {
                Better::Smaller
            };
            *checkpointer = checkpointer.clone().keep_best(better);
        }
        Ok(())
    }

    fn saves(&self, moment: &Moment) -> bool {
        match moment {
            Moment::Step(step) => self.steps.is_some_and(|steps| step.step.is_multiple_of(steps)),
            Moment::Epoch | Moment::Interrupted | Moment::End => true,
        }
    }

    fn on_save(&mut self, point: &SavePoint<'_>) -> Result<()> {
        let history = serde_json::to_value(point.history).map_err(|error| Error::Checkpoint {
            path: self.path(),
            reason: format!("the history cannot be written: {error}"),
        })?;
        self.metadata
            .training
            .get_or_insert_with(TrainingState::default)
            .history = history;
        let contents = Contents {
            network: point.network,
            optimizer: Some(point.optimizer),
            metadata: &self.metadata,
        };
        let states = point.history.callbacks.iter();
        let tensors: Vec<_> = states
            .flat_map(|state| {
                let named =
                    |(name, tensor): &(String, _)| (format!("{}{SEPARATOR}{name}", state.key), Clone::clone(tensor));
                state.tensors.iter().map(named)
            })
            .collect();
        // Training goes on to the same bits only from weights that were not rounded.
        let precision = match contents.network.dtype() {
            DType::F64 => Precision::F64,
            _ => Precision::F32,
        };
        match &self.place {
            Place::File(path) => persistence::save_with(path, &contents, &tensors, precision).map(drop)?,
            Place::Folder(checkpointer, monitor) => {
                let mut model = Model::of(&contents)?.in_precision(precision);
                for (name, tensor) in &tensors {
                    model.tensors.insert(name.clone(), StoredTensor::of(tensor)?);
                }
                // In the middle of an epoch the figure is that of the one before it, which is no improvement on itself.
                let value = point.history.last().map(|record| monitor.value(record)).transpose()?;
                model.metadata.monitored = Some(Monitored {
                    name: monitor.watched().to_string(),
                    value: value.flatten().filter(|value| value.is_finite()),
                });
                checkpointer.save(point.optimizer.iterations(), &model)?;
            }
        }
        Ok(())
    }
}

/// Between a callback's key and the name of its tensor.
const SEPARATOR: char = ':';

/// Training as it stood when a checkpoint was written.
pub struct Resumed {
    /// The network with its weights.
    pub network: Network,
    /// The optimizer with its state.
    pub optimizer: Optimizer,
    /// The records of the epochs that are done, and where the one in progress stands; give it to [`crate::Trainer::resume`].
    pub history: History,
    /// Seed, batch size and the rest of the set-up.
    pub state: TrainingState,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The file that was read.
    pub path: PathBuf,
    /// Newer checkpoints of a folder that are damaged, the newest first; say so to whoever waits for what was done in them.
    pub skipped: Vec<Skipped>,
}

/// Reads a checkpoint: a file, or the newest one of a folder that is whole.
///
/// # Errors
/// [`Error::Persistence`] where the file (or every one of the folder) is damaged, [`Error::Checkpoint`] where it holds a model but no
/// training, or the folder no checkpoint.
pub fn resume(path: &Path, device: &Device) -> Result<Resumed> {
    let (path, saved, skipped) = if path.is_dir() {
        let restored = Checkpointer::new(path)?
            .restore(device)?
            .ok_or_else(|| Error::Checkpoint {
                path: path.to_path_buf(),
                reason: "holds no checkpoint; their names are like checkpoint-000000001.safetensors".to_string(),
            })?;
        (restored.path, restored.saved, restored.skipped)
    } else {
        (path.to_path_buf(), persistence::load(path, device)?, Vec::new())
    };
    let path = path.as_path();
    let lacks = |what: &str| Error::Checkpoint {
        path: path.to_path_buf(),
        reason: format!("holds no {what}; it was saved for inference, training cannot go on from it"),
    };
    let optimizer = saved.optimizer.ok_or_else(|| lacks("optimizer state"))?;
    let state = saved.metadata.training.ok_or_else(|| lacks("state of the training"))?;
    let mut history: History = serde_json::from_value(state.history.clone()).map_err(|error| Error::Checkpoint {
        path: path.to_path_buf(),
        reason: format!("its history cannot be read: {error}"),
    })?;
    for (name, tensor) in saved.tensors {
        let owner = name.split_once(SEPARATOR).and_then(|(key, name)| {
            let state = history.callbacks.iter_mut().find(|state| state.key == key)?;
            Some((state, name.to_string()))
        });
        let Some((state, name)) = owner else {
            return Err(Error::Checkpoint {
                path: path.to_path_buf(),
                reason: format!("no callback has the tensor '{name}'"),
            });
        };
        state.tensors.push((name, tensor));
    }
    Ok(Resumed {
        network: saved.network,
        optimizer,
        history,
        state,
        classes: saved.metadata.classes,
        path: path.to_path_buf(),
        skipped,
    })
}
