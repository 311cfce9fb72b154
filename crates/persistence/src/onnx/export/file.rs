//! The file around a graph. The numbers of the weights go from their source to the file one by one.

use std::io::{self, Write};

use nn_theory::ModelSpec;
use safetensors::Dtype;

use super::graph::{Attributes, Graph, Value, data_type};
use super::{OPSET, sizes};
use crate::fault::{Fault, Result};
use crate::onnx::description::{Arrangements, MODEL, SHA256, WEIGHTS, checksum};
use crate::onnx::protobuf::{Message, Writer};
use crate::stored::StoredTensor;
use crate::{Error, Format, Model};

/// The version of the format that opset 18 came with.
const IR_VERSION: i64 = 8;

/// A protocol buffer cannot be longer than this.
const LARGEST: u64 = i32::MAX as u64;

/// Writes a network as an ONNX model.
///
/// # Errors
/// [`Error::NoDescription`] without a network, [`Error::NotWritten`] for a layer without a counterpart and for more than 2 GiB.
pub(crate) fn write(
    model: &Model,
    to: &mut (impl Write + Send),
    failed: &dyn Fn(io::Error) -> Error,
) -> crate::Result<()> {
    let spec = model.described()?;
    let not_written = |fault: Fault| Error::NotWritten {
        path: model.path.clone(),
        format: Format::Onnx,
        what: fault.place,
        reason: fault.reason,
    };
    let exported = Exported::of(model, spec).map_err(not_written)?;
    let mut tensors = Vec::with_capacity(exported.initializers.len());
    let mut length = exported.nodes.0.len() as u64;
    for (name, tensor) in &exported.initializers {
        let header = header(name, tensor).map_err(not_written)?;
        // Field 5 of the graph: the header, then the numbers as the last field of the message.
        let whole = header.0.len() + tensor.byte_len();
        let mut field = Writer::new();
        field.length(5, whole);
        length = length.saturating_add(field.0.len() as u64).saturating_add(whole as u64);
        tensors.push((field, header, tensor));
    }
    let model_text = spec.to_keras_json();
    let weights_text = serde_json::to_string(&exported.arrangements).unwrap_or_default();
    let named = exported
        .initializers
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor));
    let sum = checksum(
        Message::new(&exported.nodes.0),
        named,
        &exported.arrangements,
        &model_text,
    )
    .map_err(not_written)?;
    let entries = [(MODEL, &model_text), (WEIGHTS, &weights_text), (SHA256, &sum)];
    let tail = entries.iter().fold(Writer::new(), |tail, (key, text)| {
        tail.message(14, &Writer::new().text(1, key).text(2, text))
    });
    if length.saturating_add(tail.0.len() as u64) > LARGEST {
        return Err(not_written(Fault::new(
            "a network of more than 2 GiB",
            "is more than one ONNX file holds; save it in half the precision (f16 or bf16)",
        )));
    }
    let opset = Writer::new().int(2, OPSET);
    let mut head = Writer::new()
        .int(1, IR_VERSION)
        .text(2, "candle-lab")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(8, &opset);
    head.length(7, length as usize);
    to.write_all(&head.0).map_err(failed)?;
    to.write_all(&exported.nodes.0).map_err(failed)?;
    for (field, header, tensor) in tensors {
        to.write_all(&field.0).map_err(failed)?;
        to.write_all(&header.0).map_err(failed)?;
        tensor.lend_pieces(|piece| to.write_all(piece))?.map_err(failed)?;
        tensor.release();
    }
    to.write_all(&tail.0).map_err(failed)
}

/// A `TensorProto` up to its numbers.
fn header(name: &str, tensor: &StoredTensor) -> Result<Writer> {
    let kind = data_type(tensor.dtype()).ok_or_else(|| {
        Fault::new(
            format!("tensor '{name}'"),
            format!("ONNX has no number format {}", tensor.dtype()),
        )
    })?;
    let header = tensor
        .shape()
        .iter()
        .fold(Writer::new(), |header, &size| header.int(1, size as i64));
    let mut header = header.int(2, kind).text(8, name);
    header.length(9, tensor.byte_len());
    Ok(header)
}

/// Nodes, name, inputs and outputs of the graph, and its constants.
struct Exported {
    nodes: Writer,
    initializers: indexmap::IndexMap<String, StoredTensor>,
    /// Where each weight is among the constants.
    arrangements: Arrangements,
}

impl Exported {
    fn of(model: &Model, spec: &ModelSpec) -> Result<Self> {
        let is_long = model.weights.values().any(|tensor| tensor.dtype() == Dtype::F64);
        let mut graph = Graph::new(&model.weights, if is_long { Dtype::F64 } else { Dtype::F32 });
        let kind = graph.element_type();
        let mut described = Writer::new().text(2, spec.name());
        let mut inputs = Vec::new();
        for &index in spec.inputs() {
            let node = &spec.nodes()[index];
            let name = graph.reserve(&node.name);
            let shape = sizes(&node.output_shape);
            described = described.message(11, &value_info(&name, kind, &shape));
            inputs.push(Value {
                name,
                shape,
                mask: None,
            });
        }
        let outputs = graph.model(spec, "", inputs)?;
        for (output, &index) in outputs.iter().zip(spec.outputs()) {
            // An output needs a name of its own: it may be an input, or the output of two layers at once.
            let name = graph.reserve(&spec.nodes()[index].name);
            graph.node(
                "Identity",
                &[&output.name],
                std::slice::from_ref(&name),
                Attributes::new(),
            );
            described = described.message(12, &value_info(&name, kind, &output.shape));
        }
        graph.keep_the_rest();
        let mut nodes = graph.take_nodes();
        nodes.0.extend(described.0);
        Ok(Exported {
            nodes,
            initializers: graph.initializers,
            arrangements: graph.arrangements,
        })
    }
}

/// Name, number format and shape of an input or output; free sizes have names.
fn value_info(name: &str, kind: i64, shape: &[Option<usize>]) -> Writer {
    let mut sizes = Writer::new();
    for (axis, size) in shape.iter().enumerate() {
        let dimension = match size {
            Some(size) => Writer::new().int(1, *size as i64),
            None if axis == 0 => Writer::new().text(2, "batch"),
            None => Writer::new().text(2, &format!("{name}_{axis}")),
        };
        sizes = sizes.message(1, &dimension);
    }
    let tensor = Writer::new().int(1, kind).message(2, &sizes);
    Writer::new()
        .text(1, name)
        .message(2, &Writer::new().message(1, &tensor))
}
