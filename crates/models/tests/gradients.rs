//! Every layer that runs, against central differences in f64: the gradients of its inputs and of its weights.

mod rows;

use std::collections::BTreeSet;

use candle_core::{DType, Device, Tensor, Var};
use kernels::random::Stream;
use models::{Mode, Network, RUNNABLE};
use nn_theory::ModelSpec;
use serde_json::{Value, json};

const STEP: f64 = 1e-5;

/// A model of one layer, `layer`, that reads inputs of these shapes (without the batch).
fn spec(class: &str, config: &Value, shapes: &[&[usize]]) -> ModelSpec {
    let mut config = config.clone();
    config["name"] = json!("layer");
    let mut layers = Vec::new();
    let (mut tensors, mut ends) = (Vec::new(), Vec::new());
    for (index, shape) in shapes.iter().enumerate() {
        let name = format!("input_{index}");
        let mut batch_shape = vec![Value::Null];
        batch_shape.extend(shape.iter().map(|&size| json!(size)));
        layers.push(json!({
            "class_name": "InputLayer", "name": name, "config": {"name": name, "batch_shape": batch_shape}, "inbound_nodes": [],
        }));
        tensors.push(json!({
            "class_name": "__keras_tensor__",
            "config": {"shape": batch_shape, "dtype": "float32", "keras_history": [name, 0, 0]},
        }));
        ends.push(json!([name, 0, 0]));
    }
    // These take their inputs one by one, all others as a list.
    let separate = matches!(class, "MultiHeadAttention" | "GroupQueryAttention");
    let arguments = if separate || tensors.len() == 1 {
        json!(tensors)
    } else {
        json!([tensors])
    };
    layers.push(json!({
        "class_name": class, "name": "layer", "config": config, "inbound_nodes": [{"args": arguments, "kwargs": {}}],
    }));
    let model = json!({
        "class_name": "Functional",
        "config": {"name": "one", "layers": layers, "input_layers": ends, "output_layers": [["layer", 0, 0]]},
    });
    ModelSpec::from_keras_json(&model.to_string()).unwrap()
}

