//! Callbacks: what Keras' own do on the same curves, and what they leave behind.

#![allow(
    clippy::print_stdout,
    reason = "the number of cases that were walked is part of the result"
)]

use std::path::Path;

use candle_core::Device;
use indexmap::IndexMap;
use optimizers::Optimizer;
use persistence::Metadata;
use serde_json::Value;
use training::callbacks::{
    CsvLogger, Direction, LearningRateScheduler, ModelCheckpoint, Monitor, Observer, ReduceLrOnPlateau, TerminateOnNan,
    TrainBegin,
};
use training::{
    Callback, Control, EarlyStopping, EpochEnd, EpochRecord, Error, History, Samples, StepEnd, StopReason, Trainer,
};

use crate::problems::{bits, plane, plane_network};

/// A record whose figure `name` is `value`.
fn record(epoch: usize, figures: &[(&str, f64)]) -> EpochRecord {
    let figure = |wanted: &str| {
        figures
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| *value)
    };
    EpochRecord {
        epoch,
        loss: figure("loss").unwrap_or(1.0),
        accuracy: figure("accuracy").unwrap_or(0.5),
        val_loss: figure("val_loss"),
        val_accuracy: figure("val_accuracy"),
        learning_rate: figure("learning_rate").unwrap_or(0.1),
        metrics: IndexMap::new(),
    }
}

/// Epochs until `callback` ends training, and the learning rate after each.
fn run(callback: &mut dyn Callback, records: &[EpochRecord]) -> (usize, bool, Vec<f64>) {
    let mut network = plane_network();
    let mut optimizer = Optimizer::builder("sgd").unwrap().learning_rate(0.1).build().unwrap();
    let history = History::default();
    callback
        .on_train_begin(&TrainBegin {
            history: &history,
            epochs: records.len(),
            validation: true,
            network: &network,
        })
        .unwrap();
    let mut rates = Vec::new();
    for record in records {
        let mut end = EpochEnd {
            record,
            history: &history,
            network: &mut network,
            optimizer: &mut optimizer,
        };
        let control = callback.on_epoch_end(&mut end).unwrap();
        rates.push(optimizer.learning_rate());
        if control == Control::Stop {
            return (rates.len(), true, rates);
        }
    }
    (rates.len(), false, rates)
}

fn traces() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/callbacks/traces.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn callbacks_decide_as_keras_does() {
    let traces = traces();
    let cases = traces["cases"].as_array().unwrap();
    for case in cases {
        let config = &case["config"];
        let number = |key: &str| config[key].as_f64();
        let whole = |key: &str| config[key].as_u64().unwrap_or_default() as usize;
        let name = config["monitor"].as_str().unwrap();
        let monitor = Monitor::new(name).mode(match config["mode"].as_str() {
            Some("min") => Direction::Min,
            Some("max") => Direction::Max,
            _ => Direction::Auto,
        });
        let curve = case["curve"].as_array().unwrap();
        let records: Vec<EpochRecord> = (curve.iter().enumerate())
            .map(|(epoch, value)| record(epoch + 1, &[(name, value.as_f64().unwrap())]))
            .collect();
        let (epochs, stopped, rates) = match case["class"].as_str() {
            Some("EarlyStopping") => {
                let mut stopping = EarlyStopping::new(whole("patience")).monitor(monitor);
                stopping.min_delta = number("min_delta").unwrap();
                stopping.baseline = number("baseline");
                stopping.start_from_epoch = whole("start_from_epoch");
                run(&mut stopping, &records)
            }
            _ => {
                let mut plateau = ReduceLrOnPlateau::new(number("factor").unwrap(), whole("patience")).monitor(monitor);
                plateau.min_delta = number("min_delta").unwrap();
                plateau.cooldown = whole("cooldown");
                plateau.min_lr = number("min_lr").unwrap();
                run(&mut plateau, &records)
            }
        };
        assert_eq!(Some(epochs as u64), case["epochs"].as_u64(), "{case}");
        assert_eq!(Some(stopped), case["stopped"].as_bool(), "{case}");
        // Keras keeps its rate in f32.
        for (found, expected) in rates.iter().zip(case["rates"].as_array().unwrap()) {
            let expected = expected.as_f64().unwrap();
            assert!((found - expected).abs() < 1e-6 * expected, "{rates:?} {case}");
        }
    }
    println!("golden: {} cases", cases.len());
}

