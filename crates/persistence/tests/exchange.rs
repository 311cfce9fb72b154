//! Tensors of every number format through the formats of other frameworks and back, and what those say about a damaged file.

mod common;

use std::path::Path;

use candle_core::{Device, Tensor};
use common::{network, small};
use models::Mode;
use persistence::{Contents, Dtype, Format, Limits, Metadata, Model, Precision, Source, StoredTensor};
use proptest::prelude::*;

/// Bytes of one number of each format that a file may have.
const FORMATS: [(Dtype, usize); 12] = [
    (Dtype::BOOL, 1),
    (Dtype::U8, 1),
    (Dtype::I8, 1),
    (Dtype::U16, 2),
    (Dtype::I16, 2),
    (Dtype::F16, 2),
    (Dtype::BF16, 2),
    (Dtype::U32, 4),
    (Dtype::I32, 4),
    (Dtype::F32, 4),
    (Dtype::I64, 8),
    (Dtype::F64, 8),
];

/// Tensors of any number format, rank 0 to 4, any bits; also without numbers.
fn tensors() -> impl Strategy<Value = Vec<(String, StoredTensor)>> {
    let shape = prop::collection::vec(0usize..4, 0..5);
    let one = (0..FORMATS.len(), shape, any::<u64>()).prop_map(|(format, shape, seed)| {
        let (dtype, size) = FORMATS[format];
        let count: usize = shape.iter().product::<usize>() * size;
        let mut bits = seed | 1;
        let bytes: Vec<u8> = (0..count)
            .map(|_| {
                bits = bits
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                if dtype == Dtype::BOOL {
                    (bits >> 63) as u8
                } else {
                    (bits >> 56) as u8
                }
            })
            .collect();
        StoredTensor::in_memory(dtype, shape, bytes).unwrap()
    });
    let name = "[a-zA-Zäß_][a-zA-Z0-9_äß/]{0,12}";
    prop::collection::btree_map(name, one, 0..6).prop_map(|tensors| tensors.into_iter().collect())
}

fn model(tensors: &[(String, StoredTensor)]) -> Model {
    let mut model = Model::new(Path::new("test"), Format::Safetensors);
    model.weights.extend(tensors.iter().cloned());
    model
}

/// Written, read, and what came back.
fn through(model: &Model, ending: &str) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("file.{ending}"));
    persistence::write(&path, model).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    persistence::read(&Source::from_bytes(&path, bytes, &Limits::default())).unwrap()
}

