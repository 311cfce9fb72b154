//! Networks, optimizers and files that the tests share.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Mode, Network};
use nn_theory::{Activation, BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D, ModelSpec, Padding};
use optimizers::Optimizer;
use persistence::{Contents, Metadata, Monitored, Precision, Preprocessing, TrainingState};

/// A convolution, batch normalisation (weights that are not trained), a dense layer.
pub(crate) fn small() -> ModelSpec {
    ModelSpec::sequential("small")
        .input([6, 6, 1])
        .layer(Conv2D::new(3, [3, 3]).padding(Padding::Same))
        .layer(BatchNormalization::new())
        .layer(MaxPooling2D::new([2, 2]))
        .layer(Flatten::new())
        .layer(Dense::new(4).activation(Activation::Tanh))
        .layer(Dense::new(2).name("logits"))
        .build()
        .unwrap()
}

pub(crate) fn network(spec: ModelSpec, seed: u64) -> Network {
    Network::new(spec, seed, &Device::Cpu, DType::F32).unwrap()
}

/// One step on an invented loss, so that the optimizer has a state.
pub(crate) fn step(network: &Network, optimizer: &mut Optimizer, seed: u64) {
    let mut shape = vec![5];
    shape.extend(network.input_shape());
    let mut draws = Stream::new(seed).op("test").draws();
    let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| draws.normal() as f32).collect();
    let x = Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap();
    let y = network.forward(&x, Mode::Training(Stream::new(seed))).unwrap();
    let gradients = y.sqr().unwrap().mean_all().unwrap().backward().unwrap();
    let variables: Vec<_> = network
        .weights()
        .filter(|weight| weight.trainable)
        // PyTorch's Muon takes matrices only.
        .filter(|weight| optimizer.class() != "torch.optim.Muon" || weight.var.rank() == 2)
        .map(|weight| (weight.path.as_str(), &weight.var))
        .collect();
    optimizer.apply_gradients(&variables, &gradients).unwrap();
}

pub(crate) fn metadata() -> Metadata {
    Metadata {
        classes: vec!["cat".into(), "dög \"1\"\n".into()],
        preprocessing: Some(Preprocessing::unit([6, 6, 1])),
        compile: Some(serde_json::json!({ "loss": "hinge", "metrics": ["accuracy"] })),
        monitored: Some(Monitored {
            name: "val_loss".into(),
            value: Some(0.1),
        }),
        training: Some(TrainingState {
            seed: u64::MAX,
            batch_size: 32,
            augment: Some("flip(horizontal) | rotation(0.1)".into()),
            data: Some("digits".into()),
            validation_split: 0.1,
            history: serde_json::json!({ "epochs": [{ "loss": 0.1 }, { "loss": 1e-300 }] }),
            options: serde_json::json!({ "loss": "hinge" }),
        }),
    }
}

/// A whole file, with an optimizer and metadata.
pub(crate) fn file() -> Vec<u8> {
    let network = network(small(), 7);
    let mut adam = Optimizer::by_name("adam").unwrap();
    step(&network, &mut adam, 1);
    let metadata = metadata();
    let contents = Contents {
        network: &network,
        optimizer: Some(&adam),
        metadata: &metadata,
    };
    persistence::to_bytes(&contents, Precision::F32).unwrap()
}

/// All numbers of a tensor as the bits of `f64`, and its number format.
pub(crate) fn bits(tensor: &Tensor) -> (DType, Vec<usize>, Vec<u64>) {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    let numbers = flat.to_vec1::<f64>().unwrap();
    (
        tensor.dtype(),
        tensor.dims().to_vec(),
        numbers.into_iter().map(f64::to_bits).collect(),
    )
}

pub(crate) fn weight_bits(network: &Network) -> BTreeMap<String, (DType, Vec<usize>, Vec<u64>)> {
    network
        .weights()
        .map(|weight| (weight.path.clone(), bits(weight.var.as_tensor())))
        .collect()
}

pub(crate) fn state_bits(optimizer: &Optimizer) -> BTreeMap<String, (DType, Vec<usize>, Vec<u64>)> {
    let state = optimizer.state().unwrap();
    state.into_iter().map(|(name, tensor)| (name, bits(&tensor))).collect()
}

/// The first Python of `$CANDLE_LAB_PYTHON` (a list like `PATH`; else `python3`) that has these modules.
pub(crate) fn python(modules: &[&str]) -> Option<std::path::PathBuf> {
    let named = std::env::var_os("CANDLE_LAB_PYTHON").unwrap_or_else(|| "python3".into());
    let wanted: Vec<String> = modules.iter().map(|module| format!("'{module}'")).collect();
    // Finding a module is not importing it, which takes seconds for some.
    let search = format!(
        "import importlib.util as u, sys; sys.exit(any(u.find_spec(name) is None for name in [{}]))",
        wanted.join(", ")
    );
    std::env::split_paths(&named).find(|python| {
        let found = std::process::Command::new(python).args(["-c", &search]).output();
        found.is_ok_and(|output| output.status.success())
    })
}

/// The formats that hold a whole network: an `.npy` file is one array.
pub(crate) fn formats() -> Vec<persistence::Format> {
    let written = persistence::WRITTEN.into_iter();
    written.filter(|format| *format != persistence::Format::Npy).collect()
}
