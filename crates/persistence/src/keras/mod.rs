//! Keras' files: `.keras` archives, `.weights.h5`, and legacy `.h5`.

mod hdf5;
mod hdf5_writer;
mod legacy;
mod links;
mod places;
mod read;
mod sums;
mod variables;
mod write;

pub(crate) use read::{describe, read_archive, read_legacy, read_weights};
pub(crate) use write::{write_archive, write_legacy, write_weights};

use crate::{Format, Model, Result, Source};

/// The members of an archive.
const CONFIG: &str = "config.json";
const METADATA: &str = "metadata.json";
const WEIGHTS: &str = "model.weights.h5";

/// The group of an optimizer's variables in `model.weights.h5`.
const OPTIMIZER_VARIABLES: &str = "optimizer/vars";

/// What an HDF5 file is: a legacy model lists its layers, which no file of weights alone does. A file that cannot be opened is left to
/// the reader that says what is wrong with it.
pub(crate) fn hdf5_kind(source: &Source) -> Format {
    let legacy = hdf5::H5File::open(source).is_ok_and(|file| {
        let listed = file.attributes("").is_ok_and(|attributes| {
            ["model_config", "layer_names"]
                .iter()
                .any(|name| attributes.contains_key(*name))
        });
        listed || file.has_group("model_weights")
    });
    if legacy { Format::LegacyH5 } else { Format::WeightsH5 }
}

/// Path and data set of each weight, in the order of the layers.
pub(crate) fn places(spec: &nn_theory::ModelSpec) -> Vec<(String, String)> {
    let places = places::Places::of(spec).weights.into_iter();
    places.map(|place| (place.weight, place.dataset)).collect()
}

/// Path and shape of the weights that are trained, in order.
fn trained(model: &Model) -> Result<Vec<(String, Vec<usize>)>> {
    let weights = model.described()?.weights().into_iter();
    let trained = weights.filter(|weight| model.trainable.get(&weight.path).copied().unwrap_or(weight.trainable));
    Ok(trained
        .map(|weight| (weight.path, weight.shape.iter().map(|&size| size as usize).collect()))
        .collect())
}
