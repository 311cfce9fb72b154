//! Where pixels come from: projective maps, the warp that reads through them, and resampling to another size.

mod coordinates;
mod matrix;
mod resample;
mod warp;
mod warp_bytes;

pub use matrix::Matrix;
pub use resample::ResizeInterpolation;
pub(crate) use resample::resample;
pub use warp::{FillMode, Interpolation, Reading, Warp};
