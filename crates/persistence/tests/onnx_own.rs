//! Our own ONNX files, read back: every layer that is written, in every number format, is the network that it was.

mod common;
mod onnx_cases;

use std::path::Path;

use candle_core::{DType, Device};
use models::{Mode, Network};
use nn_theory::{Activation, Conv2D, Dense, ModelSpec};
use onnx_cases::each_network;
use persistence::{Contents, Limits, Metadata, Model, Precision, Source};

fn model_of(network: &Network) -> Model {
    let metadata = Metadata::default();
    let contents = Contents {
        network,
        optimizer: None,
        metadata: &metadata,
    };
    Model::of(&contents).unwrap()
}

/// The bytes of the file of a model.
fn written(model: &Model) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    persistence::write(&path, model).unwrap();
    std::fs::read(path).unwrap()
}

fn read(bytes: Vec<u8>) -> persistence::Result<Model> {
    persistence::read(&Source::from_bytes(Path::new("model.onnx"), bytes, &Limits::default()))
}

#[test]
fn every_layer_comes_back_as_it_was() {
    let mut count = 0;
    each_network(&mut |name, network, inputs| {
        let model = model_of(network);
        let read = read(written(&model))?;
        assert!(read.notes.is_empty(), "{name}: {:?}", read.notes);
        assert_eq!(
            read.described()?.to_keras_json(),
            network.spec().to_keras_json(),
            "{name}"
        );
        assert_eq!(
            read.weights.keys().collect::<Vec<_>>(),
            model.weights.keys().collect::<Vec<_>>(),
            "{name}"
        );
        for (path, weight) in &model.weights {
            assert_eq!(read.weights[path].shape(), weight.shape(), "{name}: {path}");
            assert_eq!(read.weights[path].dtype(), weight.dtype(), "{name}: {path}");
            assert!(
                read.weights[path].bytes()? == weight.bytes()?,
                "{name}: {path} has other bits"
            );
        }
        let again = read.network(&Device::Cpu)?;
        for (found, expected) in again
            .forward_all(inputs, Mode::Inference)?
            .iter()
            .zip(network.forward_all(inputs, Mode::Inference)?)
        {
            let bits = |tensor: &candle_core::Tensor| -> candle_core::Result<Vec<u32>> {
                let numbers = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
                Ok(numbers.into_iter().map(f32::to_bits).collect())
            };
            assert_eq!(bits(found)?, bits(&expected)?, "{name}");
        }
        count += 1;
        Ok(())
    })
    .unwrap();
    assert!(count > 100, "{count} networks");
}

/// A convolution, whose kernel is transposed on its way, and layers whose operators are several nodes.
fn spec() -> ModelSpec {
    ModelSpec::sequential("short")
        .input([6, 6, 2])
        .layer(Conv2D::new(3, [3, 3]).activation(Activation::Gelu))
        .layer(nn_theory::Cropping2D::new(nn_theory::Margins([[1, 0], [0, 1]])))
        .layer(nn_theory::Flatten::new())
        .layer(Dense::new(4).activation(Activation::Silu))
        .build()
        .unwrap()
}

#[test]
fn short_and_long_weights_come_back_in_their_number_format() {
    let model = model_of(&common::network(spec(), 5));
    for precision in Precision::ALL {
        let model = model.clone().in_precision(precision);
        let read = read(written(&model)).unwrap();
        assert_eq!(read.precision(), precision);
        for (path, weight) in &model.weights {
            assert!(
                read.weights[path].bytes().unwrap() == weight.bytes().unwrap(),
                "{path} in {precision}"
            );
        }
        read.network(&Device::Cpu).unwrap();
    }
}

#[test]
fn other_weights_are_read_and_another_graph_is_not_taken_for_the_one_described() {
    let network = common::network(
        ModelSpec::sequential("dense")
            .input([3])
            .layer(Dense::new(2).activation(Activation::Tanh).name("d"))
            .build()
            .unwrap(),
        5,
    );
    let file = written(&model_of(&network));
    let whole = read(file.clone()).unwrap();
    let kernel = whole.weights["d/kernel"].bytes().unwrap().into_owned();
    let place = |part: &[u8]| file.windows(part.len()).position(|window| window == part).unwrap();
    // A program that trains an ONNX model changes its weights: they are what is read.
    let mut trained = file.clone();
    trained[place(&kernel)] ^= 1;
    let read_again = read(trained).unwrap();
    assert!(read_again.notes.is_empty());
    assert_ne!(read_again.weights["d/kernel"].bytes().unwrap(), kernel);
    // A program that changes the graph leaves the description behind. `Tanh` and `Selu` have as many letters.
    let mut changed = file.clone();
    for at in (0..file.len() - 4).filter(|&at| file[at..at + 4] == *b"Tanh" && file[at - 1] == 4) {
        changed[at..at + 4].copy_from_slice(b"Selu");
    }
    let found = read(changed).unwrap();
    assert!(
        found.notes.iter().any(|note| note.contains("its operators were read")),
        "{:?}",
        found.notes
    );
    let layers: Vec<&str> = found
        .spec
        .as_ref()
        .unwrap()
        .layers()
        .map(|node| node.layer.class())
        .collect();
    assert_eq!(layers, ["InputLayer", "Dense", "Activation"]);
    assert!(found.spec.as_ref().unwrap().to_keras_json().contains("selu"));
    // And one that changes the description is not believed either.
    let mut lie = file.clone();
    let at = place(b"\"tanh\"");
    lie[at + 1..at + 5].copy_from_slice(b"selu");
    let found = read(lie).unwrap();
    assert!(!found.notes.is_empty() && !found.spec.unwrap().to_keras_json().contains("selu"));
}
