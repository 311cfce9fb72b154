//! Studies as a whole: the same for any number of workers, blind to the test data, and clear about what went wrong.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kernels::random::Stream;
use nn_theory::{Activation, Dense, ModelSpec};
use optimizers_bench::{Comparison, Error, Outcome, Study, Task, Trial, log_grid, run};
use training::Samples;

/// Points of the plane in three classes, with some of the labels wrong.
fn points(count: usize, seed: u64) -> Samples {
    let mut draws = Stream::new(seed).op("points").draws();
    let mut inputs = Vec::new();
    let mut labels = Vec::new();
    for _ in 0..count {
        let (x, y) = (draws.uniform_in(-1.0, 1.0), draws.uniform_in(-1.0, 1.0));
        inputs.extend([x as f32, y as f32]);
        let class = if x + y > 0.3 { 0 } else { 1 + u32::from(x > y) };
        labels.push(if draws.bernoulli(0.1) {
            draws.below(3) as u32
        } else {
            class
        });
    }
    Samples::new(inputs, vec![2], labels).unwrap()
}

fn task() -> Task {
    let network = ModelSpec::sequential("plane")
        .input([2])
        .layer(Dense::new(8).activation(Activation::Relu))
        .layer(Dense::new(3));
    Task {
        network: network.build().unwrap(),
        train: points(60, 1),
        validation: points(40, 2),
        test: points(50, 3),
        epochs: 4,
        batch_size: 10,
    }
}

fn study(workers: usize) -> Study {
    Study {
        optimizers: vec!["sgd".to_string(), "adam".to_string()],
        learning_rates: log_grid(1e-3, 1.0, 4),
        tuning_seeds: vec![1, 2],
        seeds: vec![11, 12, 13],
        reference: "sgd".to_string(),
        workers,
    }
}

fn compare(study: &Study, task: &Task) -> optimizers_bench::Result<Comparison> {
    study.compare(task, &AtomicBool::new(false), &|_, _| ())
}

fn trial(optimizer: &str, learning_rate: f64, seed: u64) -> Trial {
    Trial {
        optimizer: optimizer.to_string(),
        learning_rate,
        seed,
    }
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let task = task();
    let one = compare(&study(1), &task).unwrap();
    let no_worker = Study { workers: 0, ..study(1) };
    assert_eq!(one, compare(&study(3), &task).unwrap());
    assert_eq!(one, compare(&no_worker, &task).unwrap(), "no workers are one");
    // 2 optimizers x (4 rates x 2 seeds + 2 rates x 3 seeds)
    assert_eq!(one.runs, 28);
    let mut ends: Vec<f64> = one.standings[0]
        .tuned
        .iter()
        .map(|run| run.validation_accuracy)
        .collect();
    ends.sort_by(f64::total_cmp);
    assert_eq!(
        one.target, ends[1],
        "the target is the median of where the reference ends"
    );
    for standing in &one.standings {
        let lengths = (standing.tuned.len(), standing.untuned.len(), standing.sensitivity.len());
        assert_eq!(lengths, (3, 3, 4));
        let seeds: Vec<u64> = standing.tuned.iter().map(|outcome| outcome.trial.seed).collect();
        assert_eq!(seeds, [11, 12, 13]);
        let best = standing
            .sensitivity
            .iter()
            .map(|(_, accuracy)| *accuracy)
            .fold(0.0, f64::max);
        let mut rates = standing.sensitivity.iter();
        let chosen = rates.find(|(rate, _)| *rate == standing.learning_rate).unwrap();
        assert_eq!(
            chosen.1, best,
            "{} was not tuned on the validation data",
            standing.optimizer
        );
        let all_at = |outcomes: &[Outcome], rate: f64| outcomes.iter().all(|one| one.trial.learning_rate == rate);
        assert!(all_at(&standing.tuned, standing.learning_rate));
        assert!(all_at(&standing.untuned, standing.default_learning_rate));
    }
}

