//! Optimizers for candle: those of Keras and of PyTorch, newer ones, and the parts to make your own.
//!
//! candle-nn has SGD and AdamW; here is the rest of Keras 3, with Keras' names, defaults, options and numbers; PyTorch's
//! optimizers with PyTorch's conventions (`torch_adam`, ...), [`Lbfgs`] among them; and of the literature Schedule-Free SGD and
//! AdamW, Prodigy, SOAP, ADOPT and Muon. Every update is tested against traces of the originals, and on a CPU each step of the common
//! ones is one pass over memory. State is named by the weight's path, can be saved and loaded, and a training goes on to the bit.
//!
//! ```
//! use candle_core::{Device, Var};
//! use optimizers::Optimizer;
//!
//! let w = Var::new(&[[1.0_f32, 2.0], [3.0, 4.0]], &Device::Cpu)?;
//! let mut optimizer = Optimizer::builder("sgd_momentum")?.learning_rate(0.1).clipnorm(1.0).build()?;
//! let before = w.sqr()?.sum_all()?;
//! optimizer.apply_gradients(&[("dense/kernel", &w)], &before.backward()?)?;
//! assert!(w.sqr()?.sum_all()?.to_scalar::<f32>()? < before.to_scalar::<f32>()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Not for
//! Computing gradients (candle's `backward` does), loops over batches and epochs (the crate `training`), or saying which
//! optimizer is best (the crate `optimizers-bench`). For a plain AdamW without anything else `candle_nn::AdamW` is enough.
//!
//! # How it is built
//! An [`Algorithm`] says what state a parameter has and how a step changes it; what all share ([`Options`]) is done around
//! it by [`Optimizer`]. The formula of an algorithm is a [`Rule`], written once for any [`Number`]: over the elements of
//! slices it is the fused pass, over tensors it runs on any device. A rule can be made of stages that chain
//! ([`transformations`], [`Chain`]). A new optimizer is a file in `algorithms/` and a line in its list.

#![deny(missing_docs)]

mod algorithm;
mod algorithms;
mod average;
mod builder;
mod catalogue;
mod clipping;
mod companion;
mod config;
mod eigenvectors;
mod error;
mod evaluation;
mod factored;
mod fused;
mod groups;
mod lbfgs;
mod lbfgs_state;
mod lending;
mod line_search;
mod linear_algebra;
mod loss_scale;
mod multi;
mod nearest;
mod newton_schulz;
mod number;
mod optimizer;
mod options;
mod orthogonal;
mod passes;
mod pieces;
mod plan;
mod products;
mod rule;
pub mod schedules;
mod slot;
mod state;
mod step;
mod tape;
mod transformation;
pub mod transformations;
mod whole;

pub use algorithm::{Algorithm, Convention, Decay, Initial, SlotSpec, Step, Sums};
pub use algorithms::*;
pub use builder::OptimizerBuilder;
pub use catalogue::{Family, OptimizerInfo, Paper, catalogue};
pub use error::{Error, Result};
pub use groups::Group;
pub use lbfgs::{Lbfgs, LineSearch};
pub use loss_scale::DynamicLossScale;
pub use number::{Number, Real, Scalar};
pub use optimizer::{Optimizer, Parameter};
pub use options::{Execution, Options};
pub use pieces::{Pieces, Prepare, Unmade};
pub use rule::{Rule, Target, Term};
pub use transformation::{Chain, Pass, Transformation};
pub use whole::Updated;

/// The pages whose code runs with the other examples of this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/crates/optimizers.md")]
    struct Page;
}
