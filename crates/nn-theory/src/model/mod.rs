//! A network as a graph of layers.

mod functional;
mod head;
mod naming;
mod receptive;
mod sequential;

pub(crate) use functional::depths;
pub use functional::{Functional, IntoTensors, Tensor};
pub(crate) use naming::auto_name;
pub use naming::snake_case;
pub use receptive::ReceptiveField;
pub use sequential::Sequential;

use crate::{
    DType, DTypePolicy, Layer, NamedLayer, Shape, WeightSpec,
    error::{Error, Problem, Result},
    formula::{Formula, num},
    weight::Weight,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How a model was put together; it decides what its summary looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// A stack of layers; its summary shows no input layer.
    Sequential,
    /// A graph of layers.
    Functional,
}

impl ModelKind {
    /// Keras' class name.
    pub fn class(self) -> &'static str {
        match self {
            Self::Sequential => "Sequential",
            Self::Functional => "Functional",
        }
    }
}

/// What a configuration says about a layer beyond its meaning for shapes and counts; it is written back unchanged.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Carried {
    /// Keys of `config`.
    pub(crate) config: Map<String, Value>,
    /// Keys beside `config`, such as `build_config` and `registered_name`.
    pub(crate) object: Map<String, Value>,
    /// The dtype policy, where it says more than a [`DTypePolicy`] can: quantization, or policies of inner layers.
    pub(crate) policy: Option<Value>,
}

/// What a layer's configuration says, fields and carried keys.
pub(crate) fn layer_config(layer: &Layer, carried: &Carried) -> Map<String, Value> {
    let mut config = Map::new();
    layer.write(&mut config);
    config.extend(carried.config.clone());
    config
}

/// One call of a layer in a model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// Name of the layer.
    pub name: String,
    /// The layer.
    pub layer: Layer,
    /// The nodes whose outputs it reads, in the order of its arguments.
    pub inputs: Vec<usize>,
    /// Which output of each of these nodes (0 for a layer with one output).
    pub input_tensors: Vec<usize>,
    /// Shapes of the inputs.
    pub input_shapes: Vec<Shape>,
    /// Shape of the (first) output; empty when the layer is not built, see [`Node::is_built`].
    pub output_shape: Shape,
    /// Shapes of all outputs; empty when the shapes are not known.
    pub output_shapes: Vec<Shape>,
    /// Whether training may change the weights.
    pub trainable: bool,
    /// Number formats of weights and computation.
    pub dtype: DTypePolicy,
    /// 0 for the first call of the layer, 1 for the second: later calls share the weights of the first.
    pub call: usize,
    /// Parameters of the layer, as a formula (the same for every call).
    pub parameters: Formula,
    /// Whether the layer has seen its inputs.
    pub(crate) called: bool,
    pub(crate) declared: Vec<Weight>,
    pub(crate) carried: Carried,
    /// `args` and `kwargs` of the call as the configuration had them.
    pub(crate) arguments: Option<Value>,
}

impl Node {
    /// Whether the layer knows its shapes and has its weights.
    pub fn is_built(&self) -> bool {
        self.called || self.layer.is_built_at_once()
    }

    /// Keras' `get_config()` of the layer, without its name, flags and dtype: also the options that are carried through
    /// because they change neither shapes nor counts.
    ///
    /// ```
    /// use nn_theory::{Dense, ModelSpec};
    /// let model = ModelSpec::sequential("one").input([4]).layer(Dense::new(2)).build()?;
    /// assert_eq!(model.nodes()[1].config()["units"], 2);
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    pub fn config(&self) -> Map<String, Value> {
        layer_config(&self.layer, &self.carried)
    }

    /// The dtype policy as the configuration has it, where it says more than [`Node::dtype`] can: quantized weights, or
    /// policies of the layers inside.
    pub fn dtype_policy(&self) -> Option<&Value> {
        self.carried.policy.as_ref()
    }

