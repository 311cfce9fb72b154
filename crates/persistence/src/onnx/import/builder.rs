//! Goes through the nodes of a graph and calls a layer for each.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use nn_theory::{Functional, Identity, ModelSpec, NamedLayer, Shape, Tensor};

use super::proto::{GraphProto, NodeProto};
use super::recurrent::Steps;
use super::tensor::Constants;
use crate::fault::{Fault, Result, quoted};
use crate::stored::StoredTensor;

/// What a name of the graph stands for.
#[derive(Clone)]
pub(super) enum Known {
    /// The output of a layer.
    Tensor(Output),
    /// A constant of the file.
    Constant(StoredTensor),
    /// Sizes that the graph works out for a Reshape; `None` is the batch.
    Sizes(Vec<Option<i64>>),
    /// Zeros of a shape that depends on the batch.
    Zeros,
    /// A sequence whose axes stand in another order than (batch, steps, features).
    Steps(Steps),
    /// The last states of the directions of a recurrent layer: (directions, batch, units).
    States(Vec<Output>),
}

/// The output of a layer.
#[derive(Clone)]
pub(super) struct Output {
    pub(super) tensor: Tensor,
    pub(super) shape: Vec<Option<u64>>,
    /// Whether no value is below 0, so that zeros around it change no maximum.
    pub(super) is_positive: bool,
}

impl Output {
    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }

    /// An axis counted from the front.
    pub(super) fn axis(&self, node: &NodeProto<'_>, axis: i64) -> Result<usize> {
        let rank = self.rank() as i64;
        let from_front = if axis < 0 { axis.saturating_add(rank) } else { axis };
        let place = usize::try_from(from_front).ok().filter(|_| from_front < rank);
        place.ok_or_else(|| node.wrong(format!("there is no axis {axis} among {rank}")))
    }
}

/// A network under construction.
pub(super) struct Builder<'g, 'a> {
    graph: Functional,
    pub(super) known: BTreeMap<&'a str, Known>,
    /// How often each name is read.
    pub(super) reads: BTreeMap<&'a str, usize>,
    /// The nodes that read each name.
    pub(super) readers: BTreeMap<&'a str, Vec<usize>>,
    pub(super) nodes: &'g [NodeProto<'a>],
    /// Nodes that were taken together with an earlier one.
    pub(super) done: BTreeSet<usize>,
    names: BTreeSet<String>,
    /// Outputs of `ConstantOfShape` nodes that are zeros.
    pub(super) zeros: BTreeSet<&'a str>,
    pub(super) weights: IndexMap<String, StoredTensor>,
    pub(super) opset: i64,
    inputs: Vec<Tensor>,
}

