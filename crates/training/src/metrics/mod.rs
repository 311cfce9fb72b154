//! How good outputs are: the metrics of Keras.
//!
//! A metric sees one batch after the other ([`Metric::update`]) and can tell at any time how good all of them were ([`Metric::result`]). Names, options,
//! state and values are those of `keras.metrics`; sums are kept in f64. Metrics are made by name, from Keras' configuration, or from a
//! [`MetricClass`] with its options.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use training::metrics::{self, Metric, MetricClass};
//!
//! let scores = Tensor::new(&[[0.9f32, 0.1], [0.4, 0.6], [0.8, 0.2]], &Device::Cpu)?;
//! let labels = Tensor::new(&[0u32, 1, 1], &Device::Cpu)?;
//! let mut accuracy = metrics::by_name("accuracy")?;
//! accuracy.update(&scores, &labels, None)?;
//! assert!((accuracy.result() - 2.0 / 3.0).abs() < 1e-12);
//!
//! let mut f1 = MetricClass::F1Score { average: None, threshold: None }.build()?;
//! f1.update(&scores, &labels, None)?;
//! assert!(f1.values().iter().all(|score| (score - 2.0 / 3.0).abs() < 1e-6));
//! # Ok::<(), training::Error>(())
//! ```

mod accuracy;
mod at;
mod auc;
mod build;
mod class;
mod config;
mod confusion_matrix;
mod correlation;
mod counts;
mod f_score;
mod intersection;
mod mean;
mod names;
mod numbers;
mod r2;
mod thresholds;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use class::{Average, Curve, MetricClass, R2Average, Summation, Thresholds};
pub use config::{MetricConfig, by_name, from_config};
pub use confusion_matrix::ConfusionMatrix;

use crate::{Error, Result};

/// Something that is measured over the batches of an epoch.
pub trait Metric: Send {
    /// What to call the result: a key of the history and of progress bars.
    fn name(&self) -> &str;

    /// Takes a batch into account.
    ///
    /// `outputs` are the network's, `targets` what they should have been; integers without the outputs' last axis are class numbers. `sample_weight`
    /// has one number a sample, or a shape that goes with the values that are averaged.
    ///
    /// # Errors
    /// [`Error::Kernel`] for shapes or types that do not belong together, [`Error::SampleWeight`] for weights of another shape,
    /// [`Error::Option`] for an option that does not fit the outputs.
    fn update(&mut self, outputs: &Tensor, targets: &Tensor, sample_weight: Option<&Tensor>) -> Result<()>;

    /// The results: one number, or one for each threshold, class or output.
    fn values(&self) -> Vec<f64>;

    /// The result as one number, the mean where there are several; 0 before the first batch.
    fn result(&self) -> f64 {
        let values = self.values();
        if values.is_empty() {
            return 0.0;
        }
        values.iter().sum::<f64>() / values.len() as f64
    }

    /// What the metric remembers, with Keras' names.
    fn state(&self) -> &[Variable];

    /// What the metric remembers, to change it.
    fn state_mut(&mut self) -> &mut [Variable];

    /// Forgets all batches.
    fn reset(&mut self) {
        for variable in self.state_mut() {
            variable.values.fill(0.0);
        }
    }

    /// Goes on where a metric of the same class and options stood when its state was taken.
    ///
    /// # Errors
    /// [`Error::Config`] where names or shapes are others.
    fn load_state(&mut self, state: &[Variable]) -> Result<()> {
        let wrong = |reason: String| Error::Config {
            what: "state of a metric".into(),
            reason,
        };
        let name = self.name().to_owned();
        let own = self.state_mut();
        if own.len() != state.len() {
            return Err(wrong(format!(
                "'{name}' has {} variables, found {}",
                own.len(),
                state.len()
            )));
        }
        for (own, read) in own.iter().zip(state) {
            let size = read.shape.iter().try_fold(1usize, |size, &axis| size.checked_mul(axis));
            let fits = own.values.is_empty() || own.shape == read.shape;
            if own.name != read.name || !fits || size != Some(read.values.len()) {
                return Err(wrong(format!(
                    "'{name}' expects '{}' of the shape {:?}, found '{}' of the shape {:?} with {} numbers",
                    own.name,
                    own.shape,
                    read.name,
                    read.shape,
                    read.values.len()
                )));
            }
        }
        own.clone_from_slice(state);
        Ok(())
    }

    /// Keras' configuration: `{"class_name": ..., "config": {...}}`, or the name of a metric that chooses its class by the shapes.
    fn config(&self) -> Value;
}

/// One of the things that a metric remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// Keras' name: `total`, `true_positives`.
    pub name: String,
    /// Its shape; a shape with a 0 where it is not known before the first batch.
    pub shape: Vec<usize>,
    /// Its numbers, row-major.
    pub values: Vec<f64>,
}

impl Variable {
    pub(crate) fn zeros(name: &str, shape: &[usize]) -> Self {
        Variable {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: vec![0.0; shape.iter().product()],
        }
    }

    /// Makes a variable whose shape was not known yet; refuses another shape than before.
    pub(crate) fn ensure(&mut self, shape: &[usize]) -> Result<()> {
        if self.values.is_empty() {
            *self = Variable::zeros(&self.name, shape);
        }
        if self.shape != shape {
            return Err(Error::Option {
                option: "the shape of a metric's outputs",
                expected: "the same in every batch",
                found: format!("{shape:?} after {:?}", self.shape),
            });
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, values: impl IntoIterator<Item = f64>) {
        for (sum, value) in self.values.iter_mut().zip(values) {
            *sum += value;
        }
    }
}

/// A share that is 0 of nothing, Keras' `divide_no_nan`.
pub(crate) fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}
