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
    /// Targets of numbers do not have the shape of the network's output.
    #[error(
        "network '{network}': its output is {expected}, but the target of a sample is {found}; \
         give the last layer that shape, or reshape the targets"
    )]
    TargetShape {
        /// Name of the network.
        network: String,
        /// Shape of the network's output without the batch.
        expected: String,
        /// Shape of one sample's target.
        found: String,
    },
    /// A layer has no values, so nothing can be learnt through it.
    #[error("network '{network}': layer '{layer}' has the output shape {found}, expected at least 1 along every axis")]
    EmptyLayer {
        /// Name of the network.
        network: String,
        /// Name of the layer.
        layer: String,
        /// Shape of its output.
        found: String,
    },
    /// Something is defined for the other kind of targets only.
    #[error("{what} needs {expected}, but the samples have {found}")]
    Targets {
        /// What was asked for.
        what: &'static str,
        /// The kind of targets that it is defined for.
        expected: &'static str,
        /// The kind of targets that there are.
        found: &'static str,
    },
    /// The weights of samples are not usable.
    #[error("sample weights: {found}, expected {expected}")]
    InvalidWeights {
        /// What they must be.
        expected: String,
        /// What they are.
        found: String,
    },
    /// A figure that is watched or named is none that the epochs have.
    #[error("no epoch has a figure '{name}'; there are: {known}")]
    UnknownFigure {
        /// The name.
        name: String,
        /// The figures of an epoch.
        known: String,
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
         {cause}. Try a smaller learning rate (it is {learning_rate}), clipnorm, or inputs scaled to [0, 1]"
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
        /// What is not finite first on the way from the samples to the loss.
        cause: String,
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
    /// A training cannot go on from the position that was given.
    #[error(
        "the interrupted epoch {epoch} stands at step {step} after {found} samples, but with this data and batch size \
         that are {expected} samples; resume with the data, the split and the batch size that the training began with"
    )]
    Position {
        /// Epoch, counted from 1.
        epoch: usize,
        /// Steps that are done.
        step: usize,
        /// Samples after these steps of this training.
        expected: usize,
        /// Samples that were seen.
        found: usize,
    },
    /// The state of a callback is not usable.
    #[error("the saved state of the callback '{callback}' cannot be used: {reason}")]
    CallbackState {
        /// Kind of the callback.
        callback: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Whoever watched a measuring ended it.
    #[error("the measuring was ended after {samples} of {of_samples} samples")]
    Stopped {
        /// Samples that were measured.
        samples: usize,
        /// Samples in all.
        of_samples: usize,
    },
    /// A log cannot be written.
    #[error("{}: the log cannot be written", .path.display())]
    Log {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no such loss.
    #[error("unknown loss '{name}'{}", crate::nearest::did_you_mean(.suggestion))]
    UnknownLoss {
        /// The name that was given.
        name: String,
        /// A known name that is spelled nearly the same.
        suggestion: Option<String>,
    },
    /// There is no such metric.
    #[error("unknown metric '{name}'{}", crate::nearest::did_you_mean(.suggestion))]
    UnknownMetric {
        /// The name that was given.
        name: String,
        /// A known name that is spelled nearly the same.
        suggestion: Option<String>,
    },
    /// A Keras configuration cannot be read.
    #[error("the configuration of the {what} cannot be read: {reason}")]
    Config {
        /// Whose configuration: `loss Huber`, `metric Precision`.
        what: String,
        /// What does not fit.
        reason: String,
    },
    /// Sample weights do not belong to the losses that they weigh.
    #[error(
        "sample weights of the shape {found:?} do not fit losses of the shape {expected:?}; give one weight a sample, (batch)"
    )]
    SampleWeight {
        /// Shape of the losses.
        expected: Vec<usize>,
        /// Shape of the weights.
        found: Vec<usize>,
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
