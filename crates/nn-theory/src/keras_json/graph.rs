//! Functional models: the calls of the layers, found from what each call reads.

use super::{
    read::Draft,
    tree::{Json, Object},
    value::{ConfigValue, shown_json as shown},
    write,
};
use crate::{
    DTypePolicy, Layer, ModelKind, ModelSpec, NamedLayer, Node, Shape,
    error::{Error, Problem, Result},
    model::make_node,
};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Output `tensor` of call `call` of a layer, as `keras_history` names it.
struct Reference<'a> {
    layer: Cow<'a, str>,
    call: usize,
    tensor: usize,
    shape: Option<Shape>,
}

/// One call of a layer that waits for its inputs.
pub(super) struct Call<'a> {
    reads: Vec<Reference<'a>>,
    /// What the call says beyond "these tensors, one after the other".
    arguments: Option<Value>,
}

struct Entry<'a> {
    name: String,
    /// Moves into the node of the last call.
    named: Option<NamedLayer>,
    calls: Vec<Call<'a>>,
}

impl Entry<'_> {
    fn layer(&self) -> Option<&Layer> {
        self.named.as_ref().map(|named| &named.layer)
    }
}

pub(super) fn model(name: String, layers: Vec<Draft<'_>>, config: &mut Object<'_>) -> Result<ModelSpec> {
    let fail = |problem: String| Error::Graph {
        model: name.clone(),
        problem,
    };
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(layers.len());
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (index, layer) in layers.into_iter().enumerate() {
        let (mut named, _) = layer.read?;
        let Some(layer_name) = named.name.take() else {
            return Err(Problem::key("name", "is missing").at(&format!("layer {index} of {name}"), named.layer.class()));
        };
        let calls = layer
            .calls
            .map_err(|problem| problem.at(&layer_name, named.layer.class()))?;
        if calls.is_empty() {
            return Err(fail(format!(
                "never calls its layer '{layer_name}'; the key 'inbound_nodes' is missing or empty"
            )));
        }
        if places.insert(layer_name.clone(), index).is_some() {
            return Err(fail(format!(
                "has two layers named '{layer_name}'; give each layer its own name"
            )));
        }
        entries.push(Entry {
            name: layer_name,
            named: Some(named),
            calls,
        });
    }
    state_outputs(&mut entries, &places);
    let is_functional: Vec<bool> = entries
        .iter()
        .map(|entry| entry.layer().is_some_and(is_nested))
        .collect();
    let resolved = resolve(&name, entries, &places)?;

    let ends = |config: &mut Object<'_>, key: &str| -> Result<(Vec<(usize, usize)>, Value)> {
        let value = config
            .remove(key)
            .ok_or_else(|| Problem::key(key, "is missing").at(&name, "Functional"))?;
        let mut found = Vec::new();
        collect_ends(&value, &mut found).map_err(|problem| Problem::key(key, problem).at(&name, "Functional"))?;
        let mut ends = Vec::with_capacity(found.len());
        for (layer, mut call, tensor) in found {
            let place = places.get(layer.as_ref()).copied();
            // Keras counts a node of its own for a nested Functional model, but only here.
            if place.is_some_and(|place| is_functional[place]) {
                call = call.saturating_sub(1);
            }
            let node = place.and_then(|place| resolved.node(place, call));
            let node = node.filter(|&node| {
                let node = &resolved.nodes[node];
                tensor < node.output_shapes.len() || (node.layer.spec().may_be_unknown() && tensor < MAX_OUTPUTS)
            });
            let node = node.ok_or_else(|| {
                fail(format!(
                    "names ['{layer}', {call}, {tensor}] in '{key}', which does not exist"
                ))
            })?;
            ends.push((node, tensor));
        }
        Ok((ends, value.to_value()))
    };
    let (inputs, input_structure) = ends(config, "input_layers")?;
    let (outputs, output_structure) = ends(config, "output_layers")?;
    if outputs.is_empty() || inputs.is_empty() {
        return Err(fail(
            "has no input or no output; fill 'input_layers' and 'output_layers'".to_owned(),
        ));
    }
    // Keras lists the layers in the order of the configuration, each with its first call.
    let rows = resolved.first[..places.len()]
        .iter()
        .map(|&call| resolved.node_of[call])
        .collect();
    ModelSpec {
        name,
        kind: ModelKind::Functional,
        trainable: true,
        dtype: DTypePolicy::default(),
        nodes: resolved.nodes,
        rows,
        inputs: inputs.into_iter().map(|end| end.0).collect(),
        output_tensors: outputs.iter().map(|end| end.1).collect(),
        outputs: outputs.into_iter().map(|end| end.0).collect(),
        structure: Some((input_structure, output_structure)),
        extra: Map::new(),
    }
    .checked()
}

