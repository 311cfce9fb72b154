//! What is known of a model besides its weights.

use serde::{Deserialize, Serialize};

/// What is known of a model besides its weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Names of the classes, in the order of the outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// What is done with an image before the network sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// Loss, metrics and optimizer in Keras' words, as the `compile_config` of a `.keras` file has them; a saved optimizer takes the
    /// place of the one in here. Keras can go on training only where a loss is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compile: Option<serde_json::Value>,
    /// The figure by which a [`crate::Checkpointer`] compares checkpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitored: Option<Monitored>,
    /// Where training stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingState>,
}

/// A figure of a model, such as `val_loss`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Monitored {
    /// Its name.
    pub name: String,
    /// Its value; JSON has no NaN and no infinities, so a training that failed has none.
    pub value: Option<f64>,
}

/// From the bytes of an image to the numbers that the network was trained on: $x = \text{byte} \cdot \text{scale} + \text{offset}$.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Height, width and channels of the images.
    pub shape: Vec<usize>,
    /// Factor of every value of a pixel, which is 0 to 255.
    pub scale: f64,
    /// What is added then.
    pub offset: f64,
}

impl Preprocessing {
    /// Images whose pixels are brought from 0 … 255 to 0 … 1, as those of `datasets` are.
    pub fn unit(shape: [usize; 3]) -> Self {
        Preprocessing {
            shape: shape.to_vec(),
            scale: 1.0 / 255.0,
            offset: 0.0,
        }
    }
}

/// Where training stands: what a resumed training must know besides weights and optimizer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    /// The seed of all random draws. Draws are keyed by seed, epoch and sample, so no other generator state exists.
    pub seed: u64,
    /// Samples of one step.
    pub batch_size: usize,
    /// The augmentation pipeline in its text form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<String>,
    /// Name (or folder) of the data set that is learnt from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Share of the training samples that is held out.
    #[serde(default)]
    pub validation_split: f64,
    /// The records of the epochs that are done.
    pub history: serde_json::Value,
    /// Further options of the program that trains, in its own words.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub options: serde_json::Value,
}
