//! Graphs of this program, read as the network that they were written from.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use nn_theory::ModelSpec;

use super::convolutions::arranged;
use super::proto::ModelProto;
use crate::fault::Result;
use crate::json;
use crate::layout::inverse;
use crate::onnx::description::{Arrangement, Arrangements, MODEL, SHA256, WEIGHTS, checksum};
use crate::stored::StoredTensor;

/// The description beside a graph.
pub(super) enum Own {
    /// There is none.
    None,
    /// The graph is the one that was written from it.
    Network(Box<ModelSpec>, IndexMap<String, StoredTensor>),
    /// The graph is another one now, or the description makes no sense.
    Stale,
}

impl Own {
    pub(super) fn of<'a>(proto: &ModelProto<'a>, constants: &[(&'a str, StoredTensor)]) -> Result<Self> {
        let text = |key: &str| proto.properties.get(key).copied();
        let (Some(model), Some(weights), Some(sum)) = (text(MODEL), text(WEIGHTS), text(SHA256)) else {
            return Ok(Own::None);
        };
        if [model, weights].into_iter().any(|text| json::check(text).is_err()) {
            return Ok(Own::Stale);
        }
        let Ok(arrangements) = serde_json::from_str::<Arrangements>(weights) else {
            return Ok(Own::Stale);
        };
        let named = constants.iter().map(|(name, tensor)| (*name, tensor));
        if checksum(proto.graph, named, &arrangements, model)? != sum {
            return Ok(Own::Stale);
        }
        let network = ModelSpec::from_keras_json(model)
            .ok()
            .and_then(|spec| Some((weights_of(&spec, &arrangements, constants)?, spec)));
        Ok(network.map_or(Own::Stale, |(weights, spec)| Own::Network(Box::new(spec), weights)))
    }
}

/// The weights of a network in its order; `None` where one is missing.
fn weights_of(
    spec: &ModelSpec,
    arrangements: &Arrangements,
    constants: &[(&str, StoredTensor)],
) -> Option<IndexMap<String, StoredTensor>> {
    let constants: BTreeMap<&str, &StoredTensor> = constants.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let weights = spec.weights().into_iter();
    weights
        .map(|weight| {
            let arrangement = arrangements.get(&weight.path)?;
            let tensor = constants.get(arrangement.tensor.as_str())?;
            let shape: Option<Vec<usize>> = weight.shape.iter().map(|&size| usize::try_from(size).ok()).collect();
            Some((weight.path, restored(tensor, arrangement, &shape?)?))
        })
        .collect()
}

/// A weight of this shape from its constant; `None` where they do not fit.
fn restored(tensor: &StoredTensor, arrangement: &Arrangement, shape: &[usize]) -> Option<StoredTensor> {
    let Arrangement { view, axes, .. } = arrangement;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    let count = |sizes: &[usize]| sizes.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    let fits = sorted.iter().copied().eq(0..view.len())
        && count(view) == Some(tensor.len())
        && count(shape) == Some(tensor.len());
    let turned: Vec<usize> = fits.then(|| axes.iter().map(|&axis| view[axis]).collect())?;
    Some(arranged(tensor.clone(), &turned, &inverse(axes), shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::Dtype;

    fn numbers(shape: &[usize]) -> StoredTensor {
        let count: usize = shape.iter().product();
        StoredTensor::in_memory(Dtype::U8, shape.to_vec(), (0..count as u8).collect()).unwrap()
    }

    #[test]
    fn a_weight_comes_back_from_its_arrangement() {
        let weight = numbers(&[2, 3, 4]);
        let arrangement = Arrangement {
            tensor: "w".to_string(),
            view: vec![6, 4],
            axes: vec![1, 0],
        };
        let written = arranged(weight.clone(), &[6, 4], &[1, 0], &[4, 2, 3]);
        let back = restored(&written, &arrangement, &[2, 3, 4]).unwrap();
        assert_eq!(back.shape(), [2, 3, 4]);
        assert_eq!(back.bytes().unwrap(), weight.bytes().unwrap());
    }

    #[test]
    fn arrangements_that_do_not_fit_are_none() {
        let tensor = numbers(&[4, 6]);
        for (view, axes, shape) in [
            (vec![6, 4], vec![1, 1], vec![24]),
            (vec![6, 4], vec![0], vec![24]),
            (vec![6, 4], vec![0, 2], vec![24]),
            (vec![6, 5], vec![1, 0], vec![24]),
            (vec![6, 4], vec![1, 0], vec![25]),
            (vec![usize::MAX, 2], vec![1, 0], vec![24]),
        ] {
            let arrangement = Arrangement {
                tensor: "w".to_string(),
                view,
                axes,
            };
            assert!(
                restored(&tensor, &arrangement, &shape).is_none(),
                "{arrangement:?} {shape:?}"
            );
        }
    }
}
