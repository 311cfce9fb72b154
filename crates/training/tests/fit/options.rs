//! The options of a trainer: weights of samples and classes, targets that are numbers, validation, batches made ahead.

use augmentation::Pipeline;
use candle_core::{DType, Device};
use models::{Network, zoo};
use nn_theory::{Dense, ModelSpec, NamedLayer};
use optimizers::Optimizer;
use serde_json::json;
use training::{
    Callback, Control, EpochEnd, Error, History, Loss, Reduction, Samples, Trainer, ValidationSplit, evaluate, measure,
};

use crate::problems::{PIPELINE, bits, digits, network, plane, plane_network, state};

fn sgd() -> Optimizer {
    Optimizer::by_name("sgd").unwrap()
}

/// A line through points: a network of one number in and one out.
fn line() -> (Network, Samples) {
    let spec = ModelSpec::sequential("line")
        .input([1])
        .layer(Dense::new(1).name("line"));
    let xs: Vec<f32> = (0..40).map(|i| i as f32 / 20.0 - 1.0).collect();
    let ys = xs.iter().map(|x| 3.0 * x - 0.5).collect();
    let samples = Samples::with_targets(xs, vec![1], ys, vec![1]).unwrap();
    (network(spec.build().unwrap(), DType::F32), samples)
}

#[test]
fn numbers_are_learnt_as_well_as_classes() {
    let (mut net, samples) = line();
    let mut adam = Optimizer::builder("adam").unwrap().learning_rate(0.05).build().unwrap();
    let trainer = Trainer::new().epochs(150).batch_size(8).loss(Loss::MeanSquaredError);
    let split = ValidationSplit::random(0.25);
    let history = trainer
        .validation_split(split)
        .fit(&mut net, &mut adam, &samples)
        .unwrap();
    let last = history.last().unwrap();
    assert!(last.loss < 1e-3 && last.val_loss.unwrap() < 1e-3, "{last:?}");
    assert!(last.accuracy.is_nan() && last.val_accuracy.is_none());
    assert_eq!(
        last.logs().into_keys().collect::<Vec<_>>(),
        ["loss", "val_loss", "learning_rate"]
    );
    let slope = net
        .weight("line/kernel")
        .unwrap()
        .var
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap()[0];
    assert!((slope - 3.0).abs() < 0.1, "{slope}");
    let measured = measure(&net, &samples, Loss::MeanSquaredError, &mut [], 7).unwrap();
    assert_eq!(measured.keys().collect::<Vec<_>>(), ["loss"]);
    // What needs classes says so.
    assert!(matches!(
        evaluate(&net, &samples, Loss::MeanSquaredError, 7),
        Err(Error::Targets { .. })
    ));
    let weighted = Trainer::new().loss(Loss::MeanSquaredError).class_weight([(0, 2.0)]);
    assert!(matches!(
        weighted.fit(&mut net, &mut adam, &samples),
        Err(Error::Targets { .. })
    ));
}

#[test]
fn targets_of_another_shape_are_refused() {
    let (mut net, samples) = line();
    let two = Samples::with_targets(samples.inputs().to_vec(), vec![1], vec![0.0; 80], vec![2]).unwrap();
    let error = Trainer::new()
        .loss(Loss::MeanSquaredError)
        .fit(&mut net, &mut sgd(), &two)
        .unwrap_err();
    assert!(
        matches!(&error, Error::TargetShape { network, expected, found } if network == "line" && expected == "(1)" && found == "(2)"),
        "{error}"
    );
    for (targets, shape) in [(3, vec![2]), (2, vec![0]), (2, vec![usize::MAX, 2])] {
        assert!(Samples::with_targets(vec![0.0; 2], vec![1], vec![0.0; targets], shape).is_err());
    }
    assert!(Samples::with_targets(vec![0.0; 3], vec![1], vec![0.0; 2], vec![1]).is_err());
}

