//! The layout of legacy `.h5` files: a group for each layer, which lists its weights by name.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use nn_theory::{ModelSpec, WeightSpec};

use super::hdf5::{H5File, join};
use crate::source::shorten;
use crate::{Error, Model, Result, StoredTensor};

/// Gives `model` the weights of a network from the groups below `root`.
pub(super) fn attach(file: &H5File, root: &str, spec: &ModelSpec, model: &mut Model) -> Result<()> {
    let mut layers: IndexMap<String, Vec<WeightSpec>> = IndexMap::new();
    for weight in spec.weights() {
        layers.entry(weight.layer.clone()).or_default().push(weight);
    }
    for (layer, weights) in &layers {
        let group = join(root, layer);
        if !file.has_group(&group) {
            return Err(Error::MissingWeight {
                path: model.path.clone(),
                weight: format!(
                    "{} (group '{group}')",
                    weights.first().map_or(layer, |weight| &weight.path)
                ),
            });
        }
        let names = list(&file.attributes(&group)?, "weight_names");
        if names.len() != weights.len() {
            let reason = format!("it lists {} weights, the layer has {}", names.len(), weights.len());
            return Err(file.damaged(&format!("the attribute 'weight_names' of '{group}'"), reason));
        }
        for (name, weight) in names.iter().zip(in_file_order(&names, weights)) {
            model
                .weights
                .insert(weight.path.clone(), file.tensor(&join(&group, name))?);
        }
    }
    let order: BTreeMap<String, usize> = spec.weights().into_iter().map(|weight| weight.path).zip(0..).collect();
    model.weights.sort_by(|a, _, b, _| order.get(a).cmp(&order.get(b)));
    let known = list(&file.attributes(root)?, "layer_names");
    if let Some(name) = known.iter().find(|name| spec.layer(name).is_none()) {
        return Err(Error::ExtraTensor {
            path: model.path.clone(),
            tensor: shorten(&join(root, name)),
        });
    }
    Ok(())
}

/// The weights of a layer in the order in which a file lists them: by their names where those say it, else as Keras orders them, what
/// is trained first.
fn in_file_order<'a>(names: &[String], weights: &'a [WeightSpec]) -> Vec<&'a WeightSpec> {
    let by_name: Vec<&WeightSpec> = names
        .iter()
        .filter_map(|name| {
            let name = name.split(':').next().unwrap_or(name);
            let mut matching = weights.iter().filter(|weight| ends_with(name, &weight.name));
            // Of `kernel` and `dense/kernel` the longer one says more, but both would be in one layer.
            matching.next().filter(|_| matching.next().is_none())
        })
        .collect();
    let mut paths: Vec<&str> = by_name.iter().map(|weight| weight.path.as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    if paths.len() == weights.len() {
        return by_name;
    }
    let (trained, fixed): (Vec<_>, Vec<_>) = weights.iter().partition(|weight| weight.trainable);
    trained.into_iter().chain(fixed).collect()
}

/// Whether `name` is `ending`, or ends in it behind a slash.
fn ends_with(name: &str, ending: &str) -> bool {
    name.strip_suffix(ending)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// The optimizer's variables, in the order in which the file lists them; none where there are none.
pub(super) fn optimizer(file: &H5File) -> Result<Vec<StoredTensor>> {
    const GROUP: &str = "optimizer_weights";
    if !file.has_group(GROUP) {
        return Ok(Vec::new());
    }
    let names = list(&file.attributes(GROUP)?, "weight_names");
    names.iter().map(|name| file.tensor(&join(GROUP, name))).collect()
}

/// A list of texts that may be cut into pieces: HDF5 has no attributes above 64 KiB, so Keras numbers them.
fn list(attributes: &BTreeMap<String, Vec<String>>, name: &str) -> Vec<String> {
    if let Some(whole) = attributes.get(name) {
        return whole.clone();
    }
    let pieces = (0..).map_while(|number| attributes.get(&format!("{name}{number}")));
    pieces.flatten().cloned().collect()
}
