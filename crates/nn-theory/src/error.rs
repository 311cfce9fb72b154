//! What can be wrong with a network, said with the layer, the key and a way out.

use std::fmt;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can be wrong with a network, its configuration or a request for its summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A key of a layer's configuration is missing, of the wrong type or has a value that Keras would refuse.
    Config {
        /// Name of the layer (or of the model that holds it).
        layer: String,
        /// Keras class of the layer.
        class: String,
        /// The key of the configuration.
        key: String,
        /// What is wrong with its value, and what is expected.
        problem: String,
    },
    /// A layer cannot be applied to the shapes that reach it.
    Shape {
        /// Name of the layer.
        layer: String,
        /// Keras class of the layer.
        class: String,
        /// What does not fit, and what would.
        problem: String,
    },
    /// A size, a count of parameters or a count of bytes leaves the range of 64-bit integers.
    TooLarge {
        /// Name of the layer.
        layer: String,
        /// Keras class of the layer.
        class: String,
        /// The number that overflows, such as "the number of parameters of 'kernel'".
        what: String,
    },
    /// The configuration names a class that has no closed form here.
    UnknownClass {
        /// Name of the layer.
        layer: String,
        /// The class that the configuration asks for.
        class: String,
        /// How many classes are known ([`crate::Layer::classes`] lists them).
        known: usize,
    },
    /// The connections between the layers do not form a model.
    Graph {
        /// Name of the model.
        model: String,
        /// What is wrong with the connections.
        problem: String,
    },
    /// The text is no JSON, or no Keras model configuration.
    Json {
        /// What is wrong, with line and column where they are known.
        problem: String,
    },
    /// The model cannot be drawn.
    Plot {
        /// Name of the model.
        model: String,
        /// Why, and what can be drawn instead.
        problem: String,
    },
    /// The options of a summary contradict each other or the model.
    Summary {
        /// What is wrong with which option.
        problem: String,
    },
}

/// By hand: `thiserror` brings a parser of Rust with it, which takes half as long to compile as this crate.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config {
                layer,
                class,
                key,
                problem,
            } => write!(f, "layer '{layer}' ({class}): key '{key}' {problem}"),
            Self::Shape { layer, class, problem } => write!(f, "layer '{layer}' ({class}): {problem}"),
            Self::TooLarge { layer, class, what } => write!(
                f,
                "layer '{layer}' ({class}): {what} is larger than 2^64 - 1; choose a smaller size"
            ),
            Self::UnknownClass { layer, class, known } => write!(
                f,
                "layer '{layer}': class '{class}' is not one of the {known} Keras layer classes known here; replace the layer, or remove it \
         from the configuration"
            ),
            Self::Graph { model, problem } => write!(f, "model '{model}': {problem}"),
            Self::Json { problem } => write!(f, "this is not a Keras model configuration: {problem}"),
            Self::Plot { model, problem } => write!(f, "cannot plot the model '{model}': {problem}"),
            Self::Summary { problem } => write!(f, "cannot print this summary: {problem}"),
        }
    }
}

impl std::error::Error for Error {}

/// What a layer finds wrong before it knows its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    Key(String, String),
    Shape(String),
    TooLarge(String),
}

impl Problem {
    pub(crate) fn key(key: &str, problem: impl Into<String>) -> Self {
        Self::Key(key.to_owned(), problem.into())
    }

    pub(crate) fn shape(problem: impl Into<String>) -> Self {
        Self::Shape(problem.into())
    }

    pub(crate) fn too_large(what: impl Into<String>) -> Self {
        Self::TooLarge(what.into())
    }

    /// The error of the layer with this name and class.
    pub(crate) fn at(self, layer: &str, class: &str) -> Error {
        let (layer, class) = (layer.to_owned(), class.to_owned());
        match self {
            Self::Key(key, problem) => Error::Config {
                layer,
                class,
                key,
                problem,
            },
            Self::Shape(problem) => Error::Shape { layer, class, problem },
            Self::TooLarge(what) => Error::TooLarge { layer, class, what },
        }
    }
}
