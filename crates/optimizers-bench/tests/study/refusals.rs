//! Studies that cannot be run, runs that fail, files that are damaged.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use optimizers_bench::{Error, Learning, Plan, Records, Shard, Study, Sweep, Task};
use training::Samples;

use crate::points::{bowl, learning, plane, points, run, study, tasks};

#[track_caller]
fn refused(change: fn(&mut Study)) -> Error {
    let mut study = study();
    change(&mut study);
    study.plan(&tasks()).unwrap_err()
}

#[test]
fn studies_that_cannot_be_run_are_refused() {
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
    assert!(matches!(study().plan(&[]).unwrap_err(), Error::Empty { what: "task" }));
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
    assert!(error.to_string().contains("did you mean 'adam'"), "{error}");
    for change in [
        (|s| s.optimizers.push("Adam".to_string())) as fn(&mut Study),
        |s| s.learning_rates.push(1.0),
        |s| s.tuning_seeds.push(1),
        |s| s.seeds.push(11),
    ] {
        assert!(matches!(refused(change), Error::Twice { .. }));
    }
    let twice = study().plan(&[bowl(), bowl()]).unwrap_err();
    assert!(matches!(twice, Error::Twice { what: "task", .. }), "{twice}");
    type Change = fn(&mut Learning);
    let changes: [(Change, &str); 5] = [
        (|l| l.epochs = 0, "epoch"),
        (|l| l.batch_size = 0, "sample in a batch"),
        (|l| l.train = points(5, 1).select(&[]), "sample to learn from"),
        (|l| l.validation = points(5, 1).select(&[]), "sample to choose on"),
        (|l| l.test = points(5, 1).select(&[]), "sample to report on"),
    ];
    for (change, expected) in changes {
        let mut learning = learning();
        change(&mut learning);
        let error = Task::learning("plane", "", learning).err();
        assert!(matches!(error, Some(Error::Empty { what }) if what == expected));
    }
}

#[test]
fn other_tasks_than_those_of_the_plan_are_refused() {
    let plan = study().plan(&tasks()).unwrap();
    let other = Learning {
        epochs: 5,
        ..learning()
    };
    for tasks in [vec![bowl()], vec![bowl(), plane(other)], vec![]] {
        let error = run(&plan, &tasks, 1, "1/1", None).unwrap_err();
        assert!(
            matches!(&error, Error::NotPlanned { name, .. } if name == "plane" || name == "bowl"),
            "{error}"
        );
    }
}

/// Which run failed, the first of them, whatever the number of workers; the others are not run for nothing.
#[test]
fn a_run_that_fails_is_named() {
    let wrong = Samples::new(vec![0.0; 4], vec![2], vec![0, 7]).unwrap();
    let tasks = [plane(Learning {
        train: wrong,
        ..learning()
    })];
    let plan = study().plan(&tasks).unwrap();
    for workers in [1, 3] {
        let finished = AtomicUsize::new(0);
        let how = Sweep {
            workers,
            shard: Shard::WHOLE,
            records: None,
            interrupt: &AtomicBool::new(false),
            on_run: &|_| {
                finished.fetch_add(1, Ordering::Relaxed);
            },
        };
        let error = plan.run(&tasks, &how).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("plane, sgd with learning rate 0.001 and seed 1: "),
            "{error}"
        );
        assert!(matches!(error, Error::Run { .. }));
        assert_eq!(finished.into_inner(), 0);
    }
}

#[test]
fn a_study_that_is_interrupted_at_once_has_done_nothing() {
    let tasks = tasks();
    let plan = study().plan(&tasks).unwrap();
    for workers in [1, 3] {
        let how = Sweep {
            workers,
            shard: Shard::WHOLE,
            records: None,
            interrupt: &AtomicBool::new(true),
            on_run: &|_| panic!("nothing is run"),
        };
        let error = plan.run(&tasks, &how).unwrap_err();
        assert!(matches!(error, Error::Interrupted { done: 0, runs: 84 }), "{error}");
    }
}

/// A folder with all records of the bowl.
fn recorded() -> (tempfile::TempDir, Records, Plan, Vec<Task>) {
    let tasks = vec![bowl()];
    let plan = study().plan(&tasks).unwrap();
    let place = tempfile::tempdir().unwrap();
    let records = Records::create(place.path()).unwrap();
    records.write_plan(&plan).unwrap();
    run(&plan, &tasks, 2, "1/1", Some(&records)).unwrap();
    (place, records, plan, tasks)
}

