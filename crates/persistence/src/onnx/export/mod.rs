//! A network as an ONNX model: the graph of its layers in inference.
//!
//! Opset 18, IR version 8. Inputs and outputs keep Keras' shapes, with a free size for the batch; weights keep their number format,
//! the computation is in float32 (float64 where the weights are), mixed-precision policies included.

mod activation;
mod attention;
mod file;
mod graph;
mod interpolation;
mod layers;
mod masks;
mod normalization;
mod operation;
mod rearranging;
mod recurrent;
mod windows;

use nn_theory::{ModelSpec, Node, Shape};
use serde_json::{Map, Value as Json};

pub(crate) use file::write;
use graph::{Graph, Value};

use crate::fault::{Fault, Result};

/// The version of the set of operators that is written.
pub const OPSET: i64 = 18;

/// One call of a layer, with its inputs.
struct Call<'n> {
    node: &'n Node,
    /// Names of the models around the layer, and its own.
    path: String,
    config: Map<String, Json>,
    inputs: Vec<Value>,
}

impl Call<'_> {
    fn place(&self) -> String {
        format!("layer '{}' ({})", self.path, self.node.layer.class())
    }

    fn first(&self) -> &Value {
        &self.inputs[0]
    }

    /// The path of a weight of the layer.
    fn weight(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.config.get(key).and_then(Json::as_str)
    }

    fn flag(&self, key: &str) -> bool {
        self.config.get(key).and_then(Json::as_bool).unwrap_or(false)
    }

    /// A whole number, or a list of them; `None` where nothing is stated.
    fn integers(&self, key: &str) -> Option<Vec<i64>> {
        match self.config.get(key)? {
            Json::Array(numbers) => Some(numbers.iter().filter_map(Json::as_i64).collect()),
            number => number.as_i64().map(|number| vec![number]),
        }
    }

    /// An axis of the first input, counted from the front.
    fn axis(&self, axis: i64) -> Result<usize> {
        let rank = self.first().rank();
        let from_front = if axis < 0 {
            axis.saturating_add(rank as i64)
        } else {
            axis
        };
        let place = usize::try_from(from_front).ok().filter(|&place| place < rank);
        place.ok_or_else(|| Fault::new(self.place(), format!("there is no axis {axis} among {rank}")))
    }

    /// Whether the call says that no step looks at a later one.
    fn is_causal(&self) -> bool {
        let arguments = self.node.call_arguments();
        let named = arguments.and_then(|arguments| arguments.get("kwargs"));
        named
            .and_then(|named| named.get("use_causal_mask"))
            .and_then(Json::as_bool)
            == Some(true)
    }
}

fn sizes(shape: &Shape) -> Vec<Option<usize>> {
    shape
        .0
        .iter()
        .map(|size| size.and_then(|size| usize::try_from(size).ok()))
        .collect()
}

impl Graph<'_> {
    /// The outputs of a model; `prefix` is in front of the paths of its weights.
    fn model(&mut self, spec: &ModelSpec, prefix: &str, inputs: Vec<Value>) -> Result<Vec<Value>> {
        let nodes = spec.nodes();
        let mut values: Vec<Vec<Value>> = vec![Vec::new(); nodes.len()];
        for (&index, input) in spec.inputs().iter().zip(inputs) {
            values[index] = vec![input];
        }
        for (index, node) in nodes.iter().enumerate() {
            if !values[index].is_empty() {
                continue;
            }
            let reads = node.inputs.iter().zip(&node.input_tensors);
            let read: Vec<Value> = reads
                .filter_map(|(&from, &output)| values[from].get(output).cloned())
                .collect();
            let call = Call {
                node,
                path: format!("{prefix}{}", node.name),
                config: node.config(),
                inputs: read,
            };
            if call.inputs.is_empty() || call.inputs.len() != node.inputs.len() {
                return Err(Fault::new(
                    call.place(),
                    "reads an output that the layer before it does not make",
                ));
            }
            let outer = std::mem::replace(&mut self.layer, call.path.clone());
            let made = self.call(&call)?;
            self.layer = outer;
            values[index] = made;
        }
        let ends = spec.outputs().iter().zip(spec.output_tensors());
        let outputs: Vec<Value> = ends
            .filter_map(|(&node, &output)| values[node].get(output).cloned())
            .collect();
        if outputs.len() == spec.outputs().len() {
            return Ok(outputs);
        }
        Err(Fault::new(
            format!("model '{}'", spec.name()),
            "has an output that no layer makes",
        ))
    }
}
