//! What can go wrong with a network given by its connections.

use std::fmt;

/// Errors of this module; each says where the fault is and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The text form could not be read.
    Syntax {
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
        /// What is wrong there and what is expected.
        problem: String,
    },
    /// A network needs at least one matrix.
    NoLayer,
    /// A matrix without rows or without columns.
    EmptyMatrix {
        /// The matrix, such as `A2`.
        matrix: String,
        /// Rows found.
        rows: usize,
        /// Columns found.
        columns: usize,
    },
    /// A row is shorter or longer than the first one.
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
    WidthMismatch {
        /// Layer, counted from 1.
        layer: usize,
        /// Neurons of the layer before.
        expected: usize,
        /// Columns found.
        found: usize,
    },
    /// More than this module keeps books of.
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit.
        limit: usize,
        /// What was asked for.
        found: usize,
    },
    /// Weights, a bias or an input of the wrong length.
    Shape {
        /// What has the wrong shape, such as `b3` or `x`.
        what: String,
        /// The shape that fits.
        expected: String,
        /// The shape that was given.
        found: String,
    },
    /// A weight other than zero where no edge is drawn.
    UndrawnWeight {
        /// Layer, counted from 1.
        layer: usize,
        /// Row, counted from 1.
        row: usize,
        /// Column, counted from 1.
        column: usize,
    },
    /// The name of an activation that cannot be written in a formula.
    ActivationName {
        /// The name given.
        name: String,
    },
    /// A neuron that does not exist.
    NoSuchOutput {
        /// Output asked for, counted from 1.
        index: usize,
        /// Outputs of the network.
        outputs: usize,
    },
    /// Only affine networks can be expanded and collapsed.
    NotLinear {
        /// Layer, counted from 1.
        layer: usize,
        /// Its activation.
        activation: String,
    },
    /// An exact number left the range of 128-bit integers.
    Overflow {
        /// What was computed.
        operation: String,
    },
    /// A fraction with denominator zero.
    ZeroDenominator {
        /// Its numerator.
        numerator: i128,
    },
}

/// By hand: `thiserror` brings a parser of Rust with it, which takes half as long to compile as this crate.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, column, problem } => write!(f, "line {line}, column {column}: {problem}"),
            Self::NoLayer => f.write_str("the network has no layer; give at least one matrix of connections"),
            Self::EmptyMatrix { matrix, rows, columns } => write!(
                f,
                "{matrix}: a matrix needs at least one row and one column, this one is {rows} x {columns}"
            ),
            Self::RaggedRow {
                matrix,
                row,
                expected,
                found,
            } => write!(
                f,
                "{matrix}, row {row}: {found} entries, but the first row has {expected}; give every row the same length"
            ),
            Self::WidthMismatch { layer, expected, found } => write!(
                f,
                "A{layer}: {found} columns, but the layer before has {expected} neurons; a matrix has one column for each of them"
            ),
            Self::TooLarge { what, limit, found } => write!(
                f,
                "{what}: {found} is more than the limit of {limit}; describe large networks as layers, not as connections"
            ),
            Self::Shape { what, expected, found } => write!(f, "{what}: expected {expected}, found {found}"),
            Self::UndrawnWeight { layer, row, column } => write!(
                f,
                "A{layer}[{row},{column}] is not zero, but no edge is drawn there; set it to zero or draw the edge"
            ),
            Self::ActivationName { name } => write!(
                f,
                "'{name}' is not a name for an activation; use at most 32 ASCII letters, digits and '_', a letter first"
            ),
            Self::NoSuchOutput { index, outputs } => write!(
                f,
                "there is no output {index}; the network has the outputs 1 to {outputs}"
            ),
            Self::NotLinear { layer, activation } => write!(
                f,
                "layer {layer} applies {activation}, which is not linear, so the network is not one affine map; \
         evaluate it layer by layer"
            ),
            Self::Overflow { operation } => write!(
                f,
                "{operation} leaves the range of 128-bit integers; use smaller weights, or f64 if an approximation will do"
            ),
            Self::ZeroDenominator { numerator } => {
                write!(f, "a fraction needs a denominator other than 0 ({numerator}/0)")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Result of this module.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(super) fn overflow(operation: impl Into<String>) -> Self {
        Self::Overflow {
            operation: operation.into(),
        }
    }
}
