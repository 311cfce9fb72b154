//! The builder of a graph of layers.

use super::{ModelKind, ModelSpec, Node, auto_name, make_node};
use crate::{
    DTypePolicy, InputLayer, Layer, NamedLayer, Shape,
    error::{Error, Result},
};
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};

/// An output of a layer in a graph under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tensor {
    pub(crate) node: usize,
    pub(crate) output: usize,
}

impl Tensor {
    /// Another output of the same call, for layers with several (LSTM with `return_state`).
    #[must_use]
    pub fn output(self, output: usize) -> Self {
        Self { output, ..self }
    }
}

/// One tensor or several: what a layer can be called on.
pub trait IntoTensors {
    /// The tensors in order.
    fn into_tensors(self) -> Vec<Tensor>;
}

impl IntoTensors for Tensor {
    fn into_tensors(self) -> Vec<Tensor> {
        vec![self]
    }
}

impl<const N: usize> IntoTensors for [Tensor; N] {
    fn into_tensors(self) -> Vec<Tensor> {
        self.to_vec()
    }
}

impl IntoTensors for &[Tensor] {
    fn into_tensors(self) -> Vec<Tensor> {
        self.to_vec()
    }
}

impl IntoTensors for Vec<Tensor> {
    fn into_tensors(self) -> Vec<Tensor> {
        self
    }
}

/// Builds a graph call by call; made by [`ModelSpec::functional`].
///
/// ```
/// use nn_theory::{Add, Conv2D, ModelSpec, Padding};
/// let mut graph = ModelSpec::functional("residual");
/// let image = graph.input_named("image", [16, 16, 8])?;
/// let features = graph.layer(Conv2D::new(8, [3, 3]).padding(Padding::Same), image)?;
/// let sum = graph.layer(Add::new(), [image, features])?;
/// let model = graph.build(image, sum)?;
/// assert_eq!(model.counts().total, 584);
/// # Ok::<(), nn_theory::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Functional {
    name: String,
    nodes: Vec<Node>,
    used: BTreeMap<String, usize>,
    taken: BTreeSet<String>,
}

