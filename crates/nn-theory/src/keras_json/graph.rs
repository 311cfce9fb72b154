//! Functional models: the calls of the layers, found from what each call reads.

use super::{read, value::ConfigValue, value::shown};
use crate::{
    DTypePolicy, Layer, ModelKind, ModelSpec, NamedLayer, Node, Shape,
    error::{Error, Problem, Result},
    model::make_node,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Output `tensor` of call `call` of a layer, as `keras_history` names it.
struct Reference {
    layer: String,
    call: usize,
    tensor: usize,
    shape: Option<Shape>,
}

/// One call of a layer that waits for its inputs.
struct Call {
    reads: Vec<Reference>,
    arguments: Value,
}

struct Entry {
    name: String,
    named: NamedLayer,
    calls: Vec<Call>,
}

pub(super) fn model(name: String, layers: Vec<Value>, config: &mut Map<String, Value>) -> Result<ModelSpec> {
    let fail = |problem: String| Error::Graph {
        model: name.clone(),
        problem,
    };
    let mut entries: Vec<Entry> = Vec::with_capacity(layers.len());
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (index, mut value) in layers.into_iter().enumerate() {
        let inbound = value
            .as_object_mut()
            .and_then(|object| object.shift_remove("inbound_nodes"));
        let (mut named, _) = read::layer(value, &name, index)?;
        let Some(layer_name) = named.name.take() else {
            return Err(Problem::key("name", "is missing").at(&format!("layer {index} of {name}"), named.layer.class()));
        };
        let calls = calls(inbound, &named.layer).map_err(|problem| problem.at(&layer_name, named.layer.class()))?;
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
            named,
            calls,
        });
    }
    state_operations(&mut entries, &places);
    let (nodes, index_of) = resolve(&name, entries, &places)?;

    let ends = |config: &mut Map<String, Value>, key: &str| -> Result<(Vec<(usize, usize)>, Value)> {
        let value = config
            .shift_remove(key)
            .ok_or_else(|| Problem::key(key, "is missing").at(&name, "Functional"))?;
        let mut found = Vec::new();
        collect_ends(&value, &mut found).map_err(|problem| Problem::key(key, problem).at(&name, "Functional"))?;
        let mut ends = Vec::with_capacity(found.len());
        for (layer, call, tensor) in found {
            let node = index_of.get(&(layer.clone(), call)).copied();
            let node = node.filter(|&node: &usize| tensor < nodes[node].output_shapes.len());
            let node = node.ok_or_else(|| {
                fail(format!(
                    "names ['{layer}', {call}, {tensor}] in '{key}', which does not exist"
                ))
            })?;
            ends.push((node, tensor));
        }
        Ok((ends, value))
    };
    let (inputs, input_structure) = ends(config, "input_layers")?;
    let (outputs, output_structure) = ends(config, "output_layers")?;
    if outputs.is_empty() || inputs.is_empty() {
        return Err(fail(
            "has no input or no output; fill 'input_layers' and 'output_layers'".to_owned(),
        ));
    }
    // Keras lists the layers in the order of the configuration, each with its first call.
    let mut rows: Vec<usize> = (0..nodes.len()).filter(|&node| nodes[node].call == 0).collect();
    rows.sort_by_key(|&node| places[&nodes[node].name]);
    ModelSpec {
        name,
        kind: ModelKind::Functional,
        trainable: true,
        dtype: DTypePolicy::default(),
        nodes,
        rows,
        inputs: inputs.into_iter().map(|end| end.0).collect(),
        output_tensors: outputs.iter().map(|end| end.1).collect(),
        outputs: outputs.into_iter().map(|end| end.0).collect(),
        structure: Some((input_structure, output_structure)),
        extra: Map::new(),
    }
    .checked()
}

/// The calls in `inbound_nodes`, in Keras 3's form (`args`, `kwargs`) or Keras 2's (lists of `[layer, node, tensor, {}]`).
fn calls(inbound: Option<Value>, layer: &Layer) -> Result<Vec<Call>, Problem> {
    let wrong = |found: &Value| {
        Problem::key(
            "inbound_nodes",
            format!("must be a list of calls, found {}", shown(found)),
        )
    };
    let items = match inbound {
        None => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong(&other)),
    };
    if items.is_empty() && matches!(layer, Layer::InputLayer(_)) {
        return Ok(vec![Call {
            reads: Vec::new(),
            arguments: Value::Null,
        }]);
    }
    let mut calls = Vec::with_capacity(items.len());
    for item in items {
        let mut reads = Vec::new();
        match &item {
            Value::Object(call) => {
                for key in ["args", "kwargs"] {
                    if let Some(value) = call.get(key) {
                        collect_tensors(value, &mut reads).map_err(|problem| Problem::key("inbound_nodes", problem))?;
                    }
                }
            }
            Value::Array(_) => {
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
        calls.push(Call { reads, arguments: item });
    }
    Ok(calls)
}

/// Every `__keras_tensor__` in the arguments of a call, in order. JSON is at most 128 levels deep, so recursion is safe.
fn collect_tensors(value: &Value, found: &mut Vec<Reference>) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| collect_tensors(item, found)),
        Value::Object(object) if object.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__") => {
            let config = object
                .get("config")
                .and_then(Value::as_object)
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
            let shape = config.get("shape").and_then(|shape| Shape::read(shape).ok());
            found.push(Reference {
                layer,
                call,
                tensor,
                shape,
            });
            Ok(())
        }
        Value::Object(object) => object.values().try_for_each(|item| collect_tensors(item, found)),
        _ => Ok(()),
    }
}

