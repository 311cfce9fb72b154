//! What can go wrong with an optimizer, each with the way out.

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No optimizer has this name.
    #[error("there is no optimizer '{name}'{}; known are: {known}", hint(.suggestion))]
    UnknownOptimizer {
        /// What was asked for.
        name: String,
        /// The nearest known name.
        suggestion: Option<String>,
        /// All known names.
        known: String,
    },
    /// No learning-rate schedule has this class name.
    #[error("there is no learning-rate schedule '{name}'{}; known are: {known}", hint(.suggestion))]
    UnknownSchedule {
        /// What was asked for.
        name: String,
        /// The nearest known name.
        suggestion: Option<String>,
        /// All known names.
        known: String,
    },
    /// A configuration holds a key that the class does not have.
    #[error("{class} has no option '{option}'{}; its options are: {known}", hint(.suggestion))]
    UnknownOption {
        /// The optimizer or schedule.
        class: String,
        /// The key.
        option: String,
        /// The nearest known key.
        suggestion: Option<String>,
        /// All known keys.
        known: String,
    },
    /// L-BFGS looks at the loss several times in a step, so it is no [`Optimizer`](crate::Optimizer).
    #[error(
        "'{name}' measures the loss several times in a step, which needs a function to measure it with: use \
         optimizers::Lbfgs::step, or another optimizer for a loop over batches"
    )]
    NeedsClosure {
        /// What was asked for.
        name: String,
    },
    /// An optimizer is not defined for a parameter of this shape; nothing was updated.
    #[error("{class} cannot update '{path}' of shape {shape:?}: it is made for {expected}")]
    Unsupported {
        /// The optimizer.
        class: &'static str,
        /// The parameter.
        path: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What it can update, and what to do with the rest.
        expected: &'static str,
    },
    /// A parameter matches the patterns of two optimizers; nothing was updated.
    #[error("'{path}' matches both '{first}' and '{second}': make the patterns of the optimizers exclude each other")]
    AmbiguousOptimizer {
        /// The parameter.
        path: String,
        /// A pattern.
        first: String,
        /// Another pattern.
        second: String,
    },
    /// An option has a value that makes no sense.
    #[error("{class}: option '{option}' is {found}, but must be {expected}")]
    InvalidOption {
        /// The optimizer or schedule.
        class: String,
        /// The key.
        option: String,
        /// What would be accepted.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A learning rate that is negative or not a number.
    #[error("the learning rate is {value}, but must be a finite number that is 0 or larger")]
    InvalidLearningRate {
        /// The rate.
        value: f64,
    },
    /// A gradient with NaN or infinity in it; nothing was updated.
    #[error(
        "the gradient of '{path}' contains NaN or infinity; no parameter was changed: lower the learning rate, clip the \
         gradients (clipnorm), or look for a logarithm or division of 0 in the loss"
    )]
    NonFiniteGradient {
        /// The parameter.
        path: String,
    },
    /// The loss that a closure measured is NaN or infinite; variables and state are as they were before the step.
    #[error(
        "the loss is {loss}; no parameter was changed: start nearer, take a smaller learning rate, or use a line search"
    )]
    NonFiniteLoss {
        /// The loss.
        loss: f64,
    },
    /// A step with another number of parameters than the steps before; nothing was updated.
    #[error("the step has {found} parameters, but those before had {expected}: L-BFGS remembers them all together")]
    OtherParameters {
        /// The number of parameters so far.
        expected: usize,
        /// The number given.
        found: usize,
    },
    /// The backward pass gave no gradient for a parameter; nothing was updated.
    #[error(
        "there is no gradient for '{path}': the loss does not depend on it, or an operation between them has no backward \
         pass; leave frozen parameters out of the list"
    )]
    MissingGradient {
        /// The parameter.
        path: String,
    },
    /// A gradient, or the stored state, has another shape than the parameter; nothing was updated.
    #[error("{what} of '{path}' has shape {found:?}, but the parameter has shape {expected:?}")]
    ShapeMismatch {
        /// What has the wrong shape.
        what: &'static str,
        /// The parameter.
        path: String,
        /// The shape of the parameter, or the one that follows from it.
        expected: Vec<usize>,
        /// The shape found.
        found: Vec<usize>,
    },
    /// A gradient, or the stored state, has another data type than the parameter; nothing was updated.
    #[error("{what} of '{path}' is of type {found}, but the parameter is {expected}")]
    DTypeMismatch {
        /// What has the wrong type.
        what: &'static str,
        /// The parameter.
        path: String,
        /// The type of the parameter.
        expected: String,
        /// The type found.
        found: String,
    },
    /// Two parameters with the same path in one step.
    #[error("two parameters are called '{path}': the state is kept by path, so give each its own")]
    DuplicatePath {
        /// The path.
        path: String,
    },
    /// A saved state lacks an entry; nothing was loaded.
    #[error("the saved state has no '{key}': it belongs to another network, optimizer or set of options")]
    StateMissing {
        /// The entry that is needed.
        key: String,
    },
    /// A saved state has an entry that belongs to nothing here; nothing was loaded.
    #[error("the saved state has an entry '{key}' that {class} does not know{}", hint(.suggestion))]
    StateUnexpected {
        /// The entry.
        key: String,
        /// The optimizer.
        class: String,
        /// The nearest known entry.
        suggestion: Option<String>,
    },
    /// An entry of a saved state has the wrong shape, type or value; nothing was loaded.
    #[error("the saved state's entry '{key}' is {found}, but must be {expected}")]
    StateInvalid {
        /// The entry.
        key: String,
        /// What is needed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// An error of candle.
    #[error("a tensor operation failed: {0}")]
    Candle(#[from] candle_core::Error),
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn hint(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or_else(String::new, |name| format!(" (did you mean '{name}'?)"))
}