/// Whatever is done to a record is noticed, and the record is named.
#[test]
fn damaged_records_are_named() {
    let (place, records, plan, tasks) = recorded();
    let keys = records.keys().unwrap();
    let path = records.path(&keys[4]);
    let good = std::fs::read_to_string(&path).unwrap();
    let score = good.find("\"validation\":").unwrap() + 13;
    let mut digit = good.clone();
    let old = digit[score..].find(|c: char| c.is_ascii_digit()).unwrap() + score;
    let new = if &digit[old..=old] == "7" { "8" } else { "7" };
    digit.replace_range(old..=old, new);
    let another = std::fs::read_to_string(records.path(&keys[5])).unwrap();
    let cases: [(&str, String, &str); 7] = [
        ("cut off", good[..good.len() / 2].to_string(), "not what was written"),
        ("empty", String::new(), "not what was written"),
        ("a digit", digit, "checksum"),
        ("another", another, "name is not the hash"),
        ("other JSON", "{}".to_string(), "not what was written"),
        (
            "a later format",
            good.replace("candle-lab run 1", "candle-lab run 2"),
            "format is 'candle-lab run 2'",
        ),
        (
            "a new field",
            good.replacen('{', "{\"note\":1,", 1),
            "not what was written",
        ),
    ];
    for (case, text, problem) in cases {
        std::fs::write(&path, &text).unwrap();
        let other = tempfile::tempdir().unwrap();
        let elsewhere = Records::create(other.path()).unwrap();
        let errors = [
            records.verify().map(|_| ()),
            records.gather(&plan).map(|_| ()),
            run(&plan, &tasks, 2, "1/1", Some(&records)).map(|_| ()),
            elsewhere.merge(std::slice::from_ref(&records)).map(|_| ()),
        ];
        for error in errors {
            let text = error.unwrap_err().to_string();
            let named = path.display().to_string();
            assert!(text.contains(&named) && text.contains(problem), "{case}: {text}");
            assert!(text.contains("remove"), "{case}: {text}");
        }
        assert!(elsewhere.keys().unwrap().is_empty(), "nothing was merged");
        assert!(!Path::new(&other.path().join("study.json")).exists());
    }
    std::fs::write(&path, &good).unwrap();
    assert_eq!(records.verify().unwrap(), keys.len());

    // A time that is missing is missed, too.
    let timing = place.path().join("timings").join(format!("{}.json", keys[0]));
    std::fs::remove_file(&timing).unwrap();
    let text = records.verify().unwrap_err().to_string();
    assert!(
        text.contains(&timing.display().to_string()) && text.contains("missing"),
        "{text}"
    );

    // Many are counted, not all printed.
    for key in &keys {
        std::fs::write(records.path(key), "no").unwrap();
    }
    let text = records.verify().unwrap_err().to_string();
    assert!(text.contains(&format!("and {} more", keys.len() - 5)), "{text}");
}

#[test]
fn damaged_plans_are_named() {
    let (place, records, plan, _) = recorded();
    let path = place.path().join("study.json");
    let good = std::fs::read_to_string(&path).unwrap();
    let mut twice = plan.clone();
    twice.tasks.push(twice.tasks[0].clone());
    for text in [
        "",
        "{}",
        &good[..good.len() / 2],
        &good.replacen("\"seeds\"", "\"seed\"", 1),
        &serde_json::to_string(&twice).unwrap(),
    ] {
        std::fs::write(&path, text).unwrap();
        let text = records.plan().unwrap_err().to_string();
        assert!(text.contains("study.json is damaged"), "{text}");
    }
    std::fs::remove_file(&path).unwrap();
    for (folder, problem) in [
        (place.path().to_path_buf(), "holds no study.json"),
        (place.path().join("nowhere"), "does not exist"),
        (records.path(&records.keys().unwrap()[0]), "no folder"),
    ] {
        let text = Records::open(&folder).unwrap_err().to_string();
        assert!(
            text.contains(problem) && text.contains(&folder.display().to_string()),
            "{text}"
        );
    }
    let text = Records::create(records.path(&records.keys().unwrap()[0]))
        .unwrap_err()
        .to_string();
    assert!(text.contains("nothing can be written there"), "{text}");
}

/// Two machines that round differently: their records of one run are not mixed.
#[test]
fn records_that_contradict_each_other_are_named() {
    let (_one, records, plan, _) = recorded();
    let other = tempfile::tempdir().unwrap();
    let others = Records::create(other.path()).unwrap();
    others.merge(std::slice::from_ref(&records)).unwrap();
    assert_eq!(others.plan().unwrap(), plan);
    // The record of another task under the same configuration: what a machine that rounds otherwise would have written.
    let key = &records.keys().unwrap()[3];
    let mut changed: serde_json::Value = serde_json::from_slice(&std::fs::read(others.path(key)).unwrap()).unwrap();
    changed["outcome"]["test"] = serde_json::json!(0.123);
    let both = serde_json::to_string(&(&changed["configuration"], &changed["outcome"])).unwrap();
    changed["checksum"] = serde_json::json!(sha256(&both));
    std::fs::write(others.path(key), serde_json::to_string(&changed).unwrap()).unwrap();
    others.verify().expect("the changed record is sound in itself");
    let text = others.merge(std::slice::from_ref(&records)).unwrap_err().to_string();
    for path in [records.path(key), others.path(key)] {
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
    assert!(text.contains("round differently"), "{text}");
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