    /// `args` and `kwargs` of this call as the configuration has them; `None` for a call that only lists its tensors, as
    /// builders make them.
    pub fn call_arguments(&self) -> Option<&Value> {
        self.arguments.as_ref()
    }

    /// The layer of this call on its way into another model: name, flags, dtype and all options.
    pub fn to_named_layer(&self) -> NamedLayer {
        NamedLayer {
            layer: self.layer.clone(),
            name: Some(self.name.clone()),
            trainable: self.trainable,
            dtype: self.dtype,
            carried: self.carried.clone(),
        }
    }

    /// Multiplications with their additions for one sample, see [`Layer::multiply_adds`]; `None` where nothing is
    /// counted.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the count leaves 64 bits.
    pub fn multiply_adds(&self) -> Result<Option<Formula>> {
        if self.output_shapes.is_empty() {
            return Ok(None);
        }
        let count = || {
            let operands = self.layer.operands(&self.input_shapes, self.arguments.as_ref());
            let cost = self.layer.spec().multiply_adds(&operands, &self.output_shapes)?;
            cost.map(|cost| Formula::new(cost, "the number of multiply-adds"))
                .transpose()
        };
        count().map_err(|problem: Problem| problem.at(&self.name, self.layer.class()))
    }
}

/// A network: a graph of Keras layers with shapes and weights, but without numbers in them.
///
/// ```
/// use nn_theory::{Activation, Dense, ModelSpec};
/// let model = ModelSpec::sequential("cats_vs_dogs")
///     .input([1024])
///     .layer(Dense::new(2).activation(Activation::Tanh).name("H01"))
///     .layer(Dense::new(2).name("H02"))
///     .build()?;
/// assert_eq!(model.counts().total, 2056);
/// assert_eq!(model.output_shape().to_string(), "(None, 2)");
/// # Ok::<(), nn_theory::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    pub(crate) name: String,
    pub(crate) kind: ModelKind,
    pub(crate) trainable: bool,
    pub(crate) dtype: DTypePolicy,
    pub(crate) nodes: Vec<Node>,
    /// First calls in the order in which Keras lists the layers.
    pub(crate) rows: Vec<usize>,
    pub(crate) inputs: Vec<usize>,
    pub(crate) outputs: Vec<usize>,
    pub(crate) output_tensors: Vec<usize>,
    /// `input_layers` and `output_layers` as the configuration nests them.
    pub(crate) structure: Option<(Value, Value)>,
    /// Everything of the configuration beside the layers, carried through.
    pub(crate) extra: Map<String, Value>,
}

/// Numbers of parameters and the bytes they occupy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All parameters.
    pub total: u64,
    /// Those that training changes.
    pub trainable: u64,
    /// Those that it does not (moving averages, frozen layers).
    pub non_trainable: u64,
    /// Bytes of all parameters.
    pub total_bytes: u64,
    /// Bytes of the trainable ones.
    pub trainable_bytes: u64,
    /// Bytes of the others.
    pub non_trainable_bytes: u64,
}

serialize_fields!(Counts {
    total,
    trainable,
    non_trainable,
    total_bytes,
    trainable_bytes,
    non_trainable_bytes
});

impl Counts {
    /// Adds `count` parameters; `None` when a sum leaves 64 bits.
    fn add(&mut self, count: u64, dtype: DType, trainable: bool) -> Option<()> {
        let bytes = count.checked_mul(dtype.bytes())?;
        self.total = self.total.checked_add(count)?;
        self.total_bytes = self.total_bytes.checked_add(bytes)?;
        let (counts, sizes) = if trainable {
            (&mut self.trainable, &mut self.trainable_bytes)
        } else {
            (&mut self.non_trainable, &mut self.non_trainable_bytes)
        };
        *counts = counts.checked_add(count)?;
        *sizes = sizes.checked_add(bytes)?;
        Some(())
    }
}

impl ModelSpec {
    /// Starts a stack of layers.
    pub fn sequential(name: impl Into<String>) -> Sequential {
        Sequential::new(name.into())
    }

