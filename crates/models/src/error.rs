//! What can go wrong when a description becomes a running network.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was wrong, in which layer or weight, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The running network does not know a layer of the description.
    #[error(
        "layer '{layer}': {class} can be described and counted, but not yet run; \
         run the model in Keras, or replace the layer by one of: {}", crate::layers::RUNNABLE.join(", ")
    )]
    Layer {
        /// Name of the layer.
        layer: String,
        /// Its class in Keras.
        class: String,
    },
    /// An option of a layer that the running network does not know.
    #[error("layer '{layer}': {option} = {found} cannot be run; use {expected}")]
    LayerOption {
        /// Name of the layer.
        layer: String,
        /// Name of the option.
        option: &'static str,
        /// What the description says.
        found: String,
        /// What can be run.
        expected: &'static str,
    },
    /// A weight cannot be initialised.
    #[error("weight '{path}': initializer {initializer} cannot be used: {reason}")]
    Initializer {
        /// Path of the weight.
        path: String,
        /// The initializer.
        initializer: String,
        /// Why not.
        reason: String,
    },
    /// A dimension that must be known is free.
    #[error(
        "layer '{layer}': {what} has the shape {shape}; a running network needs every size but the batch: give the input a full shape"
    )]
    FreeDimension {
        /// Name of the layer.
        layer: String,
        /// Which shape.
        what: &'static str,
        /// The shape.
        shape: String,
    },
    /// The network has more values than this machine can hold.
    #[error(
        "network '{network}' has {parameters} parameters, more than this program allocates ({limit}); use a smaller network"
    )]
    TooLarge {
        /// Name of the network.
        network: String,
        /// Number of parameters.
        parameters: u64,
        /// The largest number that is allocated.
        limit: u64,
    },
    /// The input does not have the shape of the input layer.
    #[error("network '{network}': its input is {expected}, found {found}")]
    Input {
        /// Name of the network.
        network: String,
        /// Shape of the input layer.
        expected: String,
        /// Shape of the tensor.
        found: String,
    },
    /// The network has several inputs or outputs where one was meant.
    #[error("network '{network}' has {inputs} inputs and {outputs} outputs; this call needs one of each")]
    Ports {
        /// Name of the network.
        network: String,
        /// Number of inputs.
        inputs: usize,
        /// Number of outputs.
        outputs: usize,
    },
    /// No weight has this path.
    #[error("network '{network}' has no weight '{path}'; it has: {known}")]
    UnknownWeight {
        /// Name of the network.
        network: String,
        /// The path that was asked for.
        path: String,
        /// The paths that exist.
        known: String,
    },
    /// A value does not have the shape of its weight.
    #[error("weight '{path}' has the shape {expected:?}, the value to set has {found:?}")]
    WeightShape {
        /// Path of the weight.
        path: String,
        /// Shape of the weight.
        expected: Vec<usize>,
        /// Shape of the value.
        found: Vec<usize>,
    },
    /// No built-in model has this name.
    #[error("there is no built-in model '{name}'; {hint}the built-in models are: {known}")]
    UnknownModel {
        /// The name that was asked for.
        name: String,
        /// The nearest name, as a sentence, or nothing.
        hint: String,
        /// The names that exist.
        known: String,
    },
    /// The description is wrong.
    #[error(transparent)]
    Spec(#[from] nn_theory::Error),
    /// A layer's computation was refused.
    #[error("layer '{layer}': {source}")]
    Compute {
        /// Name of the layer.
        layer: String,
        /// What the kernel says.
        source: kernels::Error,
    },
    /// candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
