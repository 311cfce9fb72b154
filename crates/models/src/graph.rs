//! A description made ready to run: for every call of a layer its weights, its options, and the graphs inside of it.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use indexmap::IndexMap;
use nn_theory::{Activation, DTypePolicy, Layer, ModelSpec, NamedLayer, Node, Shape};
use serde_json::{Map, Value as Json};

use crate::call::CallOptions;
use crate::layers::{self, LayerWeights, Value};
use crate::network::{Mode, Weight};
use crate::pooled::Joined;
use crate::{Constraint, Error, Regularizer, Result};

/// The largest output of a layer for one sample: 8 GB in float32.
const MAX_VALUES: u64 = 1 << 31;

/// The calls of a model in the order in which they run.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) spec: ModelSpec,
    pub(crate) steps: Vec<Step>,
}

/// One call of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The call; its name is the layer's whole path (`encoder/dense`), and an activation that no kernel fuses is taken out.
    pub(crate) node: Node,
    /// The activation that was taken out; it is applied to the output.
    pub(crate) after: Option<Activation>,
    /// Keras' configuration of the layer.
    pub(crate) config: Map<String, Json>,
    pub(crate) call: CallOptions,
    /// The weights of the layer: name in the layer and index in the network's list.
    pub(crate) weights: Vec<(String, usize)>,
    /// Whether the layer trains.
    pub(crate) trains: bool,
    /// What a wrapper or a nested model holds: its layers as graphs of their own.
    pub(crate) inner: Vec<Graph>,
    /// The format of a mixed-precision policy that the layer computes in.
    pub(crate) half: Option<DType>,
    /// The penalty on the layer's outputs.
    pub(crate) activity: Option<Regularizer>,
    /// Whether it is computed together with another one.
    pub(crate) joined: Joined,
}

/// What the layers say about weights beside their shapes, by index in the network's list.
#[derive(Clone, Debug, Default)]
pub(crate) struct WeightRules {
    pub(crate) regularizers: BTreeMap<usize, Regularizer>,
    pub(crate) constraints: BTreeMap<usize, Constraint>,
    /// Biases of which a range starts at 1: the forget gates of LSTMs.
    pub(crate) ones: BTreeMap<usize, std::ops::Range<usize>>,
}

/// What one pass through a network needs and collects.
pub(crate) struct Pass<'a> {
    pub(crate) weights: &'a IndexMap<String, Weight>,
    pub(crate) dtype: DType,
    pub(crate) device: &'a Device,
    /// The penalties on outputs.
    pub(crate) activity: Vec<Tensor>,
}

impl Graph {
    /// Prepares a model whose weights have these names (relative to the model) and places; refuses what cannot run.
    ///
    /// Whether the model trains is said by `trains`: a nested model has its flag on the node that calls it.
    pub(crate) fn build(
        spec: &ModelSpec,
        prefix: &str,
        names: &[(String, usize)],
        trains: bool,
        policy: Option<DTypePolicy>,
        rules: &mut WeightRules,
    ) -> Result<Self> {
        let mut steps = Vec::with_capacity(spec.nodes().len());
        for node in spec.nodes() {
            steps.push(Step::build(node, prefix, names, trains, policy, rules)?);
        }
        let mut graph = Graph {
            spec: spec.clone(),
            steps,
        };
        graph.join_pools();
        Ok(graph)
    }

    /// The values of the outputs.
    pub(crate) fn run(&self, pass: &mut Pass<'_>, inputs: Vec<Value>, mode: Mode) -> Result<Vec<Value>> {
        let nodes = self.spec.nodes();
        let mut values: Vec<Vec<Value>> = vec![Vec::new(); nodes.len()];
        for (&index, input) in self.spec.inputs().iter().zip(inputs) {
            values[index] = vec![input];
        }
        // A value is dropped after its last use, so that an inference pass does not hold every feature map.
        let mut uses = vec![0usize; nodes.len()];
        for node in nodes {
            node.inputs.iter().for_each(|&input| uses[input] += 1);
        }
        self.spec.outputs().iter().for_each(|&output| uses[output] += 1);
        for (index, step) in self.steps.iter().enumerate() {
            if !values[index].is_empty() {
                continue;
            }
            let reads = step.node.inputs.iter().zip(&step.node.input_tensors);
            let arguments: Vec<Value> = reads
                .filter_map(|(&from, &output)| values[from].get(output).cloned())
                .collect();
            if arguments.len() != step.node.inputs.len() {
                return Err(step.refused(
                    "an output",
                    "one that the layer before it does not make".to_string(),
                    "the outputs that exist",
                ));
            }
            values[index] = step.run(pass, arguments, mode)?;
            for &input in &step.node.inputs {
                uses[input] -= 1;
                if uses[input] == 0 {
                    values[input] = Vec::new();
                }
            }
        }
        let ends = self.spec.outputs().iter().zip(self.spec.output_tensors());
        Ok(ends
            .filter_map(|(&node, &output)| values[node].get(output).cloned())
            .collect())
    }

