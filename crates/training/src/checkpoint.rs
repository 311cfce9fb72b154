//! Saving training after every epoch, and going on from there to the same bits.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use models::Network;
use optimizers::Optimizer;
use persistence::{Contents, Metadata, Precision, TrainingState};

use crate::callbacks::{Callback, Control, EpochEnd};
use crate::{Error, History, Result};

/// A callback that writes network, optimizer and history after every epoch.
///
/// The file is replaced as a whole or not at all, so a crash costs at most the epoch in progress.
pub struct Checkpoint {
    path: PathBuf,
    metadata: Metadata,
}

impl Checkpoint {
    /// Saves to `path`; `metadata` names the classes and how training was set up, its history is filled in.
    pub fn new(path: impl Into<PathBuf>, metadata: Metadata) -> Self {
        Checkpoint {
            path: path.into(),
            metadata,
        }
    }
}

impl Callback for Checkpoint {
    fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> Result<Control> {
        let history = serde_json::to_value(epoch.history).map_err(|error| Error::Checkpoint {
            path: self.path.clone(),
            reason: format!("the history cannot be written: {error}"),
        })?;
        self.metadata
            .training
            .get_or_insert_with(TrainingState::default)
            .history = history;
        let contents = Contents {
            network: epoch.network,
            optimizer: Some(epoch.optimizer),
            metadata: &self.metadata,
        };
        // Training goes on to the same bits only from weights that were not rounded.
        let precision = match contents.network.dtype() {
            DType::F64 => Precision::F64,
            _ => Precision::F32,
        };
        persistence::save(&self.path, &contents, precision)?;
        Ok(Control::Continue)
    }
}

/// Training as it stood when a checkpoint was written.
pub struct Resumed {
    /// The network with its weights.
    pub network: Network,
    /// The optimizer with its state.
    pub optimizer: Optimizer,
    /// The records of the epochs that are done; give it to [`crate::Trainer::resume`].
    pub history: History,
    /// Seed, batch size and the rest of the set-up.
    pub state: TrainingState,
    /// Names of the classes.
    pub classes: Vec<String>,
}

/// Reads a checkpoint.
///
/// # Errors
/// [`Error::Persistence`] where the file is damaged, [`Error::Checkpoint`] where it holds a model but no training.
pub fn resume(path: &Path, device: &Device) -> Result<Resumed> {
    let saved = persistence::load(path, device)?;
    let lacks = |what: &str| Error::Checkpoint {
        path: path.to_path_buf(),
        reason: format!("holds no {what}; it was saved for inference, training cannot go on from it"),
    };
    let optimizer = saved.optimizer.ok_or_else(|| lacks("optimizer state"))?;
    let state = saved.metadata.training.ok_or_else(|| lacks("state of the training"))?;
    let history = serde_json::from_value(state.history.clone()).map_err(|error| Error::Checkpoint {
        path: path.to_path_buf(),
        reason: format!("its history cannot be read: {error}"),
    })?;
    Ok(Resumed {
        network: saved.network,
        optimizer,
        history,
        state,
        classes: saved.metadata.classes,
    })
}
