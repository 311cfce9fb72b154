//! Layers around another layer.

use super::{Layer, LayerSpec, NamedLayer, positive, single};
use crate::{
    Initializer, Shape,
    error::Problem,
    formula::{Expr, num},
    keras_json,
    model::auto_name,
    weight::Weight,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// The layer inside a wrapper.
#[derive(Debug, Clone, PartialEq)]
pub struct WrappedLayer(pub Box<NamedLayer>);

impl<T: Into<NamedLayer>> From<T> for WrappedLayer {
    fn from(layer: T) -> Self {
        Self(Box::new(layer.into()))
    }
}

impl keras_json::ConfigValue for WrappedLayer {
    fn read(value: &Value) -> Result<Self, String> {
        keras_json::read_layer(value).map(|layer| Self(Box::new(layer)))
    }

    fn write(&self) -> Value {
        keras_json::write_layer(&self.0)
    }
}

impl WrappedLayer {
    /// The layer inside.
    pub fn layer(&self) -> &Layer {
        &self.0.layer
    }

    /// The name of the layer inside; Keras' automatic one where it was given none.
    pub fn name(&self) -> String {
        self.0
            .name
            .clone()
            .unwrap_or_else(|| auto_name(&self.0.layer, &mut BTreeMap::new()))
    }

    /// The multiply-adds of the layer inside.
    fn multiply_adds(&self, inputs: &[Shape]) -> Result<Option<Expr>, Problem> {
        let spec = self.0.layer.spec();
        spec.multiply_adds(inputs, &spec.output_shapes(inputs)?)
    }

    /// The weights of the layer inside, its name (or another one) in front of theirs.
    pub(super) fn weights(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let mut weights = self.0.layer.declared(inputs, &self.0.carried)?.0;
        for weight in &mut weights {
            weight.name = format!("{name}/{}", weight.name);
            weight.trainable &= self.0.trainable;
            weight.dtype.get_or_insert(self.0.dtype.variable);
        }
        Ok(weights)
    }
}

layer! {
    /// A recurrent layer that reads the sequence in both directions (`keras.layers.Bidirectional`; Schuster and
    /// Paliwal, 1997).
    Bidirectional(
        /// The layer for the forward direction.
        layer: WrappedLayer
    ) {
        /// How the directions are joined: `concat`, `sum`, `mul`, `ave`, or two outputs.
        merge_mode: Option<String> = Some("concat".to_owned()),
        /// The layer for the other direction; by default a copy of the first one.
        backward_layer: Option<WrappedLayer> = None,
    }
}

impl Bidirectional {
    /// The layer that reads the sequence forwards, under the name that its weights have in their paths.
    ///
    /// As in Keras, masked steps of returned sequences give zeros in both directions.
    ///
    /// # Errors
    /// [`crate::Error::Config`] when the wrapped layer refuses an option of recurrent layers.
    pub fn forward_direction(&self) -> crate::Result<NamedLayer> {
        let name = self.layer.name();
        let plain = name.strip_prefix("forward_").unwrap_or(&name);
        Self::direction(&self.layer, format!("forward_{plain}"))
    }

    /// The layer that reads the sequence from its end: the given one, or a copy of the other.
    ///
    /// # Errors
    /// As [`Bidirectional::forward_direction`].
    pub fn backward_direction(&self) -> crate::Result<NamedLayer> {
        match &self.backward_layer {
            Some(layer) => Self::direction(layer, layer.name()),
            None => {
                let name = self.layer.name();
                let plain = name.strip_prefix("forward_").unwrap_or(&name);
                Self::direction(&self.layer, format!("backward_{plain}"))?.option("go_backwards", true)
            }
        }
    }

    fn direction(layer: &WrappedLayer, name: String) -> crate::Result<NamedLayer> {
        let sequences = layer.0.config().get("return_sequences").cloned().unwrap_or_default();
        let named = (*layer.0).clone().name(name);
        named.option("zero_output_for_mask", sequences.as_bool().unwrap_or(false))
    }

    fn backward(&self) -> &WrappedLayer {
        self.backward_layer.as_ref().unwrap_or(&self.layer)
    }
}

impl LayerSpec for Bidirectional {
    fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
        let input = inputs.get(..1).unwrap_or(&[]);
        let directions = (self.layer.multiply_adds(input)?, self.backward().multiply_adds(input)?);
        Ok(match directions {
            (Some(forward), Some(backward)) => Some(Expr::Sum(vec![forward, backward])),
            _ => None,
        })
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let input = inputs.get(..1).unwrap_or(&[]);
        let mut forward = self.layer.layer().spec().output_shapes(input)?;
        let mut backward = self.backward().layer().spec().output_shapes(input)?;
        if forward.is_empty() || backward.is_empty() {
            return Err(Problem::key("layer", "has no output"));
        }
        let (states, reverse_states) = (forward.split_off(1), backward.split_off(1));
        let (first, second) = (forward.remove(0), backward.remove(0));
        let mut outputs = match self.merge_mode.as_deref() {
            None => vec![first, second],
            Some("concat") => vec![super::merging::concatenated(&[first, second], -1)?],
            Some("sum" | "mul" | "ave") => vec![first],
            Some(other) => {
                return Err(Problem::key(
                    "merge_mode",
                    format!("must be concat, sum, mul, ave or null, found '{other}'"),
                ));
            }
        };
        outputs.extend(states.into_iter().chain(reverse_states));
        Ok(outputs)
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let input = inputs.get(..1).unwrap_or(&[]);
        let name = self.layer.name();
        let plain = name.strip_prefix("forward_").unwrap_or(&name);
        let mut weights = self.layer.weights(&format!("forward_{plain}"), input)?;
        let reverse = match &self.backward_layer {
            Some(layer) => layer.name(),
            None => format!("backward_{plain}"),
        };
        weights.extend(self.backward().weights(&reverse, input)?);
        Ok(weights)
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

layer! {
    /// A layer applied to every step of a sequence (`keras.layers.TimeDistributed`).
    TimeDistributed(
        /// The layer for one step.
        layer: WrappedLayer
    ) {}
}

/// The shape of one step.
fn step(input: &Shape) -> Result<Shape, Problem> {
    if input.rank() < 3 {
        return Err(Problem::shape(format!(
            "expects an input of rank 3 or more (batch, steps, ..), found {input}"
        )));
    }
    let mut dims = input.0.clone();
    dims.remove(1);
    Ok(Shape(dims))
}

impl LayerSpec for TimeDistributed {
    fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
        let input = single(inputs)?;
        let each = self.layer.multiply_adds(&[step(input)?])?;
        Ok(match (input.0[1], each) {
            (Some(steps), Some(each)) => Some(Expr::Product(vec![num(steps, "steps", "steps of the sequence"), each])),
            _ => None,
        })
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        let input = single(inputs)?;
        let mut outputs = self.layer.layer().spec().output_shapes(&[step(input)?])?;
        for output in &mut outputs {
            output.0.insert(1.min(output.rank()), input.0[1]);
        }
        Ok(outputs)
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        self.layer.weights(&self.layer.name(), &[step(single(inputs)?)?])
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

layer! {
    /// A layer whose kernel is divided by its largest singular value (`keras.layers.SpectralNormalization`; Miyato et
    /// al., 2018).
    SpectralNormalization(
        /// The layer with the kernel.
        layer: WrappedLayer
    ) {
        /// Steps of the power iteration a batch.
        power_iterations: usize = 1,
    }
}

impl LayerSpec for SpectralNormalization {
    fn multiply_adds(&self, inputs: &[Shape], _: &[Shape]) -> Result<Option<Expr>, Problem> {
        self.layer.multiply_adds(inputs)
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Problem> {
        positive("power_iterations", &[self.power_iterations])?;
        self.layer.layer().spec().output_shapes(inputs)
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<Weight>, Problem> {
        let mut weights = self.layer.weights(&self.layer.name(), inputs)?;
        let kernel = weights
            .iter()
            .position(|weight| weight.name.ends_with("/kernel") || weight.name.ends_with("/embeddings"));
        let kernel = kernel.ok_or_else(|| Problem::key("layer", "must have a kernel or embeddings"))?;
        let kernel = weights.remove(kernel);
        let columns = kernel.dims.last().copied().unwrap_or((1, "columns"));
        let initializer = Initializer::TruncatedNormal {
            mean: 0.0,
            stddev: 0.02,
            seed: None,
        };
        let vector = Weight::new("vector_u", [(1, "rows"), columns], &initializer).not_trainable();
        let mut all = vec![kernel, vector];
        all.extend(weights);
        Ok(all)
    }

    fn needs_shape(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dense, GRU, ModelSpec};

    #[test]
    fn the_second_direction_is_a_copy_that_reads_backwards() {
        let both = Bidirectional::new(GRU::new(3).return_sequences(true).name("memory").into());
        let (forward, backward) = (both.forward_direction().unwrap(), both.backward_direction().unwrap());
        assert_eq!(forward.name.as_deref(), Some("forward_memory"));
        assert_eq!(backward.name.as_deref(), Some("backward_memory"));
        assert_eq!(forward.config()["go_backwards"], false);
        assert_eq!(backward.config()["go_backwards"], true);
        assert_eq!(backward.config()["units"], 3);
        // Masked steps give zeros where all steps are returned.
        assert_eq!(backward.config()["zero_output_for_mask"], true);
        let own = both.backward_layer(Some(GRU::new(3).go_backwards(true).name("other").into()));
        let own = own.backward_direction().unwrap();
        assert_eq!(own.name.as_deref(), Some("other"));
        assert_eq!(own.config()["zero_output_for_mask"], false);
    }

    #[test]
    fn options_are_checked_by_the_layer() {
        assert!(Dense::new(3).name("dense").option("units", "three").is_err());
        let dense = Dense::new(3).name("dense").option("units", 5).unwrap();
        assert_eq!(*dense.layer(), Layer::from(Dense::new(5)));
        let model = ModelSpec::sequential("inner")
            .input([2])
            .layer(Dense::new(1))
            .build()
            .unwrap();
        assert!(NamedLayer::from(model).option("trainable", false).is_err());
    }
}