    /// Outputs of layers under a mixed-precision policy in its short format, also where the layer left them in a longer one.
    pub(crate) fn shortened(&self, outputs: &mut [Value]) -> Result<()> {
        for (&node, output) in self.spec.outputs().iter().zip(outputs) {
            if let Some(half) = self.steps[node].half.filter(|_| output.tensor.dtype().is_float()) {
                output.tensor = output.tensor.to_dtype(half)?;
            }
        }
        Ok(())
    }

    /// Whether a layer somewhere inside keeps statistics of the batches that it sees.
    pub(crate) fn keeps_statistics(&self) -> bool {
        self.steps.iter().any(|step| {
            let own = step.weights.iter();
            let mut own = own.filter(|(name, _)| layers::is_statistic(&step.node.layer, name));
            own.next().is_some() || step.inner.iter().any(Graph::keeps_statistics)
        })
    }

    /// Whether a penalty on outputs is computed anywhere inside.
    pub(crate) fn has_activity(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.activity.is_some() || step.inner.iter().any(Graph::has_activity))
    }

    /// Calls a function on every step, those inside of others too.
    pub(crate) fn for_each(&self, f: &mut impl FnMut(&Step)) {
        for step in &self.steps {
            f(step);
            step.inner.iter().for_each(|graph| graph.for_each(f));
        }
    }

    /// As [`Graph::for_each`], on steps that can be changed.
    pub(crate) fn for_each_step(&mut self, f: &mut impl FnMut(&mut Step)) {
        for step in &mut self.steps {
            f(step);
            step.inner.iter_mut().for_each(|graph| graph.for_each_step(f));
        }
    }
}

impl Step {
    fn build(
        node: &Node,
        prefix: &str,
        names: &[(String, usize)],
        trains: bool,
        policy: Option<DTypePolicy>,
        rules: &mut WeightRules,
    ) -> Result<Self> {
        let below = format!("{}/", node.name);
        let weights: Vec<(String, usize)> = names
            .iter()
            .filter_map(|(name, index)| Some((name.strip_prefix(&below)?.to_string(), *index)))
            .collect();
        let config = node.config();
        let trains = trains && node.trainable;
        let mut node = node.clone();
        node.name = format!("{prefix}{}", node.name);
        let call = CallOptions::read(&node)?;
        let after = take_activation(&mut node, &config)?;
        layers::check(&node)?;
        layers::check_options(&node, &config)?;
        check_size(&node)?;
        let of_policy = policy.unwrap_or(node.dtype);
        let half = match of_policy.compute {
            nn_theory::DType::Float16 if of_policy.variable != of_policy.compute => Some(DType::F16),
            nn_theory::DType::BFloat16 if of_policy.variable != of_policy.compute => Some(DType::BF16),
            _ => None,
        };
        let mut step = Step {
            after,
            call,
            weights,
            trains,
            inner: Vec::new(),
            half,
            activity: None,
            joined: Joined::Alone,
            config,
            node,
        };
        step.read_rules(rules)?;
        step.inner = step.inner_graphs(policy, rules)?;
        Ok(step)
    }

