//! Mixed precision: weights in float32, computation in a shorter format.

use candle_core::{DType, Device, Tensor, Var};
use kernels::random::Stream;
use models::{Mode, Network};
use nn_theory::{
    Activation, BatchNormalization, Conv2D, DTypePolicy, Dense, Embedding, Flatten, LSTM, MaxPooling2D, ModelSpec,
    NamedLayer,
};

fn policy(name: &str) -> DTypePolicy {
    DTypePolicy::from_name(name).unwrap()
}

fn random(dims: &[usize]) -> Tensor {
    let mut draws = Stream::new(5).draws();
    let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| draws.normal() as f32).collect();
    Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// The largest difference relative to the largest number.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (numbers(a), numbers(b));
    let scale = b.iter().fold(0.0f64, |scale, b| scale.max(b.abs()));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale
}

fn convolutional() -> ModelSpec {
    ModelSpec::sequential("small")
        .input([8, 8, 2])
        .layer(Conv2D::new(4, [3, 3]).activation(Activation::Relu).name("conv"))
        .layer(MaxPooling2D::new([2, 2]))
        .layer(BatchNormalization::new().name("norm"))
        .layer(Flatten::new())
        .layer(Dense::new(3).name("out"))
        .build()
        .unwrap()
}

#[test]
fn a_policy_rounds_values_and_keeps_weights_and_gradients() {
    // Half a unit in the last place: 2⁻⁸ and 2⁻¹¹, a few times in a row.
    for (name, dtype, unit) in [
        ("mixed_bfloat16", DType::BF16, 2f64.powi(-8)),
        ("mixed_float16", DType::F16, 2f64.powi(-11)),
    ] {
        let exact = Network::new(convolutional(), 1, &Device::Cpu, DType::F32).unwrap();
        let mixed = exact.clone().with_policy(policy(name)).unwrap();
        assert_eq!(mixed.policy(), Some(policy(name)));
        let x = Var::from_tensor(&random(&[6, 8, 8, 2])).unwrap();
        for mode in [Mode::Inference, Mode::Training(Stream::new(0))] {
            let expected = exact.forward(&x, mode).unwrap();
            let found = mixed.forward(&x, mode).unwrap();
            assert_eq!((expected.dtype(), found.dtype()), (DType::F32, dtype));
            let away = distance(&found, &expected);
            assert!(away < 8.0 * unit, "{name}: {away}");
            assert!(away > unit / 64.0, "{name}: nothing was rounded");
            let loss = |y: &Tensor| {
                y.to_dtype(DType::F32)
                    .unwrap()
                    .sqr()
                    .unwrap()
                    .sum_all()
                    .unwrap()
                    .backward()
                    .unwrap()
            };
            let (expected, found) = (loss(&expected), loss(&found));
            for weight in mixed.weights().filter(|weight| weight.trainable) {
                let gradient = found.get(&weight.var).unwrap();
                assert_eq!(gradient.dtype(), DType::F32, "{}", weight.path);
                let away = distance(gradient, expected.get(&weight.var).unwrap());
                assert!(away < 64.0 * unit, "{name}: {}: {away}", weight.path);
            }
            assert_eq!(found.get(&x).unwrap().dtype(), DType::F32);
        }
        assert!(mixed.weights().all(|weight| weight.var.dtype() == DType::F32));
        let statistics = &mixed.weight("norm/moving_mean").unwrap().var;
        let rounded = statistics.to_dtype(dtype).unwrap().to_dtype(DType::F32).unwrap();
        assert_ne!(numbers(statistics), numbers(&rounded), "statistics are not rounded");
    }
}

#[test]
fn the_policy_of_a_layer_in_the_description_is_followed() {
    let half = policy("mixed_bfloat16");
    let spec = ModelSpec::sequential("memory")
        .input([7])
        .layer(NamedLayer::from(Embedding::new(9, 4)).name("words").dtype(half))
        .layer(NamedLayer::from(LSTM::new(5)).name("memory").dtype(half))
        .layer(Dense::new(2).name("logits"))
        .build()
        .unwrap();
    let spec = ModelSpec::from_keras_json(&spec.to_keras_json()).unwrap();
    let network = Network::new(spec, 1, &Device::Cpu, DType::F32).unwrap();
    let words = Tensor::new(&[[1i64, 5, 2, 8, 0, 0, 3]], &Device::Cpu).unwrap();
    let logits = network.forward(&words, Mode::Inference).unwrap();
    assert_eq!(logits.dtype(), DType::F32, "the last layer computes in float32");
    let exact = network.clone().with_policy(policy("float32")).unwrap();
    let away = distance(&logits, &exact.forward(&words, Mode::Inference).unwrap());
    assert!(away > 0.0 && away < 0.05, "{away}");
    let gradients = logits.sum_all().unwrap().backward().unwrap();
    assert!(network.weights().all(|weight| gradients.get(&weight.var).is_some()));
}

#[test]
fn float32_is_the_policy_of_a_network_without_one() {
    let network = Network::new(convolutional(), 1, &Device::Cpu, DType::F32).unwrap();
    assert_eq!(network.policy(), None);
    let x = random(&[2, 8, 8, 2]);
    let same = network.clone().with_policy(policy("float32")).unwrap();
    let (a, b) = (
        network.forward(&x, Mode::Inference).unwrap(),
        same.forward(&x, Mode::Inference).unwrap(),
    );
    assert_eq!(numbers(&a), numbers(&b));
    // An input of another float format is converted, as Keras' layers do.
    let wide = network
        .forward(&x.to_dtype(DType::F64).unwrap(), Mode::Inference)
        .unwrap();
    assert_eq!(numbers(&wide), numbers(&a));
}
