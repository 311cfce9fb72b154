//! A graph under construction: nodes, constants, names.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use safetensors::Dtype;

use crate::fault::{Fault, Result};
use crate::layout::{item_bytes, permuted};
use crate::onnx::description::{Arrangement, Arrangements};
use crate::onnx::protobuf::Writer;
use crate::stored::StoredTensor;

/// `TensorProto.DataType`.
pub(in crate::onnx) const BOOL: i64 = 9;
pub(in crate::onnx) const INT64: i64 = 7;
const FLOAT: i64 = 1;
const DOUBLE: i64 = 11;

/// The number of a number format in ONNX.
pub(in crate::onnx) fn data_type(dtype: Dtype) -> Option<i64> {
    Some(match dtype {
        Dtype::F32 => FLOAT,
        Dtype::U8 => 2,
        Dtype::I8 => 3,
        Dtype::U16 => 4,
        Dtype::I16 => 5,
        Dtype::I32 => 6,
        Dtype::I64 => INT64,
        Dtype::BOOL => BOOL,
        Dtype::F16 => 10,
        Dtype::F64 => DOUBLE,
        Dtype::U32 => 12,
        Dtype::U64 => 13,
        Dtype::BF16 => 16,
        _ => return None,
    })
}

/// A tensor of the graph.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) name: String,
    /// Batch first; `None` for sizes that are known when the graph runs.
    pub(super) shape: Vec<Option<usize>>,
    /// The name of a tensor of booleans that says which steps count.
    pub(super) mask: Option<String>,
}

impl Value {
    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }
}

/// The attributes of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(Writer);

impl Attributes {
    pub(super) fn new() -> Self {
        Attributes::default()
    }

    fn with(self, name: &str, kind: i64, value: impl FnOnce(Writer) -> Writer) -> Self {
        let attribute = value(Writer::new().text(1, name)).int(20, kind);
        Attributes(self.0.message(5, &attribute))
    }

    pub(super) fn float(self, name: &str, number: f64) -> Self {
        self.with(name, 1, |attribute| attribute.float(2, number as f32))
    }

    pub(super) fn int(self, name: &str, number: i64) -> Self {
        self.with(name, 2, |attribute| attribute.int(3, number))
    }

    pub(super) fn text(self, name: &str, text: &str) -> Self {
        self.with(name, 3, |attribute| attribute.text(4, text))
    }

    pub(super) fn graph(self, name: &str, graph: &Writer) -> Self {
        self.with(name, 5, |attribute| attribute.message(6, graph))
    }

    pub(super) fn ints(self, name: &str, numbers: &[i64]) -> Self {
        // One number a field, as protobuf 2 (which ONNX is written in) does.
        self.with(name, 7, |attribute| {
            numbers
                .iter()
                .fold(attribute, |attribute, &number| attribute.int(8, number))
        })
    }
}

/// What an exported graph consists of.
pub(super) struct Graph<'a> {
    pub(super) weights: &'a IndexMap<String, StoredTensor>,
    /// The number format of the computation: that of the weights, or float32 where they are shorter.
    pub(super) dtype: Dtype,
    /// The nodes, each as field 1 of a `GraphProto`.
    nodes: Writer,
    pub(super) initializers: IndexMap<String, StoredTensor>,
    /// Where each weight is among them.
    pub(super) arrangements: Arrangements,
    constants: BTreeMap<String, String>,
    taken: BTreeSet<String>,
    counters: BTreeMap<String, usize>,
    /// The layer whose nodes are made.
    pub(super) layer: String,
}

impl<'a> Graph<'a> {
    pub(super) fn new(weights: &'a IndexMap<String, StoredTensor>, dtype: Dtype) -> Self {
        Graph {
            weights,
            dtype,
            nodes: Writer::new(),
            initializers: IndexMap::new(),
            arrangements: Arrangements::new(),
            constants: BTreeMap::new(),
            taken: BTreeSet::new(),
            counters: BTreeMap::new(),
            layer: String::new(),
        }
    }

    /// A name that nothing has yet.
    pub(super) fn fresh(&mut self, stem: &str) -> String {
        let stem = if self.layer.is_empty() {
            stem.to_string()
        } else {
            format!("{}/{stem}", self.layer)
        };
        self.reserve(&stem)
    }

