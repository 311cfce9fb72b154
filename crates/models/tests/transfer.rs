//! Fine-tuning: frozen layers, weights by name, new heads.

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Mode, Network, ShapeMismatch};
use nn_theory::{Activation, BatchNormalization, Dense, Dropout, ModelSpec};

fn network(spec: ModelSpec, seed: u64) -> Network {
    Network::new(spec, seed, &Device::Cpu, DType::F32).unwrap()
}

fn old() -> ModelSpec {
    ModelSpec::sequential("old")
        .input([3])
        .layer(Dense::new(6).activation(Activation::Tanh).name("body"))
        .layer(BatchNormalization::new().name("norm"))
        .layer(Dense::new(4).name("classes"))
        .build()
        .unwrap()
}

fn values(network: &Network, path: &str) -> Vec<f32> {
    let weight = network.weight(path).unwrap();
    weight.var.flatten_all().unwrap().to_vec1().unwrap()
}

fn zeros(dims: &[usize]) -> Tensor {
    Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap()
}

#[test]
fn weights_are_loaded_by_name_and_the_rest_is_reported() {
    let (source, mut target) = (network(old(), 1), network(old(), 2));
    let body = source.weight("body/kernel").unwrap().var.as_tensor().clone();
    let report = target
        .load_weights_by_name([
            ("sequential/body/kernel", body),
            ("classes/kernel", zeros(&[6, 7])),
            ("nowhere/kernel", zeros(&[1])),
            ("norm/gamma", zeros(&[6])),
        ])
        .unwrap();
    assert_eq!(report.loaded, ["body/kernel", "norm/gamma"]);
    assert_eq!(report.unexpected, ["nowhere/kernel"]);
    assert_eq!(
        report.mismatched,
        [ShapeMismatch {
            path: "classes/kernel".to_string(),
            expected: vec![6, 4],
            found: vec![6, 7],
        }]
    );
    assert_eq!(
        report.missing,
        [
            "body/bias",
            "norm/beta",
            "norm/moving_mean",
            "norm/moving_variance",
            "classes/bias"
        ]
    );
    assert!(!report.is_complete());
    assert_eq!(values(&target, "body/kernel"), values(&source, "body/kernel"));
    assert_ne!(values(&target, "classes/kernel"), values(&source, "classes/kernel"));
    assert!(
        target
            .load_weights_by_name(source.snapshot().unwrap())
            .unwrap()
            .is_complete()
    );
}

#[test]
fn a_new_head_trains_behind_a_frozen_body() {
    let mut source = network(old(), 1);
    source.freeze("body").unwrap();
    source.freeze("norm").unwrap();
    // One layer of the new head has the name of a layer that is left out.
    let head = [Dropout::new(0.25).name("drop"), Dense::new(2).name("classes")];
    let tuned = source.replace_head("norm", head, 7).unwrap();
    assert_eq!(tuned.output_shape(), [2]);
    for path in ["body/kernel", "body/bias", "norm/gamma", "norm/moving_variance"] {
        assert_eq!(values(&tuned, path), values(&source, path), "{path}");
        assert!(!tuned.weight(path).unwrap().trainable, "{path}");
    }
    assert_eq!(tuned.weight("classes/kernel").unwrap().var.dims(), [6, 2]);
    assert!(tuned.weight("classes/kernel").unwrap().trainable);
    // A training pass of the frozen part computes what inference does, and leaves the statistics alone.
    let x = Tensor::new(&[[0.5f32, -1.0, 2.0], [1.0, 0.0, 0.5]], &Device::Cpu).unwrap();
    let loss = tuned
        .forward(&x, Mode::Training(Stream::new(0)))
        .unwrap()
        .sum_all()
        .unwrap();
    let gradients = loss.backward().unwrap();
    let with_gradient = tuned.weights().filter(|weight| gradients.get(&weight.var).is_some());
    let with_gradient: Vec<&str> = with_gradient.map(|weight| weight.path.as_str()).collect();
    assert_eq!(with_gradient, ["classes/kernel", "classes/bias"]);
    assert_eq!(values(&tuned, "norm/moving_mean"), values(&source, "norm/moving_mean"));
    // The new network has copies: what it learns does not change the old one.
    let before = values(&source, "body/bias");
    tuned
        .weight("body/bias")
        .unwrap()
        .var
        .set(&zeros(&[6]).ones_like().unwrap())
        .unwrap();
    assert_eq!(values(&source, "body/bias"), before);
}

#[test]
fn heads_that_do_not_fit_are_refused() {
    let source = network(old(), 1);
    assert!(source.replace_head("nowhere", [Dense::new(2)], 0).is_err());
    assert!(source.replace_head("norm", [Dense::new(2).name("body")], 0).is_err());
}
