//! What a neural network is: layers, shapes, parameter counts, summaries. The exact book-keeper of neural networks.
//!
//! **For** everything that can be known about a network without running it: describe one ([`ModelSpec`]), or read and
//! write Keras' JSON configuration ([`ModelSpec::from_keras_json`], [`ModelSpec::to_keras_json`]), print what Keras'
//! `model.summary()` prints, byte for byte ([`ModelSpec::summary`]), retrace each of its numbers
//! ([`ModelSpec::explain`]), count multiplications ([`Node::multiply_adds`]), compute the output sizes and paddings of
//! convolutions ([`convolution`]), and study networks given by their connections alone ([`generic`]).
//!
//! **Not for** running a network: there are no tensors here and no numbers in the weights. The crate `models` makes a
//! network that computes out of a [`ModelSpec`]; `persistence` reads weights from files.
//!
//! ```
//! use nn_theory::{Activation, Dense, ModelSpec, SummaryOptions};
//!
//! let model = ModelSpec::sequential("cats_vs_dogs")
//!     .input_named("Input", [1024])
//!     .layer(Dense::new(2).activation(Activation::Tanh).name("H01"))
//!     .layer(Dense::new(2).name("H02"))
//!     .build()?
//!     .into_functional(); // the lecture's model: its summary shows the input layer
//!
//! let summary = model.summary(&SummaryOptions::lecture())?;
//! assert!(summary.contains("│ H01 (Dense)                   │ (None, 2)              │       2,050 │   Y   │"));
//! assert!(summary.contains(" Total params: 2,056 (8.03 KB)"));
//! assert_eq!(model.explain()[1].formula, "(1024 + 1) × 2 = 2,050");
//! # Ok::<(), nn_theory::Error>(())
//! ```
//!
//! # How it is built
//! A layer is one declaration with Keras' fields and defaults and one implementation of its rules (`src/layers/`); the
//! enum [`Layer`] is made from a list. All arithmetic is checked: a size beyond 64 bits is an [`Error::TooLarge`] that
//! names the layer. Counts are formulas ([`Formula`]), so a number can always say where it comes from.

#![deny(missing_docs)]

#[macro_use]
mod serialization;

mod activation;
pub mod convolution;
mod dtype;
mod error;
mod explain;
mod formula;
pub mod generic;
mod initializer;
mod keras_json;
mod layers;
mod model;
mod optimizer;
mod overview;
mod plot;
mod shape;
mod summary;
mod weight;

pub use activation::Activation;
pub use convolution::{DataFormat, Padding};
pub use dtype::{DType, DTypePolicy};
pub use error::{Error, Result};
pub use explain::{NumberFormat, RowExplanation};
pub use formula::{Expr, Formula, Term, with_separators};
pub use initializer::Initializer;
pub use keras_json::{MAX_CONFIGURATION_BYTES, MAX_LAYERS};
pub use layers::*;
pub use model::{
    Counts, Functional, IntoTensors, ModelKind, ModelSpec, Node, ReceptiveField, Sequential, Tensor, snake_case,
};
pub use overview::{Overview, OverviewRow, OverviewTotals};
pub use plot::{MAX_DRAWN_BOXES, Plot, PlotOptions, RankDir};
pub use shape::Shape;
pub use summary::{OptimizerSize, SummaryOptions, memory_size};
pub use weight::WeightSpec;

/// The pages whose code runs with the other examples of this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/crates/nn-theory.md")]
    struct Page;
    #[doc = include_str!("../../../docs/exercises/1.md")]
    struct ExerciseOne;
    #[doc = include_str!("../../../docs/exercises/2.md")]
    struct ExerciseTwo;
}
