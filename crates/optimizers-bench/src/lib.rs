//! The fair comparison of optimizers: one task, the same grid of learning rates for each, several seeds, intervals.
//!
//! **For** the question of exercise 3, "which optimizer is best here?", answered so that it can be believed: the learning
//! rate of every optimizer is chosen from the same grid on validation data, accuracy is reported on test data that no
//! choice has seen, over seeds that no choice has used, as a mean with a 95 % interval. Each optimizer is also measured
//! with its default rate, as a reader who tunes nothing would use it. **Not for** measuring seconds: trials run side by
//! side; a criterion bench of `optimizers` measures steps.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use nn_theory::{Dense, ModelSpec};
//! use optimizers_bench::{Study, Task, log_grid};
//! use training::Samples;
//!
//! // Points of the plane, by the sign of x + y.
//! let points: Vec<f32> = (0..80).map(|i| ((i * 37 % 80) as f32 - 39.5) / 40.0).collect();
//! let labels = points.chunks(2).map(|p| u32::from(p[0] + p[1] > 0.0)).collect();
//! let samples = Samples::new(points, vec![2], labels)?;
//! let (train, validation) = samples.split(0.25, 1)?;
//! let network = ModelSpec::sequential("plane").input([2]).layer(Dense::new(2)).build()?;
//! let task = Task { network, test: validation.clone(), train, validation, epochs: 20, batch_size: 8 };
//! let study = Study {
//!     optimizers: vec!["sgd".to_string(), "adam".to_string()],
//!     learning_rates: log_grid(0.001, 0.1, 3),
//!     tuning_seeds: vec![1],
//!     seeds: vec![2, 3, 4],
//!     reference: "sgd".to_string(),
//!     workers: 2,
//! };
//! let comparison = study.compare(&task, &AtomicBool::new(false), &|_, _| ())?;
//! assert!(comparison.standings[1].accuracy.mean > 0.8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod side_by_side;
mod statistics;
mod study;
mod tuning;

pub use error::{Error, Result};
pub use side_by_side::side_by_side;
pub use statistics::{Interval, median};
pub use study::{OnTrial, Outcome, Task, Trial, run};
pub use tuning::{Comparison, Standing, Study, log_grid};
