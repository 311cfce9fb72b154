//! The builder of a stack of layers.

use super::{ModelKind, ModelSpec, auto_name, make_node, unbuilt_node};
use crate::{
    DTypePolicy, InputLayer, Layer, NamedLayer, Shape,
    error::{Error, Result},
};
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};

/// Collects the layers of a stack; made by [`ModelSpec::sequential`].
#[derive(Debug, Clone)]
pub struct Sequential {
    name: String,
    trainable: bool,
    dtype: DTypePolicy,
    layers: Vec<NamedLayer>,
}

impl Sequential {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            trainable: true,
            dtype: DTypePolicy::default(),
            layers: Vec::new(),
        }
    }

    /// The shape of one sample, without the batch dimension. Without an input the model stays unbuilt.
    #[must_use]
    pub fn input(self, sample: impl Into<Shape>) -> Self {
        self.layer(InputLayer::new(Shape::batched(sample)))
    }

    /// As [`Sequential::input`], with a name for the input layer.
    #[must_use]
    pub fn input_named(self, name: impl Into<String>, sample: impl Into<Shape>) -> Self {
        self.layer(InputLayer::new(Shape::batched(sample)).name(name))
    }

    /// Adds a layer; a layer without a name gets Keras' (`dense`, `dense_1`, `conv2d`, ...).
    #[must_use]
    pub fn layer(mut self, layer: impl Into<NamedLayer>) -> Self {
        self.layers.push(layer.into());
        self
    }

    /// Adds a layer under a name.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // Keras' name: model.add(layer)
    pub fn add(self, name: impl Into<String>, layer: impl Into<NamedLayer>) -> Self {
        self.layer(layer.into().name(name))
    }

    /// Freezes all weights of the model (`false`) or not.
    #[must_use]
    pub fn trainable(mut self, trainable: bool) -> Self {
        self.trainable = trainable;
        self
    }

    /// The model, with all shapes and counts.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Config`] or [`Error::TooLarge`] of the first layer that does not fit;
    /// [`Error::Graph`] when two layers have the same name.
    pub fn build(self) -> Result<ModelSpec> {
        let mut used = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let mut nodes = Vec::with_capacity(self.layers.len());
        let built = matches!(
            self.layers.first(),
            Some(NamedLayer {
                layer: Layer::InputLayer(_),
                ..
            })
        );
        for (index, mut named) in self.layers.into_iter().enumerate() {
            let name = named.name.take().unwrap_or_else(|| auto_name(&named.layer, &mut used));
            if !taken.insert(name.clone()) {
                let problem = format!("has two layers named '{name}'; give each layer its own name");
                return Err(Error::Graph {
                    model: self.name,
                    problem,
                });
            }
            if index > 0 && matches!(named.layer, Layer::InputLayer(_)) {
                let problem = format!("has the input layer '{name}' after other layers; an input layer comes first");
                return Err(Error::Graph {
                    model: self.name,
                    problem,
                });
            }
            let node = if built {
                let reads: Vec<(usize, usize)> = index.checked_sub(1).map(|from| (from, 0)).into_iter().collect();
                make_node(&nodes, name, named, &reads, None, None)?
            } else {
                unbuilt_node(name, named, index.checked_sub(1))?
            };
            nodes.push(node);
        }
        let ends = if built { vec![nodes.len() - 1] } else { Vec::new() };
        ModelSpec {
            name: self.name,
            kind: ModelKind::Sequential,
            trainable: self.trainable,
            dtype: self.dtype,
            rows: (0..nodes.len()).collect(),
            nodes,
            inputs: if built { vec![0] } else { Vec::new() },
            output_tensors: vec![0; ends.len()],
            outputs: ends,
            structure: None,
            extra: Map::new(),
        }
        .checked()
    }
}
