//! NumPy's files: `.npy` (one array) and `.npz` (a zip archive of them).
//!
//! Source: [NEP 1](https://numpy.org/neps/nep-0001-npy-format.html) and `numpy.lib.format`, versions 1 to 3.
//! Arrays of Python objects are pickles, which are refused by name and never looked into.

mod header;
mod read;
mod write;

pub(crate) use read::{read_npy, read_npz};
pub(crate) use write::{write_npy, write_npz};
