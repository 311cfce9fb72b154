//! Layers that are Python code: carried through, with what the configuration says about their shapes.

use super::{LayerSpec, Operation};
use crate::{
    Shape,
    error::Problem,
    keras_json::{ConfigValue, Fields},
};
use serde_json::{Map, Value};

/// A Python function as a layer (`keras.layers.Lambda`). The function is carried through and never run; it has no weights.
///
/// Its output shape is what the layers behind it state, else the key `output_shape`, else unknown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lambda {
    /// Its configuration: the function, its arguments and possibly the shape of its output.
    pub config: Map<String, Value>,
    /// Shapes of the outputs, as the consumers of the layer state them.
    pub outputs: Vec<Option<Shape>>,
}

impl Lambda {
    /// Name of the class in Keras.
    pub const CLASS: &'static str = "Lambda";

    /// The shapes where the function is one of `keras.ops`, which Keras configures by its name.
    fn of_keras(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let function = self.config.get("function");
        let text = |key: &str| function.and_then(|function| function.get(key)).and_then(Value::as_str);
        let (Some("function"), Some(name)) = (text("class_name"), text("config")) else {
            return Ok(Vec::new());
        };
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters
                .next()
                .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        };
        let operation = Operation {
            module: String::new(),
            class: name.split('_').map(capital).collect(),
            config: self
                .config
                .get("arguments")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            outputs: Vec::new(),
        };
        operation.output_shapes(inputs)
    }

    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, Problem> {
        Ok(Self {
            config: fields.take_rest(),
            outputs: Vec::new(),
        })
    }

    pub(crate) fn write(&self, config: &mut Map<String, Value>) {
        config.extend(self.config.clone());
    }
}

impl LayerSpec for Lambda {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        if !self.outputs.is_empty() {
            return Ok(self
                .outputs
                .iter()
                .map(|shape| shape.clone().unwrap_or_default())
                .collect());
        }
        match self.config.get("output_shape") {
            // Keras puts the batch of the first input in front.
            Some(value @ Value::Array(_)) => {
                let sample = Shape::read(value).map_err(|problem| Problem::key("output_shape", problem))?;
                let mut dims = vec![inputs.first().and_then(|input| input.dims().first().copied().flatten())];
                dims.extend(sample.0);
                Ok(vec![Shape(dims)])
            }
            _ => self.of_keras(inputs),
        }
    }

    fn may_be_unknown(&self) -> bool {
        true
    }
}

/// A layer of a class that is not Keras' own: its configuration is carried through unchanged, its output shapes are
/// those that the layers behind it state, and its weights are unknown. [`crate::ModelSpec::unknown_layers`] lists them.
#[derive(Debug, Clone, PartialEq)]
pub struct UnknownLayer {
    /// Module that Keras names; empty where it names none.
    pub module: String,
    /// Class, such as `PositionalEncoding`.
    pub class: String,
    /// Its configuration.
    pub config: Map<String, Value>,
    /// Shapes of the outputs, as the consumers of the layer state them.
    pub outputs: Vec<Option<Shape>>,
}

impl LayerSpec for UnknownLayer {
    fn output_shapes(&self, _: &[Shape]) -> Result<Vec<Shape>, Problem> {
        Ok(self
            .outputs
            .iter()
            .map(|shape| shape.clone().unwrap_or_default())
            .collect())
    }

    fn may_be_unknown(&self) -> bool {
        true
    }
}
