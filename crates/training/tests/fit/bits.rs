//! The same bits whatever happens in between: a new process, an interruption, other threads.

use crate::problems::{PIPELINE, bits, digits, network, plane, plane_network, specs, state};
use augmentation::Pipeline;
use candle_core::{DType, Device, Tensor};
use models::{Mode, zoo};
use nn_theory::{Activation, Dense, ModelSpec};
use optimizers::{Optimizer, Parameter};
use persistence::{Metadata, TrainingState};
use std::sync::atomic::AtomicBool;
use training::{Checkpoint, Loss, Samples, StopReason, Trainer, evaluate, resume};

fn metadata() -> Metadata {
    Metadata {
        training: Some(TrainingState {
            seed: 7,
            batch_size: 16,
            augment: Some(PIPELINE.to_string()),
            ..TrainingState::default()
        }),
        ..Metadata::default()
    }
}

#[test]
fn resumed_training_equals_training_that_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    for (spec, dtype, name) in specs()
        .into_iter()
        .flat_map(|spec| [(spec.clone(), DType::F32, "adam"), (spec, DType::F64, "sgd_momentum")])
    {
        let path = folder.path().join("checkpoint.safetensors");
        let mut whole = network(spec.clone(), dtype);
        let samples = digits(&whole, 70);
        let (train, validation) = samples.split(0.2, 1).unwrap();
        let images = train.shape().len() == 3;
        let trainer = |epochs| {
            let trainer = Trainer::new()
                .epochs(epochs)
                .batch_size(16)
                .seed(7)
                .validation_data(&validation);
            if images { trainer.augment(&pipeline) } else { trainer }
        };
        let mut optimizer = Optimizer::by_name(name).unwrap();
        let history = trainer(4).fit(&mut whole, &mut optimizer, &train).unwrap();
        assert_eq!(history.epochs.len(), 4);

        let mut first = network(spec, dtype);
        let mut checkpoint = Checkpoint::new(&path, metadata());
        let mut started = Optimizer::by_name(name).unwrap();
        trainer(2)
            .callback(&mut checkpoint)
            .fit(&mut first, &mut started, &train)
            .unwrap();
        let mut back = resume(&path, &Device::Cpu).unwrap();
        assert_eq!(back.history.epochs, history.epochs[..2]);
        assert_eq!((back.state.seed, back.state.batch_size), (7, 16));
        assert_eq!(back.network.dtype(), dtype);
        let resumed = trainer(4)
            .resume(back.history)
            .fit(&mut back.network, &mut back.optimizer, &train)
            .unwrap();
        assert_eq!(resumed.epochs, history.epochs, "{name} {dtype:?}");
        assert_eq!(bits(&back.network), bits(&whole), "{name} {dtype:?}");
        assert_eq!(state(&back.optimizer), state(&optimizer), "{name} {dtype:?}");
    }
}

#[test]
fn a_flag_that_is_set_before_training_ends_it_before_the_first_step() {
    let mut network = plane_network();
    let before = bits(&network);
    let flag = AtomicBool::new(true);
    let mut sgd = Optimizer::by_name("sgd").unwrap();
    let history = Trainer::new()
        .interrupt(&flag)
        .fit(&mut network, &mut sgd, &plane(10))
        .unwrap();
    assert_eq!((history.epochs.len(), history.stopped), (0, StopReason::Interrupted));
    assert_eq!(bits(&network), before);
    assert_eq!(sgd.iterations(), 0);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let pipeline = Pipeline::parse(PIPELINE).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut network = network(zoo::digits_cnn().unwrap(), DType::F32);
            let samples = digits(&network, 100);
            let mut adam = Optimizer::by_name("adam").unwrap();
            let trainer = Trainer::new()
                .epochs(2)
                .seed(1)
                .augment(&pipeline)
                .validation_data(&samples);
            let history = trainer.fit(&mut network, &mut adam, &samples).unwrap();
            let evaluation = evaluate(&network, &samples, Loss::default(), 33).unwrap();
            (history.epochs, bits(&network), state(&adam), evaluation)
        })
    };
    assert!(run(1) == run(4), "1 and 4 threads give other bits");
}

