//! `lab sweep`: records, shards, interruptions, results.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::program::Lab;

/// A study that is done in a moment: three landscapes, three optimizers.
const SMALL: [&str; 12] = [
    "sweep",
    "--quick",
    "--tasks",
    "quadratic,rosenbrock",
    "--optimizers",
    "sgd,adam,sgd_momentum",
    "--learning-rates",
    "1e-3:1:4",
    "--seeds",
    "2",
    "--reported-seeds",
    "3",
];

fn small(more: &[&'static str]) -> Vec<&'static str> {
    SMALL.iter().chain(more).copied().collect()
}

/// The bytes of all records of a folder.
fn records(lab: &Lab, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(lab.path(folder).join("records")).expect("a folder of records");
    entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a record"))
        })
        // What a program that was killed was writing.
        .filter(|(name, _)| !name.starts_with('.'))
        .collect()
}

/// The file of results, without the times, which are kept elsewhere.
fn results(lab: &Lab, folder: &str) -> Vec<u8> {
    std::fs::read(lab.path(folder).join("results.json")).expect("results")
}

#[test]
fn workers_shards_and_merging_change_no_bit() {
    let lab = Lab::new();
    lab.succeeds(&small(&["--out", "one", "--workers", "1"]));
    let expected = records(&lab, "one");
    assert!(expected.len() > 6 * 11, "{}", expected.len());
    lab.succeeds(&small(&["--out", "two", "--workers", "2"]));
    assert_eq!(records(&lab, "two"), expected);
    assert_eq!(results(&lab, "two"), results(&lab, "one"));

    let first = lab.succeeds(&small(&["--out", "a", "--shard", "1/2"]));
    assert!(
        first.contains("missing") && first.contains("lab sweep merge"),
        "{first}"
    );
    assert!(!lab.path("a/index.html").exists());
    let second = lab.json(&small(&["--out", "b", "--shard", "2/2", "--json"]));
    assert_eq!(second["complete"], false);
    assert!(records(&lab, "a").len() < expected.len());
    let merged = lab.succeeds(&["sweep", "merge", "a", "b", "--out", "ab"]);
    assert!(merged.contains("sgd_momentum"), "{merged}");
    assert_eq!(records(&lab, "ab"), expected);
    assert_eq!(results(&lab, "ab"), results(&lab, "one"));
    // Without --out the first folder takes them; and both shards may write into one folder from the start.
    lab.succeeds(&["sweep", "merge", "a", "b"]);
    assert_eq!(records(&lab, "a"), expected);
    lab.succeeds(&small(&["--out", "c", "--shard", "1/2"]));
    lab.succeeds(&small(&["--out", "c", "--shard", "2/2"]));
    assert_eq!(results(&lab, "c"), results(&lab, "one"));
}

/// Killed without a chance to clean up, after its first runs; then started again.
#[test]
fn a_killed_sweep_goes_on_where_it_was() {
    let lab = Lab::new();
    lab.succeeds(&small(&["--out", "whole"]));
    let mut child = lab
        .command(&small(&["--out", "killed"]))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
    let told = lines.map_while(Result::ok).find(|line| line.starts_with("run "));
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    let told = told.expect("a run is told");
    let kept = records(&lab, "killed").len();
    assert!(kept > 0, "{told}");
    let again = lab.run(&small(&["--out", "killed"]));
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(
        again.stderr.contains(&format!("{kept} records are in killed")),
        "{}",
        again.stderr
    );
    assert_eq!(records(&lab, "killed"), records(&lab, "whole"));
    assert_eq!(results(&lab, "killed"), results(&lab, "whole"));
}

#[test]
fn results_are_on_the_terminal_the_page_and_as_json() {
    let lab = Lab::new();
    let text = lab.succeeds(&small(&["--out", "out"]));
    for words in [
        "quadratic: how good",
        "rosenbrock: how fast",
        "mean rank",
        "runs",
        "index.html",
    ] {
        assert!(text.contains(words), "'{words}' is not in {text}");
    }
    let page = std::fs::read_to_string(lab.path("out/index.html")).expect("a page");
    for words in [
        "Performance profile",
        "Down Rosenbrock",
        "learning curves",
        "how much the learning rate matters",
    ] {
        assert!(page.contains(words), "'{words}' is not in the page");
    }
    let markdown = std::fs::read_to_string(lab.path("out/results.md")).expect("Markdown");
    assert!(markdown.contains("| optimizer | tuned rate |"), "{markdown}");
    let json: Value = lab.json(&small(&["--out", "out", "--json"]));
    assert_eq!(
        (&json["complete"], &json["runs"]),
        (&Value::Bool(true), &Value::from(6 * 14))
    );
    assert_eq!(
        json["plan"]["learning_rates"],
        serde_json::json!([0.001, 0.01, 0.1, 1.0])
    );
    assert_eq!(
        json["results"]["tasks"][1]["standings"].as_array().map(Vec::len),
        Some(3)
    );
    // The default of the reference, where momentum takes no part, is the first.
    let other = lab.json(&[
        "sweep",
        "--quick",
        "--tasks",
        "rosenbrock",
        "--optimizers",
        "Lion,adam",
        "--learning-rates",
        "0.001,0.1",
        "--seeds",
        "1",
        "--reported-seeds",
        "2",
        "--out",
        "other",
        "--json",
    ]);
    assert_eq!(other["plan"]["reference"], "lion");
}

