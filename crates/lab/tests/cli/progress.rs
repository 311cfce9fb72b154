//! Bars with the time that is left: on a terminal, and nowhere else.
#![cfg(target_os = "linux")]

use crate::files::write_mnist;
use crate::live::in_terminal;
use crate::program::Lab;

fn trained() -> Lab {
    let lab = Lab::new();
    lab.succeeds(&["train", "--epochs", "1", "--output", "net.safetensors"]);
    lab
}

/// What a bar leaves on the terminal when it is gone: the line is cleared.
#[track_caller]
fn check_bar(shown: &str, name: &str) {
    let bars: Vec<&str> = shown.split('\r').filter(|line| line.contains(name)).collect();
    assert!(
        bars.iter().any(|bar| bar.contains("(left ") && bar.contains('/')),
        "no bar '{name}' in {shown:?}"
    );
    let after = shown.rsplit(name).next().unwrap_or_default();
    assert!(after.contains("\u{1b}[2K"), "the bar is not cleared: {shown:?}");
}

#[test]
fn measuring_a_network_shows_how_much_is_left() {
    let lab = trained();
    let views = "evaluate net.safetensors --tta 8 --augment 'rotate(0.1)'";
    let Some((shown, code)) = in_terminal(&lab, views, "xterm", "", b"") else {
        return;
    };
    assert_eq!(code, Some(0), "{shown}");
    check_bar(&shown, "measuring");
    let piped = lab.run(&["evaluate", "net.safetensors", "--tta", "8", "--augment", "rotate(0.1)"]);
    assert_eq!((piped.code, piped.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_measuring_that_is_interrupted_says_how_far_it_was() {
    let lab = trained();
    let views = "evaluate net.safetensors --tta 100000 --augment 'rotate(0.1)'";
    let Some((shown, code)) = in_terminal(&lab, views, "xterm", "measuring", b"\x03") else {
        return;
    };
    assert_eq!(code, Some(1), "{shown}");
    let error = shown.rsplit("error: ").next().unwrap_or_default();
    assert!(
        error.contains("interrupted after ") && error.contains("images were measured"),
        "{shown:?}"
    );
}

#[test]
fn files_that_take_a_while_show_a_sign_of_life() {
    let lab = Lab::new();
    write_mnist(lab.folder());
    // The files are small ones, not the published, which verifying says.
    for (arguments, name, expected) in [
        ("data verify mnist --data-dir .", "checking the files of mnist", 1),
        ("train --data mnist --data-dir . --epochs 1 --plain", "reading mnist", 0),
    ] {
        let Some((shown, code)) = in_terminal(&lab, arguments, "xterm", "", b"") else {
            return;
        };
        assert_eq!(code, Some(expected), "{shown}");
        let after = shown.rsplit(name).next().unwrap_or_default();
        assert!(
            shown.contains(name) && after.contains("\u{1b}[2K"),
            "no '{name}', or it stays: {shown:?}"
        );
    }
    let piped = lab.run(&["data", "verify", "mnist", "--data-dir", "."]);
    piped.check_error(1, &["not as published"]);
    assert!(!piped.stderr.contains("checking"), "{}", piped.stderr);
}

#[test]
fn reading_and_writing_shows_how_much_is_left() {
    let lab = trained();
    for index in 0..40 {
        let path = lab.path(&format!("pictures/{}/{index}.png", index % 2));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        image::GrayImage::from_pixel(16, 16, image::Luma([index]))
            .save(path)
            .expect("a picture");
    }
    for (arguments, name) in [
        ("train --data pictures --epochs 1 --plain", "reading images"),
        ("inspect net.safetensors", "reading tensors"),
        ("convert net.safetensors net.keras", "writing tensors"),
        ("convert net.keras net.pt --precision f16", "writing tensors"),
    ] {
        let Some((shown, code)) = in_terminal(&lab, arguments, "xterm", "", b"") else {
            return;
        };
        assert_eq!(code, Some(0), "{shown}");
        check_bar(&shown, name);
    }
    for arguments in [&["inspect", "net.safetensors"][..], &["convert", "net.keras", "net.h5"]] {
        let piped = lab.run(arguments);
        assert_eq!((piped.code, piped.stderr.as_str()), (Some(0), ""));
    }
}
