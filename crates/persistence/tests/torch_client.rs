//! Our checkpoints in PyTorch, and PyTorch's and NumPy's files of the same weights in ours.
//!
//! Needs a Python with torch, numpy and safetensors: `CANDLE_LAB_PYTHON=path/to/python`. Without it the test says so and passes.

#![allow(clippy::print_stdout, reason = "what was skipped is part of the result")]

mod common;

use std::path::Path;
use std::process::Command;

use candle_core::{Device, Tensor};
use kernels::random::Stream;
use models::{Mode, Network};
use nn_theory::*;
use persistence::pytorch::{Checkpoint, weights_for};
use persistence::{Contents, Limits, Metadata, Model, Source};

/// The networks that `tests/python/torch_client.py` has as modules, with their inputs.
fn networks() -> nn_theory::Result<Vec<(&'static str, ModelSpec, Vec<usize>)>> {
    let cnn = ModelSpec::sequential("cnn")
        .input([8, 6, 2])
        .layer(Conv2D::new(3, [3, 3]).padding(Padding::Same).name("conv"))
        .layer(BatchNormalization::new().name("norm"))
        .layer(ReLU::new())
        .layer(MaxPooling2D::new([2, 2]))
        .layer(Flatten::new())
        .layer(Dropout::new(0.5))
        .layer(Dense::new(5).activation(Activation::Tanh).name("hidden"))
        .layer(BatchNormalization::new().scale(false).name("norm_1"))
        .layer(Dense::new(2).name("logits"))
        .build()?;
    let sequence = ModelSpec::sequential("sequence")
        .input([7])
        .layer(Embedding::new(11, 4).name("words"))
        .layer(Bidirectional::new(WrappedLayer(Box::new(LSTM::new(3).return_sequences(true).into()))).name("both"))
        .layer(GRU::new(5).return_sequences(true).name("gru"))
        .layer(SimpleRNN::new(4).name("rnn"))
        .layer(LayerNormalization::new().name("norm"))
        .layer(Dense::new(2).name("logits"))
        .build()?;
    let kinds = ModelSpec::sequential("kinds")
        .input([7, 9, 2])
        .layer(DepthwiseConv2D::new([3, 3]).depth_multiplier(2).name("depth"))
        .layer(SeparableConv2D::new(6, [2, 2]).depth_multiplier(2).name("separable"))
        .layer(Conv2D::new(4, [1, 1]).groups(2).name("groups"))
        .layer(Conv2DTranspose::new(3, [3, 3]).strides([2, 2]).name("larger"))
        .layer(PReLU::new().shared_axes(Some(vec![1, 2])).name("slopes"))
        .layer(GroupNormalization::new().groups(3).name("groupnorm"))
        .layer(GlobalAveragePooling2D::new())
        .layer(Dense::new(2).name("logits"))
        .build()?;
    let mut graph = ModelSpec::functional("attention");
    let x = graph.input_named("x", [5, 8])?;
    let y = graph.layer(MultiHeadAttention::new(2, 4).name("heads"), [x, x])?;
    let y = graph.layer(Dense::new(3).name("logits"), y)?;
    let attention = graph.build(x, y)?;
    let steps = ModelSpec::sequential("steps")
        .input([6, 3])
        .layer(Conv1D::new(4, [3]).name("steps"))
        .layer(Flatten::new())
        .layer(Dense::new(2).name("logits"))
        .build()?;
    Ok(vec![
        ("cnn", cnn, vec![3, 8, 6, 2]),
        ("sequence", sequence, vec![3, 7]),
        ("kinds", kinds, vec![3, 7, 9, 2]),
        ("attention", attention, vec![3, 5, 8]),
        ("steps", steps, vec![3, 6, 3]),
    ])
}

/// A network whose weights, statistics included, all differ from what they begin as.
fn network(spec: ModelSpec, seed: u64) -> Network {
    let mut network = common::network(spec, seed);
    let values: Vec<(String, Vec<usize>)> = network
        .weights()
        .map(|weight| (weight.path.clone(), weight.var.dims().to_vec()))
        .collect();
    for (path, shape) in values {
        let mut draws = Stream::new(seed).op("weights").layer(&path).draws();
        let is_variance = path.ends_with("variance");
        let numbers: Vec<f32> = (0..shape.iter().product())
            .map(|_| {
                if is_variance {
                    0.5 + draws.uniform() as f32
                } else {
                    draws.normal() as f32 * 0.5
                }
            })
            .collect();
        network
            .set_weight(&path, &Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap())
            .unwrap();
    }
    network
}

fn inputs(name: &str, shape: &[usize]) -> Tensor {
    let mut draws = Stream::new(9).op(name).draws();
    let whole = name == "sequence";
    let numbers: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            if whole {
                (draws.uniform() * 11.0).floor() as f32
            } else {
                draws.normal() as f32
            }
        })
        .collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

fn put(path: &Path, tensor: &Tensor) {
    safetensors::serialize_to_file([("0", tensor.clone())], None, path).unwrap();
}

