//! The fair comparison of optimizers: several tasks, the same grid of learning rates for each, several seeds, intervals.
//!
//! **For** the question of exercise 3, "which optimizer is best here?", answered so that it can be believed. A [`Study`] is
//! declared before the first run: the same grid for every optimizer and task, the same number of trials, rates chosen on
//! validation data, scores reported on test data that no choice has seen, over seeds that no choice has used. Its [`Plan`]
//! is carried out by any number of threads and machines, to the same bits ([`Plan::run`], [`Records`], [`Shard`]); its
//! [`Results`] have means with bootstrap intervals, times to a target, sensitivities, ranks with their uncertainty and performance
//! profiles. The protocol and where it comes from: `docs/benchmark-protocol.md`.
//!
//! **Not for** measuring how fast a step is (runs work side by side; a criterion bench of `optimizers` measures steps), nor for
//! searching the best hyper-parameters of one model: random search does that with fewer runs than a grid.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use optimizers_bench::{Budget, Results, Shard, Study, Sweep, known_task, log_grid};
//!
//! let tasks = [known_task("quadratic")?.build(None, Budget::Quick)?];
//! let study = Study {
//!     optimizers: vec!["sgd".to_string(), "sgd_momentum".to_string()],
//!     learning_rates: log_grid(0.01, 1.0, 3),
//!     tuning_seeds: vec![1],
//!     seeds: vec![2, 3, 4],
//!     reference: "sgd".to_string(),
//! };
//! let plan = study.plan(&tasks)?;
//! let how = Sweep {
//!     workers: 2,
//!     shard: Shard::WHOLE,
//!     records: None,
//!     interrupt: &AtomicBool::new(false),
//!     on_run: &|progress| eprintln!("{} of {}", progress.done, progress.runs),
//! };
//! let results = Results::of(&plan, &plan.run(&tasks, &how)?)?;
//! // momentum gets further on a valley of condition number 10,000
//! assert!(results.tasks[0].standings[1].test.mean > results.tasks[0].standings[0].test.mean);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod catalogue;
mod error;
mod grid;
mod images;
mod landscape;
mod learning;
mod plan;
mod profile;
mod ranking;
mod records;
mod results;
mod shard;
mod side_by_side;
mod statistics;
mod sweep;
mod task;
mod trial;

pub use catalogue::{Budget, KnownTask, known_task, tasks};
pub use error::{Error, Result};
pub use grid::{GRID_FORM, log_grid, parse_grid};
pub use images::Images;
pub use landscape::{Landscape, Surface, Trajectory, best_trajectory, trajectory};
pub use learning::Learning;
pub use plan::{Contestant, Plan, Study};
pub use profile::{PROFILE_LIMIT, Profile, profiles};
pub use ranking::{Rank, ranks};
pub use records::{Gathered, Records};
pub use results::{Band, GOOD_SHARE, Inclusion, Results, Seconds, Sensitivity, Standing, TaskResult};
pub use shard::Shard;
pub use side_by_side::{OnTrial, side_by_side};
pub use statistics::{Interval, RESAMPLES, median};
pub use sweep::{Cell, Progress, Sweep};
pub use task::{Measure, Task, TaskDescription};
pub use trial::{Configuration, Outcome, Point, Run, Timing, Trial};

/// The pages whose code runs with the other examples of this crate.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/crates/optimizers-bench.md")]
    struct Page;
    #[doc = include_str!("../../../docs/exercises/3.md")]
    struct ExerciseThree;
}
