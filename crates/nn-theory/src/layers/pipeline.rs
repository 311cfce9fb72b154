//! `Pipeline`: preprocessing layers one after the other.

use super::{LayerSpec, WrappedLayer};
use crate::{Shape, error::Problem, weight::Weight};

layer! {
    /// Layers applied one after the other, as one layer (`keras.layers.Pipeline`).
    Pipeline(
        /// The layers in order.
        layers: Vec<WrappedLayer>
    ) {}
}

/// A layer of a pipeline as the summary lists it.
pub(crate) struct PipelineRow {
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) output_shapes: Vec<Shape>,
    pub(crate) parameters: u64,
}

impl Pipeline {
    /// The layers with their shapes for inputs of these shapes; without shapes behind the first one that does not fit.
    pub(crate) fn rows(&self, inputs: &[Shape]) -> Vec<PipelineRow> {
        let mut shapes = inputs.to_vec();
        let mut rows = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let parameters = layer.layer().parameters(&shapes).map_or(0, |formula| formula.value());
            shapes = layer.layer().output_shapes(&shapes).unwrap_or_default();
            rows.push(PipelineRow {
                name: layer.name(),
                class: layer.layer().printed_class().to_owned(),
                output_shapes: shapes.clone(),
                parameters,
            });
        }
        rows
    }
}

impl LayerSpec for Pipeline {
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let mut shapes = inputs.to_vec();
        for layer in &self.layers {
            shapes = layer.layer().spec().output_shapes(&shapes)?;
        }
        Ok(shapes)
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let mut shapes = inputs.to_vec();
        let mut weights = Vec::new();
        for layer in &self.layers {
            weights.extend(layer.weights(&layer.name(), &shapes)?);
            shapes = layer.layer().spec().output_shapes(&shapes)?;
        }
        Ok(weights)
    }
}
