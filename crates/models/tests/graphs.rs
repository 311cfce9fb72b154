//! Graphs: shared layers, nested models, several inputs and outputs, states, masks, calls with arguments.

use candle_core::{DType, Device, Tensor, Var};
use kernels::random::Stream;
use models::{Error, Mode, Network};
use nn_theory::{
    Activation, Add, BatchNormalization, Bidirectional, Concatenate, Dense, Dropout, Embedding, GRU,
    GlobalAveragePooling1D, LSTM, Masking, ModelSpec, MultiHeadAttention, NamedLayer, Shape, TimeDistributed,
};
use serde_json::{Value, json};

fn network(spec: ModelSpec) -> Network {
    Network::new(spec, 6020, &Device::Cpu, DType::F64).unwrap()
}

fn random(key: &str, dims: &[usize]) -> Tensor {
    let mut draws = Stream::new(3).op(key).draws();
    let numbers: Vec<f64> = (0..dims.iter().product()).map(|_| draws.normal()).collect();
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

#[track_caller]
fn near(a: &Tensor, b: &Tensor) {
    assert_eq!(a.dims(), b.dims());
    for (a, b) in numbers(a).iter().zip(numbers(b)) {
        assert!((a - b).abs() < 1e-12, "{a} and {b}");
    }
}

fn paths(network: &Network) -> Vec<&str> {
    network.weights().map(|weight| weight.path.as_str()).collect()
}

/// Training stays the same when the description is written as Keras' JSON and read again.
fn through_json(spec: &ModelSpec) -> ModelSpec {
    ModelSpec::from_keras_json(&spec.to_keras_json()).unwrap()
}

#[test]
fn a_shared_layer_has_one_set_of_weights_whose_gradients_add() {
    let mut graph = ModelSpec::functional("siamese");
    let (a, b) = (
        graph.input_named("a", [3]).unwrap(),
        graph.input_named("b", [3]).unwrap(),
    );
    let first = graph
        .layer(Dense::new(2).activation(Activation::Tanh).name("tower"), a)
        .unwrap();
    let second = graph.again(first, b).unwrap();
    let both = graph.layer(Concatenate::new().name("both"), [first, second]).unwrap();
    let spec = graph.build([a, b], [both, first]).unwrap();
    for spec in [through_json(&spec), spec] {
        let network = network(spec);
        assert_eq!(paths(&network), ["tower/kernel", "tower/bias"]);
        let (x, y) = (random("x", &[4, 3]), random("y", &[4, 3]));
        let outputs = network.forward_all(&[x.clone(), y.clone()], Mode::Inference).unwrap();
        let kernel = &network.weight("tower/kernel").unwrap().var;
        let tower = |x: &Tensor| x.matmul(kernel).unwrap().tanh().unwrap();
        near(&outputs[0], &Tensor::cat(&[tower(&x), tower(&y)], 1).unwrap());
        near(&outputs[1], &tower(&x));
        let gradient = |loss: Tensor| loss.sum_all().unwrap().backward().unwrap().get(kernel).unwrap().clone();
        let expected = (gradient(tower(&x)) + gradient(tower(&y))).unwrap();
        near(&gradient(outputs[0].clone()), &expected);
    }
}

#[test]
fn calls_of_a_shared_dropout_draw_different_numbers() {
    let mut graph = ModelSpec::functional("two");
    let x = graph.input_named("x", [100]).unwrap();
    let first = graph.layer(Dropout::new(0.5).name("drop"), x).unwrap();
    let second = graph.again(first, x).unwrap();
    let network = network(graph.build(x, [first, second]).unwrap());
    let ones = Tensor::ones((1, 100), DType::F64, &Device::Cpu).unwrap();
    let masks = network.forward_all(&[ones], Mode::Training(Stream::new(1))).unwrap();
    assert_ne!(numbers(&masks[0]), numbers(&masks[1]));
}

fn encoder() -> ModelSpec {
    ModelSpec::sequential("encoder")
        .input([3])
        .layer(Dense::new(4).activation(Activation::Tanh).name("hidden"))
        .layer(BatchNormalization::new().name("norm"))
        .layer(Dropout::new(0.5).name("drop"))
        .build()
        .unwrap()
}

fn with_encoder(trainable: bool) -> ModelSpec {
    let mut graph = ModelSpec::functional("nested");
    let (a, b) = (
        graph.input_named("a", [3]).unwrap(),
        graph.input_named("b", [3]).unwrap(),
    );
    let encoder = NamedLayer::from(encoder()).trainable(trainable);
    let first = graph.layer(encoder, a).unwrap();
    let second = graph.again(first, b).unwrap();
    let sum = graph.layer(Add::new().name("sum"), [first, second]).unwrap();
    let out = graph.layer(Dense::new(1).name("out"), sum).unwrap();
    graph.build([a, b], [out]).unwrap()
}

#[test]
fn a_nested_model_runs_with_its_names_in_front() {
    for spec in [with_encoder(true), through_json(&with_encoder(true))] {
        let nested = network(spec);
        assert_eq!(
            paths(&nested),
            [
                "encoder/hidden/kernel",
                "encoder/hidden/bias",
                "encoder/norm/gamma",
                "encoder/norm/beta",
                "encoder/norm/moving_mean",
                "encoder/norm/moving_variance",
                "out/kernel",
                "out/bias"
            ]
        );
        // The same layers without nesting.
        let mut alone = network(encoder());
        for (path, value) in nested.snapshot().unwrap() {
            if let Some(path) = path.strip_prefix("encoder/") {
                alone.set_weight(path, &value).unwrap();
            }
        }
        let (x, y) = (random("x", &[5, 3]), random("y", &[5, 3]));
        let output = nested.forward_all(&[x.clone(), y.clone()], Mode::Inference).unwrap();
        let hidden =
            (alone.forward(&x, Mode::Inference).unwrap() + alone.forward(&y, Mode::Inference).unwrap()).unwrap();
        let kernel = nested.weight("out/kernel").unwrap().var.as_tensor();
        near(&output[0], &hidden.matmul(kernel).unwrap());
    }
}

#[test]
fn a_nested_model_is_frozen_and_thawed_as_a_whole_or_in_parts() {
    let trained = |network: &Network| -> Vec<String> {
        let weights = network.weights().filter(|weight| weight.trainable);
        weights.map(|weight| weight.path.clone()).collect()
    };
    let all = [
        "encoder/hidden/kernel",
        "encoder/hidden/bias",
        "encoder/norm/gamma",
        "encoder/norm/beta",
        "out/kernel",
        "out/bias",
    ];
    let inputs = [random("x", &[5, 3]), random("y", &[5, 3])];
    let mean = |network: &Network| numbers(&network.weight("encoder/norm/moving_mean").unwrap().var);
    let pass = |network: &Network| network.forward_all(&inputs, Mode::Training(Stream::new(0))).unwrap();

    let mut frozen = network(with_encoder(false));
    assert_eq!(trained(&frozen), all[4..]);
    let before = mean(&frozen);
    pass(&frozen);
    assert_eq!(mean(&frozen), before, "a frozen model keeps its statistics");
    frozen.set_trainable("encoder", true).unwrap();
    assert_eq!(trained(&frozen), all);
    pass(&frozen);
    assert_ne!(mean(&frozen), before);

    // The flag of the call counts, not the one that the model had on its own.
    let mut graph = ModelSpec::functional("thawed");
    let x = graph.input_named("x", [3]).unwrap();
    let alone = ModelSpec::sequential("encoder").trainable(false).input([3]);
    let alone = alone.layer(BatchNormalization::new().name("norm")).build().unwrap();
    let y = graph.layer(NamedLayer::from(alone).trainable(true), x).unwrap();
    let thawed = self::network(graph.build(x, [y]).unwrap());
    assert_eq!(trained(&thawed), ["encoder/norm/gamma", "encoder/norm/beta"]);
    let before = mean(&thawed);
    thawed.forward(&inputs[0], Mode::Training(Stream::new(0))).unwrap();
    assert_ne!(mean(&thawed), before);

    let mut network = network(with_encoder(true));
    network.freeze("encoder/hidden").unwrap();
    assert_eq!(trained(&network), all[2..]);
    network.freeze("encoder/norm/beta").unwrap();
    assert_eq!(trained(&network), [all[2], all[4], all[5]]);
    assert!(network.freeze("encoder/hid").is_err());
}

/// A functional model with one layer in Keras' JSON, called with these keywords.
fn called(layer: Value, batch_shape: Value, keywords: Value) -> nn_theory::Result<ModelSpec> {
    let name = layer["config"]["name"].clone();
    let mut layer = layer;
    layer["name"] = name.clone();
    layer["inbound_nodes"] = json!([{
        "args": [{"class_name": "__keras_tensor__", "config": {"shape": batch_shape, "dtype": "float32", "keras_history": ["x", 0, 0]}}],
        "kwargs": keywords,
    }]);
    let document = json!({
        "class_name": "Functional",
        "config": {
            "name": "called", "input_layers": [["x", 0, 0]], "output_layers": [[name, 0, 0]],
            "layers": [
                {"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_shape": batch_shape}, "inbound_nodes": []},
                layer,
            ],
        },
    });
    ModelSpec::from_keras_json(&document.to_string())
}