#[test]
fn what_cannot_be_meant_is_said() {
    let lab = Lab::new();
    let check = |arguments: &[&str], words: &[&str]| {
        lab.run(arguments).check_error(2, words);
        assert!(lab.files().is_empty());
    };
    check(
        &["sweep", "--optimizers", "sgd,adma"],
        &["'adma'", "did you mean 'adam'?"],
    );
    check(
        &["sweep", "--tasks", "digit_cnn"],
        &["'digit_cnn'", "did you mean 'digits_cnn'?"],
    );
    check(
        &["sweep", "--learning-rates", "0.1:0.01:3"],
        &["0.1 is not below 0.01", "LOW:HIGH:COUNT"],
    );
    check(
        &["sweep", "--learning-rates", "fast"],
        &["'fast' is no number", "0.001,0.01,0.1"],
    );
    check(&["sweep", "--seeds", "0"], &["--seeds", "from 1"]);
    check(&["sweep", "--reported-seeds", "1"], &["--reported-seeds", "from 2"]);
    check(&["sweep", "--shard", "3/2"], &["'3/2' is no shard", "1/3, 2/3, 3/3"]);
    check(&["sweep", "--shard", "0/2"], &["from 1 to n"]);
    check(&["sweep", "--workers", "0"], &["at least 1"]);
    check(&["sweep", "merge"], &["<DIR>"]);
    lab.fails(
        &["sweep", "--optimizers", "sgd,adam", "--reference", "lion"],
        &["--reference lion", "sgd, adam"],
    );
    lab.fails(&["sweep", "--optimizers", "sgd,SGD"], &["optimizer sgd is there twice"]);
    lab.fails(
        &["sweep", "merge", "nowhere"],
        &["nowhere", "does not exist", "lab sweep --out"],
    );
    std::fs::create_dir(lab.path("empty")).expect("a folder");
    lab.fails(&["sweep", "merge", "empty"], &["empty", "study.json"]);
    std::fs::write(lab.path("file"), "").expect("a file");
    lab.fails(&["sweep", "--out", "file"], &["file", "another folder"]);
    lab.fails(
        &["sweep", "--tasks", "mnist_mlp", "--data-dir", "nowhere", "--out", "out"],
        &["nowhere"],
    );
}

/// A study of a network of one's own that is done in a moment.
const OWN: [&str; 12] = [
    "--quick",
    "--images",
    "120",
    "--epochs",
    "1",
    "--optimizers",
    "sgd,adam",
    "--learning-rates",
    "0.01,0.1",
    "--seeds=1",
    "--reported-seeds=2",
    "--json",
];

