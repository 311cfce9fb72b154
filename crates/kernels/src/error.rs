//! What can be wrong with the arguments of an operation.

use candle_core::{DType, Tensor};

/// The result of every operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation refused its arguments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor has not the shape that the operation needs.
    #[error("{op}: `{argument}` must have the shape {expected}, found {found:?}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// Which of its arguments.
        argument: &'static str,
        /// The shape it needs, with letters for free dimensions: `(batch, 784)`.
        expected: String,
        /// The shape it got.
        found: Vec<usize>,
    },
    /// A tensor has not the type of number that the operation needs.
    #[error("{op}: `{argument}` must hold {expected}, found {found:?}; convert it with `to_dtype`")]
    DType {
        /// The operation.
        op: &'static str,
        /// Which of its arguments.
        argument: &'static str,
        /// The types it takes.
        expected: String,
        /// The type it got.
        found: DType,
    },
    /// A window (kernel or pool) is larger than the image that it slides over.
    #[error(
        "{op}: a window of {window} pixels does not fit its input of {input} pixels along {axis} (padding 'valid'); \
         use padding 'same' or a smaller window"
    )]
    Window {
        /// The operation.
        op: &'static str,
        /// `height` or `width`.
        axis: &'static str,
        /// Size of the window with its dilation.
        window: usize,
        /// Size of the input.
        input: usize,
    },
    /// An option has a value for which the operation is not defined.
    #[error("{op}: `{option}` must be {expected}, found {found}")]
    Option {
        /// The operation.
        op: &'static str,
        /// The option.
        option: &'static str,
        /// What it may be.
        expected: String,
        /// What it was.
        found: String,
    },
    /// A class label names no class.
    #[error(
        "{op}: label {label} at index {index} is not one of the {classes} classes 0..={last}; \
         give the network's last layer as many units as there are classes, or relabel the data",
        last = classes.saturating_sub(1)
    )]
    Label {
        /// The operation.
        op: &'static str,
        /// Position of the label in the batch.
        index: usize,
        /// The label.
        label: i64,
        /// Number of classes, the last dimension of the logits.
        classes: usize,
    },
    /// candle refused.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(error) => error,
            error => candle_core::Error::wrap(error),
        }
    }
}

pub(crate) fn shape_error(
    op: &'static str,
    argument: &'static str,
    expected: impl Into<String>,
    found: &Tensor,
) -> Error {
    Error::Shape {
        op,
        argument,
        expected: expected.into(),
        found: found.dims().to_vec(),
    }
}

/// Refuses a tensor that has another shape than `expected`.
pub(crate) fn expect_shape(op: &'static str, argument: &'static str, expected: &[usize], found: &Tensor) -> Result<()> {
    if found.dims() == expected {
        Ok(())
    } else {
        Err(shape_error(op, argument, format!("{expected:?}"), found))
    }
}

/// Refuses a tensor whose type is not that of the operation's first argument.
pub(crate) fn expect_dtype(op: &'static str, argument: &'static str, expected: DType, found: &Tensor) -> Result<()> {
    if found.dtype() == expected {
        Ok(())
    } else {
        Err(Error::DType {
            op,
            argument,
            expected: format!("{expected:?} like the first argument"),
            found: found.dtype(),
        })
    }
}

/// Refuses anything but floating point numbers.
pub(crate) fn expect_float(op: &'static str, argument: &'static str, found: &Tensor) -> Result<()> {
    if found.dtype().is_float() {
        Ok(())
    } else {
        Err(Error::DType {
            op,
            argument,
            expected: "floating point numbers".into(),
            found: found.dtype(),
        })
    }
}
