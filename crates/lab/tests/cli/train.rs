//! `lab train` and `lab evaluate`.

use candle_core::{DType, Device};
use serde_json::Value;

use crate::program::Lab;

/// Everything but the times and the name of the file.
fn without_times(mut record: Value) -> Value {
    if let Some(record) = record.as_object_mut() {
        record.remove("timings");
        record.remove("output");
    }
    record
}

/// The bits of all weights of a saved network.
pub(crate) fn weights(lab: &Lab, file: &str) -> Vec<(String, Vec<u32>)> {
    let saved = persistence::load(&lab.path(file), &Device::Cpu).expect("a saved network");
    let bits = |tensor: &candle_core::Tensor| -> Vec<u32> {
        let flat = tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all());
        let values = flat.and_then(|t| t.to_vec1::<f32>()).expect("values");
        values.into_iter().map(f32::to_bits).collect()
    };
    let weights = saved.network.weights();
    weights
        .map(|weight| (weight.path.clone(), bits(weight.var.as_tensor())))
        .collect()
}

const OPTIONS: [&str; 11] = [
    "train",
    "--optimizer",
    "nadam",
    "--batch-size",
    "48",
    "--augment",
    "rotate(0.05) | translate(0.1, 0.1) @ 0.5",
    "--seed",
    "7",
    "--validation-split",
    "0.2",
];