    /// This name, or one like it where it is taken.
    pub(super) fn reserve(&mut self, stem: &str) -> String {
        loop {
            let counter = self.counters.entry(stem.to_string()).or_default();
            let name = if *counter == 0 {
                stem.to_string()
            } else {
                format!("{stem}_{counter}")
            };
            *counter += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }

    /// A node of one output; an empty name is an input that is left out.
    pub(super) fn op(&mut self, kind: &str, inputs: &[&str]) -> String {
        self.op_with(kind, inputs, Attributes::new())
    }

    pub(super) fn op_with(&mut self, kind: &str, inputs: &[&str], attributes: Attributes) -> String {
        self.many(kind, inputs, attributes, 1).swap_remove(0)
    }

    /// A node of several outputs.
    pub(super) fn many(&mut self, kind: &str, inputs: &[&str], attributes: Attributes, count: usize) -> Vec<String> {
        let outputs: Vec<String> = (0..count).map(|_| self.fresh(kind)).collect();
        self.node(kind, inputs, &outputs, attributes);
        outputs
    }

    /// A node whose outputs have these names.
    pub(super) fn node(&mut self, kind: &str, inputs: &[&str], outputs: &[String], attributes: Attributes) {
        let node = inputs.iter().fold(Writer::new(), |node, input| node.text(1, input));
        let node = outputs.iter().fold(node, |node, output| node.text(2, output));
        let mut node = node.text(3, &outputs[0]).text(4, kind);
        node.0.extend(attributes.0.0);
        self.nodes = std::mem::take(&mut self.nodes).message(1, &node);
    }

    /// The nodes that `make` adds, as a graph of their own; constants stay outside, where the inner graph sees them.
    pub(super) fn inner<T>(&mut self, make: impl FnOnce(&mut Self) -> Result<T>) -> Result<(Writer, T)> {
        let outer = std::mem::take(&mut self.nodes);
        let made = make(self);
        let nodes = std::mem::replace(&mut self.nodes, outer);
        Ok((nodes, made?))
    }

    pub(super) fn take_nodes(&mut self) -> Writer {
        std::mem::take(&mut self.nodes)
    }

    fn constant(&mut self, key: String, stem: &str, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> String {
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        let layer = std::mem::take(&mut self.layer);
        let name = self.fresh(stem);
        self.layer = layer;
        if let Some(tensor) = StoredTensor::in_memory(dtype, shape, bytes) {
            self.initializers.insert(name.clone(), tensor);
        }
        self.constants.insert(key, name.clone());
        name
    }

    /// A list of whole numbers: axes, sizes.
    pub(super) fn ints(&mut self, numbers: &[i64]) -> String {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let stem = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let stem = if numbers.len() > 6 {
            format!("ints[{}]", numbers.len())
        } else {
            format!("ints[{stem}]")
        };
        self.constant(format!("{numbers:?}"), &stem, Dtype::I64, vec![numbers.len()], bytes)
    }

    /// One whole number, without an axis.
    pub(super) fn int(&mut self, number: i64) -> String {
        self.constant(
            format!("{number}"),
            &format!("int[{number}]"),
            Dtype::I64,
            vec![],
            number.to_le_bytes().to_vec(),
        )
    }

    /// Booleans.
    pub(super) fn flags(&mut self, flags: &[bool], shape: Vec<usize>) -> String {
        let bytes: Vec<u8> = flags.iter().map(|&flag| u8::from(flag)).collect();
        self.constant(format!("{bytes:?} {shape:?} flags"), "flags", Dtype::BOOL, shape, bytes)
    }

    /// One number in the format of the computation.
    pub(super) fn number(&mut self, number: f64) -> String {
        self.constant(
            format!("f{number:e}"),
            &format!("number[{number}]"),
            self.dtype,
            vec![],
            self.raw(&[number]),
        )
    }

    /// Numbers in the format of the computation.
    pub(super) fn numbers(&mut self, numbers: &[f64], shape: Vec<usize>) -> String {
        self.constant(
            format!("f{numbers:?} {shape:?}"),
            "numbers",
            self.dtype,
            shape,
            self.raw(numbers),
        )
    }

    fn raw(&self, numbers: &[f64]) -> Vec<u8> {
        match self.dtype {
            Dtype::F64 => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
            _ => numbers
                .iter()
                .flat_map(|&number| (number as f32).to_le_bytes())
                .collect(),
        }
    }

    pub(super) fn element_type(&self) -> i64 {
        if self.dtype == Dtype::F64 { DOUBLE } else { FLOAT }
    }

    pub(super) fn has_weight(&self, path: &str) -> bool {
        self.weights.contains_key(path)
    }

    /// The shape of a weight.
    pub(super) fn weight_shape(&self, path: &str) -> Result<Vec<usize>> {
        let weight = self.weights.get(path);
        Ok(weight
            .ok_or_else(|| Fault::new(format!("weight '{path}'"), "is missing"))?
            .shape()
            .to_vec())
    }

    /// A weight as it is.
    pub(super) fn weight(&mut self, path: &str) -> Result<String> {
        let shape = self.weight_shape(path)?;
        let axes: Vec<usize> = (0..shape.len()).collect();
        self.arranged(path, &shape, &axes, &shape)
    }

    /// A weight seen in the shape `view`, with its axes in another order, and then in the shape `shape`.
    pub(super) fn arranged(&mut self, path: &str, view: &[usize], axes: &[usize], shape: &[usize]) -> Result<String> {
        let key = format!("weight {path} {view:?} {axes:?} {shape:?}");
        if let Some(name) = self.constants.get(&key) {
            return Ok(name.clone());
        }
        let Some(weight) = self.weights.get(path).cloned() else {
            return Err(Fault::new(format!("weight '{path}'"), "is missing"));
        };
        let name = self.reserve(path);
        self.arrange(path, &name, view, axes);
        let short = weight.dtype() != self.dtype;
        let dtype = weight.dtype();
        let in_order = axes.iter().copied().eq(0..axes.len());
        let tensor = if in_order && shape == weight.shape() {
            weight
        } else {
            let (view, axes) = (view.to_vec(), axes.to_vec());
            StoredTensor::computed(dtype, shape.to_vec(), move || {
                let item = item_bytes(dtype).unwrap_or(1);
                let turned = permuted(&weight.bytes()?, item, &view, &axes).0;
                weight.release();
                Ok(turned)
            })
        };
        self.initializers.insert(name.clone(), tensor);
        let name = if short {
            // Weights stay short in the file; the computation is in the longer format, as that of `models`.
            self.op_with("Cast", &[&name], Attributes::new().int("to", self.element_type()))
        } else {
            name
        };
        self.constants.insert(key, name.clone());
        Ok(name)
    }

    fn arrange(&mut self, path: &str, name: &str, view: &[usize], axes: &[usize]) {
        self.arrangements
            .entry(path.to_string())
            .or_insert_with(|| Arrangement {
                tensor: name.to_string(),
                view: view.to_vec(),
                axes: axes.to_vec(),
            });
    }

    /// Weights that no node reads, such as those that only training needs, so that the file holds the whole network.
    pub(super) fn keep_the_rest(&mut self) {
        for (path, weight) in self.weights {
            if !self.arrangements.contains_key(path) && data_type(weight.dtype()).is_some() {
                let name = self.reserve(path);
                let axes: Vec<usize> = (0..weight.shape().len()).collect();
                self.arrange(path, &name, weight.shape(), &axes);
                self.initializers.insert(name, weight.clone());
            }
        }
    }

    // ---- what layers are made of ----

    pub(super) fn transposed(&mut self, x: &str, axes: &[usize]) -> String {
        if axes.iter().copied().eq(0..axes.len()) {
            return x.to_string();
        }
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        self.op_with("Transpose", &[x], Attributes::new().ints("perm", &axes))
    }

    /// A new shape; 0 keeps the size of the same axis, -1 is what is left.
    pub(super) fn reshaped(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.ints(shape);
        self.op("Reshape", &[x, &shape])
    }

    pub(super) fn unsqueezed(&mut self, x: &str, axes: &[i64]) -> String {
        let axes = self.ints(axes);
        self.op("Unsqueeze", &[x, &axes])
    }

    pub(super) fn squeezed(&mut self, x: &str, axes: &[i64]) -> String {
        let axes = self.ints(axes);
        self.op("Squeeze", &[x, &axes])
    }

    /// `x[.., start..end, ..]` along one axis.
    pub(super) fn sliced(&mut self, x: &str, axis: i64, start: i64, end: i64) -> String {
        let [start, end, axis] = [start, end, axis].map(|number| self.ints(&[number]));
        self.op("Slice", &[x, &start, &end, &axis])
    }

    /// `ReduceMean` and its like.
    pub(super) fn reduced(&mut self, kind: &str, x: &str, axes: &[i64], keep: bool) -> String {
        let axes = self.ints(axes);
        self.op_with(kind, &[x, &axes], Attributes::new().int("keepdims", keep.into()))
    }

    pub(super) fn cast(&mut self, x: &str, to: i64) -> String {
        self.op_with("Cast", &[x], Attributes::new().int("to", to))
    }

    /// The size of axis `axis` when the graph runs, as a list of one number.
    pub(super) fn size(&mut self, x: &str, axis: usize) -> String {
        let attributes = Attributes::new().int("start", axis as i64).int("end", axis as i64 + 1);
        self.op_with("Shape", &[x], attributes)
    }

    /// Zeros of the shape `(batch of x, sizes..)`.
    pub(super) fn zeros_like_batch(&mut self, x: &str, sizes: &[i64]) -> String {
        let batch = self.size(x, 0);
        let sizes = self.ints(sizes);
        let shape = self.op_with("Concat", &[&batch, &sizes], Attributes::new().int("axis", 0));
        let zero = self.number(0.0);
        self.op("Expand", &[&zero, &shape])
    }
}
