//! Answers to read: one document model, rendered as text for a terminal and as one self-contained HTML page.
//!
//! An [`Answer`] is a list of [`Block`]s: paragraphs, formulas, [`Table`]s, [`Figure`]s from [`plot`]. Its
//! [`to_terminal`](Answer::to_terminal) fits any width; a [`Page`] of answers needs no network and no font of its own,
//! and everything on it can be read without its scripts. [`format`](mod@format) writes numbers as people read them, [`write_atomically`] puts files on disk whole or not at all.
//!
//! It is *not* for computing: means and confidence intervals belong to `optimizers-bench`, measurements to whoever took
//! them. It is not a general plotting library either (use `plotters` for that): it has the plots that this workspace shows.
//!
//! ```
//! use report::plot::LineChart;
//! use report::{Answer, Page, Table};
//!
//! let mut chart = LineChart::new("Validation accuracy");
//! chart.x_axis("epoch").y_axis("accuracy").series("adam", [(1.0, 0.71), (2.0, 0.88), (3.0, 0.94)]);
//!
//! let mut answer = Answer::new(3, "Optimizers for the training");
//! answer
//!     .headline("Adam reaches 94 % after 3 epochs")
//!     .text(r"Adam divides by $\sqrt{\hat v}$, so its step hardly depends on the gradient's *size*.")
//!     .formula(r"\theta \gets \theta - \eta \frac{\hat m}{\sqrt{\hat v} + \epsilon}", "θ ← θ − η m̂ / (√v̂ + ε)")
//!     .table(Table::new("Result").header(["optimizer", "accuracy"]).row(["adam", "94 %"]))
//!     .figure(chart.figure("Accuracy on the validation set."))
//!     .number("adam", 0.94)
//!     .timing("seconds", 1.7);
//!
//! print!("{}", answer.to_terminal(80, false));
//! let html = Page::new("Exercises", "all of them").answer(&answer).to_html()?;
//! assert!(html.contains("<math"));
//! # Ok::<(), report::Error>(())
//! ```

#![deny(missing_docs)]

mod atomic;
pub mod diff;
mod document;
mod error;
mod figure;
pub mod format;
pub mod inline;
mod interactive;
pub mod latex;
pub mod live;
mod page;
pub mod plot;
mod table;
pub mod terminal;
pub mod wrap;

pub use atomic::write_atomically;
pub use document::{Answer, Block, NoteKind};
pub use error::{Error, Result};
pub use figure::{Figure, Interactive, Series};
pub use page::Page;
pub use table::{Align, Table};

/// The pages whose code runs with the other examples of this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/crates/report.md")]
    struct Page;
}