#[test]
fn one_output_decides_between_two_classes() {
    let spec = ModelSpec::sequential("side").input([2]).layer(Dense::new(1));
    let mut net = network(spec.build().unwrap(), DType::F32);
    let samples = plane(200);
    let mut adam = Optimizer::builder("adam").unwrap().learning_rate(0.05).build().unwrap();
    let trainer = Trainer::new().epochs(20).loss(Loss::BinaryCrossentropy);
    let history = trainer.fit(&mut net, &mut adam, &samples).unwrap();
    assert!(history.last().unwrap().accuracy > 0.95, "{:?}", history.last());
    let measured = evaluate(&net, &samples, Loss::BinaryCrossentropy, 64).unwrap();
    assert!(measured.accuracy > 0.95 && measured.confusion.len() == 2);
    let labels = Samples::new(vec![0.0; 4], vec![2], vec![0, 2]).unwrap();
    let trained = Trainer::new()
        .loss(Loss::BinaryCrossentropy)
        .fit(&mut net, &mut adam, &labels);
    assert!(matches!(
        trained,
        Err(Error::Label {
            label: 2,
            classes: 2,
            ..
        })
    ));
}

/// A whole number as the weight of a sample is as good as so many copies of it, where the mean is over the same number.
#[test]
fn a_weight_counts_as_copies_do() {
    let points = plane(6);
    let (inputs, labels) = (points.inputs().to_vec(), points.labels().to_vec());
    let weights = vec![2.0, 0.0, 1.0, 3.0, 0.0, 0.0];
    let copies: Vec<usize> = vec![0, 0, 2, 3, 3, 3];
    let train = |samples: &Samples| {
        let mut net = plane_network();
        let history = Trainer::new()
            .epochs(3)
            .batch_size(6)
            .fit(&mut net, &mut sgd(), samples)
            .unwrap();
        (net, history)
    };
    let weighted = Samples::new(inputs, vec![2], labels)
        .unwrap()
        .sample_weights(weights)
        .unwrap();
    let ((a, first), (b, second)) = (train(&weighted), train(&points.select(&copies)));
    let flat = |network: &Network| -> Vec<f64> { bits(network).concat().into_iter().map(f64::from_bits).collect() };
    for (a, b) in flat(&a).into_iter().zip(flat(&b)) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    for (a, b) in first.get("loss").into_iter().zip(second.get("loss")) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    // Weights go where their samples go.
    assert_eq!(weighted.select(&[3, 1]).weights(), Some(&[3.0, 0.0][..]));
    for wrong in [vec![1.0; 5], vec![-1.0; 6], vec![f32::NAN; 6]] {
        assert!(matches!(
            points.clone().sample_weights(wrong),
            Err(Error::InvalidWeights { .. })
        ));
    }
}

#[test]
fn the_weight_of_a_class_is_that_of_its_samples() {
    let samples = plane(30);
    let per_sample: Vec<f32> = samples
        .labels()
        .iter()
        .map(|&label| if label == 1 { 4.0 } else { 1.0 })
        .collect();
    let train = |trainer: Trainer<'_>, samples: &Samples| {
        let mut net = plane_network();
        let history = trainer
            .epochs(2)
            .batch_size(8)
            .fit(&mut net, &mut sgd(), samples)
            .unwrap();
        (bits(&net), history.epochs)
    };
    let by_sample = train(Trainer::new(), &samples.clone().sample_weights(per_sample).unwrap());
    assert_eq!(train(Trainer::new().class_weight([(1, 4.0)]), &samples), by_sample);
    assert_ne!(train(Trainer::new(), &samples).0, by_sample.0);
    // Both are multiplied.
    let halves = samples.clone().sample_weights(vec![0.5; 30]).unwrap();
    assert_eq!(
        train(Trainer::new().class_weight([(0, 2.0), (1, 8.0)]), &halves),
        by_sample
    );
    let mut net = plane_network();
    let trained = Trainer::new()
        .class_weight([(1, -1.0)])
        .fit(&mut net, &mut sgd(), &samples);
    assert!(matches!(trained, Err(Error::InvalidWeights { .. })));
}