/// Numbers that differ by 0.02 and keep 0.005 away from the kinks (multiples of 0.02), in random order: within a step no
/// maximum changes hands and no kink is crossed.
fn distinct(key: &str, dims: &[usize]) -> Tensor {
    let count: usize = dims.iter().product();
    let order = Stream::new(6020).op(key).draws().permutation(count);
    let numbers: Vec<f64> = order
        .into_iter()
        .map(|i| (i as f64 - (count / 2) as f64 + 0.25) * 0.02)
        .collect();
    Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The sum of the outputs, each with its own random weight, so that no two of them are exchangeable.
fn objective(network: &Network, inputs: &[Tensor], mode: Mode) -> Tensor {
    let output = network.forward_all(inputs, mode).unwrap().remove(0);
    let mut draws = Stream::new(99).draws();
    let upstream: Vec<f64> = (0..output.elem_count()).map(|_| draws.normal()).collect();
    let upstream = Tensor::from_vec(upstream, output.dims(), &Device::Cpu).unwrap();
    (output * upstream).unwrap().sum_all().unwrap()
}

/// The derivatives of `value` at up to 40 of the numbers of `at`, by central differences.
fn differences(at: &Tensor, mut value: impl FnMut(&Tensor) -> f64) -> Vec<(usize, f64)> {
    let original = numbers(at);
    (0..original.len())
        .step_by(original.len().div_ceil(40).max(1))
        .map(|place| {
            let mut moved = |by: f64| {
                let mut numbers = original.clone();
                numbers[place] += by;
                value(&Tensor::from_vec(numbers, at.dims(), &Device::Cpu).unwrap())
            };
            (place, (moved(STEP) - moved(-STEP)) / (2.0 * STEP))
        })
        .collect()
}

#[track_caller]
fn agree(what: &str, gradient: &Tensor, expected: &[(usize, f64)]) {
    let gradient = numbers(gradient);
    let scale = expected.iter().fold(1.0f64, |scale, (_, d)| scale.max(d.abs()));
    for &(place, expected) in expected {
        let found = gradient[place];
        assert!(
            (found - expected).abs() <= 1e-6 * scale,
            "{what}, number {place}: gradient {found}, by differences {expected}"
        );
    }
}

#[track_caller]
fn check(class: &str, config: Value, shapes: &[&[usize]]) {
    let what = format!("{class} {config} on {shapes:?}");
    for mode in [Mode::Inference, Mode::Training(Stream::new(5).op("forward"))] {
        let mut network = Network::new(spec(class, &config, shapes), 3, &Device::Cpu, DType::F64).unwrap();
        let variables: Vec<Var> = shapes
            .iter()
            .enumerate()
            .map(|(index, shape)| {
                let dims: Vec<usize> = [&[3], *shape].concat();
                // No value of one input equals one of another.
                let values = (distinct(&format!("input {index}"), &dims) + index as f64 * 0.003).unwrap();
                Var::from_tensor(&values).unwrap()
            })
            .collect();
        let inputs: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
        let gradients = objective(&network, &inputs, mode).backward().unwrap();
        for (index, variable) in variables.iter().enumerate() {
            let expected = differences(variable, |moved| {
                let mut inputs = inputs.clone();
                inputs[index] = moved.clone();
                objective(&network, &inputs, mode).to_scalar().unwrap()
            });
            let gradient = gradients.get(variable).expect("a gradient got lost");
            agree(&format!("{what}: input {index}"), gradient, &expected);
        }
        let weights: Vec<_> = network.weights().filter(|weight| weight.trainable).cloned().collect();
        for weight in weights {
            // `copy`, because the weight itself moves.
            let start = weight.var.as_tensor().copy().unwrap();
            let expected = differences(&start, |moved| {
                network.set_weight(&weight.path, moved).unwrap();
                objective(&network, &inputs, mode).to_scalar().unwrap()
            });
            network.set_weight(&weight.path, &start).unwrap();
            let gradient = gradients.get(&weight.var).expect("a gradient got lost");
            agree(&format!("{what}: {}", weight.path), gradient, &expected);
        }
    }
}

/// Configurations of every class, on odd sizes where the class knows sizes.
fn table() -> Vec<(&'static str, Value, Vec<&'static [usize]>)> {
    let glorot = json!({"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": null}});
    let normal = json!({
        "module": "keras.initializers", "class_name": "RandomNormal", "config": {"mean": 0.5, "stddev": 0.5, "seed": null},
    });
    let image: &[usize] = &[7, 5, 2];
    let dense = |activation: &str, bias: bool| {
        json!({
            "units": 3, "activation": activation, "use_bias": bias, "kernel_initializer": glorot, "bias_initializer": normal,
        })
    };
    let conv = |kernel: [usize; 2], strides: [usize; 2], padding: &str, dilation: [usize; 2], groups: usize| {
        json!({
            "filters": 4, "kernel_size": kernel, "strides": strides, "padding": padding, "dilation_rate": dilation,
            "groups": groups, "activation": "tanh", "use_bias": true, "kernel_initializer": glorot,
            "bias_initializer": normal, "data_format": "channels_last",
        })
    };
    let mut channels_first = conv([2, 3], [1, 1], "same", [1, 1], 1);
    channels_first["data_format"] = json!("channels_first");
    let mut table = vec![
        ("InputLayer", json!({}), vec![]),
        ("Dense", dense("tanh", true), vec![&[5][..]]),
        ("Dense", dense("softmax", false), vec![&[2, 5]]),
        ("Conv2D", conv([3, 3], [1, 1], "valid", [1, 1], 1), vec![image]),
        ("Conv2D", conv([2, 3], [2, 3], "same", [1, 1], 2), vec![image]),
        ("Conv2D", conv([3, 2], [1, 1], "same", [2, 3], 1), vec![image]),
        ("Conv2D", channels_first, vec![&[2, 5, 7]]),
        ("Flatten", json!({"data_format": "channels_last"}), vec![image]),
        ("Flatten", json!({"data_format": "channels_first"}), vec![&[2, 3, 5]]),
        ("Reshape", json!({"target_shape": [-1, 7]}), vec![image]),
        (
            "Dropout",
            json!({"rate": 0.4, "seed": null, "noise_shape": null}),
            vec![image],
        ),
        (
            "Dropout",
            json!({"rate": 0.4, "seed": 7, "noise_shape": null}),
            vec![&[11]],
        ),
        ("Activation", json!({"activation": "softsign"}), vec![&[9]]),
        (
            "ReLU",
            json!({"max_value": null, "negative_slope": 0.0, "threshold": 0.0}),
            vec![&[9]],
        ),
        (
            "ReLU",
            json!({"max_value": 0.1, "negative_slope": 0.2, "threshold": 0.04}),
            vec![&[9]],
        ),
        (
            "ReLU",
            json!({"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}),
            vec![&[9]],
        ),
        ("LeakyReLU", json!({"negative_slope": 0.3}), vec![&[9]]),
        ("Softmax", json!({"axis": -1}), vec![&[4, 3]]),
        ("Softmax", json!({"axis": 1}), vec![&[4, 3]]),
        (
            "ZeroPadding2D",
            json!({"padding": [[1, 0], [2, 3]], "data_format": "channels_last"}),
            vec![image],
        ),
        (
            "ZeroPadding2D",
            json!({"padding": [[0, 2], [1, 0]], "data_format": "channels_first"}),
            vec![image],
        ),
        ("Add", json!({}), vec![&[3, 2], &[3, 2], &[3, 2]]),
        ("Concatenate", json!({"axis": -1}), vec![&[3, 2], &[3, 4]]),
        ("Concatenate", json!({"axis": 1}), vec![&[3, 2], &[1, 2]]),
    ];
    for (axis, scale, center) in [(-1, true, true), (1, true, false), (-1, false, true)] {
        let config = json!({
            "axis": axis, "momentum": 0.9, "epsilon": 0.001, "center": center, "scale": scale,
            "gamma_initializer": normal, "beta_initializer": normal, "moving_mean_initializer": normal,
        });
        table.push(("BatchNormalization", config, vec![image]));
    }
    for class in ["MaxPooling2D", "AveragePooling2D"] {
        for padding in ["valid", "same"] {
            for (size, strides) in [([2, 2], [2, 2]), ([3, 2], [1, 3]), ([3, 3], [2, 2])] {
                let config = json!({
                    "pool_size": size, "strides": strides, "padding": padding, "data_format": "channels_last",
                });
                table.push((class, config.clone(), vec![image]));
                table.push((class, config, vec![&[3, 11, 1]]));
            }
        }
    }
    for class in ["GlobalMaxPooling2D", "GlobalAveragePooling2D"] {
        for (format, keepdims) in [("channels_last", false), ("channels_first", true)] {
            table.push((class, json!({"data_format": format, "keepdims": keepdims}), vec![image]));
        }
    }
    table
}

/// Layers of sequences.
fn sequences() -> Vec<(&'static str, Value, Vec<&'static [usize]>)> {
    let normal = json!({
        "module": "keras.initializers", "class_name": "RandomNormal", "config": {"mean": 0.1, "stddev": 0.5, "seed": null},
    });
    let recurrent = |options: Value| {
        let mut config = json!({"units": 3, "bias_initializer": normal, "dropout": 0.3});
        for (key, value) in options.as_object().unwrap() {
            config[key.as_str()] = value.clone();
        }
        config
    };
    let wrapped = |class: &str, config: Value| json!({"module": "keras.layers", "class_name": class, "config": config});
    let heads = json!({"num_heads": 2, "key_dim": 3, "value_dim": 2, "bias_initializer": normal, "dropout": 0.3});
    let mut table = vec![
        (
            "SimpleRNN",
            recurrent(json!({"return_sequences": true})),
            vec![&[4, 2][..]],
        ),
        (
            "SimpleRNN",
            recurrent(json!({"recurrent_dropout": 0.4, "go_backwards": true})),
            vec![&[4, 2]],
        ),
        (
            "LSTM",
            recurrent(json!({"return_sequences": true, "return_state": true})),
            vec![&[4, 2]],
        ),
        (
            "LSTM",
            recurrent(json!({"recurrent_dropout": 0.4, "activation": "softsign"})),
            vec![&[4, 2]],
        ),
        ("LSTM", recurrent(json!({})), vec![&[4, 2], &[3], &[3]]),
        (
            "GRU",
            recurrent(json!({"return_sequences": true, "go_backwards": true})),
            vec![&[4, 2]],
        ),
        ("GRU", recurrent(json!({"recurrent_dropout": 0.4})), vec![&[4, 2]]),
        (
            "GRU",
            recurrent(json!({"recurrent_dropout": 0.4, "reset_after": false})),
            vec![&[4, 2], &[3]],
        ),
        (
            "Bidirectional",
            json!({"layer": wrapped("LSTM", recurrent(json!({"name": "memory", "return_sequences": true}))), "merge_mode": "mul"}),
            vec![&[4, 2]],
        ),
        (
            "Bidirectional",
            json!({"layer": wrapped("GRU", recurrent(json!({"name": "memory"}))), "merge_mode": "ave"}),
            vec![&[4, 2], &[3], &[3]],
        ),
        (
            "TimeDistributed",
            json!({"layer": wrapped("Dense", json!({"name": "dense", "units": 3, "activation": "tanh"}))}),
            vec![&[4, 2]],
        ),
        (
            "TimeDistributed",
            json!({"layer": wrapped("BatchNormalization", json!({"name": "norm"}))}),
            vec![&[4, 2]],
        ),
        (
            "Attention",
            json!({"use_scale": true, "score_mode": "dot", "dropout": 0.3}),
            vec![&[4, 3], &[5, 3]],
        ),
        (
            "Attention",
            json!({"use_scale": true, "score_mode": "concat"}),
            vec![&[4, 3], &[5, 2], &[5, 3]],
        ),
        (
            "AdditiveAttention",
            json!({"use_scale": true, "dropout": 0.3}),
            vec![&[4, 3], &[5, 3]],
        ),
        ("MultiHeadAttention", heads.clone(), vec![&[4, 5], &[3, 2]]),
        (
            "MultiHeadAttention",
            {
                let mut heads = heads;
                heads["output_shape"] = json!([2, 3]);
                heads["sliding_window"] = json!(2);
                heads
            },
            vec![&[4, 5], &[3, 2], &[3, 4]],
        ),
        (
            "GroupQueryAttention",
            json!({"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2, "bias_initializer": normal}),
            vec![&[4, 5], &[3, 2]],
        ),
        (
            "EinsumDense",
            json!({"equation": "abc,cde->aebd", "output_shape": [3, 4, 2], "bias_axes": "d", "activation": "tanh"}),
            vec![&[4, 5]],
        ),
        ("Masking", json!({"mask_value": 0.0}), vec![&[4, 2]]),
        // Its input are indices, which have no gradient; Keras' cases hold that of its vectors.
        ("Embedding", json!({}), vec![]),
    ];
    let memory = |options: Value| {
        let mut config = json!({"filters": 2, "bias_initializer": normal, "return_sequences": true});
        for (key, value) in options.as_object().unwrap() {
            config[key.as_str()] = value.clone();
        }
        config
    };
    table.push((
        "ConvLSTM1D",
        memory(json!({"kernel_size": [2], "strides": [2], "dropout": 0.3})),
        vec![&[3, 5, 2]],
    ));
    table.push((
        "ConvLSTM2D",
        memory(json!({"kernel_size": [2, 3], "padding": "same", "data_format": "channels_first", "recurrent_dropout": 0.3})),
        vec![&[2, 2, 4, 3]],
    ));
    table.push((
        "ConvLSTM3D",
        memory(json!({"kernel_size": [2, 1, 2], "padding": "same", "strides": [2, 1, 1], "go_backwards": true})),
        vec![&[2, 3, 2, 2, 1]],
    ));
    table
}

/// Layers without weights, or with one for each value.
fn shapes_and_noise() -> Vec<(&'static str, Value, Vec<&'static [usize]>)> {
    let image: &[usize] = &[4, 3, 2];
    let volume: &[usize] = &[3, 4, 2, 2];
    let normal = json!({"class_name": "RandomNormal", "config": {"mean": 0.5, "stddev": 0.5, "seed": null}});
    let mut table = vec![
        ("Identity", json!({}), vec![image]),
        ("ActivityRegularization", json!({"l1": 0.5, "l2": 0.5}), vec![image]),
        ("Rescaling", json!({"scale": 0.5, "offset": -1.0}), vec![image]),
        (
            "Rescaling",
            json!({"scale": [0.5, 2.0], "offset": [1.0, 0.0]}),
            vec![image],
        ),
        ("GaussianDropout", json!({"rate": 0.3}), vec![image]),
        ("GaussianNoise", json!({"stddev": 0.3}), vec![image]),
        ("AlphaDropout", json!({"rate": 0.3}), vec![image]),
        ("SpatialDropout1D", json!({"rate": 0.3}), vec![&[4, 3][..]]),
        (
            "SpatialDropout2D",
            json!({"rate": 0.3, "data_format": "channels_first"}),
            vec![image],
        ),
        ("SpatialDropout3D", json!({"rate": 0.3}), vec![volume]),
        (
            "Dropout",
            json!({"rate": 0.4, "noise_shape": [null, 1, null]}),
            vec![&[4, 3]],
        ),
        ("Activation", json!({"activation": "hard_silu"}), vec![&[9]]),
        ("Activation", json!({"activation": "glu"}), vec![&[8]]),
        ("Dense", json!({"units": 3, "activation": "squareplus"}), vec![&[5]]),
        ("Softmax", json!({"axis": [1, -1]}), vec![image]),
        ("ELU", json!({"alpha": 0.7}), vec![&[9]]),
        ("PReLU", json!({"alpha_initializer": normal}), vec![&[4, 3]]),
        (
            "PReLU",
            json!({"alpha_initializer": normal, "shared_axes": [1]}),
            vec![&[4, 3]],
        ),
        ("Permute", json!({"dims": [3, 1, 2]}), vec![image]),
        ("RepeatVector", json!({"n": 3}), vec![&[5]]),
        ("ZeroPadding1D", json!({"padding": [1, 2]}), vec![&[4, 3]]),
        (
            "ZeroPadding3D",
            json!({"padding": [[1, 0], [0, 2], [1, 1]]}),
            vec![volume],
        ),
        ("Cropping1D", json!({"cropping": [1, 2]}), vec![&[4, 3]]),
        (
            "Cropping2D",
            json!({"cropping": [[1, 0], [0, 1]], "data_format": "channels_first"}),
            vec![image],
        ),
        (
            "Cropping3D",
            json!({"cropping": [[1, 0], [0, 2], [1, 0]]}),
            vec![volume],
        ),
        ("UpSampling1D", json!({"size": 3}), vec![&[4, 3]]),
        ("UpSampling3D", json!({"size": [2, 1, 3]}), vec![volume]),
        ("Subtract", json!({}), vec![&[3, 2], &[3, 2]]),
        ("Multiply", json!({}), vec![&[3, 2], &[1, 2], &[3, 2]]),
        ("Average", json!({}), vec![&[3, 2], &[3, 2], &[3, 2]]),
        ("Maximum", json!({}), vec![&[3, 2], &[3, 2], &[1, 2]]),
        ("Minimum", json!({}), vec![&[3, 2], &[3, 2]]),
        (
            "Dot",
            json!({"axes": [2, 1], "normalize": true}),
            vec![&[4, 3], &[3, 2]],
        ),
        ("Dot", json!({"axes": [-1, -1]}), vec![&[2, 4, 3], &[3]]),
    ];
    for interpolation in ["nearest", "bilinear", "bicubic", "lanczos3"] {
        let config = json!({"size": [2, 3], "data_format": "channels_last", "interpolation": interpolation});
        table.push(("UpSampling2D", config, vec![image]));
    }
    table
}

#[test]
fn every_layer_that_runs_has_the_gradients_of_its_values() {
    let mut checked = BTreeSet::new();
    let rows = table().into_iter().chain(sequences()).chain(shapes_and_noise());
    for (class, config, shapes) in rows.chain(rows::convolution::rows()) {
        checked.insert(class);
        if !shapes.is_empty() {
            check(class, config, &shapes);
        }
    }
    assert_eq!(
        checked,
        RUNNABLE.iter().copied().collect(),
        "a layer that runs has no row in the table"
    );
}

/// A maximum that several places share belongs to the first of them, as in Keras; nothing is lost or counted twice.
#[test]
fn the_first_of_equal_maxima_gets_the_gradient() {
    let config = |strides: [usize; 2], padding: &str| json!({"pool_size": [2, 2], "strides": strides, "padding": padding, "data_format": "channels_last"});
    let rows: [(Value, &[usize], Vec<f64>); 3] = [
        (
            config([2, 2], "valid"),
            &[3, 3, 1],
            vec![1., 0., 0., 0., 0., 0., 0., 0., 0.],
        ),
        (
            config([2, 2], "same"),
            &[3, 3, 1],
            vec![1., 0., 1., 0., 0., 0., 1., 0., 1.],
        ),
        (
            config([1, 1], "valid"),
            &[3, 3, 1],
            vec![1., 1., 0., 1., 1., 0., 0., 0., 0.],
        ),
    ];
    for (config, shape, expected) in rows {
        let network = Network::new(spec("MaxPooling2D", &config, &[shape]), 0, &Device::Cpu, DType::F64).unwrap();
        let x = Var::from_tensor(&Tensor::full(-2.0, (1, 3, 3, 1), &Device::Cpu).unwrap()).unwrap();
        let loss = network.forward(&x, Mode::Inference).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        assert_eq!(numbers(gradients.get(&x).unwrap()), expected, "{config}");
    }
}

/// At a kink the derivative is that of the left side, as TensorFlow has it.
#[test]
fn rectifiers_have_tensorflows_derivative_on_their_kinks() {
    let rows = [
        ("LeakyReLU", json!({"negative_slope": 0.3}), 0.0, 0.3),
        (
            "ReLU",
            json!({"max_value": 1.5, "negative_slope": 0.0, "threshold": 0.0}),
            0.0,
            0.0,
        ),
        (
            "ReLU",
            json!({"max_value": 1.5, "negative_slope": 0.0, "threshold": 0.0}),
            1.5,
            1.0,
        ),
        (
            "ReLU",
            json!({"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}),
            6.0,
            0.0,
        ),
        (
            "ReLU",
            json!({"max_value": null, "negative_slope": 0.25, "threshold": 1.0}),
            1.0,
            0.25,
        ),
    ];
    for (class, config, at, expected) in rows {
        let network = Network::new(spec(class, &config, &[&[1]]), 0, &Device::Cpu, DType::F64).unwrap();
        let x = Var::from_tensor(&Tensor::full(at, (1, 1), &Device::Cpu).unwrap()).unwrap();
        let gradients = network.forward(&x, Mode::Inference).unwrap().backward().unwrap();
        assert_eq!(
            numbers(gradients.get(&x).unwrap()),
            [expected],
            "{class} {config} at {at}"
        );
    }
}
