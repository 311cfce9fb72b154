//! What can go wrong with a network given by its connections.

/// Errors of this module; each says where the fault is and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text form could not be read.
    #[error("line {line}, column {column}: {problem}")]
    Syntax {
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
        /// What is wrong there and what is expected.
        problem: String,
    },
    /// A network needs at least one matrix.
    #[error("the network has no layer; give at least one matrix of connections")]
    NoLayer,
    /// A matrix without rows or without columns.
    #[error("{matrix}: a matrix needs at least one row and one column, this one is {rows} x {columns}")]
    EmptyMatrix {
        /// The matrix, such as `A2`.
        matrix: String,
        /// Rows found.
        rows: usize,
        /// Columns found.
        columns: usize,
    },
    /// A row is shorter or longer than the first one.
    #[error("{matrix}, row {row}: {found} entries, but the first row has {expected}; give every row the same length")]
    RaggedRow {
        /// The matrix, such as `A2`.
        matrix: String,
        /// Row, counted from 1.
        row: usize,
        /// Entries of the first row.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// The columns of a matrix are not the neurons of the layer before.
    #[error(
        "A{layer}: {found} columns, but the layer before has {expected} neurons; a matrix has one column for each of them"
    )]
    WidthMismatch {
        /// Layer, counted from 1.
        layer: usize,
        /// Neurons of the layer before.
        expected: usize,
        /// Columns found.
        found: usize,
    },
    /// More than this module keeps books of.
    #[error("{what}: {found} is more than the limit of {limit}; describe large networks as layers, not as connections")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit.
        limit: usize,
        /// What was asked for.
        found: usize,
    },
    /// Weights, a bias or an input of the wrong length.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What has the wrong shape, such as `b3` or `x`.
        what: String,
        /// The shape that fits.
        expected: String,
        /// The shape that was given.
        found: String,
    },
    /// A weight other than zero where no edge is drawn.
    #[error("A{layer}[{row},{column}] is not zero, but no edge is drawn there; set it to zero or draw the edge")]
    UndrawnWeight {
        /// Layer, counted from 1.
        layer: usize,
        /// Row, counted from 1.
        row: usize,
        /// Column, counted from 1.
        column: usize,
    },
    /// The name of an activation that cannot be written in a formula.
    #[error("'{name}' is not a name for an activation; use at most 32 ASCII letters, digits and '_', a letter first")]
    ActivationName {
        /// The name given.
        name: String,
    },
    /// A neuron that does not exist.
    #[error("there is no output {index}; the network has the outputs 1 to {outputs}")]
    NoSuchOutput {
        /// Output asked for, counted from 1.
        index: usize,
        /// Outputs of the network.
        outputs: usize,
    },
    /// Only affine networks can be expanded and collapsed.
    #[error(
        "layer {layer} applies {activation}, which is not linear, so the network is not one affine map; \
         evaluate it layer by layer"
    )]
    NotLinear {
        /// Layer, counted from 1.
        layer: usize,
        /// Its activation.
        activation: String,
    },
    /// An exact number left the range of 128-bit integers.
    #[error(
        "{operation} leaves the range of 128-bit integers; use smaller weights, or f64 if an approximation will do"
    )]
    Overflow {
        /// What was computed.
        operation: String,
    },
    /// A fraction with denominator zero.
    #[error("a fraction needs a denominator other than 0 ({numerator}/0)")]
    ZeroDenominator {
        /// Its numerator.
        numerator: i128,
    },
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(super) fn overflow(operation: impl Into<String>) -> Self {
        Self::Overflow {
            operation: operation.into(),
        }
    }
}
