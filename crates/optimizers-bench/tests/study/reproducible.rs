//! The same records to the bit: with any number of workers, in shards, after an interruption, after losing records.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use optimizers_bench::{Error, Plan, Records, Results, Shard, Sweep, Task};

use crate::points::{run, study, tasks, timeless};

/// The bytes of all records of a folder.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder.join("records")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect()
}

struct Folder {
    place: tempfile::TempDir,
    records: Records,
}

fn folder() -> Folder {
    let place = tempfile::tempdir().unwrap();
    let records = Records::create(place.path()).unwrap();
    Folder { place, records }
}

impl Folder {
    fn bytes(&self) -> BTreeMap<String, Vec<u8>> {
        bytes(self.place.path())
    }
}

fn whole(plan: &Plan, tasks: &[Task]) -> Folder {
    let folder = folder();
    folder.records.write_plan(plan).unwrap();
    run(plan, tasks, 1, "1/1", Some(&folder.records)).unwrap();
    folder
}

#[test]
fn the_number_of_workers_changes_no_bit() {
    let tasks = tasks();
    let plan = study().plan(&tasks).unwrap();
    let expected = whole(&plan, &tasks).bytes();
    // 2 tasks x 3 optimizers x (4 rates x 2 seeds + 2 rates x 3 seeds), less what is both tuned and default
    assert!(
        expected.len() > 6 * 11 && expected.len() <= 6 * 14,
        "{}",
        expected.len()
    );
    let without = run(&plan, &tasks, 1, "1/1", None).unwrap();
    for workers in [0, 2, 5] {
        let folder = folder();
        let cells = run(&plan, &tasks, workers, "1/1", Some(&folder.records)).unwrap();
        assert_eq!(folder.bytes(), expected, "{workers} workers");
        assert_eq!(timeless(&cells), timeless(&without));
    }
}

#[test]
fn shards_that_are_merged_are_the_whole() {
    let tasks = tasks();
    let plan = study().plan(&tasks).unwrap();
    let expected = whole(&plan, &tasks);
    for count in [2, 4, 9] {
        let parts: Vec<Folder> = (1..=count)
            .map(|index| {
                let part = folder();
                part.records.write_plan(&plan).unwrap();
                run(&plan, &tasks, 2, &format!("{index}/{count}"), Some(&part.records)).unwrap();
                part
            })
            .collect();
        let records: Vec<Records> = parts.iter().map(|part| part.records.clone()).collect();
        let merged = folder();
        let (found, new) = merged.records.merge(&records).unwrap();
        assert_eq!((&found, new), (&plan, expected.bytes().len()), "{count} shards");
        assert_eq!(merged.bytes(), expected.bytes(), "{count} shards");
        // Merging again changes nothing, and everything is there.
        assert_eq!(merged.records.merge(&records).unwrap().1, 0);
        let gathered = merged.records.gather(&plan).unwrap();
        assert_eq!((gathered.recorded, gathered.runs), (6 * 14, 6 * 14));
        let of = |folder: &Folder| Results::of(&plan, &folder.records.gather(&plan).unwrap().cells).unwrap();
        assert_eq!(of(&merged), of(&expected));
    }
}

#[test]
fn shards_of_other_optimizers_and_tasks_are_one_study() {
    let tasks = tasks();
    let of = |names: &[&str], tasks: &[Task]| {
        let mut study = study();
        study.optimizers = names.iter().map(|name| name.to_string()).collect();
        let plan = study.plan(tasks).unwrap();
        (whole(&plan, tasks), plan)
    };
    let (one, _) = of(&["sgd", "adam"], &tasks);
    let (two, _) = of(&["sgd", "sgd_momentum"], &tasks);
    let plan = study().plan(&tasks).unwrap();
    let expected = whole(&plan, &tasks);
    one.records.merge(&[one.records.clone(), two.records.clone()]).unwrap();
    assert_eq!(one.bytes(), expected.bytes());
    assert_eq!(one.records.plan().unwrap(), plan);

    // other grids or seeds are other studies
    let mut other = study();
    other.learning_rates.pop();
    let other = whole(&other.plan(&tasks).unwrap(), &tasks);
    let error = one.records.merge(&[one.records.clone(), other.records]).unwrap_err();
    assert!(
        matches!(&error, Error::PlansDiffer { what, .. } if what.contains("grid")),
        "{error}"
    );
}

/// Interrupted after every so many runs, again and again, until it is complete.
#[test]
fn an_interrupted_sweep_goes_on_where_it_was() {
    let tasks = tasks();
    let plan = study().plan(&tasks).unwrap();
    let expected = whole(&plan, &tasks).bytes();
    let folder = folder();
    let (mut calls, mut repeated) = (0, 0);
    loop {
        calls += 1;
        assert!(calls < 20, "it does not come to an end");
        let flag = AtomicBool::new(false);
        let (fresh, recorded) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let before = folder.bytes().len();
        let how = Sweep {
            workers: 2,
            shard: Shard::WHOLE,
            records: Some(&folder.records),
            interrupt: &flag,
            on_run: &|progress| {
                let counter = if progress.recorded { &recorded } else { &fresh };
                counter.fetch_add(1, Ordering::Relaxed);
                flag.store(fresh.load(Ordering::Relaxed) >= 17, Ordering::Relaxed);
            },
        };
        let outcome = plan.run(&tasks, &how);
        assert!(recorded.load(Ordering::Relaxed) <= before);
        repeated += recorded.load(Ordering::Relaxed);
        match outcome {
            Ok(_) => break,
            Err(Error::Interrupted { done, runs }) => {
                assert!(done < runs && runs == 6 * 14, "{done} of {runs}");
                assert!(folder.bytes().len() > before);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(calls > 3 && repeated > 50, "{calls} calls found {repeated} records");
    assert_eq!(folder.bytes(), expected);
}

#[test]
fn records_that_were_lost_are_made_again() {
    let tasks = tasks();
    let plan = study().plan(&tasks).unwrap();
    let folder = whole(&plan, &tasks);
    let expected = folder.bytes();
    for name in expected.keys().step_by(3) {
        std::fs::remove_file(folder.place.path().join("records").join(name)).unwrap();
    }
    // What a program that was ended was writing is no record.
    std::fs::write(folder.place.path().join("records/.half.part"), "{").unwrap();
    let gathered = folder.records.gather(&plan).unwrap();
    assert!(gathered.recorded < gathered.runs);
    run(&plan, &tasks, 2, "1/1", Some(&folder.records)).unwrap();
    std::fs::remove_file(folder.place.path().join("records/.half.part")).unwrap();
    assert_eq!(folder.bytes(), expected);
    assert_eq!(folder.records.verify().unwrap(), expected.len());
}

#[test]
fn longest_runs_come_first() {
    let tasks = tasks();
    let plan = study().plan(&tasks).unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let how = Sweep {
        workers: 1,
        shard: Shard::WHOLE,
        records: None,
        interrupt: &AtomicBool::new(false),
        on_run: &|progress| {
            assert!(progress.done <= progress.runs && !progress.recorded);
            order.lock().unwrap().push((progress.trial.task.clone(), progress.done));
        },
    };
    plan.run(&tasks, &how).unwrap();
    let order = order.into_inner().unwrap();
    let costs = plan.tasks.iter().map(|task| (task.cost, task.name.clone()));
    let costliest = costs.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1;
    let first = order.iter().take_while(|(task, _)| *task == costliest).count();
    assert_eq!(first, order.iter().filter(|(task, _)| *task == costliest).count());
    assert_eq!(order.last().unwrap().1, 6 * 14, "in the end all are done");
}