    /// Regularizers, constraints and first values that are written in the configuration of the layer.
    fn read_rules(&mut self, rules: &mut WeightRules) -> Result<()> {
        let regularizer = |key: &str, value: &Json| {
            Regularizer::from_keras(value).map_err(|problem| self.wrong_option(key, &problem))
        };
        if matches!(self.node.layer, Layer::Model(_) | Layer::Operation(_)) {
            return Ok(());
        }
        // The options of the weights are those of the layer that has them.
        let (layer, own);
        let config = match &self.node.layer {
            Layer::SpectralNormalization(wrapper) => {
                layer = wrapper.layer.layer();
                own = wrapper.layer.0.config();
                &own
            }
            other => {
                layer = other;
                &self.config
            }
        };
        for (name, index) in &self.weights {
            let Some(stem) = option_stem(layer, name) else {
                continue;
            };
            let key = format!("{stem}_regularizer");
            if let Some(found) = config.get(&key).map(|value| regularizer(&key, value)).transpose()? {
                rules.regularizers.extend(found.map(|found| (*index, found)));
            }
            let key = format!("{stem}_constraint");
            if let Some(value) = config.get(&key) {
                let found = Constraint::from_keras(value).map_err(|problem| self.wrong_option(&key, &problem))?;
                rules.constraints.extend(found.map(|found| (*index, found)));
            }
        }
        if let Layer::ActivityRegularization(_) = &self.node.layer {
            let factor = |key: &str| {
                crate::regularizers::number(&self.config, key, 0.0).map_err(|problem| self.wrong_option(key, &problem))
            };
            self.activity = Some(Regularizer::L1L2 {
                l1: factor("l1")?,
                l2: factor("l2")?,
            });
        } else if let Some(value) = self.config.get("activity_regularizer") {
            self.activity = regularizer("activity_regularizer", value)?;
        }
        let forget_gate = self
            .config
            .get("unit_forget_bias")
            .and_then(Json::as_bool)
            .unwrap_or(true);
        let units = match &self.node.layer {
            Layer::LSTM(layer) => layer.units,
            Layer::ConvLSTM1D(layer) => layer.filters,
            Layer::ConvLSTM2D(layer) => layer.filters,
            Layer::ConvLSTM3D(layer) => layer.filters,
            _ => return Ok(()),
        };
        let biases = self
            .weights
            .iter()
            .filter(|(name, _)| forget_gate && name.ends_with("/bias"));
        rules.ones.extend(biases.map(|(_, index)| (*index, units..2 * units)));
        Ok(())
    }

    /// The graphs of the layers that this one holds.
    fn inner_graphs(&self, policy: Option<DTypePolicy>, rules: &mut WeightRules) -> Result<Vec<Graph>> {
        let prefix = format!("{}/", self.node.name);
        let shapes = &self.node.input_shapes;
        let specs = match &self.node.layer {
            Layer::Model(nested) => vec![(*nested.model).clone()],
            Layer::TimeDistributed(layer) => {
                let mut step = shapes.first().cloned().unwrap_or_default();
                if step.rank() > 1 {
                    step.0.remove(1);
                }
                vec![model_of_one((*layer.layer.0).clone(), &[step])?]
            }
            Layer::Bidirectional(layer) => {
                let half = shapes.len().saturating_sub(1) / 2;
                let (sequence, states) = shapes.split_at(1.min(shapes.len()));
                let (forward, backward) = states.split_at(half);
                vec![
                    model_of_one(layer.forward_direction()?, &[sequence, forward].concat())?,
                    model_of_one(layer.backward_direction()?, &[sequence, backward].concat())?,
                ]
            }
            _ => return Ok(Vec::new()),
        };
        let graphs = specs
            .iter()
            .map(|spec| Graph::build(spec, &prefix, &self.weights, self.trains, policy, rules));
        graphs.collect()
    }

    /// The outputs of the call.
    fn run(&self, pass: &mut Pass<'_>, inputs: Vec<Value>, mode: Mode) -> Result<Vec<Value>> {
        if matches!(self.joined, Joined::Done) {
            return Ok(inputs);
        }
        let precision = layers::Precision::of(self, pass);
        if kernels::tape::is_recording() && !self.is_recorded(precision) {
            return self.run_composed(pass, inputs, mode);
        }
        let mode = self.call.mode(mode, self.node.call);
        let inputs = precision.enter(&self.node.layer, inputs)?;
        let weights = LayerWeights::new(&self.weights, pass.weights).with(precision);
        let mut outputs = precision.scope(|| layers::outputs(self, &weights, pass, inputs, mode))?;
        if let Some(function) = self.after {
            for output in &mut outputs {
                output.tensor = layers::activation(function, &output.tensor).map_err(|source| Error::Compute {
                    layer: self.node.name.clone(),
                    source,
                })?;
            }
        }
        precision.leave(&mut outputs)?;
        if let Some(regularizer) = &self.activity {
            for output in &outputs {
                let batch = output.tensor.dims().first().copied().unwrap_or(1).max(1);
                pass.activity.push((regularizer.loss(&output.tensor)? / batch as f64)?);
            }
        }
        Ok(outputs)
    }

    /// Whether everything that the call computes is written down by a [`kernels::tape`]. Layers of nested models are asked themselves.
    fn is_recorded(&self, precision: layers::Precision) -> bool {
        let rounds = matches!(precision, layers::Precision::Half { .. });
        let plain = self.after.is_none() && !rounds && self.activity.is_none();
        matches!(self.node.layer, Layer::Model(_)) || plain && layers::is_recorded(&self.node.layer, self.trains)
    }