    /// Starts a graph of layers.
    pub fn functional(name: impl Into<String>) -> Functional {
        Functional::new(name.into())
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a stack or a graph.
    pub fn kind(&self) -> ModelKind {
        self.kind
    }

    /// Whether training may change the model's weights.
    pub fn trainable(&self) -> bool {
        self.trainable
    }

    /// The same network as a Functional model: its summary shows the input layer.
    #[must_use]
    pub fn into_functional(mut self) -> Self {
        self.kind = ModelKind::Functional;
        self
    }

    /// The calls of the layers, each after the ones that it reads.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The layers in the order in which Keras lists them, each once (its first call).
    pub fn layers(&self) -> impl Iterator<Item = &Node> {
        self.rows.iter().map(|&node| &self.nodes[node])
    }

    /// The layer with this name (its first call).
    pub fn layer(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The layers whose class is not Keras' own, those of nested models included: they are carried through, and what they
    /// add to the counts is unknown.
    ///
    /// ```
    /// use nn_theory::ModelSpec;
    /// let model = ModelSpec::from_keras_json(r#"{"class_name": "Sequential", "config": {"name": "m", "layers": [
    ///     {"class_name": "InputLayer", "config": {"batch_shape": [null, 4], "name": "x"}},
    ///     {"module": "shop", "class_name": "Scale", "registered_name": "shop>Scale", "config": {"name": "scale"}}]}}"#)?;
    /// assert_eq!(model.unknown_layers()[0].name, "scale");
    /// assert!(model.summary(&Default::default())?.contains(" Unknown params: scale (Scale)"));
    /// # Ok::<(), nn_theory::Error>(())
    /// ```
    pub fn unknown_layers(&self) -> Vec<&Node> {
        let mut found = Vec::new();
        for node in self.layers() {
            match &node.layer {
                Layer::Unknown(_) => found.push(node),
                Layer::Model(nested) => found.extend(nested.model.unknown_layers()),
                _ => {}
            }
        }
        found
    }

    /// Indices of the input nodes.
    pub fn inputs(&self) -> &[usize] {
        &self.inputs
    }

    /// Indices of the nodes whose outputs are the outputs of the model.
    pub fn outputs(&self) -> &[usize] {
        &self.outputs
    }

    /// Which output of each node in [`ModelSpec::outputs`] is meant (0 for a layer with one output).
    pub fn output_tensors(&self) -> &[usize] {
        &self.output_tensors
    }

    /// The nodes of each layer's calls.
    pub(crate) fn calls(&self) -> BTreeMap<&str, Vec<usize>> {
        let mut calls: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            calls.entry(&node.name).or_default().push(index);
        }
        calls
    }

    /// Whether shapes and weights of all layers are known.
    pub fn is_built(&self) -> bool {
        !self.inputs.is_empty()
    }

    /// Shape of the first input, batch first; the empty shape when the model is not built.
    pub fn input_shape(&self) -> Shape {
        self.inputs
            .first()
            .map(|&node| self.nodes[node].output_shape.clone())
            .unwrap_or_default()
    }

    /// Shape of the first output, batch first; the empty shape when the model is not built.
    pub fn output_shape(&self) -> Shape {
        self.output_shapes().into_iter().next().unwrap_or_default()
    }

    /// Shapes of all outputs.
    pub fn output_shapes(&self) -> Vec<Shape> {
        let outputs = self.outputs.iter().zip(&self.output_tensors);
        outputs
            .filter_map(|(&node, &tensor)| self.nodes[node].output_shapes.get(tensor).cloned())
            .collect()
    }

    /// All weights, layer by layer in Keras' order; a shared layer's weights appear once.
    pub fn weights(&self) -> Vec<WeightSpec> {
        let mut weights = Vec::new();
        for node in self.layers() {
            for weight in &node.declared {
                // Formula and path were checked when the node was made.
                let Ok(formula) = weight.formula() else { continue };
                weights.push(WeightSpec {
                    path: format!("{}/{}", node.name, weight.name),
                    layer: node.name.clone(),
                    name: weight.name.clone(),
                    shape: weight.dims.iter().map(|(size, _)| *size).collect(),
                    initializer: weight.initializer.clone(),
                    trainable: weight.trainable && node.trainable && self.trainable,
                    dtype: weight.dtype.unwrap_or(node.dtype.variable),
                    formula,
                });
            }
        }
        weights
    }

    /// Numbers of parameters and bytes.
    pub fn counts(&self) -> Counts {
        self.checked_counts().unwrap_or_default()
    }

    /// The counts, or `None` when a sum leaves 64 bits; models are only made when it does not.
    fn checked_counts(&self) -> Option<Counts> {
        let mut counts = Counts::default();
        for node in self.layers() {
            for weight in &node.declared {
                let trainable = weight.trainable && node.trainable && self.trainable;
                counts.add(weight.count()?, weight.dtype.unwrap_or(node.dtype.variable), trainable)?;
            }
        }
        Some(counts)
    }

    /// Multiplications with their additions for one sample; `None` when no layer has any that are counted.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when the sum leaves 64 bits.
    pub fn multiply_adds(&self) -> Result<Option<u64>> {
        let mut total = None;
        for node in &self.nodes {
            if let Some(cost) = node.multiply_adds()? {
                let sum = total.unwrap_or(0u64).checked_add(cost.value());
                let what = "the number of multiply-adds";
                total = Some(sum.ok_or_else(|| Problem::too_large(what).at(&self.name, self.kind.class()))?);
            }
        }
        Ok(total)
    }

    /// Shapes of the outputs for inputs of other shapes (the same ones when they are compatible).
    pub(crate) fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let declared: Vec<&Shape> = self.inputs.iter().map(|&node| &self.nodes[node].output_shape).collect();
        if declared.len() == inputs.len() && declared.iter().zip(inputs).all(|(declared, input)| *declared == input) {
            return Ok(self.output_shapes());
        }
        if declared.len() != inputs.len() {
            let problem = format!("takes {} inputs, found {}", declared.len(), inputs.len());
            return Err(Error::Graph {
                model: self.name.clone(),
                problem,
            });
        }
        let mut shapes: Vec<Vec<Shape>> = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(position) = self.inputs.iter().position(|&input| input == index) {
                if !declared[position].is_compatible(&inputs[position]) {
                    let (expected, found) = (declared[position], &inputs[position]);
                    let problem = format!("expects an input of shape {expected}, found {found}");
                    return Err(Error::Graph {
                        model: self.name.clone(),
                        problem,
                    });
                }
                shapes.push(vec![inputs[position].clone()]);
                continue;
            }
            let reads: Vec<Shape> = node
                .inputs
                .iter()
                .zip(&node.input_tensors)
                .map(|(&from, &tensor)| shapes[from].get(tensor).cloned().unwrap_or_default())
                .collect();
            let spec = node.layer.spec();
            let operands = node.layer.operands(&reads, node.arguments.as_ref());
            let outputs = spec.recalled(&operands, node.arguments.as_ref());
            shapes.push(outputs.map_err(|problem| problem.at(&node.name, node.layer.class()))?);
        }
        Ok(self
            .outputs
            .iter()
            .zip(&self.output_tensors)
            .map(|(&node, &tensor)| shapes[node].get(tensor).cloned().unwrap_or_default())
            .collect())
    }

    /// Checks what no single layer can see: that the sums of all counts fit.
    pub(crate) fn checked(self) -> Result<Self> {
        if self.checked_counts().is_none() {
            return Err(Problem::too_large("the number of bytes of all parameters").at(&self.name, self.kind.class()));
        }
        Ok(self)
    }
}

