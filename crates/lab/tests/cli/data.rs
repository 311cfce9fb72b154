//! `lab data`, and data that are missing or damaged.

use crate::files::{TRAIN_IMAGES, TRAIN_LABELS, cifar_records, cut, cut_mat, idx_labels, write, write_mnist};
use crate::program::Lab;

/// Training on the data of the folder, which must fail before anything is written.
fn train<'a>(data: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["train", "--epochs", "1", "--output", "net.safetensors", "--data", data];
    arguments.extend(more);
    arguments
}

#[test]
fn the_list_says_what_and_where() {
    let lab = Lab::new();
    let text = lab.succeeds(&["data", "list"]);
    for part in ["fashion-mnist", "28×28×1", "60,000", "CC BY 4.0", "in the program"] {
        assert!(text.contains(part), "'{part}' is not in {text}");
    }
    let sets = lab.json(&["data", "list", "--json"]);
    let mnist = &sets["sets"][1];
    assert_eq!(
        (mnist["name"].as_str(), mnist["bytes"].as_u64()),
        (Some("mnist"), Some(11_594_722))
    );
    assert_eq!(mnist["cached"]["state"], "absent");
    assert_eq!(sets["sets"][0]["cached"]["state"], "embedded");
}

#[test]
fn data_that_are_not_there_are_said() {
    let lab = Lab::new();
    lab.fails(
        &train("fashion-mnits", &[]),
        &["did you mean 'fashion-mnist'?", "cats-dogs"],
    );
    lab.fails(
        &train("mnist", &["--data-dir", "nowhere"]),
        &["'nowhere'", "does not exist", "--data-dir"],
    );
    lab.fails(&train("./nowhere", &[]), &["./nowhere", "does not exist"]);
    lab.fails(
        &train("cifar10", &["--data-dir", "."]),
        &["data_batch_1.bin", "lab data fetch cifar10"],
    );
    lab.fails(&["data", "verify", "mnits"], &["did you mean 'mnist'?"]);
    lab.fails(&["data", "verify", "mnist"], &["lab data fetch mnist", "--data-dir"]);
    lab.fails(
        &["data", "verify", "mnist", "--data-dir", "nowhere"],
        &["'nowhere'", "does not exist"],
    );
    lab.fails(&["data", "fetch", "digits"], &["digits", "part of the program"]);
    lab.fails(&["data", "fetch", "digitts"], &["did you mean 'digits'?"]);
}

#[test]
fn a_truncated_idx_file_is_said() {
    let lab = Lab::new();
    write_mnist(lab.folder());
    lab.succeeds(&["train", "--data", "mnist", "--data-dir", ".", "--epochs", "1"]);
    cut(&lab.path("mnist").join(TRAIN_IMAGES), 100);
    lab.fails(&train("mnist", &["--data-dir", "."]), &[TRAIN_IMAGES, "byte"]);
    // a header that is cut off
    write(&lab.path("mnist").join(TRAIN_IMAGES), &[0, 0, 8]);
    lab.fails(&train("mnist", &["--data-dir", "."]), &[TRAIN_IMAGES, "byte"]);
}

#[test]
fn a_label_out_of_range_is_said() {
    let lab = Lab::new();
    write_mnist(lab.folder());
    let mut labels = vec![0; 40];
    labels[17] = 10;
    write(&lab.path("mnist").join(TRAIN_LABELS), &idx_labels(&labels));
    lab.fails(
        &train("mnist", &["--data-dir", "."]),
        &[TRAIN_LABELS, "label 10", "image 17", "10 classes"],
    );
}

#[test]
fn truncated_cifar_and_mat_files_are_said() {
    let lab = Lab::new();
    let cifar = lab.path("cifar10");
    write(&cifar.join("data_batch_1.bin"), &cifar_records(&[0, 1, 2, 3]));
    write(&cifar.join("test_batch.bin"), &cifar_records(&[4, 5]));
    cut(&cifar.join("data_batch_1.bin"), 73);
    lab.fails(&train("cifar10", &["--data-dir", "."]), &["data_batch_1.bin", "byte"]);
    write(&lab.path("cats-dogs").join("dogData_w.mat"), &cut_mat());
    write(&lab.path("cats-dogs").join("catData_w.mat"), &cut_mat());
    lab.fails(&train("cats-dogs", &["--data-dir", "."]), &["dogData_w.mat", "byte"]);
    lab.fails(
        &["exercise", "3", "--quick", "--data", "cats-dogs", "--data-dir", "."],
        &["exercise 3", "dogData_w.mat"],
    );
}

#[test]
fn verify_finds_damage() {
    let lab = Lab::new();
    write_mnist(lab.folder());
    cut(&lab.path("mnist").join(TRAIN_IMAGES), 1);
    let outcome = lab.fails(
        &["data", "verify", "mnist", "--data-dir", "."],
        &[TRAIN_IMAGES, "lab data fetch mnist"],
    );
    assert_eq!(outcome.stdout.lines().count(), 4, "{}", outcome.stdout);
    assert!(outcome.stdout.starts_with("damaged"), "{}", outcome.stdout);
    // the files can be read, but they are not the published ones
    assert!(outcome.stdout.contains("differs"), "{}", outcome.stdout);
    std::fs::remove_file(lab.path("mnist").join(TRAIN_LABELS)).expect("a file");
    let outcome = lab.fails(&["data", "verify", "mnist", "--data-dir", "."], &[TRAIN_LABELS]);
    assert!(outcome.stdout.contains("missing"), "{}", outcome.stdout);
    let outcome = lab.run(&["data", "verify", "mnist", "--data-dir", ".", "--json"]);
    outcome.check_error(1, &[TRAIN_LABELS]);
    let record: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let states = record["files"].as_array().expect("files").iter();
    let states: Vec<&str> = states.filter_map(|file| file["state"]["state"].as_str()).collect();
    assert!(states.contains(&"missing") && states.len() == 4, "{record}");
    assert!(lab.succeeds(&["data", "verify", "digits"]).starts_with("ok"));
    assert_eq!(
        lab.json(&["data", "verify", "digits", "--json"])["files"][0]["state"]["state"],
        "ok"
    );
}

#[test]
fn without_a_network_the_way_out_is_named() {
    let lab = Lab::new();
    let words = ["train-images-idx3-ubyte.gz", "--data-dir"];
    lab.fails(&["data", "fetch", "mnist"], &words);
    lab.fails(&["data", "fetch", "mnist", "--data-dir", "downloads"], &words);
    lab.fails(&train("mnist", &[]), &words);
}
