//! What is made of the runs.

use kernels::random::Stream;
use optimizers_bench::{Cell, Error, Learning, Outcome, Results, Seconds, Study, Task, median};
use training::Samples;

use crate::points::{bowl, learning, plane, points, run, study, tasks};

fn results(study: &Study, tasks: &[Task]) -> (Results, Vec<Option<Cell>>) {
    let plan = study.plan(tasks).unwrap();
    let cells = run(&plan, tasks, 2, "1/1", None).unwrap();
    (Results::of(&plan, &cells).unwrap(), cells)
}

#[test]
fn every_optimizer_is_treated_alike_and_choices_follow_the_validation_data() {
    let (results, cells) = results(&study(), &tasks());
    assert_eq!(results.runs, 6 * 14);
    assert_eq!(
        (results.tasks.len(), results.ranks.len(), results.profiles.len()),
        (2, 3, 3)
    );
    for (index, task) in results.tasks.iter().enumerate() {
        let reference = cells[index * 3].as_ref().unwrap();
        let ends: Vec<Option<f64>> = reference.tuned.iter().map(|run| Some(run.outcome.validation)).collect();
        assert_eq!(
            Some(task.target),
            median(&ends),
            "the target is the median of where the reference ends"
        );
        for (standing, cell) in task.standings.iter().zip(&cells[index * 3..]) {
            let cell = cell.as_ref().unwrap();
            assert_eq!((cell.tuning.len(), cell.tuned.len(), cell.untuned.len()), (8, 3, 3));
            assert_eq!((standing.runs, standing.sensitivity.len()), (14, 4));
            let best = standing
                .sensitivity
                .iter()
                .map(|rate| rate.mean)
                .fold(f64::MIN, f64::max);
            let mut rates = standing.sensitivity.iter();
            let chosen = rates.find(|rate| rate.learning_rate == standing.learning_rate).unwrap();
            assert_eq!(
                chosen.mean, best,
                "{} was not tuned on the validation data",
                standing.optimizer
            );
            let at = |cell: &[optimizers_bench::Run], rate: f64| cell.iter().all(|run| run.trial.learning_rate == rate);
            assert!(at(&cell.tuned, standing.learning_rate) && at(&cell.untuned, standing.default_learning_rate));
            let seeds: Vec<u64> = cell.tuned.iter().map(|run| run.trial.seed).collect();
            assert_eq!(seeds, [11, 12, 13]);
            let mean = cell.tuned.iter().map(|run| run.outcome.test).sum::<f64>() / 3.0;
            assert!((standing.test.mean - mean).abs() < 1e-12);
            assert!(standing.test.lower <= mean && mean <= standing.test.upper);
            let edges = [1e-3, 1.0].contains(&standing.learning_rate);
            assert_eq!(standing.at_the_edge, edges);
            assert!((1..=4).contains(&standing.good_rates));
        }
        let inclusion = task.inclusion.as_ref().expect("Adam and momentum take part");
        let difference = task.standings[1].test.mean - task.standings[2].test.mean;
        assert!((inclusion.difference.mean - difference).abs() < 1e-12);
        assert_eq!(inclusion.holds(), difference >= 0.0);
    }
    let mut without = study();
    without.optimizers.pop();
    assert!(self::results(&without, &[bowl()]).0.tasks[0].inclusion.is_none());
}

/// Whatever the test labels are: everything that a choice is made of stays as it is, only the reported score moves.
#[test]
fn tuning_never_sees_the_test_data() {
    let (expected, _) = results(&study(), &[plane(learning())]);
    let mut moved = false;
    for seed in [1, 2] {
        let original = learning();
        let order = Stream::new(seed).op("labels").draws().permutation(original.test.len());
        let labels: Vec<u32> = order.into_iter().map(|i| original.test.labels()[i]).collect();
        let test = Samples::new(original.test.inputs().to_vec(), vec![2], labels).unwrap();
        let (found, _) = results(&study(), &[plane(Learning { test, ..original })]);
        let (found, expected) = (&found.tasks[0], &expected.tasks[0]);
        assert_eq!(found.target, expected.target);
        for (found, expected) in found.standings.iter().zip(&expected.standings) {
            assert_eq!(found.learning_rate, expected.learning_rate);
            assert_eq!(found.sensitivity, expected.sensitivity);
            assert_eq!(found.steps_to_target, expected.steps_to_target);
            assert_eq!(found.curve, expected.curve);
            moved |= found.test != expected.test;
        }
    }
    assert!(moved, "the reported score does not come from the test data");
}

