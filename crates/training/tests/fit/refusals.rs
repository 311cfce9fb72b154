//! What is refused, and that nothing has changed then.

use crate::problems::{PIPELINE, bits, network, plane, plane_network};
use augmentation::Pipeline;
use candle_core::{DType, Device, Tensor};
use nn_theory::ModelSpec;
use optimizers::Optimizer;
use persistence::Metadata;
use std::path::Path;
use training::{Error, Loss, Samples, Trainer, evaluate, predict, resume};

#[test]
fn a_loss_that_is_no_number_ends_training_and_leaves_the_weights() {
    let mut network = plane_network();
    let before = bits(&network);
    let samples = Samples::new(vec![0.5, f32::NAN, 1.0, 0.0], vec![2], vec![0, 1]).unwrap();
    let mut sgd = Optimizer::by_name("sgd").unwrap();
    let error = Trainer::new().fit(&mut network, &mut sgd, &samples).unwrap_err();
    match &error {
        Error::NonFiniteLoss {
            loss,
            epoch,
            step,
            learning_rate,
            cause,
        } => {
            assert!(loss.is_nan());
            assert_eq!(cause, "sample 0 has an input that is NaN");
            assert_eq!((*epoch, *step, *learning_rate), (1, 1, 0.01));
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains("learning rate"), "{error}");
    assert_eq!(bits(&network), before);
}

/// `dead` is computed, but nothing reads it.
fn with_a_dead_layer() -> ModelSpec {
    let dense = |name: &str, units: usize| {
        format!(
            r#"{{"class_name": "Dense", "name": "{name}", "config": {{"name": "{name}", "units": {units}}}, "inbound_nodes":
            [{{"args": [{{"class_name": "__keras_tensor__", "config": {{"shape": [null, 2], "dtype": "float32",
            "keras_history": ["in", 0, 0]}}}}], "kwargs": {{}}}}]}}"#
        )
    };
    let model = format!(
        r#"{{"class_name": "Functional", "config": {{"name": "dead", "layers": [{{"class_name": "InputLayer", "name": "in",
        "config": {{"name": "in", "batch_shape": [null, 2]}}, "inbound_nodes": []}}, {}, {}],
        "input_layers": [["in", 0, 0]], "output_layers": [["live", 0, 0]]}}}}"#,
        dense("dead", 3),
        dense("live", 2)
    );
    ModelSpec::from_keras_json(&model).unwrap()
}

#[test]
fn a_weight_that_gets_no_gradient_is_named() {
    let mut network = network(with_a_dead_layer(), DType::F32);
    let mut sgd = Optimizer::by_name("sgd").unwrap();
    let before = bits(&network);
    let error = Trainer::new().fit(&mut network, &mut sgd, &plane(10)).unwrap_err();
    match &error {
        Error::LostGradient { path } => assert_eq!(path, "dead/kernel"),
        other => panic!("{other}"),
    }
    assert_eq!(bits(&network), before, "nothing is trained before the error");
    // What the message advises works.
    network.set_trainable("dead", false).unwrap();
    Trainer::new().fit(&mut network, &mut sgd, &plane(10)).unwrap();
}

#[test]
fn data_that_do_not_fit_are_refused_before_a_step() {
    let good = plane(10);
    let empty = good.select(&[]);
    let wide = Samples::new(vec![0.0; 6], vec![3], vec![0, 1]).unwrap();
    let labelled = Samples::new(vec![0.0; 4], vec![2], vec![0, 2]).unwrap();
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    let fit = |trainer: Trainer<'_>, samples: &Samples| {
        let (mut network, mut sgd) = (plane_network(), Optimizer::by_name("sgd").unwrap());
        let before = bits(&network);
        let error = trainer.fit(&mut network, &mut sgd, samples).unwrap_err();
        assert_eq!((bits(&network), sgd.iterations()), (before, 0));
        error
    };
    assert!(matches!(
        fit(Trainer::new(), &empty),
        Error::EmptyData { what: "training" }
    ));
    assert!(matches!(
        fit(Trainer::new().validation_data(&empty), &good),
        Error::EmptyData { what: "validation" }
    ));
    assert!(matches!(fit(Trainer::new(), &wide), Error::InputShape { .. }));
    assert!(matches!(
        fit(Trainer::new().validation_data(&wide), &good),
        Error::InputShape { .. }
    ));
    assert!(matches!(
        fit(Trainer::new(), &labelled),
        Error::Label {
            sample: 1,
            label: 2,
            classes: 2,
            ..
        }
    ));
    assert!(matches!(
        fit(Trainer::new().batch_size(0), &good),
        Error::Option {
            option: "batch_size",
            ..
        }
    ));
    assert!(matches!(
        fit(Trainer::new().augment(&pipeline), &good),
        Error::InputShape { .. }
    ));

    let network = plane_network();
    assert!(matches!(
        evaluate(&network, &empty, Loss::default(), 8),
        Err(Error::EmptyData { .. })
    ));
    assert!(matches!(
        evaluate(&network, &wide, Loss::default(), 8),
        Err(Error::InputShape { .. })
    ));
    assert!(matches!(
        evaluate(&network, &labelled, Loss::default(), 8),
        Err(Error::Label { .. })
    ));
    assert!(matches!(predict(&network, &empty, 8), Err(Error::EmptyData { .. })));
    let images = datasets::digits().train;
    assert!(matches!(
        Samples::for_network(&images, &network),
        Err(Error::InputShape { .. })
    ));
}

#[test]
fn samples_of_impossible_shapes_are_refused() {
    for (inputs, shape, labels) in [
        (3, vec![2], 2),
        (4, vec![2], 3),
        (3, vec![0], 3),
        (3, vec![2, 0], 0),
        (1, vec![usize::MAX, 2], 1),
        (0, vec![usize::MAX], 2),
    ] {
        let samples = Samples::new(vec![0.0; inputs], shape.clone(), vec![0; labels]);
        assert!(
            matches!(samples, Err(Error::Lengths { .. })),
            "{inputs} inputs of {shape:?}, {labels} labels"
        );
    }
}

#[test]
fn losses_refuse_labels_without_an_output() {
    let outputs = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
    for loss in [Loss::SparseCategoricalCrossentropy, Loss::MeanSquaredError] {
        for labels in [vec![0u32, 3], vec![0], vec![0, 1, 2]] {
            let labels = Tensor::new(labels, &Device::Cpu).unwrap();
            assert!(loss.mean(&outputs, &labels).is_err(), "{loss:?} {labels}");
        }
    }
}

#[test]
fn files_without_training_cannot_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        resume(&folder.path().join("none.safetensors"), &Device::Cpu),
        Err(Error::Persistence(_))
    ));
    let path = folder.path().join("weights.safetensors");
    let network = plane_network();
    let contents = persistence::Contents {
        network: &network,
        optimizer: None,
        metadata: &Metadata::default(),
    };
    persistence::save(Path::new(&path), &contents, persistence::Precision::F32).unwrap();
    assert!(matches!(resume(&path, &Device::Cpu), Err(Error::Checkpoint { .. })));
}