/// Whether a layer is a Functional model.
pub(super) fn is_nested(layer: &Layer) -> bool {
    matches!(layer, Layer::Model(nested) if nested.model.kind() == ModelKind::Functional)
}

/// The calls in `inbound_nodes`, in Keras 3's form (`args`, `kwargs`) or Keras 2's (lists of `[layer, node, tensor, {}]`).
pub(super) fn calls<'a>(inbound: Option<Json<'a>>, layer: &Layer) -> Result<Vec<Call<'a>>, Problem> {
    let wrong = |found: &Json<'_>| {
        Problem::key(
            "inbound_nodes",
            format!("must be a list of calls, found {}", shown(found)),
        )
    };
    let items = match inbound {
        None => Vec::new(),
        Some(Json::Array(items)) => items,
        Some(other) => return Err(wrong(&other)),
    };
    if items.is_empty() && matches!(layer, Layer::InputLayer(_)) {
        return Ok(vec![Call {
            reads: Vec::new(),
            arguments: None,
        }]);
    }
    let mut calls = Vec::with_capacity(items.len());
    for item in items {
        let mut reads = Vec::new();
        match &item {
            Json::Object(call) => {
                for key in ["args", "kwargs"] {
                    if let Some(value) = call.get(key) {
                        collect_tensors(value, &mut reads).map_err(|problem| Problem::key("inbound_nodes", problem))?;
                    }
                }
            }
            Json::Array(_) => {
                let mut found = Vec::new();
                collect_ends(&item, &mut found).map_err(|problem| Problem::key("inbound_nodes", problem))?;
                reads.extend(found.into_iter().map(|(layer, call, tensor)| Reference {
                    layer,
                    call,
                    tensor,
                    shape: None,
                }));
            }
            other => return Err(wrong(other)),
        }
        let usual = write::is_usual_call(&item, layer);
        let arguments = (!usual && !item.is_null()).then(|| item.to_value());
        calls.push(Call { reads, arguments });
    }
    Ok(calls)
}

/// Every `__keras_tensor__` in the arguments of a call, in order. JSON is at most 128 levels deep, so recursion is safe.
fn collect_tensors<'a>(value: &Json<'a>, found: &mut Vec<Reference<'a>>) -> Result<(), String> {
    match value {
        Json::Array(items) => items.iter().try_for_each(|item| collect_tensors(item, found)),
        Json::Object(object) if object.get("class_name").and_then(Json::as_str) == Some("__keras_tensor__") => {
            let config = object
                .get("config")
                .and_then(Json::as_object)
                .ok_or("holds a tensor without 'config'")?;
            let history = config
                .get("keras_history")
                .ok_or("holds a tensor without 'keras_history'")?;
            let (layer, call, tensor) = reference(history).ok_or_else(|| {
                format!(
                    "holds a 'keras_history' that is no [layer, call, output]: {}",
                    shown(history)
                )
            })?;
            let shape = config.get("shape").and_then(|shape| Shape::read_json(shape).ok());
            found.push(Reference {
                layer,
                call,
                tensor,
                shape,
            });
            Ok(())
        }
        Json::Object(object) => object.values().try_for_each(|item| collect_tensors(item, found)),
        _ => Ok(()),
    }
}