fn outcome(task: &Task, learning_rate: f64, seed: u64) -> Outcome {
    let trial = optimizers_bench::Trial {
        task: task.name().to_string(),
        optimizer: "sgd".to_string(),
        learning_rate,
        seed,
    };
    task.attempt(&trial, &std::sync::atomic::AtomicBool::new(false))
        .unwrap()
        .0
}

#[test]
fn divergence_is_an_outcome() {
    let task = plane(learning());
    let calm = outcome(&task, 0.1, 1);
    assert!(!calm.diverged && calm.curve.len() == 4 && calm.curve[3].step == 24);
    assert_eq!(calm.validation, calm.curve[3].score);
    let wild = outcome(&task, 1e6, 1);
    assert!(wild.diverged, "{wild:?}");
    assert_eq!(
        (wild.validation_loss, wild.test, wild.validation),
        (None, 1.0 / 3.0, 1.0 / 3.0)
    );

    // The only step of a training leads to weights that are not finite: no later loss says so.
    let one_step = plane(Learning {
        epochs: 1,
        batch_size: 60,
        ..learning()
    });
    let last = outcome(&one_step, 1e38, 1);
    assert!(
        last.diverged && last.validation_loss.is_none() && last.curve.is_empty(),
        "{last:?}"
    );

    // A study goes on, counts it, and does not choose that rate.
    let study = Study {
        optimizers: vec!["sgd".to_string()],
        learning_rates: vec![0.1, 1e6],
        ..study()
    };
    let (found, _) = results(&study, &[task]);
    let standing = &found.tasks[0].standings[0];
    assert_eq!(standing.learning_rate, 0.1);
    // Not every seed diverges: rectifiers that died at the first step have no gradient to go on with.
    assert!((1..=2).contains(&standing.diverged), "{}", standing.diverged);
    assert_eq!(standing.sensitivity[1].diverged, standing.diverged);
    assert!(standing.at_the_edge && standing.good_rates == 1);
}

/// The measures of a regression: R² on data that no choice has seen, infinitely late where the target is not met.
#[test]
fn a_regression_is_measured_by_its_share_of_variance() {
    let line = |count: usize, seed: u64| {
        let mut draws = Stream::new(seed).op("line").draws();
        let inputs: Vec<f32> = (0..count).map(|_| draws.uniform_in(-1.0, 1.0) as f32).collect();
        let targets = inputs.iter().map(|x| 3.0 * x - 1.0).collect();
        Samples::with_targets(inputs, vec![1], targets, vec![1]).unwrap()
    };
    let network = nn_theory::ModelSpec::sequential("line")
        .input([1])
        .layer(nn_theory::Dense::new(1));
    let task = Task::learning(
        "line",
        "a straight line",
        Learning {
            network: network.build().unwrap(),
            train: line(40, 1),
            validation: line(20, 2),
            test: line(20, 3),
            epochs: 30,
            batch_size: 10,
        },
    )
    .unwrap();
    let good = outcome(&task, 0.3, 1);
    assert!(good.test > 0.9999 && good.validation > 0.9999, "{good:?}");
    let lazy = outcome(&task, 1e-6, 1);
    assert!((0.0..0.9).contains(&lazy.test), "{lazy:?}");
    assert_eq!(lazy.steps_to(0.999), None);
    let met = good.steps_to(0.999).unwrap();
    assert!(met.is_multiple_of(4) && met <= 120, "{met}");
}

#[test]
fn results_want_all_cells() {
    let tasks = tasks();
    let plan = study().plan(&tasks).unwrap();
    let half = run(&plan, &tasks, 2, "1/2", None).unwrap();
    let error = Results::of(&plan, &half).unwrap_err();
    assert!(matches!(error, Error::Incomplete { cells: 1..6, of: 6 }), "{error}");
}

#[test]
fn seconds_are_counted_once() {
    let tasks = vec![
        bowl(),
        plane(Learning {
            test: points(9, 4),
            ..learning()
        }),
    ];
    let plan = study().plan(&tasks).unwrap();
    let cells = run(&plan, &tasks, 1, "1/1", None).unwrap();
    let results = Results::of(&plan, &cells).unwrap();
    let seconds = Seconds::of(&plan, &cells, &results);
    assert!(seconds.total > 0.0 && seconds.to_target.len() == 2 && seconds.of_a_run[1].len() == 3);
    for (task, times) in results.tasks.iter().zip(&seconds.to_target) {
        for (standing, time) in task.standings.iter().zip(times) {
            assert_eq!(standing.steps_to_target.is_some(), time.is_some());
        }
    }
    let twice: f64 = cells
        .iter()
        .flatten()
        .flat_map(Cell::all)
        .map(|run| run.timing.seconds)
        .sum();
    assert!(seconds.total <= twice * (1.0 + 1e-9), "{} of {twice}", seconds.total);
}
