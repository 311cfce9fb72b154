//! Training that is interrupted at any step and goes on, in memory and from a file, to the bit.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use augmentation::Pipeline;
use candle_core::{DType, Device};
use models::{Network, zoo};
use optimizers::Optimizer;
use persistence::Metadata;
use training::callbacks::{CsvLogger, ReduceLrOnPlateau};
use training::{
    Callback, Checkpoint, EarlyStopping, Error, Held, History, Samples, StepEnd, StopReason, Trainer, ValidationSplit,
    resume,
};

use crate::problems::{PIPELINE, bits, digits, network, plane, plane_network, state};

/// Raises a flag at a step.
struct InterruptAt<'a>(usize, usize, &'a AtomicBool);

impl Callback for InterruptAt<'_> {
    fn on_step_end(&mut self, step: &StepEnd) {
        if (step.epoch, step.step) == (self.0, self.1) {
            self.2.store(true, Ordering::Relaxed);
        }
    }
}

/// Network, optimizer and history after a training.
struct Trained {
    network: Network,
    optimizer: Optimizer,
    history: History,
}

impl Trained {
    #[track_caller]
    fn assert_equal(&self, other: &Trained, what: &str) {
        assert_eq!(self.history.epochs, other.history.epochs, "{what}: records");
        assert_eq!(self.history.stopped, other.history.stopped, "{what}: stop reason");
        assert_eq!(self.history.callbacks, other.history.callbacks, "{what}: callbacks");
        assert_eq!(bits(&self.network), bits(&other.network), "{what}: weights");
        assert_eq!(state(&self.optimizer), state(&other.optimizer), "{what}: optimizer");
    }
}

/// A training with all that has a memory: dropout, augmentation, a fresh split, averages, accumulation, callbacks.
struct Setting {
    samples: Samples,
    pipeline: Pipeline,
    epochs: usize,
    patience: usize,
}

impl Setting {
    fn new(epochs: usize, patience: usize) -> Self {
        let samples = digits(&network(zoo::digits_cnn().unwrap(), DType::F32), 75);
        Setting {
            samples,
            pipeline: Pipeline::parse(PIPELINE).unwrap(),
            epochs,
            patience,
        }
    }

    fn fresh(&self) -> Trained {
        Trained {
            network: network(zoo::digits_cnn().unwrap(), DType::F32),
            optimizer: Optimizer::builder("adam")
                .unwrap()
                .learning_rate(0.01)
                .global_clipnorm(1.0)
                .gradient_accumulation_steps(2)
                .ema(0.8, None)
                .build()
                .unwrap(),
            history: History::default(),
        }
    }

    /// Trains on from where `trained` stands; interrupted after a step, saving into a file, where that is asked for.
    fn run(&self, trained: Trained, interrupt: Option<(usize, usize)>, file: Option<&Path>) -> Trained {
        let Trained {
            mut network,
            mut optimizer,
            history,
        } = trained;
        let flag = AtomicBool::new(false);
        let (epoch, step) = interrupt.unwrap_or_default();
        let mut stop = InterruptAt(epoch, step, &flag);
        let mut stopping = EarlyStopping::new(self.patience);
        let mut plateau = ReduceLrOnPlateau::new(0.5, 1);
        plateau.min_delta = 0.5;
        let mut checkpoint = file.map(|file| Checkpoint::new(file, Metadata::default()));
        let mut trainer = Trainer::new()
            .epochs(self.epochs)
            .batch_size(16)
            .seed(3)
            .augment(&self.pipeline)
            .validation_split(ValidationSplit::every_epoch(0.2))
            .resume(history)
            .interrupt(&flag)
            .callback(&mut plateau)
            .callback(&mut stopping)
            .callback(&mut stop);
        if let Some(checkpoint) = &mut checkpoint {
            trainer = trainer.callback(checkpoint);
        }
        let history = trainer.fit(&mut network, &mut optimizer, &self.samples).unwrap();
        Trained {
            network,
            optimizer,
            history,
        }
    }
}

/// What a new process finds in a file.
fn read(file: &Path) -> Trained {
    let resumed = resume(file, &Device::Cpu).unwrap();
    Trained {
        network: resumed.network,
        optimizer: resumed.optimizer,
        history: resumed.history,
    }
}

