//! What was saved comes back: weights and optimizer to the bit, texts to the letter.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{bits, metadata, network, small, state_bits, step, weight_bits};
use models::{Mode, Network};
use nn_theory::{Activation, BatchNormalization, Conv2D, Dense, Flatten, ModelSpec, Padding};
use optimizers::Optimizer;
use persistence::{Contents, Difference, Metadata, Precision, SavedModel, weight_differences};
use proptest::prelude::*;

fn save_and_load(
    network: &Network,
    optimizer: Option<&Optimizer>,
    metadata: &Metadata,
    precision: Precision,
) -> SavedModel {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let contents = Contents {
        network,
        optimizer,
        metadata,
    };
    let size = persistence::save(&path, &contents, precision).unwrap();
    assert_eq!(size, std::fs::metadata(&path).unwrap().len());
    persistence::load(&path, &Device::Cpu).unwrap()
}

fn layers() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..4, 0..4)
}

/// A sequential network from a list of kinds of layers.
fn spec(size: u64, kinds: &[u8], units: usize, bias: bool) -> ModelSpec {
    let mut model = ModelSpec::sequential("random").input([size, size, 2]);
    for kind in kinds {
        model = match kind {
            0 => model.layer(Conv2D::new(2, [2, 3]).padding(Padding::Same).use_bias(bias)),
            1 => model.layer(BatchNormalization::new()),
            2 => model.layer(BatchNormalization::new().trainable(false)),
            _ => model.layer(Conv2D::new(3, [1, 1]).activation(Activation::Relu)),
        };
    }
    let head = Dense::new(units).use_bias(bias);
    model.layer(Flatten::new()).layer(head).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_network_comes_back_to_the_bit(
        size in 2u64..6, kinds in layers(), units in 1usize..5, bias: bool, seed: u64, wide: bool,
        // any bits: also NaN, infinities, negative zero and numbers below the normal range
        odd in prop::collection::vec(any::<u32>(), 1..6),
    ) {
        let spec = spec(size, &kinds, units, bias);
        let mut network = network(spec.clone(), seed);
        let kernel = network.weights().last().map(|weight| (weight.path.clone(), weight.var.dims().to_vec())).unwrap();
        let count: usize = kernel.1.iter().product();
        let numbers: Vec<f32> = odd.iter().cycle().take(count).map(|&bits| f32::from_bits(bits)).collect();
        network.set_weight(&kernel.0, &Tensor::from_vec(numbers, kernel.1, &Device::Cpu).unwrap()).unwrap();

        let precision = if wide { Precision::F64 } else { Precision::F32 };
        let saved = save_and_load(&network, None, &Metadata::default(), precision);
        prop_assert_eq!(saved.network.spec().to_keras_json(), spec.to_keras_json());
        prop_assert_eq!(saved.precision, precision);
        prop_assert!(saved.optimizer.is_none());
        for (path, difference) in weight_differences(&network, &saved.network).unwrap() {
            prop_assert!(difference.is_none(), "{}: {:?}", path, difference);
        }
        let flags = |network: &Network| network.weights().map(|weight| weight.trainable).collect::<Vec<_>>();
        prop_assert_eq!(flags(&network), flags(&saved.network));
    }

    #[test]
    fn half_precision_rounds_to_the_nearest(seed: u64, values in prop::collection::vec(-6e4f32..6e4, 12)) {
        let spec = ModelSpec::sequential("line").input([12]).layer(Dense::new(1).use_bias(false).name("a")).build().unwrap();
        let mut network = network(spec, seed);
        network.set_weight("a/kernel", &Tensor::from_vec(values.clone(), (12, 1), &Device::Cpu).unwrap()).unwrap();
        for (precision, round) in [
            (Precision::F16, (|x| half::f16::from_f32(x).to_f64()) as fn(f32) -> f64),
            (Precision::Bf16, |x| half::bf16::from_f32(x).to_f64()),
        ] {
            let saved = save_and_load(&network, None, &Metadata::default(), precision);
            let (dtype, _, found) = bits(saved.network.weight("a/kernel").unwrap().var.as_tensor());
            prop_assert_eq!(dtype, DType::F32);
            let expected: Vec<u64> = values.iter().map(|&x| round(x).to_bits()).collect();
            prop_assert_eq!(found, expected);
            for &x in &values {
                let bound = precision.unit_roundoff() * f64::from(x.abs()) + 3e-8;
                prop_assert!((round(x) - f64::from(x)).abs() <= bound);
            }
        }
    }

    #[test]
    fn any_text_comes_back(classes in prop::collection::vec(any::<String>(), 0..4), augment: Option<String>, seed: u64) {
        let metadata = Metadata {
            classes,
            training: Some(persistence::TrainingState { seed, augment, ..Default::default() }),
            ..Metadata::default()
        };
        let saved = save_and_load(&network(small(), 1), None, &metadata, Precision::F32);
        prop_assert_eq!(saved.metadata, metadata);
    }
}