/// Makes the node of a layer's call: infers shapes, declares weights, counts.
///
/// `first` is the first call of a shared layer, `reads` are `(node, output)` pairs.
pub(crate) fn make_node(
    nodes: &[Node],
    name: String,
    named: NamedLayer,
    reads: &[(usize, usize)],
    first: Option<&Node>,
    arguments: Option<Value>,
) -> Result<Node> {
    let NamedLayer {
        layer,
        trainable,
        dtype,
        carried,
        ..
    } = named;
    let mut input_shapes = Vec::with_capacity(reads.len());
    for &(from, tensor) in reads {
        let shape = nodes
            .get(from)
            .and_then(|node| node.output_shapes.get(tensor))
            .ok_or_else(|| {
                let source = nodes.get(from).map_or("?", |node| node.name.as_str());
                let problem = format!("reads output {tensor} of '{source}', whose shape is unknown");
                Problem::shape(problem).at(&name, layer.class())
            })?;
        input_shapes.push(shape.clone());
    }
    let operands = layer.operands(&input_shapes, arguments.as_ref());
    let make = || -> Result<_, Problem> {
        let output_shapes = layer.spec().called(&operands, arguments.as_ref())?;
        let output_shape = match output_shapes.first() {
            Some(shape) => shape.clone(),
            None if layer.spec().may_be_unknown() => Shape::default(),
            None => return Err(Problem::shape("has no output; its shape is unknown")),
        };
        let (declared, parameters) = match first {
            Some(first) => (first.declared.clone(), first.parameters.clone()),
            None => layer.declared(&operands, &carried)?,
        };
        Ok((output_shapes, output_shape, declared, parameters))
    };
    let (output_shapes, output_shape, declared, parameters) =
        make().map_err(|problem| problem.at(&name, layer.class()))?;
    if let Some(first) = first
        && let Some(problem) = sharing_problem(first, &layer, &operands)
    {
        return Err(problem.at(&name, layer.class()));
    }
    Ok(Node {
        name,
        layer,
        inputs: reads.iter().map(|read| read.0).collect(),
        input_tensors: reads.iter().map(|read| read.1).collect(),
        input_shapes,
        output_shape,
        output_shapes,
        trainable,
        dtype,
        call: first.map_or(0, |first| first.call + 1),
        parameters,
        called: true,
        declared,
        carried,
        arguments,
    })
}

