//! What an epoch does, when training stops, and that something is learnt.

use crate::problems::{PIPELINE, bits, digits, network, plane, plane_network, specs};
use augmentation::Pipeline;
use candle_core::{DType, Device};
use models::{Network, zoo};
use nn_theory::{Dense, Dropout, Flatten, ModelSpec};
use optimizers::Optimizer;
use optimizers::schedules::CosineDecay;
use training::{
    Callback, Control, EarlyStopping, EpochEnd, EpochRecord, History, Loss, OnEpochEnd, Samples, StepEnd, StopReason,
    Trainer, evaluate, predict,
};

/// With a rate that changes nothing, only what is drawn anew can change the loss of an epoch.
#[test]
fn augmentation_and_dropout_are_drawn_anew_in_every_epoch() {
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    let plain = ModelSpec::sequential("plain")
        .input([8, 8, 1])
        .layer(Flatten::new())
        .layer(Dense::new(10));
    let dropping = ModelSpec::sequential("dropping")
        .input([64])
        .layer(Dropout::new(0.5))
        .layer(Dense::new(10));
    let losses = |spec: ModelSpec, augment: bool| -> Vec<f64> {
        let mut network = network(spec, DType::F64);
        let samples = digits(&network, 20);
        let mut sgd = Optimizer::builder("sgd").unwrap().learning_rate(1e-15).build().unwrap();
        let trainer = Trainer::new().epochs(3).shuffle(false);
        let trainer = if augment { trainer.augment(&pipeline) } else { trainer };
        let history = trainer.fit(&mut network, &mut sgd, &samples).unwrap();
        history.epochs.iter().map(|record| record.loss).collect()
    };
    let change = |losses: &[f64]| {
        losses
            .windows(2)
            .map(|pair| (pair[0] - pair[1]).abs())
            .fold(f64::MAX, f64::min)
    };
    let (plain, dropping) = (plain.build().unwrap(), dropping.build().unwrap());
    assert!(change(&losses(plain.clone(), false)) < 1e-9);
    assert!(change(&losses(plain, true)) > 1e-4);
    assert!(change(&losses(dropping, false)) > 1e-4);
}

/// The loss of each step of batches of one sample, from the running means.
#[derive(Default)]
struct Losses(Vec<f64>, f64);

impl Callback for Losses {
    fn on_step_end(&mut self, step: &StepEnd) {
        let total = step.loss * step.samples as f64;
        self.0.push(total - self.1);
        self.1 = total;
    }

    fn on_epoch_end(&mut self, _: &mut EpochEnd<'_>) -> training::Result<Control> {
        self.1 = 0.0;
        Ok(Control::Continue)
    }
}

/// Each sample has an input neuron of its own, so that its loss in the first epoch depends on the first weights only.
#[test]
fn an_epoch_sees_every_sample_once_in_an_order_of_its_own() {
    let count = 37;
    let mut inputs = vec![0.0; count * count];
    (0..count).for_each(|i| inputs[i * count + i] = 1.0);
    let samples = Samples::new(inputs, vec![count], vec![0; count]).unwrap();
    let spec = ModelSpec::sequential("rows")
        .input([count as u64])
        .layer(Dense::new(2).use_bias(false));
    let spec = spec.build().unwrap();
    let run = |shuffle: bool, epochs: usize| {
        let mut network = network(spec.clone(), DType::F64);
        let mut losses = Losses::default();
        let mut sgd = Optimizer::builder("sgd").unwrap().learning_rate(1e-9).build().unwrap();
        let trainer = Trainer::new()
            .epochs(epochs)
            .batch_size(1)
            .seed(5)
            .shuffle(shuffle)
            .loss(Loss::MeanSquaredError);
        trainer
            .callback(&mut losses)
            .fit(&mut network, &mut sgd, &samples)
            .unwrap();
        losses.0
    };
    let expected: Vec<f64> = predict(&network(spec.clone(), DType::F64), &samples, 5)
        .unwrap()
        .into_iter()
        .map(|row| ((row[0] - 1.0).powi(2) + row[1].powi(2)) / 2.0)
        .collect();
    let order = |losses: &[f64]| -> Vec<usize> {
        let nearest = |loss: &f64| {
            let distance = |i: &usize| (expected[*i] - loss).abs();
            (0..count).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap()
        };
        losses.iter().map(nearest).collect()
    };
    let in_order: Vec<usize> = (0..count).collect();
    assert_eq!(order(&run(false, 1)), in_order);
    let losses = run(true, 2);
    let epochs: Vec<Vec<usize>> = losses.chunks(count).map(order).collect();
    assert_eq!(epochs.len(), 2);
    assert_ne!(epochs[0], epochs[1], "every epoch has the same order");
    for order in epochs {
        assert_ne!(order, in_order);
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, in_order, "a sample was left out or came twice");
    }
}

#[test]
fn frozen_weights_are_not_changed() {
    let mut network = network(specs()[1].clone(), DType::F32);
    let samples = digits(&network, 40);
    network.set_trainable("dense", false).unwrap();
    network.set_trainable("batch_normalization", false).unwrap();
    let before = bits(&network);
    let mut adam = Optimizer::builder("adamw").unwrap().weight_decay(0.1).build().unwrap();
    Trainer::new().fit(&mut network, &mut adam, &samples).unwrap();
    let paths: Vec<String> = network.weights().map(|weight| weight.path.clone()).collect();
    for ((path, old), new) in paths.iter().zip(before).zip(bits(&network)) {
        assert_eq!(old == new, !path.starts_with("dense_1/"), "{path}");
    }
}