#[track_caller]
fn assert_weights(network: &Network, found: &indexmap::IndexMap<String, persistence::StoredTensor>, what: &str) {
    assert_eq!(found.len(), network.weights().len(), "{what}");
    for weight in network.weights() {
        let tensor = found[&weight.path].to_tensor(&Device::Cpu).unwrap();
        assert_eq!(
            common::bits(&tensor),
            common::bits(weight.var.as_tensor()),
            "{what}: {}",
            weight.path
        );
    }
}

#[test]
fn pytorch_computes_what_we_compute_and_gives_back_every_bit() {
    let Some(python) = common::python(&["torch", "numpy", "safetensors"]) else {
        println!("skipped: no Python with torch, numpy and safetensors (CANDLE_LAB_PYTHON)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, ending: &str| folder.path().join(format!("{name}.{ending}"));
    let mut all = Vec::new();
    for (name, spec, shape) in networks().unwrap() {
        let network = network(spec, 4);
        let metadata = Metadata::default();
        let contents = Contents {
            network: &network,
            optimizer: None,
            metadata: &metadata,
        };
        let model = Model::of(&contents).unwrap();
        persistence::write(&file(name, "pt"), &model).unwrap();
        persistence::write(&file(name, "npz"), &model).unwrap();
        let x = inputs(name, &shape);
        put(&file(name, "inputs.safetensors"), &x);
        put(
            &file(name, "outputs.safetensors"),
            &network.forward(&x, Mode::Inference).unwrap(),
        );
        all.push((name, network));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/torch_client.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        text.trim(),
        format!("modules: {}", all.len()),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (name, network) in &all {
        let ours = persistence::open(&file(name, "pt")).unwrap();
        assert_weights(network, &ours.weights, "our own checkpoint");
        for ending in ["again.pt", "legacy.pt"] {
            let path = file(name, ending);
            let checkpoint = Checkpoint::read(&Source::open(&path, &Limits::default()).unwrap()).unwrap();
            let weights = weights_for(&path, network.spec(), &checkpoint.tensors).unwrap();
            assert_weights(network, &weights, ending);
        }
        let arrays = persistence::open(&file(name, "again.npz")).unwrap();
        assert_weights(network, &arrays.weights, "NumPy's archive");
    }
}

#[test]
fn weights_come_back_by_name_by_order_and_not_at_all() {
    for (name, spec, _) in networks().unwrap() {
        let network = network(spec, 6);
        let metadata = Metadata::default();
        let contents = Contents {
            network: &network,
            optimizer: None,
            metadata: &metadata,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pt");
        persistence::write(&path, &Model::of(&contents).unwrap()).unwrap();
        let state = Checkpoint::read(&Source::open(&path, &Limits::default()).unwrap())
            .unwrap()
            .tensors;
        assert_weights(&network, &weights_for(&path, network.spec(), &state).unwrap(), name);
        // Other names, as those of modules in a list.
        let renamed = state.iter().enumerate().map(|(index, (name, tensor))| {
            let kind = name.rsplit('.').next().unwrap();
            (format!("module.{index}.{kind}"), tensor.clone())
        });
        assert_weights(
            &network,
            &weights_for(&path, network.spec(), &renamed.collect()).unwrap(),
            name,
        );
        let mut fewer = state.clone();
        fewer.shift_remove_index(0);
        assert!(weights_for(&path, network.spec(), &fewer).is_err());
        let mut more = state.clone();
        more.insert("extra.weight".to_string(), state[0].clone());
        let message = weights_for(&path, network.spec(), &more).unwrap_err().to_string();
        assert!(message.contains("extra.weight"), "{message}");
    }
}

#[test]
fn orders_that_pytorch_does_not_have_are_refused_by_layer() {
    let spec = ModelSpec::sequential("scrambled")
        .input([4, 4, 3])
        .layer(Conv2D::new(2, [2, 2]))
        .layer(Reshape::new(vec![9, 2]))
        .layer(LSTM::new(3).name("reader"))
        .build()
        .unwrap();
    let message = persistence::pytorch::mapping(&spec).unwrap_err().to_string();
    assert!(
        message.contains("layer 'reader'") && message.contains("reshape"),
        "{message}"
    );
}

#[test]
fn rules_say_what_they_do() {
    let networks = networks().unwrap();
    let lines = |name: &str| {
        let (_, spec, _) = networks.iter().find(|(own, ..)| *own == name).unwrap();
        let mapping = persistence::pytorch::mapping(spec).unwrap();
        mapping.rules.iter().map(ToString::to_string).collect::<Vec<String>>()
    };
    let cnn = lines("cnn");
    assert!(
        cnn.contains(&"conv/kernel [3, 3, 2, 3] = conv.weight [3, 2, 3, 3], transposed by [2, 3, 1, 0]".to_string()),
        "{cnn:#?}"
    );
    let hidden = "hidden/kernel [36, 5] = hidden.weight [5, 36], seen as [5, 3, 4, 3], transposed by [2, 3, 1, 0] \
                  (a flattened image of [4, 3, 3]: PyTorch's begins with the channels)";
    assert!(cnn.contains(&hidden.to_string()), "{cnn:#?}");
    let sequence = lines("sequence");
    let gru = "gru/gru_cell/bias [2, 15] = gru.bias_ih_l0 [15], gru.bias_hh_l0 [15], a row each, gates in the order [1, 0, 2]";
    assert!(sequence.contains(&gru.to_string()), "{sequence:#?}");
}
