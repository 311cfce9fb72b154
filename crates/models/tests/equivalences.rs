//! Layers that must agree with others, and layers of noise with their distributions.

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Mode, Network};
use nn_theory::{
    AlphaDropout, BatchNormalization, Concatenate, Conv1D, Conv2D, Conv3D, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, Dropout,
    Embedding, GaussianDropout, GaussianNoise, GlobalAveragePooling1D, GroupQueryAttention, LSTM, Masking, ModelSpec,
    MultiHeadAttention, NamedLayer, Padding, Shape, SpatialDropout1D, SpatialDropout2D,
};
use serde_json::json;

fn network(spec: ModelSpec) -> Network {
    Network::new(spec, 6020, &Device::Cpu, DType::F64).unwrap()
}

fn of_one(layer: impl Into<NamedLayer>, sample: &[u64]) -> Network {
    let sample = Shape(sample.iter().map(|&size| Some(size)).collect());
    network(
        ModelSpec::sequential("one")
            .input(sample)
            .layer(layer.into().name("layer"))
            .build()
            .unwrap(),
    )
}

fn random(key: &str, dims: &[usize]) -> Tensor {
    let mut draws = Stream::new(3).op(key).draws();
    let numbers: Vec<f64> = (0..dims.iter().product()).map(|_| draws.normal()).collect();
    Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()
}

fn numbers(x: &Tensor) -> Vec<f64> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn near(a: &Tensor, b: &Tensor) {
    assert_eq!(a.dims(), b.dims());
    for (a, b) in numbers(a).iter().zip(numbers(b)) {
        assert!((a - b).abs() < 1e-12, "{a} and {b}");
    }
}

/// On images of one pixel a convolutional LSTM is an LSTM.
#[test]
fn a_convolution_of_one_pixel_is_a_product() {
    let memory = of_one(LSTM::new(4).return_sequences(true), &[5, 3]);
    let x = random("x", &[2, 5, 3]);
    let expected = memory.forward(&x, Mode::Inference).unwrap();
    let kinds: [(NamedLayer, usize); 3] = [
        (ConvLSTM1D::new(4, [1]).return_sequences(true).into(), 1),
        (ConvLSTM2D::new(4, [1, 1]).return_sequences(true).into(), 2),
        (ConvLSTM3D::new(4, [1, 1, 1]).return_sequences(true).into(), 3),
    ];
    for (layer, sides) in kinds {
        let pixel = vec![1; sides];
        let sample: Vec<u64> = [&[5], vec![1; sides].as_slice(), &[3]].concat();
        let mut network = of_one(layer, &sample);
        let bias = network.weight("layer/conv_lstm_cell/bias").unwrap();
        assert_eq!(
            numbers(&bias.var),
            numbers(&memory.weight("layer/lstm_cell/bias").unwrap().var)
        );
        for name in ["kernel", "recurrent_kernel"] {
            let value = memory
                .weight(&format!("layer/lstm_cell/{name}"))
                .unwrap()
                .var
                .as_tensor()
                .clone();
            let value = value.reshape([pixel.as_slice(), value.dims()].concat()).unwrap();
            network
                .set_weight(&format!("layer/conv_lstm_cell/{name}"), &value)
                .unwrap();
        }
        let images = x.reshape([&[2, 5], pixel.as_slice(), &[3]].concat()).unwrap();
        let found = network.forward(&images, Mode::Inference).unwrap();
        near(&found.reshape(expected.dims()).unwrap(), &expected);
    }
}

