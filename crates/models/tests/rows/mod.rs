//! Rows for the table of layers that are checked against central differences.

pub(crate) mod convolution;
