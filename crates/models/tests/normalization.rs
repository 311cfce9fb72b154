//! What normalization and convolution layers do beyond the values that are compared with Keras: statistics, wrapped kernels,
//! options that are refused.

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Error, Mode, Network};
use nn_theory::{
    BatchNormalization, Conv1D, Conv2D, Conv3D, Dense, DepthwiseConv2D, LayerNormalization, MaxPooling1D, ModelSpec,
    NamedLayer, Normalization, Padding, SpectralNormalization,
};
use serde_json::json;

fn of_one(layer: impl Into<NamedLayer>, sample: impl Into<nn_theory::Shape>) -> ModelSpec {
    let model = ModelSpec::sequential("one").input(sample).layer(layer);
    model.build().unwrap()
}

fn network(layer: impl Into<NamedLayer>, sample: impl Into<nn_theory::Shape>) -> models::Result<Network> {
    Network::new(of_one(layer, sample), 5, &Device::Cpu, DType::F64)
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn values(network: &Network, path: &str) -> Vec<f64> {
    numbers(&network.weight(path).unwrap().var)
}

fn training() -> Mode {
    Mode::Training(Stream::new(1))
}

/// A kernel of rank one has one singular value, which the first step of the power iteration finds.
#[test]
fn spectral_normalization_divides_the_kernel_by_its_largest_singular_value() {
    let layer = SpectralNormalization::new(Dense::new(2).name("dense").into()).name("spectral");
    let mut network = network(layer, [3]).unwrap();
    // 10 (0.6, 0, 0.8)ᵀ (0.8, 0.6)
    let kernel = Tensor::new(&[[4.8f64, 3.6], [0.0, 0.0], [6.4, 4.8]], &Device::Cpu).unwrap();
    network.set_weight("spectral/dense/kernel", &kernel).unwrap();
    let start = Tensor::new(&[[1.0f64, 0.5]], &Device::Cpu).unwrap();
    network.set_weight("spectral/vector_u", &start).unwrap();
    let x = Tensor::new(&[[1.0f64, 0.0, 0.0]], &Device::Cpu).unwrap();

    // In inference the kernel is what it is.
    assert_eq!(numbers(&network.forward(&x, Mode::Inference).unwrap()), [4.8, 3.6]);
    assert_eq!(values(&network, "spectral/vector_u"), [1.0, 0.5]);

    let close = |found: &[f64], expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        assert!(
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12),
            "{found:?}"
        );
    };
    close(&numbers(&network.forward(&x, training()).unwrap()), &[0.48, 0.36]);
    close(&values(&network, "spectral/vector_u"), &[0.8, 0.6]);
    close(
        &values(&network, "spectral/dense/kernel"),
        &[0.48, 0.36, 0.0, 0.0, 0.64, 0.48],
    );
    // The kernel stays, as its largest singular value is 1 now, and gets a gradient; the vector gets none.
    let loss = network.forward(&x, training()).unwrap().sum_all().unwrap();
    close(
        &values(&network, "spectral/dense/kernel"),
        &[0.48, 0.36, 0.0, 0.0, 0.64, 0.48],
    );
    let gradients = loss.backward().unwrap();
    for weight in network.weights() {
        assert_eq!(
            gradients.get(&weight.var).is_some(),
            weight.trainable,
            "{}",
            weight.path
        );
    }
    assert!(!network.weight("spectral/vector_u").unwrap().trainable);
}

#[test]
fn spectral_normalization_leaves_a_kernel_of_zeros_alone() {
    let layer = SpectralNormalization::new(Conv2D::new(2, [3, 3]).name("conv").into()).name("spectral");
    let mut network = network(layer, [4, 4, 1]).unwrap();
    let zeros = Tensor::zeros((3, 3, 1, 2), DType::F64, &Device::Cpu).unwrap();
    network.set_weight("spectral/conv/kernel", &zeros).unwrap();
    let before = values(&network, "spectral/vector_u");
    let x = Tensor::ones((1, 4, 4, 1), DType::F64, &Device::Cpu).unwrap();
    assert_eq!(numbers(&network.forward(&x, training()).unwrap()), [0.0; 8]);
    assert_eq!(values(&network, "spectral/vector_u"), before);
    assert_eq!(values(&network, "spectral/conv/kernel"), [0.0; 18]);
}