/// How many `__keras_tensor__` an argument holds, as [`collect_tensors`] finds them.
fn tensors_in(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(tensors_in).sum(),
        Value::Object(object) if object.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__") => 1,
        Value::Object(object) => object.values().map(tensors_in).sum(),
        _ => 0,
    }
}

/// Where a call passes a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument<'a> {
    Position(usize),
    Name(&'a str),
}

/// Where each of `count` tensors of a call is passed. Keras 2 lists nothing but inputs, which are one argument.
pub(crate) fn argument_places(arguments: Option<&Value>, count: usize) -> Vec<Argument<'_>> {
    let mut places = Vec::with_capacity(count);
    if let Some(Value::Object(call)) = arguments {
        let placed = call.get("args").and_then(Value::as_array).into_iter().flatten();
        for (position, value) in placed.enumerate() {
            places.extend(std::iter::repeat_n(Argument::Position(position), tensors_in(value)));
        }
        for (name, value) in call.get("kwargs").and_then(Value::as_object).into_iter().flatten() {
            places.extend(std::iter::repeat_n(Argument::Name(name), tensors_in(value)));
        }
    }
    places.resize(count, Argument::Position(0));
    places
}

/// `["dense", 0, 0]`, in Keras 2 also with a fourth element.
fn reference<'a>(value: &Json<'a>) -> Option<(Cow<'a, str>, usize, usize)> {
    let items = value.as_array()?;
    if !(3..=4).contains(&items.len()) {
        return None;
    }
    let index = |value: &Json<'_>| value.as_u64().and_then(|index| usize::try_from(index).ok());
    Some((items[0].to_text()?, index(&items[1])?, index(&items[2])?))
}

/// Every `[layer, call, output]` in nested lists or objects.
fn collect_ends<'a>(value: &Json<'a>, found: &mut Vec<(Cow<'a, str>, usize, usize)>) -> Result<(), String> {
    if let Some(end) = reference(value) {
        found.push(end);
        return Ok(());
    }
    match value {
        Json::Array(items) => items.iter().try_for_each(|item| collect_ends(item, found)),
        Json::Object(object) => object.values().try_for_each(|item| collect_ends(item, found)),
        Json::Null => Ok(()),
        other => Err(format!(
            "must hold [layer, call, output] entries, found {}",
            shown(other)
        )),
    }
}