/// The epoch after which a curve of validation losses makes [`EarlyStopping`] stop.
fn stops_after(mut stopping: EarlyStopping, losses: &[f64]) -> Option<usize> {
    let (mut network, mut optimizer) = (plane_network(), Optimizer::by_name("sgd").unwrap());
    let history = History::default();
    losses.iter().enumerate().find_map(|(index, &loss)| {
        let record = EpochRecord {
            epoch: index + 1,
            loss: 1.0,
            accuracy: 0.5,
            val_loss: Some(loss),
            val_accuracy: None,
            learning_rate: 0.1,
            metrics: Default::default(),
        };
        let mut end = EpochEnd {
            record: &record,
            history: &history,
            network: &mut network,
            optimizer: &mut optimizer,
        };
        (stopping.on_epoch_end(&mut end).unwrap() == Control::Stop).then_some(index + 1)
    })
}

#[test]
fn early_stopping_counts_as_keras_does() {
    let nan = f64::NAN;
    let rows: [(usize, f64, &[f64], Option<usize>); 8] = [
        (1, 0.0, &[3.0, 2.0, 2.5, 1.0], Some(3)),
        (0, 0.0, &[3.0, 2.0, 2.5, 1.0], Some(3)),
        (2, 0.0, &[3.0, 2.0, 2.5, 2.5, 1.0], Some(4)),
        (2, 0.0, &[3.0, 2.0, 2.5, 1.0, 2.0], None),
        (2, 0.5, &[3.0, 2.8, 2.6, 2.0], Some(3)),
        (2, 0.0, &[3.0, 3.0, 3.0], Some(3)),
        (2, 0.0, &[nan, 3.0, 2.0, 1.0], None),
        (2, 0.0, &[3.0, nan, nan], Some(3)),
    ];
    for (patience, min_delta, losses, expected) in rows {
        let mut stopping = EarlyStopping::new(patience);
        stopping.min_delta = min_delta;
        assert_eq!(
            stops_after(stopping, losses),
            expected,
            "patience {patience}, {losses:?}"
        );
    }
}

#[test]
fn early_stopping_brings_the_best_weights_back() {
    let mut network = plane_network();
    let mut stopping = EarlyStopping::new(2);
    stopping.min_delta = 1e9;
    let mut epochs = 0;
    let mut count = OnEpochEnd(|_: &EpochRecord| epochs += 1);
    let mut sgd = Optimizer::by_name("sgd").unwrap();
    let trainer = Trainer::new().epochs(50).callback(&mut stopping).callback(&mut count);
    let history = trainer.fit(&mut network, &mut sgd, &plane(40)).unwrap();
    assert_eq!(
        (history.stopped, history.epochs.len(), epochs),
        (StopReason::Callback, 3, 3)
    );
    let mut one = plane_network();
    let mut sgd = Optimizer::by_name("sgd").unwrap();
    Trainer::new().fit(&mut one, &mut sgd, &plane(40)).unwrap();
    assert_eq!(bits(&network), bits(&one), "the weights are those after the best epoch");
}

#[test]
fn a_small_network_learns_the_digits_with_every_seed() {
    let digits = datasets::digits();
    for seed in [1, 2, 3] {
        let mut network = Network::new(zoo::digits_cnn().unwrap(), seed, &Device::Cpu, DType::F32).unwrap();
        let train = Samples::for_network(&digits.train, &network).unwrap();
        let test = Samples::for_network(&digits.test, &network).unwrap();
        let mut adam = Optimizer::builder("adam")
            .unwrap()
            .learning_rate(0.004)
            .build()
            .unwrap();
        let history = Trainer::new()
            .epochs(5)
            .seed(seed)
            .fit(&mut network, &mut adam, &train)
            .unwrap();
        let losses: Vec<f64> = history.epochs.iter().map(|record| record.loss).collect();
        assert!(
            losses.windows(2).all(|pair| pair[1] < pair[0]),
            "seed {seed}: {losses:?}"
        );
        let accuracy = evaluate(&network, &test, Loss::default(), 100).unwrap().accuracy;
        assert!(accuracy > 0.9, "seed {seed}: {accuracy}");
    }
}

#[test]
fn the_digits_are_learnt_to_98_percent() {
    let digits = datasets::digits();
    let accuracies: Vec<f64> = [1, 2, 3]
        .into_iter()
        .map(|seed| {
            let mut network = Network::new(zoo::digits_cnn().unwrap(), seed, &Device::Cpu, DType::F32).unwrap();
            let train = Samples::for_network(&digits.train, &network).unwrap();
            let test = Samples::for_network(&digits.test, &network).unwrap();
            let (epochs, batch_size) = (25, 32);
            let schedule = CosineDecay {
                initial_learning_rate: 0.004,
                decay_steps: (epochs * train.len().div_ceil(batch_size)) as f64,
                ..CosineDecay::default()
            };
            let mut adam = Optimizer::builder("adam").unwrap().schedule(schedule).build().unwrap();
            let trainer = Trainer::new().epochs(epochs).batch_size(batch_size).seed(seed);
            trainer.fit(&mut network, &mut adam, &train).unwrap();
            evaluate(&network, &test, Loss::default(), 256).unwrap().accuracy
        })
        .collect();
    let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    assert!(mean >= 0.98, "{accuracies:?}");
}