/// `["dense", 0, 0]`, in Keras 2 also with a fourth element.
fn reference(value: &Value) -> Option<(String, usize, usize)> {
    let items = value.as_array()?;
    if !(3..=4).contains(&items.len()) {
        return None;
    }
    let index = |value: &Value| value.as_u64().and_then(|index| usize::try_from(index).ok());
    Some((items[0].as_str()?.to_owned(), index(&items[1])?, index(&items[2])?))
}

/// Every `[layer, call, output]` in nested lists or objects.
fn collect_ends(value: &Value, found: &mut Vec<(String, usize, usize)>) -> Result<(), String> {
    if let Some(end) = reference(value) {
        found.push(end);
        return Ok(());
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| collect_ends(item, found)),
        Value::Object(object) => object.values().try_for_each(|item| collect_ends(item, found)),
        Value::Null => Ok(()),
        other => Err(format!(
            "must hold [layer, call, output] entries, found {}",
            shown(other)
        )),
    }
}

/// Operations have no rule for their shape here; the tensors that others read from them state it.
fn state_operations(entries: &mut [Entry], places: &BTreeMap<String, usize>) {
    let mut stated: Vec<(usize, usize, Shape)> = Vec::new();
    for reference in entries
        .iter()
        .flat_map(|entry| &entry.calls)
        .flat_map(|call| &call.reads)
    {
        if let (Some(&place), Some(shape)) = (places.get(&reference.layer), &reference.shape)
            && matches!(entries[place].named.layer, Layer::Operation(_))
        {
            stated.push((place, reference.tensor, shape.clone()));
        }
    }
    stated.sort();
    stated.dedup();
    for (place, tensor, shape) in stated {
        if let Layer::Operation(operation) = &mut entries[place].named.layer {
            // An operation has few outputs; an index beyond them is left to the check of the references.
            if tensor == operation.outputs.len() {
                operation.outputs.push(shape);
            }
        }
    }
}

type Resolved = (Vec<Node>, BTreeMap<(String, usize), usize>);

/// Makes the nodes, each after everything that it reads (Kahn's algorithm; ties in the order of the configuration).
fn resolve(name: &str, entries: Vec<Entry>, places: &BTreeMap<String, usize>) -> Result<Resolved> {
    let fail = |problem: String| Error::Graph {
        model: name.to_owned(),
        problem,
    };
    let mut waiting: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut readers: BTreeMap<(usize, usize), Vec<(usize, usize)>> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        for (index, call) in entry.calls.iter().enumerate() {
            let mut count = 0;
            for read in &call.reads {
                let unknown = || {
                    fail(format!(
                        "'{}' reads '{}', which is no layer of this model",
                        entry.name, read.layer
                    ))
                };
                let source = *places.get(&read.layer).ok_or_else(unknown)?;
                if read.call >= entries[source].calls.len() {
                    let (reader, layer, call) = (&entry.name, &read.layer, read.call);
                    return Err(fail(format!(
                        "'{reader}' reads call {call} of '{layer}', which has {}",
                        entries[source].calls.len()
                    )));
                }
                readers.entry((source, read.call)).or_default().push((place, index));
                count += 1;
            }
            if index > 0 {
                readers.entry((place, index - 1)).or_default().push((place, index));
                count += 1;
            }
            waiting.insert((place, index), count);
        }
    }
    let mut ready: BTreeSet<(usize, usize)> = waiting
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(key, _)| *key)
        .collect();
    let total = waiting.len();
    let mut nodes: Vec<Node> = Vec::with_capacity(total);
    let mut index_of: BTreeMap<(String, usize), usize> = BTreeMap::new();
    let mut first_call: BTreeMap<usize, usize> = BTreeMap::new();
    while let Some(key) = ready.pop_first() {
        let (place, index) = key;
        let entry = &entries[place];
        let call = &entry.calls[index];
        // Every source has been made: this call was not ready before.
        let reads: Vec<(usize, usize)> = call
            .reads
            .iter()
            .filter_map(|read| Some((*index_of.get(&(read.layer.clone(), read.call))?, read.tensor)))
            .collect();
        for (read, &(from, tensor)) in call.reads.iter().zip(&reads) {
            let outputs = nodes[from].output_shapes.len();
            if tensor >= outputs {
                return Err(fail(format!(
                    "'{}' reads output {tensor} of '{}', which has {outputs}",
                    entry.name, read.layer
                )));
            }
        }
        let first = first_call.get(&place).map(|&node| nodes[node].clone());
        let mut node = make_node(&nodes, entry.name.clone(), entry.named.clone(), &reads, first.as_ref())?;
        node.call = index;
        node.arguments = Some(call.arguments.clone()).filter(|arguments| !arguments.is_null());
        first_call.entry(place).or_insert(nodes.len());
        index_of.insert((entry.name.clone(), index), nodes.len());
        nodes.push(node);
        for reader in readers.get(&key).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(reader) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(*reader);
                }
            }
        }
    }
    if nodes.len() < total {
        let stuck: BTreeSet<usize> = waiting
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(key, _)| key.0)
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
    Ok((nodes, index_of))
}