#[test]
fn inference_is_the_same_to_the_bit() {
    let network = network(small(), 7);
    let mut adam = Optimizer::by_name("adam").unwrap();
    // Steps move the statistics of batch normalisation, too.
    (0..3).for_each(|seed| step(&network, &mut adam, seed));
    let saved = save_and_load(&network, None, &metadata(), Precision::F32);
    let numbers: Vec<f32> = (0..4 * 36).map(|i| (i as f32 * 0.37).sin()).collect();
    let x = Tensor::from_vec(numbers, (4, 6, 6, 1), &Device::Cpu).unwrap();
    let [before, after] = [&network, &saved.network].map(|net| bits(&net.forward(&x, Mode::Inference).unwrap()));
    assert_eq!(before, after);
    assert_eq!(saved.metadata, metadata());
}

/// After loading, the next steps are those that would have come.
#[track_caller]
fn check_optimizer(name: &str) {
    let network = network(small(), 7);
    let mut optimizer = Optimizer::by_name(name).unwrap();
    (0..3).for_each(|seed| step(&network, &mut optimizer, seed));
    let mut saved = save_and_load(&network, Some(&optimizer), &metadata(), Precision::F32);
    let mut restored = saved.optimizer.take().unwrap();
    assert_eq!(optimizer.class(), restored.class(), "{name}");
    assert_eq!(optimizer.config(), restored.config(), "{name}");
    assert_eq!(state_bits(&optimizer), state_bits(&restored), "{name}");
    for seed in 3..6 {
        step(&network, &mut optimizer, seed);
        step(&saved.network, &mut restored, seed);
    }
    assert_eq!(state_bits(&optimizer), state_bits(&restored), "{name}");
    assert_eq!(weight_bits(&network), weight_bits(&saved.network), "{name}");
}

#[test]
fn every_optimizer_goes_on_as_if_nothing_had_happened() {
    optimizers::catalogue()
        .iter()
        .for_each(|info| check_optimizer(info.name));
}

#[test]
fn an_optimizer_that_made_no_step_comes_back() {
    let network = network(small(), 7);
    let adam = Optimizer::by_name("adam").unwrap();
    let saved = save_and_load(&network, Some(&adam), &metadata(), Precision::F32);
    assert_eq!(saved.optimizer.unwrap().iterations(), 0);
}

#[test]
fn frozen_weights_stay_frozen() {
    let mut network = network(small(), 7);
    network.set_trainable("conv2d", false).unwrap();
    network.set_trainable("logits/bias", false).unwrap();
    let saved = save_and_load(&network, None, &Metadata::default(), Precision::F32);
    for (before, after) in network.weights().zip(saved.network.weights()) {
        assert_eq!((&before.path, before.trainable), (&after.path, after.trainable));
    }
}

#[test]
fn a_network_of_float64_comes_back_as_float64_and_goes_on() {
    let network = Network::new(small(), 7, &Device::Cpu, DType::F64).unwrap();
    let saved = save_and_load(&network, None, &Metadata::default(), Precision::F64);
    assert_eq!(saved.network.dtype(), DType::F64);
    assert_eq!(weight_bits(&network), weight_bits(&saved.network));
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    // The order of a hash map would be another one in each call.
    let first = common::file();
    (0..8).for_each(|_| assert!(common::file() == first));
}

