//! Regularizers and constraints of a network, as its description gives them.

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Constraint, Error, Mode, Network, Regularizer};
use nn_theory::{
    ActivityRegularization, Conv2D, Dense, DepthwiseConv2D, Flatten, LSTM, ModelSpec, NamedLayer, TimeDistributed,
};
use serde_json::{Value, json};

fn network(spec: ModelSpec) -> Network {
    Network::new(spec, 6020, &Device::Cpu, DType::F64).unwrap()
}

fn l2(factor: f64) -> Value {
    json!({"module": "keras.regularizers", "class_name": "L2", "config": {"l2": factor}, "registered_name": null})
}

fn squares(network: &Network, path: &str) -> f64 {
    let weight = &network.weight(path).unwrap().var;
    weight.sqr().unwrap().sum_all().unwrap().to_scalar().unwrap()
}

fn scalar(x: &Tensor) -> f64 {
    x.to_scalar().unwrap()
}

fn set(layer: impl Into<NamedLayer>, options: &[(&str, Value)]) -> NamedLayer {
    options.iter().fold(layer.into(), |layer, (key, value)| {
        layer.option(key, value.clone()).unwrap()
    })
}

fn regularized() -> ModelSpec {
    let inside = set(
        Dense::new(2).name("inside"),
        &[
            ("kernel_regularizer", json!("l1")),
            ("bias_constraint", json!("non_neg")),
        ],
    );
    ModelSpec::sequential("regularized")
        .input([5, 3])
        .layer(set(
            LSTM::new(4).return_sequences(true).name("memory"),
            &[
                ("kernel_regularizer", l2(0.5)),
                ("recurrent_regularizer", l2(0.25)),
                (
                    "recurrent_constraint",
                    json!({"class_name": "MaxNorm", "config": {"max_value": 0.5, "axis": 0}}),
                ),
            ],
        ))
        .layer(TimeDistributed::new(inside.into()).name("steps"))
        .build()
        .unwrap()
}

#[test]
fn the_loss_is_the_sum_over_the_weights_that_train() {
    let spec = ModelSpec::from_keras_json(&regularized().to_keras_json()).unwrap();
    let mut network = network(spec);
    let (kernel, recurrent) = ("memory/lstm_cell/kernel", "memory/lstm_cell/recurrent_kernel");
    assert_eq!(
        network.regularizer(kernel),
        Some(Regularizer::L1L2 { l1: 0.0, l2: 0.5 })
    );
    assert_eq!(network.regularizer("memory/lstm_cell/bias"), None);
    let inside = &network.weight("steps/inside/kernel").unwrap().var;
    let absolute = scalar(&inside.abs().unwrap().sum_all().unwrap());
    let expected = 0.5 * squares(&network, kernel) + 0.25 * squares(&network, recurrent) + 0.01 * absolute;
    let loss = network.regularization_loss().unwrap().unwrap();
    assert!((scalar(&loss) - expected).abs() < 1e-12, "{loss}, expected {expected}");

    // d/dw (l2 Σ w²) = 2 l2 w
    let gradients = loss.backward().unwrap();
    let recurrent_kernel = &network.weight(recurrent).unwrap().var;
    let difference =
        (gradients.get(recurrent_kernel).unwrap() - (recurrent_kernel.as_tensor() * 0.5).unwrap()).unwrap();
    assert!(scalar(&difference.abs().unwrap().max_all().unwrap()) < 1e-15);

    network.freeze("memory").unwrap();
    let rest = network.regularization_loss().unwrap().unwrap();
    assert!(
        (scalar(&rest) - 0.01 * absolute).abs() < 1e-12,
        "frozen weights have no penalty"
    );
    network.freeze("steps").unwrap();
    assert!(network.regularization_loss().unwrap().is_none());
}

#[test]
fn options_are_those_of_the_weights_that_they_are_called_after() {
    let spec = ModelSpec::sequential("named")
        .input([5, 5, 2])
        .layer(set(
            DepthwiseConv2D::new([2, 2]).name("depth"),
            &[
                ("depthwise_regularizer", l2(1.0)),
                ("bias_constraint", json!("UnitNorm")),
            ],
        ))
        .layer(set(
            Conv2D::new(3, [2, 2]).name("conv"),
            &[(
                "kernel_constraint",
                json!({"class_name": "MinMaxNorm", "config": {"axis": [0, 1, 2]}}),
            )],
        ))
        .layer(Flatten::new())
        .layer(set(Dense::new(2).name("out"), &[("bias_regularizer", l2(2.0))]))
        .build()
        .unwrap();
    let network = network(spec);
    let of = |regularizer: fn(&Network, &str) -> bool| -> Vec<String> {
        let weights = network.weights().filter(|weight| regularizer(&network, &weight.path));
        weights.map(|weight| weight.path.clone()).collect()
    };
    assert_eq!(
        of(|network, path| network.regularizer(path).is_some()),
        ["depth/kernel", "out/bias"]
    );
    assert_eq!(
        of(|network, path| network.constraint(path).is_some()),
        ["depth/bias", "conv/kernel"]
    );
    assert_eq!(
        network.constraint("depth/bias"),
        Some(&Constraint::UnitNorm { axes: vec![0] })
    );
}

