//! A model used as a layer.

use super::LayerSpec;
use crate::{
    ModelSpec, NamedLayer, Shape,
    error::Problem,
    formula::{Expr, num},
    weight::Weight,
};
use std::sync::Arc;

/// A model used as a layer of another one; calls of the same model share it.
#[derive(Debug, Clone, PartialEq)]
pub struct NestedModel {
    /// The model.
    pub model: Arc<ModelSpec>,
}

impl NestedModel {
    pub(crate) fn class(&self) -> &'static str {
        self.model.kind().class()
    }
}

impl From<ModelSpec> for NamedLayer {
    fn from(model: ModelSpec) -> Self {
        let (name, trainable) = (model.name().to_owned(), model.trainable());
        Self::new(super::Layer::Model(NestedModel { model: Arc::new(model) }))
            .name(name)
            .trainable(trainable)
    }
}

impl LayerSpec for NestedModel {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        self.model
            .infer(inputs)
            .map_err(|error| Problem::shape(error.to_string()))
    }

    /// The weights of the layers inside, their names with those of the layers in front.
    fn weights(&self, _: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let weights = self
            .model
            .nodes()
            .iter()
            .filter(|node| node.call == 0)
            .flat_map(|node| {
                let prefix = node.name.clone();
                node.declared.iter().map(move |weight| {
                    let mut weight = weight.clone();
                    weight.name = format!("{prefix}/{}", weight.name);
                    weight.trainable &= node.trainable;
                    weight.dtype.get_or_insert(node.dtype.variable);
                    weight
                })
            });
        Ok(weights.collect())
    }

    fn parameters(&self, _: &[Shape]) -> Result<Option<Expr>, Problem> {
        let mut parts = Vec::new();
        for node in self.model.nodes().iter().filter(|node| node.call == 0) {
            if node.parameters.value() > 0 {
                parts.push(num(
                    node.parameters.value(),
                    &node.name,
                    &format!("parameters of '{}'", node.name),
                ));
            }
        }
        Ok(Some(match parts.len() {
            0 => num(0, "0", "the model has no weights"),
            1 => parts.remove(0),
            _ => Expr::Sum(parts),
        }))
    }

    fn multiply_adds(&self, _: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
        let total = self
            .model
            .multiply_adds()
            .map_err(|error| Problem::shape(error.to_string()))?;
        Ok(total.map(|total| num(total, "inner layers", "multiply-adds of the layers inside")))
    }

    fn needs_shape(&self) -> bool {
        !self.model.is_built()
    }
}
