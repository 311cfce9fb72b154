//! The loop: batches in, history out.
//!
//! **For** training a [`models::Network`] on [`Samples`] as `model.fit` of Keras does: shuffling, augmentation, losses and
//! metrics, weights of classes and samples, an optimizer, validation, [`callbacks`], checkpoints and exact resume; and for
//! measuring it ([`evaluate`], [`measure`], [`predict`]).
//!
//! **Not for** comparing optimizers over grids and seeds (that is `optimizers-bench`), for data that do not fit into
//! memory, or for several machines: candle alone, or PyTorch, serve there.
//!
//! Every random draw is a function of the seed, the epoch and the sample or step. The same seed gives the same bits on
//! a CPU, whatever the number of threads, and training that was resumed, also in the middle of an epoch, equals training
//! that never stopped.
//!
//! On a CPU a program is faster with three statements of its own: a global allocator that keeps the memory of a step for the
//! next one (`kernels::memory::Recycling`); at the beginning of `main`, a main thread that computes instead of waiting
//! for the threads that do: `rayon::ThreadPoolBuilder::new().use_current_thread().build_global()`; and around the training
//! threads that do not fall asleep between two operations: `kernels::threads::awake(|| trainer.fit(..))`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use models::Network;
//! use nn_theory::{Activation, Dense, ModelSpec};
//! use optimizers::Optimizer;
//! use training::{Loss, Samples, Trainer, evaluate};
//!
//! // The exclusive or of two bits, with a network of 17 parameters.
//! let spec = ModelSpec::sequential("xor")
//!     .input([2])
//!     .layer(Dense::new(4).activation(Activation::Tanh))
//!     .layer(Dense::new(2))
//!     .build()?;
//! let mut network = Network::new(spec, 1, &Device::Cpu, DType::F32)?;
//! let samples = Samples::new(vec![0., 0., 0., 1., 1., 0., 1., 1.], vec![2], vec![0, 1, 1, 0])?;
//! let mut adam = Optimizer::builder("adam")?.learning_rate(0.05).build()?;
//! let history = Trainer::new().epochs(200).batch_size(4).seed(1).fit(&mut network, &mut adam, &samples)?;
//! assert!(history.epochs[199].loss < history.epochs[0].loss / 10.0);
//! assert_eq!(evaluate(&network, &samples, Loss::default(), 4)?.accuracy, 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod batches;
pub mod callbacks;
mod checkpoint;
mod diagnosis;
mod error;
mod evaluate;
mod fit;
mod history;
mod inference;
mod loss;
pub mod metrics;
mod mixing;
mod nearest;
mod objective;
mod pass;
mod per_class;
mod right;
mod samples;
mod trainer;
mod validation;

pub use callbacks::{Callback, Control, EarlyStopping, EpochEnd, OnEpochEnd, StepEnd};
pub use checkpoint::{Checkpoint, Resumed, resume};
pub use error::{Error, Result};
pub use evaluate::{Evaluation, accuracy, evaluate, evaluate_watched, measure, predict};
pub use history::{CallbackState, EpochRecord, Held, History, Position, StopReason};
pub use inference::{Averaged, predict_augmented, predict_averaged, predict_averaged_watched};
pub use loss::{Axes, Loss, LossFunction, Reduction};
pub use metrics::{ConfusionMatrix, Metric};
pub use pass::Pass;
pub use per_class::ClassFigures;
pub use samples::{Samples, Targets};
pub use trainer::Trainer;
pub use validation::ValidationSplit;

/// The README, the pages for newcomers and those of exercises 4 and 5, whose code runs with the other examples here because this crate sits on all others.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/coming-from-keras.md")]
    struct ComingFromKeras;
    #[doc = include_str!("../../../docs/coming-from-pytorch.md")]
    struct ComingFromPyTorch;
    #[doc = include_str!("../../../docs/getting-started.md")]
    struct GettingStarted;
    #[doc = include_str!("../../../docs/crates.md")]
    struct Crates;
    #[doc = include_str!("../../../docs/crates/training.md")]
    struct Page;
    #[doc = include_str!("../../../docs/exercises/4.md")]
    struct ExerciseFour;
    #[doc = include_str!("../../../docs/exercises/5.md")]
    struct ExerciseFive;
}
