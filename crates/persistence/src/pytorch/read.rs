//! A checkpoint as the weights of a network.

use indexmap::IndexMap;
use nn_theory::ModelSpec;

use super::checkpoint::Checkpoint;
use super::mapping;
use super::rules::Mapping;
use crate::fault::{Fault, Result, quoted};
use crate::json;
use crate::stored::StoredTensor;
use crate::{Format, Model, Source};

/// Reads a checkpoint: the weights by Keras' paths where the file has our description of the network, else the tensors as they are.
///
/// # Errors
/// As [`Checkpoint::read`].
pub(crate) fn read(source: &Source) -> crate::Result<Model> {
    let named = |fault: Fault| fault.in_file(source.path(), "PyTorch checkpoint");
    let checkpoint = Checkpoint::of(source).map_err(named)?;
    let mut model = Model::new(source.path(), Format::Torch);
    model.texts.extend(checkpoint.values);
    match checkpoint.model {
        None => model.weights = checkpoint.tensors,
        Some(text) => {
            let spec = json::check(&text)
                .and_then(|()| ModelSpec::from_keras_json(&text).map_err(|error| error.to_string()))
                .map_err(|reason| named(Fault::new("member 'model.json'", reason)))?;
            model.weights = weights(&spec, &checkpoint.tensors).map_err(named)?;
            model.spec = Some(spec);
        }
    }
    Ok(model)
}

/// The weights of a network, by Keras' paths and in Keras' layouts, from the tensors of a state_dict.
///
/// Tensors are found by the names that [`super::mapping()`] gives them. Where the names are others (`0.weight`, `features.conv1.weight`),
/// they are taken in their order, if kinds and shapes are those of the network, one after the other; prefixes such as `module.` do
/// not matter then.
///
/// # Errors
/// [`crate::Error::Malformed`] with the tensor that does not fit.
pub fn weights_for(
    path: &std::path::Path,
    spec: &ModelSpec,
    state: &IndexMap<String, StoredTensor>,
) -> crate::Result<IndexMap<String, StoredTensor>> {
    weights(spec, state).map_err(|fault| fault.in_file(path, "PyTorch checkpoint"))
}

fn weights(spec: &ModelSpec, state: &IndexMap<String, StoredTensor>) -> Result<IndexMap<String, StoredTensor>> {
    let mapping = mapping::of(spec)?;
    if mapping.tensors().keys().all(|name| state.contains_key(*name)) {
        check_rest(&mapping, state)?;
        return mapping.to_keras(state);
    }
    mapping.to_keras(&renamed(&mapping, state)?)
}

/// No tensor is left over.
fn check_rest(mapping: &Mapping, state: &IndexMap<String, StoredTensor>) -> Result<()> {
    let expected = mapping.tensors();
    let is_known = |name: &str| {
        expected.contains_key(name)
            || mapping.constants.iter().any(|constant| constant.tensor == name)
            || is_counter(name)
    };
    match state.keys().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(Fault::new(
            format!("tensor '{}'", quoted(name)),
            "belongs to no weight of the described network",
        )),
    }
}

fn is_counter(name: &str) -> bool {
    kind(name) == "num_batches_tracked"
}

/// The last part of a name, which says what a tensor is to its module; without the number of a layer of a stack (`weight_ih_l1`).
fn kind(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or_default();
    match last.split_once("_l") {
        Some((stem, rest)) if rest.starts_with(|digit: char| digit.is_ascii_digit()) => {
            format!(
                "{stem}_l{}",
                rest.trim_start_matches(|digit: char| digit.is_ascii_digit())
            )
        }
        _ => last.to_string(),
    }
}

/// The tensors under the names of the mapping, taken in their order.
///
/// Tensors that only PyTorch has (ones beside a `bias` that Keras has alone) may stand anywhere between them.
fn renamed(mapping: &Mapping, state: &IndexMap<String, StoredTensor>) -> Result<IndexMap<String, StoredTensor>> {
    let mut expected = mapping.tensors().into_iter().peekable();
    let mut constants = mapping.constants.iter().filter(|constant| constant.is_fixed).peekable();
    let mut renamed = IndexMap::with_capacity(state.len());
    let fits = |name: &str, shape: &[usize], theirs: &str, tensor: &StoredTensor| {
        kind(theirs) == kind(name) && tensor.shape() == shape
    };
    for (theirs, tensor) in state
        .iter()
        .filter(|(name, tensor)| !is_counter(name) && tensor.is_float())
    {
        let ours = expected
            .next_if(|(name, shape)| fits(name, shape, theirs, tensor))
            .map(|(name, _)| name)
            .or_else(|| {
                Some(
                    &*constants
                        .next_if(|constant| fits(&constant.tensor, &constant.shape, theirs, tensor))?
                        .tensor,
                )
            });
        if let Some(name) = ours {
            renamed.insert(name.to_string(), tensor.clone());
            continue;
        }
        let place = format!("tensor '{}' {:?}", quoted(theirs), tensor.shape());
        let reason = match expected.peek() {
            Some((name, shape)) => format!(
                "the next weight of the described network is '{name}' {shape:?}; name the layers of the description after the \
                 modules, or give a description with the same layers in the same order"
            ),
            None => "belongs to no weight of the described network".to_string(),
        };
        return Err(Fault::new(place, reason));
    }
    match expected.next() {
        None => Ok(renamed),
        Some((name, shape)) => Err(Fault::new(
            format!("weight '{name}' {shape:?}"),
            "no tensor is left for it",
        )),
    }
}