    /// [`Step::run`] in one piece that candle differentiates.
    fn run_composed(&self, pass: &mut Pass<'_>, inputs: Vec<Value>, mode: Mode) -> Result<Vec<Value>> {
        let tensors: Vec<Tensor> = inputs.iter().map(|input| input.tensor.clone()).collect();
        let mut masks = Vec::new();
        let tensors = kernels::tape::composed(&tensors, |tensors| {
            let inputs = tensors.iter().zip(inputs).map(|(tensor, input)| Value {
                tensor: tensor.clone(),
                mask: input.mask,
            });
            let outputs = self.run(pass, inputs.collect(), mode)?;
            masks = outputs.iter().map(|output| output.mask.clone()).collect();
            Ok::<_, Error>(outputs.into_iter().map(|output| output.tensor).collect())
        })?;
        let values = tensors.into_iter().zip(masks);
        Ok(values.map(|(tensor, mask)| Value { tensor, mask }).collect())
    }

    pub(crate) fn refused(&self, option: &'static str, found: String, expected: &'static str) -> Error {
        Error::LayerOption {
            layer: self.node.name.clone(),
            option,
            found,
            expected,
        }
    }

    fn wrong_option(&self, key: &str, problem: &str) -> Error {
        self.refused(
            "an option",
            format!("{key}: {problem}"),
            "what keras.regularizers and keras.constraints have",
        )
    }

    /// A text of the configuration.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.config.get(key).and_then(Json::as_str)
    }

    /// A number of the configuration.
    pub(crate) fn number(&self, key: &str, default: f64) -> Result<f64> {
        crate::regularizers::number(&self.config, key, default)
            .map_err(|problem| self.refused("an option", problem, "a finite number"))
    }

    /// A flag of the configuration.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.config.get(key).and_then(Json::as_bool).unwrap_or(false)
    }
}

/// Refuses a layer whose output no memory holds: a few digits in a description can ask for that.
fn check_size(node: &Node) -> Result<()> {
    for shape in &node.output_shapes {
        let sizes = shape.0.iter().skip(1).flatten();
        let values = sizes.fold(1u64, |product, &size| product.saturating_mul(size));
        if values > MAX_VALUES {
            return Err(Error::LayerOption {
                layer: node.name.clone(),
                option: "the shape of its output",
                found: shape.to_string(),
                expected: "one of at most 2³¹ values a sample",
            });
        }
    }
    Ok(())
}

/// Takes an activation that is not fused with its layer out of the layer.
fn take_activation(node: &mut Node, config: &Map<String, Json>) -> Result<Option<Activation>> {
    let recurrent = config.contains_key("recurrent_initializer");
    if recurrent || matches!(node.layer, Layer::Activation(_) | Layer::Model(_) | Layer::Operation(_)) {
        return Ok(None);
    }
    let function = config.get("activation").and_then(Json::as_str);
    let Some(function) = function.and_then(Activation::from_name) else {
        return Ok(None);
    };
    if layers::is_fused(function) {
        return Ok(None);
    }
    if function == Activation::Threshold {
        return Err(layers::threshold_refused(&node.name));
    }
    node.layer = node.to_named_layer().option("activation", "linear")?.layer().clone();
    Ok(Some(function))
}

/// What the options of a weight are called after: `recurrent` for `recurrent_kernel`, as in `recurrent_regularizer`.
fn option_stem<'a>(layer: &Layer, weight: &'a str) -> Option<&'a str> {
    let name = weight.rsplit('/').next()?;
    Some(match (name, layer) {
        ("kernel", Layer::DepthwiseConv1D(_) | Layer::DepthwiseConv2D(_)) => "depthwise",
        ("kernel" | "bias" | "embeddings" | "gamma" | "beta" | "alpha", _) => name,
        ("recurrent_kernel" | "depthwise_kernel" | "pointwise_kernel", _) => name.strip_suffix("_kernel")?,
        _ => return None,
    })
}

/// A model of one layer, for the layers inside of wrappers.
fn model_of_one(layer: NamedLayer, inputs: &[Shape]) -> Result<ModelSpec> {
    let mut graph = ModelSpec::functional("layer");
    let mut ends = Vec::with_capacity(inputs.len());
    for (index, shape) in inputs.iter().enumerate() {
        let sample: Shape = Shape(shape.sample().to_vec());
        // A name that no layer of Keras can have: it may not collide with that of the layer.
        ends.push(graph.input_named(format!("input/{index}"), sample)?);
    }
    let first = graph.layer(layer, ends.clone())?;
    // All outputs: the further ones are states.
    let one = graph.clone().build(ends.clone(), first)?;
    let count = one.nodes().last().map_or(1, |node| node.output_shapes.len());
    let all: Vec<nn_theory::Tensor> = (0..count).map(|output| first.output(output)).collect();
    Ok(graph.build(ends, all)?)
}
