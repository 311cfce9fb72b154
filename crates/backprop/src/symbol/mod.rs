//! Expressions with indices that differentiate and simplify themselves, one named step at a time.
//!
//! The module is a small computer-algebra system with one purpose: to do exercise 6 as one would on the board, and to
//! leave a record of it. It knows sums over an index, Kronecker's δ, products, whole powers, `log`, `exp`, `tanh`, and
//! exact fractions. It does not integrate, solve or factor polynomials.
//!
//! * [`Expr`] is the language, [`Symbol`], [`Index`] and [`Range`] its words.
//! * [`Knowledge`] holds the definitions (`p = softmax(z)`), results already derived, and side conditions (`Σ y = 1`).
//! * [`differentiate`], [`simplify`], [`expand`], [`equivalent`] transform; [`derive()`] does so and returns every [`Step`].
//! * [`Expr::evaluate`] puts [`Values`] in.
//! * [`exercise`] poses the exercise's questions and [`exercise::derivations`] answers them.

mod algebra;
mod arithmetic;
mod brackets;
mod evaluate;
pub mod exercise;
mod expr;
mod index;
mod kinds;
mod knowledge;
pub mod one_node;
mod rational;
mod recognise;
mod render;
mod rules;
mod second_form;
mod simplify;

pub use arithmetic::Arithmetic;
pub use evaluate::Values;
pub use exercise::{Derivation, Factor};
pub use expr::{Expr, Function};
pub use index::{Index, Range, Symbol};
pub use knowledge::Knowledge;
pub use rational::Rational;
pub use render::Written;
pub(crate) use render::escape;
pub use simplify::{Limits, Step, derive, differentiate, equivalent, expand, simplify};