#[test]
fn batches_made_ahead_have_the_same_bits() {
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    let run = |augment: bool, prefetch: usize, dtype: DType| {
        let mut net = network(zoo::digits_cnn().unwrap(), dtype);
        let samples = digits(&net, 70);
        let mut adam = Optimizer::by_name("adam").unwrap();
        let trainer = Trainer::new().epochs(2).batch_size(16).seed(1).prefetch(prefetch);
        let trainer = if augment { trainer.augment(&pipeline) } else { trainer };
        let history = trainer.fit(&mut net, &mut adam, &samples).unwrap();
        (history.epochs, bits(&net), state(&adam))
    };
    for (augment, dtype) in [(false, DType::F32), (true, DType::F32), (false, DType::F64)] {
        let alone = run(augment, 0, dtype);
        for prefetch in [1, 3, 100] {
            assert!(run(augment, prefetch, dtype) == alone, "{augment} {prefetch} {dtype:?}");
        }
    }
    // An error ends the thread and comes through.
    let mut net = network(zoo::digits_cnn().unwrap(), DType::F32);
    let mut inputs = digits(&net, 64).inputs().to_vec();
    inputs[64 * 40] = f32::NAN;
    let samples = Samples::new(inputs, vec![8, 8, 1], vec![0; 64]).unwrap();
    for trainer in [
        Trainer::new().prefetch(2).augment(&pipeline),
        Trainer::new().prefetch(2),
    ] {
        assert!(trainer.batch_size(4).fit(&mut net, &mut sgd(), &samples).is_err());
    }
}

#[test]
fn a_batch_may_be_larger_than_the_data() {
    let samples = plane(5);
    let (mut a, mut b) = (plane_network(), plane_network());
    Trainer::new()
        .batch_size(1000)
        .fit(&mut a, &mut sgd(), &samples)
        .unwrap();
    Trainer::new().batch_size(5).fit(&mut b, &mut sgd(), &samples).unwrap();
    assert_eq!(bits(&a), bits(&b));
}

#[test]
fn a_split_by_the_trainer_is_one_by_hand() {
    let samples = plane(50);
    let train = |trainer: Trainer<'_>, samples: &Samples| {
        let mut net = plane_network();
        let history = trainer
            .epochs(2)
            .batch_size(8)
            .seed(4)
            .fit(&mut net, &mut sgd(), samples)
            .unwrap();
        (bits(&net), history.epochs)
    };
    let (learnt, held_out) = samples.split(0.3, 4).unwrap();
    let by_hand = train(Trainer::new().validation_data(&held_out), &learnt);
    let random = train(Trainer::new().validation_split(ValidationSplit::random(0.3)), &samples);
    assert_eq!(random, by_hand);
    let (first, last) = ((0..35).collect::<Vec<_>>(), (35..50).collect::<Vec<_>>());
    let held_out = samples.select(&last);
    let by_hand = train(Trainer::new().validation_data(&held_out), &samples.select(&first));
    let of_keras = train(Trainer::new().validation_split(ValidationSplit::last(0.3)), &samples);
    assert_eq!(of_keras, by_hand);
    let fresh = train(
        Trainer::new().validation_split(ValidationSplit::every_epoch(0.3)),
        &samples,
    );
    assert_ne!(fresh.1, random.1);
    // Given samples go before a split.
    let both = Trainer::new()
        .validation_split(ValidationSplit::last(0.9))
        .validation_data(&held_out);
    assert_eq!(train(both, &samples.select(&first)), by_hand);
    // Nothing is left to learn from, or nothing to measure on.
    for fraction in [0.0, 1.0, 0.999] {
        let trainer = Trainer::new().validation_split(ValidationSplit::last(fraction));
        assert!(
            matches!(
                trainer.fit(&mut plane_network(), &mut sgd(), &samples),
                Err(Error::Option { .. })
            ),
            "{fraction}"
        );
    }
}