#[test]
fn progress_counts_every_run_once() {
    let (calls, last) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let comparison = study(2)
        .compare(&task(), &AtomicBool::new(false), &|done, runs| {
            assert!(done <= runs && runs == 28);
            calls.fetch_add(1, Ordering::Relaxed);
            last.fetch_max(done, Ordering::Relaxed);
        })
        .unwrap();
    assert_eq!(
        (calls.into_inner(), last.into_inner()),
        (comparison.runs, comparison.runs)
    );
}

/// Whatever the test labels are: everything that a choice is made of stays as it is, only the reported accuracy moves.
#[test]
fn tuning_never_sees_the_test_data() {
    let original = task();
    let expected = compare(&study(2), &original).unwrap();
    let blind = |outcomes: &[Outcome]| -> Vec<Outcome> {
        let without = |outcome: &Outcome| Outcome {
            test_accuracy: 0.0,
            ..outcome.clone()
        };
        outcomes.iter().map(without).collect()
    };
    let mut moved = false;
    for seed in [1, 2] {
        let mut task = task();
        let order = Stream::new(seed).op("labels").draws().permutation(task.test.len());
        let labels: Vec<u32> = order.into_iter().map(|i| original.test.labels()[i]).collect();
        task.test = Samples::new(original.test.inputs().to_vec(), vec![2], labels).unwrap();
        let found = compare(&study(2), &task).unwrap();
        assert_eq!(found.target, expected.target);
        for (found, expected) in found.standings.iter().zip(&expected.standings) {
            assert_eq!(found.learning_rate, expected.learning_rate);
            assert_eq!(found.sensitivity, expected.sensitivity);
            assert_eq!(found.epochs_to_target, expected.epochs_to_target);
            assert_eq!(blind(&found.tuned), blind(&expected.tuned));
            assert_eq!(blind(&found.untuned), blind(&expected.untuned));
            moved |= found.accuracy != expected.accuracy;
        }
    }
    assert!(moved, "the reported accuracy does not come from the test data");
}

#[test]
fn divergence_is_an_outcome() {
    let mut task = task();
    let trials = [trial("sgd", 0.1, 1), trial("sgd", 1e6, 1), trial("sgd", 0.1, 2)];
    let outcomes = run(&task, &trials, 2, &AtomicBool::new(false), &|_, _| ()).unwrap();
    let diverged: Vec<bool> = outcomes.iter().map(|outcome| outcome.diverged).collect();
    assert_eq!(diverged, [false, true, false], "{:?}", outcomes[1]);
    let outcome = &outcomes[1];
    assert_eq!((outcome.validation_loss, outcome.test_accuracy), (None, 1.0 / 3.0));
    assert_eq!(outcome.validation_accuracy, 1.0 / 3.0);
    assert_eq!(outcomes[0].epochs.len(), task.epochs);

    // The only step of a training leads to weights that are not finite: no later loss says so.
    (task.epochs, task.batch_size) = (1, 60);
    let last = run(&task, &[trial("sgd", 1e38, 1)], 1, &AtomicBool::new(false), &|_, _| ()).unwrap();
    assert!(last[0].diverged && last[0].validation_loss.is_none(), "{last:?}");
    assert_eq!(last[0].test_accuracy, 1.0 / 3.0);

    // A study goes on, counts it, and does not choose that rate.
    let study = Study {
        optimizers: vec!["sgd".to_string()],
        learning_rates: vec![0.1, 1e6],
        ..study(2)
    };
    let comparison = compare(&study, &self::task()).unwrap();
    let standing = &comparison.standings[0];
    // Not every seed diverges: rectifiers that died at the first step have no gradient to go on with.
    assert_eq!(standing.learning_rate, 0.1);
    assert!((1..=2).contains(&standing.diverged), "{}", standing.diverged);
    assert!(standing.at_the_edge);
}

