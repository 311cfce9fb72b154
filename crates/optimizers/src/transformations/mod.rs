//! The stages that chains are made of.
//!
//! | stage | what goes out | state |
//! |---|---|---|
//! | [`ScaleByLearningRate`] | `-eta u` | - |
//! | [`AddDecayedWeights`] | `u + lambda w` | - |
//! | [`ScaleBySign`] | `sign(u)` | - |
//! | [`Trace`] | momentum | 1 |
//! | [`ScaleByRms`], [`ScaleByStddev`] | `u` over its recent size, or over its recent deviation | 1, 2 |
//! | [`ScaleByRss`] | `u` over the root of the sum of all squares so far | 1 |
//! | [`ScaleByAdadelta`] | `u` in units of past steps | 2 |
//! | [`ScaleByAdam`], [`ScaleByAmsgrad`] | the bias-corrected means' quotient | 2, 3 |
//! | [`ScaleByAdamax`] | mean over the largest recent size | 2 |
//! | [`ScaleByRadam`] | Adam's, held back while the variance is not known | 2 |
//! | [`ScaleByAdopt`] | mean of gradients over the size *before* each | 2 |
//! | [`ScaleByLion`] | the sign of a mean | 1 |
//!
//! The numbers are those of PyTorch and of the papers: epsilon stands beside the corrected root.

mod adadelta;
mod adam;
mod adamax;
mod adopt;
mod lion;
mod radam;
mod rms;
mod rss;
mod simple;
mod trace;

pub use adadelta::{AdadeltaPass, ScaleByAdadelta};
pub use adam::{AdamPass, AmsgradPass, ScaleByAdam, ScaleByAmsgrad};
pub use adamax::{AdamaxPass, ScaleByAdamax};
pub use adopt::{AdoptPass, ScaleByAdopt};
pub use lion::{LionPass, ScaleByLion};
pub use radam::{RadamPass, ScaleByRadam};
pub use rms::{RmsPass, ScaleByRms, ScaleByStddev, StddevPass};
pub use rss::{RssPass, ScaleByRss};
pub use simple::{AddDecayedWeights, Decayed, Factor, ScaleByLearningRate, ScaleBySign};
pub use trace::{Trace, TracePass};
