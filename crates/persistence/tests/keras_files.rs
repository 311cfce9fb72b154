//! Models through Keras' formats and back: the same bits, the same optimizer, the same next step.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{metadata, network, small, state_bits, step, weight_bits};
use models::{Mode, Network};
use nn_theory::{Bidirectional, Dense, Embedding, GRU, LSTM, ModelSpec, TimeDistributed};
use optimizers::Optimizer;
use persistence::{Contents, Error, Format, Metadata, Precision};
use proptest::prelude::*;

/// The formats that hold a whole model.
const WHOLE: [Format; 3] = [Format::Safetensors, Format::Keras, Format::LegacyH5];

fn contents<'a>(network: &'a Network, optimizer: Option<&'a Optimizer>, metadata: &'a Metadata) -> Contents<'a> {
    Contents {
        network,
        optimizer,
        metadata,
    }
}

fn sequences() -> ModelSpec {
    ModelSpec::sequential("sequences")
        .input([5])
        .layer(Embedding::new(11, 4).mask_zero(true))
        .layer(Bidirectional::new(LSTM::new(3).return_sequences(true).into()))
        .layer(TimeDistributed::new(Dense::new(4).into()))
        .layer(GRU::new(3))
        .layer(Dense::new(2))
        .build()
        .unwrap()
}

#[test]
fn a_chain_through_all_formats_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    for spec in [small(), sequences()] {
        let network = network(spec, 7);
        let metadata = metadata();
        let mut path = folder.path().join("0.safetensors");
        persistence::save(&path, &contents(&network, None, &metadata), Precision::F32).unwrap();
        let chain = [
            Format::Keras,
            Format::LegacyH5,
            Format::Safetensors,
            Format::LegacyH5,
            Format::Keras,
        ];
        for (number, format) in chain.into_iter().enumerate() {
            let next = folder.path().join(format!("{}.{}", number + 1, format.ending()));
            persistence::write(&next, &persistence::open(&path).unwrap()).unwrap();
            assert_eq!(persistence::open(&next).unwrap().format, format);
            path = next;
        }
        let last = persistence::load(&path, &Device::Cpu).unwrap();
        assert_eq!(weight_bits(&network), weight_bits(&last.network));
        assert_eq!(network.spec().to_keras_json(), last.network.spec().to_keras_json());
    }
}

#[test]
fn weights_alone_need_a_description() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.weights.h5");
    let (network, metadata) = (network(small(), 7), Metadata::default());
    persistence::save(&path, &contents(&network, None, &metadata), Precision::F32).unwrap();
    let error = persistence::load(&path, &Device::Cpu).map(|_| ()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoDescription {
                format: Format::WeightsH5,
                ..
            }
        ),
        "{error}"
    );
    let mut model = persistence::open(&path).unwrap();
    assert!(model.weights.contains_key("layers/conv2d/vars/0"));
    model.describe(small()).unwrap();
    assert_eq!(
        weight_bits(&network),
        weight_bits(&model.network(&Device::Cpu).unwrap())
    );
    // Another network has other places or shapes.
    let error = persistence::open(&path).unwrap().describe(sequences()).unwrap_err();
    assert!(matches!(error, Error::MissingWeight { .. }), "{error}");
}

/// After a format, the next steps are those that would have come.
#[track_caller]
fn check_optimizer(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let network = network(small(), 7);
    let mut optimizer = Optimizer::by_name(name).unwrap();
    (0..3).for_each(|seed| step(&network, &mut optimizer, seed));
    let metadata = metadata();
    for format in WHOLE {
        let path = folder.path().join(format!("{name}.{}", format.ending()));
        persistence::save(&path, &contents(&network, Some(&optimizer), &metadata), Precision::F32).unwrap();
        let saved = persistence::load(&path, &Device::Cpu).unwrap();
        let mut restored = saved
            .optimizer
            .unwrap_or_else(|| panic!("{name}: {format} lost the optimizer"));
        assert_eq!(optimizer.class(), restored.class(), "{name}");
        assert_eq!(optimizer.iterations(), restored.iterations(), "{name} through {format}");
        assert_eq!(state_bits(&optimizer), state_bits(&restored), "{name} through {format}");
        let mut other = self::network(small(), 7);
        for weight in network.weights() {
            other.set_weight(&weight.path, weight.var.as_tensor()).unwrap();
        }
        let mut ours = Optimizer::from_config(optimizer.class(), &optimizer.config()).unwrap();
        ours.load_state(&optimizer.state().unwrap()).unwrap();
        step(&other, &mut ours, 9);
        step(&saved.network, &mut restored, 9);
        assert_eq!(
            weight_bits(&other),
            weight_bits(&saved.network),
            "{name} through {format}"
        );
        assert_eq!(
            saved
                .metadata
                .compile
                .as_ref()
                .and_then(|compile| compile["loss"].as_str()),
            Some("hinge")
        );
    }
}

