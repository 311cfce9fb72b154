//! Where each weight is in the files of other frameworks.

use nn_theory::ModelSpec;

/// A weight and its places. Keras' files keep our layouts: nothing is transposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightPlaces {
    /// Path of the weight, such as `H01/kernel`.
    pub weight: String,
    /// Its shape, in Keras' layout.
    pub shape: Vec<u64>,
    /// The data sets of `.weights.h5` and of `model.weights.h5` in a `.keras` archive; two where Keras saves a weight twice.
    pub weights_h5: Vec<String>,
    /// The data set of a legacy `.h5` file that is written here. (Those of Keras may have the name of the model in front.)
    pub legacy_h5: String,
}

/// The places of all weights of a network, in its order.
///
/// ```
/// let places = persistence::keras_places(&models::zoo::cats_vs_dogs()?);
/// assert_eq!(places[0].weight, "H01/kernel");
/// assert_eq!(places[0].weights_h5, ["layers/dense/vars/0"]);
/// assert_eq!(places[0].legacy_h5, "model_weights/H01/H01/kernel");
/// # Ok::<(), models::Error>(())
/// ```
pub fn keras_places(spec: &ModelSpec) -> Vec<WeightPlaces> {
    let places = crate::keras::places(spec);
    let weights = spec.weights().into_iter();
    weights
        .map(|weight| WeightPlaces {
            weights_h5: places
                .iter()
                .filter(|(path, _)| *path == weight.path)
                .map(|(_, dataset)| dataset.clone())
                .collect(),
            legacy_h5: format!("model_weights/{}/{}", weight.layer, weight.path),
            shape: weight.shape,
            weight: weight.path,
        })
        .collect()
}