#[test]
fn validation_is_as_often_as_asked_for_and_in_batches_of_any_size() {
    let samples = plane(20);
    let run = |freq, batch_size| -> History {
        let trainer = Trainer::new().epochs(6).validation_data(&samples);
        let trainer = trainer.validation_freq(freq).validation_batch_size(batch_size);
        trainer.fit(&mut plane_network(), &mut sgd(), &samples).unwrap()
    };
    let every: Vec<_> = run(1, 256).curve(|record| record.val_loss);
    let second = run(2, 256).curve(|record| record.val_loss);
    assert_eq!(every.len(), 6);
    assert_eq!(second, [every[1], every[3], every[5]]);
    for (small, large) in run(1, 3).get("val_loss").into_iter().zip(&every) {
        assert!((small - large.1).abs() < 1e-6);
    }
    for trainer in [
        Trainer::new().validation_freq(0),
        Trainer::new().validation_batch_size(0),
    ] {
        let trained = trainer.fit(&mut plane_network(), &mut sgd(), &samples);
        assert!(matches!(trained, Err(Error::Option { .. })));
    }
    let trainer = Trainer::new().loss(Loss::MeanSquaredError.reduction(Reduction::None));
    assert!(matches!(
        trainer.fit(&mut plane_network(), &mut sgd(), &samples),
        Err(Error::Option { .. })
    ));
}

/// Gradients of `k` batches, averaged, are those of one batch as large.
#[test]
fn accumulated_steps_are_one_large_step() {
    let samples = plane(32);
    let train = |batch_size, optimizer: &mut Optimizer| {
        let mut net = plane_network();
        let trainer = Trainer::new().epochs(2).batch_size(batch_size).shuffle(false);
        trainer.fit(&mut net, optimizer, &samples).unwrap();
        bits(&net)
            .concat()
            .into_iter()
            .map(f64::from_bits)
            .collect::<Vec<f64>>()
    };
    let builder = || Optimizer::builder("sgd").unwrap().learning_rate(0.3);
    let mut accumulating = builder().gradient_accumulation_steps(4).build().unwrap();
    let large = train(32, &mut builder().build().unwrap());
    for (a, b) in train(8, &mut accumulating).into_iter().zip(large) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    assert_eq!(accumulating.iterations(), 2);
}

#[test]
fn averages_are_measured_seen_and_kept() {
    /// The weights that a callback sees, and what they are worth.
    struct Seen<'a>(&'a Samples, Vec<(Vec<Vec<u64>>, f64)>);
    impl Callback for Seen<'_> {
        fn on_epoch_end(&mut self, epoch: &mut EpochEnd<'_>) -> training::Result<Control> {
            let measured = evaluate(epoch.network, self.0, Loss::default(), 64)?;
            self.1.push((bits(epoch.network), measured.loss));
            Ok(Control::Continue)
        }
    }
    let samples = plane(32);
    let run = |optimizer: &mut Optimizer| {
        let mut net = plane_network();
        let mut seen = Seen(&samples, Vec::new());
        let trainer = Trainer::new().epochs(3).batch_size(8).validation_data(&samples);
        let history = trainer.callback(&mut seen).fit(&mut net, optimizer, &samples).unwrap();
        (bits(&net), history, seen.1)
    };
    let builder = || Optimizer::builder("sgd").unwrap().learning_rate(0.5);
    let (_, plain, raw) = run(&mut builder().build().unwrap());
    let mut averaging = builder().ema(0.9, None).build().unwrap();
    let (last, history, seen) = run(&mut averaging);
    // The training itself is the same, what is measured is not.
    assert_eq!(history.get("loss"), plain.get("loss"));
    assert_ne!(history.get("val_loss"), plain.get("val_loss"));
    assert_eq!(last, seen[2].0);
    for (index, (weights, loss)) in seen.iter().enumerate() {
        assert_eq!(*loss, history.epochs[index].val_loss.unwrap());
        assert_ne!(*weights, raw[index].0);
    }
}