#[test]
fn a_call_may_say_that_it_is_no_training() {
    let dropout = || json!({"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5}});
    let x = Tensor::ones((1, 50), DType::F64, &Device::Cpu).unwrap();
    let training = Mode::Training(Stream::new(1));
    let spec = called(dropout(), json!([null, 50]), json!({"training": false})).unwrap();
    assert_eq!(numbers(&network(spec).forward(&x, training).unwrap()), [1.0; 50]);
    let spec = called(dropout(), json!([null, 50]), json!({"training": null})).unwrap();
    assert_ne!(numbers(&network(spec).forward(&x, training).unwrap()), [1.0; 50]);
    for keywords in [json!({"training": true}), json!({"seed": 3})] {
        let spec = called(dropout(), json!([null, 50]), keywords).unwrap();
        let refused = Network::new(spec, 0, &Device::Cpu, DType::F32);
        assert!(matches!(refused, Err(Error::LayerOption { .. })));
    }
}

#[test]
fn states_go_from_one_layer_to_another() {
    let mut graph = ModelSpec::functional("translator");
    let source = graph.input_named("source", Shape(vec![None, Some(3)])).unwrap();
    let target = graph.input_named("target", Shape(vec![None, Some(3)])).unwrap();
    let encoder = graph
        .layer(LSTM::new(4).return_state(true).name("encoder"), source)
        .unwrap();
    let states = [target, encoder.output(1), encoder.output(2)];
    let decoder = graph
        .layer(
            LSTM::new(4).return_sequences(true).return_state(true).name("decoder"),
            states,
        )
        .unwrap();
    let out = graph
        .layer(
            TimeDistributed::new(Dense::new(2).name("words").into()).name("out"),
            decoder,
        )
        .unwrap();
    let spec = graph.build([source, target], [out, decoder.output(2)]).unwrap();
    let network = network(spec);
    // The forget gates start at 1.
    let bias = numbers(&network.weight("encoder/lstm_cell/bias").unwrap().var);
    assert_eq!(bias, [[0.0; 4], [1.0; 4], [0.0; 4], [0.0; 4]].concat());
    let source = Var::from_tensor(&random("source", &[2, 5, 3])).unwrap();
    let outputs = network
        .forward_all(
            &[source.as_tensor().clone(), random("target", &[2, 7, 3])],
            Mode::Inference,
        )
        .unwrap();
    assert_eq!((outputs[0].dims(), outputs[1].dims()), (&[2, 7, 2][..], &[2, 4][..]));
    let gradients = outputs[0].sum_all().unwrap().backward().unwrap();
    assert!(
        numbers(gradients.get(&source).unwrap())
            .iter()
            .any(|value| *value != 0.0)
    );
    assert!(network.weights().all(|weight| gradients.get(&weight.var).is_some()));
}

/// Sentences of different lengths, filled up with 0, give what each gives alone.
#[test]
fn masked_steps_do_not_count() {
    let memories: [NamedLayer; 4] = [
        LSTM::new(3).name("memory"),
        GRU::new(3).name("memory"),
        Bidirectional::new(GRU::new(3).into()).name("memory"),
        GlobalAveragePooling1D::new().name("memory"),
    ];
    for memory in memories {
        let class = memory.layer().class().to_string();
        let spec = ModelSpec::sequential("sentences")
            .input(Shape(vec![None]))
            .layer(Embedding::new(9, 4).mask_zero(true).name("words"))
            .layer(Dense::new(4).activation(Activation::Tanh).name("between"))
            .layer(memory)
            .build()
            .unwrap();
        let network = network(spec);
        let run = |words: &[i64]| {
            let words = Tensor::new(words, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
            network.forward(&words, Mode::Inference).unwrap()
        };
        near(&run(&[5, 2, 7, 0, 0]), &run(&[5, 2, 7]));
        assert_ne!(numbers(&run(&[5, 2, 7, 1, 1])), numbers(&run(&[5, 2, 7])), "{class}");
    }
}

#[test]
fn a_masked_sequence_repeats_its_last_output_and_stays_masked() {
    let stack = |second: NamedLayer| {
        let spec = ModelSpec::sequential("masked")
            .input([5, 2])
            .layer(
                NamedLayer::from(Masking::new())
                    .name("mask")
                    .option("mask_value", -1.0)
                    .unwrap(),
            )
            .layer(GRU::new(3).return_sequences(true).name("first"))
            .layer(second)
            .build();
        network(spec.unwrap())
    };
    let x = random("x", &[1, 3, 2]);
    let filler = Tensor::full(-1.0, (1, 2, 2), &Device::Cpu).unwrap();
    let padded = Tensor::cat(&[&x, &filler], 1).unwrap();
    let sequence = stack(Activation::Linear.into_layer())
        .forward(&padded, Mode::Inference)
        .unwrap();
    for step in 3..5 {
        near(
            &sequence.narrow(1, step, 1).unwrap(),
            &sequence.narrow(1, 2, 1).unwrap(),
        );
    }
    // The second layer is told which steps do not count.
    let spec = ModelSpec::sequential("short")
        .input([3, 2])
        .layer(GRU::new(3).return_sequences(true).name("first"));
    let short = network(spec.layer(LSTM::new(2).name("second")).build().unwrap());
    let expected = short.forward(&x, Mode::Inference).unwrap();
    near(
        &stack(LSTM::new(2).name("second"))
            .forward(&padded, Mode::Inference)
            .unwrap(),
        &expected,
    );
}

trait IntoLayer {
    fn into_layer(self) -> NamedLayer;
}

impl IntoLayer for Activation {
    fn into_layer(self) -> NamedLayer {
        nn_theory::ActivationLayer::new(self).name("nothing")
    }
}

#[test]
fn attention_does_not_look_at_masked_words() {
    let mut graph = ModelSpec::functional("attention");
    let words = graph.input_named("words", Shape(vec![None])).unwrap();
    let vectors = graph
        .layer(Embedding::new(9, 4).mask_zero(true).name("vectors"), words)
        .unwrap();
    let seen = graph
        .layer(MultiHeadAttention::new(2, 3).name("attention"), [vectors, vectors])
        .unwrap();
    let mean = graph.layer(GlobalAveragePooling1D::new().name("mean"), seen).unwrap();
    let network = network(graph.build(words, [mean]).unwrap());
    let run = |words: &[i64]| {
        let words = Tensor::new(words, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        network.forward(&words, Mode::Inference).unwrap()
    };
    near(&run(&[5, 2, 7, 0, 0]), &run(&[5, 2, 7]));
    assert_ne!(numbers(&run(&[5, 2, 7, 1])), numbers(&run(&[5, 2, 7])));
}

#[test]
fn words_outside_of_the_vocabulary_are_refused() {
    let spec = ModelSpec::sequential("words")
        .input([2])
        .layer(Embedding::new(9, 4).name("vectors"))
        .build();
    let network = network(spec.unwrap());
    for (words, fits) in [([0i64, 8], true), ([0, 9], false), ([-1, 0], false)] {
        let words = Tensor::new(&[words], &Device::Cpu).unwrap();
        let found = network.forward(&words, Mode::Inference);
        assert_eq!(found.is_ok(), fits);
        if let Err(error) = found {
            assert!(error.to_string().contains("vectors"), "{error}");
        }
    }
}

#[test]
fn dropout_in_a_recurrent_layer_is_one_mask_for_all_steps() {
    let spec = ModelSpec::sequential("memory").input([6, 40]).layer(
        nn_theory::SimpleRNN::new(40)
            .activation(Activation::Linear)
            .kernel_initializer(nn_theory::Initializer::Identity { gain: 1.0 })
            .recurrent_initializer(nn_theory::Initializer::Zeros)
            .dropout(0.5)
            .return_sequences(true)
            .name("memory"),
    );
    let network = network(spec.build().unwrap());
    let ones = Tensor::ones((2, 6, 40), DType::F64, &Device::Cpu).unwrap();
    let y = network.forward(&ones, Mode::Training(Stream::new(4))).unwrap();
    for step in 1..6 {
        near(&y.narrow(1, step, 1).unwrap(), &y.narrow(1, 0, 1).unwrap());
    }
    let values = numbers(&y);
    assert!(values.iter().all(|value| *value == 0.0 || *value == 2.0));
    assert!(values.contains(&0.0) && values.contains(&2.0));
    assert_eq!(
        numbers(&network.forward(&ones, Mode::Inference).unwrap()),
        vec![1.0; 480]
    );
}

/// A long sequence, which is walked in sections, against two short ones that hand on their states.
#[test]
fn a_long_sequence_is_two_short_ones() {
    let (half, batch) = (50, 2);
    let long = |layer: NamedLayer| {
        network(
            ModelSpec::sequential("long")
                .input([100, 3])
                .layer(layer)
                .build()
                .unwrap(),
        )
    };
    let short = |layer: NamedLayer| {
        let mut graph = ModelSpec::functional("short");
        let (a, b) = (
            graph.input_named("a", [50, 3]).unwrap(),
            graph.input_named("b", [50, 3]).unwrap(),
        );
        let first = graph.layer(layer, a).unwrap();
        let states = [b, first.output(1), first.output(2)];
        let second = graph.again(first, states).unwrap();
        network(graph.build([a, b], [first, second]).unwrap())
    };
    let layer = || LSTM::new(4).return_sequences(true).return_state(true).name("memory");
    let (long, short) = (long(layer()), short(layer()));
    let x = Var::from_tensor(&random("x", &[batch, 2 * half, 3])).unwrap();
    let whole = long.forward(&x, Mode::Inference).unwrap();
    let parts = [0, half].map(|start| x.narrow(1, start, half).unwrap());
    let parts = Tensor::cat(&short.forward_all(&parts, Mode::Inference).unwrap(), 1).unwrap();
    near(&whole, &parts);
    let upstream = random("upstream", whole.dims());
    let gradients = |y: &Tensor| (y * &upstream).unwrap().sum_all().unwrap().backward().unwrap();
    let (found, expected) = (gradients(&whole), gradients(&parts));
    near(found.get(&x).unwrap(), expected.get(&x).unwrap());
    for (a, b) in long.weights().zip(short.weights()) {
        near(found.get(&a.var).unwrap(), expected.get(&b.var).unwrap());
    }
}

#[test]
fn sequences_of_thousands_of_steps_do_not_overflow_the_stack() {
    let spec = ModelSpec::sequential("long")
        .input([3000, 2])
        .layer(GRU::new(2).return_sequences(true).name("first"))
        .layer(GRU::new(2).name("second"))
        .build()
        .unwrap();
    let network = network(spec);
    let y = network.forward(&random("x", &[1, 3000, 2]), Mode::Inference).unwrap();
    let gradients = y.sum_all().unwrap().backward().unwrap();
    assert!(network.weights().all(|weight| gradients.get(&weight.var).is_some()));

    let spec = ModelSpec::sequential("too long")
        .input([20_000, 1])
        .layer(GRU::new(1).name("memory"))
        .build();
    let x = Tensor::zeros((1, 20_000, 1), DType::F64, &Device::Cpu).unwrap();
    let error = self::network(spec.unwrap())
        .forward(&x, Mode::Inference)
        .unwrap_err()
        .to_string();
    assert!(error.contains("memory") && error.contains("20000"), "{error}");
}
