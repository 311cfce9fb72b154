//! Files with bytes changed, cut out, doubled: every reader answers with a model or with one line, never with a panic, and never
//! holds more than a few times the file.

mod common;

use std::path::{Path, PathBuf};

use candle_core::Device;
use common::{formats, metadata, network, small, step};
use optimizers::Optimizer;
use persistence::{Contents, Limits, Precision, Source, Statistics};
use proptest::prelude::*;

/// Whole files of every format that is written, and those that other programs wrote.
fn seeds() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let network = network(small(), 7);
    let mut adam = Optimizer::by_name("adam").unwrap();
    step(&network, &mut adam, 1);
    let metadata = metadata();
    let contents = Contents {
        network: &network,
        optimizer: Some(&adam),
        metadata: &metadata,
    };
    let mut seeds = Vec::new();
    for format in formats() {
        let path = folder.path().join(format!("model.{}", format.ending()));
        persistence::save(&path, &contents, Precision::F32).unwrap();
        seeds.push((path.clone(), std::fs::read(path).unwrap()));
    }
    let others = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/persistence/keras");
    for name in ["compiled_adam.keras", "lstm_embedding.h5", "cnn_batchnorm.weights.h5"] {
        let path = others.join(name);
        seeds.push((path.clone(), std::fs::read(path).unwrap()));
    }
    seeds
}

/// Reads everything that a file has.
fn go_through(path: &Path, bytes: Vec<u8>) {
    let limits = Limits {
        bytes: 16 << 20,
        ..Limits::default()
    };
    let source = Source::from_bytes(path, bytes, &limits);
    match persistence::read(&source) {
        Ok(model) => {
            let state = model.optimizer.iter().flat_map(|optimizer| optimizer.tensors.values());
            for tensor in model.weights.values().chain(state).chain(model.tensors.values()) {
                let _ = Statistics::of(tensor);
            }
            let _ = model.network(&Device::Cpu);
        }
        Err(error) => {
            let message = error.to_string();
            assert!(
                !message.contains('\n') && message.chars().count() < 2_000,
                "not one line: {message}"
            );
        }
    }
}

/// A change of a file.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Put(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index, usize),
    Double(prop::sample::Index, usize),
    End(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<prop::sample::Index>;
    let numbers = prop_oneof![
        Just(vec![0xff; 8]),
        Just(vec![0; 8]),
        Just(vec![0xff, 0xff, 0xff, 0x7f]),
        prop::collection::vec(any::<u8>(), 1..9)
    ];
    prop_oneof![
        (place(), 0u8..8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (place(), numbers).prop_map(|(at, bytes)| Change::Put(at, bytes)),
        (place(), 1usize..200).prop_map(|(at, count)| Change::Cut(at, count)),
        (place(), 1usize..200).prop_map(|(at, count)| Change::Double(at, count)),
        place().prop_map(Change::End),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: Change) {
    if bytes.is_empty() {
        return;
    }
    match change {
        Change::Flip(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Change::Put(at, new) => {
            let at = at.index(bytes.len());
            bytes.iter_mut().skip(at).zip(new).for_each(|(byte, new)| *byte = new);
        }
        Change::Cut(at, count) => {
            let at = at.index(bytes.len());
            bytes.drain(at..(at + count).min(bytes.len()));
        }
        Change::Double(at, count) => {
            let at = at.index(bytes.len());
            let part = bytes[at..(at + count).min(bytes.len())].to_vec();
            bytes.splice(at..at, part);
        }
        Change::End(at) => bytes.truncate(at.index(bytes.len())),
    }
}

#[test]
fn changed_files_are_read_or_refused() {
    let seeds = seeds();
    let strategy = (0..seeds.len(), prop::collection::vec(change(), 1..4));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(400));
    let outcome = runner.run(&strategy, |(seed, changes)| {
        let (path, bytes) = &seeds[seed];
        let mut bytes = bytes.clone();
        changes.into_iter().for_each(|change| apply(&mut bytes, change));
        go_through(path, bytes);
        Ok(())
    });
    outcome.unwrap();
}