fn own(more: &[&'static str]) -> Vec<&'static str> {
    ["sweep"].into_iter().chain(more.iter().copied()).chain(OWN).collect()
}

#[test]
fn a_network_of_ones_own_is_a_task() {
    let lab = Lab::new();
    let configuration = lab.succeeds(&["summary", "digits_cnn", "--style", "json"]);
    let renamed = configuration.replace("\"digits_cnn\"", "\"my net\"");
    assert_ne!(renamed, configuration);
    std::fs::write(lab.path("net.json"), &renamed).expect("a file");
    let first = lab.json(&own(&["--model", "net.json", "--out", "own"]));
    let task = &first["plan"]["tasks"][0];
    assert_eq!(
        first["plan"]["tasks"].as_array().map(Vec::len),
        Some(1),
        "no built-in task beside it"
    );
    assert_eq!(task["name"], "my_net_on_digits");
    assert_eq!(first["runs"], 2 * (2 + 2 * 2));
    let title = task["title"].as_str().unwrap_or_default();
    assert!(
        title.contains("6,090 parameters") && title.contains("120 training and 120 test images of digits, 1 epochs"),
        "{title}"
    );
    // A fifth of 120 images is what rates are chosen on; 96 are learnt from, 32 at a time.
    assert_eq!(
        (&task["epochs"], &task["steps_per_epoch"]),
        (&Value::from(1), &Value::from(3))
    );

    // The same again runs nothing; another description, other data or another budget are other runs.
    let kept = records(&lab, "own");
    let again = lab.run(&own(&["--model", "net.json", "--data", "digits", "--out", "own"]));
    assert!(
        again.stderr.contains(&format!("{} records are in own", kept.len())),
        "{}",
        again.stderr
    );
    assert_eq!(records(&lab, "own"), kept);
    std::fs::write(lab.path("net.json"), renamed.replace("\"relu\"", "\"tanh\"")).expect("a file");
    let other = lab.json(&own(&["--model", "net.json", "--out", "own"]));
    assert_ne!(other["plan"]["tasks"][0]["fingerprint"], task["fingerprint"]);
    assert_eq!(records(&lab, "own").len(), 2 * kept.len());

    // What is printed can be typed: the network, its data, and the optimizer that was chosen.
    let said = lab.succeeds(&own(&["--model", "net.json", "--out", "own"])[..OWN.len() + 4]);
    let line = said.lines().find_map(|line| line.strip_prefix("train it so: lab "));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    assert!(
        line.starts_with("train --model net.json --data digits --optimizer "),
        "{line}"
    );
    let words: Vec<&str> = line.split(' ').chain(["--epochs", "1"]).collect();
    lab.succeeds(&words);
}

#[test]
fn data_of_ones_own_find_a_network_and_stand_beside_other_tasks() {
    let lab = Lab::new();
    for index in 0..60u8 {
        let path = lab.path(&format!("my pictures/{}/{index}.png", index % 3));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        image::GrayImage::from_fn(12, 12, |x, y| image::Luma([(x * y) as u8 / 2 * (index % 3) + index]))
            .save(path)
            .expect("a picture");
    }
    let study = lab.json(&own(&[
        "--data",
        "my pictures",
        "--tasks",
        "rosenbrock",
        "--out",
        "own",
    ]));
    let names: Vec<&Value> = (0..2).map(|task| &study["plan"]["tasks"][task]["name"]).collect();
    assert_eq!(names, ["rosenbrock", "small_cnn_on_my_pictures"]);
    let said = lab.succeeds(&own(&["--data", "my pictures", "--out", "own"])[..OWN.len() + 4]);
    assert!(
        said.contains("train it so: lab train --data 'my pictures' --optimizer "),
        "{said}"
    );
}

#[test]
fn what_cannot_be_a_task_is_said_before_anything_runs() {
    let lab = Lab::new();
    std::fs::write(lab.path("empty.json"), "{}").expect("a file");
    std::fs::create_dir(lab.path("folder")).expect("a folder");
    let nothing_ran = |outcome: crate::program::Outcome| {
        assert!(!lab.path("own").exists(), "{}", outcome.stderr);
    };
    for (more, words) in [
        (&["--model", "lenet6"][..], &["--model", "did you mean 'lenet5'?"][..]),
        (&["--model", "none.keras"], &["--model", "none.keras", "no file"]),
        (&["--model", "empty.json"], &["empty.json"]),
        (&["--model", "folder"], &["folder is a folder"]),
        (&["--model", "lenet5", "--data", "mnits"], &["did you mean 'mnist'?"]),
        (&["--data", "./nowhere"], &["./nowhere", "does not exist"]),
    ] {
        nothing_ran(lab.fails(&own(&[more, &["--out", "own"]].concat()), words));
    }
    for (more, words) in [
        (&["--model", "lenet5"][..], &["'lenet5'", "28", "8"][..]),
        (&["--data", "folder"], &["folder", "no sub-folders"]),
        (
            &["--validation-split", "0", "--data", "digits"],
            &["validation_split", "above 0"],
        ),
    ] {
        nothing_ran(lab.fails(&own(&[more, &["--out", "own"]].concat()), words));
    }
    lab.run(&["sweep", "--data", "digits", "--images", "1", "--out", "own"])
        .check_error(1, &["validation_split", "of 1 samples"]);
    for (arguments, words) in [
        (&["sweep", "--epochs", "3"][..], &["--model", "--data"][..]),
        (&["sweep", "--images", "30"], &["--model", "--data"]),
        (&["sweep", "--data", "digits", "--batch-size", "0"], &["at least 1"]),
        (
            &["sweep", "--data", "digits", "--validation-split", "1"],
            &["from 0 to below 1"],
        ),
        (&["sweep", "merge", "a", "--model", "lenet5"], &["--model"]),
    ] {
        lab.run(arguments).check_error(2, words);
    }
}

#[test]
fn damaged_records_are_named_and_nothing_is_run() {
    let lab = Lab::new();
    lab.succeeds(&small(&["--out", "out"]));
    let names: Vec<String> = records(&lab, "out").into_keys().collect();
    let path = lab.path("out/records").join(&names[5]);
    let text = std::fs::read_to_string(&path).expect("a record");
    std::fs::write(&path, &text[..text.len() - 20]).expect("a shorter record");
    for arguments in [
        small(&["--out", "out"]),
        vec!["sweep", "merge", "out"],
        vec!["sweep", "merge", "out", "--out", "out"],
    ] {
        lab.fails(&arguments, &[&names[5], "damaged", "remove"]);
    }
    std::fs::remove_file(&path).expect("it goes");
    lab.succeeds(&small(&["--out", "out"]));
    assert_eq!(std::fs::read_to_string(&path).expect("it is back"), text);
}
