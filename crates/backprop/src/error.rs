//! What can go wrong, each with what to do about it.

use thiserror::Error;

/// An error of this crate.
#[derive(Debug, Error)]
pub enum Error {
    /// A fraction that does not exist or does not fit.
    #[error(
        "{numerator}/{denominator} is no fraction that fits: use a denominator other than 0 and 64-bit numbers above the smallest"
    )]
    Fraction {
        /// The number above the line.
        numerator: i64,
        /// The number below the line.
        denominator: i64,
    },
    /// The simplifier was still at work.
    #[error(
        "the derivation is not finished after {limit} steps (next rule: '{rule}'): raise `Limits::steps` or derive it in parts with `Knowledge::derived`"
    )]
    StepLimit {
        /// The limit.
        limit: usize,
        /// The rule that would have come next.
        rule: &'static str,
    },
    /// An expression became too large.
    #[error(
        "an expression has more than {limit} nodes: raise `Limits::size`, name parts of it with `Knowledge::define`, or simplify it in parts"
    )]
    SizeLimit {
        /// The limit.
        limit: usize,
    },
    /// An expression is nested too deeply.
    #[error("an expression is nested deeper than {limit} levels: name inner parts of it with `Knowledge::define`")]
    DepthLimit {
        /// The limit.
        limit: usize,
    },
    /// A symbol, index or range without a number.
    #[error("no value for the {what}: give it to `Values` before evaluating")]
    NoValue {
        /// What lacks a value.
        what: String,
    },
    /// A derivative where a number was wanted.
    #[error("{expression} is not worked out: call `differentiate` or `derive` before evaluating")]
    NotWorkedOut {
        /// The derivative.
        expression: String,
    },
    /// A value that is no fraction.
    #[error(
        "{expression} is no fraction of 64-bit numbers here: put the value itself in as a fraction, or use `evaluate`"
    )]
    NotExact {
        /// The part of the expression that has no exact value.
        expression: String,
    },
    /// Two shapes that do not fit together.
    #[error("{node}: expected {expected}, found {found}")]
    Shape {
        /// The node of the network or operation, such as `"A x"`.
        node: String,
        /// The shape that would fit, with the way out.
        expected: String,
        /// The shape that came.
        found: String,
    },
    /// A number that makes the result meaningless.
    #[error("{node}: {what}")]
    Number {
        /// The node of the network or operation.
        node: String,
        /// What is wrong with the number and what to use instead.
        what: String,
    },
    /// A derivative that candle did not compute.
    #[error(
        "weight '{weight}' has no gradient: the loss does not depend on it, or an operation on the way (such as candle-nn's softmax_last_dim) has no backward pass"
    )]
    MissingGradient {
        /// The weight.
        weight: String,
    },
    /// An error of candle.
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

pub(crate) fn shape(node: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Error {
    Error::Shape {
        node: node.into(),
        expected: expected.into(),
        found: found.into(),
    }
}

/// An error for the first number that is infinite or NaN.
pub(crate) fn finite(node: &str, numbers: &[f64]) -> Result<()> {
    match numbers.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(place) => Err(Error::Number {
            node: node.into(),
            what: format!(
                "number {} is {}; scale the input or lower the learning rate",
                place + 1,
                numbers[place]
            ),
        }),
    }
}