#[test]
fn an_interrupted_training_goes_on_in_the_middle_of_an_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.safetensors");
    let setting = Setting::new(3, 9);
    let whole = setting.run(setting.fresh(), None, None);
    assert_eq!((whole.history.epochs.len(), whole.history.held), (3, Held::Averages));
    // 60 samples to learn from are four steps: the first, one in the middle, the last one of an epoch and of all.
    for (epoch, step, done, position) in [(1, 1, 0, 1), (2, 3, 1, 3), (2, 4, 2, 0), (3, 4, 3, 0)] {
        let interrupted = setting.run(setting.fresh(), Some((epoch, step)), Some(&file));
        let what = format!("epoch {epoch}, step {step}");
        if done < 3 {
            assert_eq!(interrupted.history.stopped, StopReason::Interrupted, "{what}");
        }
        assert_eq!(interrupted.history.epochs, whole.history.epochs[..done], "{what}");
        assert_eq!(interrupted.history.seconds.len(), done);
        let at = interrupted
            .history
            .position
            .as_ref()
            .map_or(0, |position| position.step);
        assert_eq!(at, position, "{what}");
        let from_file = setting.run(read(&file), None, Some(&file));
        from_file.assert_equal(&whole, &format!("from a file, {what}"));
        let in_memory = setting.run(interrupted, None, None);
        in_memory.assert_equal(&whole, &format!("in memory, {what}"));
    }
}

#[test]
fn a_training_may_be_interrupted_after_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.safetensors");
    let setting = Setting::new(2, 9);
    let whole = setting.run(setting.fresh(), None, None);
    let mut trained = setting.fresh();
    for (epoch, step) in (1..=2).flat_map(|epoch| (1..=4).map(move |step| (epoch, step))) {
        trained = setting.run(trained, Some((epoch, step)), Some(&file));
        if (epoch, step) != (2, 4) {
            assert_eq!(trained.history.stopped, StopReason::Interrupted);
            trained = read(&file);
        }
    }
    trained.assert_equal(&whole, "eight pieces");
}

#[test]
fn early_stopping_counts_on_and_brings_back_weights_from_before_the_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.safetensors");
    let mut setting = Setting::new(40, 2);
    // Nothing can be learnt from labels that mean nothing, so an early epoch is the best one.
    let labels = (0..75).map(|i| (i * 7 % 10) as u32).collect();
    setting.samples = Samples::new(setting.samples.inputs().to_vec(), vec![8, 8, 1], labels).unwrap();
    let whole = setting.run(setting.fresh(), None, Some(&file));
    let last = whole.history.epochs.len();
    assert_eq!(
        (whole.history.stopped, whole.history.held),
        (StopReason::Callback, Held::Restored)
    );
    assert!(last < 40, "{last}");
    // The file holds the network that was brought back.
    assert_eq!(bits(&read(&file).network), bits(&whole.network));
    assert_eq!(read(&file).history.held, Held::Restored);
    for (epoch, step) in [(last, 2), (last - 1, 1)] {
        let interrupted = setting.run(setting.fresh(), Some((epoch, step)), Some(&file));
        assert_eq!(interrupted.history.stopped, StopReason::Interrupted);
        let on = setting.run(read(&file), None, Some(&file));
        on.assert_equal(&whole, &format!("epoch {epoch}, step {step}"));
    }
}

#[test]
fn every_optimizer_goes_on_from_a_file_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.safetensors");
    let samples = plane(24);
    let adam = || Optimizer::by_name("adam").unwrap();
    let scaled = optimizers::DynamicLossScale {
        initial_scale: 8.0,
        dynamic_growth_steps: 2,
        ..Default::default()
    };
    let scaled = Optimizer::builder("adam")
        .unwrap()
        .dynamic_loss_scale(scaled)
        .build()
        .unwrap();
    let mut all = vec![
        scaled,
        Optimizer::multi([("last/bias", adam())], Optimizer::by_name("nadam").unwrap()).unwrap(),
    ];
    let network = plane_network();
    let weights = || {
        network
            .weights()
            .map(|weight| (weight.path.as_str(), weight.var.dims()))
    };
    let names = optimizers::catalogue().iter().map(|info| info.name);
    all.extend(names.map(|name| Optimizer::builder(name).unwrap().build_for(weights()).unwrap()));
    for optimizer in all {
        let what = optimizer.name().to_owned();
        let run = |epochs, trained: Trained, file: Option<&Path>| {
            let Trained {
                mut network,
                mut optimizer,
                history,
            } = trained;
            let mut checkpoint = file.map(|file| Checkpoint::new(file, Metadata::default()));
            let mut trainer = Trainer::new().epochs(epochs).batch_size(8).seed(1).resume(history);
            if let Some(checkpoint) = &mut checkpoint {
                trainer = trainer.callback(checkpoint);
            }
            let history = trainer.fit(&mut network, &mut optimizer, &samples).unwrap();
            Trained {
                network,
                optimizer,
                history,
            }
        };
        let fresh = || Trained {
            network: plane_network(),
            optimizer: optimizer.clone(),
            history: History::default(),
        };
        let whole = run(4, fresh(), None);
        run(2, fresh(), Some(&file));
        run(4, read(&file), None).assert_equal(&whole, &what);
        assert!(
            whole.history.epochs.iter().all(|epoch| epoch.loss.is_finite()),
            "{what}"
        );
    }
}

