//! What a plot shows: a box a layer, a frame a nested model, and the edges between boxes, as `keras.utils.model_to_dot`
//! chooses them.

use super::PlotOptions;
use crate::{Layer, ModelKind, ModelSpec, Node, Shape, summary::shown_in};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A box: a layer or a nested model that is not opened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label {
    /// Name of the layer, if names are shown.
    pub(super) name: Option<String>,
    pub(super) class: String,
    pub(super) activation: Option<String>,
    /// The cells of the last row, as name and value: `("Input shape", "(None, 4)")`.
    pub(super) cells: Vec<(&'static str, String)>,
    /// Whether the weights are trained; `None` without weights, or when that is not shown.
    pub(super) trainable: Option<bool>,
    /// Number of columns that a title spans.
    pub(super) columns: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// A box with its number.
    Box(usize, Label),
    /// An opened model with the range of numbers of its boxes.
    Frame(Graph),
}

/// A model with the boxes and frames in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Graph {
    pub(super) name: String,
    pub(super) items: Vec<Item>,
    /// Pairs of numbers of boxes, each pair once.
    pub(super) edges: Vec<(usize, usize)>,
    /// The numbers of all boxes inside.
    pub(super) numbers: std::ops::Range<usize>,
    /// The boxes that inputs of the model lead to, and those that make its outputs.
    entries: Vec<usize>,
    exits: Vec<usize>,
}

/// Where the tensors of a node come from and go to.
struct Ends {
    entries: Vec<usize>,
    exits: Vec<usize>,
}

impl Ends {
    fn entry(&self, input: usize) -> Option<usize> {
        self.entries.get(input).or(self.entries.last()).copied()
    }

    fn exit(&self, output: usize) -> Option<usize> {
        self.exits.get(output).or(self.exits.last()).copied()
    }
}

impl Graph {
    /// The graph of a model whose boxes are numbered from `first`.
    pub(super) fn of(model: &ModelSpec, name: &str, options: &PlotOptions, first: usize) -> Self {
        let dtypes = dtypes(model);
        let mut items = Vec::new();
        let mut ends: BTreeMap<&str, Ends> = BTreeMap::new();
        let mut next = first;
        for &place in &model.rows {
            let node = &model.nodes[place];
            if !shown_in(model, node) {
                continue;
            }
            let opened = match &node.layer {
                Layer::Model(nested)
                    if options.expand_nested && nested.model.layers().any(|n| shown_in(&nested.model, n)) =>
                {
                    Some(Graph::of(&nested.model, &node.name, options, next))
                }
                _ => None,
            };
            match opened {
                Some(graph) => {
                    next = graph.numbers.end;
                    let (entries, exits) = (graph.entries.clone(), graph.exits.clone());
                    ends.insert(&node.name, Ends { entries, exits });
                    items.push(Item::Frame(graph));
                }
                None => {
                    let (entries, exits) = (vec![next], vec![next]);
                    ends.insert(&node.name, Ends { entries, exits });
                    items.push(Item::Box(next, label(node, &dtypes[place], options)));
                    next += 1;
                }
            }
        }
        let mut edges = Vec::new();
        let mut drawn = BTreeSet::new();
        for node in &model.nodes {
            for (input, (&from, &output)) in node.inputs.iter().zip(&node.input_tensors).enumerate() {
                let source = ends
                    .get(model.nodes[from].name.as_str())
                    .and_then(|ends| ends.exit(output));
                let target = ends.get(node.name.as_str()).and_then(|ends| ends.entry(input));
                // The input layer of a Sequential model has no box.
                if let (Some(source), Some(target)) = (source, target)
                    && drawn.insert((source, target))
                {
                    edges.push((source, target));
                }
            }
        }
        let entries = match model.kind {
            ModelKind::Functional => {
                let inputs = model.inputs.iter().map(|&node| model.nodes[node].name.as_str());
                inputs.filter_map(|name| ends.get(name)?.entry(0)).collect()
            }
            ModelKind::Sequential => {
                let mut layers = model.layers().filter(|node| shown_in(model, node));
                let first = layers.next().and_then(|node| ends.get(node.name.as_str()));
                first.map_or(Vec::new(), |ends| ends.entries.clone())
            }
        };
        let outputs = model.outputs.iter().zip(&model.output_tensors);
        let exits = outputs
            .filter_map(|(&node, &tensor)| ends.get(model.nodes[node].name.as_str())?.exit(tensor))
            .collect();
        Self {
            name: name.to_owned(),
            items,
            edges,
            numbers: first..next,
            entries,
            exits,
        }
    }

    /// The item that holds a box.
    pub(super) fn item_of(&self, number: usize) -> Option<usize> {
        let end = |item: &Item| match item {
            Item::Box(number, _) => number + 1,
            Item::Frame(graph) => graph.numbers.end,
        };
        let place = self.items.partition_point(|item| end(item) <= number);
        (self.numbers.contains(&number) && place < self.items.len()).then_some(place)
    }
}