#[test]
fn tensors_are_aligned() {
    let bytes = common::file();
    let (header, _) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header % 8, 0);
    for (name, view) in safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors() {
        let offset = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
        assert_eq!(offset % (view.dtype().bitsize() / 8), 0, "{name}");
    }
}

#[test]
fn the_list_of_a_file_says_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, common::file()).unwrap();
    let file = persistence::inspect(&path).unwrap();
    let kernel = file
        .tensors
        .iter()
        .find(|tensor| tensor.name == "logits/kernel")
        .unwrap();
    assert_eq!(
        (kernel.dtype.as_str(), &kernel.shape[..], kernel.bytes),
        ("F32", &[4, 2][..], 32)
    );
    assert!(!kernel.is_optimizer_state());
    let count = file
        .tensors
        .iter()
        .filter(|tensor| tensor.name == "@optimizer/iterations");
    assert_eq!(
        count
            .filter(|tensor| tensor.is_optimizer_state() && tensor.dtype == "I64")
            .count(),
        1
    );
    assert_eq!(8 + file.header_bytes.unwrap() + file.tensor_bytes(), file.bytes);
    assert!(file.sha256.is_some());
    let keys: Vec<&str> = file.metadata.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "crc32",
            "format",
            "metadata",
            "model",
            "optimizer",
            "precision",
            "sha256",
            "version"
        ]
    );
}

#[test]
fn differences_count_and_measure() {
    let nan = f64::NAN;
    let difference = Difference::between(&[1.0, 2.0, nan, 0.0], &[1.0, 2.5, nan, -0.0]);
    assert_eq!((difference.values, difference.equal, difference.largest), (4, 2, 0.5));
    assert_eq!(difference.mean, 0.125);
    assert_eq!(Difference::between(&[1.0], &[nan]).largest, f64::INFINITY);
    assert!(!Difference::between(&[1.0], &[1.0, 2.0]).is_none());
    assert!(Difference::between(&[], &[]).is_none());
    let both = difference.and(Difference::between(&[3.0, 3.0], &[3.0, 4.0]));
    assert_eq!((both.values, both.equal, both.largest, both.mean), (6, 3, 1.0, 0.25));
}

#[test]
fn tensors_that_the_training_keeps_come_back_beside_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let network = network(small(), 7);
    let mut adam = Optimizer::by_name("adam").unwrap();
    step(&network, &mut adam, 1);
    let best = Tensor::new(&[[0.1f32, -2.5], [f32::MIN_POSITIVE, 4.0]], &Device::Cpu).unwrap();
    let count = Tensor::new(&[3u32], &Device::Cpu).unwrap();
    let tensors = [
        ("stop:best/kernel".to_string(), best),
        ("stop:count".to_string(), count),
    ];
    let metadata = metadata();
    let contents = Contents {
        network: &network,
        optimizer: Some(&adam),
        metadata: &metadata,
    };
    // Whatever the weights are rounded to, these are not.
    persistence::save_with(&path, &contents, &tensors, Precision::F16).unwrap();
    let saved = persistence::load(&path, &Device::Cpu).unwrap();
    assert_eq!(saved.tensors.len(), 2);
    for ((name, tensor), (expected_name, expected)) in saved.tensors.iter().zip(&tensors) {
        assert_eq!((name, bits(tensor)), (expected_name, bits(expected)));
    }
    let file = persistence::inspect(&path).unwrap();
    let kept = file.tensors.iter().filter(|tensor| tensor.is_training_state());
    assert_eq!(
        kept.map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(),
        ["@training/stop:best/kernel", "@training/stop:count"]
    );
    // Without an optimizer there is no training that they could belong to.
    let contents = Contents {
        optimizer: None,
        ..contents
    };
    persistence::save_with(&path, &contents, &tensors, Precision::F32).unwrap();
    assert!(matches!(
        persistence::load(&path, &Device::Cpu),
        Err(persistence::Error::ExtraTensor { .. })
    ));
}
