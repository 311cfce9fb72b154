//! The chain rule by symbol, by hand, by tape, and against candle's autograd.
//!
//! One small network, $p = \mathrm{softmax}(B \tanh(A x))$ with the loss $L = -\tfrac12 \sum_i y_i \log p_i$, is followed
//! all the way: its gradients are derived symbolically from these definitions, written as a program, and checked four
//! ways. Then the same is done for a whole family of networks. The chapters, in reading order:
//!
//! 1. [`symbol::one_node`]: one neuron a layer, carried by hand in exact fractions.
//! 2. [`dual`]: one derivative carried along a computation (forward mode), 150 lines.
//! 3. [`tape`]: all derivatives at once, from the end to the beginning (reverse mode), 250 lines.
//! 4. [`symbol`]: the derivation on the board, each step with its rule, in Unicode, LaTeX and MathML.
//! 5. [`by_hand`]: the derived formulas as a network that trains.
//! 6. [`finite_difference`]: derivatives by trying, and how far to trust them.
//! 7. [`autograd`]: the same network in candle, and both trained side by side.
//! 8. [`check`]: the five gradients in one table; [`gradient_check`](mod@gradient_check): the same for any candle model;
//!    [`faults`]: wrong derivatives that it catches.
//! 9. [`mlp`]: any depth, biases, other activations and losses, derived and checked the same way.
//! 10. [`graph_svg`](mod@graph_svg) and [`jacobian`]: the pictures; [`interactive`](mod@interactive): the network under the reader's hands.
//!
//! ```
//! use backprop::{Matrix, check::five_ways, symbol::exercise};
//!
//! let derived = exercise::derivations()?;
//! assert_eq!(derived.b_normalised.result.to_string(), "(pᵢ − yᵢ) / 2");
//! assert_eq!(derived.d.result.to_latex(), r"\frac{1}{2} x_{j} \left(1 - v_{i}^{2}\right) \sum_{k} B_{ki} \left(p_{k} - y_{k}\right)");
//!
//! let a = Matrix::new(2, 2, vec![0.5, -0.3, 0.2, 0.8])?;
//! let b = Matrix::new(2, 2, vec![1.0, -1.0, 0.4, 0.6])?;
//! assert!(five_ways(&a, &b, &[1.0, 2.0], &[1.0, 0.0])?.agrees);
//! # Ok::<(), backprop::Error>(())
//! ```
//!
//! **Not for** training real models: that is `training`, on candle's autograd and the fast operations of `kernels`.
//! **Not for** general computer algebra: the symbols know what backpropagation needs and no more (SymPy knows the rest).

#![deny(missing_docs)]

pub mod autograd;
pub mod by_hand;
pub mod check;
pub mod dual;
mod error;
pub mod faults;
pub mod finite_difference;
pub mod gradient_check;
pub mod graph_svg;
pub mod interactive;
pub mod jacobian;
mod matrix;
pub mod mlp;
pub mod symbol;
pub mod tape;

pub use error::{Error, Result};
pub use matrix::Matrix;

/// The pages whose code runs with the other examples of this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/crates/backprop.md")]
    struct Page;
    #[doc = include_str!("../../../docs/exercises/6.md")]
    struct ExerciseSix;
}