/// The first step of a convolutional LSTM: the gates are a convolution of the image.
#[test]
fn the_first_step_is_a_convolution() {
    let padding = Padding::Same;
    let kinds: [(NamedLayer, NamedLayer, Vec<usize>); 4] = [
        (
            ConvLSTM1D::new(2, [3]).strides([2]).into(),
            Conv1D::new(8, [3]).strides([2]).into(),
            vec![7, 3],
        ),
        (
            ConvLSTM2D::new(2, [2, 3]).padding(padding).strides([1, 2]).into(),
            Conv2D::new(8, [2, 3]).padding(padding).strides([1, 2]).into(),
            vec![4, 5, 3],
        ),
        (
            ConvLSTM3D::new(2, [3, 2, 1]).padding(padding).strides([2, 1, 1]).into(),
            Conv3D::new(8, [3, 2, 1]).padding(padding).strides([2, 1, 1]).into(),
            vec![5, 4, 2, 3],
        ),
        (
            ConvLSTM3D::new(2, [2, 2, 2]).dilation_rate([2, 1, 1]).into(),
            Conv3D::new(8, [2, 2, 2]).dilation_rate([2, 1, 1]).into(),
            vec![6, 3, 3, 2],
        ),
    ];
    for (memory, convolution, image) in kinds {
        let of = |dims: &[usize]| dims.iter().map(|&size| size as u64).collect::<Vec<u64>>();
        let memory = of_one(memory, &of(&[&[1], image.as_slice()].concat()));
        let mut convolution = of_one(convolution, &of(&image));
        for name in ["kernel", "bias"] {
            let value = memory.weight(&format!("layer/conv_lstm_cell/{name}")).unwrap();
            convolution.set_weight(&format!("layer/{name}"), &value.var).unwrap();
        }
        let x = random("x", &[&[2], image.as_slice()].concat());
        let gates = convolution.forward(&x, Mode::Inference).unwrap();
        let last = gates.rank() - 1;
        let gate = |index: usize| gates.narrow(last, 2 * index, 2).unwrap();
        let sigmoid = |x: Tensor| ((x * 0.5).unwrap().tanh().unwrap() * 0.5).unwrap() + 0.5;
        let carry = (sigmoid(gate(0)).unwrap() * gate(2).tanh().unwrap()).unwrap();
        let expected = (sigmoid(gate(3)).unwrap() * carry.tanh().unwrap()).unwrap();
        near(
            &memory.forward(&x.unsqueeze(1).unwrap(), Mode::Inference).unwrap(),
            &expected,
        );
    }
}

/// Heads that share keys and values are heads whose keys and values are equal.
#[test]
fn shared_heads_are_equal_heads() {
    let of_two = |layer: NamedLayer| {
        let mut graph = ModelSpec::functional("attention");
        let (a, b) = (
            graph.input_named("a", [4, 6]).unwrap(),
            graph.input_named("b", [5, 6]).unwrap(),
        );
        let out = graph.layer(layer.name("heads"), [a, b]).unwrap();
        network(graph.build([a, b], [out]).unwrap())
    };
    let shared = of_two(GroupQueryAttention::new(3, 4, 2).into());
    let mut equal = of_two(MultiHeadAttention::new(4, 3).into());
    for (path, value) in shared.snapshot().unwrap() {
        let is_shared = path.contains("/key/") || path.contains("/value/");
        let axis = value.rank().saturating_sub(2);
        let value = if is_shared {
            // Heads 0, 0, 1, 1.
            let order = Tensor::new(&[0u32, 0, 1, 1], &Device::Cpu).unwrap();
            value.index_select(&order, axis).unwrap()
        } else {
            value
        };
        equal.set_weight(&path, &value).unwrap();
    }
    let inputs = [random("a", &[2, 4, 6]), random("b", &[2, 5, 6])];
    let run = |network: &Network| network.forward_all(&inputs, Mode::Inference).unwrap().remove(0);
    near(&run(&shared), &run(&equal));
}