fn assert_same(before: &Model, after: &Model) {
    assert_eq!(
        before.weights.keys().collect::<Vec<_>>(),
        after.weights.keys().collect::<Vec<_>>()
    );
    for (name, tensor) in &before.weights {
        let found = &after.weights[name];
        assert_eq!(
            (tensor.dtype(), tensor.shape()),
            (found.dtype(), found.shape()),
            "{name}"
        );
        assert_eq!(tensor.bytes().unwrap(), found.bytes().unwrap(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn checkpoints_give_back_what_was_written(tensors in tensors()) {
        let kept = tensors.iter().filter(|(_, tensor)| !matches!(tensor.dtype(), Dtype::U16 | Dtype::U32));
        let before = model(&kept.cloned().collect::<Vec<_>>());
        assert_same(&before, &through(&before, "pt"));
    }

    #[test]
    fn numpy_archives_give_back_what_was_written(tensors in tensors()) {
        let kept = tensors.iter().filter(|(_, tensor)| tensor.dtype() != Dtype::BF16);
        let before = model(&kept.cloned().collect::<Vec<_>>());
        if !before.weights.is_empty() {
            assert_same(&before, &through(&before, "npz"));
        }
    }

    #[test]
    fn any_bytes_are_an_error_and_not_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0usize..5) {
        let starts: [&[u8]; 5] = [b"", b"PK\x03\x04", b"\x80\x02", b"\x93NUMPY\x01\x00", b"\x08\x08\x12\x00"];
        let bytes = [starts[kind], &bytes].concat();
        let name = ["x.bin", "x.npz", "x.pt", "x.npy", "x.onnx"][kind];
        let _ = persistence::read(&Source::from_bytes(Path::new(name), bytes, &Limits::default()));
    }

    #[test]
    fn one_changed_byte_is_read_or_told(place in any::<prop::sample::Index>(), value in any::<u8>(), kind in 0usize..3) {
        let files: [&[u8]; 3] = [
            include_bytes!("golden/persistence/torch/mlp.pt"),
            include_bytes!("golden/persistence/torch/mlp.onnx"),
            include_bytes!("golden/persistence/torch/cnn_batchnorm.torchscript.onnx"),
        ];
        let mut bytes = files[kind].to_vec();
        let at = place.index(bytes.len());
        bytes[at] = value;
        let name = ["x.pt", "x.onnx", "x.onnx"][kind];
        if let Ok(model) = persistence::read(&Source::from_bytes(Path::new(name), bytes, &Limits::default())) {
            for tensor in model.weights.values() {
                let _ = tensor.bytes();
            }
        }
    }
}

#[test]
fn bfloat16_becomes_float32_in_numpy_without_a_loss() {
    let numbers = [1.5f32, -0.0, f32::INFINITY, 3.0e-39];
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|&number| half::bf16::from_f32(number).to_le_bytes())
        .collect();
    let tensor = StoredTensor::in_memory(Dtype::BF16, vec![4], bytes).unwrap();
    let after = through(&model(&[("w".to_string(), tensor.clone())]), "npz");
    assert_eq!(after.weights["w"].dtype(), Dtype::F32);
    assert_eq!(after.weights["w"].to_f64().unwrap(), tensor.to_f64().unwrap());
}

#[test]
fn one_array_is_an_npy_file_and_several_are_not() {
    let tensor = StoredTensor::in_memory(Dtype::F32, vec![2], vec![0; 8]).unwrap();
    let one = model(&[("array".to_string(), tensor.clone())]);
    assert_same(&one, &through(&one, "npy"));
    let two = model(&[("a".to_string(), tensor.clone()), ("b".to_string(), tensor)]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.npy");
    let message = persistence::write(&path, &two).unwrap_err().to_string();
    assert!(message.contains("use .npz"), "{message}");
    assert!(!path.exists());
}

#[test]
fn a_file_is_the_same_for_the_same_contents() {
    let network = common::network(common::small(), 3);
    let metadata = persistence::Metadata::default();
    let contents = persistence::Contents {
        network: &network,
        optimizer: None,
        metadata: &metadata,
    };
    let model = Model::of(&contents).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for ending in ["pt", "onnx", "npz", "gguf"] {
        let files = ["a", "b"].map(|name| {
            let path = folder.path().join(format!("{name}.{ending}"));
            persistence::write(&path, &model).unwrap();
            std::fs::read(path).unwrap()
        });
        assert_eq!(files[0], files[1], "{ending}");
    }
}

/// In short formats an ONNX file has a Cast behind each weight.
#[test]
fn short_weights_of_an_onnx_file_compute_what_those_of_a_native_file_do() {
    let network = network(small(), 7);
    let contents = Contents {
        network: &network,
        optimizer: None,
        metadata: &Metadata::default(),
    };
    let folder = tempfile::tempdir().unwrap();
    let x = Tensor::arange(0f32, 72.0, &Device::Cpu).unwrap();
    let x = (x / 72.0).unwrap().reshape((2, 6, 6, 1)).unwrap();
    for precision in [Precision::F16, Precision::Bf16] {
        let predicted = ["safetensors", "onnx"].map(|ending| {
            let path = folder.path().join(format!("{precision}.{ending}"));
            persistence::save(&path, &contents, precision).unwrap();
            let loaded = persistence::open(&path).unwrap().network(&Device::Cpu).unwrap();
            let y = loaded.forward(&x, Mode::Inference).unwrap();
            y.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        });
        let largest = predicted[0].iter().fold(0f32, |most, value| most.max(value.abs()));
        for (native, onnx) in predicted[0].iter().zip(&predicted[1]) {
            assert!(
                (native - onnx).abs() <= 1e-5 * largest,
                "{precision}: {native} and {onnx}"
            );
        }
    }
}

#[test]
fn candle_reads_our_gguf() {
    let network = common::network(common::small(), 3);
    let metadata = persistence::Metadata::default();
    let contents = persistence::Contents {
        network: &network,
        optimizer: None,
        metadata: &metadata,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.gguf");
    persistence::write(&path, &Model::of(&contents).unwrap()).unwrap();
    let mut file = std::fs::File::open(&path).unwrap();
    let content = candle_core::quantized::gguf_file::Content::read(&mut file).unwrap();
    assert_eq!(content.metadata["general.name"].to_string().unwrap(), "small");
    assert!(
        content.metadata["candle-lab.model"]
            .to_string()
            .unwrap()
            .contains("Conv2D")
    );
    for weight in network.weights() {
        let read = content
            .tensor(&mut file, &weight.path, &candle_core::Device::Cpu)
            .unwrap();
        let read = read.dequantize(&candle_core::Device::Cpu).unwrap();
        assert_eq!(
            common::bits(&read),
            common::bits(weight.var.as_tensor()),
            "{}",
            weight.path
        );
    }
}
