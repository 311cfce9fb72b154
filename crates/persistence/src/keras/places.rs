//! Where Keras keeps each weight in `model.weights.h5`.
//!
//! Keras walks over the attributes of its objects: the layers of a model are in `layers/CLASS`, the class in snake case and numbered
//! from the second one on (names of layers are not used), a layer's own weights in `vars/N`, and weights of a layer within a layer
//! under the name of the Python attribute that holds it.

use std::collections::BTreeMap;

use nn_theory::{Layer, ModelSpec, StackedRNNCells, WrappedLayer, snake_case};

use super::hdf5::join;

/// A weight and the data set that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Path of the data set, such as `layers/dense/vars/0`.
    pub(super) dataset: String,
    /// Path of the weight, such as `H01/kernel`.
    pub(super) weight: String,
}

/// The groups of the layers with the real names of those, and where all weights are.
pub(super) struct Places {
    /// Group and name of each layer, in order.
    pub(super) layers: Vec<(String, String)>,
    /// In the order of the layers. A weight that two objects of Keras hold is there twice.
    pub(super) weights: Vec<Place>,
}

impl Places {
    /// `layer_names` and weights below `layers/` of a model.
    pub(super) fn of(spec: &ModelSpec) -> Self {
        let mut places = Places {
            layers: Vec::new(),
            weights: Vec::new(),
        };
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for weight in spec.weights() {
            names.entry(weight.layer).or_default().push(weight.name);
        }
        let mut groups = Groups::default();
        for node in spec.layers() {
            let group = join("layers", &groups.next(node.layer.printed_class()));
            let weights = names.remove(&node.name).unwrap_or_default();
            within(&node.layer, &weights, &mut |place, weight| {
                places.weights.push(Place {
                    dataset: join(&group, place),
                    weight: format!("{}/{weight}", node.name),
                });
            });
            places.layers.push((group, node.name.clone()));
        }
        places
    }
}

/// Numbers the groups of one class: `dense`, `dense_1`.
#[derive(Default)]
struct Groups(BTreeMap<String, usize>);

impl Groups {
    fn next(&mut self, class: &str) -> String {
        let name = snake_case(class);
        let used = self.0.entry(name.clone()).or_insert(0);
        *used += 1;
        match *used {
            1 => name,
            more => format!("{name}_{}", more - 1),
        }
    }
}

/// Calls `found` with data set and name of each weight of a layer, both from the layer on. `names` are Keras' names in Keras' order.
fn within(layer: &Layer, names: &[String], found: &mut dyn FnMut(&str, &str)) {
    match layer {
        Layer::LSTM(_) | Layer::GRU(_) | Layer::SimpleRNN(_) => own("cell/vars", names, found),
        Layer::ConvLSTM1D(_) | Layer::ConvLSTM2D(_) | Layer::ConvLSTM3D(_) => own("cell/vars", names, found),
        Layer::RNN(rnn) => inside(&rnn.cell, "cell", names, found),
        Layer::StackedRNNCells(cells) => stacked(cells, names, found),
        Layer::TimeDistributed(wrapper) => inside(&wrapper.layer, "layer", names, found),
        Layer::Bidirectional(wrapper) => {
            // The first half of the names is the forward layer's: both directions have the same first name each.
            let first = names.first().map(|name| first_part(name)).unwrap_or_default();
            let split = names
                .iter()
                .position(|name| first_part(name) != first)
                .unwrap_or(names.len());
            let (forward, backward) = names.split_at(split);
            let other = wrapper.backward_layer.as_ref().unwrap_or(&wrapper.layer);
            inside(&wrapper.layer, "forward_layer", forward, found);
            inside(other, "backward_layer", backward, found);
        }
        Layer::SpectralNormalization(wrapper) => {
            // The wrapper holds the kernel as well, and saves it a second time.
            let [kernel, vector, rest @ ..] = names else { return };
            own("vars", &[kernel.clone(), vector.clone()], found);
            let inner: Vec<String> = std::iter::once(kernel).chain(rest).cloned().collect();
            inside(&wrapper.layer, "layer", &inner, found);
        }
        Layer::MultiHeadAttention(_) | Layer::GroupQueryAttention(_) => {
            // Each projection is a layer of its own. One of the classes shows them as properties, whose names come before those of the
            // attributes, `_query_dense`.
            let hidden = if matches!(layer, Layer::GroupQueryAttention(_)) {
                "_"
            } else {
                ""
            };
            let mut rest = names;
            while let Some(name) = rest.first() {
                let part = first_part(name);
                let count = rest.iter().take_while(|name| first_part(name) == part).count();
                let projection = if part == "attention_output" { "output" } else { part };
                own(&format!("{hidden}{projection}_dense/vars"), &rest[..count], found);
                rest = &rest[count..];
            }
        }
        Layer::Pipeline(pipeline) => list("layers", &pipeline.layers, names, found),
        Layer::Model(nested) => {
            for place in Places::of(&nested.model).weights {
                found(&place.dataset, &place.weight);
            }
        }
        _ => own("vars", names, found),
    }
}

/// A layer's own weights, in order.
fn own(group: &str, names: &[String], found: &mut dyn FnMut(&str, &str)) {
    for (index, name) in names.iter().enumerate() {
        found(&format!("{group}/{index}"), name);
    }
}

/// The weights of a layer within a layer, whose names begin with its name.
fn inside(layer: &WrappedLayer, group: &str, names: &[String], found: &mut dyn FnMut(&str, &str)) {
    let Some(prefix) = names.first().map(|name| first_part(name).to_string()) else {
        return;
    };
    let rest: Vec<String> = names
        .iter()
        .map(|name| name[(prefix.len() + 1).min(name.len())..].to_string())
        .collect();
    within(layer.layer(), &rest, &mut |place, weight| {
        found(&join(group, place), &format!("{prefix}/{weight}"));
    });
}

fn stacked(cells: &StackedRNNCells, names: &[String], found: &mut dyn FnMut(&str, &str)) {
    list("cells", &cells.cells, names, found);
}

/// Layers in a list: a group for each, named as those of a model are.
fn list(group: &str, layers: &[WrappedLayer], names: &[String], found: &mut dyn FnMut(&str, &str)) {
    let mut groups = Groups::default();
    let mut rest = names;
    for layer in layers {
        let group = join(group, &groups.next(layer.layer().printed_class()));
        let count = rest.iter().take_while(|name| first_part(name) == layer.name()).count();
        inside(layer, &group, &rest[..count], found);
        rest = &rest[count..];
    }
}

fn first_part(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}
