//! The built-in models against the configurations of `keras.applications`.
//!
//! Reads `$GOLDEN_DIR/summary`, by default the copies of the crate `nn-theory`.

#![allow(clippy::print_stdout, reason = "a comparison that was skipped is part of the result")]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use kernels::random::Stream;
use models::{Mode, Network, zoo};
use nn_theory::ModelSpec;

fn keras(name: &str) -> Option<ModelSpec> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        std::env::var_os("GOLDEN_DIR").map(PathBuf::from),
        Some(own.join("../nn-theory/tests/golden")),
        Some(own.join("../../../shared/golden")),
    ];
    let mut paths = folders
        .into_iter()
        .flatten()
        .map(|folder| folder.join("summary").join(format!("{name}.config.json")));
    let text = paths.find_map(|path| std::fs::read_to_string(path).ok());
    if text.is_none() {
        println!("skipped: no configuration of {name}");
    }
    Some(ModelSpec::from_keras_json(&text?).expect("a configuration of Keras"))
}

/// Paths, shapes, flags and initializers of the weights, and which layer reads which.
#[track_caller]
fn same(ours: &ModelSpec, keras: &ModelSpec) {
    let weights = |model: &ModelSpec| -> Vec<String> {
        let all = model.weights();
        let weights = all.iter();
        weights
            .map(|w| format!("{} {:?} {} {:?}", w.path, w.shape, w.trainable, w.initializer))
            .collect()
    };
    assert_eq!(weights(ours), weights(keras));
    let graph = |model: &ModelSpec| -> Vec<String> {
        let nodes = model.nodes().iter();
        nodes
            .map(|node| {
                let inputs: Vec<&str> = node
                    .inputs
                    .iter()
                    .map(|&from| model.nodes()[from].name.as_str())
                    .collect();
                format!(
                    "{} {} {inputs:?} -> {}",
                    node.layer.class(),
                    node.name,
                    node.output_shape
                )
            })
            .collect()
    };
    assert_eq!(graph(ours), graph(keras));
}

#[test]
fn mobilenet_v2_is_that_of_keras() {
    if let Some(keras) = keras("app_MobileNetV2") {
        same(&zoo::mobilenet_v2().unwrap(), &keras);
    }
}

#[test]
fn efficientnet_b0_is_that_of_keras() {
    if let Some(keras) = keras("app_EfficientNetB0") {
        let ours = zoo::efficientnet_b0().unwrap();
        same(&ours, &keras);
        // The options that change neither shapes nor weights.
        for (own, its) in ours.nodes().iter().zip(keras.nodes()) {
            if let (nn_theory::Layer::Dropout(own), nn_theory::Layer::Dropout(its)) = (&own.layer, &its.layer) {
                assert!((own.rate - its.rate).abs() < 1e-12 && own.noise_shape == its.noise_shape);
            }
            if own.layer.class() == "Rescaling" {
                assert_eq!(own.config()["scale"], its.config()["scale"]);
            }
        }
    }
}

#[test]
fn vgg16_is_that_of_keras() {
    if let Some(keras) = keras("app_VGG16") {
        let blocks = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];
        let ours = zoo::vgg("vgg16", [224, 224, 3], 1000, &blocks, &[4096, 4096]).unwrap();
        same(&ours.into_functional(), &keras);
    }
}

/// One training pass over a few small images: every weight that trains gets a finite gradient, the same one each time.
#[test]
fn every_trainable_weight_of_the_large_models_gets_a_gradient() {
    let image = [33, 40, 3];
    for spec in [
        zoo::vgg("vgg", [16, 16, 3], 5, &[(8, 2), (16, 2)], &[12]).unwrap(),
        zoo::resnet("resnet8", [16, 16, 3], 5, 1).unwrap(),
        zoo::mobilenet_v2_for("mobilenet", image, 5).unwrap(),
        zoo::efficientnet_b0_for("efficientnet", image, 5).unwrap(),
    ] {
        let name = spec.name().to_string();
        let network = Network::new(spec, 3, &Device::Cpu, DType::F32).unwrap();
        let dims = [&[4], network.input_shape().as_slice()].concat();
        let mut pixels = vec![0f32; dims.iter().product()];
        Stream::new(1).op("images").draws().fill_normal(&mut pixels, 0.5, 0.3);
        let x = Tensor::from_vec(pixels, dims, &Device::Cpu).unwrap();
        let statistics = network.snapshot().unwrap();
        let mut passes = (0..2).map(|_| {
            for (path, value) in &statistics {
                network.weight(path).unwrap().var.set(value).unwrap();
            }
            let y = network.forward(&x, Mode::Training(Stream::new(2))).unwrap();
            let labels = Tensor::new(&[0u32, 1, 2, 3], &Device::Cpu).unwrap();
            let loss = kernels::sparse_categorical_crossentropy(&y, &labels).unwrap();
            let gradients = loss.backward().unwrap();
            let weights = network.weights();
            let sizes = weights.map(|weight| match gradients.get(&weight.var) {
                Some(gradient) => {
                    assert!(weight.trainable, "{name}: {}", weight.path);
                    let size = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
                    assert!(size.is_finite(), "{name}: {}", weight.path);
                    size.to_bits()
                }
                None => {
                    assert!(!weight.trainable, "{name}: {} gets no gradient", weight.path);
                    0
                }
            });
            sizes.collect::<Vec<u32>>()
        });
        let (first, second) = (passes.next().unwrap(), passes.next().unwrap());
        assert!(first == second, "{name}: two passes differ");
    }
}