#[test]
fn checkpoints_between_steps_stand_where_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.safetensors");
    let samples = plane(40);
    let trainer = || Trainer::new().epochs(2).batch_size(8).seed(1);
    let mut whole = plane_network();
    let mut adam = Optimizer::by_name("adam").unwrap();
    let history = trainer().fit(&mut whole, &mut adam, &samples).unwrap();

    /// Keeps what the checkpoint wrote after a step.
    struct Copy<'a>(&'a Path, usize);
    impl Callback for Copy<'_> {
        fn on_step_end(&mut self, step: &StepEnd) {
            // The checkpoint writes after the callbacks have seen the step.
            if step.epoch == 1 && step.step == self.1 + 1 {
                std::fs::copy(self.0, self.0.with_extension("copy.safetensors")).unwrap();
            }
        }
    }
    let mut checkpoint = Checkpoint::new(&file, Metadata::default()).every_steps(2);
    let mut copy = Copy(&file, 2);
    let (mut net, mut sgd) = (plane_network(), Optimizer::by_name("adam").unwrap());
    trainer()
        .callback(&mut checkpoint)
        .callback(&mut copy)
        .fit(&mut net, &mut sgd, &samples)
        .unwrap();
    assert_eq!(bits(&net), bits(&whole), "saving changes nothing");
    let mut back = resume(&file.with_extension("copy.safetensors"), &Device::Cpu).unwrap();
    let position = back.history.position.clone().unwrap();
    assert_eq!((position.step, position.samples, back.history.epochs.len()), (2, 16, 0));
    let resumed = trainer()
        .resume(back.history)
        .fit(&mut back.network, &mut back.optimizer, &samples)
        .unwrap();
    assert_eq!(resumed.epochs, history.epochs);
    assert_eq!(bits(&back.network), bits(&whole));
}

#[test]
fn a_position_of_another_training_is_refused() {
    let flag = AtomicBool::new(false);
    let mut stop = InterruptAt(1, 2, &flag);
    let (mut net, mut sgd) = (plane_network(), Optimizer::by_name("sgd").unwrap());
    let samples = plane(40);
    let trainer = Trainer::new().batch_size(8).interrupt(&flag).callback(&mut stop);
    let history = trainer.fit(&mut net, &mut sgd, &samples).unwrap();
    let error = Trainer::new()
        .batch_size(10)
        .resume(history)
        .fit(&mut net, &mut sgd, &samples)
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Position {
                epoch: 1,
                step: 2,
                expected: 20,
                found: 16
            }
        ),
        "{error}"
    );
}

#[test]
fn a_resumed_csv_log_equals_one_that_was_never_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (folder.path().join("net.safetensors"), folder.path().join("log.csv"));
    let samples = plane(40);
    fn trainer<'a>(epochs: usize) -> Trainer<'a> {
        Trainer::new().epochs(epochs).batch_size(8).seed(1)
    }
    fn run(samples: &Samples, epochs: usize, path: &Path, checkpoint: &mut dyn Callback) {
        let mut csv = CsvLogger::new(path);
        let (mut net, mut sgd) = (plane_network(), Optimizer::by_name("sgd").unwrap());
        let trainer = trainer(epochs).callback(&mut csv).callback(checkpoint);
        trainer.fit(&mut net, &mut sgd, samples).unwrap();
    }
    let mut nothing = training::OnEpochEnd(|_: &_| {});
    let other = folder.path().join("whole.csv");
    run(&samples, 4, &other, &mut nothing);
    run(&samples, 2, &log, &mut Checkpoint::new(&file, Metadata::default()));
    // A line that the checkpoint did not see: the process died between the two.
    let mut text = std::fs::read_to_string(&log).unwrap();
    text += "2,0,0,0,0,0,0\r\n";
    std::fs::write(&log, text).unwrap();
    // Into the same file, and into another one, which gets a header and the lines from there on.
    let new = folder.path().join("new.csv");
    for path in [&log, &new] {
        let mut back = resume(&file, &Device::Cpu).unwrap();
        let mut csv = CsvLogger::new(path);
        trainer(4)
            .resume(back.history)
            .callback(&mut csv)
            .fit(&mut back.network, &mut back.optimizer, &samples)
            .unwrap();
    }
    let whole = std::fs::read_to_string(&other).unwrap();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), whole);
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    assert_eq!(
        std::fs::read_to_string(&new).unwrap(),
        [lines[0], lines[3], lines[4]].concat()
    );
}