#[test]
fn the_csv_log_is_the_one_that_keras_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let records: Vec<EpochRecord> = (0..4)
        .map(|epoch| {
            let mut figures = vec![
                ("loss", 0.5 / (epoch + 1) as f64),
                ("accuracy", 0.25 * epoch as f64),
                ("learning_rate", 0.125),
            ];
            if epoch % 2 == 1 {
                figures.extend([("val_loss", 0.75), ("val_accuracy", 0.5)]);
            }
            record(epoch + 1, &figures)
        })
        .collect();
    run(&mut CsvLogger::new(&path), &records[..2]);
    run(&mut CsvLogger::new(&path).append(true), &records[2..]);
    // Python writes 0.0 where Rust writes 0.
    let numbers = |text: &str| -> Vec<Vec<String>> {
        let cell = |cell: &str| {
            cell.parse::<f64>()
                .map_or_else(|_| cell.to_string(), |number| number.to_string())
        };
        text.split("\r\n")
            .map(|line| line.split(',').map(cell).collect())
            .collect()
    };
    let found = std::fs::read_to_string(&path).unwrap();
    assert_eq!(numbers(&found), numbers(traces()["csv"].as_str().unwrap()));
    // Without append the file is begun anew.
    run(&mut CsvLogger::new(&path).separator(';'), &records[..1]);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    let closed = folder.path().join("none/log.csv");
    let (mut net, mut sgd) = (plane_network(), Optimizer::by_name("sgd").unwrap());
    let mut log = CsvLogger::new(&closed);
    let error = Trainer::new()
        .callback(&mut log)
        .fit(&mut net, &mut sgd, &plane(8))
        .unwrap_err();
    assert!(
        matches!(error, Error::Log { .. }) && error.to_string().contains("log.csv"),
        "{error}"
    );
}

#[test]
fn a_figure_that_no_epoch_has_is_named() {
    let (mut net, mut sgd) = (plane_network(), Optimizer::by_name("sgd").unwrap());
    let samples = plane(8);
    let mut fit = |stopping: &mut EarlyStopping| {
        let trainer = Trainer::new().epochs(3).callback(stopping);
        trainer.fit(&mut net, &mut sgd, &samples)
    };
    // Without validation samples the training loss is watched.
    fit(&mut EarlyStopping::new(1)).unwrap();
    let error = fit(&mut EarlyStopping::new(1).monitor(Monitor::new("val_loss"))).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("'val_loss'; there are: loss, accuracy, learning_rate"),
        "{error}"
    );
    let error = fit(&mut EarlyStopping::new(1).monitor(Monitor::new("beauty"))).unwrap_err();
    assert!(error.to_string().contains("auto for 'beauty'"), "{error}");
}

#[test]
fn epochs_without_validation_do_not_count() {
    let (mut net, mut sgd) = (
        plane_network(),
        Optimizer::builder("sgd").unwrap().learning_rate(1e-12).build().unwrap(),
    );
    let samples = plane(20);
    // At this rate nothing improves: the second validation after the best one ends the training.
    let mut stopping = EarlyStopping::new(2);
    stopping.min_delta = 0.1;
    let trainer = Trainer::new().epochs(50).validation_data(&samples).validation_freq(3);
    let history = trainer
        .callback(&mut stopping)
        .fit(&mut net, &mut sgd, &samples)
        .unwrap();
    assert_eq!((history.epochs.len(), history.stopped), (9, StopReason::Callback));
    assert_eq!(history.get("val_loss").len(), 3);
    assert_eq!(stopping.best_epoch(), Some(3));
}

#[test]
fn a_scheduler_sets_the_rate_before_each_epoch() {
    let (mut net, mut sgd) = (
        plane_network(),
        Optimizer::builder("sgd").unwrap().learning_rate(0.5).build().unwrap(),
    );
    let mut scheduler = LearningRateScheduler::new(|epoch, rate| if epoch == 0 { rate } else { rate / 2.0 });
    let history = Trainer::new()
        .epochs(3)
        .callback(&mut scheduler)
        .fit(&mut net, &mut sgd, &plane(8))
        .unwrap();
    assert_eq!(history.get("learning_rate"), [0.5, 0.25, 0.125]);
    let mut wrong = LearningRateScheduler::new(|_, _| f64::NAN);
    let trained = Trainer::new().callback(&mut wrong).fit(&mut net, &mut sgd, &plane(8));
    assert!(matches!(trained, Err(Error::Optimizer(_))));
}