/// A shared layer must need the same weights at each call.
fn sharing_problem(first: &Node, layer: &Layer, inputs: &[Shape]) -> Option<Problem> {
    let sizes = |weights: &[Weight]| {
        weights
            .iter()
            .map(|weight| weight.dims.iter().map(|d| d.0).collect())
            .collect::<Vec<Vec<u64>>>()
    };
    match layer.declared(inputs, &first.carried).map(|declared| declared.0) {
        Ok(weights) if sizes(&weights) == sizes(&first.declared) => None,
        Ok(_) => {
            let inputs: Vec<String> = inputs.iter().map(Shape::to_string).collect();
            Some(Problem::shape(format!(
                "is shared, but its weights were made for {} and do not fit {}; use a second layer",
                first
                    .input_shapes
                    .iter()
                    .map(Shape::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
                inputs.join(", ")
            )))
        }
        Err(problem) => Some(problem),
    }
}

/// The node of a layer that has not seen a shape yet.
pub(crate) fn unbuilt_node(name: String, named: NamedLayer, previous: Option<usize>) -> Result<Node> {
    let parameters = Formula::new(num(0, "0", "the layer has not seen a shape yet"), "nothing");
    let parameters = parameters.map_err(|problem| problem.at(&name, named.layer.class()))?;
    Ok(Node {
        name,
        layer: named.layer,
        inputs: previous.into_iter().collect(),
        input_tensors: previous.map(|_| 0).into_iter().collect(),
        input_shapes: Vec::new(),
        output_shape: Shape::default(),
        output_shapes: Vec::new(),
        trainable: named.trainable,
        dtype: named.dtype,
        call: 0,
        parameters,
        called: false,
        declared: Vec::new(),
        carried: named.carried,
        arguments: None,
    })
}
