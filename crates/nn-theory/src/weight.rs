//! The weights of a layer: name, shape, initializer, number format and the count as a formula.

use crate::{
    DType, Initializer,
    error::Problem,
    formula::{Expr, Formula, num},
};

/// A weight of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightSpec {
    /// Layer and name of the weight, such as `H01/kernel`; nested models put their own names in front.
    pub path: String,
    /// Name of the layer.
    pub layer: String,
    /// Name of the weight in the layer, such as `kernel`.
    pub name: String,
    /// Shape of the weight in Keras' layout.
    pub shape: Vec<u64>,
    /// How the weight is set before training.
    pub initializer: Initializer,
    /// Whether training changes it (the layer's `trainable` flag included).
    pub trainable: bool,
    /// Number format it is stored in.
    pub dtype: DType,
    /// Its number of parameters as the product of its dimensions.
    pub formula: Formula,
}

impl WeightSpec {
    /// Number of parameters.
    pub fn count(&self) -> u64 {
        self.formula.value()
    }
}

/// A weight as a layer declares it, before the model adds names and flags.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Weight {
    pub(crate) name: String,
    pub(crate) dims: Vec<(u64, &'static str)>,
    pub(crate) initializer: Initializer,
    pub(crate) trainable: bool,
    pub(crate) dtype: Option<DType>,
}

impl Weight {
    /// A trainable weight; each dimension comes with its name.
    pub(crate) fn new(name: &str, dims: impl Into<Vec<(u64, &'static str)>>, initializer: &Initializer) -> Self {
        Self {
            name: name.to_owned(),
            dims: dims.into(),
            initializer: initializer.clone(),
            trainable: true,
            dtype: None,
        }
    }

    /// The same weight, changed by the layer itself instead of by training.
    pub(crate) fn not_trainable(mut self) -> Self {
        self.trainable = false;
        self
    }

    pub(crate) fn of_dtype(mut self, dtype: DType) -> Self {
        self.dtype = Some(dtype);
        self
    }

    /// Product of the dimensions.
    pub(crate) fn expression(&self) -> Expr {
        let what = format!("dimension of '{}'", self.name);
        match self.dims.as_slice() {
            [] => num(1, "1", &format!("the single number '{}'", self.name)),
            [(size, symbol)] => num(*size, symbol, &what),
            dims => Expr::Product(dims.iter().map(|(size, symbol)| num(*size, symbol, &what)).collect()),
        }
    }

    /// The product of the dimensions as a number; `None` when it leaves 64 bits.
    pub(crate) fn count(&self) -> Option<u64> {
        self.dims
            .iter()
            .try_fold(1u64, |product, (size, _)| product.checked_mul(*size))
    }

    pub(crate) fn formula(&self) -> Result<Formula, Problem> {
        Formula::new(
            self.expression(),
            &format!("the number of parameters of '{}'", self.name),
        )
    }
}