#[test]
fn normalization_uses_stored_or_stated_statistics() {
    let x = Tensor::new(&[[3.0f64, 3.0], [5.0, 5.0]], &Device::Cpu).unwrap();
    let mut stored = network(Normalization::new().name("norm"), [2]).unwrap();
    assert_eq!(numbers(&stored.forward(&x, Mode::Inference).unwrap()), numbers(&x));
    for (weight, numbers) in [("norm/mean", [1.0, 3.0]), ("norm/variance", [4.0, 0.0])] {
        let value = Tensor::new(&numbers, &Device::Cpu).unwrap();
        stored.set_weight(weight, &value).unwrap();
    }
    // A variance of 0 counts as one of 1e-14.
    assert_eq!(numbers(&stored.forward(&x, training()).unwrap()), [1.0, 0.0, 2.0, 2e7]);
    assert!(stored.weights().all(|weight| !weight.trainable));

    let stated = Normalization::new().mean(json!([1.0, 3.0])).variance(json!([4.0, 1.0]));
    let there = network(stated.clone(), [2]).unwrap();
    assert_eq!(there.weights().len(), 0);
    let y = there.forward(&x, Mode::Inference).unwrap();
    assert_eq!(numbers(&y), [1.0, 0.0, 2.0, 2.0]);
    let back = network(stated.invert(true), [2]).unwrap();
    assert_eq!(numbers(&back.forward(&y, Mode::Inference).unwrap()), numbers(&x));
}

#[test]
fn moving_statistics_start_with_their_initializers_and_follow_the_batches() {
    let mut network = network(BatchNormalization::new().momentum(0.75).name("norm"), [1]).unwrap();
    let x = Tensor::new(&[[2.0f64], [6.0]], &Device::Cpu).unwrap();
    network.forward(&x, Mode::Inference).unwrap();
    assert_eq!(
        (
            values(&network, "norm/moving_mean"),
            values(&network, "norm/moving_variance")
        ),
        (vec![0.0], vec![1.0])
    );
    network.forward(&x, training()).unwrap();
    // Mean 4 and biased variance 4, a quarter of each.
    assert_eq!(
        (
            values(&network, "norm/moving_mean"),
            values(&network, "norm/moving_variance")
        ),
        (vec![1.0], vec![1.75])
    );
    network.set_trainable("norm", false).unwrap();
    network.forward(&x, training()).unwrap();
    assert_eq!(values(&network, "norm/moving_mean"), [1.0]);
}

#[test]
fn options_that_mean_something_else_are_refused_when_the_network_is_built() {
    let causal = Padding::Causal;
    let rows: Vec<(NamedLayer, &[u64], &str)> = vec![
        (Conv2D::new(2, [2, 2]).padding(causal).into(), &[4, 4, 2], "padding"),
        (
            Conv3D::new(2, [2, 2, 2]).padding(causal).into(),
            &[4, 4, 4, 2],
            "padding",
        ),
        (
            DepthwiseConv2D::new([2, 2]).padding(causal).into(),
            &[4, 4, 2],
            "padding",
        ),
        (MaxPooling1D::new([2]).padding(causal).into(), &[4, 2], "padding"),
        (
            NamedLayer::from(BatchNormalization::new())
                .option("renorm", true)
                .unwrap(),
            &[4],
            "renorm",
        ),
        (
            NamedLayer::from(LayerNormalization::new())
                .option("rms_scaling", true)
                .unwrap(),
            &[4],
            "rms_scaling",
        ),
        (Normalization::new().mean(json!(1.0)).into(), &[4], "mean"),
        (
            Normalization::new().mean(json!([1.0, 2.0])).variance(json!(1.0)).into(),
            &[4],
            "mean",
        ),
        (
            Normalization::new().mean(json!(1.0)).variance(json!("x")).into(),
            &[4],
            "variance",
        ),
        (
            SpectralNormalization::new(Conv2D::new(2, [2, 2]).padding(causal).into()).into(),
            &[4, 4, 2],
            "padding",
        ),
    ];
    for (layer, sample, expected) in rows {
        match network(layer, nn_theory::Shape::from(sample.to_vec())) {
            Err(Error::LayerOption { option, .. }) => assert_eq!(option, expected),
            other => panic!("{expected}: {:?}", other.map(|network| network.name().to_string())),
        }
    }
    assert!(network(Conv1D::new(2, [2]).padding(causal), [4, 2]).is_ok());
}
