//! Small networks and data, and their states as bits.

use candle_core::{DType, Device, Tensor};
use models::{Network, zoo};
use nn_theory::{BatchNormalization, Dense, ModelSpec};
use optimizers::Optimizer;
use training::Samples;

pub(crate) const PIPELINE: &str = "flip(horizontal) | rotate(factor=0.1) | contrast(0.2) @ 0.5";

pub(crate) fn network(spec: ModelSpec, dtype: DType) -> Network {
    Network::new(spec, 6020, &Device::Cpu, dtype).unwrap()
}

/// The first digits, enough for a few steps an epoch and a batch that is not full.
pub(crate) fn digits(network: &Network, count: usize) -> Samples {
    let all = Samples::for_network(&datasets::digits().train, network).unwrap();
    all.select(&(0..count).collect::<Vec<_>>())
}

/// Points of the plane, by the sign of `x + y`.
pub(crate) fn plane(count: usize) -> Samples {
    let mut draws = kernels::random::Stream::new(1).op("plane").draws();
    let points: Vec<f32> = (0..2 * count).map(|_| draws.uniform_in(-1.0, 1.0) as f32).collect();
    let labels = points.chunks(2).map(|p| u32::from(p[0] + p[1] > 0.0)).collect();
    Samples::new(points, vec![2], labels).unwrap()
}

pub(crate) fn plane_network() -> Network {
    let spec = ModelSpec::sequential("plane")
        .input([2])
        .layer(Dense::new(2).name("last"));
    network(spec.build().unwrap(), DType::F32)
}

/// All weights, exactly: a number in f64 stands for the same number in f32.
pub(crate) fn bits(network: &Network) -> Vec<Vec<u64>> {
    let flat = |tensor: &Tensor| {
        tensor
            .to_dtype(DType::F64)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
    };
    network
        .weights()
        .map(|weight| flat(weight.var.as_tensor()).into_iter().map(f64::to_bits).collect())
        .collect()
}

pub(crate) fn state(optimizer: &Optimizer) -> Vec<(String, Vec<u64>)> {
    let mut state: Vec<_> = optimizer
        .state()
        .unwrap()
        .into_iter()
        .map(|(name, tensor)| {
            let numbers = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
            (
                name,
                numbers
                    .to_vec1::<f64>()
                    .unwrap()
                    .into_iter()
                    .map(f64::to_bits)
                    .collect(),
            )
        })
        .collect();
    state.sort();
    state
}

/// A network with dropout and one with statistics of its own.
pub(crate) fn specs() -> [ModelSpec; 2] {
    let normalized = ModelSpec::sequential("normalized")
        .input([64])
        .layer(Dense::new(8))
        .layer(BatchNormalization::new())
        .layer(Dense::new(10));
    [zoo::digits_cnn().unwrap(), normalized.build().unwrap()]
}