#[test]
fn a_layer_without_neurons_is_named() {
    let spec = ModelSpec::sequential("empty")
        .input([2])
        .layer(Dense::new(0).name("nothing"))
        .layer(Dense::new(2));
    // Where the description or the network refuses it, nothing can be trained.
    let made = spec.build().map(|spec| Network::new(spec, 1, &Device::Cpu, DType::F32));
    let text = match made {
        Err(error) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Ok(Ok(mut net)) => Trainer::new()
            .fit(&mut net, &mut sgd(), &plane(4))
            .unwrap_err()
            .to_string(),
    };
    assert!(text.contains("'nothing'") && text.contains('0'), "{text}");
}

/// The plane's network, with options of Keras for its layer.
fn plane_with(options: &[(&str, serde_json::Value)]) -> Network {
    let layer: NamedLayer = Dense::new(2).name("last");
    let layer = options
        .iter()
        .fold(layer, |layer, (key, value)| layer.option(key, value.clone()).unwrap());
    network(
        ModelSpec::sequential("plane").input([2]).layer(layer).build().unwrap(),
        DType::F64,
    )
}

fn values(network: &Network, path: &str) -> Vec<f64> {
    network
        .weight(path)
        .unwrap()
        .var
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[test]
fn regularizers_are_part_of_what_is_made_small() {
    let samples = plane(20);
    let rate = 0.5;
    let train = |net: &mut Network| {
        let mut sgd = Optimizer::builder("sgd").unwrap().learning_rate(rate).build().unwrap();
        let trainer = Trainer::new().batch_size(20).validation_data(&samples);
        trainer.fit(net, &mut sgd, &samples).unwrap().epochs.remove(0)
    };
    let (mut plain, mut decayed) = (
        plane_with(&[]),
        plane_with(&[(
            "kernel_regularizer",
            json!({"class_name": "L2", "config": {"l2": 0.25}}),
        )]),
    );
    let before = values(&plain, "last/kernel");
    assert_eq!(values(&decayed, "last/kernel"), before);
    let (first, second) = (train(&mut plain), train(&mut decayed));
    let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
    assert!((second.loss - first.loss - 0.25 * squares(&before)).abs() < 1e-12);
    let after = values(&decayed, "last/kernel");
    // The gradient of l2 w² is 2 l2 w.
    for ((with, without), before) in after.iter().zip(values(&plain, "last/kernel")).zip(&before) {
        assert!((with - (without - rate * 2.0 * 0.25 * before)).abs() < 1e-12);
    }
    // As in Keras, the loss of the validation samples has the penalty, too.
    let measured = measure(&decayed, &samples, Loss::default(), &mut [], 20).unwrap();
    assert_eq!(measured.get("loss").copied(), second.val_loss);
    let mut bare = plane_with(&[]);
    for path in ["last/kernel", "last/bias"] {
        bare.set_weight(path, decayed.weight(path).unwrap().var.as_tensor())
            .unwrap();
    }
    let own = evaluate(&bare, &samples, Loss::default(), 20).unwrap().loss;
    assert!((second.val_loss.unwrap() - own - 0.25 * squares(&after)).abs() < 1e-12);
}

#[test]
fn constraints_hold_after_every_step() {
    let mut net = plane_with(&[("bias_constraint", json!("non_neg"))]);
    let mut free = plane_with(&[]);
    let samples = Samples::new(vec![0.1; 8], vec![2], vec![1; 4]).unwrap();
    for net in [&mut net, &mut free] {
        Trainer::new()
            .epochs(3)
            .batch_size(2)
            .fit(net, &mut sgd(), &samples)
            .unwrap();
    }
    assert!(values(&free, "last/bias")[0] < 0.0);
    assert_eq!(values(&net, "last/bias")[0], 0.0);
    assert!(values(&net, "last/bias")[1] > 0.0);
}