/// The shapes that readers state for the outputs of layers that have no rule of their own, or not for every output.
fn state_outputs(entries: &mut [Entry<'_>], places: &BTreeMap<String, usize>) {
    let mut stated: BTreeMap<(usize, usize), Shape> = BTreeMap::new();
    for reference in entries
        .iter()
        .flat_map(|entry| &entry.calls)
        .flat_map(|call| &call.reads)
    {
        if let Some(shape) = &reference.shape
            && let Some(&place) = places.get(reference.layer.as_ref())
            && entries[place]
                .layer()
                .is_some_and(|layer| layer.spec().may_be_unknown())
        {
            stated.insert((place, reference.tensor), shape.clone());
        }
    }
    for ((place, tensor), shape) in stated {
        let outputs = match entries[place].named.as_mut().map(|named| &mut named.layer) {
            Some(Layer::Operation(operation)) => &mut operation.outputs,
            Some(Layer::Unknown(layer)) => &mut layer.outputs,
            Some(Layer::Lambda(layer)) => &mut layer.outputs,
            _ => continue,
        };
        // An index far beyond the outputs of any layer is left to the check of the references.
        if tensor < MAX_OUTPUTS {
            if outputs.len() <= tensor {
                outputs.resize(tensor + 1, None);
            }
            outputs[tensor] = Some(shape);
        }
    }
}

/// Outputs that a layer without a rule is believed to have.
const MAX_OUTPUTS: usize = 4096;

/// The nodes of a model, and where the calls of each layer of the configuration are among them.
struct Resolved {
    nodes: Vec<Node>,
    /// Number of the first call of each layer when all calls are counted in the order of the configuration.
    first: Vec<usize>,
    /// The node of each call in that order.
    node_of: Vec<usize>,
}

impl Resolved {
    fn node(&self, place: usize, call: usize) -> Option<usize> {
        let number = self.first[place].checked_add(call)?;
        (number < self.first[place + 1]).then(|| self.node_of[number])
    }
}

/// Makes the nodes, each after everything that it reads (Kahn's algorithm; ties in the order of the configuration).
fn resolve(name: &str, mut entries: Vec<Entry<'_>>, places: &BTreeMap<String, usize>) -> Result<Resolved> {
    let fail = |problem: String| Error::Graph {
        model: name.to_owned(),
        problem,
    };
    let mut first = vec![0];
    let mut place_of = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        place_of.extend(std::iter::repeat_n(place, entry.calls.len()));
        first.push(place_of.len());
    }
    let total = place_of.len();
    // What each call waits for, and who waits for it.
    let mut waiting = vec![0usize; total];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); total];
    let mut sources: Vec<Vec<usize>> = Vec::with_capacity(total);
    for (place, entry) in entries.iter().enumerate() {
        for (index, call) in entry.calls.iter().enumerate() {
            let number = first[place] + index;
            let mut reads = Vec::with_capacity(call.reads.len());
            for read in &call.reads {
                let source = *places.get(read.layer.as_ref()).ok_or_else(|| {
                    fail(format!(
                        "'{}' reads '{}', which is no layer of this model",
                        entry.name, read.layer
                    ))
                })?;
                if read.call >= entries[source].calls.len() {
                    let (reader, layer, call) = (&entry.name, &read.layer, read.call);
                    return Err(fail(format!(
                        "'{reader}' reads call {call} of '{layer}', which has {}",
                        entries[source].calls.len()
                    )));
                }
                reads.push(first[source] + read.call);
            }
            let previous = (index > 0).then(|| number - 1);
            for &source in reads.iter().chain(&previous) {
                readers[source].push(number);
                waiting[number] += 1;
            }
            sources.push(reads);
        }
    }
    let mut ready: BTreeSet<usize> = (0..total).filter(|&number| waiting[number] == 0).collect();
    let mut nodes: Vec<Node> = Vec::with_capacity(total);
    let mut node_of = vec![usize::MAX; total];
    while let Some(number) = ready.pop_first() {
        let place = place_of[number];
        let entry = &mut entries[place];
        let index = number - first[place];
        let last = index + 1 == entry.calls.len();
        let named = if last { entry.named.take() } else { entry.named.clone() };
        // Only the last call takes the layer away.
        let Some(named) = named else { continue };
        let (layer, call) = (entry.name.clone(), &mut entry.calls[index]);
        let mut reads: Vec<(usize, usize)> = Vec::with_capacity(call.reads.len());
        for (read, &source) in call.reads.iter().zip(&sources[number]) {
            // Every source has been made: this call was not ready before.
            let from = node_of[source];
            let outputs = nodes[from].output_shapes.len();
            if read.tensor >= outputs {
                return Err(fail(format!(
                    "'{layer}' reads output {} of '{}', which has {outputs}",
                    read.tensor, read.layer
                )));
            }
            reads.push((from, read.tensor));
        }
        let shared = (index > 0).then(|| nodes[node_of[first[place]]].clone());
        let mut node = make_node(&nodes, layer, named, &reads, shared.as_ref(), call.arguments.take())?;
        node.call = index;
        node_of[number] = nodes.len();
        nodes.push(node);
        for &reader in &readers[number] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    if nodes.len() < total {
        let stuck: BTreeSet<usize> = (0..total)
            .filter(|&number| waiting[number] > 0)
            .map(|number| place_of[number])
            .collect();
        let names: Vec<&str> = stuck
            .iter()
            .take(5)
            .map(|&place| entries[place].name.as_str())
            .collect();
        return Err(fail(format!(
            "has a cycle: {} wait for each other's outputs; remove one connection",
            names.join(", ")
        )));
    }
    Ok(Resolved { nodes, first, node_of })
}