#[test]
fn not_a_number_may_be_an_end_instead_of_an_error() {
    let samples = Samples::new(vec![0.5, f32::NAN, 1.0, 0.0], vec![2], vec![0, 1]).unwrap();
    let (mut net, mut sgd) = (plane_network(), Optimizer::by_name("sgd").unwrap());
    let before = bits(&net);
    let history = Trainer::new()
        .epochs(3)
        .callback(&mut TerminateOnNan)
        .fit(&mut net, &mut sgd, &samples)
        .unwrap();
    assert_eq!((history.epochs.len(), history.stopped), (0, StopReason::NonFiniteLoss));
    assert_eq!(bits(&net), before);
}

#[test]
fn an_observer_sees_steps_and_epochs_and_may_end_training() {
    let (mut net, mut sgd) = (plane_network(), Optimizer::by_name("sgd").unwrap());
    let mut steps: Vec<StepEnd> = Vec::new();
    let mut observer = Observer {
        step: |step: &StepEnd| steps.push(*step),
        epoch: |end: &mut EpochEnd<'_>| {
            Ok(match end.record.epoch {
                2 => Control::Stop,
                _ => Control::Continue,
            })
        },
    };
    let trainer = Trainer::new().epochs(9).batch_size(8).callback(&mut observer);
    let history = trainer.fit(&mut net, &mut sgd, &plane(20)).unwrap();
    assert_eq!((history.epochs.len(), history.stopped), (2, StopReason::Callback));
    let seen: Vec<_> = steps.iter().map(|step| (step.epoch, step.step, step.samples)).collect();
    assert_eq!(
        seen,
        [(1, 1, 8), (1, 2, 16), (1, 3, 20), (2, 1, 8), (2, 2, 16), (2, 3, 20)]
    );
    for step in steps {
        assert_eq!((step.steps, step.of_samples), (3, 20));
        assert!(step.seconds > 0.0 && step.samples_per_second() > 0.0 && step.seconds_left() >= 0.0);
    }
}

#[test]
fn models_are_kept_when_they_are_the_best_or_it_is_their_turn() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let metadata = Metadata {
        classes: vec!["below".into(), "above".into()],
        ..Metadata::default()
    };
    let mut best =
        ModelCheckpoint::new(path("best.safetensors"), metadata.clone()).save_best_only(Monitor::new("val_loss"));
    let mut second = ModelCheckpoint::new(path("{epoch:02d}.safetensors"), metadata.clone()).every_epochs(2);
    let mut often = ModelCheckpoint::new(path("{epoch}-step-{step}.safetensors"), metadata).every_steps(5);
    // A rate that grows beyond all measure: the first epochs are the better ones.
    let mut worse = LearningRateScheduler::new(|epoch, _| if epoch < 3 { 0.1 } else { 1000.0 });
    let (mut net, mut sgd) = (plane_network(), Optimizer::by_name("sgd").unwrap());
    let samples = plane(24);
    let mut weights = Vec::new();
    let mut watch = Observer {
        step: |_: &StepEnd| {},
        epoch: |end: &mut EpochEnd<'_>| {
            weights.push(bits(end.network));
            Ok(Control::Continue)
        },
    };
    let history = Trainer::new()
        .epochs(5)
        .batch_size(8)
        .validation_data(&samples)
        .callback(&mut worse)
        .callback(&mut best)
        .callback(&mut second)
        .callback(&mut often)
        .callback(&mut watch)
        .fit(&mut net, &mut sgd, &samples)
        .unwrap();
    let losses = history.get("val_loss");
    let least = (0..5).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap();
    assert!(least < 3, "{losses:?}");
    let load = |name: &str| persistence::load(path(name).as_ref(), &Device::Cpu).unwrap();
    let saved = load("best.safetensors");
    assert_eq!(bits(&saved.network), weights[least]);
    assert_eq!(saved.metadata.classes, ["below", "above"]);
    assert!(saved.optimizer.is_none());
    assert_eq!(bits(&load("04.safetensors").network), weights[3]);
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    // Steps 5, 10 and 15 of three an epoch.
    assert_eq!(
        names,
        [
            "02.safetensors",
            "04.safetensors",
            "2-step-2.safetensors",
            "4-step-1.safetensors",
            "5-step-3.safetensors",
            "best.safetensors"
        ]
    );
    let mut wrong = ModelCheckpoint::new(path("{beauty}.safetensors"), Metadata::default());
    let error = Trainer::new()
        .callback(&mut wrong)
        .fit(&mut net, &mut sgd, &samples)
        .unwrap_err();
    assert!(error.to_string().contains("'beauty'"), "{error}");
}