#[test]
fn an_interrupted_study_says_how_far_it_came() {
    // Interrupted from within, after so many runs; the second is in the middle of the measuring.
    for stop in [1, 20] {
        let flag = AtomicBool::new(false);
        let result = study(1).compare(&task(), &flag, &|done, _| flag.store(done >= stop, Ordering::Relaxed));
        match result {
            Err(Error::Interrupted { done, runs }) => assert_eq!((done, runs), (stop, 28)),
            other => panic!("{other:?}"),
        }
    }
    let result = study(3).compare(&task(), &AtomicBool::new(true), &|_, _| ());
    assert!(
        matches!(result, Err(Error::Interrupted { done: 0, runs: 28 })),
        "{result:?}"
    );
}

#[test]
fn studies_that_cannot_be_run_are_refused() {
    let refused = |change: fn(&mut Study)| {
        let mut study = study(1);
        change(&mut study);
        compare(&study, &task()).unwrap_err()
    };
    assert!(matches!(
        refused(|s| s.optimizers.clear()),
        Error::Empty { what: "optimizer" }
    ));
    assert!(matches!(
        refused(|s| s.learning_rates.clear()),
        Error::Empty { what: "learning rate" }
    ));
    assert!(matches!(
        refused(|s| s.tuning_seeds.clear()),
        Error::Empty { what: "tuning seed" }
    ));
    assert!(matches!(refused(|s| s.seeds.truncate(1)), Error::TooFew { found: 1 }));
    for change in [
        (|s| s.learning_rates.push(0.0)) as fn(&mut Study),
        |s| s.learning_rates.push(-0.1),
        |s| s.learning_rates.push(f64::NAN),
        |s| s.learning_rates.push(f64::INFINITY),
    ] {
        assert!(matches!(refused(change), Error::LearningRate { .. }));
    }
    let error = refused(|s| s.reference = "lion".to_string());
    assert!(matches!(error, Error::Reference { .. }), "{error}");
    assert!(error.to_string().contains("sgd, adam"), "{error}");
    assert!(matches!(
        refused(|s| s.tuning_seeds.push(12)),
        Error::SeedReused { seed: 12 }
    ));
    let error = refused(|s| s.optimizers.push("adamm".to_string()));
    assert!(matches!(error, Error::Optimizer(_)), "{error}");
    let idle = Task { epochs: 0, ..task() };
    assert!(matches!(compare(&study(1), &idle), Err(Error::Empty { what: "epoch" })));
}

/// Which run failed, the first of them, whatever the number of workers; the others are not run for nothing.
#[test]
fn a_run_that_fails_is_named() {
    let wrong = Samples::new(vec![0.0; 4], vec![2], vec![0, 7]).unwrap();
    for workers in [1, 3] {
        let task = Task {
            train: wrong.clone(),
            ..task()
        };
        let trials: Vec<Trial> = (0..20).map(|seed| trial("adam", 0.01, seed)).collect();
        let finished = AtomicUsize::new(0);
        let result = run(&task, &trials, workers, &AtomicBool::new(false), &|_, _| {
            finished.fetch_add(1, Ordering::Relaxed);
        });
        match result {
            Err(Error::Run {
                optimizer,
                learning_rate,
                seed,
                source,
            }) => {
                assert_eq!((optimizer.as_str(), learning_rate, seed), ("adam", 0.01, 0));
                assert!(matches!(source, training::Error::Label { label: 7, .. }), "{source}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(finished.into_inner(), 0);
    }
    let empty = Task {
        test: points(5, 1).select(&[]),
        ..task()
    };
    assert!(matches!(compare(&study(2), &empty), Err(Error::Run { .. })));
}

#[test]
fn nothing_to_run_is_no_error() {
    let outcomes = run(&task(), &[], 2, &AtomicBool::new(false), &|_, _| ()).unwrap();
    assert!(outcomes.is_empty());
}
