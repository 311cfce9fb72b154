//! The matrices of the interpolations that ONNX does not have as Keras does; taken from the layer that runs.

use candle_core::{DType, Device, Tensor};
use models::{Mode, Network};
use nn_theory::{ModelSpec, NamedLayer, UpSampling2D};

/// Row `i` holds what an image with 1 at place `i` and 0 elsewhere becomes: the matrix `(size, size · factor)`.
///
/// The interpolations treat each axis by itself, so an image of one column shows the matrix.
pub(super) fn matrix(interpolation: &str, size: usize, factor: usize) -> Result<Vec<f64>, String> {
    let run = || -> models::Result<Vec<f64>> {
        let layer = NamedLayer::from(UpSampling2D::new([factor, 1])).option("interpolation", interpolation)?;
        let spec = ModelSpec::sequential("interpolation")
            .input([size as u64, 1, 1])
            .layer(layer)
            .build()?;
        let network = Network::new(spec, 0, &Device::Cpu, DType::F64)?;
        let images = Tensor::eye(size, DType::F64, &Device::Cpu)?.reshape((size, size, 1, 1))?;
        let made = network.forward(&images, Mode::Inference)?;
        Ok(made.flatten_all()?.to_vec1::<f64>()?)
    };
    run().map_err(|error| error.to_string())
}
