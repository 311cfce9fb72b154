//! One model through all hands: ours, Keras, ours, PyTorch, ours. Not a bit of its weights is another one at the end.
//!
//! Needs Pythons with Keras and PyTorch, one or two: `CANDLE_LAB_PYTHON=with/keras/python:with/torch/python`. Without them the test says so
//! and passes.

#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod common;

use std::path::Path;
use std::process::Command;

use candle_core::Device;
use common::{metadata, network, small, state_bits, step, weight_bits};
use nn_theory::{Bidirectional, Dense, Embedding, GRU, LSTM, LayerNormalization, ModelSpec};
use optimizers::Optimizer;
use persistence::{Contents, Metadata, Precision};

fn sequences() -> ModelSpec {
    ModelSpec::sequential("sequences")
        .input([5])
        .layer(Embedding::new(11, 4))
        .layer(Bidirectional::new(LSTM::new(3).return_sequences(true).into()))
        .layer(GRU::new(3))
        .layer(LayerNormalization::new())
        .layer(Dense::new(2))
        .build()
        .unwrap()
}

fn script(python: &Path, name: &str, from: &Path, to: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name);
    let output = Command::new(python).arg(script).args([from, to]).output().unwrap();
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn through_keras_and_pytorch_and_back_to_the_bit() {
    let (keras, torch) = (
        common::python(&["keras", "tensorflow", "h5py"]),
        common::python(&["torch"]),
    );
    let (Some(keras), Some(torch)) = (keras, torch) else {
        println!("skipped: no Pythons with Keras and torch; run cargo xtask test --python, or set CANDLE_LAB_PYTHON");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for spec in [small(), sequences()] {
        let at = |name: &str| folder.path().join(format!("{}.{name}", spec.name()));
        let network = network(spec.clone(), 7);
        // Noise is no sequence of words: one network was trained, the other one goes without an optimizer.
        let trained = (spec.name() == "small").then(|| {
            let mut adam = Optimizer::by_name("adam").unwrap();
            step(&network, &mut adam, 1);
            adam
        });
        let metadata = if trained.is_some() {
            metadata()
        } else {
            Metadata::default()
        };
        let contents = Contents {
            network: &network,
            optimizer: trained.as_ref(),
            metadata: &metadata,
        };
        persistence::save(&at("ours.safetensors"), &contents, Precision::F32).unwrap();
        let convert = |from: &str, to: &str| {
            persistence::write(&at(to), &persistence::open(&at(from)).unwrap()).unwrap();
        };
        convert("ours.safetensors", "ours.keras");
        script(&keras, "through_keras.py", &at("ours.keras"), &at("theirs.keras"));
        // The optimizer goes as far as the formats have a place for it.
        let between = persistence::load(&at("theirs.keras"), &Device::Cpu).unwrap();
        let states = [&trained, &between.optimizer].map(|optimizer| optimizer.as_ref().map(state_bits));
        assert_eq!(states[0], states[1], "{}", spec.name());
        convert("theirs.keras", "again.safetensors");
        convert("again.safetensors", "ours.pt");
        script(&torch, "through_torch.py", &at("ours.pt"), &at("theirs.pt"));
        let mut back = persistence::open(&at("theirs.pt")).unwrap();
        // A file that PyTorch wrote holds no description.
        back.describe(spec.clone()).unwrap();
        persistence::write(&at("last.safetensors"), &back).unwrap();
        let last = persistence::load(&at("last.safetensors"), &Device::Cpu).unwrap();
        assert_eq!(weight_bits(&network), weight_bits(&last.network), "{}", spec.name());
        assert_eq!(network.spec().to_keras_json(), last.network.spec().to_keras_json());
    }
}