#[test]
fn constraints_are_applied_to_weights_that_train() {
    let mut network = network(regularized());
    let path = "memory/lstm_cell/recurrent_kernel";
    let longest = |network: &Network| {
        let weight = network.weight(path).unwrap().var.as_tensor();
        scalar(&weight.sqr().unwrap().sum(0).unwrap().max_all().unwrap().sqrt().unwrap())
    };
    let bias = Tensor::new(&[-1.0, 2.0], &Device::Cpu).unwrap();
    network.set_weight("steps/inside/bias", &bias).unwrap();
    network.freeze("memory").unwrap();
    let before = longest(&network);
    network.apply_constraints().unwrap();
    assert_eq!(longest(&network), before, "frozen weights stay");
    assert_eq!(
        network
            .weight("steps/inside/bias")
            .unwrap()
            .var
            .to_vec1::<f64>()
            .unwrap(),
        [0.0, 2.0]
    );
    // Keras' orthogonal rows of length 1 side by side: columns shorter than 1, some longer than 0.3.
    network.set_trainable("memory", true).unwrap();
    let value = Tensor::ones((4, 16), DType::F64, &Device::Cpu).unwrap();
    network.set_weight(path, &value).unwrap();
    network.apply_constraints().unwrap();
    assert!((longest(&network) - 0.5).abs() < 1e-6, "{}", longest(&network));
}

#[test]
fn penalties_of_outputs_are_means_over_the_batch() {
    let spec = ModelSpec::sequential("activity")
        .input([3])
        .layer(set(
            Dense::new(4).name("first"),
            &[(
                "activity_regularizer",
                json!({"class_name": "L1", "config": {"l1": 0.5}}),
            )],
        ))
        .layer(set(
            ActivityRegularization::new().name("second"),
            &[("l1", json!(0.25)), ("l2", json!(2.0))],
        ))
        .build()
        .unwrap();
    let network = network(ModelSpec::from_keras_json(&spec.to_keras_json()).unwrap());
    for batch in [1, 5] {
        let mut draws = Stream::new(1).draws();
        let x: Vec<f64> = (0..batch * 3).map(|_| draws.normal()).collect();
        let x = Tensor::from_vec(x, (batch, 3), &Device::Cpu).unwrap();
        let (outputs, penalty) = network
            .forward_with_losses(&[x], Mode::Training(Stream::new(0)))
            .unwrap();
        let y: Vec<f64> = outputs[0].flatten_all().unwrap().to_vec1().unwrap();
        let expected: f64 = y.iter().map(|y| 0.75 * y.abs() + 2.0 * y * y).sum::<f64>() / batch as f64;
        let penalty = penalty.unwrap();
        assert!((scalar(&penalty) - expected).abs() < 1e-12 * expected);
        let gradients = penalty.backward().unwrap();
        assert!(gradients.get(&network.weight("first/kernel").unwrap().var).is_some());
    }
    let plain = self::network(
        ModelSpec::sequential("plain")
            .input([3])
            .layer(Dense::new(1))
            .build()
            .unwrap(),
    );
    let x = Tensor::zeros((2, 3), DType::F64, &Device::Cpu).unwrap();
    assert!(plain.forward_with_losses(&[x], Mode::Inference).unwrap().1.is_none());
    assert!(plain.regularization_loss().unwrap().is_none());
}

#[test]
fn what_keras_does_not_have_is_refused_when_the_network_is_built() {
    for (key, value) in [
        ("kernel_regularizer", json!("l7")),
        ("kernel_constraint", json!({"class_name": "SumToOne", "config": {}})),
        ("activity_regularizer", json!(0.1)),
    ] {
        let layer = set(Dense::new(2).name("out"), &[(key, value)]);
        let spec = ModelSpec::sequential("wrong").input([3]).layer(layer).build().unwrap();
        match Network::new(spec, 0, &Device::Cpu, DType::F32) {
            Err(error @ Error::LayerOption { .. }) => {
                let text = error.to_string();
                assert!(text.contains("out") && text.contains(key), "{text}");
            }
            other => panic!("{key}: {:?}", other.map(|network| network.name().to_string())),
        }
    }
}
