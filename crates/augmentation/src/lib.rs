//! What happens to an image before the network sees it.
//!
//! Every transformation has the name, the parameters, the fill modes and the value ranges of its Keras layer, and is made
//! of two halves: one draws parameters, the other applies them. All randomness is keyed by what it is for (seed, epoch,
//! sample, step), so the same image in the same epoch is changed in the same way in any batch, in any order and on any
//! number of threads; and what was drawn can be recorded as JSON and replayed.
//!
//! * [`Pipeline`]: steps from text, from JSON or from Rust, applied to one image or to a batch on all threads;
//! * [`Transformation`]s: [`RandomFlip`], [`RandomRotation`], [`RandomContrast`], ...; [`CATALOGUE`] lists them all;
//! * [`corrupt`]: damage in five severities, for robustness studies;
//! * [`mix`]: MixUp and CutMix, which blend images *and* labels of a batch;
//! * [`geometry`]: the warp and resampling below.
//!
//! **Not for** loading images (see `datasets`), for drawing contact sheets (see `report`), or for layers inside of a
//! network (see `models`). It knows no tensors: images are slices of f32 or u8, `(height, width, channels)` each.
//!
//! ```
//! use augmentation::{Pipeline, ValueRange};
//!
//! let pipeline = Pipeline::parse_for("flip(horizontal) | rotate(factor=0.05) | contrast(0.2) @ 0.5", ValueRange::UNIT)?;
//!
//! // Two images of 4x4x1 with values of [0, 1], numbers 17 and 42 of their data set, in epoch 3.
//! let mut batch: Vec<f32> = (0..32).map(|v| v as f32 / 31.0).collect();
//! let mut alone = batch[16..].to_vec();
//! pipeline.apply_batch(&mut batch, (4, 4, 1), &[17, 42], 6020, 3)?;
//!
//! // The second image alone: the same bits.
//! pipeline.apply_batch(&mut alone, (4, 4, 1), &[42], 6020, 3)?;
//! assert_eq!(alone, batch[16..]);
//! # Ok::<(), augmentation::Error>(())
//! ```

#![deny(missing_docs)]

mod arithmetic;
mod blur;
mod color;
pub mod corrupt;
mod error;
pub mod geometry;
mod image;
mod levels;
mod mirror;
pub mod mix;
mod noise;
mod picture;
pub mod pipeline;
mod pixels;
mod range;
mod transform;
mod transforms;
mod vectors;

pub use error::{Error, Result};
pub use geometry::{FillMode, Interpolation, ResizeInterpolation};
pub use image::{Image, ImageShape, MAX_VALUES};
pub use noise::Noise;
pub use picture::picture;
pub use pipeline::{Applied, AppliedStep, Blend, Mix, Pipeline};
pub use pixels::{Pixel, PixelsMut};
pub use range::{Factor, ValueRange};
pub use transform::{CATALOGUE, Entry, Parameters, Transform, Transformation, find};
pub use transforms::*;

/// The pages whose code runs with the other examples of this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/crates/augmentation.md")]
    struct Page;
}