fn label(node: &Node, dtype: &str, options: &PlotOptions) -> Label {
    let is_input = matches!(node.layer, Layer::InputLayer(_));
    let mut cells = Vec::new();
    if options.show_shapes {
        if !is_input {
            cells.push(("Input shape", input_shape(node)));
        }
        cells.push(("Output shape", output_shape(node)));
    }
    if options.show_dtype {
        let several = node.output_shapes.len() > 1;
        let list = || vec![format!("'{dtype}'"); node.output_shapes.len()].join(", ");
        cells.push((
            "Output dtype",
            if several {
                format!("[{}]", list())
            } else {
                dtype.to_owned()
            },
        ));
    }
    let trainable = (options.show_trainable && has_weights(node)).then_some(node.trainable);
    let asked =
        usize::from(options.show_dtype) + usize::from(options.show_trainable) + 2 * usize::from(options.show_shapes);
    Label {
        name: options.show_layer_names.then(|| node.name.clone()),
        class: node.layer.printed_class().to_owned(),
        activation: options.show_layer_activations.then(|| activation(node)).flatten(),
        cells,
        trainable,
        columns: asked.max(1),
    }
}

fn has_weights(node: &Node) -> bool {
    !node.declared.is_empty()
}

/// The name of the function that the layer applies, if Keras' layer has such an attribute.
fn activation(node: &Node) -> Option<String> {
    if matches!(node.layer, Layer::Model(_) | Layer::Operation(_) | Layer::InputLayer(_)) {
        return None;
    }
    match node.config().get("activation")? {
        Value::String(name) => Some(name.clone()),
        Value::Object(object) => ["config", "class_name"]
            .iter()
            .find_map(|key| object.get(*key).and_then(Value::as_str))
            .map(str::to_owned),
        _ => None,
    }
}

/// Shapes as Python prints tuples, several ones in a list.
fn tuples(shapes: &[Shape]) -> String {
    match shapes {
        [] => "?".to_owned(),
        [shape] => shape.to_string(),
        shapes => format!(
            "[{}]",
            shapes.iter().map(Shape::to_string).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// A nested model shows its inputs as they are nested in its configuration.
fn input_shape(node: &Node) -> String {
    structured(node, true).unwrap_or_else(|| tuples(&node.input_shapes))
}

fn output_shape(node: &Node) -> String {
    structured(node, false).unwrap_or_else(|| tuples(&node.output_shapes))
}

fn structured(node: &Node, inputs: bool) -> Option<String> {
    let Layer::Model(nested) = &node.layer else { return None };
    let model = &nested.model;
    let (of_inputs, of_outputs) = model.structure.as_ref()?;
    let (structure, shapes) = if inputs {
        let shapes = model.inputs.iter().map(|&node| model.nodes[node].output_shape.clone());
        (of_inputs, shapes.collect())
    } else {
        (of_outputs, model.output_shapes())
    };
    let mut shapes = shapes.into_iter();
    let text = nested_tuples(structure, &mut shapes)?;
    Some(text.replace(['{', '}'], ""))
}

fn nested_tuples(structure: &Value, shapes: &mut impl Iterator<Item = Shape>) -> Option<String> {
    match structure {
        Value::Array(items) if items.first().is_some_and(Value::is_string) => Some(shapes.next()?.to_string()),
        Value::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(|item| nested_tuples(item, shapes)).collect();
            Some(format!("[{}]", texts?.join(", ")))
        }
        Value::Object(object) => {
            let of = |(key, item): (&String, &Value)| Some(format!("{key}: {}", nested_tuples(item, shapes)?));
            let texts: Option<Vec<String>> = object.iter().map(of).collect();
            Some(texts?.join(", "))
        }
        _ => None,
    }
}

/// The number format that each node puts out: that of its policy; operations hand on what they read.
fn dtypes(model: &ModelSpec) -> Vec<String> {
    let mut dtypes: Vec<String> = Vec::with_capacity(model.nodes.len());
    for node in &model.nodes {
        let read = node.inputs.first().map(|&from| dtypes[from].clone());
        dtypes.push(match &node.layer {
            Layer::Operation(operation) => match operation.class.as_str() {
                "Equal" | "NotEqual" | "Greater" | "GreaterEqual" | "Less" | "LessEqual" | "LogicalAnd"
                | "LogicalOr" | "LogicalNot" | "LogicalXor" | "Isnan" | "Isinf" | "Isfinite" | "Any" | "All" => {
                    "bool".to_owned()
                }
                "Argmax" | "Argmin" | "Argsort" => "int32".to_owned(),
                "Cast" => operation
                    .config
                    .get("dtype")
                    .and_then(Value::as_str)
                    .map_or_else(|| read.unwrap_or_default(), str::to_owned),
                _ => read.unwrap_or_else(|| "float32".to_owned()),
            },
            Layer::Model(nested) => {
                let inner = self::dtypes(&nested.model);
                let output = nested.model.outputs.first();
                output.map_or_else(|| node.dtype.compute.name().to_owned(), |&output| inner[output].clone())
            }
            _ => node.dtype.compute.name().to_owned(),
        });
    }
    dtypes
}