#[test]
fn every_optimizer_goes_on_after_every_format() {
    // PyTorch's Muon takes matrices only and can train no network with a bias.
    for optimizer in optimizers::catalogue().iter().filter(|info| info.name != "torch_muon") {
        check_optimizer(optimizer.name);
    }
}

#[test]
fn an_untouched_optimizer_is_saved_as_keras_begins() {
    let folder = tempfile::tempdir().unwrap();
    let (network, metadata) = (network(small(), 7), Metadata::default());
    let adam = Optimizer::by_name("adam").unwrap();
    let path = folder.path().join("fresh.keras");
    persistence::save(&path, &contents(&network, Some(&adam), &metadata), Precision::F32).unwrap();
    let restored = persistence::load(&path, &Device::Cpu).unwrap().optimizer.unwrap();
    assert_eq!(restored.iterations(), 0);
    let state = state_bits(&restored);
    assert!(
        state
            .iter()
            .filter(|(name, _)| name.contains('/'))
            .all(|(_, (.., bits))| bits.iter().all(|&bit| bit == 0))
    );
}

#[test]
fn frozen_layers_stay_frozen() {
    let folder = tempfile::tempdir().unwrap();
    let mut network = network(small(), 7);
    network.freeze("conv2d").unwrap();
    let metadata = Metadata::default();
    let flags = |network: &Network| {
        network
            .weights()
            .map(|weight| (weight.path.clone(), weight.trainable))
            .collect::<Vec<_>>()
    };
    for format in WHOLE {
        let path = folder.path().join(format!("frozen.{}", format.ending()));
        persistence::save(&path, &contents(&network, None, &metadata), Precision::F32).unwrap();
        let saved = persistence::load(&path, &Device::Cpu).unwrap();
        assert_eq!(flags(&network), flags(&saved.network), "{format}");
    }
    // A single weight is nothing that Keras can freeze.
    network.set_trainable("logits/bias", false).unwrap();
    let error = persistence::save(
        &folder.path().join("one.keras"),
        &contents(&network, None, &metadata),
        Precision::F32,
    );
    assert!(matches!(error, Err(Error::NotWritten { .. })));
    assert!(!folder.path().join("one.keras").exists());
}

#[test]
fn inference_is_the_same_to_the_bit_in_every_format_and_precision() {
    let folder = tempfile::tempdir().unwrap();
    let metadata = Metadata::default();
    let mut trained = network(small(), 7);
    let mut adam = Optimizer::by_name("adam").unwrap();
    (0..3).for_each(|seed| step(&trained, &mut adam, seed));
    let numbers: Vec<f32> = (0..4 * 36).map(|i| (i as f32 * 0.37).sin()).collect();
    let x = Tensor::from_vec(numbers, (4, 6, 6, 1), &Device::Cpu).unwrap();
    let outputs = |network: &Network| common::bits(&network.forward(&x, Mode::Inference).unwrap()).2;
    for precision in Precision::ALL {
        // What is rounded once is not rounded a second time.
        let mut rounded: Option<Vec<u64>> = None;
        for format in WHOLE {
            let path = folder.path().join(format!("{precision}.{}", format.ending()));
            persistence::save(&path, &contents(&trained, None, &metadata), precision).unwrap();
            let saved = persistence::load(&path, &Device::Cpu).unwrap();
            assert_eq!(saved.precision, precision, "{format}");
            let found = saved
                .network
                .forward(&x.to_dtype(saved.network.dtype()).unwrap(), Mode::Inference)
                .unwrap();
            let found = common::bits(&found).2;
            if precision == Precision::F32 {
                assert_eq!(found, outputs(&trained), "{format}");
            }
            assert_eq!(*rounded.get_or_insert(found.clone()), found, "{format} in {precision}");
        }
    }
    trained
        .set_weight("logits/bias", &Tensor::new(&[1e6f32, 0.0], &Device::Cpu).unwrap())
        .unwrap();
    for format in WHOLE {
        let path = folder.path().join(format!("large.{}", format.ending()));
        let error = persistence::save(&path, &contents(&trained, None, &metadata), Precision::F16).unwrap_err();
        assert!(
            matches!(&error, Error::Overflow { weight, .. } if weight == "logits/bias"),
            "{format}: {error}"
        );
        assert!(!path.exists(), "{format}");
    }
}

