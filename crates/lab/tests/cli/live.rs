//! The live view of `lab train` in a pseudo-terminal, which `script` of util-linux makes.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::process::Stdio;

use crate::program::Lab;

/// What enters the picture, and what leaves it.
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// What a terminal of 100 × 30 got, and the exit code. When `sign` appears on it, `keys` are pressed.
///
/// `None`, with a line that says so, where there is no `script`.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn in_terminal(
    lab: &Lab,
    arguments: &str,
    term: &str,
    sign: &str,
    keys: &[u8],
) -> Option<(String, Option<i32>)> {
    if lab.other("script", &["--version"]).output().is_err() {
        println!("skipped: there is no program `script` to make a terminal with");
        return None;
    }
    let line = format!(
        "stty rows 30 cols 100; exec '{}' {arguments}",
        env!("CARGO_BIN_EXE_lab")
    );
    let mut child = lab
        .other("script", &["-qfec", &line, "/dev/null"])
        .env("TERM", term)
        .env("SHELL", "/bin/sh")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut keyboard = child.stdin.take().expect("a keyboard");
    let mut screen = child.stdout.take().expect("a screen");
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    let mut pressed = keys.is_empty();
    loop {
        let read = screen.read(&mut buffer).expect("a screen");
        if read == 0 {
            break;
        }
        shown.extend_from_slice(&buffer[..read]);
        if !pressed && String::from_utf8_lossy(&shown).contains(sign) {
            keyboard.write_all(keys).and_then(|()| keyboard.flush()).expect("a key");
            pressed = true;
        }
    }
    assert!(pressed, "'{sign}' did not appear: {}", String::from_utf8_lossy(&shown));
    let code = child.wait().expect("an end").code();
    Some((String::from_utf8_lossy(&shown).into_owned(), code))
}

/// What stands on the terminal after the picture went away.
#[track_caller]
fn after_the_picture(shown: &str) -> &str {
    assert_eq!(shown.matches(ENTER).count(), 1, "{shown:?}");
    assert_eq!(shown.matches(LEAVE).count(), 1, "{shown:?}");
    // The cursor is there again.
    assert!(shown.rfind("\u{1b}[?25h") > shown.rfind("\u{1b}[?25l"), "{shown:?}");
    shown.split(LEAVE).nth(1).unwrap_or_default()
}

#[test]
fn q_ends_the_step_and_leaves_a_file_to_go_on_from() {
    for key in [&b"q"[..], b"\x03"] {
        let lab = Lab::new();
        let train = "train --epochs 100000 --output net.safetensors";
        let Some((shown, code)) = in_terminal(&lab, train, "xterm", "images/s", key) else {
            return;
        };
        let rest = after_the_picture(&shown);
        assert_eq!(code, Some(1), "{rest}");
        for words in [
            "interrupted in epoch",
            "lab train --resume net.safetensors --epochs 100000",
        ] {
            assert!(rest.contains(words), "'{words}' is not in: {rest}");
        }
        let inspected = lab.json(&["inspect", "net.safetensors", "--json"]);
        assert!(
            inspected["optimizer"].is_object() || inspected["optimizer"].is_string(),
            "{inspected}"
        );
    }
}

#[test]
fn a_training_that_ends_leaves_its_lines_and_results() {
    let lab = Lab::new();
    let Some((shown, code)) = in_terminal(&lab, "train --epochs 2", "xterm", "", b"") else {
        return;
    };
    assert_eq!(code, Some(0), "{shown}");
    let rest = after_the_picture(&shown);
    for words in ["epoch 1/2  loss", "epoch 2/2  loss", "test accuracy"] {
        assert!(rest.contains(words), "'{words}' is not in: {rest}");
    }
}

#[test]
fn an_error_gives_the_terminal_back() {
    let lab = Lab::new();
    let Some((shown, code)) = in_terminal(&lab, "train --learning-rate 1e30", "xterm", "", b"") else {
        return;
    };
    assert_eq!(code, Some(1), "{shown}");
    let rest = after_the_picture(&shown);
    assert!(rest.contains("error: the loss is"), "{rest}");
}

#[test]
fn lines_are_printed_where_no_picture_is_wanted_or_possible() {
    for (arguments, term) in [
        ("train --epochs 1 --plain", "xterm"),
        ("train --epochs 1", "dumb"),
        ("train --epochs 1 --json", "xterm"),
        ("train --epochs 1 | cat", "xterm"),
    ] {
        let lab = Lab::new();
        let Some((shown, code)) = in_terminal(&lab, arguments, term, "", b"") else {
            return;
        };
        assert_eq!(code, Some(0), "{shown}");
        assert!(!shown.contains(ENTER), "{arguments} with TERM={term}: {shown:?}");
        assert!(shown.contains("epoch 1/1  loss"), "{shown:?}");
    }
}