/// Statistics of the steps that count are those of the steps alone.
#[test]
fn a_masked_batch_normalization_leaves_fillers_out() {
    let spec = ModelSpec::sequential("masked")
        .input([3, 2])
        .layer(
            NamedLayer::from(Masking::new())
                .name("mask")
                .option("mask_value", 9.0)
                .unwrap(),
        )
        .layer(BatchNormalization::new().name("norm"))
        .build();
    let network = network(spec.unwrap());
    let x = Tensor::new(
        &[
            [[1.0, 2.0], [3.0, 5.0], [9.0, 9.0]],
            [[2.0, -1.0], [9.0, 9.0], [9.0, 9.0]],
        ],
        &Device::Cpu,
    )
    .unwrap();
    let y = network.forward(&x, Mode::Training(Stream::new(0))).unwrap();
    // Values that count: (1, 3, 2) and (2, 5, -1), with means 2 and variances 2/3 and 6.
    let expected = |x: f64, variance: f64| (x - 2.0) / (variance + 1e-3f64).sqrt();
    let found: Vec<Vec<Vec<f64>>> = y.to_vec3().unwrap();
    for (found, expected) in [
        (found[0][0][0], expected(1.0, 2.0 / 3.0)),
        (found[0][1][1], expected(5.0, 6.0)),
        (found[1][0][1], expected(-1.0, 6.0)),
    ] {
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    }
    let variance = numbers(&network.weight("norm/moving_variance").unwrap().var);
    for (found, of_batch) in variance.iter().zip([2.0 / 3.0, 6.0]) {
        assert!((found - (0.99 + 0.01 * of_batch)).abs() < 1e-6);
    }
}

/// Words with a mask beside words without one: a step is masked only where every part of it is.
#[test]
fn masks_are_joined_as_the_tensors_are() {
    let mut graph = ModelSpec::functional("joined");
    let words = graph.input_named("words", [4]).unwrap();
    let masked = graph
        .layer(Embedding::new(9, 2).mask_zero(true).name("masked"), words)
        .unwrap();
    let plain = graph.layer(Embedding::new(9, 2).name("plain"), words).unwrap();
    let mean = |name: &str| GlobalAveragePooling1D::new().name(name);
    let along_features = graph
        .layer(Concatenate::new().name("features"), [masked, plain])
        .unwrap();
    let along_steps = graph
        .layer(Concatenate::new().axis(1).name("steps"), [masked, plain])
        .unwrap();
    let outputs = [
        graph.layer(mean("mean of features"), along_features).unwrap(),
        graph.layer(mean("mean of steps"), along_steps).unwrap(),
    ];
    let network = network(graph.build(words, outputs).unwrap());
    let words = Tensor::new(&[[3i64, 5, 0, 0]], &Device::Cpu).unwrap();
    let found = network.forward_all(&[words], Mode::Inference).unwrap();
    let rows = |name: &str| -> Vec<Vec<f64>> {
        network
            .weight(&format!("{name}/embeddings"))
            .unwrap()
            .var
            .to_vec2()
            .unwrap()
    };
    let (masked, plain) = (rows("masked"), rows("plain"));
    let mean = |column: usize, parts: &[(&[Vec<f64>], usize)]| {
        parts.iter().map(|(rows, word)| rows[*word][column]).sum::<f64>() / parts.len() as f64
    };
    let all_plain: [(&[Vec<f64>], usize); 4] = [(&plain, 3), (&plain, 5), (&plain, 0), (&plain, 0)];
    let all_masked: [(&[Vec<f64>], usize); 4] = [(&masked, 3), (&masked, 5), (&masked, 0), (&masked, 0)];
    // Along the features every step has an unmasked part.
    let features = numbers(&found[0]);
    assert!((features[0] - mean(0, &all_masked)).abs() < 1e-12 && (features[3] - mean(1, &all_plain)).abs() < 1e-12);
    let joined = [&all_masked[..2], &all_plain].concat();
    assert!((numbers(&found[1])[1] - mean(1, &joined)).abs() < 1e-12);
}