#[test]
fn gradients_that_the_optimizer_makes_change_no_bit() {
    // Wide enough for the kernels to leave gradients to the optimizer, where the processor has tiles.
    let spec = ModelSpec::sequential("wide")
        .input([300])
        .layer(Dense::new(256).activation(Activation::Relu))
        .layer(Dense::new(256).activation(Activation::Tanh))
        .layer(Dense::new(10))
        .build()
        .unwrap();
    let (batch, steps) = (64, 3);
    let mut draws = kernels::random::Stream::new(2).op("inputs").draws();
    let inputs: Vec<f32> = (0..batch * steps * 300)
        .map(|_| draws.uniform_in(-1.0, 1.0) as f32)
        .collect();
    let labels: Vec<u32> = (0..batch * steps).map(|_| draws.below(10) as u32).collect();
    let samples = Samples::new(inputs.clone(), vec![300], labels.clone()).unwrap();
    for name in ["adamw", "sgd_momentum", "lamb"] {
        let mut trained = network(spec.clone(), DType::F32);
        let mut optimizer = Optimizer::by_name(name).unwrap();
        let trainer = Trainer::new().batch_size(batch).shuffle(false);
        trainer.fit(&mut trained, &mut optimizer, &samples).unwrap();

        let by_hand = network(spec.clone(), DType::F32);
        let mut whole = Optimizer::by_name(name).unwrap();
        for step in 0..steps {
            let rows = &inputs[step * batch * 300..][..batch * 300];
            let x = Tensor::from_slice(rows, (batch, 300), &Device::Cpu).unwrap();
            let labels = Tensor::new(&labels[step * batch..][..batch], &Device::Cpu).unwrap();
            let mode = Mode::Training(kernels::random::Stream::new(0));
            let pass = by_hand.record(&[x], mode).unwrap();
            let loss = Loss::default().value(&pass.outputs()[0], &labels, None).unwrap();
            let gradients = pass.backward(&loss).unwrap();
            let weights: Vec<_> = by_hand.weights().collect();
            let parameters: Vec<Parameter<'_>> = weights
                .iter()
                .map(|weight| Parameter {
                    path: &weight.path,
                    var: &weight.var,
                    gradient: gradients.get(weight.var.as_tensor()).unwrap(),
                })
                .collect();
            whole.apply(&parameters).unwrap();
        }
        assert!(bits(&trained) == bits(&by_hand), "{name}");
        assert!(state(&optimizer) == state(&whole), "{name}");
    }
}

#[test]
fn a_training_on_the_only_thread_of_a_pool_makes_its_batches_itself() {
    // A thread of its own, so that a training that waits forever fails here.
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
        let _pool = one.build().unwrap();
        let pipeline = Pipeline::parse(PIPELINE).unwrap();
        let mut network = network(zoo::digits_cnn().unwrap(), DType::F32);
        let samples = digits(&network, 64);
        let mut adam = Optimizer::by_name("adam").unwrap();
        let trainer = Trainer::new().augment(&pipeline).prefetch(2);
        trainer.fit(&mut network, &mut adam, &samples).unwrap();
        sender.send(()).unwrap();
    });
    receiver.recv_timeout(std::time::Duration::from_secs(120)).unwrap();
}

#[test]
fn another_seed_gives_another_training_and_the_same_seed_the_same() {
    let run = |seed| {
        let mut network = network(zoo::digits_cnn().unwrap(), DType::F32);
        let samples = digits(&network, 40);
        let mut adam = Optimizer::by_name("adam").unwrap();
        Trainer::new()
            .seed(seed)
            .batch_size(8)
            .fit(&mut network, &mut adam, &samples)
            .unwrap();
        bits(&network)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