#[test]
fn resumed_training_equals_training_that_never_stopped() {
    let lab = Lab::new();
    let train = |epochs: &str, file: &str| {
        lab.json(&[&OPTIONS[..], &["--epochs", epochs, "--output", file, "--json"]].concat())
    };
    let whole = train("4", "whole.safetensors");
    assert_eq!(whole["history"].as_array().map(Vec::len), Some(4));
    train("2", "half.safetensors");
    // what is typed again must be the same; what is not typed comes from the file
    let resumed = lab.json(&[
        "train",
        "--resume",
        "half.safetensors",
        "--epochs",
        "4",
        "--seed",
        "7",
        "--data",
        "Digits",
        "--optimizer",
        "Nadam",
        "--json",
    ]);
    assert_eq!(without_times(resumed.clone()), without_times(whole.clone()));
    assert_eq!(weights(&lab, "half.safetensors"), weights(&lab, "whole.safetensors"));
    assert_eq!(lab.files().len(), 2);

    // into another file, the first one stays
    lab.succeeds(&[
        "train",
        "--resume",
        "half.safetensors",
        "--epochs",
        "5",
        "--output",
        "more net.safetensors",
    ]);
    assert_eq!(weights(&lab, "half.safetensors"), weights(&lab, "whole.safetensors"));

    // nothing is left to do: the same figures again, the file as it was
    let before = std::fs::read(lab.path("half.safetensors")).expect("a file");
    let again = lab.json(&["train", "--resume", "half.safetensors", "--epochs", "4", "--json"]);
    assert_eq!(without_times(again), without_times(resumed));
    assert_eq!(std::fs::read(lab.path("half.safetensors")).expect("a file"), before);

    let evaluated = lab.json(&["evaluate", "whole.safetensors", "--json"]);
    assert_eq!(evaluated["loss"], whole["test"]["loss"]);
    assert_eq!(evaluated["accuracy"], whole["test"]["accuracy"]);
    assert_eq!(evaluated["confusion"], whole["test"]["confusion"]);
    assert_eq!(evaluated["per_class"].as_array().map(Vec::len), Some(10));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let lab = Lab::new();
    let train = |threads: &str, file: &str| {
        let arguments = [&OPTIONS[..], &["--epochs", "2", "--output", file, "--json"]].concat();
        let outcome = lab.run_with(&arguments, &[("RAYON_NUM_THREADS", threads)]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        without_times(serde_json::from_str(&outcome.stdout).expect("JSON"))
    };
    assert_eq!(train("1", "one.safetensors"), train("5", "five.safetensors"));
    assert_eq!(weights(&lab, "one.safetensors"), weights(&lab, "five.safetensors"));
}

#[test]
fn coarser_products_train_another_network_and_are_remembered() {
    let lab = Lab::new();
    let train = |precision: &[&str], epochs: &str, file: &str| {
        lab.json(
            &[
                &OPTIONS[..],
                precision,
                &["--epochs", epochs, "--output", file, "--json"],
            ]
            .concat(),
        )
    };
    let medium = ["--matmul-precision", "medium"];
    let exact = train(&[], "2", "exact.safetensors");
    let coarse = train(&medium, "2", "coarse.safetensors");
    assert_ne!(without_times(exact), without_times(coarse.clone()));
    train(&medium, "1", "half.safetensors");
    let resumed = lab.json(&["train", "--resume", "half.safetensors", "--epochs", "2", "--json"]);
    assert_eq!(without_times(resumed), without_times(coarse));
    assert_eq!(weights(&lab, "half.safetensors"), weights(&lab, "coarse.safetensors"));
}

#[test]
fn a_softmax_before_the_loss_is_pointed_out() {
    let lab = Lab::new();
    let model = lab.succeeds(&["summary", "digits_cnn", "--style", "json"]);
    let mut model: Value = serde_json::from_str(&model).expect("JSON");
    let layers = model["config"]["layers"].as_array_mut().expect("layers");
    layers.last_mut().expect("a layer")["config"]["activation"] = "softmax".into();
    std::fs::write(lab.path("softmax.json"), model.to_string()).expect("a file");
    let outcome = lab.run(&["train", "--model", "softmax.json", "--epochs", "1"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("note: the network ends in softmax"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn an_option_that_contradicts_the_resumed_file_is_refused() {
    let lab = Lab::new();
    lab.succeeds(&["train", "--epochs", "2", "--output", "net.safetensors"]);
    for (option, value, stored) in [
        ("--seed", "7", "6020"),
        ("--batch-size", "64", "32"),
        ("--validation-split", "0.5", "0.1"),
        ("--learning-rate", "0.5", "0.001"),
        ("--optimizer", "sgd", "adam"),
        ("--augment", "flip(horizontal)", "none"),
        ("--data", "mnist", "digits"),
        ("--split", "last", "random"),
        ("--class-weight", "balanced", "none"),
        ("--early-stopping", "3", "none"),
        ("--schedule", "cosine", "none"),
        ("--clipnorm", "1", "none"),
        ("--ema", "0.9", "none"),
        ("--metrics", "f1_score", "none"),
        ("--matmul-precision", "medium", "highest"),
    ] {
        lab.fails(
            &["train", "--resume", "net.safetensors", "--epochs", "4", option, value],
            &["net.safetensors", option, stored],
        );
    }
    lab.fails(
        &["train", "--resume", "net.safetensors", "--epochs", "1"],
        &["2 epochs", "--epochs"],
    );
    lab.fails(
        &["train", "--resume", "none.safetensors"],
        &["none.safetensors", "cannot be read"],
    );
}

#[test]
fn a_schedule_at_its_end_does_not_go_on() {
    let lab = Lab::new();
    let cosine = [
        "train",
        "--epochs",
        "2",
        "--schedule",
        "cosine",
        "--output",
        "net.safetensors",
    ];
    lab.succeeds(&cosine);
    lab.fails(
        &["train", "--resume", "net.safetensors", "--epochs", "4"],
        &[
            "net.safetensors",
            "learning rate",
            "2 epochs",
            "--model net.safetensors",
        ],
    );
}

#[test]
fn a_damaged_network_is_said() {
    let lab = Lab::new();
    lab.succeeds(&["train", "--epochs", "1", "--output", "net.safetensors"]);
    let mut bytes = std::fs::read(lab.path("net.safetensors")).expect("a file");
    std::fs::write(lab.path("cut.safetensors"), &bytes[..bytes.len() / 2]).expect("a file");
    *bytes.last_mut().expect("bytes") ^= 1;
    std::fs::write(lab.path("flipped.safetensors"), &bytes).expect("a file");
    for file in ["cut.safetensors", "flipped.safetensors"] {
        lab.fails(&["evaluate", file], &[file]);
        lab.fails(&["train", "--resume", file], &[file]);
        lab.fails(&["train", "--model", file], &[file]);
    }
}

#[test]
fn a_model_file_brings_its_weights() {
    let lab = Lab::new();
    lab.succeeds(&["train", "--epochs", "3", "--output", "first.safetensors"]);
    let first = lab.json(&["train", "--epochs", "1", "--json"]);
    let second = lab.json(&["train", "--epochs", "1", "--json", "--model", "first.safetensors"]);
    let loss = |record: &Value| record["history"][0]["loss"].as_f64().expect("a loss");
    assert!(loss(&second) < loss(&first), "{second} {first}");
}

#[test]
fn wrong_names_name_the_nearest() {
    let lab = Lab::new();
    lab.fails(&["train", "--optimizer", "adma"], &["'adma'", "did you mean 'adam'?"]);
    lab.fails(
        &["train", "--model", "digit_cnn"],
        &["'digit_cnn'", "did you mean 'digits_cnn'?"],
    );
    lab.fails(
        &["train", "--augment", "flip(horizontal) | rotat(0.1)"],
        &["--augment", "`rotat`", "did you mean `rotate`?", "character 20"],
    );
    lab.fails(&["train", "--augment", "rotate(9"], &["--augment"]);
    lab.run(&["train", "--learning-rate=-1"])
        .check_error(2, &["--learning-rate", "-1"]);
    lab.fails(&["train", "--model", "mnist_cnn"], &["(28, 28, 1)", "(8, 8, 1)"]);
}

#[test]
fn a_loss_that_explodes_ends_training_with_advice() {
    let lab = Lab::new();
    lab.fails(
        &[
            "train",
            "--optimizer",
            "sgd",
            "--learning-rate",
            "1e30",
            "--output",
            "net.safetensors",
        ],
        &["loss", "learning rate"],
    );
}

#[test]
fn a_file_that_cannot_be_written_is_said_before_training() {
    let lab = Lab::new();
    std::fs::write(lab.path("file"), "").expect("a file");
    let check = |output: &str, words: &[&str]| {
        let outcome = lab.fails(&["train", "--epochs", "1", "--output", output], words);
        assert_eq!(
            outcome.stderr.lines().count(),
            1,
            "it failed before training: {}",
            outcome.stderr
        );
    };
    check("file/net.safetensors", &["file/net.safetensors", "no folder"]);
    check("none/net.safetensors", &["none", "make it"]);
    check("net.pt", &["net.pt", ".safetensors"]);
    std::fs::create_dir(lab.path("folder.safetensors")).expect("a folder");
    check("folder.safetensors", &["is a folder"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let closed = lab.path("closed");
        std::fs::create_dir(&closed).expect("a folder");
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).expect("permissions");
        if std::fs::write(closed.join("probe"), "").is_ok() {
            println!("skipped: this user may write into read-only folders");
            return;
        }
        check("closed/net.safetensors", &["closed", "permission denied"]);
    }
}

#[test]
fn a_network_is_not_measured_on_other_classes() {
    let lab = Lab::new();
    lab.succeeds(&["train", "--epochs", "1", "--output", "net.safetensors"]);
    let folder = lab.path("shapes");
    for (class, value) in [("light", 250u8), ("dark", 5)] {
        for part in ["train", "test"] {
            for index in 0..4 {
                let path = folder.join(part).join(class).join(format!("{index}.png"));
                crate::files::write_png(&path, value - index);
            }
        }
    }
    lab.fails(
        &["evaluate", "net.safetensors", "--data", "./shapes"],
        &["net.safetensors", "'0'", "'dark'"],
    );
    // a network that fits the folder is chosen, and learns it
    let arguments = [
        "train",
        "--data",
        "./shapes",
        "--epochs",
        "30",
        "--validation-split",
        "0",
        "--json",
    ];
    assert_eq!(lab.json(&arguments)["test"]["accuracy"], 1.0);
}

#[test]
fn the_pipelines_of_the_help_work() {
    let lab = Lab::new();
    let help = lab.succeeds(&["train", "--help"]);
    let quoted: Vec<&str> = help
        .split('\'')
        .skip(1)
        .step_by(2)
        .filter(|text| text.contains("rotate("))
        .collect();
    assert!(quoted.len() >= 2, "{help}");
    for pipeline in quoted {
        lab.succeeds(&["train", "--epochs", "1", "--augment", pipeline]);
    }
}

/// Everything that can be asked for at once.
const EVERYTHING: [&str; 29] = [
    "train",
    "--split",
    "every-epoch",
    "--validation-split",
    "0.2",
    "--class-weight",
    "balanced",
    "--metrics",
    "sparse_top_k_categorical_accuracy",
    "--label-smoothing",
    "0.1",
    "--schedule",
    "cosine:1",
    "--weight-decay",
    "0.001",
    "--global-clipnorm",
    "1",
    "--accumulate",
    "2",
    "--ema",
    "0.9",
    "--early-stopping",
    "3",
    "--monitor",
    "val_accuracy",
    "--augment",
    "translate(0.1, 0.1) @ 0.5",
    "--save-every",
    "7",
];

#[test]
fn every_option_goes_into_the_file_and_comes_back() {
    let lab = Lab::new();
    let train = |more: &[&str]| lab.json(&[&EVERYTHING[..], more, &["--json"]].concat());
    let whole = train(&[
        "--epochs",
        "4",
        "--output",
        "whole.safetensors",
        "--csv",
        "whole.csv",
        "--tensorboard",
        "board",
        "--best",
        "best.safetensors",
    ]);
    assert_eq!(whole["history"].as_array().map(Vec::len), Some(4), "{whole}");
    let top = "val_sparse_top_k_categorical_accuracy";
    assert!(whole["history"][3]["metrics"][top].as_f64() > Some(0.5), "{whole}");
    assert_eq!(whole["options"]["early_stopping"], 3);
    assert_eq!(whole["optimizer"]["config"]["gradient_accumulation_steps"], 2);
    let log = std::fs::read_to_string(lab.path("whole.csv")).expect("a log");
    assert_eq!(log.lines().count(), 5);
    assert!(
        log.starts_with("epoch,accuracy,learning_rate,loss,sparse_top_k"),
        "{log}"
    );
    assert!(lab.path("board/train").is_dir() && lab.path("board/validation").is_dir());
    // The best network is the one of its epoch: it is as good as it was measured, on other images.
    let evaluated = lab.json(&["evaluate", "best.safetensors", "--json"]);
    assert!(evaluated["accuracy"].as_f64() > Some(0.5), "{evaluated}");

    // The schedule is part of the optimizer: the epochs in all are those of the first call.
    train(&["--epochs", "4", "--output", "half.safetensors", "--csv", "half.csv"]);
    let again = lab.json(&["train", "--resume", "half.safetensors", "--epochs", "4", "--json"]);
    assert_eq!(again["history"], whole["history"]);
    assert_eq!(again["test"], whole["test"]);
    assert_eq!(weights(&lab, "half.safetensors"), weights(&lab, "whole.safetensors"));
    assert_eq!(std::fs::read_to_string(lab.path("half.csv")).expect("a log"), log);
}

#[test]
fn a_training_that_ended_early_holds_the_best_weights_and_is_done() {
    let lab = Lab::new();
    let options = [
        "--early-stopping",
        "1",
        "--monitor",
        "val_loss",
        "--learning-rate",
        "0.05",
    ];
    let first = [
        &["train", "--epochs", "60", "--output", "net.safetensors"][..],
        &options,
        &["--json"],
    ]
    .concat();
    let outcome = lab.run(&first);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let record: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let epochs = record["history"].as_array().map_or(0, Vec::len);
    assert!(epochs < 60 && record["stopped"] == "callback", "{record}");
    let said = format!(
        "ended early after {epochs} epochs; the weights are those of epoch {}",
        epochs - 1
    );
    assert!(outcome.stderr.contains(&said), "{}", outcome.stderr);
    let evaluated = lab.json(&["evaluate", "net.safetensors", "--json"]);
    assert_eq!(evaluated["accuracy"], record["test"]["accuracy"]);
    let resumed = lab.run(&["train", "--resume", "net.safetensors", "--epochs", "60", "--json"]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert!(resumed.stderr.contains("nothing is left to do"), "{}", resumed.stderr);
    let resumed: Value = serde_json::from_str(&resumed.stdout).expect("JSON");
    assert_eq!(resumed["test"], record["test"]);
}

#[test]
fn options_that_say_nothing_usable_are_refused() {
    let lab = Lab::new();
    for (option, value, words) in [
        ("--class-weight", "cat=2", &["'cat'", "classes are 0, 1"][..]),
        ("--class-weight", "1", &["'='"]),
        ("--class-weight", "1=x", &["'x' is no number"]),
        ("--schedule", "sine", &["cosine"]),
        ("--schedule", "cosine:99", &["warm-up"]),
        ("--schedule", "{", &["JSON"]),
        ("--reduce-lr", "0", &["--reduce-lr 0"]),
        ("--reduce-lr", "3:2", &["below 1"]),
        ("--metrics", "acuracy", &["acuracy", "did you mean"]),
        ("--clipnorm", "-1", &["clipnorm"]),
        ("--ema", "2", &["ema_momentum"]),
        ("--accumulate", "1", &["gradient_accumulation_steps"]),
        ("--best", "net.pt", &["--best net.pt"]),
        ("--save-every", "5", &["--output"]),
    ] {
        lab.fails(&["train", "--epochs", "1", &format!("{option}={value}")], words);
    }
    lab.fails(
        &[
            "train",
            "--epochs",
            "2",
            "--early-stopping",
            "1",
            "--monitor",
            "val_auc",
        ],
        &["'val_auc'", "val_accuracy"],
    );
}