/// Mean and variance within four standard errors, and nothing in inference.
#[test]
fn noise_has_its_distribution() {
    let rate = 0.3f64;
    let rows: [(NamedLayer, f64, f64, f64); 4] = [
        (GaussianNoise::new(0.5).into(), 1.0, 0.25, 3.0),
        (GaussianDropout::new(rate).into(), 1.0, rate / (1.0 - rate), 3.0),
        (Dropout::new(rate).into(), 1.0, rate / (1.0 - rate), 3.0),
        (SpatialDropout1D::new(rate).into(), 1.0, rate / (1.0 - rate), 3.0),
    ];
    for (layer, mean, variance, kurtosis) in rows {
        let class = layer.layer().class().to_string();
        let network = of_one(layer, &[1, 500]);
        let ones = Tensor::ones((40, 1, 500), DType::F64, &Device::Cpu).unwrap();
        assert_eq!(
            numbers(&network.forward(&ones, Mode::Inference).unwrap()),
            vec![1.0; 20_000]
        );
        let values = numbers(&network.forward(&ones, Mode::Training(Stream::new(7))).unwrap());
        let n = values.len() as f64;
        let found = values.iter().sum::<f64>() / n;
        let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
        assert!(
            (found - mean).abs() < 4.0 * (variance / n).sqrt(),
            "{class}: mean {found}"
        );
        assert!(
            (spread - variance).abs() < 4.0 * variance * (kurtosis / n).sqrt(),
            "{class}: variance {spread}"
        );
    }
}

/// What goes in with mean 0 and variance 1 comes out so.
#[test]
fn alpha_dropout_keeps_mean_and_variance() {
    let network = of_one(AlphaDropout::new(0.2), &[500]);
    let x = random("x", &[200, 500]);
    let y = numbers(&network.forward(&x, Mode::Training(Stream::new(1))).unwrap());
    let n = y.len() as f64;
    let mean = y.iter().sum::<f64>() / n;
    let variance = y.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    assert!(mean.abs() < 4.0 / n.sqrt(), "mean {mean}");
    assert!((variance - 1.0).abs() < 0.02, "variance {variance}");
}

#[test]
fn one_draw_may_serve_many_values() {
    let ones = Tensor::ones((3, 4, 5, 6), DType::F64, &Device::Cpu).unwrap();
    let constant_along = |layer: NamedLayer, axes: &[usize], free: &[usize]| {
        let y = of_one(layer, &[4, 5, 6])
            .forward(&ones, Mode::Training(Stream::new(2)))
            .unwrap();
        for &axis in axes {
            let first = y.narrow(axis, 0, 1).unwrap().broadcast_as(y.shape()).unwrap();
            near(&y, &first.contiguous().unwrap());
        }
        for &axis in free {
            let first = y.narrow(axis, 0, 1).unwrap().broadcast_as(y.shape()).unwrap();
            assert_ne!(numbers(&y), numbers(&first.contiguous().unwrap()), "axis {axis}");
        }
    };
    constant_along(SpatialDropout2D::new(0.5).into(), &[1, 2], &[0, 3]);
    let first = NamedLayer::from(SpatialDropout2D::new(0.5))
        .option("data_format", json!("channels_first"))
        .unwrap();
    constant_along(first, &[2, 3], &[0, 1]);
    let noise_shape = vec![Some(1), None, Some(1), None];
    constant_along(
        Dropout::new(0.5).noise_shape(Some(noise_shape)).into(),
        &[0, 2],
        &[1, 3],
    );
    // A rate of 1 drops everything.
    let y = of_one(Dropout::new(1.0), &[4, 5, 6])
        .forward(&ones, Mode::Training(Stream::new(2)))
        .unwrap();
    assert_eq!(numbers(&y), vec![0.0; 360]);
}

/// The draws of a sample do not depend on what else is in the batch.
#[test]
fn noise_belongs_to_the_sample() {
    for layer in [
        NamedLayer::from(Dropout::new(0.5)),
        GaussianNoise::new(1.0).into(),
        AlphaDropout::new(0.5).into(),
    ] {
        let network = of_one(layer, &[20]);
        let x = random("x", &[6, 20]);
        let all = network.forward(&x, Mode::Training(Stream::new(5))).unwrap();
        let few = network
            .forward(&x.narrow(0, 0, 2).unwrap(), Mode::Training(Stream::new(5)))
            .unwrap();
        near(&all.narrow(0, 0, 2).unwrap(), &few);
    }
}
