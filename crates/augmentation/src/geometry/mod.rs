//! Where pixels come from: projective maps, the warp that reads through them, and resampling to another size.

mod between;
mod coordinates;
mod matrix;
mod resample;
mod warp;

pub(crate) use between::{of_bytes, of_floats, of_floats_in_a_row};
pub(crate) use coordinates::{CHUNK, Places};
pub use matrix::Matrix;
pub use resample::ResizeInterpolation;
pub(crate) use resample::resample;
pub use warp::{FillMode, Interpolation, Reading, Warp};
