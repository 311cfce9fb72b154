//! Networks from descriptions: what is refused and when, seeds, first values, weights that do not train.

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Error, MAX_PARAMETERS, Mode, Network, zoo};
use nn_theory::{
    Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Initializer, LSTM, MaxPooling2D, ModelSpec,
    NamedLayer, Padding,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn network(spec: ModelSpec, seed: u64) -> models::Result<Network> {
    Network::new(spec, seed, &Device::Cpu, DType::F32)
}

fn of_one(layer: impl Into<NamedLayer>, sample: impl Into<nn_theory::Shape>) -> ModelSpec {
    ModelSpec::sequential("one").input(sample).layer(layer).build().unwrap()
}

/// All values of all weights, as bits.
fn bits(network: &Network) -> Vec<Vec<u32>> {
    let flat = |weight: &models::Weight| weight.var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    network
        .weights()
        .map(|weight| flat(weight).into_iter().map(f32::to_bits).collect())
        .collect()
}

fn random_images(dims: &[usize]) -> Tensor {
    let mut draws = Stream::new(1).op("images").draws();
    let pixels: Vec<f32> = (0..dims.iter().product()).map(|_| draws.uniform() as f32).collect();
    Tensor::from_vec(pixels, dims, &Device::Cpu).unwrap()
}

#[test]
fn layers_that_do_not_run_are_named() {
    let rows: [(NamedLayer, Vec<u64>, &str); 2] = [
        (nn_theory::RandomFlip::new().name("flip"), vec![5, 4, 3], "RandomFlip"),
        (nn_theory::AugMix::new().name("mix"), vec![5, 4, 3], "AugMix"),
    ];
    for (layer, sample, expected) in rows {
        match network(of_one(layer, sample), 0) {
            Err(Error::Layer { class, .. }) => assert_eq!(class, expected),
            other => panic!("{expected}: {:?}", other.map(|network| network.name().to_string())),
        }
    }
}

#[test]
fn options_that_do_not_run_are_named_when_the_network_is_built() {
    let rows: [(NamedLayer, &str); 5] = [
        (Dense::new(3).activation(Activation::Threshold).into(), "activation"),
        (
            nn_theory::ActivationLayer::new(Activation::Threshold).into(),
            "activation",
        ),
        (
            NamedLayer::from(nn_theory::UpSampling2D::new([2, 2]))
                .option("interpolation", "spline")
                .unwrap(),
            "interpolation",
        ),
        (nn_theory::Softmax::new().axis(serde_json::json!([0, 2])).into(), "axis"),
        (nn_theory::Softmax::new().axis(serde_json::json!(7)).into(), "axis"),
    ];
    for (layer, expected) in rows {
        match network(of_one(layer, [4, 4, 3]), 0) {
            Err(Error::LayerOption { option, .. }) => assert_eq!(option, expected),
            other => panic!("{expected}: {:?}", other.map(|network| network.name().to_string())),
        }
    }
    let memory = LSTM::new(3).stateful(true);
    match network(of_one(memory, [4, 3]), 0) {
        Err(Error::LayerOption { option, .. }) => assert_eq!(option, "stateful"),
        other => panic!("{:?}", other.map(|network| network.name().to_string())),
    }
}

#[test]
fn free_sizes_are_refused() {
    let spec = of_one(Conv2D::new(4, [3, 3]), nn_theory::Shape(vec![None, None, Some(3)]));
    let error = network(spec, 0).unwrap_err();
    assert!(matches!(error, Error::FreeDimension { .. }), "{error}");
    assert!(error.to_string().contains("(None, None, None, 3)"), "{error}");
}

/// 2³¹ parameters would take 16 GiB while they are drawn: the refusal must come before.
#[test]
fn networks_that_are_too_large_are_refused_before_anything_is_allocated() {
    for units in [1 << 31, 1 << 40] {
        let started = std::time::Instant::now();
        match network(of_one(Dense::new(units).name("wide"), [3]), 0) {
            Err(Error::TooLarge { parameters, limit, .. }) => {
                assert_eq!((parameters, limit), (4 * units as u64, MAX_PARAMETERS));
            }
            other => panic!("{units}: {:?}", other.map(|network| network.name().to_string())),
        }
        assert!(started.elapsed().as_secs() < 5, "something was allocated");
    }
    // A layer that does not run is refused before the weights of the layers in front of it are drawn.
    let started = std::time::Instant::now();
    let spec = ModelSpec::sequential("late")
        .input([1 << 15])
        .layer(Dense::new(1 << 15))
        .layer(Dense::new(2).activation(Activation::Threshold))
        .build()
        .unwrap();
    assert!(matches!(network(spec, 0), Err(Error::LayerOption { .. })));
    assert!(started.elapsed().as_secs() < 5, "2³⁰ weights were drawn");
}

/// A few digits in a description can ask for more than any memory holds.
#[test]
fn outputs_that_are_too_large_are_refused_when_the_network_is_built() {
    let rows: [(NamedLayer, &[u64]); 3] = [
        (nn_theory::RepeatVector::new(1 << 40).into(), &[3]),
        (nn_theory::UpSampling2D::new([1 << 20, 1 << 20]).into(), &[4, 4, 3]),
        (
            nn_theory::ZeroPadding1D::new(nn_theory::Margins([[0, 1 << 40]])).into(),
            &[4, 3],
        ),
    ];
    for (layer, sample) in rows {
        let sample = nn_theory::Shape(sample.iter().map(|&size| Some(size)).collect());
        match network(of_one(layer, sample), 0) {
            Err(error @ Error::LayerOption { .. }) => assert!(error.to_string().contains("2³¹"), "{error}"),
            other => panic!("{:?}", other.map(|network| network.name().to_string())),
        }
    }
}

#[test]
fn inputs_of_another_shape_are_refused() {
    let network = network(zoo::digits_cnn().unwrap(), 0).unwrap();
    for dims in [&[2, 8, 8][..], &[2, 8, 8, 3], &[2, 8, 9, 1], &[2, 64], &[]] {
        let input = Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        match network.forward(&input, Mode::Inference) {
            Err(Error::Input { expected, found, .. }) => {
                assert_eq!((expected.as_str(), found), ("(None, 8, 8, 1)", format!("{dims:?}")));
            }
            other => panic!("{dims:?}: {other:?}"),
        }
    }
    // Any number of images fits.
    for images in [1, 3] {
        let output = network
            .forward(&random_images(&[images, 8, 8, 1]), Mode::Inference)
            .unwrap();
        assert_eq!(output.dims(), [images, 10]);
    }
}

#[test]
fn networks_of_several_inputs_say_so() {
    let mut graph = ModelSpec::functional("two");
    let (a, b) = (graph.input([3]).unwrap(), graph.input([3]).unwrap());
    let sum = graph.layer(nn_theory::Add::new(), [a, b]).unwrap();
    let network = network(graph.build([a, b], [sum]).unwrap(), 0).unwrap();
    let x = random_images(&[2, 3]);
    assert!(matches!(
        network.forward(&x, Mode::Inference),
        Err(Error::Ports {
            inputs: 2,
            outputs: 1,
            ..
        })
    ));
    assert!(matches!(
        network.forward_all(std::slice::from_ref(&x), Mode::Inference),
        Err(Error::Ports { .. })
    ));
    let both = network.forward_all(&[x.clone(), x], Mode::Inference).unwrap();
    assert_eq!(both[0].dims(), [2, 3]);
}

#[test]
fn values_of_another_shape_and_unknown_weights_are_refused() {
    let mut network = network(zoo::cats_vs_dogs().unwrap(), 0).unwrap();
    let value = Tensor::zeros((2, 2), DType::F32, &Device::Cpu).unwrap();
    let error = network.set_weight("nowhere/kernel", &value).unwrap_err();
    assert!(
        error.to_string().contains("H01/kernel"),
        "the message lists the weights: {error}"
    );
    let path = network.weights().next().unwrap().path.clone();
    assert!(matches!(
        network.set_weight(&path, &value),
        Err(Error::WeightShape { .. })
    ));
    // A part of a name is no name.
    for path in ["", "H", "H01/ker", "H01/kernel/"] {
        assert!(
            matches!(network.set_trainable(path, false), Err(Error::UnknownWeight { .. })),
            "{path}"
        );
    }
    assert!(network.weights().all(|weight| weight.trainable));
}

#[test]
fn unknown_models_get_a_hint() {
    let error = zoo::by_name("digits_cn").unwrap_err().to_string();
    assert!(error.contains("digits_cnn"), "{error}");
}

#[test]
fn every_model_of_the_zoo_runs_and_is_a_function_of_its_seed() {
    // Models of more weights take seconds to draw; the rest of the list is counted by `nn_theory`.
    let small = zoo::names().filter(|name| zoo::by_name(name).unwrap().counts().total < 200_000);
    let mut models = 0;
    for name in small {
        models += 1;
        let spec = zoo::by_name(name).unwrap();
        let one = network(spec.clone(), 6020).unwrap();
        assert_eq!(bits(&one), bits(&network(spec.clone(), 6020).unwrap()), "{name}");
        let other = network(spec, 6021).unwrap();
        let declared = one.spec().weights();
        for ((weight, a), b) in declared.iter().zip(bits(&one)).zip(bits(&other)) {
            let constant = matches!(weight.initializer, Initializer::Zeros | Initializer::Ones);
            assert_eq!(constant, a == b, "{name}: {}", weight.path);
        }
        let dims = [&[2], one.input_shape().as_slice()].concat();
        let output = one.forward(&random_images(&dims), Mode::Inference).unwrap();
        assert_eq!(output.dims(), [&[2], one.output_shape().as_slice()].concat(), "{name}");
    }
    assert!(models >= 4);
}

/// The values of a weight depend on the seed and its path, not on what else the network has.
#[test]
fn a_weight_keeps_its_values_when_another_layer_is_added() {
    let short = of_one(Dense::new(4).name("first"), [3]);
    let long = ModelSpec::sequential("two")
        .input([3])
        .layer(Dense::new(4).name("first"))
        .layer(Dense::new(9).name("second"));
    let (short, long) = (network(short, 1).unwrap(), network(long.build().unwrap(), 1).unwrap());
    assert_eq!(bits(&short), bits(&long)[..2]);
}

/// Mean, variance and limits of the first values against those of the distribution.
#[test]
fn first_values_have_the_distribution_of_their_initializer() {
    let seed = None;
    // A kernel (3, 3, 20, 60): 180 inputs and 540 outputs of a unit, 10,800 values.
    let (inputs, outputs) = (180.0, 540.0);
    // (initializer, mean, variance, limit around the mean in standard deviations of the distribution)
    let (uniform, cut) = (3f64.sqrt(), 2.0 / 0.879_625_661_034_239_8);
    let rows = [
        (
            Initializer::GlorotUniform { seed },
            0.0,
            2.0 / (inputs + outputs),
            uniform,
        ),
        (Initializer::GlorotNormal { seed }, 0.0, 2.0 / (inputs + outputs), cut),
        (Initializer::HeUniform { seed }, 0.0, 2.0 / inputs, uniform),
        (Initializer::HeNormal { seed }, 0.0, 2.0 / inputs, cut),
        (Initializer::LecunUniform { seed }, 0.0, 1.0 / inputs, uniform),
        (Initializer::LecunNormal { seed }, 0.0, 1.0 / inputs, cut),
        (
            Initializer::RandomUniform {
                minval: -1.0,
                maxval: 3.0,
                seed,
            },
            1.0,
            16.0 / 12.0,
            uniform,
        ),
        (
            Initializer::RandomNormal {
                mean: 2.0,
                stddev: 0.5,
                seed,
            },
            2.0,
            0.25,
            6.0,
        ),
        (
            Initializer::TruncatedNormal {
                mean: 2.0,
                stddev: 0.5,
                seed,
            },
            2.0,
            (0.5f64 * 0.879_625_661_034_239_8).powi(2),
            cut,
        ),
        (Initializer::Constant { value: 0.25 }, 0.25, 0.0, 0.0),
    ];
    for (initializer, mean, variance, limit) in rows {
        let layer = Conv2D::new(60, [3, 3]).kernel_initializer(initializer.clone());
        let network = Network::new(of_one(layer, [3, 3, 20]), 6020, &Device::Cpu, DType::F64).unwrap();
        let values: Vec<f64> = network
            .weights()
            .next()
            .unwrap()
            .var
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let n = values.len() as f64;
        let found_mean = values.iter().sum::<f64>() / n;
        let found = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
        // Four standard errors; the variance of a square is below 3 times the squared variance for all of these.
        assert!(
            (found_mean - mean).abs() <= 4.0 * (variance / n).sqrt() + 1e-12,
            "{initializer:?}: {found_mean}"
        );
        assert!(
            (found - variance).abs() <= 4.0 * variance * (3.0 / n).sqrt(),
            "{initializer:?}: {found}"
        );
        let furthest = values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
        assert!(
            furthest <= limit * variance.sqrt() * (1.0 + 1e-9),
            "{initializer:?}: {furthest}"
        );
        let biases: Vec<f64> = network.weights().nth(1).unwrap().var.to_vec1().unwrap();
        assert!(biases.iter().all(|&bias| bias == 0.0));
    }
}

fn with_normalization() -> ModelSpec {
    ModelSpec::sequential("normalized")
        .input([3])
        .layer(Dense::new(4).name("first"))
        .layer(BatchNormalization::new().name("norm"))
        .layer(Dense::new(2).name("last"))
        .build()
        .unwrap()
}

/// The gradients of a training pass, by path, and what the pass did to the weights.
fn training_pass(network: &Network) -> Vec<(String, bool)> {
    let mode = Mode::Training(Stream::new(0));
    let loss = network
        .forward(&random_images(&[5, 3]), mode)
        .unwrap()
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap();
    let gradients = loss.backward().unwrap();
    network
        .weights()
        .map(|weight| (weight.path.clone(), gradients.get(&weight.var).is_some()))
        .collect()
}

#[test]
fn frozen_weights_get_no_gradient_and_frozen_statistics_stay() {
    let mut network = network(with_normalization(), 0).unwrap();
    let statistics = |network: &Network| {
        let get = |name: &str| network.weight(name).unwrap().var.to_vec1::<f32>().unwrap();
        (get("norm/moving_mean"), get("norm/moving_variance"))
    };
    let trained = |network: &Network| -> Vec<String> {
        let weights = network.weights().filter(|weight| weight.trainable);
        weights.map(|weight| weight.path.clone()).collect()
    };
    let all = [
        "first/kernel",
        "first/bias",
        "norm/gamma",
        "norm/beta",
        "last/kernel",
        "last/bias",
    ];
    assert_eq!(trained(&network), all);
    let before = statistics(&network);
    for (path, with_gradient) in training_pass(&network) {
        assert_eq!(with_gradient, !path.contains("moving"), "{path}");
    }
    assert_ne!(statistics(&network), before, "a layer that trains keeps statistics");

    for path in ["first", "norm", "last/bias"] {
        network.set_trainable(path, false).unwrap();
    }
    assert_eq!(trained(&network), ["last/kernel"]);
    let frozen = bits(&network);
    let inference = network.forward(&random_images(&[5, 3]), Mode::Inference).unwrap();
    let training = network
        .forward(&random_images(&[5, 3]), Mode::Training(Stream::new(0)))
        .unwrap();
    assert_eq!(inference.to_vec2::<f32>().unwrap(), training.to_vec2::<f32>().unwrap());
    for (path, with_gradient) in training_pass(&network) {
        assert_eq!(with_gradient, path == "last/kernel", "{path}");
    }
    assert_eq!(bits(&network), frozen, "a forward pass changed a frozen network");

    // Thawed, all is as it was; the statistics have not become weights that an optimizer changes.
    for path in ["first", "norm", "last"] {
        network.set_trainable(path, true).unwrap();
    }
    assert_eq!(trained(&network), all);
    let before = statistics(&network);
    training_pass(&network);
    assert_ne!(statistics(&network), before);
}

#[test]
fn a_layer_described_as_frozen_is_frozen() {
    let spec = ModelSpec::sequential("frozen")
        .input([3])
        .layer(Dense::new(4).name("first").trainable(false))
        .layer(Dense::new(2).name("last"))
        .build()
        .unwrap();
    let network = network(spec, 0).unwrap();
    for (path, with_gradient) in training_pass(&network) {
        assert_eq!(with_gradient, path.starts_with("last/"), "{path}");
    }
}

#[test]
fn dropout_depends_on_its_stream_and_its_name_only() {
    let spec = of_one(Dropout::new(0.5).name("drop"), [200]);
    let network = network(spec, 0).unwrap();
    let x = Tensor::ones((2, 200), DType::F32, &Device::Cpu).unwrap();
    let run = |seed| {
        let y = network.forward(&x, Mode::Training(Stream::new(seed))).unwrap();
        y.to_vec2::<f32>().unwrap()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    // The draws of one pass, from the same stream, differ between layers.
    let mut graph = ModelSpec::functional("two");
    let x_in = graph.input([200]).unwrap();
    let one = graph.layer(Dropout::new(0.5).name("drop"), x_in).unwrap();
    let two = graph.layer(Dropout::new(0.5).name("other"), x_in).unwrap();
    let both = self::network(graph.build([x_in], [one, two]).unwrap(), 0).unwrap();
    let masks = both
        .forward_all(std::slice::from_ref(&x), Mode::Training(Stream::new(1)))
        .unwrap();
    assert_eq!(
        masks[0].to_vec2::<f32>().unwrap(),
        run(1),
        "another layer beside it changes nothing"
    );
    assert_ne!(masks[1].to_vec2::<f32>().unwrap(), run(1));
    assert!(run(1).iter().flatten().all(|&value| value == 0.0 || value == 2.0));
    assert_eq!(
        network.forward(&x, Mode::Inference).unwrap().to_vec2::<f32>().unwrap(),
        x.to_vec2::<f32>().unwrap()
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32, rng_seed: RngSeed::Fixed(20), failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Whatever is described and fits runs, and has the shape that the description says.
    #[test]
    fn the_output_has_the_described_shape(
        (height, width, channels) in (4u64..10, 4u64..10, 1u64..4),
        kernel in [1usize..4, 1usize..4],
        strides in [1usize..3, 1usize..3],
        same: bool,
        pool in [1usize..4, 1usize..3],
        units in 1usize..6,
    ) {
        let padding = if same { Padding::Same } else { Padding::Valid };
        let spec = ModelSpec::sequential("any")
            .input([height, width, channels])
            .layer(Conv2D::new(3, kernel).strides(strides).padding(padding))
            .layer(MaxPooling2D::new(pool).padding(padding))
            .layer(Flatten::new())
            .layer(Dense::new(units))
            .build();
        // Some windows do not fit; `nn_theory` says so.
        let Ok(spec) = spec else { return Ok(()) };
        let network = network(spec, 0).unwrap();
        let x = random_images(&[2, height as usize, width as usize, channels as usize]);
        let output = network.forward(&x, Mode::Inference).unwrap();
        prop_assert_eq!(output.dims(), &[2, units][..]);
    }
}