#[test]
fn large_tensors_take_the_way_over_holes() {
    // Above the size from which tensors are put into a finished HDF5 file.
    let spec = ModelSpec::sequential("large")
        .input([300])
        .layer(Dense::new(200))
        .layer(Dense::new(90))
        .build()
        .unwrap();
    let (network, metadata) = (network(spec, 3), Metadata::default());
    let folder = tempfile::tempdir().unwrap();
    for format in WHOLE {
        let path = folder.path().join(format!("large.{}", format.ending()));
        persistence::save(&path, &contents(&network, None, &metadata), Precision::F32).unwrap();
        let saved = persistence::load(&path, &Device::Cpu).unwrap();
        assert_eq!(weight_bits(&network), weight_bits(&saved.network), "{format}");
    }
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(small(), 7);
    let mut adam = Optimizer::by_name("adam").unwrap();
    step(&network, &mut adam, 1);
    let metadata = metadata();
    for format in WHOLE {
        let bytes = |name: &str| {
            let path = folder.path().join(format!("{name}.{}", format.ending()));
            persistence::save(&path, &contents(&network, Some(&adam), &metadata), Precision::F32).unwrap();
            std::fs::read(path).unwrap()
        };
        assert!(bytes("one") == bytes("two"), "{format}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_dense_network_comes_back_from_every_format(
        sizes in prop::collection::vec(1usize..9, 1..5), seed: u64, name in "[a-z][a-zà-ü0-9_. -]{0,12}",
        odd in prop::collection::vec(any::<u32>(), 1..6),
    ) {
        let mut model = ModelSpec::sequential(&*name).input([3]);
        for &size in &sizes {
            model = model.layer(Dense::new(size));
        }
        let mut network = network(model.build().unwrap(), seed);
        let first = network.weights().next().map(|weight| (weight.path.clone(), weight.var.dims().to_vec())).unwrap();
        let numbers: Vec<f32> = odd.iter().cycle().take(first.1.iter().product()).map(|&bits| f32::from_bits(bits)).collect();
        network.set_weight(&first.0, &Tensor::from_vec(numbers, first.1, &Device::Cpu).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::default();
        for format in WHOLE {
            let path = folder.path().join(format!("model.{}", format.ending()));
            persistence::save(&path, &contents(&network, None, &metadata), Precision::F32).unwrap();
            let saved = persistence::load(&path, &Device::Cpu).unwrap();
            prop_assert_eq!(saved.network.dtype(), DType::F32);
            for (path, difference) in persistence::weight_differences(&network, &saved.network).unwrap() {
                prop_assert!(difference.is_none(), "{} through {}: {:?}", path, format, difference);
            }
        }
    }
}

/// The archive has one checksum of all weights, and ours one of each large tensor beside it.
#[test]
fn of_our_own_archives_only_what_is_used_is_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.keras");
    let wide = ModelSpec::sequential("wide").input([200]);
    let wide = wide.add("first", Dense::new(200)).add("second", Dense::new(200));
    let network = network(wide.build().unwrap(), 7);
    let metadata = Metadata::default();
    persistence::save(&path, &contents(&network, None, &metadata), Precision::F32).unwrap();
    let kernel = |name: &str| {
        persistence::open(&path).unwrap().weights[name]
            .bytes()
            .map(|bytes| bytes.into_owned())
    };
    let second = kernel("second/kernel").unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(64).position(|window| window == &second[..64]).unwrap();
    bytes[at + 1000] ^= 4;
    std::fs::write(&path, &bytes).unwrap();
    kernel("first/kernel").unwrap();
    let error = kernel("second/kernel").unwrap_err();
    assert!(error.to_string().contains("CRC-32"), "{error}");
    // Sums that do not add up to that of the archive are those of other bytes: then all of it is compared.
    let digits = br#""crc32":[["#;
    let at = bytes.windows(digits.len()).position(|window| window == digits).unwrap();
    assert!(persistence::open(&path).is_ok());
    bytes[at + 1] = b'C';
    let start = bytes[..at]
        .windows(4)
        .rposition(|window| window == b"PK\x03\x04")
        .unwrap();
    let member = start + 30 + "metadata.json".len();
    let size = u32::from_le_bytes(bytes[start + 18..start + 22].try_into().unwrap()) as usize;
    let sum = crc32fast::hash(&bytes[member..member + size]).to_le_bytes();
    bytes[start + 14..start + 18].copy_from_slice(&sum);
    let entry = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    bytes[entry + 16..entry + 20].copy_from_slice(&sum);
    std::fs::write(&path, &bytes).unwrap();
    let error = kernel("first/kernel").unwrap_err();
    assert!(error.to_string().contains("CRC-32"), "{error}");
}