impl Functional {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            nodes: Vec::new(),
            used: BTreeMap::new(),
            taken: BTreeSet::new(),
        }
    }

    /// An input; `sample` is the shape of one sample, without the batch dimension.
    ///
    /// # Errors
    /// [`Error::Graph`] when another layer has taken the automatic name (`input_layer`).
    pub fn input(&mut self, sample: impl Into<Shape>) -> Result<Tensor> {
        self.layer(InputLayer::new(Shape::batched(sample)), Vec::new())
    }

    /// As [`Functional::input`], with a name.
    ///
    /// # Errors
    /// [`Error::Graph`] when the name is taken.
    pub fn input_named(&mut self, name: impl Into<String>, sample: impl Into<Shape>) -> Result<Tensor> {
        self.layer(InputLayer::new(Shape::batched(sample)).name(name), Vec::new())
    }

    /// Calls a new layer on tensors; answers its first output.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Config`], [`Error::TooLarge`] when the layer does not fit, [`Error::Graph`] when
    /// its name is taken.
    pub fn layer(&mut self, layer: impl Into<NamedLayer>, inputs: impl IntoTensors) -> Result<Tensor> {
        let mut named = layer.into();
        let name = named
            .name
            .take()
            .unwrap_or_else(|| auto_name(&named.layer, &mut self.used));
        if !self.taken.insert(name.clone()) {
            let problem = format!("has two layers named '{name}'; call the first one again with `again` or rename one");
            return Err(Error::Graph {
                model: self.name.clone(),
                problem,
            });
        }
        let reads: Vec<(usize, usize)> = inputs.into_tensors().into_iter().map(|t| (t.node, t.output)).collect();
        let node = make_node(&self.nodes, name, named, &reads, None, None)?;
        self.nodes.push(node);
        Ok(Tensor {
            node: self.nodes.len() - 1,
            output: 0,
        })
    }

    /// Calls the layer that made `made_by` once more, with the same weights.
    ///
    /// # Errors
    /// As [`Functional::layer`]; also when the weights do not fit the new inputs.
    pub fn again(&mut self, made_by: Tensor, inputs: impl IntoTensors) -> Result<Tensor> {
        let unknown = || Error::Graph {
            model: self.name.clone(),
            problem: "the shared layer belongs to another graph".to_owned(),
        };
        let name = self.nodes.get(made_by.node).ok_or_else(unknown)?.name.clone();
        let last = self
            .nodes
            .iter()
            .rev()
            .find(|node| node.name == name)
            .ok_or_else(unknown)?
            .clone();
        let named = NamedLayer {
            layer: last.layer.clone(),
            name: None,
            trainable: last.trainable,
            dtype: last.dtype,
            carried: last.carried.clone(),
        };
        let reads: Vec<(usize, usize)> = inputs.into_tensors().into_iter().map(|t| (t.node, t.output)).collect();
        let node = make_node(&self.nodes, name, named, &reads, Some(&last), None)?;
        self.nodes.push(node);
        Ok(Tensor {
            node: self.nodes.len() - 1,
            output: 0,
        })
    }

    /// The model between `inputs` and `outputs`; layers that no output needs are left out, as in Keras.
    ///
    /// # Errors
    /// [`Error::Graph`] when there is no output, when `inputs` holds something that is no input layer, or when an
    /// output needs an input that is not listed.
    pub fn build(self, inputs: impl IntoTensors, outputs: impl IntoTensors) -> Result<ModelSpec> {
        let (inputs, outputs) = (inputs.into_tensors(), outputs.into_tensors());
        let fail = |problem: String| Error::Graph {
            model: self.name.clone(),
            problem,
        };
        if outputs.is_empty() {
            return Err(fail("has no output; name at least one tensor".to_owned()));
        }
        for tensor in inputs.iter().chain(&outputs) {
            if self
                .nodes
                .get(tensor.node)
                .is_none_or(|node| tensor.output >= node.output_shapes.len())
            {
                return Err(fail(
                    "has a tensor of another graph among its inputs or outputs".to_owned(),
                ));
            }
        }
        for tensor in &inputs {
            let node = &self.nodes[tensor.node];
            if !matches!(node.layer, Layer::InputLayer(_)) {
                return Err(fail(format!(
                    "lists '{}' as an input, which is no input layer",
                    node.name
                )));
            }
        }
        let mut needed = vec![false; self.nodes.len()];
        inputs
            .iter()
            .chain(&outputs)
            .for_each(|tensor| needed[tensor.node] = true);
        for index in (0..self.nodes.len()).rev() {
            if needed[index] {
                self.nodes[index].inputs.iter().for_each(|&from| needed[from] = true);
            }
        }
        for (node, _) in self
            .nodes
            .iter()
            .zip(&needed)
            .filter(|(node, needed)| **needed && node.inputs.is_empty())
        {
            if !inputs.iter().any(|tensor| self.nodes[tensor.node].name == node.name) {
                return Err(fail(format!("needs the input '{}', which is not listed", node.name)));
            }
        }
        let mut place = vec![usize::MAX; self.nodes.len()];
        let mut nodes: Vec<Node> = Vec::new();
        let mut calls: BTreeMap<String, usize> = BTreeMap::new();
        for (index, mut node) in self.nodes.into_iter().enumerate().filter(|(index, _)| needed[*index]) {
            node.inputs.iter_mut().for_each(|from| *from = place[*from]);
            let call = calls.entry(node.name.clone()).or_insert(0);
            node.call = *call;
            *call += 1;
            place[index] = nodes.len();
            nodes.push(node);
        }
        let outputs_at: Vec<usize> = outputs.iter().map(|tensor| place[tensor.node]).collect();
        ModelSpec {
            name: self.name,
            kind: ModelKind::Functional,
            trainable: true,
            dtype: DTypePolicy::default(),
            rows: listing_order(&nodes, &outputs_at),
            inputs: inputs.iter().map(|tensor| place[tensor.node]).collect(),
            outputs: outputs_at,
            output_tensors: outputs.iter().map(|tensor| tensor.output).collect(),
            nodes,
            structure: None,
            extra: Map::new(),
        }
        .checked()
    }
}

/// Distance of each node from the outputs: one more than the largest of its readers.
pub(crate) fn depths(nodes: &[Node]) -> Vec<usize> {
    let mut depths = vec![0; nodes.len()];
    for index in (0..nodes.len()).rev() {
        for &from in &nodes[index].inputs {
            depths[from] = depths[from].max(depths[index] + 1);
        }
    }
    depths
}

/// The first call of each layer in the order in which Keras lists layers: deepest first, and among equals in the order
/// in which a walk from the outputs meets them.
pub(crate) fn listing_order(nodes: &[Node], outputs: &[usize]) -> Vec<usize> {
    let node_depths = depths(nodes);
    let mut first_calls: BTreeMap<&str, usize> = BTreeMap::new();
    let mut layer_depth: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        first_calls.entry(&node.name).or_insert(index);
        let depth = layer_depth.entry(&node.name).or_insert(0);
        *depth = (*depth).max(node_depths[index]);
    }
    // Depth-first from the outputs; a layer gets its number before the layers it reads.
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    let mut seen = vec![false; nodes.len()];
    let mut stack: Vec<usize> = outputs.iter().rev().copied().collect();
    while let Some(index) = stack.pop() {
        if std::mem::replace(&mut seen[index], true) {
            continue;
        }
        let number = met.len();
        met.entry(&nodes[index].name).or_insert(number);
        stack.extend(nodes[index].inputs.iter().rev());
    }
    let mut rows: Vec<usize> = first_calls.values().copied().collect();
    rows.sort_by_key(|&row| {
        let name = nodes[row].name.as_str();
        (
            std::cmp::Reverse(layer_depth[name]),
            met.get(name).copied().unwrap_or(usize::MAX),
            row,
        )
    });
    rows
}
