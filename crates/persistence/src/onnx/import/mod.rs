//! An ONNX model as a description of Keras layers with their weights.
//!
//! A graph of this program comes back as it was described. Of others, tensors keep the file's layouts: images are `channels_first`. What
//! has no layer of the same meaning is refused by node and attribute, never read as something similar.

mod activations;
mod builder;
mod convolutions;
mod dense;
mod merging;
mod own;
mod proto;
mod recurrent;
mod shapes;
mod tensor;

use builder::Builder;
use own::Own;
use proto::{GraphProto, ModelProto};
use tensor::Constants;

use crate::fault::Result;
use crate::{Format, Model, Source};

/// Sets of operators that are understood; what changed between them is looked at by each operator.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

/// Reads an ONNX model; numbers stay in the file, or in the files beside it, until somebody asks for them.
///
/// # Errors
/// [`crate::Error::Malformed`] with the node or constant and its byte.
pub(crate) fn read(source: &Source) -> crate::Result<Model> {
    of(source).map_err(|fault| fault.in_file(source.path(), "ONNX model"))
}

fn of(source: &Source) -> Result<Model> {
    let proto = ModelProto::read(source)?;
    if !OPSETS.contains(&proto.opset) {
        let reason = format!("opset {}; {} to {} are read", proto.opset, OPSETS.start(), OPSETS.end());
        return Err(crate::fault::Fault::new("the version of the operators", reason));
    }
    let graph = GraphProto::read(proto.graph, source.limits().items)?;
    let mut constants = Constants::new(source);
    let mut initializers = Vec::with_capacity(graph.initializers.len());
    for &message in &graph.initializers {
        initializers.push(constants.read(message)?);
    }
    let mut model = Model::new(source.path(), Format::Onnx);
    model.texts.insert("opset".to_string(), proto.opset.to_string());
    match Own::of(&proto, &initializers)? {
        Own::Network(spec, weights) => {
            (model.spec, model.weights) = (Some(*spec), weights);
            return Ok(model);
        }
        Own::Stale => model.notes.push(
            "the graph is not the one that the description beside it was written as; its operators were read instead"
                .to_string(),
        ),
        Own::None => {}
    }
    let (spec, weights) = Builder::new(&graph, proto.opset, initializers, &mut constants)?.build(&graph)?;
    model.spec = Some(spec);
    model.weights = weights;
    Ok(model)
}
