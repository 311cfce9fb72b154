//! Ctrl-C in the middle.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::program::{Lab, Outcome};

/// Starts the program, sends SIGINT when a line of stderr begins with `sign`, and waits for its end.
fn interrupt(lab: &Lab, arguments: &[&str], sign: &str) -> Outcome {
    let mut child = lab
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr"));
    let mut stderr = String::new();
    loop {
        let start = stderr.len();
        let read = lines.read_line(&mut stderr).expect("a line");
        assert!(read > 0, "the program ended before '{sign}': {stderr}");
        if stderr[start..].starts_with(sign) {
            break;
        }
    }
    // The shell's own `kill`: not every system has the program.
    let killed = Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status();
    assert!(killed.expect("kill runs").success());
    lines.read_to_string(&mut stderr).expect("the rest");
    Outcome {
        code: child.wait().expect("an end").code(),
        stdout: String::new(),
        stderr,
    }
}

#[test]
fn an_interrupted_training_goes_on_where_it_stood() {
    let lab = Lab::new();
    let train = ["train", "--epochs", "100000", "--output", "net.safetensors"];
    let outcome = interrupt(&lab, &train, "epoch      1/100000");
    outcome.check_error(
        1,
        &[
            "interrupted in epoch",
            "lab train --resume net.safetensors --epochs 100000",
        ],
    );
    let files: Vec<_> = lab.files().into_iter().collect();
    assert_eq!(files, [lab.path("net.safetensors")], "nothing else is left");

    // the file holds the step that the message names, and goes on from there as if nothing had happened
    let message = outcome.stderr.lines().last().unwrap_or_default();
    let begun = message
        .split("in epoch ")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    let begun: usize = begun
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{message}"));
    lab.succeeds(&["evaluate", "net.safetensors"]);
    let more = begun.to_string();
    let resumed = lab.json(&["train", "--resume", "net.safetensors", "--epochs", &more, "--json"]);
    let whole = lab.json(&["train", "--epochs", &more, "--json"]);
    assert_eq!(resumed["history"], whole["history"]);
    assert_eq!(resumed["test"], whole["test"]);
}

#[test]
fn an_interrupted_training_with_a_folder_names_the_folder() {
    let lab = Lab::new();
    let train = ["train", "--epochs", "100000", "--checkpoints", "run", "--keep", "1"];
    let outcome = interrupt(&lab, &train, "epoch      1/100000");
    outcome.check_error(
        1,
        &[
            "interrupted in epoch",
            "run holds the training",
            "lab train --resume run --epochs 100000",
        ],
    );
    // The last one, of the step in progress, and the best one.
    assert!(lab.files().len() <= 2, "{:?}", lab.files());
}

#[test]
fn without_a_file_the_way_to_keep_epochs_is_named() {
    let lab = Lab::new();
    let outcome = interrupt(&lab, &["train", "--epochs", "100000"], "epoch      1/100000");
    outcome.check_error(1, &["interrupted in epoch", "nothing was saved", "--output"]);
    assert!(lab.files().is_empty());
}

#[test]
fn an_interrupted_exercise_leaves_no_half_page() {
    let lab = Lab::new();
    let outcome = interrupt(&lab, &["exercise", "3", "--report", "report"], "exercise 3");
    outcome.check_error(1, &["interrupted in exercise 3"]);
    assert!(lab.files().is_empty(), "{:?}", lab.files());
}
