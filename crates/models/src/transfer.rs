//! Fine-tuning: weights of one network in another, and new layers behind old ones.

use std::collections::BTreeSet;

use candle_core::Tensor;
use nn_theory::NamedLayer;

use crate::{Network, Result};

/// What [`Network::load_weights_by_name`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Paths of the weights that have new values.
    pub loaded: Vec<String>,
    /// Paths of the weights that no value was given for.
    pub missing: Vec<String>,
    /// Paths that were given, but that the network does not have.
    pub unexpected: Vec<String>,
    /// Weights that were given in another shape; they keep their values.
    pub mismatched: Vec<ShapeMismatch>,
}

impl LoadReport {
    /// Whether every weight has a new value and every value a weight.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

/// A weight whose value has another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// Path of the weight.
    pub path: String,
    /// Shape of the weight.
    pub expected: Vec<usize>,
    /// Shape of the value.
    pub found: Vec<usize>,
}

impl Network {
    /// Gives the weights of these paths the values, and says which fitted.
    ///
    /// A path may begin with the name of the model that it was saved from (`sequential/dense/kernel` for `dense/kernel`):
    /// whether Keras writes that depends on how the model was built.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use models::{Network, zoo};
    ///
    /// let old = Network::new(zoo::cats_vs_dogs()?, 1, &Device::Cpu, DType::F32)?;
    /// let mut new = Network::new(zoo::cats_vs_dogs()?, 2, &Device::Cpu, DType::F32)?;
    /// assert!(new.load_weights_by_name(old.snapshot()?)?.is_complete());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::Error::Candle`] where a value cannot be converted or moved to the device. Everything else is in the report.
    pub fn load_weights_by_name<P: AsRef<str>>(
        &mut self,
        weights: impl IntoIterator<Item = (P, Tensor)>,
    ) -> Result<LoadReport> {
        let mut report = LoadReport::default();
        let mut given = vec![false; self.weights.len()];
        for (path, value) in weights {
            let path = path.as_ref();
            let behind_model = path.split_once('/').map(|(_, rest)| rest);
            let place = [Some(path), behind_model]
                .into_iter()
                .flatten()
                .find_map(|path| self.weights.get_full(path));
            let Some((index, path, weight)) = place else {
                report.unexpected.push(path.to_string());
                continue;
            };
            let path = path.clone();
            given[index] = true;
            if weight.var.dims() == value.dims() {
                self.set_weight(&path, &value)?;
                report.loaded.push(path);
            } else {
                report.mismatched.push(ShapeMismatch {
                    expected: weight.var.dims().to_vec(),
                    found: value.dims().to_vec(),
                    path,
                });
            }
        }
        let missing = self.weights.keys().zip(given).filter(|(_, given)| !given);
        report.missing = missing.map(|(path, _)| path.clone()).collect();
        Ok(report)
    }

    /// A network of the layers up to `last` and new layers behind it. The old layers keep copies of their values and
    /// whether they train; the new ones are drawn from the seed.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use models::{Network, zoo};
    /// use nn_theory::{Activation, Dense};
    ///
    /// let mut old = Network::new(zoo::cats_vs_dogs()?, 1, &Device::Cpu, DType::F32)?;
    /// old.freeze("H01")?;
    /// let head = [Dense::new(8).activation(Activation::Relu), Dense::new(5)];
    /// let new = old.replace_head("H01", head, 2)?;
    /// assert_eq!(new.output_shape(), [5]);
    /// let trained: Vec<&str> = new.weights().filter(|w| w.trainable).map(|w| w.path.as_str()).collect();
    /// assert_eq!(trained, ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::Error::Spec`] where no layer is called `last` or the new layers do not fit; else as [`Network::new`].
    pub fn replace_head<L: Into<NamedLayer>>(
        &self,
        last: &str,
        head: impl IntoIterator<Item = L>,
        seed: u64,
    ) -> Result<Network> {
        let part = self.spec().up_to(last)?;
        let mut network = Network::new(part.with_head(head)?, seed, self.device(), self.dtype())?;
        if let Some(policy) = self.policy() {
            network = network.with_policy(policy)?;
        }
        network.take_flags(self, &part);
        // A new layer may have the name of one that was left out.
        let old: BTreeSet<String> = part.weights().into_iter().map(|weight| weight.path).collect();
        let kept = self.snapshot()?.into_iter().filter(|(path, _)| old.contains(path));
        network.load_weights_by_name(kept)?;
        Ok(network)
    }
}
