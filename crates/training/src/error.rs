//! What can go wrong while a network is trained.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to train on.
    #[error("the {what} data set has no samples; give it at least one")]
    EmptyData {
        /// Which set: `training`, `validation` or `test`.
        what: &'static str,
    },
    /// Inputs and labels do not belong together.
    #[error("{inputs} inputs but {labels} labels; every sample needs exactly one label")]
    Lengths {
        /// Number of samples among the inputs.
        inputs: usize,
        /// Number of labels.
        labels: usize,
    },
    /// The samples do not have the shape that the network's first layer expects.
    #[error(
        "network '{network}': its input is {expected}, but a sample is {found}; \
         choose a network for this data, or reshape or resize the data"
    )]
    InputShape {
        /// Name of the network.
        network: String,
        /// Shape of the network's input without the batch.
        expected: String,
        /// Shape of one sample.
        found: String,
    },
    /// A label has no output neuron.
    #[error(
        "sample {sample} has label {label}, but network '{network}' ends in {classes} classes (labels 0 to {}); \
         correct the label or give the last layer more units", .classes - 1
    )]
    Label {
        /// Index of the sample.
        sample: usize,
        /// Its label.
        label: u32,
        /// Number of outputs.
        classes: usize,
        /// Name of the network.
        network: String,
    },
    /// An option is outside of its range.
    #[error("{option} is {found}, expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// Its range.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// The loss is not a number any more.
    #[error(
        "the loss is {loss} at step {step} of epoch {epoch}; the weights are those before this step. \
         Try a smaller learning rate (it is {learning_rate}), clipnorm, or inputs scaled to [0, 1]"
    )]
    NonFiniteLoss {
        /// The loss: NaN or infinite.
        loss: f64,
        /// Epoch, counted from 1.
        epoch: usize,
        /// Step of the epoch, counted from 1.
        step: usize,
        /// The learning rate in use.
        learning_rate: f64,
    },
    /// A trainable weight has no gradient: some operation between it and the loss cannot be differentiated.
    #[error(
        "the weight '{path}' gets no gradient from the loss; its layer does not reach the output, or an operation above it \
         has no backward pass. Set trainable = false if it is meant to stay as it is"
    )]
    LostGradient {
        /// Path of the weight.
        path: String,
    },
    /// A checkpoint does not belong to this training.
    #[error("{}: {reason}", .path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The network could not be run.
    #[error(transparent)]
    Model(#[from] models::Error),
    /// The optimizer refused a step.
    #[error(transparent)]
    Optimizer(#[from] optimizers::Error),
    /// The augmentation pipeline refused an image.
    #[error(transparent)]
    Augmentation(#[from] augmentation::Error),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Persistence(#[from] persistence::Error),
    /// A kernel refused its arguments.
    #[error(transparent)]
    Kernel(#[from] kernels::Error),
    /// candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
