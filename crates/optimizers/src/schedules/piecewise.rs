//! A constant rate for each stretch of steps.

use serde::{Deserialize, Serialize};

use super::Rate;
use crate::algorithm::Check;
use crate::error::Result;

/// `values[0]` up to and including step `boundaries[0]`, then `values[1]`, ... (Keras `PiecewiseConstantDecay`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PiecewiseConstantDecay {
    /// The last steps of all stretches but the last one, increasing.
    pub boundaries: Vec<f64>,
    /// The rates, one more than boundaries.
    pub values: Vec<f64>,
}

impl Default for PiecewiseConstantDecay {
    fn default() -> Self {
        Self {
            boundaries: Vec::new(),
            values: vec![0.001],
        }
    }
}

impl Rate for PiecewiseConstantDecay {
    fn value(&self, step: u64) -> f64 {
        let stretch = self
            .boundaries
            .iter()
            .take_while(|boundary| step as f64 > **boundary)
            .count();
        self.values.get(stretch).copied().unwrap_or(f64::NAN)
    }

    fn validate(&self) -> Result<()> {
        let check = Check("PiecewiseConstantDecay");
        let fits = self.values.len() == self.boundaries.len() + 1;
        check.that(
            fits,
            "values",
            format!("{} numbers", self.values.len()),
            "one number more than boundaries",
        )?;
        let increasing = self.boundaries.windows(2).all(|pair| pair[0] < pair[1]);
        check.that(increasing, "boundaries", format!("{:?}", self.boundaries), "increasing")?;
        self.values
            .iter()
            .try_for_each(|&value| check.not_negative("values", value))
    }
}