impl<'g, 'a> Builder<'g, 'a> {
    pub(super) fn new(
        graph: &'g GraphProto<'a>,
        opset: i64,
        initializers: Vec<(&'a str, StoredTensor)>,
        constants: &mut Constants<'a>,
    ) -> Result<Self> {
        let mut builder = Builder {
            graph: ModelSpec::functional(name_of(graph.name).unwrap_or_else(|| "onnx".to_string())),
            known: BTreeMap::new(),
            reads: BTreeMap::new(),
            readers: BTreeMap::new(),
            nodes: &graph.nodes,
            done: BTreeSet::new(),
            names: BTreeSet::new(),
            zeros: BTreeSet::new(),
            weights: IndexMap::new(),
            opset,
            inputs: Vec::new(),
        };
        for (name, tensor) in initializers {
            if builder.known.insert(name, Known::Constant(tensor)).is_some() {
                return Err(Fault::new(format!("constant '{}'", quoted(name)), "is there twice"));
            }
        }
        for (place, node) in graph.nodes.iter().enumerate() {
            if node.kind == "Constant"
                && let Some(message) = node.tensor("value")?
            {
                let (_, tensor) = constants.read(message)?;
                builder.known.insert(node.output()?, Known::Constant(tensor));
            }
            // Weights that are shorter in the file than in the computation; networks compute in one format here.
            if node.kind == "Cast"
                && matches!(node.int("to", 0)?, 1 | 10 | 11 | 16)
                && let Some(Known::Constant(tensor)) = node.input(0).and_then(|name| builder.known.get(name))
                && tensor.is_float()
            {
                let tensor = tensor.clone();
                builder.known.insert(node.output()?, Known::Constant(tensor));
            }
            if node.kind == "ConstantOfShape" {
                let value = node
                    .tensor("value")?
                    .map(|message| constants.read(message))
                    .transpose()?;
                if value.is_none_or(|(_, tensor)| is_zero(&tensor)) {
                    builder.zeros.insert(node.output()?);
                }
            }
            for &input in &node.inputs {
                *builder.reads.entry(input).or_default() += 1;
                builder.readers.entry(input).or_default().push(place);
            }
        }
        for output in &graph.outputs {
            *builder.reads.entry(output.name).or_default() += 1;
        }
        // Old files list their constants among the inputs.
        for input in graph
            .inputs
            .iter()
            .filter(|input| !matches!(builder.known.get(input.name), Some(Known::Constant(_))))
            .collect::<Vec<_>>()
        {
            let place = || format!("input '{}'", quoted(input.name));
            let Some((_batch, sample)) = input.shape.as_ref().and_then(|shape| shape.split_first()) else {
                return Err(Fault::new(
                    place(),
                    "has no shape; export the model with the shapes of its inputs",
                ));
            };
            if !matches!(input.kind, 1 | 6 | 7 | 10 | 11 | 16) {
                return Err(Fault::new(
                    place(),
                    format!("number format {} is not read; use floats or integers", input.kind),
                ));
            }
            let name = builder.name(input.name);
            let tensor = builder
                .graph
                .input_named(name, Shape(sample.to_vec()))
                .map_err(|error| Fault::new(place(), error.to_string()))?;
            builder.inputs.push(tensor);
            let shape = [None].into_iter().chain(sample.iter().copied()).collect();
            let output = Output {
                tensor,
                shape,
                is_positive: false,
            };
            builder.known.insert(input.name, Known::Tensor(output));
        }
        Ok(builder)
    }

    pub(super) fn build(mut self, graph: &GraphProto<'a>) -> Result<(ModelSpec, IndexMap<String, StoredTensor>)> {
        for (place, node) in self.nodes.iter().enumerate() {
            if !self.done.contains(&place) {
                self.node(node)?;
            }
        }
        let mut outputs = Vec::with_capacity(graph.outputs.len());
        for output in &graph.outputs {
            match self.known.get(output.name) {
                Some(Known::Tensor(found)) => outputs.push(found.tensor),
                _ => {
                    return Err(Fault::new(
                        format!("output '{}'", quoted(output.name)),
                        "is not computed from the inputs",
                    ));
                }
            }
        }
        if outputs.is_empty() || self.inputs.is_empty() {
            return Err(Fault::new("the graph", "has no input or no output"));
        }
        let spec = self
            .graph
            .build(self.inputs, outputs)
            .map_err(|error| Fault::new("the graph", error.to_string()))?;
        // In the order of the description, and only those that a layer of an output has.
        let mut weights = IndexMap::new();
        for weight in spec.weights() {
            let tensor = self.weights.swap_remove(&weight.path);
            let tensor = tensor.ok_or_else(|| Fault::new(format!("weight '{}'", weight.path), "has no constant"))?;
            let shape: Vec<usize> = weight.shape.iter().map(|&size| size as usize).collect();
            if tensor.shape() != shape {
                let reason = format!("has the shape {:?}, its layer needs {shape:?}", tensor.shape());
                return Err(Fault::new(format!("weight '{}'", weight.path), reason));
            }
            weights.insert(weight.path, tensor);
        }
        Ok((spec, weights))
    }

    fn node(&mut self, node: &'g NodeProto<'a>) -> Result<()> {
        if !matches!(node.domain, "" | "ai.onnx") {
            return Err(node.wrong(format!(
                "belongs to the domain '{}'; only ONNX' own operators are read",
                quoted(node.domain)
            )));
        }
        if node.kind == "Cast" && matches!(self.known.get(node.output()?), Some(Known::Constant(_))) {
            return Ok(());
        }
        let made = match self.sizes(node)? {
            Some(made) => Some(made),
            None => match self.sequences(node)? {
                Some(made) => Some(made),
                None => self.layer(node)?,
            },
        };
        if let Some(made) = made {
            self.known.insert(node.output()?, made);
        }
        Ok(())
    }

    /// The layer of a node; `None` for one whose output was made already.
    fn layer(&mut self, node: &'g NodeProto<'a>) -> Result<Option<Known>> {
        let families = [
            Self::convolutions,
            Self::dense_layers,
            Self::activations,
            Self::rearranging,
            Self::merging,
        ];
        for family in families {
            if let Some(output) = family(self, node)? {
                return Ok(Some(Known::Tensor(output)));
            }
        }
        match node.kind {
            "Constant" if self.known.contains_key(node.output()?) => Ok(None),
            kind => Err(node.wrong(format!("the operator {} is not read", quoted(kind)))),
        }
    }

    /// An input that layers made.
    pub(super) fn tensor(&self, node: &NodeProto<'a>, place: usize) -> Result<Output> {
        let name = node
            .input(place)
            .ok_or_else(|| node.wrong(format!("input {place} is missing")))?;
        match self.known.get(name) {
            Some(Known::Tensor(output)) => Ok(output.clone()),
            Some(_) => Err(node.wrong(format!(
                "input '{}' is a constant; an output of a layer was expected",
                quoted(name)
            ))),
            None => Err(node.wrong(format!("input '{}' is not known at this place", quoted(name)))),
        }
    }

    /// An input that is a constant; `None` where it is left out.
    pub(super) fn constant(&self, node: &NodeProto<'a>, place: usize) -> Result<Option<(&'a str, StoredTensor)>> {
        let Some(name) = node.input(place) else { return Ok(None) };
        match self.known.get(name) {
            Some(Known::Constant(tensor)) => Ok(Some((name, tensor.clone()))),
            Some(_) => Err(node.wrong(format!(
                "input '{}' depends on the data; a constant was expected",
                quoted(name)
            ))),
            None => Err(node.wrong(format!("input '{}' is not known at this place", quoted(name)))),
        }
    }

    /// A weight that the node cannot be without.
    pub(super) fn weight(&self, node: &NodeProto<'a>, place: usize) -> Result<(&'a str, StoredTensor)> {
        let weight = self
            .constant(node, place)?
            .ok_or_else(|| node.wrong(format!("input {place} is missing")))?;
        if weight.1.is_float() {
            return Ok(weight);
        }
        Err(node.wrong(format!(
            "'{}' holds {}, weights are floating-point numbers",
            quoted(weight.0),
            weight.1.dtype()
        )))
    }

    /// Whole numbers of an input, or of the attribute that it was in older operators.
    pub(super) fn integers(&self, node: &NodeProto<'a>, place: usize, attribute: &str) -> Result<Option<Vec<i64>>> {
        if let Some(found) = node.ints(attribute)? {
            return Ok(Some(found));
        }
        let Some((_, tensor)) = self.constant(node, place)? else {
            return Ok(None);
        };
        let numbers = tensor.to_f64().map_err(|error| node.wrong(error.to_string()))?;
        Ok(Some(numbers.into_iter().map(|number| number as i64).collect()))
    }

    /// One number of an input that may be left out.
    pub(super) fn scalar(&self, node: &NodeProto<'a>, place: usize) -> Result<Option<f64>> {
        let Some((name, tensor)) = self.constant(node, place)? else {
            return Ok(None);
        };
        if tensor.len() != 1 {
            return Err(node.wrong(format!(
                "'{}' has the shape {:?}, one number was expected",
                quoted(name),
                tensor.shape()
            )));
        }
        Ok(tensor
            .to_f64()
            .map_err(|error| node.wrong(error.to_string()))?
            .first()
            .copied())
    }

    /// Calls a layer; the name is that of its weights (`conv1.weight`), of its node, or made of its class.
    pub(super) fn call(
        &mut self,
        node: &NodeProto<'a>,
        layer: impl Into<NamedLayer>,
        inputs: &[&Output],
        weight: Option<&str>,
    ) -> Result<(Output, String)> {
        let layer = layer.into();
        let stem = weight
            .and_then(|weight| weight.strip_suffix(".weight").or_else(|| weight.strip_suffix(".bias")))
            .and_then(name_of)
            .or_else(|| {
                node.name
                    .rsplit('/')
                    .nth(usize::from(node.name.starts_with('/')))
                    .and_then(name_of)
            })
            .or_else(|| name_of(node.name))
            .unwrap_or_else(|| layer.layer().class().to_lowercase());
        let name = self.name(&stem);
        let tensors: Vec<Tensor> = inputs.iter().map(|input| input.tensor).collect();
        let shapes: Vec<Shape> = inputs.iter().map(|input| Shape(input.shape.clone())).collect();
        let wrong = |error: nn_theory::Error| node.wrong(error.to_string());
        let made = layer.layer().output_shapes(&shapes).map_err(wrong)?;
        let tensor = self.graph.layer(layer.name(name.clone()), tensors).map_err(wrong)?;
        let shape = made.into_iter().next().unwrap_or_default().0;
        let output = Output {
            tensor,
            shape,
            is_positive: false,
        };
        Ok((output, name))
    }

    /// A layer without weights.
    pub(super) fn plain(
        &mut self,
        node: &NodeProto<'a>,
        layer: impl Into<NamedLayer>,
        inputs: &[&Output],
    ) -> Result<Output> {
        Ok(self.call(node, layer, inputs, None)?.0)
    }

    /// The input itself, under the output's name.
    pub(super) fn same(&mut self, node: &NodeProto<'a>, x: &Output) -> Result<Output> {
        // A model whose output is its input has a layer between them.
        if self.inputs.contains(&x.tensor) {
            return self.plain(node, Identity::new(), &[x]);
        }
        Ok(x.clone())
    }

    /// A name that no layer has yet.
    fn name(&mut self, stem: &str) -> String {
        let stem = name_of(stem).unwrap_or_else(|| "layer".to_string());
        let mut name = stem.clone();
        let mut counter = 1;
        while !self.names.insert(name.clone()) {
            name = format!("{stem}_{counter}");
            counter += 1;
        }
        name
    }
}

/// A name of a file as the name of a layer: no slashes, which stand between layers and weights, and of a sensible length.
fn name_of(text: &str) -> Option<String> {
    let name: String = text
        .trim_matches('/')
        .chars()
        .take(120)
        .map(|letter| {
            if letter == '/' || letter == '@' || letter.is_control() {
                '_'
            } else {
                letter
            }
        })
        .collect();
    (!name.is_empty()).then_some(name)
}

/// Whether a constant holds zeros and nothing else.
pub(super) fn is_zero(tensor: &StoredTensor) -> bool {
    tensor
        .to_f64()
        .is_ok_and(|numbers| numbers.iter().all(|&number| number == 0.0))
}
