//! Samples that are blended: the same bits whoever makes the batches, the loss that takes blended labels, and what is refused.

use augmentation::{Pipeline, ValueRange};
use candle_core::DType;
use models::zoo;
use optimizers::Optimizer;
use training::metrics::Metric;
use training::{Error, History, Loss, LossFunction, Samples, Trainer};

use crate::problems::{bits, digits, network};

const MIXING: &str = "flip(horizontal) | rotate(0.1) | one_of(mixup(0.4), cutmix()) @ 0.7";

fn pipeline(text: &str) -> Pipeline {
    Pipeline::parse_for(text, ValueRange::UNIT).unwrap()
}

#[test]
fn threads_and_batches_made_ahead_change_no_bit() {
    let pipeline = pipeline(MIXING);
    let run = |threads: usize, prefetch: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut net = network(zoo::digits_cnn().unwrap(), DType::F32);
            let samples = digits(&net, 70).sample_weights(vec![0.5; 70]).unwrap();
            let mut adam = Optimizer::by_name("adam").unwrap();
            let trainer = Trainer::new().epochs(2).batch_size(16).seed(3).augment(&pipeline);
            let history = trainer.prefetch(prefetch).fit(&mut net, &mut adam, &samples).unwrap();
            (history.epochs, bits(&net))
        })
    };
    let alone = run(1, 0);
    for (threads, prefetch) in [(2, 0), (2, 2), (3, 1)] {
        assert!(run(threads, prefetch) == alone, "{threads} threads, {prefetch} ahead");
    }
}

/// One epoch without learning: what the first loss and the metrics are.
fn measured(text: Option<&str>, loss: Loss, dense: bool) -> History {
    let mut net = network(zoo::digits_cnn().unwrap(), DType::F32);
    let mut samples = digits(&net, 40);
    if dense {
        let mut targets = vec![0.0; 400];
        samples
            .labels()
            .iter()
            .enumerate()
            .for_each(|(i, &label)| targets[i * 10 + label as usize] = 1.0);
        samples = Samples::with_targets(samples.inputs().to_vec(), vec![8, 8, 1], targets, vec![10]).unwrap();
    }
    let metrics: Vec<Box<dyn Metric>> = match dense {
        true => Vec::new(),
        false => vec![training::metrics::by_name("sparse_categorical_accuracy").unwrap()],
    };
    let mut sgd = Optimizer::builder("sgd").unwrap().learning_rate(0.0).build().unwrap();
    let pipeline = text.map(pipeline);
    let mut trainer = Trainer::new().seed(3).loss(loss).metrics(metrics);
    if let Some(pipeline) = &pipeline {
        trainer = trainer.augment(pipeline);
    }
    trainer.fit(&mut net, &mut sgd, &samples).unwrap()
}

#[test]
fn a_blend_that_keeps_everything_has_the_loss_and_the_figures_of_the_label() {
    let plain = measured(None, Loss::default(), false);
    // All of the image is kept, so all of the label is.
    let kept = measured(Some("cutmix([1, 1])"), Loss::default(), false);
    let (plain, kept) = (&plain.epochs[0], &kept.epochs[0]);
    assert!((plain.loss - kept.loss).abs() < 1e-5, "{} {}", plain.loss, kept.loss);
    assert_eq!(plain.accuracy, kept.accuracy);
    assert_eq!(plain.metrics, kept.metrics);
}

#[test]
fn labels_and_targets_of_numbers_are_blended_alike() {
    let labels = measured(Some(MIXING), Loss::default(), false);
    let numbers = measured(Some(MIXING), Loss::CategoricalCrossentropy, true);
    assert!((labels.epochs[0].loss - numbers.epochs[0].loss).abs() < 1e-6);
    let plain = measured(None, Loss::default(), false);
    assert!((labels.epochs[0].loss - plain.epochs[0].loss).abs() > 1e-4);
}

#[test]
fn a_loss_that_ignores_a_class_cannot_take_blends() {
    let pipeline = pipeline("mixup(0.2)");
    let mut net = network(zoo::digits_cnn().unwrap(), DType::F32);
    let samples = digits(&net, 10);
    let loss = Loss::from(LossFunction::SparseCategoricalCrossentropy {
        from_logits: true,
        ignore_class: Some(3),
    });
    let mut sgd = Optimizer::by_name("sgd").unwrap();
    let refused = Trainer::new()
        .loss(loss)
        .augment(&pipeline)
        .fit(&mut net, &mut sgd, &samples);
    assert!(matches!(refused, Err(Error::Option { .. })), "{refused:?}");
    let error = samples.augmented(&pipeline, 1, 1).unwrap_err().to_string();
    assert!(error.contains("mixup") && error.contains("label"), "{error}");
}
