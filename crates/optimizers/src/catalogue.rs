//! What there is to choose from, and what each choice means.

use std::fmt;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::Value;

use crate::algorithms::ENTRIES;
use crate::builder::OptimizerBuilder;

/// Relatives among the optimizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub enum Family {
    /// One rate for all weights: SGD, with momentum, Lion.
    #[serde(rename = "SGD")]
    Sgd,
    /// A rate for each weight and momentum: Adam, AdamW, Adamax, Nadam, Lamb.
    Adam,
    /// A rate for each weight from its past gradients: Adagrad, Adadelta, Adafactor, RMSprop, Ftrl.
    Ada,
    /// A step for each matrix as a whole: Muon, SOAP.
    Matrix,
}

impl Family {
    /// `SGD`, `Adam`, `Ada` or `Matrix`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sgd => "SGD",
            Self::Adam => "Adam",
            Self::Ada => "Ada",
            Self::Matrix => "Matrix",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a method was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Paper {
    /// The authors, separated by commas.
    pub authors: &'static str,
    /// The title.
    pub title: &'static str,
    /// The year.
    pub year: u16,
}

impl fmt::Display for Paper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.authors, self.title, self.year)
    }
}

/// The words of an optimizer's file; the numbers of [`OptimizerInfo`] are computed.
pub(crate) struct Description {
    pub(crate) family: Family,
    pub(crate) formula_latex: &'static str,
    pub(crate) formula_unicode: &'static str,
    pub(crate) what_changes: &'static str,
    pub(crate) paper: Paper,
}

/// One optimizer that can be asked for by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OptimizerInfo {
    /// The name for [`crate::Optimizer::by_name`].
    pub name: &'static str,
    /// The class: Keras', PyTorch's behind `torch.optim.`, or the authors'.
    pub keras_class: &'static str,
    /// The family it belongs to.
    pub family: Family,
    /// The update rule in LaTeX (an `aligned` environment if it has several lines).
    pub formula_latex: &'static str,
    /// The update rule in Unicode, lines separated by `\n`.
    pub formula_unicode: &'static str,
    /// What it changes with respect to SGD, in words.
    pub what_changes: &'static str,
    /// Where it was published.
    pub paper: Paper,
    /// The configuration that it has by default.
    pub defaults: Value,
    /// The names of the state tensors that are kept for a matrix.
    pub slots: Vec<&'static str>,
    /// Bytes of state for each `f32` parameter of a 1024 x 1024 matrix (the shape matters to Adafactor, Muon and SOAP only).
    pub state_bytes_per_parameter: f64,
}

impl OptimizerInfo {
    /// Bytes of state that an `f32` parameter of this shape needs.
    pub fn state_bytes(&self, shape: &[usize]) -> usize {
        let entry = ENTRIES.iter().find(|entry| entry.name == self.name);
        let slots = entry.map(|entry| (entry.default)().slots(shape)).unwrap_or_default();
        slots.iter().map(|slot| 4 * slot.shape.iter().product::<usize>()).sum()
    }
}

/// All optimizers: those of the exercise first, then the rest of Keras', those of the literature, and PyTorch's. Not in it is
/// [`Lbfgs`](crate::Lbfgs), which is used in another way.
///
/// ```
/// let adam = optimizers::catalogue().iter().find(|info| info.name == "adam").unwrap();
/// assert_eq!(adam.state_bytes_per_parameter, 8.0);
/// assert_eq!(adam.defaults["beta_1"], 0.9);
/// ```
pub fn catalogue() -> &'static [OptimizerInfo] {
    static CATALOGUE: LazyLock<Vec<OptimizerInfo>> = LazyLock::new(|| {
        let side = 1024;
        ENTRIES
            .iter()
            .filter_map(|entry| {
                let algorithm = (entry.default)();
                let optimizer = OptimizerBuilder::boxed(algorithm.clone(), Some(entry.name))
                    .build()
                    .ok()?;
                let slots = algorithm.slots(&[side, side]);
                let elements: usize = slots.iter().map(|slot| slot.shape.iter().product::<usize>()).sum();
                Some(OptimizerInfo {
                    name: entry.name,
                    keras_class: algorithm.class(),
                    family: entry.description.family,
                    formula_latex: entry.description.formula_latex,
                    formula_unicode: entry.description.formula_unicode,
                    what_changes: entry.description.what_changes,
                    paper: entry.description.paper,
                    defaults: optimizer.config(),
                    slots: slots.iter().map(|slot| slot.name).collect(),
                    state_bytes_per_parameter: (4 * elements) as f64 / (side * side) as f64,
                })
            })
            .collect()
    });
    &CATALOGUE
}
