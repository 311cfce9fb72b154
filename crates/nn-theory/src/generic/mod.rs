//! Exercise 1: networks given by their connections, and everything that follows from the connections alone.
//!
//! A [`Network`] is a list of [`Mask`]s (row = neuron of the next layer, column = neuron of the previous one), read
//! from a small text form or built in Rust. From it are derived shapes and sparsity ([`Network::matrices`]), dead
//! neurons and components ([`Network::liveness`]), paths ([`Network::path_counts`]), formulas
//! ([`Network::expansion`]), the collapsed map ([`Weighted::collapse`]) and its conditioning
//! ([`Weighted::conditioning`]), costs ([`Network::cost_table`], [`Network::evaluation_orders`]), the answer in words
//! ([`Network::verdict`]) and drawings ([`Network::drawing`], [`Network::drawing_with_matrices`]).
//!
//! Not for networks of Keras layers: these are a `ModelSpec`.
//!
//! ```
//! use nn_theory::generic::{lecture_network, Way};
//! let net = lecture_network();
//! let sparse: Vec<_> = net.matrices().into_iter().filter(|a| a.sparse).map(|a| a.name).collect();
//! assert_eq!(sparse, ["A1", "A2"]);
//! let formula = net.expansion().unicode.expanded.unwrap();
//! assert_eq!(formula, "A₄A₃A₂A₁ x + A₄A₃A₂ b₁ + A₄A₃ b₂ + A₄ b₃ + b₄");
//! let costs = net.cost_table(1)?;
//! assert_eq!(costs.row(Way::LayersDense).unwrap().total.multiplications, 64);
//! assert_eq!(costs.row(Way::ExpandedProducts).unwrap().total.multiplications, 222);
//! # Ok::<(), nn_theory::generic::Error>(())
//! ```

mod affine;
mod chain;
mod conditioning;
mod cost;
mod drawing;
mod error;
mod expansion;
mod liveness;
mod mask;
mod network;
mod orders;
mod paths;
mod scalar;
mod text;
mod verdict;

pub use affine::{AffineMap, Matrix, Weighted};
pub use chain::{Order, cheapest_affine_order, cheapest_order};
pub use conditioning::{Collapsed, Conditioning, ProductConditioning};
pub use cost::{BreakEven, Cost, CostRow, CostTable, Way};
pub use error::{Error, Result};
pub use expansion::{Expansion, Notation};
pub use liveness::{Liveness, Neuron};
pub use mask::{Mask, SEVERAL};
pub use network::{Activation, MAX_DEPTH, MAX_ENTRIES, MAX_WIDTH, MatrixFacts, Network, Totals};
pub use orders::{EvaluationOrder, OrderTable};
pub use paths::{PathCounts, ScalarFormula};
pub use scalar::{Rational, Scalar};
pub use verdict::Verdict;

/// The figure of exercise 1 in the text form that [`Network`] parses.
pub const LECTURE_NETWORK: &str = "\
name: the generic network of exercise 1
layer
  1 1 1 1 1 0 1 1
  1 1 1 0 0 0 1 1
  1 0 1 1 0 1 1 0
  1 1 1 1 1 0 1 0
layer
  1 1 1 0
  1 0 1 1
  1 0 1 1
layer
  1 1 1
  1 1 1
  1 1 1
  1 1 1
layer
  1 1 1 1
  1 1 1 1
";

/// The network of the lecture's figure: 8 inputs, layers of 4, 3 and 4 neurons, 2 outputs, `f(x) = x`.
///
/// ```
/// assert_eq!(nn_theory::generic::lecture_network().widths(), [8, 4, 3, 4, 2]);
/// ```
pub fn lecture_network() -> Network {
    LECTURE_NETWORK
        .parse()
        .unwrap_or_else(|error| unreachable!("the built-in text is read by a test: {error}"))
}
