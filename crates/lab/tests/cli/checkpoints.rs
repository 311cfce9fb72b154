//! `lab train --checkpoints DIR`: the last ones and the best one of a folder, and going on from it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::Lab;
use crate::train::weights;

/// The names of the files of a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    names
}

/// The newest checkpoint of a folder, relative to where `lab` runs.
fn newest(lab: &Lab, folder: &str) -> String {
    let names = names(&lab.path(folder));
    let last = names.iter().rfind(|name| name.starts_with("checkpoint-"));
    format!("{folder}/{}", last.expect("a checkpoint"))
}

const TRAIN: [&str; 7] = ["train", "--seed", "7", "--optimizer", "nadam", "--batch-size", "64"];

fn whole(lab: &Lab) -> Value {
    lab.json(
        &[
            &TRAIN[..],
            &["--epochs", "4", "--output", "whole.safetensors", "--json"],
        ]
        .concat(),
    )
}

/// The same training, of which a folder keeps checkpoints, for two epochs.
fn half(lab: &Lab) {
    let more = [
        "--epochs",
        "2",
        "--checkpoints",
        "run",
        "--keep",
        "2",
        "--save-every",
        "9",
    ];
    lab.succeeds(&[&TRAIN[..], &more].concat());
}

fn cut(path: PathBuf) {
    let bytes = std::fs::read(&path).expect("a file");
    std::fs::write(path, &bytes[..bytes.len() / 2]).expect("a file");
}

#[test]
fn a_folder_keeps_the_last_and_the_best_and_goes_on_to_the_same_bits() {
    let lab = Lab::new();
    let whole = whole(&lab);
    half(&lab);
    let kept = names(&lab.path("run"));
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(
        kept[0].starts_with("best-") && kept[1].starts_with("checkpoint-"),
        "{kept:?}"
    );
    // The folder has moved since; that is where the training goes on.
    std::fs::rename(lab.path("run"), lab.path("moved")).expect("a folder");
    let resumed = lab.json(&["train", "--resume", "moved", "--epochs", "4", "--json"]);
    assert_eq!(resumed["history"], whole["history"]);
    assert_eq!(resumed["test"], whole["test"]);
    assert_eq!(resumed["output"], Value::Null);
    assert_eq!(names(&lab.path("moved")).len(), 3);
    assert!(!lab.path("run").exists());
    assert_eq!(
        weights(&lab, &newest(&lab, "moved")),
        weights(&lab, "whole.safetensors")
    );
    // The best one is that of the epoch with the smallest loss on the validation samples.
    let losses = whole["history"].as_array().expect("a history");
    let losses = losses.iter().map(|record| record["val_loss"].as_f64().expect("a loss"));
    let best = format!("moved/{}", names(&lab.path("moved"))[0]);
    let monitored = lab.json(&["inspect", &best, "--json"])["metadata"]["monitored"].clone();
    assert_eq!(monitored["name"], "val_loss");
    assert_eq!(monitored["value"].as_f64(), losses.reduce(f64::min));
}

#[test]
fn a_damaged_checkpoint_is_gone_over_and_said() {
    let lab = Lab::new();
    let whole = whole(&lab);
    half(&lab);
    let damaged = newest(&lab, "run");
    cut(lab.path(&damaged));
    let outcome = lab.run(&["train", "--resume", "run", "--epochs", "4", "--json"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("note: this checkpoint was gone over") && outcome.stderr.contains(&damaged),
        "{}",
        outcome.stderr
    );
    let resumed: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(resumed["history"], whole["history"]);
    assert_eq!(weights(&lab, &newest(&lab, "run")), weights(&lab, "whole.safetensors"));
}

#[test]
fn a_folder_without_a_whole_checkpoint_is_an_error() {
    let lab = Lab::new();
    half(&lab);
    for name in names(&lab.path("run")) {
        cut(lab.path("run").join(name));
    }
    lab.fails(
        &["train", "--resume", "run", "--epochs", "4"],
        &[&newest(&lab, "run"), "not a whole safetensors file"],
    );
    std::fs::create_dir(lab.path("empty")).expect("a folder");
    lab.fails(&["train", "--resume", "empty"], &["empty", "holds no checkpoint"]);
}

#[test]
fn one_file_of_a_folder_is_never_written_over() {
    let lab = Lab::new();
    half(&lab);
    let first = newest(&lab, "run");
    let before = std::fs::read(lab.path(&first)).expect("a file");
    // From a file of the folder, too, the training goes on in the folder.
    lab.succeeds(&["train", "--resume", &first, "--epochs", "3", "--keep", "9"]);
    assert_eq!(std::fs::read(lab.path(&first)).expect("a file"), before);
    assert!(newest(&lab, "run") > first);
    // With another folder, this one stays as it is.
    let kept = names(&lab.path("run"));
    lab.succeeds(&["train", "--resume", "run", "--epochs", "4", "--checkpoints", "other"]);
    assert_eq!(names(&lab.path("run")), kept);
    assert!(newest(&lab, "other") > newest(&lab, "run").replace("run", "other"));
}

#[test]
fn the_monitored_figure_says_which_is_the_best() {
    let lab = Lab::new();
    let arguments = [
        "--epochs",
        "3",
        "--checkpoints",
        "run",
        "--monitor",
        "val_accuracy",
        "--keep",
        "1",
        "--json",
    ];
    let record = lab.json(&[&TRAIN[..], &arguments].concat());
    let history = record["history"].as_array().expect("a history");
    let figures = history
        .iter()
        .map(|record| record["val_accuracy"].as_f64().expect("an accuracy"));
    let best = format!("run/{}", names(&lab.path("run"))[0]);
    let monitored = lab.json(&["inspect", &best, "--json"])["metadata"]["monitored"].clone();
    assert_eq!(
        (&monitored["name"], monitored["value"].as_f64()),
        (&"val_accuracy".into(), figures.reduce(f64::max))
    );
    assert_eq!(record["options"]["checkpoints"], "run");
    // Without validation samples it is the loss.
    let arguments = ["--epochs", "1", "--checkpoints", "none", "--validation-split", "0"];
    lab.succeeds(&[&TRAIN[..], &arguments].concat());
    let best = format!("none/{}", names(&lab.path("none"))[0]);
    assert_eq!(
        lab.json(&["inspect", &best, "--json"])["metadata"]["monitored"]["name"],
        "loss"
    );
}

#[test]
fn options_of_folders_that_cannot_be_meant_are_refused() {
    let lab = Lab::new();
    std::fs::write(lab.path("file"), "").expect("a file");
    lab.fails(
        &["train", "--checkpoints", "file"],
        &["--checkpoints file", "is a file"],
    );
    lab.fails(&["train", "--checkpoints", "file/run"], &["--checkpoints", "file/run"]);
    lab.fails(&["train", "--keep", "2"], &["--keep", "--checkpoints DIR"]);
    lab.fails(&["train", "--save-every", "2"], &["--save-every", "--checkpoints DIR"]);
    lab.run(&["train", "--checkpoints", "run", "--keep", "0"])
        .check_error(2, &["--keep", "at least 1"]);
}
